#include "config/setting.h"

#include "base/error.h"
#include "config/setting_check.h"
#include "config/setting_table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

const struct setting *setting_table(enum setting_scope scope, size_t *count)
{
    *count = setting_lists[scope].count;
    return setting_lists[scope].settings;
}

const struct setting *setting_find(enum setting_scope scope, struct str name)
{
    const struct setting_list *list = &setting_lists[scope];
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct setting *s = &list->settings[list->order[middle]];
        int c = str_compare(name, str_from(s->name));
        if (c == 0)
            return s;
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

#define NAME_MAX_BYTES 127 // longer names are not compared

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

// Levenshtein's distance, one row at a time.
static size_t edit_distance(struct str a, struct str b)
{
    size_t row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = row[j];
            row[j] = smallest(row[j] + 1, row[j - 1] + 1, diagonal + (a.data[i - 1] != b.data[j - 1]));
            diagonal = above;
        }
    }
    return row[b.size];
}

const struct setting *setting_closest(enum setting_scope scope, struct str name)
{
    const struct setting_list *list = &setting_lists[scope];
    const struct setting *best = NULL;
    size_t best_distance = name.size / 4 + 2; // a slip, not another word
    if (name.size > NAME_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < list->count; i++) {
        struct str known = str_from(list->settings[i].name);
        if (list->settings[i].internal || known.size > NAME_MAX_BYTES)
            continue;
        size_t distance = edit_distance(name, known);
        if (distance < best_distance) {
            best = &list->settings[i];
            best_distance = distance;
        }
    }
    return best;
}

struct str setting_trim(struct str s)
{
    while (s.size > 0 && (unsigned char)s.data[0] <= ' ') {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && (unsigned char)s.data[s.size - 1] <= ' ')
        s.size--;
    return s;
}

// java.lang.Double.parseDouble: strtod's syntax without "inf", "nan" and "0x1" without exponent, but with
// "Infinity", "NaN" and a trailing f or d.
static bool parse_double(struct str s, double *out)
{
    char text[64];
    if (s.size == 0 || s.size >= sizeof text - 1)
        return false;
    memcpy(text, s.data, s.size);
    text[s.size] = 0;
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    if (strcmp(digits, "NaN") == 0 || strcmp(digits, "Infinity") == 0) {
        *out = strtod(text, NULL);
        return true;
    }
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if ((digits[0] < '0' || digits[0] > '9') && digits[0] != '.')
        return false;
    if (hex && !strpbrk(digits, "pP"))
        return false;
    char *end;
    *out = strtod(text, &end);
    if (end == text)
        return false;
    if (*end != 0 && strchr("fFdD", *end))
        end++;
    return *end == 0;
}

static bool list_has(const struct setting_value *v, struct str entry)
{
    for (size_t i = 0; i < v->count; i++)
        if (str_equal(v->entries[i], entry))
            return true;
    return false;
}

// Kafka's rule: split at commas, trim each; the empty text is the empty list.
static int parse_list(const struct setting *s, struct str text, struct arena *arena,
                      struct setting_value *out)
{
    size_t commas = 0;
    for (size_t i = 0; i < text.size; i++)
        commas += text.data[i] == ',';
    out->entries = arena_zalloc(arena, commas + 1, sizeof *out->entries);
    if (!out->entries)
        return ERR_NOMEM;
    if (text.size == 0)
        return 0;
    for (size_t start = 0, i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != ',')
            continue;
        struct str entry = setting_trim((struct str){text.data + start, i - start});
        start = i + 1;
        if (!s->unique || !list_has(out, entry))
            out->entries[out->count++] = entry;
    }
    return 0;
}

// The reason why the text is not of the type; NULL when it is.
static const char *parse_scalar(const struct setting *s, struct str text, struct setting_value *out)
{
    switch (s->type) {
    case SETTING_BOOLEAN:
        out->boolean = text.size == 4 && strncasecmp(text.data, "true", 4) == 0;
        if (!out->boolean && !(text.size == 5 && strncasecmp(text.data, "false", 5) == 0))
            return "Expected value to be either true or false";
        return NULL;
    case SETTING_INT:
        return str_to_integer(text, INT32_MIN, INT32_MAX, &out->integer) ? NULL : "Not a number of type INT";
    case SETTING_SHORT:
        return str_to_integer(text, INT16_MIN, INT16_MAX, &out->integer) ? NULL
                                                                         : "Not a number of type SHORT";
    case SETTING_LONG:
        return str_to_integer(text, INT64_MIN, INT64_MAX, &out->integer) ? NULL : "Not a number of type LONG";
    case SETTING_DOUBLE:
        return parse_double(text, &out->real) ? NULL : "Not a number of type DOUBLE";
    case SETTING_STRING:
    case SETTING_CLASS:
    case SETTING_PASSWORD:
    case SETTING_LIST:
        out->text = text;
        return NULL;
    }
    return NULL;
}

int setting_parse(const struct setting *s, struct str text, struct arena *arena, struct setting_value *out,
                  struct str *message)
{
    struct str unused;
    message = message ? message : &unused;
    *message = STR_NULL;
    *out = (struct setting_value){.null = text.data == NULL};
    if (!out->null) {
        struct str trimmed = setting_trim(text);
        const char *reason = parse_scalar(s, trimmed, out);
        if (reason) {
            *message = setting_message(s, text, reason, arena);
            return message->data ? ERR_INVALID : ERR_NOMEM;
        }
        if (s->type == SETTING_LIST && parse_list(s, trimmed, arena, out) != 0)
            return ERR_NOMEM;
    }
    return setting_check(s, out, arena, message);
}

struct str setting_format_double(double v, struct arena *arena)
{
    if (isnan(v))
        return STR("NaN");
    if (isinf(v))
        return v > 0 ? STR("Infinity") : STR("-Infinity");
    if (v == 0)
        return signbit(v) ? STR("-0.0") : STR("0.0");
    char raw[40]; // the shortest digits that read back as v: "d.ddde[-]x"
    int precision = 0;
    do {
        snprintf(raw, sizeof raw, "%.*e", precision, v);
    } while (strtod(raw, NULL) != v && precision++ < 17);
    const char *sign = v < 0 ? "-" : "";
    char *e = strchr(raw, 'e');
    int exponent = (int)strtol(e + 1, NULL, 10);
    *e = 0;
    char digits[24];
    size_t n = 0;
    for (const char *p = raw; *p; p++)
        if (*p >= '0' && *p <= '9' && n < sizeof digits - 1)
            digits[n++] = *p;
    digits[n] = 0;
    if (exponent < -3 || exponent >= 7)
        return arena_printf(arena, "%s%c.%sE%d", sign, digits[0], n > 1 ? digits + 1 : "0", exponent);
    if (exponent < 0)
        return arena_printf(arena, "%s0.%.*s%s", sign, -exponent - 1, "00", digits);
    int whole = exponent + 1;
    if ((int)n <= whole)
        return arena_printf(arena, "%s%s%.*s.0", sign, digits, whole - (int)n, "000000");
    return arena_printf(arena, "%s%.*s.%s", sign, whole, digits, digits + whole);
}

static struct str format_list(const struct setting_value *value, const char *between, struct arena *arena)
{
    size_t size = 0, gap = strlen(between);
    for (size_t i = 0; i < value->count; i++)
        size += value->entries[i].size + gap;
    char *text = arena_alloc(arena, size + 1);
    if (!text)
        return STR_NULL;
    char *at = text;
    for (size_t i = 0; i < value->count; i++) {
        if (i > 0)
            at = mempcpy(at, between, gap);
        if (value->entries[i].size > 0)
            at = mempcpy(at, value->entries[i].data, value->entries[i].size);
    }
    *at = 0;
    return (struct str){text, (size_t)(at - text)};
}

struct str setting_format(const struct setting *s, const struct setting_value *value, struct arena *arena)
{
    if (value->null)
        return STR_NULL;
    switch (s->type) {
    case SETTING_BOOLEAN:
        return value->boolean ? STR("true") : STR("false");
    case SETTING_INT:
    case SETTING_SHORT:
    case SETTING_LONG:
        return arena_printf(arena, "%lld", (long long)value->integer);
    case SETTING_DOUBLE:
        return setting_format_double(value->real, arena);
    case SETTING_LIST:
        return format_list(value, ",", arena);
    case SETTING_STRING:
    case SETTING_CLASS:
    case SETTING_PASSWORD:
        return value->text;
    }
    return STR_NULL;
}

struct str setting_list_as_java(const struct setting_value *value, struct arena *arena)
{
    struct str inner = format_list(value, ", ", arena);
    return inner.data ? arena_printf(arena, "[%.*s]", STR_ARG(inner)) : STR_NULL;
}
