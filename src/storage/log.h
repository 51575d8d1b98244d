// A partition's log: segments of record batches in one directory, in Apache Kafka's format.
//
// Threads. The appender's calls (marked [lock]) expect the partition's lock, which is the caller's.
// Everything else may be called by any thread at any time while the log is open: it works on a published
// snapshot, or has its own lock inside. log_flush may run beside appends and reads.
//
// A log that nobody touched after a clean stop is cold: it holds no descriptor and has read no file. The
// first call that needs more than its offsets loads it (see log_load).
//
// Errors. Besides what each function says: ERR_IO or ERR_NO_SPACE when a system call failed (the reason is
// logged with the file's name), ERR_CLOSED when the log is offline (an earlier failure that could not be
// undone, or one of its whole directory) or deleted, ERR_UNSUPPORTED when it holds batches of magic 0 or 1
// (log_open says so; nothing is deleted).
#ifndef STORAGE_LOG_H
#define STORAGE_LOG_H

#include "base/bytes.h"
#include "base/uuid.h"
#include "storage/log_config.h"

#include <sys/types.h>

struct log;
struct segment;
struct segment_list;
struct file_cache; // storage/file_cache.h: the bounded set of open segment files
struct reaper;     // storage/reaper.h: removes files that are no longer used, later
struct dir_health; // storage/dir_health.h: whether the log directory failed or is full
struct workers;    // os/workers.h

#define LOG_NO_TIMESTAMP INT64_C(-1)
#define LOG_NO_EPOCH     (-1)
#define LOG_NO_OFFSET    INT64_C(-1)

// ---------------------------------------------------------------- open and close

struct log_params {
    const char *log_dir;  // one of log.dirs; the log lives in <log_dir>/<topic>-<partition>
    const char *dir_name; // NULL: <topic>-<partition>
    const char *topic;
    int32_t partition;
    struct uuid topic_id;            // zero: none known; otherwise written to partition.metadata when missing
    const struct log_config *config; // copied
    int64_t recovery_point;          // from recovery-point-offset-checkpoint; 0 when it names no such log
    int64_t log_start_offset;        // from log-start-offset-checkpoint; 0 when it names no such log
    int64_t cleaned_to;              // from cleaner-offset-checkpoint; 0 when it names no such log
    bool clean;                      // the last stop was clean: nothing is scanned
    bool exists;                     // its directory does; else it is made where it is missing
    int64_t
        flushed_size; // of the active segment's file when the recovery point was the log's end; -1: not known
    // The boot id under which the data past the recovery point was written is the running kernel's: the page
    // cache survived whatever killed the process, so that a scan may believe sealed segments.
    bool same_boot;
    // Unless `clean`: a batch that is damaged, and not just cut off, is an error (ERR_CORRUPT) and nothing is
    // changed. For a log that no crash can have torn and whose records nobody can bring back.
    bool refuse_damage;
    // Of the metadata log: room on the disk is kept ahead of its end, so that topics can be deleted when
    // there is no other left, and a flush does not fail because its index finds none (a start makes it anew).
    bool keep_room;
    int64_t now_ms;            // wall clock
    struct file_cache *files;  // outlives the log and its slices
    struct reaper *reaper;     // NULL: deleted files are unlinked at once
    struct dir_health *health; // of log_dir, outlives the log; an I/O error takes it off line. May be NULL
};

// Opens the log, or makes an empty one (directory included) that starts at log_start_offset. After an unclean
// stop this is recovery: every batch from the recovery point on is checked and a torn tail is cut off.
// 0; ERR_CORRUPT when the directory's partition.metadata names another topic id, ERR_UNSUPPORTED, ERR_IO,
// ERR_NO_SPACE, ERR_NOMEM. `message` (may be NULL) receives one line for a person.
int log_open(const struct log_params *params, struct log **out, char *message, size_t message_size);

// Frees the log, which nobody uses or has locked; slices that are out stay readable. clean: flushes
// everything, writes the producer snapshot and trims the indexes as Kafka expects after a clean stop; on
// failure the log is closed all the same and the stop must not be called clean.
int log_close(struct log *log, bool clean);

// Reads what a cold log left on disk (end of the active segment, producer snapshot, epochs). Called by need;
// calling it early moves the cost: after a crash the headers of all batches behind the last producer snapshot
// are read, up to a segment of them. Any thread.
int log_load(struct log *log);

// Its directory's threads that are to load it, as its first use is still to come and may have to wait for the
// disk; NULL: nobody has to. Any thread.
struct workers *log_loaders(const struct log *log);

// The partition's lock. Held for microseconds; never while waiting for the disk or for another lock above it.
void log_lock(struct log *log);
void log_unlock(struct log *log);

const char *log_topic(const struct log *log);
int32_t log_partition(const struct log *log);
struct uuid log_topic_id(const struct log *log);
const char *log_name(const struct log *log); // "topic-partition", for messages
bool log_is_offline(const struct log *log);

// Whether its directory's file system is so full that clients' appends are to be refused. Any thread.
bool log_is_full(const struct log *log);

// [lock] The topic's settings changed. Copied. Takes effect at the next append, roll, retention or flush.
void log_set_config(struct log *log, const struct log_config *config);
void log_get_config(const struct log *log, struct log_config *out);

// ---------------------------------------------------------------- the published state

struct log_offsets {
    int64_t log_start_offset;   // first offset that may be read
    int64_t end_offset;         // of the next record
    int64_t high_watermark;     // in [log start, end]
    int64_t last_stable_offset; // min(high watermark, first unstable offset)
    int64_t recovery_point;     // everything below it is on disk for sure
    int32_t leader_epoch;       // of the latest entry in the epoch cache, or LOG_NO_EPOCH
};

// A consistent copy of the numbers. A few nanoseconds; any thread. A cold log with a producer snapshot is
// loaded first (only that tells its last stable offset).
void log_offsets(struct log *log, struct log_offsets *out);

// One number alone; these never load. Any thread.
int64_t log_start_offset(struct log *log);
int64_t log_end_offset(struct log *log);
int64_t log_high_watermark(struct log *log);
int64_t log_recovery_point(struct log *log);

// [lock] Clamped to [log start, end]; returns whether it changed. May go down only after a truncation or when
// a leader starts. Transactions that ended below it no longer hold back the last stable offset.
bool log_set_high_watermark(struct log *log, int64_t high_watermark);

// ---------------------------------------------------------------- append

enum log_origin {
    LOG_ORIGIN_CLIENT,      // produce: sequences are checked, offsets assigned
    LOG_ORIGIN_COORDINATOR, // markers and coordinators' records: offsets assigned, no sequence check
    LOG_ORIGIN_RAFT,        // the metadata log's leader: offsets assigned
    LOG_ORIGIN_REPLICA,     // a follower's fetch: offsets and leader epochs in the bytes are kept
};

struct log_append_info {
    int64_t base_offset, last_offset; // of what was appended; of the first batch's original when duplicate
    int64_t append_time_ms; // LogAppendTime, or the original batch's time when duplicate; or LOG_NO_TIMESTAMP
    int64_t log_start_offset;
    bool duplicate;         // every byte was in the log already; nothing was written
    bool flush_due;         // flush.messages is reached: the caller answers after log_flush(last_offset + 1)
    bool last_stable_moved; // a marker ended a transaction or one began
    int16_t error_code;     // Kafka's code when the append was refused (the return value is then ERR_INVALID)
    char message[320];      // Kafka's own words for error_code, or the reason of another failure; or ""
};

// Verification (KIP-890): the first batch of a transaction comes into a log only when the coordinator has
// said that the transaction covers the partition, and only as long as no marker has come in since it was
// asked.
#define LOG_NO_GUARD INT64_C(0)

struct log_verification {
    int64_t producer_id;
    int32_t sequence; // the first of the batch that is to follow, or -1
    int16_t producer_epoch;
    bool raises_epoch; // a producer of transaction version 2
};

// [lock] A transactional batch is to follow. *guard LOG_NO_GUARD: its transaction is open here, nothing is to
// be asked. Else the coordinator is to be asked, and the guard goes with the append. 0, ERR_NOMEM, as
// log_load, or LOG_ERROR_INVALID_PRODUCER_EPOCH: a later epoch has written here, and nobody needs to be
// asked.
int log_verify(struct log *log, const struct log_verification *v, int64_t now_ms, int64_t *guard);

// [lock] Appends whole batches of magic 2 that batch validation has accepted. `bytes` is changed in place:
// base offset and leader epoch (neither is covered by the CRC) are stamped into every batch, unless the
// origin is a replica. Rolls before if needed. All or nothing: after an error the log is as it was (if that
// cannot be restored it goes offline). 0; ERR_INVALID with info->error_code (OUT_OF_ORDER_SEQUENCE_NUMBER,
// INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED, RECORD_LIST_TOO_LARGE,
// INVALID_REQUEST ...); ERR_RANGE for a replica's offsets below the end; ERR_CORRUPT for bytes that are no
// whole batches; ERR_IO, ERR_NO_SPACE, ERR_CLOSED, ERR_NOMEM.
int log_append(struct log *log, uint8_t *bytes, size_t size, int32_t leader_epoch, enum log_origin origin,
               int64_t now_ms, struct log_append_info *info);

// One append of several that are made together.
struct log_group_append {
    uint8_t *bytes;
    size_t size;
    enum log_origin origin;
    int64_t guard;          // of log_verify, or LOG_NO_GUARD
    int16_t marker_version; // of a marker: the transaction version of the client whose transaction it ends
    int rc;                 // as log_append returns it
    struct log_append_info info;
};

// At most so many together.
#define LOG_GROUP_APPENDS 32

// [lock] Does with each of them, in this order, what log_append does, and fills in rc and info. Those that
// simply follow each other are written with one call: if that fails, all of them fail, and none is in the
// log.
void log_append_group(struct log *log, struct log_group_append *const *appends, size_t count,
                      int32_t leader_epoch, int64_t now_ms);

// [lock] A new leader epoch starts at the log's end. It reaches the checkpoint file with the first append.
int log_assign_epoch(struct log *log, int32_t leader_epoch);

// ---------------------------------------------------------------- read

enum log_bound { LOG_BOUND_HIGH_WATERMARK, LOG_BOUND_LAST_STABLE, LOG_BOUND_END };

// So much of a log's end counts as recently written.
#define LOG_RECENT_BYTES (INT64_C(64) << 20)

// A range of one segment's file. The descriptor stays valid and the bytes unchanged until log_slice_release,
// whatever happens to the log (retention, truncation, deletion).
struct log_slice {
    struct segment *segment; // referenced; NULL when the slice is empty
    int fd;                  // pinned; use it with pread or sendfile only
    off_t position;
    size_t size;
    int64_t base_offset;     // of the first batch; of the position read from when empty
    bool recent;             // of the log's last LOG_RECENT_BYTES: in the page cache, as good as certain
    size_t first_batch_size; // more than size when the first batch did not fit and min_one_batch was not set
    struct dir_health *health; // its directory's; may be NULL
};

// Batches from the one that holds start_offset on (its base offset may be lower), of one segment, never past
// the bound, cut at max_bytes: the last batch may be incomplete, except for the first one when min_one_batch
// is set. A slice that starts at the bound or above it is empty (size 0). The recent tail is found in memory.
// 0; ERR_RANGE when start_offset lies outside [log start, end]. Of max_bytes 0 without min_one_batch that is
// all there is to know, and no file is opened for it (LOG_BOUND_LAST_STABLE looks for the first batch).
int log_read(struct log *log, int64_t start_offset, size_t max_bytes, enum log_bound bound,
             bool min_one_batch, struct log_slice *out);

// Copies bytes of the slice to `to`: all of them or an error.
int log_slice_copy(const struct log_slice *slice, size_t from, void *to, size_t size);

// Whoever sends the bytes of a slice says so when its file cannot be read (EIO): like any other read that
// fails, it takes the directory off line.
void log_slice_failed(const struct log_slice *slice);

// May be called once for each slice that log_read filled in (empty ones too). Any thread, also after
// log_close.
void log_slice_release(struct log_slice *slice);

// Bytes between an offset and the bound, as a waiting fetch counts them; stops counting at `enough`.
int64_t log_readable_bytes(struct log *log, int64_t start_offset, enum log_bound bound, int64_t enough);

struct log_aborted {
    int64_t producer_id, first_offset;
};

// The aborted transactions that a reader of [start_offset, upper_offset) has to skip, in the order of their
// markers. *out is malloc'd (NULL when none); the caller frees it.
int log_aborted_transactions(struct log *log, int64_t start_offset, int64_t upper_offset,
                             struct log_aborted **out, size_t *count);

// The same for a fetch that returned this slice: the range that Kafka looks at ends at the first index entry
// behind the slice, or at the segment's end.
int log_aborted_in_slice(struct log *log, int64_t start_offset, const struct log_slice *slice,
                         struct log_aborted **out, size_t *count);

// ---------------------------------------------------------------- looking up offsets

struct log_time_offset {
    int64_t offset, timestamp_ms;
    int32_t leader_epoch; // or LOG_NO_EPOCH
};

// The first record at or after the log start with a timestamp >= timestamp_ms (reads, and decompresses where
// it must). ERR_NOT_FOUND when there is none.
int log_offset_for_time(struct log *log, int64_t timestamp_ms, struct log_time_offset *out);

// The first record that has the largest timestamp of the log. ERR_NOT_FOUND in an empty log.
int log_offset_of_max_time(struct log *log, struct log_time_offset *out);

// The epoch of the record at `offset` by the epoch cache, or LOG_NO_EPOCH.
int32_t log_epoch_of_offset(struct log *log, int64_t offset);

// OffsetForLeaderEpoch: the largest known epoch <= leader_epoch and its end offset; -1 and -1 when unknown.
void log_end_offset_for_epoch(struct log *log, int32_t leader_epoch, int32_t *epoch, int64_t *end_offset);

// ---------------------------------------------------------------- producers

struct log_producer {
    int64_t producer_id;
    int64_t last_timestamp_ms;
    int64_t transaction_start_offset; // or -1
    int64_t last_data_offset;         // of its last batch that is known; or -1
    int32_t last_sequence;            // or -1
    int32_t coordinator_epoch;        // or -1
    int16_t producer_epoch;
};

// [lock] A copy of what is known of the producers, malloc'd; the caller frees it.
int log_producers(struct log *log, struct log_producer **out, size_t *count);

// [lock] Forgets producers that have been idle for producer.id.expiration.ms and hold no transaction.
void log_expire_producers(struct log *log, int64_t now_ms);

// ---------------------------------------------------------------- changing the log's extent

// [lock] Removes every record from `offset` on (batches that hold it included) and the later segments. Slices
// that are out keep their bytes: a pinned file is replaced, not rewritten. 0 also when there was nothing to
// do.
int log_truncate_to(struct log *log, int64_t offset);

// [lock] Removes everything; the log is then empty and starts and ends at `offset`.
int log_truncate_fully(struct log *log, int64_t offset);

// [lock] DeleteRecords and replication: the log starts at `offset` from now on; files go with retention.
// ERR_RANGE above the high watermark.
int log_set_start_offset(struct log *log, int64_t offset);

// [lock] Seals the active segment and starts a new one at the end offset; nothing when it is empty.
int log_roll(struct log *log, int64_t now_ms);

// [lock] Removes the segments that retention (time, size, start offset) no longer wants; *removed counts
// them.
int log_apply_retention(struct log *log, int64_t now_ms, size_t *removed);

// [lock] Renames the directory to <topic>-<partition>.<uuid>-delete and lets the reaper remove it; every
// later call answers ERR_CLOSED, slices that are out stay readable. log_close frees the log.
int log_delete(struct log *log);

// [lock] Renames the directory to <topic>-<partition>.<uuid>-stray, which nothing removes.
int log_make_stray(struct log *log);

// ---------------------------------------------------------------- durability

// Makes everything below up_to_offset (at most the end offset) durable and moves the recovery point there.
// Blocks in fdatasync; call it from a flush thread, without the partition's lock. Concurrent calls queue up,
// and one that finds its offset durable already returns at once. On failure the log goes offline: after a
// failed fsync nobody knows what is on disk. Not so where only the indexes or the epochs found no room
// (ERR_NO_SPACE): the recovery point stays, and a later flush tries again.
int log_flush(struct log *log, int64_t up_to_offset);

struct log_dirt {
    int64_t messages, bytes; // appended since the last flush
    int64_t oldest_ms;       // wall clock of the first append since; 0 when nothing is dirty
};

void log_dirt(struct log *log, struct log_dirt *out);

// Bytes of all segments' .log files. Any thread.
int64_t log_size_bytes(struct log *log);

size_t log_segment_count(struct log *log);

#endif
