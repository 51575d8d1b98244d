// Produce one record.
#include "base/clock.h"
#include "base/error.h"
#include "base/murmur2.h"
#include "base/uuid.h"
#include "http/keys.h"
#include "http/offsets.h"
#include "http/route.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "storage/batch.h"

#define HEADERS_MOST 1000

static const char *const encodings[] = {"text", "hex", "base64"};
enum encoding { ENCODING_TEXT, ENCODING_HEX, ENCODING_BASE64, ENCODINGS };

struct new_record {
    struct bytes key, value;
    struct record_header headers[HEADERS_MOST];
    size_t header_count;
    int64_t partition, timestamp_ms;
};

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

static bool decode_base64(struct str text, uint8_t *out, size_t *size)
{
    uint32_t bits = 0;
    int have = 0;
    *size = 0;
    if (text.size > 0 && text.size % 4 == 0)
        for (int i = 0; i < 2 && text.data[text.size - 1] == '='; i++)
            text.size--;
    for (size_t i = 0; i < text.size; i++) {
        int value = sextet(text.data[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        out[(*size)++] = (uint8_t)(bits >> have);
    }
    return text.size % 4 != 1;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool decode_hex(struct str text, uint8_t *out, size_t *size)
{
    *size = text.size / 2;
    for (size_t i = 0; i < *size; i++) {
        int high = digit(text.data[2 * i]), low = digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return text.size % 2 == 0;
}

// Null for null. False when it is answered.
static bool decode(struct http_request *r, enum encoding encoding, const char *name, struct str text,
                   struct bytes *out)
{
    *out = (struct bytes){(const uint8_t *)text.data, text.size};
    if (!text.data || encoding == ENCODING_TEXT)
        return true;
    uint8_t *bytes = arena_alloc(&r->arena, text.size + 1);
    *out = (struct bytes){bytes, 0};
    if (bytes && (encoding == ENCODING_HEX ? decode_hex(text, bytes, &out->size)
                                           : decode_base64(text, bytes, &out->size)))
        return true;
    http_fail(r, 400, "INVALID_REQUEST", "%s is no %s", name, encodings[encoding]);
    return false;
}

static bool read_header(struct http_request *r, enum encoding encoding, const json_t *header,
                        struct record_header *out)
{
    const json_t *key = json_object_get(header, "key"), *value = json_object_get(header, "value");
    size_t known = (size_t)(key != NULL) + (size_t)(value != NULL);
    if (!json_is_string(key) || (value && !json_is_string(value) && !json_is_null(value)) ||
        json_object_size(header) != known) {
        http_fail(r, 400, "INVALID_REQUEST",
                  "each of headers must be an object with a text key and a text or null value");
        return false;
    }
    out->key = (struct str){json_string_value(key), json_string_length(key)};
    struct str text = {json_string_value(value), json_string_length(value)};
    return decode(r, encoding, "a header's value", text, &out->value);
}

static bool read_record(struct http_request *r, struct new_record *out)
{
    struct str key = STR_NULL, value = STR_NULL, word = STR("text");
    json_t *headers = NULL;
    const struct http_field fields[] = {{"partition", HTTP_INTEGER, false, &out->partition, 0, INT32_MAX},
                                        {"key", HTTP_STRING_OR_NULL, false, &key, 0, 0},
                                        {"value", HTTP_STRING_OR_NULL, false, &value, 0, 0},
                                        {"headers", HTTP_ARRAY, false, &headers, 0, 0},
                                        {"encoding", HTTP_STRING, false, &word, 0, 0},
                                        {"timestamp", HTTP_INTEGER, false, &out->timestamp_ms, 0, INT64_MAX}};
    if (!http_read_body(r, fields, sizeof fields / sizeof fields[0]))
        return false;
    enum encoding encoding = ENCODING_TEXT;
    while (encoding < ENCODINGS && !str_is(word, encodings[encoding]))
        encoding++;
    if (encoding == ENCODINGS || json_array_size(headers) > HEADERS_MOST) {
        http_fail(r, 400, "INVALID_REQUEST",
                  encoding == ENCODINGS ? "encoding must be text, hex or base64" : "headers are at most %d",
                  HEADERS_MOST);
        return false;
    }
    if (!decode(r, encoding, "key", key, &out->key) || !decode(r, encoding, "value", value, &out->value))
        return false;
    for (; out->header_count < json_array_size(headers); out->header_count++)
        if (!read_header(r, encoding, json_array_get(headers, out->header_count),
                         &out->headers[out->header_count]))
            return false;
    return true;
}

static int32_t choose_partition(const struct new_record *record, int32_t count)
{
    struct uuid random = uuid_random();
    uint32_t hash = record->key.data ? murmur2(record->key) : load_be32(random.bytes);
    return (int32_t)((hash & INT32_MAX) % (uint32_t)count);
}

static void send_batch(struct http_request *r, struct str topic, const struct new_record *record,
                       struct bytes batch)
{
    struct produce_request_partition_produce_data partition = produce_request_partition_produce_data_default;
    struct produce_request_topic_produce_data data = produce_request_topic_produce_data_default;
    struct produce_request request = produce_request_default;
    struct produce_response response;
    partition.index = (int32_t)record->partition;
    partition.records = (struct records){.data = batch.data, .size = batch.size};
    data.name = topic;
    data.partition_data = &partition;
    data.partition_data_count = 1;
    request.acks = -1;
    request.timeout_ms = CHANGE_TIMEOUT_MS;
    request.topic_data = &data;
    request.topic_data_count = 1;
    if (!http_call(r, KEY_PRODUCE, 12, &request, &response))
        return;
    const struct produce_response_partition_produce_response *p =
        &response.responses[0].partition_responses[0];
    if (http_fail_kafka(r, p->error_code, p->error_message))
        return;
    int64_t time_ms = p->log_append_time_ms >= 0 ? p->log_append_time_ms : record->timestamp_ms;
    http_answer(r, 201,
                json_pack("{s:o, s:i, s:I, s:I}", "topic", http_text(topic), "partition", p->index, "offset",
                          (json_int_t)p->base_offset, "timestamp", (json_int_t)time_ms));
}

void http_produce(struct http_request *r)
{
    struct metadata_response metadata;
    struct new_record *record = arena_zalloc(&r->arena, 1, sizeof *record);
    if (!record)
        return;
    record->partition = -1;
    record->timestamp_ms = clock_wall_ms();
    if (!read_record(r, record) || !http_metadata(r, r->params[0], &metadata) ||
        http_fail_topic(r, &metadata.topics[0]))
        return;
    const struct metadata_response_metadata_response_topic *t = &metadata.topics[0];
    if (record->partition < 0)
        record->partition = choose_partition(record, t->partitions_count);
    struct batch_builder builder = {0};
    struct bytes batch;
    batch_builder_init(&builder, &BATCH_OPTIONS);
    batch_builder_add(&builder, record->timestamp_ms, record->key, record->value, record->headers,
                      record->header_count);
    if (batch_builder_finish(&builder, &batch) == 0)
        send_batch(r, t->name, record, batch);
    batch_builder_free(&builder);
}
