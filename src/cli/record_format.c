#include "cli/record_format.h"

#include "cli/output.h"

#include <inttypes.h>

static struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){data, data ? size : 0};
}

bool record_format_valid(const char *format, const char **at)
{
    for (; *format; format++) {
        const char *known = *format == '%' ? "tpoTDkvhs%" : *format == '\\' ? "nt0\\" : NULL;
        *at = format;
        if (known && (format[1] == 0 || !strchr(known, format[1])))
            return false;
        format += known != NULL;
    }
    return true;
}

static void append_bytes(struct buffer *out, struct bytes b)
{
    if (!b.data)
        buffer_text(out, "(null)");
    else if (b.size > 0)
        buffer_append(out, b.data, b.size);
}

// Takes the headers one by one; false behind the last.
static bool next_header(const struct rdkafka *k, const rd_kafka_message_t *m, size_t i, const char **name,
                        struct bytes *value)
{
    rd_kafka_headers_t *headers;
    const void *data;
    size_t size;
    if (k->rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        k->rd_kafka_header_get_all(headers, i, name, &data, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    *value = bytes_of(data, size);
    return true;
}

static void append_headers(const struct rdkafka *k, const rd_kafka_message_t *m, struct buffer *out)
{
    const char *name;
    struct bytes value;
    for (size_t i = 0; next_header(k, m, i, &name, &value); i++) {
        buffer_printf(out, "%s%s=", i ? "," : "", name);
        append_bytes(out, value);
    }
}

static void append_field(const struct rdkafka *k, char field, const rd_kafka_message_t *m, struct buffer *out)
{
    rd_kafka_timestamp_type_t type;
    char text[TIME_TEXT_BYTES];
    switch (field) {
    case 't':
        buffer_text(out, k->rd_kafka_topic_name(m->rkt));
        break;
    case 'p':
        buffer_printf(out, "%d", m->partition);
        break;
    case 'o':
        buffer_printf(out, "%" PRId64, m->offset);
        break;
    case 'T':
        buffer_printf(out, "%" PRId64, k->rd_kafka_message_timestamp(m, &type));
        break;
    case 'D':
        time_text(k->rd_kafka_message_timestamp(m, &type), text);
        buffer_text(out, text);
        break;
    case 'k':
        append_bytes(out, bytes_of(m->key, m->key_len));
        break;
    case 'v':
        append_bytes(out, bytes_of(m->payload, m->len));
        break;
    case 'h':
        append_headers(k, m, out);
        break;
    case 's':
        buffer_printf(out, "%zu", m->len);
        break;
    default: // %%
        buffer_byte(out, (uint8_t)field);
    }
}

void record_format(const struct rdkafka *k, const char *format, const rd_kafka_message_t *m,
                   struct buffer *out)
{
    for (; *format; format++) {
        if (*format == '%')
            append_field(k, *++format, m, out);
        else if (*format != '\\')
            buffer_byte(out, (uint8_t)*format);
        else
            switch (*++format) {
            case 'n':
                buffer_byte(out, '\n');
                break;
            case 't':
                buffer_byte(out, '\t');
                break;
            case '0':
                buffer_byte(out, 0);
                break;
            default:
                buffer_byte(out, '\\');
            }
    }
}

void record_json(const struct rdkafka *k, const rd_kafka_message_t *m, struct buffer *out)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = k->rd_kafka_message_timestamp(m, &type);
    const char *name;
    struct bytes value;
    buffer_byte(out, '{');
    json_member(out, "topic", str_from(k->rd_kafka_topic_name(m->rkt)));
    buffer_printf(
        out, ",\"partition\":%d,\"offset\":%" PRId64 ",\"timestamp\":%" PRId64 ",\"timestampType\":\"%s\",",
        m->partition, m->offset, timestamp_ms,
        type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? "LogAppendTime" : "CreateTime");
    json_bytes_member(out, "key", bytes_of(m->key, m->key_len));
    buffer_byte(out, ',');
    json_bytes_member(out, "value", bytes_of(m->payload, m->len));
    buffer_text(out, ",\"headers\":[");
    for (size_t i = 0; next_header(k, m, i, &name, &value); i++) {
        buffer_text(out, i ? ",{" : "{");
        json_member(out, "name", str_from(name));
        buffer_byte(out, ',');
        json_bytes_member(out, "value", value);
        buffer_byte(out, '}');
    }
    buffer_text(out, "]}\n");
}
