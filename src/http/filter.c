#include "http/filter.h"

#include <stdio.h>
#include <stdlib.h>

static bool contains(struct bytes in, struct str what)
{
    return in.data && (what.size == 0 || memmem(in.data, in.size, what.data, what.size) != NULL);
}

static bool may_be_json(struct bytes b)
{
    size_t at = 0;
    while (at < b.size && strchr(" \t\r\n", b.data[at]))
        at++;
    return at < b.size && (b.data[at] == '{' || b.data[at] == '[');
}

static json_t *parse(struct bytes b)
{
    return may_be_json(b) ? json_loadb((const char *)b.data, b.size, 0, NULL) : NULL;
}

static const json_t *element(const json_t *array, struct str name)
{
    int64_t index;
    return str_to_integer(name, 0, INT32_MAX, &index) ? json_array_get(array, (size_t)index) : NULL;
}

static const json_t *member(const json_t *object, struct str name)
{
    return json_object_getn(object, name.data, name.size);
}

// A name may itself have dots: the longest that is there is taken.
static const json_t *field_of(const json_t *in, struct str path)
{
    for (size_t n = path.size; in; n--) {
        struct str name = {path.data, n}, rest = {path.data + n + 1, path.size - n - (n < path.size)};
        if (n < path.size && path.data[n] != '.') {
            if (n == 0)
                return NULL;
            continue;
        }
        const json_t *found = json_is_array(in) ? element(in, name) : member(in, name);
        if (found)
            found = n == path.size ? found : field_of(found, rest);
        if (found || n == 0)
            return found;
    }
    return NULL;
}

static bool equals(const json_t *value, struct str wanted)
{
    if (json_is_string(value))
        return str_equal((struct str){json_string_value(value), json_string_length(value)}, wanted);
    if (json_is_number(value)) {
        char *end;
        double number = strtod(wanted.data, &end);
        int64_t whole;
        if (json_is_integer(value) && str_to_integer(wanted, INT64_MIN, INT64_MAX, &whole))
            return whole == json_integer_value(value);
        return wanted.size > 0 && *end == 0 && number == json_number_value(value);
    }
    const char *word = json_is_true(value)    ? "true"
                       : json_is_false(value) ? "false"
                       : json_is_null(value)  ? "null"
                                              : NULL;
    return word && str_is(wanted, word);
}

static bool field_matches(const struct record_filter *f, struct bytes value)
{
    json_t *parsed = parse(value);
    const json_t *field = parsed ? field_of(parsed, f->field) : NULL;
    bool matches = field && equals(field, f->equals);
    json_decref(parsed);
    return matches;
}

bool filter_matches(const struct record_filter *f, const struct found_record *record)
{
    if (f->key.data && !str_equal((struct str){(const char *)record->key.data, record->key.size}, f->key))
        return false;
    if (f->contains.data && !contains(record->key, f->contains) && !contains(record->value, f->contains))
        return false;
    return !f->field.data || field_matches(f, record->value);
}

// Text that a person can read: well-formed, and no control characters but those of lines.
static bool is_readable(struct bytes b)
{
    for (size_t i = 0; i < b.size; i++)
        if ((b.data[i] < 0x20 && !strchr("\t\n\r", b.data[i])) || b.data[i] == 0x7f || b.data[i] == 0)
            return false;
    return utf8_valid(b.data, b.size);
}

static json_t *hex(struct bytes b)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * b.size + 1);
    if (!text)
        return NULL;
    for (size_t i = 0; i < b.size; i++) {
        text[2 * i] = digits[b.data[i] >> 4];
        text[2 * i + 1] = digits[b.data[i] & 15];
    }
    json_t *json = json_stringn_nocheck(text, 2 * b.size);
    free(text);
    return json;
}

// Cut where a character begins.
static struct bytes cut_text(struct bytes b, size_t most)
{
    if (b.size <= most)
        return b;
    while (most > 0 && (b.data[most] & 0xc0) == 0x80)
        most--;
    return (struct bytes){b.data, most};
}

json_t *http_payload_json(const struct record_view *v, struct bytes payload)
{
    const char *format = "hex";
    if (!payload.data)
        return json_null();
    bool readable = v->format == FORMAT_AUTO && is_readable(payload);
    if (readable) {
        json_t *parsed = parse(payload);
        format = parsed ? "json" : "text";
        json_decref(parsed);
    } else if (v->format == FORMAT_TEXT) {
        format = "text";
    }
    struct bytes shown = payload;
    json_t *text;
    if (strcmp(format, "hex") == 0) {
        shown.size = shown.size < v->most_bytes ? shown.size : v->most_bytes;
        text = hex(shown);
    } else {
        shown = cut_text(payload, v->most_bytes);
        text = http_text((struct str){(const char *)shown.data, shown.size});
    }
    return json_pack("{s:s, s:o, s:I, s:b}", "format", format, "text", text, "sizeBytes",
                     (json_int_t)payload.size, "truncated", shown.size < payload.size);
}

static json_t *headers_json(const struct record_view *v, struct bytes headers)
{
    json_t *all = json_array();
    for (struct record_header h; record_header_next(&headers, &h) == 1;)
        json_array_append_new(
            all, json_pack("{s:o, s:o}", "key", http_text(h.key), "value", http_payload_json(v, h.value)));
    return all;
}

json_t *http_record_json(const struct record_view *v, const struct found_record *record)
{
    return json_pack("{s:i, s:I, s:I, s:s, s:I, s:o, s:o, s:o}", "partition", record->partition, "offset",
                     (json_int_t)record->offset, "timestamp", (json_int_t)record->timestamp_ms,
                     "timestampType", record->append_time ? "LogAppendTime" : "CreateTime", "sizeBytes",
                     (json_int_t)record->size_bytes, "key", http_payload_json(v, record->key), "value",
                     http_payload_json(v, record->value), "headers", headers_json(v, record->headers));
}
