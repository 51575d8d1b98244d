// Control batches of the metadata log and of snapshots. Pure.
#ifndef RAFT_CONTROL_H
#define RAFT_CONTROL_H

#include "raft/voters.h"
#include "storage/batch.h"

// The first batch of a leader's epoch: LeaderChange, and, when `with_voters` (the log does not say them yet,
// or they changed), KRaftVersion and Voters. `granted` tells who voted for the leader, by place in `voters`.
// *batch shows the builder's memory. 0, or ERR_NOMEM.
int control_epoch_batch(struct batch_builder *b, int32_t epoch, int32_t leader_id,
                        const struct raft_voters *voters, const bool *granted, bool with_voters,
                        int16_t kraft_version, int64_t now_ms, struct bytes *batch);

// Static voters become dynamic ones: KRaftVersion and Voters.
int control_upgrade_batch(struct batch_builder *b, int32_t epoch, int16_t kraft_version,
                          const struct raft_voters *voters, int64_t now_ms, struct bytes *batch);

// The first batch of a snapshot: SnapshotHeader, and with kraft.version 1 KRaftVersion and Voters.
int control_snapshot_header(struct batch_builder *b, int32_t epoch, int64_t last_timestamp_ms,
                            int16_t kraft_version, const struct raft_voters *voters, int64_t now_ms,
                            struct bytes *batch);

// The last batch of a snapshot, at this offset.
int control_snapshot_footer(struct batch_builder *b, int64_t offset, int32_t epoch, int64_t now_ms,
                            struct bytes *batch);

// The level in a KRaftVersion record. ERR_CORRUPT.
int control_kraft_version(struct bytes value, int16_t *out);

#endif
