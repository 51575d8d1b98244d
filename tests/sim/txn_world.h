// What surrounds the machine of transactions in its simulation: a log with a high watermark that lags and a
// tail that a failover may lose, the partitions that transactions write to, and the truth, which is read off
// the log.
#ifndef TXN_WORLD_H
#define TXN_WORLD_H

#include "seeded.h"

#include "base/map.h"
#include "coordinator/transaction/transaction.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS        3
#define PARTITIONS 4
#define PRODUCERS  1024 // producer ids that are given out, from 0
#define SERIALS    4096 // transactions of an id
#define NO_SERIAL  0

enum { GONE = -1, EMPTY, ONGOING, PREPARE_COMMIT, PREPARE_ABORT, COMPLETE_COMMIT, COMPLETE_ABORT };
enum decision { OPEN, COMMITTED, ABORTED };

// What the log says of a transactional id.
struct truth {
    int state;
    int64_t producer_id;
    int16_t epoch;
    uint32_t serial; // of its newest transaction; 0: none yet
    uint8_t decision[SERIALS];
};

static const char *const state_names[] = {"none",         "Empty",          "Ongoing",      "PrepareCommit",
                                          "PrepareAbort", "CompleteCommit", "CompleteAbort"};

static bool may_follow(int from, int to)
{
    switch (from) {
    case ONGOING:
        return to == ONGOING || to == PREPARE_COMMIT || to == PREPARE_ABORT;
    case PREPARE_COMMIT:
        return to == COMPLETE_COMMIT;
    case PREPARE_ABORT:
        return to == COMPLETE_ABORT;
    default:
        return to == EMPTY || to == ONGOING || to == PREPARE_ABORT || (to == GONE && from != GONE);
    }
}

// A record of the log. At most one decision a transaction, and what is prepared is completed as it was
// prepared.
static void truth_follow(struct truth *t, int to, int64_t producer_id, int16_t epoch)
{
    CHECK(may_follow(t->state, to), "%s follows %s", state_names[to + 1], state_names[t->state + 1]);
    CHECK(t->state == GONE || to == GONE || producer_id != t->producer_id || epoch >= t->epoch,
          "the epoch goes back from %d to %d", t->epoch, epoch);
    bool begins = (to == ONGOING || to == PREPARE_ABORT) && t->state != ONGOING;
    if (begins) {
        t->serial++;
        CHECK(t->serial < SERIALS, "%u", t->serial);
        t->decision[t->serial] = OPEN;
    }
    if (to == PREPARE_COMMIT || to == PREPARE_ABORT) {
        CHECK(t->decision[t->serial] == OPEN, "transaction %u is decided twice", t->serial);
        t->decision[t->serial] = to == PREPARE_COMMIT ? COMMITTED : ABORTED;
    }
    t->state = to;
    t->producer_id = producer_id;
    t->epoch = epoch;
}

static void truth_reset(struct truth *t)
{
    memset(t, 0, sizeof *t);
    t->state = GONE;
}

static bool truth_ends(const struct truth *t)
{
    return t->state != ONGOING && t->state != PREPARE_COMMIT && t->state != PREPARE_ABORT;
}

// The ids are "a", "b", ...
static int id_index(struct str id)
{
    return id.data[0] - 'a';
}

static void truth_read(struct truth *truths, struct bytes key, struct bytes value)
{
    struct arena arena;
    struct transaction_log_key k;
    struct transaction_log_value v;
    arena_init(&arena, 0);
    CHECK(message_decode(&transaction_log_key_type, 0, (struct bytes){key.data + 2, key.size - 2}, &arena, &k,
                         NULL) == 0,
          "a key");
    struct truth *t = &truths[id_index(k.transactional_id)];
    if (!value.data) {
        truth_follow(t, GONE, t->producer_id, t->epoch);
    } else {
        CHECK(message_decode(&transaction_log_value_type, (int16_t)load_be16(value.data),
                             (struct bytes){value.data + 2, value.size - 2}, &arena, &v, NULL) == 0,
              "a value");
        truth_follow(t, v.transaction_status, v.producer_id, v.producer_epoch);
    }
    arena_free(&arena);
}

// A partition as far as transactions concern it: of each producer the epoch, what is open, and whose marker
// came last.
struct written {
    int16_t epoch;
    int32_t coordinator_epoch;
    int id;
    uint32_t serial; // of the open transaction; NO_SERIAL: none
};

struct partition_model {
    struct written of[PRODUCERS];
};

static bool partition_write(struct partition_model *p, int64_t producer_id, int16_t epoch, int id,
                            uint32_t serial)
{
    struct written *w = &p->of[producer_id];
    if (epoch < w->epoch)
        return false;
    CHECK(w->serial == NO_SERIAL || w->serial == serial,
          "transaction %u of id %d writes into the open transaction %u", serial, id, w->serial);
    w->epoch = epoch;
    w->id = id;
    w->serial = serial;
    return true;
}

// A marker; false: refused, as a later coordinator's was here.
static bool partition_mark(struct partition_model *p, const struct truth *truths,
                           const struct transaction_markers *m)
{
    struct written *w = &p->of[m->producer_id];
    if (m->coordinator_epoch < w->coordinator_epoch)
        return false;
    w->coordinator_epoch = m->coordinator_epoch;
    if (m->producer_epoch < w->epoch)
        return true;
    if (w->serial != NO_SERIAL) {
        enum decision decided = truths[w->id].decision[w->serial];
        CHECK(decided == (m->committed ? COMMITTED : ABORTED),
              "a marker to %s ends transaction %u of id %d, which was %s", m->committed ? "commit" : "abort",
              w->serial, w->id,
              decided == OPEN        ? "not decided"
              : decided == COMMITTED ? "committed"
                                     : "aborted");
    }
    w->epoch = m->producer_epoch;
    w->serial = NO_SERIAL;
    return true;
}

#endif
