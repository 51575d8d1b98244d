// Quiescent-state-based reclamation: shared, immutable things (the metadata image) are read with one atomic
// load and no count; what was replaced is freed once every registered thread has passed a point at which it
// holds nothing (a turn of its loop).
//
// A reader thread registers, calls qsbr_quiescent between turns, and qsbr_offline / qsbr_online around a
// wait (a sleeping thread must not hold memory back). A thread that is not registered may not read.
#ifndef BASE_QSBR_H
#define BASE_QSBR_H

#include <stdatomic.h>
#include <stdint.h>

struct qsbr_thread {
    _Atomic uint64_t seen; // the epoch of its last quiescent point; 0 while offline
    struct qsbr_thread *next;
};

// Register the calling thread: online from now on. The struct lives until qsbr_unregister.
void qsbr_register(struct qsbr_thread *t);
void qsbr_unregister(struct qsbr_thread *t);

// The thread holds nothing that it loaded before. A load and a store: call it every turn.
void qsbr_quiescent(struct qsbr_thread *t);

// Before and after a wait. Offline, the thread holds nothing and reads nothing.
void qsbr_offline(struct qsbr_thread *t);
void qsbr_online(struct qsbr_thread *t);

// `release(thing)` runs once no registered thread can still hold `thing`, which must not be reachable for new
// readers any more. It runs inside a later qsbr_retire or qsbr_reclaim, on that thread. Any thread.
// 0, or ERR_NOMEM: the thing is then still the caller's.
int qsbr_retire(void (*release)(void *), void *thing);

// Runs what is due. Returns how many things still wait. Any thread.
unsigned qsbr_reclaim(void);

#endif
