// One shard. Private to the coordinator's root.
#ifndef COORDINATOR_SHARD_H
#define COORDINATOR_SHARD_H

#include "coordinator/coordinator.h"
#include "coordinator/linger.h"
#include "os/loop.h"
#include "os/thread.h"

enum shard_state { SHARD_ABSENT, SHARD_LOADING, SHARD_ACTIVE };

struct shard {
    struct coordinator *coordinator;
    int32_t index;
    struct loop *home; // its timer and its wakes run there

    pthread_mutex_t lock; // guards everything below
    enum shard_state state;
    int32_t leader_epoch;
    struct partition *partition; // referenced while loading or active
    void *machine;               // its state; NULL: absent, or nothing was ever asked of it
    int64_t last_offset;         // of the last record that the state contains; -1: none
    struct list unreplicated;    // answered requests above the high watermark, by offset
    struct partition_waiter waiter;
    struct task wake;
    struct linger linger;
    struct task reload;
    struct list load_node; // in the coordinator's queue, under its lock

    struct loop_timer timer; // the home loop's
    struct task rearm;
    _Atomic int64_t armed_ms; // when the timer fires or will have been asked to; INT64_MAX: never
};

struct coordinator {
    struct coordinator_params params;
    struct shard *_Atomic shards; // made once, when the topic is first seen
    _Atomic int32_t shard_count;

    void (*reload)(struct shard *s); // a shard waits to be loaded; without its lock

    pthread_mutex_t lock; // guards what follows, and the making of shards
    atomic_bool stopping; // read without it while loading
    bool loader_runs, loader_joinable;
    struct list to_load;
    struct thread loader;
};

void shard_init(struct shard *s, struct coordinator *c, int32_t index);
void shard_free(struct shard *s);

// This broker leads the partition from now on: the state is to be rebuilt. Takes a reference. Returns whether
// there is something to read; if not the shard is active at once.
bool shard_gain(struct shard *s, struct partition *p, int32_t leader_epoch);
// Not any more, or the server stops: everything that waits is answered with the error.
void shard_lose(struct shard *s, int16_t error);

bool shard_ask(struct shard *s, struct coordinator_request *request);
bool shard_mark(struct shard *s, const struct transaction_marker *marker,
                struct coordinator_request *request);
int32_t shard_epoch(struct shard *s); // -1: not active
bool shard_is_loading(struct shard *s);

// Appends what lingers, now.
void shard_flush(struct shard *s);

// Rebuilds the state of a shard that was gained. On the loader's thread.
void shard_load(struct shard *s);

// The shard was read: `machine` contains it up to last_offset. For load.c; gives the machine back (false)
// when the shard was lost or gained anew meanwhile.
bool shard_loaded(struct shard *s, int32_t leader_epoch, void *machine, int64_t last_offset);

#endif
