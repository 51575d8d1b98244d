// What the files of verify share. Private.
#ifndef STORAGE_VERIFY_STATE_H
#define STORAGE_VERIFY_STATE_H

#include "storage/epoch_cache.h"
#include "storage/segment.h"
#include "storage/verify.h"

// A partition that is being looked over.
struct verifying {
    struct verify *v;
    const struct verify_log *log;
    int64_t *bases; // of its segments, ascending
    size_t count, capacity;
    int64_t start, end; // offsets of the first batch and behind the last one
    int32_t latest_epoch;
    int64_t checked_from;      // where in the segment a start begins to check CRCs; INT64_MAX: nowhere
    struct epoch_cache epochs; // of the file
    int epochs_rc;             // of reading it
    int64_t other_epoch_at;    // the first batch that it says another epoch of; -1: none
    struct buffer times;       // of the segment's time index; read up to times_at
    size_t times_at;
    int64_t wrong_time_at; // in the file, of the first entry that has not its batch's time; -1: none
};

void verify_say(struct verify *v, const char *file, int64_t position, int64_t offset, const char *kind,
                const char *start, const char *what, ...) __attribute__((format(printf, 7, 8)));

// What a broker writes late, or when it stops, is not there (whole): a remark unless the last stop was clean.
void verify_say_unwritten(const struct verifying *p, const char *file, const char *kind, const char *start,
                          const char *what);

// verify_indexes.c: what belongs to the segment at `base`, whose .log file is fd of `size` bytes and ends
// before offset `end`.
int verify_indexes(struct verifying *p, int64_t base, int fd, int64_t size, int64_t end, bool active);
int verify_read_times(struct verifying *p, int64_t base); // before the batches
void verify_note_times(struct verifying *p, int64_t base, const struct batch_header *h);
int verify_compare_offsets(const void *a, const void *b); // of qsort and bsearch over `bases`
int verify_orphans(struct verifying *p);
int verify_snapshots(struct verifying *p);
int verify_read_epochs(struct verifying *p); // first
int verify_epochs(struct verifying *p);
int verify_partition_metadata(struct verifying *p);

#endif
