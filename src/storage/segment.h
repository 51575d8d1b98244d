// One segment of a log: the .log file, its indexes and what is known of them. Reference-counted; the log's
// list holds one reference, each slice that is out another one.
#ifndef STORAGE_SEGMENT_H
#define STORAGE_SEGMENT_H

#include "storage/batch.h"
#include "storage/file_cache.h"
#include "storage/index.h"
#include "storage/log.h"

#include <limits.h>
#include <pthread.h>

// The directory of a log, shared by its segments: a deletion renames it while readers may still open files.
struct log_place {
    atomic_uint references;
    pthread_mutex_t lock; // held while a file is opened by its name, or renamed
    _Atomic(char *) dir;
    struct place_name *old_dirs; // before renames: somebody may still read them
};

struct log_place *log_place_new(const char *dir);
struct log_place *log_place_ref(struct log_place *place);
void log_place_unref(struct log_place *place);

// Renames the directory; files are found there from then on.
int log_place_rename(struct log_place *place, const char *dir);

// A batch in a segment.
struct batch_place {
    int64_t base_offset, last_offset, max_timestamp_ms;
    int64_t position;
    int32_t leader_epoch;
    uint32_t size;
};

#define SEGMENT_TAIL 32 // batches that are remembered

// What only the active segment has. Guarded by the log's index lock.
struct segment_active {
    struct index offsets, times;
    int64_t bytes_since_index;
    int64_t reserved_end;     // of the room on the disk that was asked for ahead; 0: none. [lock]
    struct batch_place *tail; // ring, made by the first append
    uint64_t tail_count;      // ever pushed; the last SEGMENT_TAIL of them are there
};

enum segment_state {
    SEGMENT_LIVE,
    SEGMENT_DELETED,  // its files end in .deleted, or are gone
    SEGMENT_REPLACED, // another segment has its file's name
};

struct segment {
    atomic_uint references;
    atomic_int state;
    struct log_place *place;
    struct file_cache *files;
    int64_t base_offset;
    struct cached_file log_file, index_file;
    _Atomic int64_t size_bytes; // of the .log file; -1: not asked for yet
    atomic_bool checked;        // of a sealed one: the index files were found to be whole, or were made anew
    atomic_bool mended;         // they were made anew although they were whole: they led astray

    // Guarded by the log's index lock.
    struct segment_active *active; // NULL when sealed
    bool times_known;              // the next two are
    int64_t max_timestamp_ms;      // or LOG_NO_TIMESTAMP
    int64_t max_timestamp_offset;  // last offset of the first batch that has it
    int64_t first_timestamp_ms; // max timestamp of the first batch; LOG_NO_TIMESTAMP when empty or not known
    int64_t created_ms;         // wall clock
    int64_t jitter_ms;          // taken off segment.ms
};

#define SEGMENT_LOG_SUFFIX   ".log"
#define SEGMENT_INDEX_SUFFIX ".index"
#define SEGMENT_TIME_SUFFIX  ".timeindex"
#define SEGMENT_TXN_SUFFIX   ".txnindex"
#define SNAPSHOT_SUFFIX      ".snapshot"
#define DELETED_SUFFIX       ".deleted"

// <dir>/<20 digits><suffix>. ERR_INVALID when it does not fit.
int segment_file_name(const char *dir, int64_t offset, const char *suffix, char out[PATH_MAX]);

// The offset and the suffix of such a name (without directory); false when it is none.
bool segment_parse_name(const char *name, int64_t *offset, const char **suffix);

// Knows the file's name; opens nothing. NULL: out of memory.
struct segment *segment_new(struct log_place *place, struct file_cache *files, int64_t base_offset);
struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s);

// The .log file's (.index file's) descriptor, open for reading and writing until unpin. ERR_AGAIN when the
// segment was replaced.
int segment_pin(struct segment *s);
int segment_pin_index(struct segment *s);
void segment_unpin(struct segment *s);
void segment_unpin_index(struct segment *s);

// The size of the .log file, asking for it when it is not known yet. `fd` is the pinned file.
int64_t segment_size(struct segment *s, int fd);

// Opens a side file (by suffix) of a live segment; the caller closes it.
int segment_open(struct segment *s, const char *suffix, int flags);

// Renames the files to .deleted; what is missing is ignored. Later openings find them there. An error means
// that the .log file has kept its name, and all of them have.
int segment_mark_deleted(struct segment *s, struct reaper *reaper, int64_t due_ms);

struct segment_active *segment_active_new(void);
void segment_active_free(struct segment_active *a);
void segment_tail_push(struct segment_active *a, const struct batch_place *b);
// The first remembered batch whose last offset is >= offset, if no batch that was forgotten may be it.
bool segment_tail_find(const struct segment_active *a, int64_t offset, struct batch_place *out);
void segment_tail_truncate(struct segment_active *a, int64_t position);

// Walks batch headers in [position, limit) of a file. The CRC is not checked.
struct segment_scan {
    int fd;
    int64_t position, limit;
    struct batch_header header; // of the batch that next returned
    struct batch_place batch;
    int64_t window_at;
    size_t window_size;
    uint8_t window[4096];
};

void segment_scan_start(struct segment_scan *scan, int fd, int64_t position, int64_t limit);

// 1 and the next batch; 0 at the limit; ERR_TRUNCATED when a batch goes beyond it, ERR_CORRUPT,
// ERR_UNSUPPORTED (magic 0, 1), ERR_IO. After an error scan->position is where the bad batch starts.
int segment_scan_next(struct segment_scan *scan);

// The segment's first batch, as segment_scan_next. The scan holds it and cannot go on.
int segment_first_batch(struct segment *s, struct segment_scan *scan);

// Reads the bytes of the batch that next returned, appended to `out`.
int segment_scan_read(const struct segment_scan *scan, struct buffer *out);

// Whether the CRC of that batch is right: 0, ERR_CORRUPT or ERR_IO. `chunk` is working memory.
int segment_scan_check(const struct segment_scan *scan, uint8_t *chunk, size_t chunk_size);

#endif
