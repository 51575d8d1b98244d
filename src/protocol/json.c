#include "protocol/tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct printer {
    struct buffer *out;
    bool brief; // bytes and records only by their size
    size_t end; // what reaches beyond it in `out` is left out
};

static void json_struct(const struct printer *p, const struct wire_struct *w, const uint8_t *in);

void message_json_text(struct buffer *out, struct str s)
{
    if (!s.data) {
        buffer_text(out, "null");
        return;
    }
    size_t written = 0; // of s
    buffer_byte(out, '"');
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c >= 0x20 && c != 0x7f && c != '"' && c != '\\')
            continue;
        buffer_append(out, s.data + written, i - written);
        buffer_printf(out, c == '"' || c == '\\' ? "\\%c" : "\\u%04x", c);
        written = i + 1;
    }
    buffer_append(out, s.data + written, s.size - written);
    buffer_byte(out, '"');
}

static void json_base64(struct buffer *out, struct bytes b)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!b.data) {
        buffer_text(out, "null");
        return;
    }
    buffer_byte(out, '"');
    for (size_t i = 0; i < b.size; i += 3) {
        size_t n = b.size - i < 3 ? b.size - i : 3;
        uint32_t v = (uint32_t)b.data[i] << 16;
        v |= n > 1 ? (uint32_t)b.data[i + 1] << 8 : 0;
        v |= n > 2 ? b.data[i + 2] : 0;
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                        n > 2 ? digits[v & 63] : '='};
        buffer_append(out, four, sizeof four);
    }
    buffer_byte(out, '"');
}

static void json_double(struct buffer *out, double v)
{
    if (isnan(v))
        buffer_text(out, "\"NaN\"");
    else if (isinf(v))
        buffer_text(out, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else {
        // The shortest text that reads back as the same number; always with a point or an exponent.
        char text[40];
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, v);
            if (strtod(text, NULL) == v)
                break;
        }
        buffer_text(out, text);
        if (!strpbrk(text, ".e"))
            buffer_text(out, ".0");
    }
}

static void json_uuid(struct buffer *out, const struct uuid *id)
{
    char text[UUID_TEXT_BYTES];
    uuid_text(id, text);
    buffer_printf(out, "\"%s\"", text);
}

#define SHORT_BYTES   256
#define ESCAPED_BYTES 6 // of one byte, at worst

static void json_limited_text(const struct printer *p, struct str s)
{
    size_t size = s.size > SHORT_BYTES ? s.size * ESCAPED_BYTES : s.size;
    if (s.data && (size > p->end || p->out->size > p->end - size))
        buffer_printf(p->out, "\"(%zu bytes)\"", s.size);
    else
        message_json_text(p->out, s);
}

static void json_bytes(const struct printer *p, struct bytes b)
{
    if (p->brief && b.data)
        buffer_printf(p->out, "%zu", b.size);
    else
        json_base64(p->out, b);
}

static void json_value(const struct printer *p, const struct field_info *f, const struct wire_field *w,
                       const uint8_t *in)
{
    const void *value = in;
    struct buffer *out = p->out;
    switch ((enum field_type)f->type) {
    case FIELD_BOOL:
        buffer_text(out, *(const bool *)value ? "true" : "false");
        break;
    case FIELD_INT8:
        buffer_printf(out, "%d", *(const int8_t *)value);
        break;
    case FIELD_INT16:
        buffer_printf(out, "%d", *(const int16_t *)value);
        break;
    case FIELD_UINT16:
        buffer_printf(out, "%u", *(const uint16_t *)value);
        break;
    case FIELD_INT32:
        buffer_printf(out, "%" PRId32, *(const int32_t *)value);
        break;
    case FIELD_UINT32:
        buffer_printf(out, "%" PRIu32, *(const uint32_t *)value);
        break;
    case FIELD_INT64:
        buffer_printf(out, "%" PRId64, *(const int64_t *)value);
        break;
    case FIELD_FLOAT64:
        json_double(out, *(const double *)value);
        break;
    case FIELD_UUID:
        json_uuid(out, value);
        break;
    case FIELD_STRING:
        json_limited_text(p, *(const struct str *)value);
        break;
    case FIELD_BYTES:
        json_bytes(p, *(const struct bytes *)value);
        break;
    case FIELD_RECORDS:
        json_bytes(
            p, (struct bytes){((const struct records *)value)->data, ((const struct records *)value)->size});
        break;
    case FIELD_STRUCT:
        json_struct(p, &codec_wire_structs[w->wire], value);
        break;
    }
}

static void json_array(const struct printer *p, const struct field_info *f, const struct wire_field *w,
                       const uint8_t *in)
{
    const uint8_t *element = *(const uint8_t *const *)(const void *)in;
    int32_t count = *array_count(in);
    if (count < 0) {
        buffer_text(p->out, "null");
        return;
    }
    buffer_byte(p->out, '[');
    for (int32_t i = 0; i < count; i++, element += w->element_bytes) {
        if (i)
            buffer_byte(p->out, ',');
        if (p->out->size > p->end) {
            buffer_printf(p->out, "\"(%" PRId32 " more)\"", count - i);
            break;
        }
        json_value(p, f, w, element);
    }
    buffer_byte(p->out, ']');
}

static void json_field(const struct printer *p, const struct wire_field *w, const uint8_t *in)
{
    const struct field_info *f = &codec_fields[w->field];
    const char *name = codec_names + f->name;
    const struct records *r = (const void *)in;
    if (f->type == FIELD_RECORDS && r->external) {
        buffer_printf(p->out, "\"%sSizeInBytes\":%zu", name, r->size);
        return;
    }
    bool is_size = p->brief && (f->type == FIELD_BYTES || f->type == FIELD_RECORDS);
    buffer_printf(p->out, is_size ? "\"%sSizeInBytes\":" : "\"%s\":", name);
    if (f->array)
        json_array(p, f, w, in);
    else if (!f->pointer)
        json_value(p, f, w, in);
    else if (*(const uint8_t *const *)(const void *)in)
        json_value(p, f, w, *(const uint8_t *const *)(const void *)in);
    else
        buffer_text(p->out, "null");
}

// In the order of the schema, tagged fields among the others, as Kafka prints them.
static void json_struct(const struct printer *p, const struct wire_struct *w, const uint8_t *in)
{
    const struct struct_info *info = &codec_structs[w->info];
    const struct wire_field *plain = &codec_wire_fields[w->first], *tagged = plain + w->fields;
    const char *separator = "";
    buffer_byte(p->out, '{');
    for (uint16_t i = info->first_field; i < info->first_field + info->fields; i++) {
        const struct wire_field *f = NULL;
        if (plain < tagged && plain->field == i)
            f = plain++;
        for (uint16_t k = 0; !f && k < w->tags; k++)
            if (tagged[k].field == i && !field_is_default(&codec_fields[i], in, info))
                f = &tagged[k];
        if (!f)
            continue;
        buffer_text(p->out, separator);
        json_field(p, f, in + f->offset);
        separator = ",";
    }
    buffer_byte(p->out, '}');
}

static int print(const struct message_type *type, int16_t version, const void *message,
                 const struct printer *p)
{
    if (!message_has_version(type, version))
        return ERR_UNSUPPORTED;
    json_struct(p, wire_of(type, version), message);
    return p->out->failed ? ERR_NOMEM : 0;
}

int message_json(const struct message_type *type, int16_t version, const void *message, struct buffer *out)
{
    return print(type, version, message, &(struct printer){.out = out, .end = SIZE_MAX});
}

int message_json_brief(const struct message_type *type, int16_t version, const void *message, size_t most,
                       struct buffer *out)
{
    return print(type, version, message,
                 &(struct printer){.out = out, .brief = true, .end = out->size + most});
}
