#include "http/scan.h"

#include "base/clock.h"
#include "base/error.h"
#include "http/offsets.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#define SLICE_BYTES  (256 << 10) // of one look at one partition
#define WINDOW_BYTES (8 << 20)   // of one look backward, which is taken whole or not at all
#define WINDOW_MOST  (1 << 20)   // offsets
#define EXTRA        16          // records that a partition may be ahead of what is given out

// A look at one partition: what of it is kept, at most so many.
struct look {
    struct scan *scan;
    struct kept_record *first, **last;
    int32_t kept, most;
    bool failed, dropped;
};

// ---------------------------------------------------------------- keeping

static bool keep(struct look *l, const struct found_record *record)
{
    struct arena *arena = &l->scan->request->arena;
    struct kept_record *k = arena_alloc(arena, sizeof *k);
    if (!k)
        return false;
    *k = (struct kept_record){.record = *record};
    k->record.key = arena_bytes(arena, record->key);
    k->record.value = arena_bytes(arena, record->value);
    k->record.headers = arena_bytes(arena, record->headers);
    *l->last = k;
    l->last = &k->next;
    l->kept++;
    return (!record->key.data || k->record.key.data) && (!record->value.data || k->record.value.data);
}

// Forward: until there are enough.
static bool take_forward(void *context, const struct found_record *record)
{
    struct look *l = context;
    l->scan->scanned_records++;
    if (!filter_matches(l->scan->filter, record))
        return true;
    l->failed = !keep(l, record);
    return !l->failed && l->kept < l->most;
}

// Backward: the last ones that match, so the first ones give way.
static bool take_backward(void *context, const struct found_record *record)
{
    struct look *l = context;
    l->scan->scanned_records++;
    if (!filter_matches(l->scan->filter, record))
        return true;
    l->failed = !keep(l, record);
    if (l->kept > l->most) {
        l->first = l->first->next;
        l->kept--;
        l->dropped = true;
    }
    return !l->failed;
}

static void look_start(struct scan *s, struct look *l)
{
    *l = (struct look){.scan = s, .most = s->limit / s->count + EXTRA};
    l->last = &l->first;
}

// ---------------------------------------------------------------- looking

// The partition has just failed. False when the request is answered with that.
static bool leave_out(struct scan *s, struct scan_part *p, int16_t error)
{
    int32_t left = 0;
    p->error = error;
    p->done = true;
    for (int32_t i = 0; i < s->count; i++)
        left += s->parts[i].error == E_NONE;
    return (s->may_miss && left > 0 && http_is_off_line(error)) ||
           !http_fail_partition(s->request, s->topic, p->partition, error);
}

// Reads and walks one piece of a partition from `from` to `to`. *next: where to go on; `to` where nothing is
// left. It may have become a part that is left out. False when the request is answered.
static bool read_piece(struct scan *s, struct look *l, struct scan_part *p, int64_t from, int64_t to,
                       int64_t *next)
{
    struct fetch_params params = {.topic = s->topic, .max_bytes = SLICE_BYTES, .committed = s->committed};
    struct fetch_wanted wanted = {.partition = p->partition, .offset = from, .max_bytes = SLICE_BYTES};
    if (!http_fetch(s->request, &params, &wanted, 1))
        return false;
    bool was_cut = wanted.error == E_OFFSET_OUT_OF_RANGE;
    if (!was_cut && wanted.error != E_NONE)
        return leave_out(s, p, wanted.error);
    if (was_cut || wanted.got->records.size == 0) {
        *next = to; // since it was looked for, or what is left are gaps
        return true;
    }
    struct records_walk walk = {.data = wanted.got,
                                .from = from,
                                .to = to,
                                .committed = s->committed,
                                .limit_bytes = SCAN_BYTES,
                                .each = s->backward ? take_backward : take_forward,
                                .context = l};
    records_walk(&walk); // a batch that cannot be read is passed over
    s->scanned_bytes += wanted.got->records.size + walk.unpacked_bytes;
    *next = walk.next > from ? walk.next : to;
    if (!l->failed)
        return true;
    http_fail(s->request, 500, "UNKNOWN_SERVER_ERROR", "out of memory");
    return false;
}

static bool look_forward(struct scan *s, struct scan_part *p)
{
    struct look l;
    look_start(s, &l);
    if (!read_piece(s, &l, p, p->at, p->end, &p->at))
        return false;
    if (p->error)
        return true;
    p->done = p->at >= p->end;
    p->first = l.first;
    p->found = l.kept;
    return true;
}

// The window below p->at, whole. Where it holds too many bytes, it is made smaller: one batch always goes.
static bool look_backward(struct scan *s, struct scan_part *p)
{
    struct look l;
    int64_t from, next, bytes;
    for (bool whole = false; !whole;) {
        look_start(s, &l);
        from = p->at - p->start > p->window ? p->at - p->window : p->start;
        bytes = (int64_t)s->scanned_bytes;
        for (next = from; next < p->at;) {
            if (!read_piece(s, &l, p, next, p->at, &next))
                return false;
            if (p->error)
                return true;
            if (next < p->at && (int64_t)s->scanned_bytes - bytes > WINDOW_BYTES && p->window > 1)
                break;
        }
        whole = next >= p->at;
        p->window = whole ? p->window : p->window / 8 + 1;
    }
    struct kept_record *reversed = NULL;
    for (struct kept_record *k = l.first, *behind; k; k = behind) {
        behind = k->next;
        k->next = reversed;
        reversed = k;
    }
    p->at = l.dropped ? l.first->record.offset : from;
    p->first = reversed;
    p->found = l.kept;
    p->done = p->at <= p->start;
    if (!l.kept && p->window < WINDOW_MOST)
        p->window *= 4;
    return true;
}

// ---------------------------------------------------------------- giving out

// The part whose next record comes first; NULL: none has any.
static struct scan_part *next_part(struct scan *s)
{
    struct scan_part *best = NULL;
    for (int32_t i = 0; i < s->count; i++) {
        struct scan_part *p = &s->parts[i];
        if (!p->first)
            continue;
        int64_t time = p->first->record.timestamp_ms;
        if (!best ||
            (s->backward ? time > best->first->record.timestamp_ms : time < best->first->record.timestamp_ms))
            best = p;
    }
    return best;
}

static void give_out(struct scan *s, struct scan_part *p)
{
    struct kept_record *k = p->first;
    p->first = k->next;
    p->found--;
    k->next = NULL;
    *s->last = k;
    s->last = &k->next;
    s->found++;
}

// What was found and not given out is found again next time.
static void give_back(struct scan *s)
{
    for (int32_t i = 0; i < s->count; i++) {
        struct scan_part *p = &s->parts[i];
        if (!p->first)
            continue;
        p->at = p->first->record.offset + s->backward;
        p->done = false;
        p->first = NULL;
    }
}

// Two looks at each part are for everybody, however busy the machine is.
static bool is_used_up(struct scan *s, int64_t deadline_ms)
{
    s->stop = s->scanned_bytes >= SCAN_BYTES ? SCAN_BYTES_USED : SCAN_TIME_USED;
    return s->scanned_bytes >= SCAN_BYTES || (s->looks > 2 * s->count && clock_monotonic_ms() >= deadline_ms);
}

// Looks at each part that has nothing to give out, until each has something or is done. *enough: no more may
// be looked at. False when the request is answered.
static bool fill_up(struct scan *s, int64_t deadline_ms, bool *enough)
{
    for (bool again = true; again;) {
        again = false;
        for (int32_t i = 0; i < s->count; i++) {
            struct scan_part *p = &s->parts[i];
            if (p->first || p->done)
                continue;
            *enough = is_used_up(s, deadline_ms);
            if (*enough)
                return true;
            s->looks++;
            if (!(s->backward ? look_backward(s, p) : look_forward(s, p)))
                return false;
            again |= !p->first && !p->done;
        }
    }
    return true;
}

bool scan_run(struct scan *s)
{
    int64_t deadline_ms = clock_monotonic_ms() + SCAN_MS;
    bool enough = false;
    s->last = &s->first;
    for (int32_t i = 0; i < s->count; i++) {
        struct scan_part *p = &s->parts[i];
        p->done = p->error || (s->backward ? p->at <= p->start : p->at >= p->end);
        p->window = s->limit / s->count + EXTRA;
    }
    while (s->found < s->limit) {
        if (!enough && !fill_up(s, deadline_ms, &enough))
            return false;
        struct scan_part *p = next_part(s);
        if (!p)
            break;
        give_out(s, p);
    }
    if (s->found >= s->limit)
        s->stop = SCAN_LIMIT;
    else if (!enough)
        s->stop = SCAN_END;
    give_back(s);
    return true;
}
