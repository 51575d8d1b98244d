#include "storage/batch_complaints.h"

#include "base/error.h"

#include <inttypes.h>

static int add(struct complaints *c, int32_t index, struct str message)
{
    if (!message.data)
        return ERR_NOMEM;
    if (!c->list) {
        int32_t room =
            c->header->count < BATCH_RECORD_ERRORS_MAX ? c->header->count : BATCH_RECORD_ERRORS_MAX;
        c->list = arena_alloc(c->arena, (size_t)room * sizeof *c->list);
        if (!c->list)
            return ERR_NOMEM;
    }
    c->list[c->listed++] = (struct batch_record_error){index, message};
    return 0;
}

static int complain_key(struct complaints *c, int32_t index)
{
    if (c->count++ >= BATCH_RECORD_ERRORS_MAX)
        return 0;
    return add(c, index,
               arena_printf(c->arena,
                            "Compacted topic cannot accept message without key in topic partition %.*s-%d",
                            STR_ARG(c->rules->topic), c->rules->partition));
}

static int complain_range(struct complaints *c, int32_t index, int64_t timestamp_ms, int64_t offset)
{
    c->about_time = true;
    if (c->count++ >= BATCH_RECORD_ERRORS_MAX)
        return 0;
    return add(c, index,
               arena_printf(c->arena,
                            "Timestamp %" PRId64 " of message with offset %" PRId64
                            " is out of range. The timestamp should be within [%" PRId64 ", %" PRId64 "]",
                            timestamp_ms, offset,
                            (int64_t)((uint64_t)c->now_ms - (uint64_t)c->rules->before_max_ms),
                            (int64_t)((uint64_t)c->now_ms + (uint64_t)c->rules->after_max_ms)));
}

// A record's size as Kafka names it: a skimmed one's as it is written, -1 for null; else 0.
static int32_t named_size(const struct complaints *c, int32_t size)
{
    return c->skips_bodies || size > 0 ? size : 0;
}

static int complain_type(struct complaints *c, int32_t index, const struct record_fields *f,
                         int64_t timestamp_ms, int64_t offset)
{
    c->about_time = true;
    if (c->count++ >= BATCH_RECORD_ERRORS_MAX)
        return 0;
    return add(c, index,
               arena_printf(c->arena,
                            "Invalid timestamp type in message %s(offset=%" PRId64 ", timestamp=%" PRId64
                            ", key=%d bytes, value=%d bytes). Producer should not set timestamp type to "
                            "LogAppendTime.",
                            c->skips_bodies ? "PartialDefaultRecord" : "DefaultRecord", offset, timestamp_ms,
                            named_size(c, f->key_size), named_size(c, f->value_size)));
}

int complaints_consider(struct complaints *c, int32_t index, const struct record_fields *f)
{
    struct record r = {.offset_delta = f->offset_delta, .timestamp_delta_ms = f->timestamp_delta_ms};
    int64_t timestamp_ms = record_timestamp_ms(c->header, &r), offset = record_offset(c->header, &r);
    if (c->rules->compacted && f->key_size < 0)
        return complain_key(c, index);
    if (!c->rules->log_append_time && timestamp_ms != BATCH_NO_TIMESTAMP) {
        if (!complaint_time_in_range(c->rules, c->now_ms, timestamp_ms))
            return complain_range(c, index, timestamp_ms, offset);
    } else if (batch_is_log_append_time(c->header)) {
        return complain_type(c, index, f, timestamp_ms, offset);
    }
    return 0;
}

static struct str message_of_records(const struct complaints *c)
{
    struct buffer b = BUFFER_INIT;
    buffer_printf(
        &b,
        "One or more records have been rejected due to %d record errors in total, and only showing the "
        "first three errors at most: [",
        c->count);
    for (size_t i = 0; i < c->listed && i < COMPLAINTS_SHOWN; i++)
        buffer_printf(&b, "%sRecordError(batchIndex=%d, message='%.*s')", i ? ", " : "", c->list[i].index,
                      STR_ARG(c->list[i].message));
    buffer_text(&b, "]");
    struct str out = b.failed ? STR_NULL : arena_str(c->arena, (struct str){(const char *)b.data, b.size});
    buffer_free(&b);
    return out;
}

int complaints_verdict(const struct complaints *c, struct batch_verdict *v)
{
    if (c->count == 0)
        return 0;
    v->error = c->about_time ? E_INVALID_TIMESTAMP : E_INVALID_RECORD;
    v->message = c->about_time ? STR("One or more records have been rejected due to invalid timestamp")
                               : message_of_records(c);
    v->reports_log_start = true;
    v->record_errors = c->list;
    v->record_error_count = c->listed;
    return v->message.data ? 0 : ERR_NOMEM;
}
