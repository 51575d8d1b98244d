// The state of a shard of groups. Private to group/.
#ifndef COORDINATOR_GROUP_STATE_H
#define COORDINATOR_GROUP_STATE_H

#include "base/heap.h"
#include "base/map.h"
#include "coordinator/group/group.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

struct group;
struct member;
struct consumer_group;

// Timers

enum timer_kind {
    TIMER_EXPIRY,             // of the shard: offsets and empty groups
    TIMER_JOIN,               // of a group: its join phase ends
    TIMER_SYNC,               // of a group: who has not synced by then is out
    TIMER_HEARTBEAT,          // of a member
    TIMER_PENDING,            // of a member id that was given out
    TIMER_CONSUMER_SESSION,   // of a member of a consumer group: it is silent
    TIMER_CONSUMER_REBALANCE, // the same: it has not given up what it is to give up
};

struct timer {
    struct heap_node node; // key: due, monotonic
    enum timer_kind kind;
};

// Offsets that are committed

struct offset {
    int64_t offset;
    int64_t commit_ms, expire_ms; // wall clock; expire_ms -1: none of its own
    int64_t record_offset;
    int32_t partition;
    int32_t leader_epoch; // -1: unknown
    struct uuid topic_id; // zero: unknown
    char *metadata;       // terminated; NULL: empty
};

struct topic_offsets {
    struct str topic;
    struct offset *offsets; // sorted by partition
    uint32_t count, capacity;
};

// Sorted by topic. All zeros is an empty one.
struct offsets {
    struct topic_offsets *topics;
    uint32_t count, capacity;
};

struct offset *offsets_find(const struct offsets *o, struct str topic, int32_t partition);
const struct topic_offsets *offsets_topic(const struct offsets *o, struct str topic);
// The place of an offset, new (all zeros but for the partition) or not.
struct offset *offsets_put(struct offsets *o, struct str topic, int32_t partition);
bool offsets_remove(struct offsets *o, struct str topic, int32_t partition);
void offsets_free(struct offsets *o);

// What a transaction has committed in the names of groups, until it ends.
struct transaction {
    int64_t producer_id;
    struct map groups; // struct pending_offsets by group id
};

struct pending_offsets {
    struct str group_id;
    struct offsets offsets;
};

// Groups

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD };

// As the records say (kind.h).
enum group_type { GROUP_CLASSIC, GROUP_CONSUMER, GROUP_SHARE, GROUP_STREAMS, GROUP_TYPES };

struct protocol {
    struct str name;
    struct bytes metadata;
};

struct member {
    struct list node; // in its group's, in the order of their coming
    struct group *group;
    struct str id, instance_id; // instance_id null: a dynamic member
    struct str client_id, client_host;
    int32_t rebalance_timeout_ms, session_timeout_ms;
    struct protocol *protocols; // preferred first
    uint32_t protocols_count;
    bool is_new;       // has not got its first answer to a join
    bool pending_sync; // is to sync in this generation
    struct bytes assignment;
    struct coordinator_request *joining, *syncing; // that wait
    struct timer heartbeat;
};

// A member id that was given out (KIP-394).
struct pending {
    struct group *group;
    struct str id;
    struct timer timer;
};

struct protocol_votes {
    struct str name;
    uint32_t members; // that support it
};

struct group {
    struct groups *groups;
    struct str id;
    enum group_type type;
    enum group_state state, previous;
    int64_t state_ms; // wall clock, of its last change; -1: unknown
    int32_t generation;
    struct str protocol_type, protocol; // null: none
    struct member *leader;

    struct list members;
    struct map members_by_id, static_members; // by instance id
    uint32_t members_count, joining_count, pending_syncs;
    struct map pendings; // struct pending by its id
    struct protocol_votes *votes;
    uint32_t votes_count, votes_capacity;
    struct map votes_by_name; // the place in votes, plus one: a client names as many protocols as it likes

    struct timer join, sync;
    bool initial_join;     // the join timer is the initial rebalance's
    bool new_member_added; // since that was armed
    int32_t initial_delay_ms, initial_left_ms;

    bool knows_topics; // topics that a "consumer" group subscribes to are known
    struct map topics;

    struct offsets offsets;
    struct offsets pending; // that open transactions hold; `offset` says how many do

    struct consumer_group *consumer; // of the consumer protocol: it has none of the above but the offsets
};

// What is to follow the append of a step's records.
enum continuation {
    THEN_NOTHING,
    THEN_ANSWER,    // the request, with the response that is ready
    THEN_CREATED,   // a group came to be; it goes again when that could not be written
    THEN_ASSIGN,    // the leader's assignment is stored
    THEN_REPLACED,  // a static member came back under another id
    THEN_AGAIN,     // the request is served once more: the group has made way
    THEN_HEARTBEAT, // of a consumer group's member
};

struct groups {
    const struct group_config *config;
    struct map groups;       // by id
    struct map transactions; // struct transaction by producer id
    struct heap timers;
    struct timer expiry;

    // Between a step with records and its settling.
    enum continuation then;
    struct group *then_group;
    struct member *then_member;
    struct coordinator_request *then_request;
    struct replaced *then_replaced;
    struct str then_group_id, then_member_id; // the request's memory, during the call
    bool then_moved, then_assigns;
    bool then_upgraded;         // the group was a classic one until now
    struct str then_downgraded; // a group that becomes a classic one; in the effects' memory
};

// One call into the machine.
struct turn {
    struct groups *groups;
    struct coordinator_now now;
    struct coordinator_effects *effects;
};

// Gives the answer: response built in request->arena, or NULL and an error.
static inline void answer(struct turn *t, struct coordinator_request *r, void *response)
{
    coordinator_answer(t->effects, r, response);
}

static inline void refuse(struct turn *t, struct coordinator_request *r, int16_t error)
{
    coordinator_refuse(t->effects, r, error);
}

// shard.c

struct group *group_find(const struct groups *s, struct str id);
struct group *group_create(struct groups *s, struct str id, int64_t wall_ms);
void group_remove(struct group *g); // nobody waits in it
void group_end(struct group *g);    // the same, but offsets stay, as those of a simple group
void timer_arm(struct turn *t, struct timer *timer, int64_t delay_ms);
void timer_cancel(struct groups *s, struct timer *timer);
void set_state(struct turn *t, struct group *g, enum group_state state);
bool group_is_empty(const struct group *g);                   // without members
void write_tombstones(struct turn *t, const struct group *g); // of the group itself, when it is empty
const char *group_state_name(enum group_state state);
bool group_uses_consumer_protocol(const struct group *g);
bool group_subscribes(const struct group *g, struct str topic);

// members.c

struct member *member_find(const struct group *g, struct str id);
struct member *member_static(const struct group *g, struct str instance_id);
struct pending *pending_find(const struct group *g, struct str id);
struct pending *pending_add(struct turn *t, struct group *g, struct str id, int32_t session_timeout_ms);
void pending_remove(struct pending *p);
void pendings_free(struct group *g);
struct member *member_add(struct group *g, struct str id, struct str instance_id, struct str client_id,
                          struct str client_host);
void member_remove(struct turn *t,
                   struct member *m); // a waiting join or sync is the caller's to answer before
void member_rename(struct member *m, struct str id);
// Takes copies of what the request supports.
void member_set_protocols(struct member *m,
                          const struct join_group_request_join_group_request_protocol *protocols,
                          int32_t count);
struct protocol *member_protocol(const struct member *m, struct str name);
bool member_has_protocols(const struct member *m,
                          const struct join_group_request_join_group_request_protocol *protocols,
                          int32_t count);
void member_set_assignment(struct member *m, struct bytes assignment);
// E_NONE, E_UNKNOWN_MEMBER_ID or E_FENCED_INSTANCE_ID.
int16_t member_check(const struct group *g, struct str id, struct str instance_id);
void member_wait_join(struct turn *t, struct member *m, struct coordinator_request *request);
void member_answer_join(struct turn *t, struct member *m, struct join_group_response *response);
int32_t group_rebalance_timeout_ms(const struct group *g);
uint32_t votes_of(const struct group *g, struct str protocol);
// The protocol that most members prefer among those that all support. A view of the group.
struct str group_select_protocol(const struct group *g);
void group_learn_topics(struct group *g); // what the members subscribe to
void group_forget_topics(struct group *g);

// rebalance.c

void prepare_rebalance(struct turn *t, struct group *g);
void rebalance_or_complete(struct turn *t, struct group *g);
void maybe_complete_join(struct turn *t, struct group *g);
void on_join_timer(struct turn *t, struct group *g);
void on_sync_timer(struct turn *t, struct group *g);
void on_heartbeat_timer(struct turn *t, struct member *m);
void on_pending_timer(struct turn *t, struct pending *p);
void remove_member_and_rebalance(struct turn *t, struct member *m);
void heartbeat_restart(struct turn *t, struct member *m);
struct join_group_response *join_response(struct coordinator_request *r, int16_t error, struct str member_id);
// With the generation, the protocol and the leader; with the members when `all`.
struct join_group_response *join_result(struct coordinator_request *r, const struct member *m, bool all);
// Ends the waiting of everybody in the sync phase: with the assignments, or with an error.
void propagate_assignment(struct turn *t, struct group *g, int16_t error);

// Requests, one file a kind.

void on_join(struct turn *t, struct coordinator_request *r);
void on_sync(struct turn *t, struct coordinator_request *r);
void on_heartbeat(struct turn *t, struct coordinator_request *r);
void on_leave(struct turn *t, struct coordinator_request *r);
void on_commit(struct turn *t, struct coordinator_request *r);
void on_txn_commit(struct turn *t, struct coordinator_request *r);
void on_fetch(struct turn *t, struct coordinator_request *r);
void on_offset_delete(struct turn *t, struct coordinator_request *r);
void on_list(struct turn *t, struct coordinator_request *r);
void on_describe(struct turn *t, struct coordinator_request *r);
void on_delete(struct turn *t, struct coordinator_request *r);
void on_topic_deleted(struct turn *t, struct coordinator_request *r);
void on_expiry_timer(struct turn *t);

void settle_created(struct turn *t, int16_t error);
void settle_assigned(struct turn *t, int16_t error);
void settle_replaced(struct turn *t, int16_t error);

// records.c: what is written

// A message with its version, or for a key its type, in front. A null view: out of memory.
struct bytes record_encode(struct arena *arena, int16_t prefix, const struct message_type *type,
                           int16_t version, const void *message);
// value NULL: a tombstone. What is written is not replayed unless effects->replay says so.
void write_record(struct turn *t, const struct message_type *key_type, const void *key,
                  const struct message_type *value_type, int16_t version, const void *value);
// The value is encoded already, and lives until the records are appended.
void write_record_value(struct turn *t, const struct message_type *key_type, const void *key,
                        struct bytes value);

void write_group(struct turn *t, const struct group *g); // as it stands
void write_group_value(struct turn *t, struct str id,
                       const struct group_metadata_value *value); // is replayed
void write_empty_group(struct turn *t, const struct group *g);    // that has just come to be
void write_group_tombstone(struct turn *t, struct str id);
void write_offset_tombstone(struct turn *t, struct str group, struct str topic, int32_t partition);
// Of offsets that transactions hold and that no committed one stands for; topic NULL: of every topic.
void write_pending_tombstones(struct turn *t, const struct group *g, const struct str *topic);
void write_offset(struct turn *t, struct str group, struct str topic, int32_t partition,
                  const struct offset_commit_value *value);

// replay.c

// A key (without a version of its own: its type is in front) or a value.
int replay_decode(const struct message_type *type, struct bytes in, bool is_key, struct arena *arena,
                  void *out);

void replay_record(void *state, const struct coordinator_record *record, int64_t offset, int64_t producer_id);
void replay_transaction_end(void *state, int64_t producer_id, bool committed);
bool offset_is_pending(const struct group *g, struct str topic, int32_t partition);

#endif
