// Groups of the consumer protocol (KIP-848). Private to group/.
//
// Unlike a classic group, everything of theirs is in the records: a heartbeat reads the state and writes
// records, and replay alone changes it. Only the timers are soft.
#ifndef COORDINATOR_GROUP_CONSUMER_H
#define COORDINATOR_GROUP_CONSUMER_H

#include "coordinator/group/reconcile.h"
#include "coordinator/group/state.h"

#define MEMBER_JOINS          0    // as an epoch in a heartbeat
#define MEMBER_LEAVES         (-1) // for good
#define MEMBER_LEAVES_FOR_NOW (-2) // a static one, which will be back

#define CONSUMER_FIRST_EPOCH 1 // of a group and of its targets, before a record says otherwise

// What a member says of itself: one block of memory with what the views show.
struct consumer_subscription {
    struct str instance_id, rack_id, client_id, client_host, regex, assignor; // null: none
    struct str *topics;                                                       // ascending, each once
    int32_t topics_count;
    int32_t rebalance_timeout_ms;
    // As the record has it, for a member that uses the classic protocol.
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic;
};

struct consumer_member {
    struct group *group;
    struct str id;
    struct arena subscription_memory;
    struct consumer_subscription subscription;
    struct consumer_position at; // its assignments' memory is its own
    struct assignment target;    // the same
    struct list instances;       // struct instance: the ids under which it is found
    uint32_t instances_count;
    struct timer session, rebalance;
};

struct consumer_regex {
    struct arena memory;
    struct str pattern;
    struct str *topics; // that matched, ascending
    int32_t topics_count;
    int64_t version, timestamp_ms;
};

struct consumer_group {
    int32_t epoch, assignment_epoch;
    int64_t metadata_hash;
    int64_t assignment_ms;    // wall clock; 0: unknown
    int64_t metadata_version; // of the broker's metadata that the hash was compared with; -1: none
    int64_t partitions;       // of the topics that it saw then
    bool assigning;           // a worker does it, under this token
    struct uuid assigning_token;
    struct map members;    // struct consumer_member by id
    struct map statics;    // struct instance by id
    struct map subscribed; // struct subscribed_topic by name: how many members name it
    struct map regexes;    // struct consumer_regex by pattern
    bool resolving;        // they are being matched with the topics that exist
    struct map holdings;   // by topic and partition: what members hold, assigned or revoking
};

// consumer_state.c

struct consumer_group *consumer_of(const struct group *g); // NULL: another type
struct consumer_group *consumer_need(struct group *g);     // makes it one; what it was must be empty
void consumer_free(struct group *g);
struct consumer_member *consumer_member_find(const struct group *g, struct str id);
struct consumer_member *consumer_member_static(const struct group *g, struct str instance_id);
struct consumer_member *consumer_member_need(struct group *g, struct str id);
void consumer_member_remove(struct consumer_member *m);
void consumer_member_describe(struct consumer_member *m, const struct consumer_subscription *s); // copies
void assignment_own(struct assignment *place, const struct assignment *a); // copies; frees what was there
const char *consumer_state_name(const struct group *g);
bool consumer_subscribes(const struct group *g, struct str topic);
// By name or by its regular expression. g NULL: there is no group yet.
bool consumer_subscription_has(const struct group *g, const struct consumer_subscription *s,
                               struct str topic);
uint32_t consumer_subscribers(const struct group *g, struct str topic); // by name
bool consumer_names_have(const struct str *ascending, int32_t count, struct str name);
// Sorts, and drops what comes twice; returns how many are left.
int32_t consumer_sort_names(struct str *names, int32_t count);
// Whether a member holds the partition, assigned or to be given up; and that a member does, or no longer.
bool consumer_is_held(const struct group *g, const struct topic_partition *p);
void consumer_hold(struct group *g, const struct assignment *a);
void consumer_release(struct group *g, const struct assignment *a);
void consumer_loaded(struct turn *t, struct group *g);

// consumer_records.c: what is written

void write_consumer_group(struct turn *t, struct str group, int32_t epoch, int64_t hash);
void write_consumer_member(struct turn *t, struct str group, struct str member,
                           const struct consumer_subscription *s);
void write_consumer_target(struct turn *t, struct str group, struct str member, const struct assignment *a);
// The same in two steps: the record's value, on any thread, and the record itself. A null view: no memory.
struct bytes consumer_target_value(struct arena *arena, const struct assignment *a);
void write_consumer_target_value(struct turn *t, struct str group, struct str member, struct bytes value);
void write_consumer_target_epoch(struct turn *t, struct str group, int32_t epoch, int64_t wall_ms);
void write_consumer_position(struct turn *t, struct str group, struct str member,
                             const struct consumer_position *at);
void write_consumer_member_tombstones(struct turn *t, struct str group, struct str member);
void write_consumer_group_tombstones(struct turn *t, const struct group *g); // without members

void write_consumer_regex(struct turn *t, struct str group, const struct group_regexes *r,
                          const struct group_regex *regex);
void write_consumer_regex_tombstone(struct turn *t, struct str group, struct str pattern);

// consumer_replay.c. The record's type is one of theirs when it returns true.

bool replay_consumer_record(struct groups *s, int16_t type, const struct coordinator_record *record,
                            struct arena *arena, int *rc);

// consumer_target.c: what a group as a whole is to do

// A group as it will be once the records of a step are replayed: its members, one of them changed, added or
// left out.
struct consumer_change {
    const struct group *group;              // NULL: there is none yet
    const struct map *gone;                 // those that leave, by id; may be NULL
    const struct consumer_member *replaced; // leaves, too; may be NULL
    struct str id;                          // who comes or changes; null: nobody
    const struct consumer_subscription *subscription;
    const struct assignment *target;      // of that member, until now
    const struct group_regexes *resolved; // anew; may be NULL
};

// The topics that anybody subscribes to, as they exist now.
struct consumer_topics {
    int64_t hash; // 0: there are none
    int64_t partitions;
};

struct consumer_topics consumer_see_topics(struct turn *t, const struct consumer_change *change);

// consumer_assign.c: who is to own what

// Whether to assign would cost more than a reactor has to give: a worker does it (consumer_assign_aside).
// cost: what comes to the members that the group has: partitions, and what a new one subscribes to.
bool consumer_assigns_aside(const struct turn *t, const struct group *g, int64_t cost);
// Assigns anew and writes the targets that changed. *target is that of change->id. False: out of memory.
bool consumer_assign(struct turn *t, struct str group, const struct consumer_change *change, int32_t epoch,
                     struct assignment *target);
// Has a worker assign, unless one does already. Once the group's epoch is in the state.
void consumer_assign_aside(struct turn *t, struct group *g);
void on_assign_look(struct turn *t, struct coordinator_request *r);
void on_assigned(struct turn *t, struct coordinator_request *r);

// consumer_regex.c

// A member goes over to another regular expression, or to none; g NULL: there is no group yet. Returns
// whether it is one that nobody has looked at. *resolved: which topics match it is known.
bool consumer_regex_change(struct turn *t, struct str group, const struct group *g, struct str before,
                           struct str after, bool *resolved);
void consumer_regex_leave(struct turn *t, const struct group *g, const struct map *gone); // members, by id
size_t consumer_regex_subscribers(const struct group *g, struct str pattern); // g NULL: there are none
// Has the group's expressions matched again when this member's is unknown, topics came to be, or it is time.
void consumer_regex_refresh(struct turn *t, struct group *g, const struct consumer_member *m);
void on_regexes_resolved(struct turn *t, struct coordinator_request *r);

// consumer_classic.c: members that use the classic protocol, and the way from one to the other

// What a subscription of the classic protocol says; false: it is none.
bool consumer_read_subscription(struct turn *t, struct bytes in, struct arena *arena,
                                struct consumer_protocol_subscription *out, struct assignment *owned);
bool consumer_may_upgrade(const struct turn *t, const struct group *g);
// Writes it, with what becomes of the request of a member that joins; false: a subscription is none.
bool consumer_upgrade(struct turn *t, struct group *g, struct coordinator_request *r);
// gone: those that leave, by id.
bool consumer_may_downgrade(const struct turn *t, const struct group *g, const struct map *gone);
void consumer_downgrade(struct turn *t, const struct group *g, const struct map *gone); // writes it
void settle_again(struct turn *t, int16_t error); // the group has made way for what the request wants
void settle_downgraded(struct turn *t, struct str id);
bool consumer_supports_classic(const struct group *g, const struct join_group_request *q);
void consumer_classic_sync(struct turn *t, struct group *g, struct coordinator_request *r);
int16_t consumer_classic_heartbeat(struct turn *t, struct group *g, const struct heartbeat_request *q);
void consumer_classic_leave(struct turn *t, struct group *g, struct coordinator_request *r);

// consumer_heartbeat.c, consumer_describe.c

// member_id: the member's, or a new one; the request's own is empty then.
void consumer_classic_join(struct turn *t, struct group *g, struct coordinator_request *r,
                           struct str member_id);
int32_t consumer_session_timeout_ms(const struct turn *t, const struct consumer_member *m);
// Writes the group without these members (by id): their records go, and the rest assigns anew.
void consumer_members_leave(struct turn *t, const struct group *g, const struct map *gone);

void on_consumer_heartbeat(struct turn *t, struct coordinator_request *r);
void on_consumer_describe(struct turn *t, struct coordinator_request *r);
void on_consumer_session_timer(struct turn *t, struct consumer_member *m);
void on_consumer_rebalance_timer(struct turn *t, struct consumer_member *m);
void settle_consumer_heartbeat(struct turn *t, int16_t error);
int16_t consumer_check_commit(const struct group *g, const struct coordinator_request *r,
                              const struct offset_commit_request *q);
int16_t consumer_check_txn_commit(const struct group *g, const struct offset_commit_request *q);
int16_t consumer_check_fetch(const struct group *g, const struct group_fetch *q);

#endif
