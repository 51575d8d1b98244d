// The file quorum-state in Kafka's format (QuorumStateData as JSON, versions 0 and 1): the vote and the
// epoch.
#ifndef RAFT_QUORUM_STATE_H
#define RAFT_QUORUM_STATE_H

#include "base/buffer.h"
#include "raft/raft.h"

#define QUORUM_STATE_FILE "quorum-state"

// Reads <dir>/quorum-state. A missing file is a node that never voted: epoch 0, nobody. ERR_CORRUPT, ERR_IO.
// *message (may be NULL) gets a phrase.
int quorum_state_read(const char *dir, struct raft_persistent *out, struct buffer *message);

// Writes it durably (temporary name, fsync, rename, fsync of the directory). Version 0 for kraft.version 0,
// which lists the voters; version 1 for kraft.version 1, which knows directories.
int quorum_state_write(const char *dir, int16_t kraft_version, const struct raft_persistent *state,
                       const struct raft_voters *voters);

// The same without the file. Pure.
int quorum_state_parse(struct bytes text, struct raft_persistent *out, struct buffer *message);
void quorum_state_format(int16_t kraft_version, const struct raft_persistent *state,
                         const struct raft_voters *voters, struct buffer *out);

#endif
