// What a move under way is, and one step of it (log_mover.c). For log_manager_move.c, which has the threads.
#ifndef STORAGE_LOG_MOVER_H
#define STORAGE_LOG_MOVER_H

#include "base/buffer.h"
#include "storage/log_manager_state.h"

// Guarded by moving.lock; what stands behind `busy` belongs to the thread that works on it, and `copy` is set
// and cleared under the lock.
struct log_move {
    struct list node;
    struct log_move *older, *newer; // of the same log; only the oldest is worked on
    struct list turn;               // in one of the queues, or in none
    struct heap_node rest;
    uint64_t id;
    uint8_t key[MANAGED_KEY_BYTES];
    char *name, *topic; // "topic-partition"
    int32_t partition;
    size_t dir;             // to which
    atomic_bool cancelled;  // any thread
    bool committing;        // it is too late to cancel it; also when it has been done
    bool superseded;        // while it was: another move of the log follows, or takes its place if this fails
    bool swapped;           // what `copy` has is the old log
    bool torn;              // it stopped half-way: the copy may be all that there is, and a start finishes it
    int64_t rests_until_us; // monotonic
    bool busy;              // a thread works on it, or its directory is still to be made
    bool begun;             // a thread has worked on it: it comes before those that have not been
    bool settles;           // it waits for others that are to be swapped

    char future[300]; // the copy's directory; empty: there is none
    struct log *copy;
    unsigned truncations;                 // of the log, when the copy was begun
    bool near, flushed, noted, announced; // announced: `arrival` is in its list
    int flushes, held_up;
    int64_t read_base, read_position; // of the log: the segment, and where in it, behind what was copied last
    size_t producers;                 // of the copy, when those that have expired were last dropped
    struct arrival arrival;           // guarded by checkpoint_lock
    int64_t began_ms, bytes;
};

struct move_thread {
    struct log_manager *m;
    struct buffer piece;
    struct thread thread;
};

// Gives the move a directory for its copy, under a new name; and makes such names last.
int log_move_make_future(struct log_manager *m, struct log_move *move);
int log_move_sync_futures(struct log_manager *m, size_t dir);

struct log_move_rest {
    int64_t thread_us; // for so long the thread takes nothing more
    int64_t move_us;   // for so long nobody works on this move
    bool settles;      // the move waits for others
};

// Does what comes next. True: the move is over, and log_move_end is to follow.
bool log_move_step(struct move_thread *t, struct log_move *move, struct log_move_rest *rest);

// Removes what is left: the copy, or the old log's files.
void log_move_end(struct log_manager *m, struct log_move *move);

// log_move_copy.c. Copies what follows, at most `limit` bytes (or a batch, where that is larger). *copied:
// how much; 0: the log has nothing more up to its end. ERR_CORRUPT: what comes next is not what it was.
int log_move_copy_piece(struct move_thread *t, struct log_move *move, struct log *log, size_t limit,
                        size_t *copied);
// Nothing was found from `offset` to `position` in segment `until` (NULL: to the log's end). Offsets may
// lack: compaction took them. But an index that is damaged leads past batches, too, and these would be lost
// with the copy: ERR_CORRUPT.
int log_move_check_gap(struct log *log, const struct log_move *move, int64_t offset,
                       const struct segment *until, int64_t position);

// log_move_queue.c. [moving.lock] In the queue that it belongs in, or in none while somebody works on it, an
// older move of the log is under way, or a start is to finish it.
void move_queues_init(struct move_queues *q);
void move_queues_put(struct move_queues *q, struct log_move *move, int64_t now_us);
// Takes out what is worked on next: until what a thread has copied is paid for, only what is to be given up.
// NULL: nothing before *next_us (monotonic; INT64_MAX: before another move comes).
struct log_move *move_queues_pick(struct move_queues *q, int64_t now_us, int64_t paid_at_us,
                                  int64_t *next_us);

#endif
