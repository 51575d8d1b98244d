// The inside of struct log, for the files that make it up. Nobody outside includes this.
//
// Locks, in this order: lock (the partition's) > load_lock > flush_lock > rebuild_lock > index_lock >
// publish. Only `lock` and flush_lock are held during I/O on the log's data; publish is held for a copy of
// numbers.
#ifndef STORAGE_LOG_STATE_H
#define STORAGE_LOG_STATE_H

#include "storage/dir_health.h"
#include "storage/epoch_cache.h"
#include "storage/log.h"
#include "storage/producer_state.h"
#include "storage/segment.h"
#include "storage/txn_index.h"

#include <pthread.h>

// Where an offset lies, as far as it is known.
struct log_mark {
    int64_t offset;
    int64_t segment_base; // LOG_NO_OFFSET: not known
    int64_t position;     // of the first batch that ends at or above the offset
};

struct log {
    // Fixed.
    char *name, *topic; // "topic-partition"; topic points behind it
    int32_t partition;
    struct uuid topic_id;
    struct file_cache *files;
    struct reaper *reaper;
    _Atomic(struct dir_health *) health; // changes, as place does, when the log moves to another directory
    struct log_place *place;             // read under lock, flush_lock or rebuild_lock
    int64_t opened_ms;                   // wall clock
    bool keep_room;                      // as in struct log_params

    pthread_mutex_t lock; // the partition's

    // Guarded by publish.
    pthread_mutex_t publish;
    struct log_config config;
    struct segment **segments; // ascending; the last one is active
    uint32_t segment_count, segment_capacity;
    int64_t log_start, end;
    struct log_mark high_watermark;
    int64_t first_unstable; // or LOG_NO_OFFSET
    int64_t recovery_point;
    int64_t cleaned_to;        // compaction: where the next round's dirty part begins; 0: never cleaned
    struct epoch_cache epochs; // of a cold log: only what was assigned since
    bool epochs_dirty;         // the file lacks something
    atomic_bool epoch_file;    // false: the log is new and has no such file yet
    bool epochs_unnamed;       // the file of a stop still has its temporary name
    bool epoch_pending;        // the latest epoch was assigned and has no record yet: not worth writing
    bool directory_dirty;      // files were made or renamed since the directory was synced
    bool directory_fresh;      // it was made, and the one that it lies in not synced since

    atomic_uint
        truncations; // and swaps of compaction: counts them; a reader that sees it change starts again
    atomic_bool loaded, offline, deleted;
    atomic_bool has_snapshots; // the directory held producer snapshots when it was opened
    pthread_mutex_t load_lock;
    pthread_mutex_t rebuild_lock; // one at a time makes index files anew

    pthread_mutex_t index_lock; // guards what segment.h says

    // Guarded by lock.
    struct producer_state producers;
    int64_t append_time_ms; // the last that a batch was stamped with

    pthread_mutex_t
        flush_lock; // one flush at a time; also guards writing the index files of the active segment
    _Atomic int64_t flushing_since_us; // monotonic; 0: it is not flushed
    atomic_bool new_metadata;          // partition.metadata was written and not synced
    atomic_bool aborted_dirty;         // so was a transaction index
    bool was_clean;                    // the last stop was

    // What was appended since the last flush.
    _Atomic int64_t dirty_messages, dirty_bytes, dirty_since_ms;
};

// ---------------------------------------------------------------- log.c

// The active segment. [lock] or load_lock.
struct segment *log_active(const struct log *log);

// The segment that may hold `offset` (the last one that starts at or below it, else the first), referenced.
struct segment *log_segment_of(struct log *log, int64_t offset);
// The one behind it, referenced, or NULL.
struct segment *log_segment_after(struct log *log, int64_t base_offset);

// Whether the offset lies in a later segment than this one. [publish held]
bool log_behind_segment_locked(const struct log *log, const struct segment *s, int64_t offset);

// Copies of all segments' references, malloc'd; the caller unreferences them and frees the array.
struct segment **log_segments(struct log *log, uint32_t *count);
void log_segments_release(struct segment **segments, uint32_t count);

// Adds a segment at the end; the list takes the reference over. [publish held]
int log_add_segment_locked(struct log *log, struct segment *s);

// Why a log stops that holds what Kafka wrote before version 0.11.
#define LOG_OLD_MAGIC "it holds record batches of magic 0 or 1; nothing was changed"

// Takes the log off line, and with it its directory when a system call failed there.
void log_set_offline(struct log *log, const char *why, int rc);

// Whether the result of a call is the device's or the file system's fault (a file that has vanished is, too):
// then the directory goes off line. Returns rc.
int log_note(struct log *log, const char *what, int rc);

// 0 when the log can be used, else ERR_CLOSED.
int log_usable(const struct log *log);

// Loads if need be. 0, or why it cannot be used.
int log_ready(struct log *log);

// ---------------------------------------------------------------- log_load.c, log_recover.c

// Fills in what the active segment has in memory: indexes, timestamps. *end is the end of its last batch. An
// error of the scan (ERR_CORRUPT, ERR_TRUNCATED ...) when it does not end with a whole batch.
int log_load_active(struct log *log, struct segment *s, int64_t *end);

// Checks and mends the segments from the recovery point on: what follows the last whole, valid batch is cut
// off. Afterwards list, end offset, epochs and producers are what is on disk. At open only.
#define RECOVERY_END_BYTES (1 << 20) // of the active segment, whose CRCs are checked in any case
struct log_recovery {
    int64_t recovery_point, now_ms;
    bool same_boot, refuse_damage; // as in struct log_params
    char *message;                 // may be NULL
    size_t message_size;
};
int log_recover(struct log *log, const struct log_recovery *how);

// Fills in, from the batches before the snapshot that was just read, what it does not hold of its producers:
// the last five batches each, as far as they lie in one segment and not too far back.
int log_recall_batches(struct log *log);

// Loads the producer state as of log->end: the newest snapshot and the batches behind it. Aborted
// transactions that end in segments from aborted_from on are written to their transaction indexes (INT64_MAX:
// none). With `assume` a log without any snapshot has no producers (it was stopped clean).
int log_load_producers(struct log *log, int64_t aborted_from, bool assume, int64_t now_ms);

// The epochs on disk, and behind them those that were assigned while the log was cold.
int log_load_epochs(struct log *log);

// Checks the index files of a sealed segment on their first use, and rebuilds them when they are missing or
// damaged.
int log_check_indexes(struct log *log, struct segment *s);
// The index files are whole and lead astray: makes them anew, once. ERR_CORRUPT: that was done before, or the
// segment is active. [no lock]
int log_mend_indexes(struct log *log, struct segment *s);

// What is taken off segment.ms of a segment, at random, so that not all logs roll at once
// (segment.jitter.ms).
int64_t log_draw_jitter(const struct log *log, int64_t base_offset, int64_t now_ms);

// Makes the empty files of a new segment, without it being part of the list yet.
int log_make_segment(struct log *log, int64_t base_offset, int64_t now_ms, struct segment **out);

// Writes and flushes what a clean stop leaves on disk (indexes, snapshot, epochs); the log stays open for its
// numbers.
// Without sync nothing is flushed: the caller syncs the file system, then says so with log_sealed, and, where
// that gave a file its name (1), syncs it once more.
int log_seal(struct log *log, bool sync);
int log_sealed(struct log *log);

// ---------------------------------------------------------------- finding

// The first batch of the segment with a last offset >= offset, in front of `limit` (bytes). 0, ERR_NOT_FOUND,
// or an error. The segment is pinned as `fd`.
int log_find_batch(struct log *log, struct segment *s, int fd, int64_t offset, int64_t limit,
                   struct batch_place *out);

// Position to start looking for `offset` from, by the index. Never fails: 0 is always right.
int64_t log_index_floor(struct log *log, struct segment *s, int64_t offset);

// Where in this segment readers of `bound` must stop, given the published end. [lock not needed]
int log_bound_position(struct log *log, struct segment *s, int fd, int64_t bound_offset, int64_t *out);

// Writes what the index files of the active segment lack. `ends`: with the final time index entry, of a
// segment that is (to be) sealed or closed: Kafka's retention and lookups go by it without reading behind it.
// [lock]
int log_write_indexes(struct log *log, struct segment *s, bool ends);

// Seals the active segment and starts one at `offset` (>= the end). [lock]
int log_roll_at(struct log *log, int64_t offset, int64_t now_ms);

// The maximum timestamp of a segment and its offset, read from its time index (or the file) when not known
// yet.
int log_segment_times(struct log *log, struct segment *s, int64_t *max_timestamp_ms, int64_t *offset);
// The largest timestamp of a segment for those who keep or drop it whole: the file's stands for records
// without one.
int log_largest_time(struct log *log, struct segment *s, int64_t *out);

// ---------------------------------------------------------------- compaction (log_replace.c)

// [lock] The segment, whose files end in .cleaned, takes the place of `count` sealed ones that follow each
// other, and of the log's references to them. It is the log's afterwards. ERR_AGAIN, and nothing changed,
// when they are not all there any more, when the log is not compacted any more, or when it was truncated
// since *truncations was read (which is read anew). On another error everything was taken back, or the log
// is offline and a start finishes it.
int log_replace_segments(struct log *log, struct segment *const *old, uint32_t count, struct segment *fresh,
                         unsigned *truncations);

// ---------------------------------------------------------------- another directory (log_adopt.c)

// [both logs' locks] The files of `copy`, which lies in another log directory and has the same records,
// become the log's, under the log's name; its own are what `copy` has afterwards, on their way to be removed.
// ERR_AGAIN, and nothing changed, when the log is more durable than the copy. On another error nothing has
// changed, or the log is offline and a start finishes it.
int log_adopt(struct log *log, struct log *copy);

// Whether a flush has been under way for longer than most take. Any thread.
bool log_is_flushing(const struct log *log);

// [lock] The log's end becomes `offset`, with nothing in between, as where compaction left nothing.
int log_skip_to(struct log *log, int64_t offset);

// A name in `root` for a log that is put aside: of the topic and partition, unique, with the suffix.
int log_aside_path(struct str root, const char *topic, int32_t partition, const char *suffix,
                   char to[PATH_MAX]);

// [lock and flush_lock] Gives the log's directory a name that ends so, and is unique.
int log_rename_away(struct log *log, const char *suffix);
int64_t log_removal_due_ms(const struct log *log); // monotonic

// ---------------------------------------------------------------- appending (log_append.c)

// Index entries, tail and timestamps for a batch that was written to the active segment. [index_lock held]
void log_index_batch(struct segment *s, const struct batch_place *b, int32_t index_interval_bytes);

// ---------------------------------------------------------------- room on the disk (log_reserve.c)

// [lock] Makes sure, at best, that there is room ahead of an append that ends at `end`.
void log_reserve(struct log *log, struct segment *s, int fd, int64_t end);
// [lock] preallocate: takes the room of a whole segment for a new one. Without so much room the writes find
// it, or do not.
void log_preallocate(const struct log *log, struct segment *s);
// [lock] Gives back what the active segment has reserved beyond its size.
void log_give_back_reserve(struct segment *s);

// ---------------------------------------------------------------- small files of a log's directory
// (log_files.c)

// Much that is dirty is written piece by piece before it is synced: who deletes the log waits for one of
// them, not for all. ERR_CLOSED: the log is deleted.
int log_write_back(const struct log *log, int fd, int64_t size, int64_t dirty_bytes);

// Under flush_lock, or when nobody flushes any more. sync: durable once log_sync_directory has run, too.
int log_write_epochs(struct log *log,
                     bool sync); // without: log_name_epochs is to follow where epochs_unnamed
int log_name_epochs(struct log *log);
int log_sync_directory(struct log *log); // as far as it has changed; the same
int log_read_epochs(struct log *log, struct epoch_cache *out);
int log_write_snapshot(struct log *log, int64_t offset, bool sync); // [lock]; of the producers as they are
int log_read_topic_id(const char *dir, struct uuid *out);
int log_write_topic_id(const char *dir, const struct uuid *id, bool sync);

// The snapshot offsets in the directory, ascending, malloc'd.
int log_list_snapshots(struct log *log, int64_t **offsets, size_t *count);
void log_remove_snapshot(struct log *log, int64_t offset);
int log_remove_snapshots_above(struct log *log, int64_t offset);

// Aborted transactions on disk.
int log_append_aborted(struct segment *s, const struct txn_index_entry *entries, size_t count,
                       int64_t *old_size);
int log_read_aborted(struct segment *s, struct buffer *raw);
int log_truncate_aborted(struct segment *s, int64_t size);
int log_truncate_aborted_from(struct segment *s, int64_t offset);

#endif
