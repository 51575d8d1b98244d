// All logs of the broker, over its log directories: loading at start, creating and deleting, the checkpoint
// files, and the threads that flush, apply retention and remove deleted files.
//
// Threads: any thread may call log_manager_get, _create, _delete and _checkpoint; the rest belongs to the
// thread that starts and stops the broker. The manager's own threads (named log-flush, log-clean,
// log-compact-N) take a partition's lock through the callbacks below when they must.
#ifndef STORAGE_LOG_MANAGER_H
#define STORAGE_LOG_MANAGER_H

#include "base/list.h"
#include "storage/cleaner_config.h"
#include "storage/log.h"
#include "storage/log_dir.h"

struct log_manager;

struct log_manager_params {
    struct log_dir *const *dirs; // opened and locked; log_manager_close closes them
    size_t dir_count;
    size_t open_files_max;  // bound of open segment files that nobody has pinned; 0: 128
    int load_threads;       // a directory; num.recovery.threads.per.data.dir; 0: 2
    int64_t flush_check_ms; // log.flush.scheduler.interval.ms
    int64_t checkpoint_ms;  // log.flush.offset.checkpoint.interval.ms; at most 5 s pass, however large it is
    int64_t retention_check_ms;  // log.retention.check.interval.ms
    int64_t retention_first_ms;  // log.initial.task.delay.ms: the first time, where that is sooner
    int64_t producer_check_ms;   // producer.id.expiration.check.interval.ms
    int64_t background_flush_ms; // data that lies unflushed for longer is flushed so that a crash scan is
                                 // short; 0: 60 s
    struct log_cleaner_config cleaner; // at start
    int move_threads;                  // num.replica.alter.log.dirs.threads; 0: one for each directory
    double move_bytes_per_second;      // at start
    const char *const
        *skip; // directory names that belong to others ("__cluster_metadata-0"); NULL-terminated

    // The settings of a topic (at start, and for new logs). Fills *out. Called from the loading threads.
    void (*config_of)(void *arg, const char *topic, struct log_config *out);
    // A log lies in another directory now. On a thread of the manager's; it must only post. May be NULL.
    void (*moved)(void *arg);
    void *arg;
};

// Removes the clean-stop markers, loads every log (several threads a directory) and finishes interrupted
// deletions. A log that cannot be loaded is offline: it is logged, and the rest is served.
// ERR_IO when a directory cannot be read, ERR_NOMEM. `message` (may be NULL): one line for a person. After an
// error the directories are still the caller's.
int log_manager_open(const struct log_manager_params *params, struct log_manager **out, char *message,
                     size_t message_size);

// Starts the background threads. Until then nothing is flushed, expired or removed.
int log_manager_start(struct log_manager *manager);

// Stops the threads; flushes and closes every log; writes the checkpoints and, where all went well, the clean
// marker with this broker epoch (-1: unknown); unlocks the directories; frees. Nobody appends any more.
// Returns the first error.
int log_manager_close(struct log_manager *manager, int64_t broker_epoch);

// Changes how logs are compacted, at once: threads come and go, and a round under way goes on at the new
// rate. ERR_NOMEM, ERR_IO when a thread could not be started. Any thread; it may wait some 50 ms for a thread
// to end.
int log_manager_set_cleaner(struct log_manager *manager, const struct log_cleaner_config *config);

// The log of a topic id and partition, or NULL. It stays valid until it is deleted or the manager is closed.
struct log *log_manager_get(struct log_manager *manager, const struct uuid *topic_id, int32_t partition);

struct log_creation {
    const char *topic;
    struct uuid topic_id;
    int32_t partition;
    struct uuid directory_id; // where the metadata has it; no directory's (zero): anywhere
    bool known;               // the partition is not new: a directory that is off line may have its log
};

// Makes a new, empty log in the directory that is named, or else in the one with the fewest logs. ERR_EXISTS
// (with *out) when there is one; ERR_CLOSED when it may lie in a directory that is off line, or all are.
int log_manager_create(struct log_manager *manager, const struct log_creation *creation, struct log **out);

// The same for many, by several threads; those that could not be made are missing. Their places may be a few
// off the fewest.
void log_manager_create_many(struct log_manager *manager, const struct log_creation *all, size_t count);

enum log_removal {
    LOG_REMOVE_DELETE,    // the directory is renamed at once and removed in the background
    LOG_REMOVE_SET_ASIDE, // renamed to <name>.<uuid>-stray: the metadata does not know it; nothing removes it
};

// Takes the log out of the manager and its directory out of the way. Every later call on the log answers
// ERR_CLOSED; the caller frees it with log_close when nobody uses it any more. Not while holding its lock.
int log_manager_remove(struct log_manager *manager, struct log *log, enum log_removal how);

// Behind removals: they outlast a crash of the machine. One sync a directory, however many there were.
void log_manager_sync_removals(struct log_manager *manager);

// Logs without partition.metadata that nobody has made known by now (log_manager_create) get out of the way
// of later ones of their name, as strays. At the start, once what the metadata names is there.
void log_manager_set_aside_unnamed(struct log_manager *manager);

// Calls fn for every log; not while holding a log's lock. fn may remove the log that it is given.
void log_manager_each(struct log_manager *manager, void (*fn)(void *arg, struct log *log), void *arg);

// The high watermark that the last run's replication-offset-checkpoint names for this log, or 0.
int64_t log_manager_checkpointed_watermark(struct log_manager *manager, const struct log *log);

// Writes the checkpoint files of every directory now: recovery points, log starts, high watermarks.
int log_manager_checkpoint(struct log_manager *manager);

// Waits for the logs' start offsets to be on disk (DeleteRecords). The memory is whoever's who waits.
struct log_start_save {
    struct list node;
    // Called once, with 0 or why they are not, on the manager's thread and under its lock: it must only post.
    void (*done)(struct log_start_save *save, int rc);
};

// Has every start that was set before this call saved. Segments that lie wholly below go with retention. Any
// thread; never blocks on the disk.
void log_manager_save_start(struct log_manager *manager, struct log_start_save *save);

// Stops waiting. Afterwards `done` does not start any more; it may have run.
void log_manager_save_cancel(struct log_manager *manager, struct log_start_save *save);

// Calls fn for every loaded log, with the place of its directory in params.dirs; the log stays while fn runs.
void log_manager_visit(struct log_manager *manager, void (*fn)(void *arg, size_t dir, struct log *log),
                       void *arg);

// Has the log moved to another directory (by its place in params.dirs) in the background, or, where it lies
// there already, a move under way given up. 0 also when it is under way; ERR_NOT_FOUND: there is no such log;
// ERR_CLOSED: its directory, or any other, is off line; ERR_NOMEM. Any thread.
int log_manager_move(struct log_manager *manager, const struct uuid *topic_id, int32_t partition, size_t dir);

// The same for many, which share what is to be synced.
struct log_wish {
    struct uuid topic_id;
    int32_t partition;
    size_t dir;
    int rc; // what came of it
    // The manager's own.
    struct log_move *fresh;
    uint64_t called_off;
};
void log_manager_move_many(struct log_manager *manager, struct log_wish *wishes, size_t count);

struct log_moving {
    const char *topic;
    int32_t partition;
    size_t dir;              // to which
    int64_t size_bytes, lag; // of the copy; offsets
};

// Calls fn for every move under way, under the lock of the moves: it must not call back.
void log_manager_visit_moves(struct log_manager *manager,
                             void (*fn)(void *arg, const struct log_moving *move), void *arg);

// Over all moves. Any thread.
void log_manager_set_move_rate(struct log_manager *manager, double bytes_per_second);

// Where a log that is not made yet is to be made, unless the metadata names a directory; forgotten when it
// is, or at a stop. Without memory, or with very many of them, nothing is remembered.
void log_manager_prefer(struct log_manager *manager, struct str topic, int32_t partition, size_t dir);

struct log_manager_dir {
    const char *path;
    bool failed, cordoned;
};

// Whether no directory is off line; whether the one with this id is among them and works. Any thread.
bool log_manager_all_dirs_work(const struct log_manager *manager);
bool log_manager_dir_works(const struct log_manager *manager, const struct uuid *id);

size_t log_manager_dir_count(const struct log_manager *manager);
void log_manager_dir(const struct log_manager *manager, size_t dir, struct log_manager_dir *out);

// The directory a log lives in.
const struct log_dir *log_manager_dir_of(struct log_manager *manager, const struct log *log);

// Its id; zero when the log is not the manager's.
struct uuid log_manager_directory_id(struct log_manager *manager, const struct log *log);

struct log_manager_counts {
    size_t logs, offline_logs, open_files;
    size_t uncleanable_logs; // that no cleaner tries again
    uint64_t flushes, slow_flushes, flush_us_total;
    uint64_t cleanings, failed_cleanings, cleaner_read_bytes, cleaner_written_bytes, cleaner_us_total;
    uint64_t moves, moves_done, moved_bytes; // to other directories; the first one is now
};

void log_manager_counts(struct log_manager *manager, struct log_manager_counts *out);

#endif
