// The kinds of groups, each in one row.
#include "coordinator/group/kind.h"

#include "coordinator/group/consumer.h"

// Of the classic protocol

static void classic_loaded(struct turn *t, struct group *g)
{
    for (struct list *n = list_first(&g->members), *next; list_each(&g->members, n, next); n = next)
        heartbeat_restart(t, container_of(n, struct member, node));
    // The limit may have changed: who is too much is found when everybody joins anew.
    if (g->members_count > (uint32_t)t->groups->config->max_size)
        prepare_rebalance(t, g);
}

static const char *classic_state_name(const struct group *g)
{
    return group_state_name(g->state);
}

static bool classic_is_empty(const struct group *g)
{
    return g->state == GROUP_EMPTY;
}

// A group whose topics are not known may be subscribed to any when it is of consumers.
static bool classic_subscribes(const struct group *g, struct str topic)
{
    if (!g->knows_topics)
        return group_uses_consumer_protocol(g);
    return map_get(&g->topics, topic) != NULL;
}

static void classic_write_tombstones(struct turn *t, const struct group *g)
{
    write_group_tombstone(t, g->id);
}

static int16_t classic_check_fetch(const struct group *g, const struct group_fetch *q)
{
    (void)g;
    (void)q;
    return E_NONE;
}

static int16_t classic_check_offset_delete(const struct group *g)
{
    return g->state != GROUP_EMPTY && !group_uses_consumer_protocol(g) ? E_NON_EMPTY_GROUP : E_NONE;
}

// Of the consumer protocol (KIP-848)

static bool consumer_is_empty(const struct group *g)
{
    return consumer_of(g)->members.count == 0;
}

static int16_t consumer_check_offset_delete(const struct group *g)
{
    (void)g;
    return E_NONE;
}

// Known by their records: they have no members here

#define KEY_SHARE   11 // ShareGroupMetadata
#define KEY_STREAMS 17 // StreamsGroupMetadata

static bool replay_share(struct groups *s, int16_t type, const struct coordinator_record *record,
                         struct arena *arena, int *rc)
{
    if (type == KEY_SHARE)
        *rc = replay_unserved(s, GROUP_SHARE, record, arena);
    return type == KEY_SHARE;
}

static bool replay_streams(struct groups *s, int16_t type, const struct coordinator_record *record,
                           struct arena *arena, int *rc)
{
    if (type == KEY_STREAMS)
        *rc = replay_unserved(s, GROUP_STREAMS, record, arena);
    return type == KEY_STREAMS;
}

static void unserved_loaded(struct turn *t, struct group *g)
{
    (void)t;
    (void)g;
}

static bool unserved_subscribes(const struct group *g, struct str topic)
{
    (void)g;
    (void)topic;
    return false;
}

// A share group's offsets are no committed ones.

static int16_t share_check_commit(const struct group *g, const struct coordinator_request *r,
                                  const struct offset_commit_request *q)
{
    (void)g;
    (void)r;
    (void)q;
    return E_GROUP_ID_NOT_FOUND;
}

static int16_t share_check_txn_commit(const struct group *g, const struct offset_commit_request *q)
{
    return share_check_commit(g, NULL, q);
}

static int16_t share_check_fetch(const struct group *g, const struct group_fetch *q)
{
    (void)g;
    (void)q;
    return E_NONE; // there are none
}

static int16_t share_check_offset_delete(const struct group *g)
{
    (void)g;
    return E_GROUP_ID_NOT_FOUND;
}

// A streams group's are: an administrator resets them while the group has no members.

static int16_t streams_check_commit(const struct group *g, const struct coordinator_request *r,
                                    const struct offset_commit_request *q)
{
    (void)g;
    (void)r;
    return q->generation_id_or_member_epoch < 0 ? E_NONE : E_UNKNOWN_MEMBER_ID;
}

static int16_t streams_check_txn_commit(const struct group *g, const struct offset_commit_request *q)
{
    return streams_check_commit(g, NULL, q);
}

static int16_t streams_check_fetch(const struct group *g, const struct group_fetch *q)
{
    (void)g;
    return !q->member_id.data && q->member_epoch < 0 ? E_NONE : E_UNKNOWN_MEMBER_ID;
}

const struct group_kind group_kinds[GROUP_TYPES] = {
    [GROUP_CLASSIC] = {.name = "classic",
                       .served = true,
                       .replay = replay_classic_record,
                       .loaded = classic_loaded,
                       .state_name = classic_state_name,
                       .is_empty = classic_is_empty,
                       .subscribes = classic_subscribes,
                       .write_tombstones = classic_write_tombstones,
                       .check_commit = classic_check_commit,
                       .check_txn_commit = classic_check_txn_commit,
                       .check_fetch = classic_check_fetch,
                       .check_offset_delete = classic_check_offset_delete},
    [GROUP_CONSUMER] = {.name = "consumer",
                        .protocol_type = "consumer",
                        .served = true,
                        .replay = replay_consumer_record,
                        .loaded = consumer_loaded,
                        .state_name = consumer_state_name,
                        .is_empty = consumer_is_empty,
                        .subscribes = consumer_subscribes,
                        .write_tombstones = write_consumer_group_tombstones,
                        .check_commit = consumer_check_commit,
                        .check_txn_commit = consumer_check_txn_commit,
                        .check_fetch = consumer_check_fetch,
                        .check_offset_delete = consumer_check_offset_delete},
    [GROUP_SHARE] = {.name = "share",
                     .protocol_type = "share",
                     .replay = replay_share,
                     .loaded = unserved_loaded,
                     .state_name = classic_state_name,
                     .is_empty = classic_is_empty,
                     .subscribes = unserved_subscribes,
                     .check_commit = share_check_commit,
                     .check_txn_commit = share_check_txn_commit,
                     .check_fetch = share_check_fetch,
                     .check_offset_delete = share_check_offset_delete},
    [GROUP_STREAMS] = {.name = "streams",
                       .protocol_type = "streams",
                       .replay = replay_streams,
                       .loaded = unserved_loaded,
                       .state_name = classic_state_name,
                       .is_empty = classic_is_empty,
                       .subscribes = unserved_subscribes,
                       .check_commit = streams_check_commit,
                       .check_txn_commit = streams_check_txn_commit,
                       .check_fetch = streams_check_fetch,
                       .check_offset_delete = consumer_check_offset_delete},
};

int kinds_replay(struct groups *s, int16_t type, const struct coordinator_record *record, struct arena *arena)
{
    int rc = 0;
    for (size_t i = 0; i < GROUP_TYPES; i++)
        if (group_kinds[i].replay(s, type, record, arena, &rc))
            return rc;
    return 0;
}
