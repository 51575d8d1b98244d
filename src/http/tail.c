// Records of a topic as they come.
#include "base/clock.h"
#include "http/offsets.h"
#include "http/records.h"
#include "http/route.h"
#include "http/stream.h"
#include "os/thread.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <inttypes.h>
#include <stdlib.h>

#define FETCH_BYTES     (1 << 20)
#define PARTITION_BYTES (256 << 10)
#define EVENT_BYTES     (256 << 10) // of events in one burst; the one that crosses it is sent
#define SECOND_BYTES    (4 << 20)   // that are looked at in one second
#define SECOND_RECORDS  200         // that are shown in one
#define UNPACK_BYTES    (16 << 20)
#define DEFAULT_BYTES   (64 << 10)
#define MISSING_MS      3000 // until what is off line is looked for again

struct tail {
    struct arena arena; // of what follows
    struct record_filter filter;
    struct record_view view;
    struct record_scope scope;
    struct record_range *ranges; // scope.count; `at` is where to go on, `end` the latest end that is known

    int64_t again_ms;  // when to look for what is off line
    int64_t second_ms; // when this second began
    size_t bytes;      // looked at in it
    int shown;         // in it
    uint64_t skipped;  // and not told yet
    struct http_stream *stream;
};

static struct str copy(struct tail *t, struct str s)
{
    return arena_str(&t->arena, s);
}

static void take_over(struct tail *t)
{
    t->filter = (struct record_filter){copy(t, t->filter.key), copy(t, t->filter.contains),
                                       copy(t, t->filter.field), copy(t, t->filter.equals)};
    t->scope.topic = copy(t, t->scope.topic);
    t->scope.partitions = NULL;
}

static void say_position(struct tail *t)
{
    struct buffer *out = &t->stream->out;
    buffer_text(out, "id: ");
    for (int32_t i = 0; i < t->scope.count; i++) {
        buffer_text(out, i ? "." : "");
        http_say_position(out, t->ranges[i].partition, t->ranges[i].at);
    }
    buffer_text(out, "\n\n");
}

// What is off line now: none of it, too, once that was told.
static void say_missing(struct tail *t)
{
    json_t *missing = json_array();
    for (int32_t i = 0; i < t->scope.count; i++)
        if (t->ranges[i].error)
            http_missing_add(missing, &t->stream->request->arena, t->scope.topic, t->ranges[i].partition,
                             t->ranges[i].error);
    stream_event(t->stream, "missing", json_pack("{s:o}", "partitions", missing));
}

static int32_t missing_of(const struct tail *t)
{
    int32_t count = 0;
    for (int32_t i = 0; i < t->scope.count; i++)
        count += t->ranges[i].error != E_NONE;
    return count;
}

static bool take(void *context, const struct found_record *record)
{
    struct tail *t = context;
    if (!filter_matches(&t->filter, record))
        return true;
    if (t->shown >= SECOND_RECORDS || t->stream->out.size > EVENT_BYTES) {
        t->skipped++;
        return true;
    }
    t->shown++;
    stream_event(t->stream, "record", http_record_json(&t->view, record));
    return true;
}

// What a person cannot follow is passed over: on from the end.
static void new_second(struct tail *t, int64_t now_ms)
{
    if (t->bytes >= SECOND_BYTES)
        for (int32_t i = 0; i < t->scope.count; i++) {
            struct record_range *r = &t->ranges[i];
            if (r->error) // it has no place yet
                continue;
            t->skipped += r->end > r->at ? (uint64_t)(r->end - r->at) : 0;
            r->at = r->end > r->at ? r->end : r->at;
        }
    if (t->skipped)
        stream_event(t->stream, "skipped", json_pack("{s:I}", "records", (json_int_t)t->skipped));
    t->second_ms = now_ms;
    t->bytes = t->skipped = 0;
    t->shown = 0;
}

// The partition no longer has what is next: on from its nearest end.
static bool find_again(struct tail *t, struct record_range *range)
{
    struct http_request *r = t->stream->request;
    int32_t p = range->partition;
    const struct http_offset *start = http_offsets(r, t->scope.topic, p + 1, OFFSET_EARLIEST);
    const struct http_offset *end = start ? http_offsets(r, t->scope.topic, p + 1, OFFSET_LATEST) : NULL;
    if (!end || start[p].offset < 0 || end[p].offset < 0)
        return false;
    range->end = end[p].offset;
    range->at = range->at < start[p].offset ? start[p].offset : range->end;
    return true;
}

// False: the stream ends, and has said why.
static bool look_at(struct tail *t, struct fetch_wanted *w, struct record_range *range)
{
    if (w->error == E_OFFSET_OUT_OF_RANGE && find_again(t, range))
        return true;
    range->error = t->scope.named || !http_is_off_line(w->error) ? E_NONE : w->error;
    if (range->error && missing_of(t) < t->scope.count)
        return true;
    if (w->error != E_NONE || !w->got) {
        struct str why =
            http_partition_error(&t->stream->request->arena, t->scope.topic, w->partition, w->error);
        stream_end(t->stream, "error", why.data ? why.data : error_code_message(w->error));
        return false;
    }
    range->end = t->scope.committed ? w->got->last_stable_offset : w->got->high_watermark;
    if (w->got->records.size == 0)
        return true;
    struct records_walk walk = {.data = w->got,
                                .from = range->at,
                                .to = INT64_MAX,
                                .committed = t->scope.committed,
                                .limit_bytes = UNPACK_BYTES,
                                .each = take,
                                .context = t};
    records_walk(&walk);
    t->bytes += w->got->records.size + walk.unpacked_bytes;
    range->at = walk.next;
    return true;
}

// Those that answer again go on where they were left.
static void look_again(struct tail *t)
{
    struct http_request *r = t->stream->request;
    const struct record_scope *scope = &t->scope;
    int32_t n = scope->topic_partitions;
    const struct http_offset *start = http_offsets(r, scope->topic, n, OFFSET_EARLIEST);
    const struct http_offset *end =
        start ? http_offsets_committed(r, scope->topic, n, OFFSET_LATEST, scope->committed) : NULL;
    const struct http_offset *at = end;
    if (end && scope->from.kind == PLACE_TIME)
        at = http_offsets(r, scope->topic, n, scope->from.value);
    for (int32_t i = 0; at && i < scope->count; i++) {
        int32_t p = t->ranges[i].partition;
        if (t->ranges[i].error && !start[p].error && !end[p].error && !at[p].error)
            http_range_found(&t->ranges[i], &scope->from, start[p].offset, end[p].offset, at[p].offset);
    }
}

static bool fetch_and_look(struct tail *t)
{
    struct http_request *r = t->stream->request;
    struct fetch_params params = {.topic = t->scope.topic,
                                  .max_bytes = FETCH_BYTES,
                                  .max_wait_ms = STREAM_WAIT_MS,
                                  .committed = t->scope.committed};
    struct fetch_wanted *wanted = arena_zalloc(&r->arena, (size_t)t->scope.count, sizeof *wanted);
    bool goes_on = wanted != NULL, moved = false;
    int32_t missing = missing_of(t), count = 0;
    for (int32_t i = 0; wanted && i < t->scope.count; i++)
        if (!t->ranges[i].error)
            wanted[count++] = (struct fetch_wanted){
                .partition = t->ranges[i].partition, .offset = t->ranges[i].at, .max_bytes = PARTITION_BYTES};
    if (!wanted || !http_fetch(r, &params, wanted, count)) {
        stream_end(t->stream, "error", "the broker could not be asked");
        return false;
    }
    for (int32_t i = 0, n = 0; goes_on && n < count; i++) {
        if (t->ranges[i].partition != wanted[n].partition)
            continue;
        int64_t before = t->ranges[i].at;
        goes_on = look_at(t, &wanted[n++], &t->ranges[i]);
        moved |= t->ranges[i].at != before;
    }
    if (goes_on && missing_of(t) != missing)
        say_missing(t);
    if (moved)
        say_position(t);
    return goes_on;
}

static bool next(struct http_stream *s)
{
    struct tail *t = s->context;
    int64_t now_ms = clock_monotonic_ms();
    bool goes_on = true;
    if (!t->stream) {
        t->stream = s;
        say_position(t);
        if (missing_of(t))
            say_missing(t);
        return true;
    }
    int32_t missing = missing_of(t);
    if (missing && now_ms >= t->again_ms) {
        t->again_ms = now_ms + MISSING_MS;
        look_again(t);
        if (missing_of(t) != missing)
            say_missing(t);
    }
    if (now_ms - t->second_ms >= 1000)
        new_second(t, now_ms);
    else if (t->bytes >= SECOND_BYTES)
        thread_sleep_ms(STREAM_WAIT_MS / 4);
    if (t->bytes < SECOND_BYTES)
        goes_on = fetch_and_look(t);
    arena_reset(&s->request->arena);
    return goes_on;
}

static void tail_free(struct tail *t)
{
    arena_free(&t->arena);
    free(t);
}

static void close_tail(struct http_stream *s)
{
    tail_free(s->context);
}

// Where a stream that was broken off goes on. What is none of ours is as good as nothing.
static void read_last_event(struct http_request *r, struct tail *t)
{
    if (r->last_event_id)
        http_read_positions(str_from(r->last_event_id), t->ranges, t->scope.count, false);
}

void http_tail(struct http_request *r)
{
    struct tail *t = calloc(1, sizeof *t);
    if (!t)
        return;
    arena_init(&t->arena, 0);
    if (http_read_filter(r, &t->filter) && http_read_view(r, &t->view, DEFAULT_BYTES) &&
        http_read_scope(r, &t->scope)) {
        t->ranges = arena_zalloc(&t->arena, (size_t)t->scope.count, sizeof *t->ranges);
        if (t->ranges && http_find_places(r, &t->scope, t->ranges)) {
            read_last_event(r, t);
            take_over(t);
            t->second_ms = clock_monotonic_ms();
            if (stream_start(r, next, close_tail, t))
                return;
        }
    }
    tail_free(t);
}
