// What a move under way is, and one step of it (log_mover.c). For log_manager_move.c, which has the threads.
#ifndef STORAGE_LOG_MOVER_H
#define STORAGE_LOG_MOVER_H

#include "base/buffer.h"
#include "storage/log_manager_state.h"

// Guarded by moving.lock; what stands behind `busy` belongs to the thread that works on it, and `copy` is set
// and cleared under the lock.
struct log_move {
    struct list node;
    uint64_t id;
    uint8_t key[MANAGED_KEY_BYTES];
    char *name; // "topic-partition"
    int32_t partition;
    size_t dir;             // to which
    atomic_bool cancelled;  // any thread
    bool committing;        // it is too late to cancel it; also when it has been done
    bool superseded;        // while it was: another move of the log follows, or takes its place if this fails
    bool swapped;           // what `copy` has is the old log
    bool torn;              // it stopped half-way: the copy may be all that there is, and a start finishes it
    int64_t rests_until_us; // monotonic
    bool busy;              // a thread works on it

    char future[300]; // the copy's directory; empty: there is none
    struct log *copy;
    unsigned truncations; // of the log, when the copy was begun
    bool near, flushed, noted;
    int flushes;
    int64_t began_ms, bytes;
};

struct move_thread {
    struct log_manager *m;
    struct buffer piece;
    struct thread thread;
};

// Gives the move a directory for its copy, under a new name, and makes that last.
int log_move_make_future(struct log_manager *m, struct log_move *move);

struct log_move_rest {
    int64_t thread_us; // for so long the thread takes nothing more
    int64_t move_us;   // for so long nobody works on this move
};

// Does what comes next. True: the move is over, and log_move_end is to follow.
bool log_move_step(struct move_thread *t, struct log_move *move, struct log_move_rest *rest);

// Removes what is left: the copy, or the old log's files.
void log_move_end(struct log_manager *m, struct log_move *move);

#endif
