#include "demo/tally.h"

#include "base/error.h"
#include "demo/shop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NOTE       "counted until %" SCNd64 ", open since offset %" SCNd64
#define ON_TIME_MS 1000 // an event that comes behind one so much newer is late
#define LAST_MS    (INT64_MAX / 2)

// What a map holds: it was seen.
static char seen;

void tally_init(struct tally *t, int64_t closed_ms, const int64_t next[SHOP_TOPICS])
{
    list_init(&t->minutes);
    t->closed_ms = closed_ms;
    t->round_ms = INT64_MIN;
    for (int i = 0; i < SHOP_TOPICS; i++) {
        t->next[i] = next[i];
        t->newest_ms[i] = INT64_MIN;
    }
}

static void free_minute(struct tally_minute *m)
{
    list_remove(&m->node);
    map_free(&m->events);
    map_free(&m->sessions);
    free(m);
}

static struct tally_minute *oldest(const struct tally *t)
{
    struct list *first = list_first(&t->minutes);
    return first == &t->minutes ? NULL : container_of(first, struct tally_minute, node);
}

void tally_free(struct tally *t)
{
    struct tally_minute *m;
    while ((m = oldest(t)))
        free_minute(m);
}

// The minute of this time, made where it is not there yet. NULL: out of memory.
static struct tally_minute *minute_of(struct tally *t, int64_t at_ms)
{
    int64_t from_ms = at_ms - at_ms % TALLY_MINUTE_MS;
    struct list *after = t->minutes.prev; // mostly the newest
    while (after != &t->minutes && container_of(after, struct tally_minute, node)->from_ms > from_ms)
        after = after->prev;
    if (after != &t->minutes && container_of(after, struct tally_minute, node)->from_ms == from_ms)
        return container_of(after, struct tally_minute, node);
    struct tally_minute *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->from_ms = from_ms;
    for (int i = 0; i < SHOP_TOPICS; i++)
        m->first_offset[i] = -1;
    list_push_front(after, &m->node);
    return m;
}

static void count(struct tally_minute *m, const struct shop_event *event)
{
    m->counts[event->topic]++;
    if (event->topic != SHOP_PAYMENTS)
        return;
    m->paid += event->paid;
    m->declined += !event->paid;
    if (event->paid) {
        m->revenue_cents += event->cents;
        m->country_cents[event->country] += event->cents;
    }
}

static int add_to_minute(struct tally *t, int64_t offset, const struct shop_event *event)
{
    struct tally_minute *m = minute_of(t, event->at_ms);
    if (!m)
        return ERR_NOMEM;
    if (m->first_offset[event->topic] < 0)
        m->first_offset[event->topic] = offset;
    if (map_int_get(&m->events, event->id)) {
        m->duplicates++;
        return 0;
    }
    if (map_int_put(&m->sessions, event->session, &seen) != 0 ||
        map_int_put(&m->events, event->id, &seen) != 0)
        return ERR_NOMEM;
    m->late += event->at_ms + ON_TIME_MS < t->newest_ms[event->topic];
    count(m, event);
    return 0;
}

int tally_add(struct tally *t, enum shop_topic topic, int64_t offset, const struct shop_event *event)
{
    if (event && event->at_ms >= t->closed_ms && event->at_ms >= 0 && event->at_ms < LAST_MS) {
        int err = add_to_minute(t, offset, event);
        if (err)
            return err;
        if (event->at_ms > t->newest_ms[topic])
            t->newest_ms[topic] = event->at_ms;
    }
    t->next[topic] = offset + 1;
    return 0;
}

void tally_round(struct tally *t, const bool read_all[SHOP_TOPICS])
{
    int64_t round_ms = t->round_ms;
    for (int i = 0; i < SHOP_TOPICS; i++) {
        if (t->newest_ms[i] > round_ms)
            round_ms = t->newest_ms[i];
        if (read_all[i] && t->round_ms > t->newest_ms[i])
            t->newest_ms[i] = t->round_ms;
    }
    t->round_ms = round_ms;
}

const struct tally_minute *tally_closed(const struct tally *t)
{
    const struct tally_minute *m = oldest(t);
    for (int i = 0; m && i < SHOP_TOPICS; i++)
        if (t->newest_ms[i] < m->from_ms + TALLY_MINUTE_MS + SHOP_LATEST_MS + TALLY_SLACK_MS)
            return NULL;
    return m;
}

void tally_drop(struct tally *t)
{
    struct tally_minute *m = oldest(t);
    t->closed_ms = m->from_ms + TALLY_MINUTE_MS;
    free_minute(m);
}

int64_t tally_resume(const struct tally *t, enum shop_topic topic)
{
    int64_t from = t->next[topic];
    for (struct list *n = list_first(&t->minutes), *next; list_each(&t->minutes, n, next); n = next) {
        int64_t first = container_of(n, struct tally_minute, node)->first_offset[topic];
        if (first >= 0 && first < from)
            from = first;
    }
    return from;
}

void tally_write(const struct tally_minute *m, int32_t partition, struct buffer *out)
{
    char time[SHOP_TIME_BYTES];
    int64_t sessions = tally_sessions(m), orders = m->counts[SHOP_ORDERS];
    shop_time_text(m->from_ms, time);
    buffer_printf(out,
                  "{\"minute\":\"%s\",\"partition\":%" PRId32 ",\"views\":%" PRId64 ",\"sessions\":%" PRId64
                  ",\"orders\":%" PRId64 ",\"conversion\":%.2f,\"paid\":%" PRId64 ",\"declined\":%" PRId64
                  ",\"revenue\":%.2f,\"revenueByCountry\":{",
                  time, partition, m->counts[SHOP_VIEWS], sessions, orders,
                  sessions ? 100.0 * (double)orders / (double)sessions : 0.0, m->paid, m->declined,
                  (double)m->revenue_cents / 100);
    for (int i = 0; i < SHOP_COUNTRIES; i++)
        buffer_printf(out, "%s\"%s\":%.2f", i ? "," : "", shop_country_codes[i],
                      (double)m->country_cents[i] / 100);
    buffer_printf(out, "},\"late\":%" PRId64 ",\"duplicates\":%" PRId64 "}", m->late, m->duplicates);
}

void tally_note(const struct tally *t, enum shop_topic topic, char out[TALLY_NOTE_BYTES])
{
    snprintf(out, TALLY_NOTE_BYTES, NOTE, t->closed_ms, tally_resume(t, topic));
}

bool tally_read_note(const char *note, int64_t *closed_ms, int64_t *resume)
{
    return sscanf(note, NOTE, closed_ms, resume) == 2 && *closed_ms >= 0 && *closed_ms < LAST_MS &&
           *resume >= 0;
}
