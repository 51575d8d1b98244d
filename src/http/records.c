// Records: browse, one in full.
#include "http/records.h"
#include "http/keys.h"
#include "http/offsets.h"
#include "http/route.h"
#include "http/scan.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define DEFAULT_LIMIT   50
#define MOST_RECORDS    1000
#define DEFAULT_BYTES   (64 << 10)
#define MOST_BYTES      (16 << 20)
#define TURN_WAIT_S     20
#define CURSOR_FORWARD  'f'
#define CURSOR_BACKWARD 'b'

static const char *const formats[] = {"auto", "text", "hex", NULL};
static const char *const isolations[] = {"read_uncommitted", "read_committed", NULL};

// ---------------------------------------------------------------- what is asked for

bool http_read_view(struct http_request *r, struct record_view *view, int64_t most_bytes)
{
    int format = FORMAT_AUTO;
    int64_t bytes = most_bytes;
    if (!http_query_word(r, "format", formats, &format) ||
        !http_query_integer(r, "maxBytes", 0, MOST_BYTES, &bytes))
        return false;
    *view = (struct record_view){(enum payload_format)format, (size_t)bytes};
    return true;
}

bool http_read_filter(struct http_request *r, struct record_filter *filter)
{
    *filter = (struct record_filter){http_query(r, "key"), http_query(r, "contains"), http_query(r, "field"),
                                     http_query(r, "equals")};
    if (!filter->field.data == !filter->equals.data)
        return true;
    http_fail(r, 400, "INVALID_REQUEST", "field and equals go together");
    return false;
}

static bool read_place(struct http_request *r, struct record_place *place)
{
    struct str text = http_query(r, "from");
    struct str number = STR_NULL;
    *place = (struct record_place){.kind = PLACE_END};
    if (!text.data || str_is(text, "end"))
        return true;
    if (text.size > 7 && memcmp(text.data, "offset:", 7) == 0) {
        place->kind = PLACE_OFFSET;
        number = (struct str){text.data + 7, text.size - 7};
    } else if (text.size > 5 && memcmp(text.data, "time:", 5) == 0) {
        place->kind = PLACE_TIME;
        number = (struct str){text.data + 5, text.size - 5};
    } else if (str_is(text, "earliest")) {
        place->kind = PLACE_EARLIEST;
        return true;
    }
    if (number.data && str_to_integer(number, 0, INT64_MAX, &place->value))
        return true;
    http_fail(r, 400, "INVALID_REQUEST", "from must be earliest, end, offset:N or time:MILLISECONDS");
    return false;
}

bool http_read_scope(struct http_request *r, struct record_scope *scope)
{
    struct metadata_response metadata;
    int isolation = 0;
    if (!http_query_word(r, "isolation", isolations, &isolation) || !read_place(r, &scope->from) ||
        !http_query_partitions(r, "partition", &scope->partitions, &scope->count) ||
        !http_metadata(r, r->params[0], &metadata))
        return false;
    const struct metadata_response_metadata_response_topic *t = &metadata.topics[0];
    if (http_fail_topic(r, t))
        return false;
    scope->topic = t->name;
    scope->committed = isolation == 1;
    scope->topic_partitions = t->partitions_count;
    for (int32_t i = 0; i < scope->count; i++) {
        if (scope->partitions[i] < t->partitions_count)
            continue;
        http_fail(r, 404, error_code_name(E_UNKNOWN_TOPIC_OR_PARTITION), "%.*s has no partition %d",
                  STR_ARG(t->name), scope->partitions[i]);
        return false;
    }
    scope->named = scope->count > 0;
    if (scope->named)
        return true;
    if (t->partitions_count > HTTP_PARTITIONS) {
        http_fail(r, 400, "INVALID_REQUEST", "%.*s has %d partitions; name at most %d of them",
                  STR_ARG(t->name), t->partitions_count, HTTP_PARTITIONS);
        return false;
    }
    scope->partitions = arena_alloc(&r->arena, ((size_t)t->partitions_count + 1) * sizeof *scope->partitions);
    for (; scope->partitions && scope->count < t->partitions_count; scope->count++)
        scope->partitions[scope->count] = scope->count;
    return scope->partitions != NULL;
}

static int64_t within(const struct record_range *range, int64_t at)
{
    return range->error ? at : at < range->start ? range->start : at > range->end ? range->end : at;
}

void http_range_found(struct record_range *range, const struct record_place *from, int64_t start, int64_t end,
                      int64_t of_time)
{
    int64_t at = range->at;
    range->start = start;
    range->end = end < start ? start : end;
    range->error = E_NONE;
    if (at < 0)
        at = from->kind == PLACE_EARLIEST               ? start
             : from->kind == PLACE_OFFSET               ? from->value
             : of_time >= 0 && from->kind == PLACE_TIME ? of_time
                                                        : range->end;
    range->at = within(range, at);
}

bool http_find_places(struct http_request *r, const struct record_scope *scope, struct record_range *out)
{
    int32_t n = scope->topic_partitions;
    const struct http_offset *start = http_offsets(r, scope->topic, n, OFFSET_EARLIEST);
    const struct http_offset *end =
        start ? http_offsets_committed(r, scope->topic, n, OFFSET_LATEST, scope->committed) : NULL;
    const struct http_offset *at = end;
    if (end && scope->from.kind == PLACE_TIME)
        at = http_offsets(r, scope->topic, n, scope->from.value);
    int32_t missing = 0;
    for (int32_t i = 0; at && i < scope->count; i++) {
        int32_t p = scope->partitions[i];
        int16_t error = start[p].error ? start[p].error : end[p].error ? end[p].error : at[p].error;
        // One that does not answer is no empty one.
        bool may_miss = !scope->named && http_is_off_line(error) && ++missing < scope->count;
        if (!may_miss && http_fail_partition(r, scope->topic, p, error))
            return false;
        if (error != E_NONE) {
            out[i] = (struct record_range){.partition = p, .at = -1, .error = error};
            continue;
        }
        out[i] = (struct record_range){.partition = p, .at = -1};
        http_range_found(&out[i], &scope->from, start[p].offset, end[p].offset, at[p].offset);
    }
    return at != NULL;
}

// ---------------------------------------------------------------- cursors: "f0-17.3-25", a direction and
// places

static struct str cursor_of(const struct scan *s)
{
    struct buffer text = BUFFER_INIT;
    buffer_printf(&text, "%c", s->backward ? CURSOR_BACKWARD : CURSOR_FORWARD);
    for (int32_t i = 0; i < s->count; i++) {
        buffer_text(&text, i ? "." : "");
        http_say_position(&text, s->parts[i].partition, s->parts[i].at);
    }
    struct str cursor = arena_str(&s->request->arena, (struct str){(const char *)text.data, text.size});
    buffer_free(&text);
    return cursor;
}

void http_say_position(struct buffer *out, int32_t partition, int64_t at)
{
    if (at < 0)
        buffer_printf(out, "%d-x", partition);
    else
        buffer_printf(out, "%d-%" PRId64, partition, at);
}

bool http_read_positions(struct str text, struct record_range *ranges, int32_t count, bool from_start)
{
    const char *at = text.data;
    char *end;
    for (int32_t i = 0; i < count; i++) {
        if (i > 0 && *at++ != '.')
            return false;
        long partition = strtol(at, &end, 10);
        if (end == at || *end != '-' || partition != ranges[i].partition)
            return false;
        at = end + 1;
        if (*at == 'x') {
            at++;
            if (from_start && !ranges[i].error)
                ranges[i].at = ranges[i].start;
            continue;
        }
        long long offset = strtoll(at, &end, 10);
        if (end == at || offset < 0)
            return false;
        at = end;
        ranges[i].at = within(&ranges[i], offset);
    }
    return *at == 0;
}

static bool read_cursor(struct http_request *r, struct str cursor, struct record_range *ranges, int32_t count,
                        bool *backward)
{
    if (!cursor.data)
        return true;
    bool known = cursor.size > 1 && (cursor.data[0] == CURSOR_FORWARD || cursor.data[0] == CURSOR_BACKWARD);
    *backward = cursor.data[0] == CURSOR_BACKWARD;
    struct str places = {cursor.data + 1, cursor.size - 1};
    if (known && http_read_positions(places, ranges, count, !*backward))
        return true;
    http_fail(r, 400, "INVALID_REQUEST",
              "the cursor is none of this request (its partitions are part of it)");
    return false;
}

// ---------------------------------------------------------------- answering

static bool read_direction(struct http_request *r, const struct record_scope *scope, bool *backward)
{
    static const char *const words[] = {"forward", "backward", NULL};
    int direction = scope->from.kind == PLACE_END;
    bool known = http_query_word(r, "direction", words, &direction);
    *backward = direction == 1;
    if (known && http_query(r, "cursor").data &&
        (http_query(r, "from").data || http_query(r, "direction").data)) {
        http_fail(r, 400, "INVALID_REQUEST", "the cursor says from where and in which direction");
        return false;
    }
    return known;
}

static void answer_scan(struct scan *s, const struct record_view *view)
{
    static const char *const stops[] = {"limit", "bytes", "time", "end"};
    json_t *records = json_array(), *missing = json_array();
    bool more = false;
    for (const struct kept_record *k = s->first; k; k = k->next)
        json_array_append_new(records, http_record_json(view, &k->record));
    for (int32_t i = 0; i < s->count; i++) {
        const struct scan_part *p = &s->parts[i];
        if (p->error)
            http_missing_add(missing, &s->request->arena, s->topic, p->partition, p->error);
        else
            more |= s->backward ? p->at > p->start : p->at < p->end;
    }
    http_answer(s->request, 200,
                json_pack("{s:o, s:o, s:s, s:I, s:I, s:o}", "records", records, "cursor",
                          more ? http_text(cursor_of(s)) : json_null(), "stoppedBy", stops[s->stop],
                          "scannedRecords", (json_int_t)s->scanned_records, "scannedBytes",
                          (json_int_t)s->scanned_bytes, "partitionsMissing", missing));
}

void http_missing_add(json_t *missing, struct arena *arena, struct str topic, int32_t partition,
                      int16_t error)
{
    struct str message = http_partition_error(arena, topic, partition, error);
    json_array_append_new(missing, json_pack("{s:i, s:s, s:o}", "partition", partition, "error",
                                             error_code_name(error), "message", http_text(message)));
}

// False when it is answered: others browse, and take long.
static bool take_turn(struct http_request *r)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TURN_WAIT_S;
    int rc;
    while ((rc = sem_timedwait(r->scans, &until)) != 0 && errno == EINTR)
        ;
    if (rc != 0)
        http_fail(r, 503, "BROKER_NOT_AVAILABLE", "others browse records: try again");
    return rc == 0;
}

void http_records(struct http_request *r)
{
    struct record_filter filter;
    struct record_view view;
    struct record_scope scope;
    int64_t limit = DEFAULT_LIMIT;
    bool backward;
    if (!http_read_filter(r, &filter) || !http_read_view(r, &view, DEFAULT_BYTES) ||
        !http_query_integer(r, "limit", 1, MOST_RECORDS, &limit) || !http_read_scope(r, &scope) ||
        !read_direction(r, &scope, &backward))
        return;
    struct record_range *ranges = arena_zalloc(&r->arena, (size_t)scope.count, sizeof *ranges);
    struct scan_part *parts = arena_zalloc(&r->arena, (size_t)scope.count, sizeof *parts);
    if (!ranges || !parts || !http_find_places(r, &scope, ranges) ||
        !read_cursor(r, http_query(r, "cursor"), ranges, scope.count, &backward))
        return;
    for (int32_t i = 0; i < scope.count; i++)
        parts[i] = (struct scan_part){.partition = ranges[i].partition,
                                      .at = ranges[i].at,
                                      .start = ranges[i].start,
                                      .end = ranges[i].end,
                                      .error = ranges[i].error};
    struct scan scan = {.request = r,
                        .topic = scope.topic,
                        .filter = &filter,
                        .backward = backward,
                        .committed = scope.committed,
                        .may_miss = !scope.named,
                        .limit = (int32_t)limit,
                        .parts = parts,
                        .count = scope.count};
    if (!take_turn(r))
        return;
    if (scan_run(&scan))
        answer_scan(&scan, &view);
    sem_post(r->scans);
}

struct one_record {
    const struct record_view *view;
    int64_t offset;
    json_t *json; // NULL: there is none of this offset
};

static bool take_one(void *context, const struct found_record *record)
{
    struct one_record *one = context;
    if (record->offset == one->offset)
        one->json = http_record_json(one->view, record);
    return false;
}

void http_record(struct http_request *r)
{
    struct record_view view;
    struct metadata_response metadata;
    int64_t partition, offset;
    if (!http_read_view(r, &view, MOST_BYTES))
        return;
    if (!str_to_integer(r->params[1], 0, INT32_MAX, &partition) ||
        !str_to_integer(r->params[2], 0, INT64_MAX, &offset)) {
        http_fail(r, 400, "INVALID_REQUEST", "partition and offset must be whole numbers");
        return;
    }
    if (!http_metadata(r, r->params[0], &metadata) || http_fail_topic(r, &metadata.topics[0]))
        return;
    struct one_record one = {.view = &view, .offset = offset};
    int16_t error = http_first_record(r, metadata.topics[0].name, (int32_t)partition, offset, take_one, &one);
    bool is_none = error == E_OFFSET_OUT_OF_RANGE || error == E_UNKNOWN_TOPIC_OR_PARTITION;
    if (one.json)
        http_answer(r, 200, one.json);
    else if (is_none || !http_fail_partition(r, metadata.topics[0].name, (int32_t)partition, error))
        http_fail(r, 404, "NOT_FOUND", "%.*s-%d has no record of offset %" PRId64,
                  STR_ARG(metadata.topics[0].name), (int)partition, offset);
}
