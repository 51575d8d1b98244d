// Snapshot files of the metadata log: <end offset>-<epoch>.checkpoint, record batches between a header and a
// footer control batch, offsets counted from 0. They appear whole: written under .part, fsynced, renamed.
#ifndef RAFT_SNAPSHOT_H
#define RAFT_SNAPSHOT_H

#include "raft/voters.h"
#include "raft/walk.h"

#define SNAPSHOT_SUFFIX      ".checkpoint"
#define BOOTSTRAP_CHECKPOINT "bootstrap.checkpoint"

// Contains the log below `offset`; `epoch` is that of the last record in it.
struct snapshot_id {
    int64_t offset;
    int32_t epoch;
};

static inline int snapshot_id_compare(struct snapshot_id a, struct snapshot_id b)
{
    if (a.offset != b.offset)
        return a.offset < b.offset ? -1 : 1;
    return (a.epoch > b.epoch) - (a.epoch < b.epoch);
}

// "00000000000000000018-0000000001.checkpoint"
#define SNAPSHOT_NAME_BYTES 48
void snapshot_name(struct snapshot_id id, char out[SNAPSHOT_NAME_BYTES]);
// Whether the name is one; *id is then set.
bool snapshot_name_parse(const char *name, struct snapshot_id *id);

struct snapshot_writer {
    char dir[4096], name[64];
    int fd;
    int64_t at, offset; // in the file; of the next record
    int32_t epoch;
    int64_t now_ms;
    struct batch_builder batch; // of the records at hand
    bool open;                  // the batch has records
};

// Starts <dir>/<name>.part with its header. kraft_version 0 writes no voters. now_ms is wall clock.
int snapshot_writer_start(struct snapshot_writer *w, const char *dir, const char *name, int32_t epoch,
                          int64_t last_timestamp_ms, int16_t kraft_version, const struct raft_voters *voters,
                          int64_t now_ms);
int snapshot_writer_add(struct snapshot_writer *w, struct bytes value);
// Footer, fsync, rename, and, unless the caller does that itself for several files, fsync of the directory.
// Whatever it returns, the writer is closed; after an error no file is left.
int snapshot_writer_finish(struct snapshot_writer *w, bool sync_dir);
void snapshot_writer_abandon(struct snapshot_writer *w);

// Reads a whole snapshot. ERR_NOT_FOUND, ERR_CORRUPT (also when the footer is missing), ERR_IO, or what the
// visitor returned. Header and footer are visited as controls.
int snapshot_read(const char *dir, const char *name, const struct metadata_visitor *visitor);

// The LastContainedLogTimestamp of a snapshot's header, -1 when it cannot be read.
int64_t snapshot_last_timestamp_ms(const char *dir, const char *name);

#endif
