// The kinds of groups that share __consumer_offsets, a group id and its offsets. Private to group/.
//
// What requests and records that may concern any group ask of a kind stands here; what only its own members
// send is its own business. A kind registers in group_kinds (kinds.c) and nowhere else: README.md.
#ifndef COORDINATOR_GROUP_KIND_H
#define COORDINATOR_GROUP_KIND_H

#include "coordinator/group/state.h"

struct group_kind {
    const char *name;          // as ListGroups says it
    const char *protocol_type; // the same; NULL: what the group's members said
    bool served;               // else it is known by its records alone, which stay as they are

    // A record of the log. False: it is another kind's. *rc: 0, or why it cannot be read.
    bool (*replay)(struct groups *s, int16_t type, const struct coordinator_record *record,
                   struct arena *arena, int *rc);
    void (*loaded)(struct turn *t, struct group *g); // the log was read: its members' sessions begin

    const char *(*state_name)(const struct group *g);
    bool (*is_empty)(const struct group *g); // without members
    bool (*subscribes)(const struct group *g, struct str topic);
    // Of the group itself, when it is empty. NULL: some of its records are not known here, so that it cannot
    // be removed.
    void (*write_tombstones)(struct turn *t, const struct group *g);

    // Whether offsets may be committed (also as part of a transaction), read, deleted: E_NONE, or why not.
    int16_t (*check_commit)(const struct group *g, const struct coordinator_request *r,
                            const struct offset_commit_request *q);
    int16_t (*check_txn_commit)(const struct group *g, const struct offset_commit_request *q);
    int16_t (*check_fetch)(const struct group *g, const struct group_fetch *q);
    int16_t (*check_offset_delete)(const struct group *g);
};

extern const struct group_kind group_kinds[GROUP_TYPES];

static inline const struct group_kind *kind_of(const struct group *g)
{
    return &group_kinds[g->type];
}

// Replays a record as the kind that it belongs to does. 0, also for what nobody knows; or why it cannot be
// read.
int kinds_replay(struct groups *s, int16_t type, const struct coordinator_record *record,
                 struct arena *arena);

// replay.c

bool replay_classic_record(struct groups *s, int16_t type, const struct coordinator_record *record,
                           struct arena *arena, int *rc);
// A group of a kind that is not served comes to be, or ends: the record of its epoch says so.
int replay_unserved(struct groups *s, enum group_type type, const struct coordinator_record *record,
                    struct arena *arena);

// commit.c: groups of the classic protocol

int16_t classic_check_commit(const struct group *g, const struct coordinator_request *r,
                             const struct offset_commit_request *q);
int16_t classic_check_txn_commit(const struct group *g, const struct offset_commit_request *q);

#endif
