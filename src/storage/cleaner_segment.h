// The files of a cleaning: reading a segment batch by batch, and writing the one that replaces it. Private to
// the cleaner. One thread; no lock of the log is held.
#ifndef STORAGE_CLEANER_SEGMENT_H
#define STORAGE_CLEANER_SEGMENT_H

#include "storage/log_state.h"

#define CLEANED_SUFFIX ".cleaned" // being written; a start removes it
#define SWAP_SUFFIX    ".swap"    // whole, and about to take its place; a start puts it there

// Called after so many bytes were read or written. Not 0: the cleaning stops with this error.
typedef int (*cleaner_pause_fn)(void *arg, int64_t bytes);

struct cleaner_io {
    size_t chunk_bytes; // read and written at once
    struct buffer in, out;
    cleaner_pause_fn pause;
    void *arg;
};

struct cleaner_reader {
    struct cleaner_io *io;
    int fd;
    int64_t position, limit; // of what is read next
    size_t at;               // of what is parsed next, in io->in
};

// Batches from a batch's position up to `limit`.
void cleaner_reader_start(struct cleaner_reader *r, struct cleaner_io *io, int fd, int64_t position,
                          int64_t limit);

// 1 and the next batch, whose CRC is right, valid until the next call; 0 at the end; ERR_CORRUPT,
// ERR_TRUNCATED, ERR_UNSUPPORTED, ERR_IO, ERR_NOMEM, or what pause said.
int cleaner_reader_next(struct cleaner_reader *r, struct batch_header *h, struct bytes *batch);

struct cleaner_writer {
    struct cleaner_io *io;
    struct log *log;
    struct segment *s; // the new one, with its indexes in memory
    int fd;
    int64_t size; // with what waits in io->out
    struct buffer aborted;
    int32_t index_interval_bytes;
};

int cleaner_writer_open(struct cleaner_writer *w, struct cleaner_io *io, struct log *log, int64_t base_offset,
                        int32_t index_interval_bytes);
int cleaner_writer_add(struct cleaner_writer *w, struct bytes batch);
void cleaner_writer_add_aborted(struct cleaner_writer *w, const struct txn_index_entry *e);

// Writes and syncs everything under names that end in .cleaned. The file's time becomes modified_ms.
int cleaner_writer_finish(struct cleaner_writer *w, int64_t modified_ms);

// Closes; removes the files unless they were handed over (then w->s is NULL).
void cleaner_writer_close(struct cleaner_writer *w);

#endif
