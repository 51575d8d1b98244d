#include "config/properties.h"

#include "base/buffer.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>

void properties_init(struct properties *p, struct arena *arena)
{
    *p = (struct properties){.arena = arena};
}

const struct config_entry *config_entry_find(const struct config_entry *entries, size_t n, struct str name)
{
    for (size_t i = n; i-- > 0;)
        if (str_equal(entries[i].name, name))
            return &entries[i];
    return NULL;
}

struct str properties_get(const struct properties *p, struct str name)
{
    const struct config_entry *e = config_entry_find(p->entries, p->count, name);
    return e ? e->value : STR_NULL;
}

static int grow(struct properties *p)
{
    size_t capacity = p->capacity ? p->capacity * 2 : 32;
    struct config_entry *entries = arena_zalloc(p->arena, capacity, sizeof *entries);
    if (!entries)
        return ERR_NOMEM;
    if (p->count > 0)
        memcpy(entries, p->entries, p->count * sizeof *entries);
    p->entries = entries;
    p->capacity = capacity;
    return 0;
}

int properties_set(struct properties *p, struct str name, struct str value)
{
    struct str copy = arena_str(p->arena, value);
    if (!copy.data)
        return ERR_NOMEM;
    for (size_t i = 0; i < p->count; i++) {
        if (str_equal(p->entries[i].name, name)) {
            p->entries[i].value = copy;
            return 0;
        }
    }
    struct str key = arena_str(p->arena, name);
    if (!key.data || (p->count == p->capacity && grow(p) != 0))
        return ERR_NOMEM;
    p->entries[p->count++] = (struct config_entry){key, copy};
    return 0;
}

int properties_override(struct properties *p, struct str text, struct str *message)
{
    const char *equals = text.size ? memchr(text.data, '=', text.size) : NULL;
    size_t n = equals ? (size_t)(equals - text.data) : 0;
    if (n == 0) {
        *message = arena_printf(p->arena, "--override %.*s: expected name=value", STR_ARG(text));
        return message->data ? ERR_INVALID : ERR_NOMEM;
    }
    return properties_set(p, (struct str){text.data, n}, (struct str){equals + 1, text.size - n - 1});
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

// One logical line at a time, as java.util.Properties.LineReader makes them.
struct reader {
    const char *at, *end;
    int line;
    struct buffer text; // the logical line: continuations joined, still escaped
};

// An odd number of backslashes before the line's end continues the line.
static bool ends_escaped(const struct buffer *line)
{
    size_t n = 0;
    while (n < line->size && line->data[line->size - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

static void skip_line_end(struct reader *r)
{
    if (r->at < r->end && *r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n')
        r->at++;
    if (r->at < r->end) {
        r->at++;
        r->line++;
    }
}

// Reads the next logical line that is neither blank nor a comment into r->text. False at the end.
static bool read_line(struct reader *r)
{
    buffer_clear(&r->text);
    for (bool continued = false;;) {
        while (r->at < r->end && is_blank(*r->at))
            r->at++;
        if (r->at == r->end)
            return r->text.size > 0;
        if (!continued && is_line_end(*r->at)) {
            skip_line_end(r);
            continue;
        }
        const char *start = r->at;
        while (r->at < r->end && !is_line_end(*r->at))
            r->at++;
        size_t n = (size_t)(r->at - start);
        bool comment = !continued && (*start == '#' || *start == '!');
        skip_line_end(r);
        if (comment)
            continue;
        buffer_append(&r->text, start, n);
        if (!ends_escaped(&r->text))
            return true;
        r->text.size--; // the backslash that continues
        continued = true;
    }
}

static void append_utf8(struct buffer *out, uint32_t c)
{
    if (c < 0x80) {
        buffer_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        buffer_byte(out, (uint8_t)(0xc0 | c >> 6));
        buffer_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buffer_byte(out, (uint8_t)(0xe0 | c >> 12));
        buffer_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buffer_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buffer_byte(out, (uint8_t)(0xf0 | c >> 18));
        buffer_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        buffer_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buffer_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

static bool read_hex4(const uint8_t *at, size_t left, uint32_t *out)
{
    if (left < 4)
        return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            *out = *out << 4 | (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    return true;
}

// \uXXXX at `at` (which points behind the u). A pair of surrogates is one character. Returns the bytes used
// behind the u, 0 when malformed.
static size_t unescape_unicode(const uint8_t *at, size_t left, struct buffer *out)
{
    uint32_t c, low;
    if (!read_hex4(at, left, &c))
        return 0;
    if (c >= 0xd800 && c < 0xdc00 && left >= 10 && at[4] == '\\' && at[5] == 'u' &&
        read_hex4(at + 6, left - 6, &low) && low >= 0xdc00 && low < 0xe000) {
        append_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
        return 10;
    }
    append_utf8(out, c >= 0xd800 && c < 0xe000 ? '?' : c); // a lone surrogate is no text
    return 4;
}

// Undoes escapes, and ISO-8859-1 to UTF-8.
static int unescape(const uint8_t *at, size_t size, struct buffer *out)
{
    buffer_clear(out);
    for (size_t i = 0; i < size; i++) {
        if (at[i] != '\\' || i + 1 == size) {
            if (at[i] != '\\')
                append_utf8(out, at[i]);
            continue;
        }
        uint8_t c = at[++i];
        if (c == 'u') {
            size_t used = unescape_unicode(at + i + 1, size - i - 1, out);
            if (used == 0)
                return ERR_INVALID;
            i += used;
            continue;
        }
        append_utf8(out, c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c);
    }
    return out->failed ? ERR_NOMEM : 0;
}

// Where the name ends: the first `=`, `:` or blank that is not escaped; *value is where the value starts.
static size_t split(const struct buffer *line, size_t *value)
{
    size_t i = 0;
    for (bool escaped = false; i < line->size; i++) {
        char c = (char)line->data[i];
        if (!escaped && (c == '=' || c == ':' || is_blank(c)))
            break;
        escaped = c == '\\' && !escaped;
    }
    size_t name_end = i;
    while (i < line->size && is_blank((char)line->data[i]))
        i++;
    if (i < line->size && (line->data[i] == '=' || line->data[i] == ':')) {
        i++;
        while (i < line->size && is_blank((char)line->data[i]))
            i++;
    }
    *value = i;
    return name_end;
}

static struct str buffer_str(const struct buffer *b)
{
    return b->size ? (struct str){(const char *)b->data, b->size} : STR("");
}

int properties_parse(struct properties *p, struct str text, struct str *message)
{
    struct reader r = {.at = text.data, .end = text.data + text.size, .line = 1};
    struct buffer name = BUFFER_INIT, value = BUFFER_INIT;
    int err = 0;
    for (int line = r.line; !err && read_line(&r); line = r.line) {
        size_t start, end = split(&r.text, &start);
        err = unescape(r.text.data, end, &name);
        if (!err)
            err = unescape(r.text.data + start, r.text.size - start, &value);
        if (!err)
            err = properties_set(p, buffer_str(&name), buffer_str(&value));
        if (err == ERR_INVALID)
            *message = arena_printf(p->arena,
                                    "line %d: malformed \\uxxxx escape; write four hexadecimal digits", line);
    }
    if (!err && r.text.failed)
        err = ERR_NOMEM;
    buffer_free(&r.text);
    buffer_free(&name);
    buffer_free(&value);
    return err;
}

static int read_all(FILE *file, struct buffer *out)
{
    for (;;) {
        uint8_t *at = buffer_reserve(out, 65536);
        if (!at)
            return ERR_NOMEM;
        size_t n = fread(at, 1, 65536, file);
        out->size += n;
        if (out->size > PROPERTIES_MAX_BYTES)
            return ERR_LIMIT;
        if (n == 0)
            return ferror(file) ? ERR_IO : 0;
    }
}

int properties_read(struct properties *p, const char *path, struct str *message)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        *message = arena_printf(p->arena, "%s: %s", path, strerror(errno));
        return ERR_IO;
    }
    struct buffer text = BUFFER_INIT;
    int err = read_all(file, &text);
    if (err == ERR_IO)
        *message = arena_printf(p->arena, "%s: %s", path, strerror(errno));
    else if (err == ERR_LIMIT)
        *message = arena_printf(p->arena, "%s: larger than %d bytes", path, PROPERTIES_MAX_BYTES);
    fclose(file);
    if (!err) {
        struct str inner = STR_NULL;
        err = properties_parse(p, buffer_str(&text), &inner);
        if (inner.data)
            *message = arena_printf(p->arena, "%s: %.*s", path, STR_ARG(inner));
    }
    buffer_free(&text);
    return err;
}
