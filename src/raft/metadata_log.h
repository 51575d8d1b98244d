// __cluster_metadata-0 on disk: the log, its snapshots, quorum-state. What raft/ decides is executed here.
// One thread (the controller's), but for metadata_log_write_snapshot.
#ifndef RAFT_METADATA_LOG_H
#define RAFT_METADATA_LOG_H

#include "raft/raft.h"
#include "raft/snapshot.h"
#include "storage/log.h"

#define METADATA_TOPIC     "__cluster_metadata"
#define METADATA_DIRECTORY "__cluster_metadata-0"

extern const struct uuid metadata_topic_id;

struct metadata_log_params {
    const char *log_dir;       // metadata.log.dir
    struct dir_health *health; // of it; outlives the log; may be NULL
    int32_t segment_bytes;
    int64_t segment_ms;
    int64_t retention_bytes, retention_ms; // metadata.max.retention.*; -1: no limit
    int64_t now_ms;                        // wall clock
    bool clean; // the last stop was: damage is no crash's work, and the open fails rather than cut it off
};

struct metadata_log {
    char *dir; // of the partition
    struct log *log;
    struct file_cache *files;
    struct snapshot_id *snapshots; // those on disk, oldest first
    size_t snapshots_count;
    int64_t retention_bytes, retention_ms;
    int64_t bytes_since_snapshot; // appended, or found behind the last snapshot
};

// Opens or makes the log; removes half-written snapshots. A torn tail is cut off. ERR_CORRUPT, ERR_IO, ...;
// one line for a person in message.
int metadata_log_open(const struct metadata_log_params *params, struct metadata_log **out, char *message,
                      size_t message_size);

// Flushes and closes. NULL is fine.
void metadata_log_close(struct metadata_log *m);

// The newest snapshot, or offset -1.
struct snapshot_id metadata_log_latest_snapshot(const struct metadata_log *m);

// Visits everything that there is to know: the newest snapshot, then the log behind it. Records of the
// snapshot have its last offset and epoch.
int metadata_log_load(struct metadata_log *m, const struct metadata_visitor *visitor, char *message,
                      size_t message_size);

int64_t metadata_log_end(const struct metadata_log *m);
int64_t metadata_log_start(const struct metadata_log *m);
int32_t metadata_log_last_epoch(const struct metadata_log *m);

// Appends one batch as the leader of the epoch; offsets are assigned. Not durable before metadata_log_flush.
int metadata_log_append(struct metadata_log *m, struct bytes batch, int32_t epoch, int64_t now_ms,
                        int64_t *base_offset);

// Makes everything durable. After an error nothing may be acknowledged any more.
int metadata_log_flush(struct metadata_log *m);

void metadata_log_set_high_watermark(struct metadata_log *m, int64_t high_watermark);

// Writes a snapshot file of the image, whose offset is that of the last record in it. Any thread; touches
// nothing of the log but its directory.
int metadata_log_write_snapshot(const char *dir, const struct image *image, int16_t kraft_version,
                                const struct raft_voters *voters, int64_t now_ms);

// The file is there: from now on it counts, and what retention no longer wants goes (old snapshots, then the
// log below the oldest that is left).
void metadata_log_snapshot_done(struct metadata_log *m, struct snapshot_id id, int64_t now_ms);

#endif
