#include "storage/batch_validate.h"

#include "base/error.h"
#include "storage/batch_complaints.h"
#include "storage/record_source.h"

// What Kafka reads of a batch before it knows the magic: the least that a batch of any magic has behind its
// length.
#define LENGTH_MIN_OF_ANY_MAGIC 14
#define PRODUCE_VERSION_OF_ZSTD 7

// ---------------------------------------------------------------- the first look

// Where a batch starts in the field and how it looks from outside. Kafka's order of checks: a size that no
// batch has is damage, and so is a magic that does not exist; bytes that end before the batch does are no
// batch at all.
enum outline { OUTLINE_BATCH, OUTLINE_NONE, OUTLINE_BAD_LENGTH, OUTLINE_BAD_MAGIC };

static enum outline outline(struct bytes in, size_t *size)
{
    if (in.size < BATCH_PREFIX_BYTES)
        return OUTLINE_NONE;
    int32_t length = (int32_t)load_be32(in.data + BATCH_LENGTH_AT);
    if (length < LENGTH_MIN_OF_ANY_MAGIC)
        return OUTLINE_BAD_LENGTH;
    if (in.size <= BATCH_MAGIC_AT)
        return OUTLINE_NONE;
    if (in.data[BATCH_MAGIC_AT] > BATCH_MAGIC) // negative ones included
        return OUTLINE_BAD_MAGIC;
    *size = BATCH_PREFIX_BYTES + (size_t)length;
    return *size > in.size ? OUTLINE_NONE : OUTLINE_BATCH;
}

static int look_says(struct batch_look *look, enum batch_look_scope scope, enum error_code error)
{
    look->scope = scope;
    look->error = (int16_t)error;
    return 0;
}

static int look_is_damage(struct bytes records, enum outline o, struct arena *arena, struct batch_look *look)
{
    look->message =
        o == OUTLINE_BAD_MAGIC
            ? arena_printf(arena, "Invalid magic found in record: %d", (int8_t)records.data[BATCH_MAGIC_AT])
            : arena_printf(arena, "Record size %d is less than the minimum record overhead (%d)",
                           (int32_t)load_be32(records.data + BATCH_LENGTH_AT), LENGTH_MIN_OF_ANY_MAGIC);
    return look->message.data ? look_says(look, BATCH_LOOK_REQUEST, E_CORRUPT_MESSAGE) : ERR_NOMEM;
}

int batch_first_look(struct bytes records, int16_t produce_version, struct arena *arena,
                     struct batch_look *look)
{
    *look = (struct batch_look){.scope = BATCH_LOOK_GOOD};
    size_t size = 0, next_size;
    enum outline o = outline(records, &size);
    if (o == OUTLINE_BAD_LENGTH || o == OUTLINE_BAD_MAGIC)
        return look_is_damage(records, o, arena, look);
    if (o == OUTLINE_NONE || records.data[BATCH_MAGIC_AT] != BATCH_MAGIC)
        return look_says(look, BATCH_LOOK_PARTITION, E_INVALID_RECORD);
    uint16_t attributes = load_be16(records.data + BATCH_ATTRIBUTES_AT); // within the least length
    look->transactional = attributes & BATCH_TRANSACTIONAL;
    unsigned compression = attributes & BATCH_COMPRESSION_MASK;
    if (produce_version < PRODUCE_VERSION_OF_ZSTD && compression == COMPRESSION_ZSTD)
        return look_says(look, BATCH_LOOK_PARTITION, E_UNSUPPORTED_COMPRESSION_TYPE);
    if (produce_version < PRODUCE_VERSION_OF_ZSTD && compression > COMPRESSION_ZSTD) // Kafka trips over it
        return look_says(look, BATCH_LOOK_PARTITION, E_UNKNOWN_SERVER_ERROR);
    switch (outline((struct bytes){records.data + size, records.size - size}, &next_size)) {
    case OUTLINE_NONE: // the beginning of another is dropped
        return 0;
    case OUTLINE_BATCH:
        return look_says(look, BATCH_LOOK_PARTITION, E_INVALID_RECORD);
    case OUTLINE_BAD_LENGTH:
    case OUTLINE_BAD_MAGIC:
        break;
    }
    return look_says(look, BATCH_LOOK_PARTITION, E_CORRUPT_MESSAGE);
}

// ---------------------------------------------------------------- the batch's header

// An error without a text, as Kafka answers whatever concerns the batch as a whole.
static int refuse(struct batch_verdict *v, enum error_code error, bool reports_log_start)
{
    v->error = (int16_t)error;
    v->reports_log_start = reports_log_start;
    return 0;
}

// Whether the header holds what a batch of this origin may. Kafka's order: what the client must not say
// first, then size and checksum, then the counts.
static enum error_code check_header(const struct batch_header *h, struct bytes batch,
                                    const struct batch_rules *rules, bool *reports_log_start)
{
    bool from_client = rules->origin == BATCH_ORIGIN_CLIENT;
    *reports_log_start = true;
    if (from_client && h->base_offset != 0)
        return E_INVALID_RECORD;
    *reports_log_start = false;
    if (rules->origin != BATCH_ORIGIN_INTERNAL && batch.size > (size_t)rules->max_message_bytes)
        return E_MESSAGE_TOO_LARGE;
    if (!batch_crc_ok(batch))
        return E_CORRUPT_MESSAGE;
    *reports_log_start = true;
    if (batch_compression(h) >= COMPRESSION_TYPES)
        return E_UNKNOWN_SERVER_ERROR; // as Kafka answers it
    if (h->count <= 0 || h->last_offset_delta != h->count - 1)
        return E_INVALID_RECORD;
    if (from_client && batch_is_control(h))
        return E_INVALID_RECORD;
    if (from_client && batch_has_producer(h) && h->base_sequence < 0)
        return E_INVALID_RECORD;
    return E_NONE;
}

// ---------------------------------------------------------------- the records

// What a walk over all records found.
struct walk {
    int64_t min_timestamp_ms, max_timestamp_ms; // without records' NO_TIMESTAMP in the max
    bool null_key, wrong_delta;
};

static enum record_step walk_records(struct record_source *s, const struct batch_header *h, struct walk *w)
{
    uint64_t base = (uint64_t)h->base_timestamp_ms;
    int64_t min = INT64_MAX, max = BATCH_NO_TIMESTAMP;
    int32_t keys = 0, deltas = 0; // signs and bits gathered, looked at once
    for (int32_t i = 0; i < h->count; i++) {
        struct record_fields f;
        enum record_step step = record_source_next(s, &f);
        if (step != RECORD_OK)
            return step;
        int64_t timestamp = (int64_t)(base + (uint64_t)f.timestamp_delta_ms);
        min = timestamp < min ? timestamp : min;
        max = timestamp > max ? timestamp : max;
        keys |= f.key_size;
        deltas |= f.offset_delta ^ i;
    }
    *w = (struct walk){min, max, keys < 0, deltas != 0};
    return record_source_finish(s);
}

static enum error_code step_error(enum record_step step, bool compressed)
{
    switch (step) {
    case RECORD_OK:
        return E_NONE;
    case RECORD_SHORT:
    case RECORD_BAD:
        return E_INVALID_RECORD;
    case RECORD_BAD_LENGTH:
        return compressed ? E_INVALID_RECORD : E_UNKNOWN_SERVER_ERROR;
    case RECORD_STREAM:
        break;
    }
    return E_UNKNOWN_SERVER_ERROR; // Kafka's answer to what cannot be decompressed
}

// What a batch costs, roughly, in nanoseconds per 1024 bytes: to walk and check, to unpack (per byte that
// comes out), to pack. Measured on records of 100 bytes.
#define WALK_NS 150
static const int64_t unpack_ns[COMPRESSION_TYPES] = {0, 2600, 1400, 1000, 1500};
static const int64_t pack_ns[COMPRESSION_TYPES] = {500, 60000, 3000, 3000, 7000};
#define USUAL_RATIO 4 // of compressed records

// One pass over the records of a batch as `visit` wants it.
struct pass {
    const struct batch_header *header;
    const struct batch_rules *rules;
    struct bytes body;
    size_t unpacked_max_bytes;       // the rules' own, or what the budget allows
    uint8_t *window;                 // RECORD_WINDOW_BYTES
    const struct buffer *unpacked;   // set when the body is already decompressed...
    int unpack_error;                // ...as far as it could be
    struct decompress_stream stream; // otherwise
};

static int pass_open(struct pass *p, struct record_source *s)
{
    enum compression type = batch_compression(p->header);
    *s = (struct record_source){.at = p->body.data,
                                .end = p->body.data + p->body.size,
                                .window = p->window,
                                .limit_bytes = p->unpacked_max_bytes};
    if (type == COMPRESSION_NONE)
        return 0;
    if (p->unpacked) {
        s->at = s->end = p->window;
        if (p->unpacked->size) {
            s->at = p->unpacked->data;
            s->end = s->at + p->unpacked->size;
        }
        s->stream_error = p->unpack_error;
        return 0;
    }
    s->at = s->end = p->window;
    int err = decompress_open(&p->stream, type, p->body);
    if (err == ERR_NOMEM)
        return err;
    if (err)
        s->stream_error = err;
    else
        s->stream = &p->stream;
    return 0;
}

static void pass_close(struct pass *p)
{
    decompress_close(&p->stream);
}

// Whether every record's time may be taken, judged by the extremes; if not, the records are looked at one by
// one.
static bool times_are_fine(const struct walk *w, const struct batch_header *h,
                           const struct batch_rules *rules, int64_t now_ms)
{
    if (batch_is_log_append_time(h))
        return false; // has to be looked at
    return rules->log_append_time || (complaint_time_in_range(rules, now_ms, w->min_timestamp_ms) &&
                                      complaint_time_in_range(rules, now_ms, w->max_timestamp_ms));
}

// Lists what is wrong with single records, if anything, in a second pass.
static int complain(struct pass *p, int64_t now_ms, bool in_place, struct arena *arena,
                    struct batch_verdict *v)
{
    struct record_source s;
    int err = pass_open(p, &s);
    if (err)
        return err;
    struct complaints c = {.header = p->header,
                           .rules = p->rules,
                           .now_ms = now_ms,
                           .skips_bodies = in_place && batch_compression(p->header) != COMPRESSION_NONE,
                           .arena = arena};
    struct record_fields f;
    for (int32_t i = 0; i < p->header->count && !err && record_source_next(&s, &f) == RECORD_OK; i++)
        err = complaints_consider(&c, i, &f);
    pass_close(p);
    return err ? err : complaints_verdict(&c, v);
}

static int judge_records(struct pass *p, int64_t now_ms, bool in_place, struct arena *arena, struct walk *w,
                         struct batch_verdict *v)
{
    struct record_source s;
    bool compressed = batch_compression(p->header) != COMPRESSION_NONE;
    if (batch_compression(p->header) == COMPRESSION_ZSTD && p->body.size == 0)
        return refuse(v, E_INVALID_RECORD, true); // the one format whose empty input is no error to Java
    int err = pass_open(p, &s);
    if (err)
        return err;
    enum record_step step = walk_records(&s, p->header, w);
    pass_close(p);
    if (step == RECORD_STREAM && s.stream_error == ERR_LIMIT &&
        p->unpacked_max_bytes < p->rules->unpacked_max_bytes)
        return ERR_AGAIN;
    if (step == RECORD_STREAM && s.stream_error == ERR_NOMEM)
        return ERR_NOMEM;
    if (step == RECORD_STREAM && s.stream_error == ERR_LIMIT) {
        v->message = arena_printf(
            arena, "The records of the batch unfold into more than %zu bytes in topic partition %.*s-%d",
            p->rules->unpacked_max_bytes, STR_ARG(p->rules->topic), p->rules->partition);
        return v->message.data ? refuse(v, E_INVALID_RECORD, true) : ERR_NOMEM;
    }
    if (step == RECORD_STREAM && s.stream_error == ERR_RANGE)
        step = RECORD_BAD;
    if (step != RECORD_OK)
        return refuse(v, step_error(step, compressed), true);
    if ((p->rules->compacted && w->null_key) || !times_are_fine(w, p->header, p->rules, now_ms)) {
        err = complain(p, now_ms, in_place, arena, v);
        if (err || v->error)
            return err;
    }
    if (w->wrong_delta && in_place)
        return refuse(v, compressed ? E_UNKNOWN_SERVER_ERROR : E_INVALID_RECORD, true);
    return 0;
}

// ---------------------------------------------------------------- what is appended

// Makes the batch again with another compression, offsets counted anew. Header flags but for the
// transactional one are not carried over, as in Kafka.
static int rebuild(const struct pass *p, enum compression target, int64_t now_ms, struct buffer *rewrite,
                   struct batch_verdict *v)
{
    const struct batch_header *h = p->header;
    const struct batch_rules *rules = p->rules;
    struct batch_options o = {.leader_epoch = h->leader_epoch,
                              .compression = target,
                              .compression_level = rules->compression_level,
                              .attributes = h->attributes & BATCH_TRANSACTIONAL,
                              .producer_id = h->producer_id,
                              .producer_epoch = h->producer_epoch,
                              .base_sequence = h->base_sequence};
    if (rules->log_append_time) {
        o.attributes |= BATCH_LOG_APPEND_TIME;
        o.log_append_time_ms = now_ms;
    }
    struct bytes body = p->body, made;
    if (p->unpacked)
        body = (struct bytes){p->unpacked->data, p->unpacked->size};
    struct record_cursor c = record_cursor(body, h->count);
    struct batch_builder b = {0};
    struct record r;
    batch_builder_init(&b, &o);
    int err;
    for (int32_t i = 0; (err = record_cursor_next(&c, &r)) == 1; i++) {
        int64_t timestamp = record_timestamp_ms(h, &r);
        if (timestamp < BATCH_NO_TIMESTAMP) { // Kafka's builder knows none before 1970
            batch_builder_free(&b);
            return refuse(v, E_UNKNOWN_SERVER_ERROR, true);
        }
        batch_builder_copy(&b, i, timestamp, &r);
    }
    if (!err)
        err = batch_builder_finish(&b, &made);
    if (!err) {
        struct buffer *filled = target == COMPRESSION_NONE ? &b.records : &b.packed, old = *rewrite;
        *rewrite = *filled;
        *filled = old;
        v->batch = rewrite->data;
        v->size = rewrite->size;
        v->rewritten = true;
    }
    batch_builder_free(&b);
    if (err && err != ERR_NOMEM)
        return refuse(v, E_INVALID_RECORD, true);
    return err;
}

// Takes the batch's cost off the budget, as far as it can be told, and limits what it may unfold into.
// ERR_AGAIN: it is too much.
static int charge(struct pass *p, bool in_place)
{
    struct batch_budget *budget = p->rules->budget;
    p->unpacked_max_bytes = p->rules->unpacked_max_bytes;
    if (!budget)
        return 0;
    enum compression source = batch_compression(p->header);
    int64_t size = (int64_t)p->body.size, unpacked = source == COMPRESSION_NONE ? size : size * USUAL_RATIO;
    int64_t cost_ns = size * WALK_NS + unpacked * unpack_ns[source];
    if (!in_place)
        cost_ns += unpacked * pack_ns[p->rules->compression];
    cost_ns /= 1024;
    if (cost_ns > budget->left_ns)
        return ERR_AGAIN;
    if (source != COMPRESSION_NONE &&
        budget->left_ns / unpack_ns[source] < (int64_t)(p->unpacked_max_bytes / 1024))
        p->unpacked_max_bytes = (size_t)(budget->left_ns * 1024 / unpack_ns[source]);
    budget->left_ns -= cost_ns;
    return 0;
}

static int judge_batch(struct pass *p, uint8_t *batch, size_t size, int64_t now_ms, struct arena *arena,
                       struct buffer *rewrite, struct batch_verdict *v)
{
    const struct batch_header *h = p->header;
    const struct batch_rules *rules = p->rules;
    enum compression source = batch_compression(h),
                     target = rules->keep_compression ? source : rules->compression;
    bool in_place = source == target || (source == COMPRESSION_NONE && batch_is_control(h));
    struct buffer unpacked = BUFFER_INIT;
    int err = charge(p, in_place);
    if (err)
        return err;
    if (!in_place && source != COMPRESSION_NONE) {
        p->unpack_error = decompress_append(source, p->body, p->unpacked_max_bytes, &unpacked);
        p->unpacked = &unpacked;
    }
    struct walk w = {0};
    err = judge_records(p, now_ms, in_place, arena, &w, v);
    if (!err && !v->error && !in_place)
        err = rebuild(p, target, now_ms, rewrite, v);
    buffer_free(&unpacked);
    if (err || v->error)
        return err;
    if (!in_place) {
        if (rules->origin != BATCH_ORIGIN_INTERNAL && v->size > (size_t)rules->max_message_bytes)
            return refuse(v, E_MESSAGE_TOO_LARGE, false);
        return 0;
    }
    v->batch = batch;
    v->size = size;
    int64_t max = batch_is_log_append_time(h) ? h->max_timestamp_ms : w.max_timestamp_ms;
    batch_set_max_timestamp(batch, size, rules->log_append_time ? now_ms : max, rules->log_append_time);
    return 0;
}

int batch_validate(uint8_t *records, size_t size, const struct batch_rules *rules, int64_t now_ms,
                   struct arena *arena, struct buffer *rewrite, struct batch_verdict *verdict)
{
    *verdict = (struct batch_verdict){.error = E_NONE};
    buffer_clear(rewrite);
    struct batch_look look;
    int err = batch_first_look((struct bytes){records, size}, rules->produce_version, arena, &look);
    if (err)
        return err;
    if (look.scope != BATCH_LOOK_GOOD) {
        verdict->message = look.message;
        return refuse(verdict, (enum error_code)look.error, false);
    }
    uint8_t window[RECORD_WINDOW_BYTES];
    struct batch_header h;
    struct bytes batch = {records, BATCH_PREFIX_BYTES + load_be32(records + BATCH_LENGTH_AT)};
    if (batch.size < BATCH_HEADER_BYTES)
        return refuse(verdict, E_CORRUPT_MESSAGE, false);
    if (batch_header_read(batch, &h) != 0) // a negative base offset
        return refuse(verdict, E_INVALID_RECORD, true);
    bool reports_log_start;
    enum error_code error = check_header(&h, batch, rules, &reports_log_start);
    if (error != E_NONE)
        return refuse(verdict, error, reports_log_start);
    struct pass p = {.header = &h,
                     .rules = rules,
                     .body = {records + BATCH_HEADER_BYTES, batch.size - BATCH_HEADER_BYTES},
                     .window = window};
    err = judge_batch(&p, records, batch.size, now_ms, arena, rewrite, verdict);
    if (err || verdict->error)
        return err;
    return batch_header_read((struct bytes){verdict->batch, verdict->size}, &verdict->header) == 0
               ? 0
               : ERR_CORRUPT;
}
