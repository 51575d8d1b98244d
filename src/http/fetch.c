#include "http/fetch.h"

#include "base/error.h"
#include "http/keys.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdlib.h>

#define UNPACK_BYTES (64 << 20) // of a batch

typedef struct fetch_response_partition_data partition_data;

static struct fetch_wanted *wanted_of(struct fetch_wanted *wanted, int32_t count, int32_t partition)
{
    for (int32_t i = 0; i < count; i++)
        if (wanted[i].partition == partition)
            return &wanted[i];
    return NULL;
}

bool http_fetch(struct http_request *r, const struct fetch_params *p, struct fetch_wanted *wanted,
                int32_t count)
{
    struct fetch_request_fetch_topic topic = fetch_request_fetch_topic_default;
    struct fetch_request request = fetch_request_default;
    struct fetch_response response;
    topic.topic = p->topic;
    topic.partitions = fetch_request_fetch_partition_new(&r->arena, count);
    if (!topic.partitions) {
        http_fail(r, 500, "UNKNOWN_SERVER_ERROR", "out of memory");
        return false;
    }
    topic.partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        topic.partitions[i].partition = wanted[i].partition;
        topic.partitions[i].fetch_offset = wanted[i].offset;
        topic.partitions[i].partition_max_bytes = wanted[i].max_bytes;
        wanted[i].error = E_UNKNOWN_SERVER_ERROR;
        wanted[i].got = NULL;
    }
    request.topics = &topic;
    request.topics_count = 1;
    request.max_bytes = p->max_bytes;
    request.max_wait_ms = p->max_wait_ms;
    request.min_bytes = p->max_wait_ms > 0;
    request.isolation_level = p->committed;
    if (!http_call(r, KEY_FETCH, 12, &request, &response) ||
        http_fail_kafka(r, response.error_code, STR_NULL))
        return false;
    for (int32_t t = 0; t < response.responses_count; t++)
        for (int32_t i = 0; i < response.responses[t].partitions_count; i++) {
            partition_data *d = &response.responses[t].partitions[i];
            struct fetch_wanted *w = i < count && wanted[i].partition == d->partition_index
                                         ? &wanted[i]
                                         : wanted_of(wanted, count, d->partition_index);
            if (!w)
                continue;
            w->error = d->error_code;
            w->got = d;
        }
    return true;
}

static int16_t control_type(const struct batch_header *h, struct bytes body)
{
    struct record_cursor c = record_cursor(body, h->count);
    struct record record;
    int16_t type = -1;
    if (batch_is_control(h) && record_cursor_next(&c, &record) == 1)
        control_key_read(record.key, NULL, &type);
    return type;
}

// KIP-98: what a reader of committed records skips. A transaction that was aborted is open from its first
// offset to its marker, when it is `ended`.
static bool is_aborted(const partition_data *data, bool *ended, const struct batch_header *h,
                       struct bytes body)
{
    if (!batch_is_transactional(h))
        return false;
    for (int32_t i = 0; i < data->aborted_transactions_count; i++) {
        const struct fetch_response_aborted_transaction *a = &data->aborted_transactions[i];
        if (ended[i] || a->producer_id != h->producer_id || a->first_offset > batch_last_offset(h))
            continue;
        ended[i] = control_type(h, body) == CONTROL_ABORT;
        return true;
    }
    return false;
}

// False: `each` has had enough.
static bool walk_batch(struct records_walk *w, const struct batch_header *h, struct bytes body)
{
    struct record_cursor c = record_cursor(body, h->count);
    struct record record;
    while (record_cursor_next(&c, &record) == 1) {
        int64_t offset = record_offset(h, &record);
        if (offset < w->from)
            continue;
        if (offset >= w->to) {
            w->next = w->to;
            return false;
        }
        struct found_record found = {.partition = w->data->partition_index,
                                     .offset = offset,
                                     .timestamp_ms = record_timestamp_ms(h, &record),
                                     .append_time = batch_is_log_append_time(h),
                                     .key = record.key,
                                     .value = record.value,
                                     .header_count = record.header_count,
                                     .headers = record.headers,
                                     .size_bytes = record.key.size + record.value.size + record.headers.size};
        w->next = offset + 1;
        if (!w->each(w->context, &found))
            return false;
    }
    return true;
}

int records_walk(struct records_walk *w)
{
    struct batch_cursor cursor = batch_cursor((struct bytes){w->data->records.data, w->data->records.size});
    bool *ended = w->committed ? calloc((size_t)w->data->aborted_transactions_count + 1, 1) : NULL;
    struct buffer scratch = BUFFER_INIT;
    struct batch_header h;
    struct bytes batch, body;
    int result = 0;
    bool goes_on = true;
    w->next = w->from;
    if (w->committed && !ended)
        return ERR_NOMEM;
    while (goes_on && batch_cursor_next(&cursor, &h, &batch) == 1) {
        int64_t end = batch_last_offset(&h) + 1;
        if (end <= w->from)
            continue;
        int err = batch_body(&h, batch, w->limit_bytes, &scratch, &body);
        if (err) {
            result = err;
            w->next = end;
            continue;
        }
        w->unpacked_bytes += batch_compression(&h) == COMPRESSION_NONE ? 0 : body.size;
        bool skipped = (w->committed && is_aborted(w->data, ended, &h, body)) || batch_is_control(&h);
        if (!skipped)
            goes_on = walk_batch(w, &h, body);
        if (goes_on)
            w->next = end < w->to ? end : w->to;
        goes_on &= w->next < w->to;
    }
    buffer_free(&scratch);
    free(ended);
    return result;
}

struct first {
    bool (*each)(void *context, const struct found_record *record);
    void *context;
};

static bool take_first(void *context, const struct found_record *record)
{
    const struct first *f = context;
    f->each(f->context, record);
    return false;
}

int16_t http_first_record(struct http_request *r, struct str topic, int32_t partition, int64_t offset,
                          bool (*each)(void *context, const struct found_record *record), void *context)
{
    // One byte: the broker sends one batch whole.
    struct fetch_params params = {.topic = topic, .max_bytes = 1};
    struct fetch_wanted wanted = {.partition = partition, .offset = offset, .max_bytes = 1};
    if (!http_fetch(r, &params, &wanted, 1) || wanted.error != E_NONE)
        return wanted.error;
    struct records_walk walk = {.data = wanted.got,
                                .from = offset,
                                .to = INT64_MAX,
                                .limit_bytes = UNPACK_BYTES,
                                .each = take_first,
                                .context = &(struct first){each, context}};
    records_walk(&walk);
    return E_NONE;
}
