// Counts what happened in the shop, minute by minute: events of one partition go in, as they are read, and
// minutes come out when nothing more of them can come. No I/O and no clock: what a minute's figures are
// depends on the records alone. One thread at a time.
//
// A minute is closed when every topic has been read to SHOP_LATEST_MS and TALLY_SLACK_MS beyond its end: what
// is written at about the same time may be read in another order. An event counts once, in the minute in
// which it happened, however late it comes and however often, as long as that minute is open; those that come
// for a closed one have been counted, for nothing is later than SHOP_LATEST_MS but a second copy.
#ifndef DEMO_TALLY_H
#define DEMO_TALLY_H

#include "base/list.h"
#include "base/map.h"
#include "demo/event.h"

#define TALLY_MINUTE_MS 60000
#define TALLY_SLACK_MS  5000

struct tally_minute {
    struct list node;
    int64_t from_ms; // a whole minute
    int64_t counts[SHOP_TOPICS];
    int64_t paid, declined; // payments
    int64_t revenue_cents;  // of what was paid
    int64_t country_cents[SHOP_COUNTRIES];
    int64_t late, duplicates;
    int64_t first_offset[SHOP_TOPICS]; // of its events; -1: none
    struct map events, sessions;       // that were seen: ids
};

struct tally {
    struct list minutes;       // open, by time
    int64_t closed_ms;         // events before this are counted
    int64_t next[SHOP_TOPICS]; // the offset to read next
    int64_t newest_ms[SHOP_TOPICS], round_ms;
};

// Closed up to closed_ms (0: nothing yet), to be read on from the offsets `next`.
void tally_init(struct tally *t, int64_t closed_ms, const int64_t next[SHOP_TOPICS]);
void tally_free(struct tally *t);

// The event at this offset of its topic; NULL: a record that is none. 0, or ERR_NOMEM (nothing was counted).
int tally_add(struct tally *t, enum shop_topic topic, int64_t offset, const struct shop_event *event);

// A round of reading is over, which told for each topic whether all there was has been read. What is read
// later, of a topic in which little happens, is then no older than what was newest a round ago.
void tally_round(struct tally *t, const bool read_all[SHOP_TOPICS]);

// The oldest minute, when it can be closed; else NULL. tally_drop takes it away, once its figures are safe.
const struct tally_minute *tally_closed(const struct tally *t);
void tally_drop(struct tally *t);

// Where somebody who takes over must begin to read, so that open minutes are counted whole.
int64_t tally_resume(const struct tally *t, enum shop_topic topic);

static inline int64_t tally_sessions(const struct tally_minute *m)
{
    return (int64_t)m->sessions.count;
}

// Appends its figures as JSON, on one line.
void tally_write(const struct tally_minute *m, int32_t partition, struct buffer *out);

// What is committed beside the offset of a topic, the next one: until when minutes are closed, and
// tally_resume's offset. And back; false: it is no such text.
#define TALLY_NOTE_BYTES 96
void tally_note(const struct tally *t, enum shop_topic topic, char out[TALLY_NOTE_BYTES]);
bool tally_read_note(const char *note, int64_t *closed_ms, int64_t *resume);

#endif
