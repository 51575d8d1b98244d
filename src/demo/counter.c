// A member of the group that counts. What it holds in memory can be had again from the topics: beside what it
// has read it commits where somebody would have to begin to read for counting the open minutes again, and
// which ones are closed. Figures are written before that is committed, so that a minute may be written twice,
// with the same key and the same figures, and never not at all.
#include "base/clock.h"
#include "base/error.h"
#include "demo/demo_threads.h"
#include "demo/member.h"
#include "demo/tally.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMIT_MS      5000
#define EARLY_ROUNDS   20 // in which it is not worth a word that something is not there yet
#define POSITIONS_MOST (SHOP_TOPICS * DEMO_PARTITIONS_MOST)

_Static_assert(DEMO_NOTE_BYTES >= TALLY_NOTE_BYTES, "a note has room beside its offset");

struct counter {
    struct demo *demo;
    struct demo_link link;
    struct demo_member member;
    struct demo_outbox box;
    struct buffer text;
    struct tally tallies[DEMO_PARTITIONS_MOST]; // of the member's partitions
    int32_t tallies_count;
    struct demo_wanted wanted[POSITIONS_MOST];
    struct demo_position positions[POSITIONS_MOST];
    int64_t beat_ms, commit_ms; // monotonic: when it is due again
    bool counting;
    int failures, early; // early: rounds in which something was not there yet
};

// Of tally i, topic t.
static struct demo_position *position_of(struct counter *c, int32_t i, int t)
{
    return &c->positions[t * c->tallies_count + i];
}

static void forget(struct counter *c)
{
    for (int32_t i = 0; i < c->tallies_count; i++)
        tally_free(&c->tallies[i]);
    c->tallies_count = 0;
    outbox_free(&c->box);
    c->box = (struct demo_outbox){0};
    c->counting = false;
}

static int take_up(struct counter *c)
{
    int32_t count = c->member.partitions_count;
    c->tallies_count = count;
    for (int32_t i = 0; i < count; i++) {
        tally_init(&c->tallies[i], 0, (int64_t[SHOP_TOPICS]){0});
        for (int t = 0; t < SHOP_TOPICS; t++)
            *position_of(c, i, t) =
                (struct demo_position){.topic = (enum shop_topic)t, .partition = c->member.partitions[i]};
    }
    int err = count > 0 ? member_positions(&c->member, &c->link, c->positions, count * SHOP_TOPICS) : 0;
    for (int32_t i = 0; !err && i < count; i++) {
        int64_t next[SHOP_TOPICS], closed_ms = 0;
        for (int t = 0; t < SHOP_TOPICS; t++) {
            const struct demo_position *p = position_of(c, i, t);
            int64_t noted_ms, open;
            next[t] = p->offset > 0 ? p->offset : 0;
            if (!tally_read_note(p->note, &noted_ms, &open))
                continue;
            next[t] = open < next[t] ? open : next[t];
            closed_ms = noted_ms > closed_ms ? noted_ms : closed_ms;
        }
        tally_init(&c->tallies[i], closed_ms, next);
    }
    return err;
}

static int begin(struct counter *c)
{
    forget(c);
    int err = c->link.servers ? 0 : link_open(&c->link, c->demo->options.servers);
    err = err ? err : member_join(&c->member, &c->link);
    err = err ? err : take_up(c);
    c->counting = !err;
    c->beat_ms = clock_monotonic_ms() + DEMO_HEARTBEAT_MS;
    c->commit_ms = clock_monotonic_ms() + COMMIT_MS;
    return err;
}

static struct tally *tally_of(struct counter *c, int32_t partition)
{
    for (int32_t i = 0; i < c->tallies_count; i++)
        if (c->member.partitions[i] == partition)
            return &c->tallies[i];
    return NULL;
}

static int count_record(void *context, const struct demo_wanted *from, int64_t offset, int64_t timestamp_ms,
                        struct bytes value)
{
    struct shop_event event;
    bool ours = value.data && shop_event_read(from->topic, timestamp_ms, value, &event);
    return tally_add(tally_of(context, from->partition), from->topic, offset, ours ? &event : NULL);
}

static int read_round(struct counter *c)
{
    int32_t count = c->tallies_count, all = count * SHOP_TOPICS;
    for (int32_t i = 0; i < count; i++)
        for (int t = 0; t < SHOP_TOPICS; t++)
            c->wanted[i * SHOP_TOPICS + t] = (struct demo_wanted){.topic = (enum shop_topic)t,
                                                                  .partition = c->member.partitions[i],
                                                                  .offset = c->tallies[i].next[t]};
    if (count == 0) // others have all of it
        demo_pause(c->demo, DEMO_TICK_MS);
    int err = link_fetch(&c->link, c->wanted, all, DEMO_TICK_MS, count_record, c);
    for (int32_t i = 0; !err && i < count; i++) {
        bool read_all[SHOP_TOPICS];
        for (int t = 0; t < SHOP_TOPICS; t++) {
            c->tallies[i].next[t] = c->wanted[i * SHOP_TOPICS + t].offset;
            read_all[t] = c->wanted[i * SHOP_TOPICS + t].read_all;
        }
        tally_round(&c->tallies[i], read_all);
    }
    return err;
}

static int add_minute(struct counter *c, int32_t partition, const struct tally_minute *m)
{
    char time[SHOP_TIME_BYTES], key[SHOP_TIME_BYTES + 16];
    shop_time_text(m->from_ms, time);
    int size = snprintf(key, sizeof key, "%s/%d", time, partition);
    buffer_clear(&c->text);
    tally_write(m, partition, &c->text);
    if (c->text.failed)
        return link_fail(&c->link, ERR_NOMEM, "out of memory");
    outbox_add(&c->box, DEMO_MINUTES, partition, m->from_ms, (struct bytes){(uint8_t *)key, (size_t)size},
               (struct bytes){c->text.data, c->text.size});
    return 0;
}

// Writes the figures of what is over.
static int close_minutes(struct counter *c)
{
    int err = 0;
    for (int32_t i = 0; i < c->tallies_count; i++) {
        const struct tally_minute *m;
        while (!err && (m = tally_closed(&c->tallies[i]))) {
            err = add_minute(c, c->member.partitions[i], m);
            tally_drop(&c->tallies[i]);
        }
    }
    if (err || c->box.records == 0)
        return err;
    c->commit_ms = 0; // at once
    return outbox_send(&c->box, &c->link);
}

static int commit(struct counter *c)
{
    int32_t count = c->tallies_count;
    c->commit_ms = clock_monotonic_ms() + COMMIT_MS;
    for (int32_t i = 0; i < count; i++)
        for (int t = 0; t < SHOP_TOPICS; t++) {
            struct demo_position *p = position_of(c, i, t);
            p->offset = c->tallies[i].next[t];
            tally_note(&c->tallies[i], (enum shop_topic)t, p->note);
        }
    return count > 0 ? member_commit(&c->member, &c->link, c->positions, count * SHOP_TOPICS) : 0;
}

static int go_round(struct counter *c)
{
    int err = read_round(c);
    err = err ? err : close_minutes(c);
    if (!err && clock_monotonic_ms() >= c->commit_ms)
        err = commit(c);
    if (!err && clock_monotonic_ms() >= c->beat_ms) {
        c->beat_ms = clock_monotonic_ms() + DEMO_HEARTBEAT_MS;
        err = member_beat(&c->member, &c->link);
    }
    return err;
}

// What went wrong: a new generation is joined at once; else it is all begun again, a little later.
static void recover(struct counter *c, int err)
{
    c->counting = false;
    if (err == ERR_AGAIN && c->member.connected)
        return;
    member_close(&c->member);
    link_close(&c->link);
    // Topics, which the other thread makes, or a coordinator are about to come.
    if (err != ERR_NOT_FOUND || ++c->early > EARLY_ROUNDS)
        demo_note(c->demo, &c->failures, err, c->link.error);
    demo_pause(c->demo, DEMO_RETRY_MS);
}

void counter_run(void *demo)
{
    struct counter *c = calloc(1, sizeof *c);
    if (!c)
        return;
    c->demo = demo;
    while (!demo_stopping(c->demo)) {
        int err = c->counting ? go_round(c) : begin(c);
        if (err) {
            recover(c, err);
            continue;
        }
        c->early = 0;
        demo_note(c->demo, &c->failures, 0, NULL);
    }
    if (c->counting)
        commit(c);
    member_leave(&c->member, &c->link);
    forget(c);
    link_close(&c->link);
    buffer_free(&c->text);
    free(c);
}
