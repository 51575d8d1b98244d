// The inside of struct log_manager, for the files that make it up.
#ifndef STORAGE_LOG_MANAGER_STATE_H
#define STORAGE_LOG_MANAGER_STATE_H

#include "base/heap.h"
#include "base/map.h"
#include "os/thread.h"
#include "storage/cleaner_throttle.h"
#include "storage/file_cache.h"
#include "storage/log_manager.h"
#include "storage/reaper.h"

#include <pthread.h>
#include <stdatomic.h>

#define MANAGED_KEY_BYTES 20 // topic id, partition

struct managed_log {
    struct log *log;    // NULL: it could not be loaded; its checkpointed numbers are kept
    _Atomic size_t dir; // another one when the log has moved, which waits for `busy`
    uint8_t key[MANAGED_KEY_BYTES];
    uint32_t busy;                      // background threads that work on it; removal waits
    atomic_bool cleaning, uncleanable;  // a thread compacts it; one tried, and no other shall
    atomic_bool moving;                 // to another directory: no round of compaction begins
    atomic_int_fast64_t rests_until_ms; // monotonic: a round found no room or memory; others come first
    int64_t first_watermark;
    // Of a log that could not be loaded.
    bool unnamed; // it has no partition.metadata: not damaged, but nobody's until the metadata names it
    char *topic;
    int32_t partition;
    int64_t recovery_point, log_start, cleaned_to;
};

// Names, by a bit of their hash each.
#define NAME_SET_WORDS 64

struct name_set {
    uint64_t words[NAME_SET_WORDS];
};

struct managed_dir {
    struct log_dir *dir;
    size_t logs, failed;
    bool was_clean;
    atomic_bool renamed; // directories of logs that went, since it was synced
    uint64_t written[5]; // hashes of the checkpoint files as last written
    // Logs that are not there (any more), of which the checkpoint files may still have lines; and those of
    // which they will have none once they are written. Guarded by the manager's lock.
    struct name_set gone, going;
};

struct cleaning {                // log_manager_clean.c
    pthread_mutex_t change_lock; // one change of the threads at a time; guards the next two
    struct clean_thread **threads;
    int running;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t changed;
    struct log_cleaner_config config;
    uint64_t version; // of the configuration
    bool started, stopping;
    struct cleaner_throttle throttle;
    atomic_uint_fast64_t rounds, failures, read_bytes, written_bytes, total_us; // of any thread
};

#define FUTURE_SUFFIX "-future"
#define MOVED_FILE \
    "odradek-moved" // in a copy that may take the log's place: it has, or nearly has, all of it

// The moves that nobody works on, by what they wait for (log_move_queue.c). [moving.lock]
struct move_queues {
    struct list ready;   // for a thread; what was begun first
    struct list leaving; // to be given up
    struct list
        settling; // for others that are to be swapped, too: one writing of the checkpoints does for all
    size_t count, settling_count;
    int64_t settling_since_us;
    bool settles;        // those that wait there have their turn
    struct heap resting; // until a time
};

struct left_move { // log_manager_mend.c: a start goes on with it
    char *future;  // the copy's path
    char *name;    // "topic-partition"
    size_t dir;
    bool over;              // it is left alone, or was finished
    struct left_move *same; // another copy of the same log
};

// What the checkpoints of a directory are to say of a log that is about to lie there: they say so before it
// does, and for as long as nobody knows whether it will.
struct arrival {
    struct list node; // in moving.arrivals
    const char *topic;
    int32_t partition;
    size_t dir;
    int64_t recovery_point, log_start, watermark, cleaned_to;
    bool written;     // since these are its numbers
    atomic_bool over; // the log is deleted: nothing is said of it any more
};

struct moving { // log_manager_move.c
    struct move_thread *threads;
    size_t running;
    pthread_mutex_t lock; // before the manager's; guards what follows
    pthread_cond_t changed;
    struct list moves; // of struct log_move
    struct map by_key; // the newest move of a log
    struct move_queues queues;
    uint64_t last_id;
    bool stopping;
    struct cleaner_throttle throttle;
    struct left_move *left;
    size_t left_count;
    struct map left_by_name;
    struct list arrivals;             // guarded by checkpoint_lock
    atomic_uint_fast64_t done, bytes; // of any thread
};

struct log_manager {
    struct log_manager_params params;
    struct managed_dir *dirs;
    struct file_cache *files;
    struct reaper *reaper;

    pthread_mutex_t lock; // guards what follows
    pthread_cond_t idle;  // a busy count fell to zero
    struct map by_key;    // to struct managed_log
    struct map preferred; // "topic-partition" of logs that are not made yet: struct preferred_dir
    struct managed_log **logs;
    size_t count, capacity;

    pthread_mutex_t checkpoint_lock; // one writer of the checkpoint files at a time

    pthread_mutex_t work_lock; // guards stopping and the queue
    pthread_cond_t work;
    bool stopping, started;
    struct list saves; // of struct log_start_save
    bool saves_waiting;
    struct thread flusher, cleaner;
    struct cleaning cleaning;
    struct moving moving;

    atomic_uint_fast64_t flushes, slow_flushes, flush_us;
};

void managed_key(const struct uuid *topic_id, int32_t partition, uint8_t key[MANAGED_KEY_BYTES]);

// Adds a log to the set; the manager's lock is not held. ERR_EXISTS when the key is there.
int log_manager_add(struct log_manager *m, struct managed_log *log);

// Takes it out of the list, for good. Under the lock.
void log_manager_take_out(struct log_manager *m, const struct managed_log *managed);

// Calls fn for every loaded log while it is marked busy. fn returns false to stop.
void log_manager_walk(struct log_manager *m, bool (*fn)(void *arg, struct managed_log *log), void *arg);

// log_manager_load.c: loads one directory. *same_boot says whether the data was written under this kernel's
// boot.
int log_manager_load_dir(struct log_manager *m, size_t dir, int64_t now_ms, char *message,
                         size_t message_size);

// Writes the checkpoint of log starts alone.
int log_manager_checkpoint_starts(struct log_manager *m);

// log_manager_starts.c: serves who waits for a log's start to be saved. On log-flush.
void log_manager_serve_saves(struct log_manager *m);

// log_manager_clean.c
int log_manager_init_cleaning(struct log_manager *m);
void log_manager_free_cleaning(struct log_manager *m);
int log_manager_start_cleaning(struct log_manager *m);
void log_manager_stop_cleaning(struct log_manager *m); // rounds under way are given up

// A log that stays until let_go, or NULL.
struct managed_log *log_manager_hold(struct log_manager *m, const uint8_t key[MANAGED_KEY_BYTES]);
void log_manager_let_go(struct log_manager *m, struct managed_log *managed);

// log_manager.c. [checkpoint_lock] The checkpoints of a directory, with the lines of all arrivals; these are
// written afterwards.
int log_manager_checkpoint_arrivals(struct log_manager *m, size_t dir);

// The checkpoint files of the directory may have lines of a log of that name, which is not there (any more).
// [the manager's lock]
void log_manager_note_gone(struct log_manager *m, size_t dir, const char *name);
// Before a log is made: none of the directory's checkpoint files has a line of another one with its name,
// which a start after a crash would take for this one's.
int log_manager_forget_lines(struct log_manager *m, size_t dir, const char *topic, int32_t partition);

// log_manager_create.c
void log_manager_free_preferred(struct log_manager *m);

// log_manager_mend.c: before the logs are loaded, and when all are
int log_manager_mend_moves(struct log_manager *m);
void log_manager_go_on_moving(struct log_manager *m);
void log_manager_free_left(struct log_manager *m);
// A copy's directory goes: at once under a name that no start takes for a copy, in the background for good.
int log_manager_drop_future(struct log_manager *m, const char *path);

// log_manager_move.c
void log_manager_init_moving(struct log_manager *m);
void log_manager_free_moving(struct log_manager *m);
int log_manager_start_moving(struct log_manager *m);
void log_manager_stop_moving(struct log_manager *m); // moves under way begin anew with the next start
void log_manager_forget_move(struct log_manager *m, const uint8_t key[MANAGED_KEY_BYTES]);
uint64_t log_manager_moves_under_way(struct log_manager *m);

// log_manager_work.c
int log_manager_start_threads(struct log_manager *m);
void log_manager_stop_threads(struct log_manager *m);

#endif
