#include "protocol/tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void json_struct(struct buffer *out, const struct wire_struct *w, const uint8_t *in);

static void json_string(struct buffer *out, struct str s)
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

static void json_value(struct buffer *out, const struct field_info *f, const struct wire_field *w,
                       const uint8_t *in)
{
    const void *value = in;
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
        json_string(out, *(const struct str *)value);
        break;
    case FIELD_BYTES:
        json_base64(out, *(const struct bytes *)value);
        break;
    case FIELD_RECORDS:
        json_base64(out, (struct bytes){((const struct records *)value)->data,
                                        ((const struct records *)value)->size});
        break;
    case FIELD_STRUCT:
        json_struct(out, &codec_wire_structs[w->wire], value);
        break;
    }
}

static void json_array(struct buffer *out, const struct field_info *f, const struct wire_field *w,
                       const uint8_t *in)
{
    const uint8_t *element = *(const uint8_t *const *)(const void *)in;
    int32_t count = *array_count(in);
    if (count < 0) {
        buffer_text(out, "null");
        return;
    }
    buffer_byte(out, '[');
    for (int32_t i = 0; i < count; i++, element += w->element_bytes) {
        if (i)
            buffer_byte(out, ',');
        json_value(out, f, w, element);
    }
    buffer_byte(out, ']');
}

static void json_field(struct buffer *out, const struct wire_field *w, const uint8_t *in)
{
    const struct field_info *f = &codec_fields[w->field];
    const char *name = codec_names + f->name;
    const struct records *r = (const void *)in;
    if (f->type == FIELD_RECORDS && r->external) {
        buffer_printf(out, "\"%sSizeInBytes\":%zu", name, r->size);
        return;
    }
    buffer_printf(out, "\"%s\":", name);
    if (f->array)
        json_array(out, f, w, in);
    else if (!f->pointer)
        json_value(out, f, w, in);
    else if (*(const uint8_t *const *)(const void *)in)
        json_value(out, f, w, *(const uint8_t *const *)(const void *)in);
    else
        buffer_text(out, "null");
}

// In the order of the schema, tagged fields among the others, as Kafka prints them.
static void json_struct(struct buffer *out, const struct wire_struct *w, const uint8_t *in)
{
    const struct struct_info *info = &codec_structs[w->info];
    const struct wire_field *plain = &codec_wire_fields[w->first], *tagged = plain + w->fields;
    const char *separator = "";
    buffer_byte(out, '{');
    for (uint16_t i = info->first_field; i < info->first_field + info->fields; i++) {
        const struct wire_field *f = NULL;
        if (plain < tagged && plain->field == i)
            f = plain++;
        for (uint16_t k = 0; !f && k < w->tags; k++)
            if (tagged[k].field == i && !field_is_default(&codec_fields[i], in, info))
                f = &tagged[k];
        if (!f)
            continue;
        buffer_text(out, separator);
        json_field(out, f, in + f->offset);
        separator = ",";
    }
    buffer_byte(out, '}');
}

int message_json(const struct message_type *type, int16_t version, const void *message, struct buffer *out)
{
    if (!message_has_version(type, version))
        return ERR_UNSUPPORTED;
    json_struct(out, wire_of(type, version), message);
    return out->failed ? ERR_NOMEM : 0;
}
