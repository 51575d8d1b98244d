// Formats the directories of a new node, as kafka-storage format does: bootstrap.checkpoint everywhere, the
// voters' first checkpoint for a dynamic quorum, and meta.properties last (with it a directory counts as
// formatted).
#ifndef RAFT_FORMAT_H
#define RAFT_FORMAT_H

#include "raft/voters.h"
#include "storage/log_dir.h"

struct format_params {
    struct log_dir *const *dirs; // opened, locked, empty
    size_t dirs_count, metadata_dir;
    int32_t node_id;
    const char *cluster_id;
    const struct bytes *bootstrap; // record values of bootstrap.checkpoint
    size_t bootstrap_count;
    // A dynamic quorum: this node's endpoints as its only voter. NULL: static voters.
    const struct raft_endpoint *endpoints;
    uint32_t endpoints_count;
    int64_t now_ms; // wall clock
};

// 0; ERR_IO, ERR_NO_SPACE, ERR_NOMEM with one line in message.
int format_directories(const struct format_params *params, char *message, size_t message_size);

#endif
