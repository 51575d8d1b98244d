// Groups: members that share the partitions of topics, and offsets that are committed in a group's name. The
// machine of the shards of __consumer_offsets.
#ifndef COORDINATOR_GROUP_GROUP_H
#define COORDINATOR_GROUP_GROUP_H

#include "base/uuid.h"
#include "config/broker_config.h"
#include "coordinator/machine.h"
#include "protocol/messages.h"

extern const struct coordinator_machine group_machine;

// A topic as the broker's metadata has it.
struct group_topic {
    struct uuid id;
    int32_t partitions;
    int64_t hash; // metadata_hash.h
};

// What groups of the consumer protocol ask about topics. On the thread that hands in a request or a tick.
struct group_metadata {
    void *context;
    int64_t (*version)(void *context); // another one whenever something may have changed
    bool (*topic)(void *context, struct str name, struct group_topic *out); // false: there is none
    struct str (*topic_name)(void *context, const struct uuid *id);         // a null view: there is none
    int64_t (*topics_version)(void *context); // `version` as it was when a topic last came to be
    // What a group of its own has set ("consumer.session.timeout.ms" ...); `otherwise` where it has not. May
    // be NULL: none has.
    int32_t (*setting)(void *context, struct str group, struct str name, int32_t otherwise);
};

// What is wrong with the regular expression of a request. To compile one may cost more than a shard's lock is
// held for.
struct group_regex_verdict {
    const char *wrong; // static; NULL: nothing
};

struct group_regex_verdict group_regex_judge(struct str pattern); // any thread

// Regular expressions of a group, and the topics that match each.
struct group_regexes {
    struct str group_id;
    struct group_regex {
        struct str pattern;
        struct str *topics; // ascending
        int32_t topics_count;
    } * regexes;
    int32_t count;
    int64_t version;     // of the metadata that they were looked for in
    int64_t resolved_ms; // wall clock
    bool failed;         // there are no results: out of memory
};

// What the machine goes by; server.properties gives it (group_config_init).
struct group_config {
    int32_t initial_rebalance_delay_ms;
    int32_t min_session_timeout_ms, max_session_timeout_ms;
    int32_t max_size;
    int32_t offset_metadata_max_bytes;
    int64_t offsets_retention_ms;
    int64_t retention_check_interval_ms;
    struct uuid (*new_id)(void *context); // of members
    void *new_id_context;
    // Of the consumer protocol
    bool consumer_protocol; // it is served (group.coordinator.rebalance.protocols)
    int32_t consumer_session_timeout_ms, consumer_heartbeat_interval_ms;
    _Atomic int32_t consumer_assignment_interval_ms; // may change at any time (group_config_follow)
    int32_t consumer_max_size;
    enum consumer_assignor consumer_assignors[CONSUMER_ASSIGNORS]; // the first is the default
    uint32_t consumer_assignors_count;
    bool consumer_upgrade, consumer_downgrade; // whether groups may go over from one protocol to the other
    int64_t regex_refresh_interval_ms;
    struct group_metadata metadata; // the caller's to set
    // Regular expressions are to be matched with every topic (GROUP_REGEXES). Called on resolve_to's thread
    // as a request's `complete`, and owns the request: group_regexes_free. With an error in it the shard is
    // lost. Whoever has the topics hands them back as GROUP_REGEXES_RESOLVED.
    void (*resolve)(struct coordinator_request *regexes);
    // The same for an assignment that would cost more than a reactor has to give: who gets the request looks
    // at the group (GROUP_ASSIGN_LOOK), computes (group_assignment_compute), and hands it back
    // (GROUP_ASSIGNED). NULL: all is computed within requests.
    void (*assign)(struct coordinator_request *due);
    struct loop *resolve_to;
    void *resolve_context;
};

// 0, or ERR_NOMEM.
int group_config_init(struct group_config *config, const struct broker_config *broker);

// Takes over what may change at run time. Any thread.
void group_config_follow(struct group_config *config, const struct broker_config *now);

// Requests (coordinator_request.kind), each with its message and its response.
enum group_request {
    GROUP_JOIN,       // join_group_request; join_group_response. Waits until the rebalance is complete
    GROUP_SYNC,       // sync_group_request; sync_group_response. Waits for the leader's
    GROUP_HEARTBEAT,  // heartbeat_request; heartbeat_response
    GROUP_LEAVE,      // leave_group_request with `members`; leave_group_response
    GROUP_COMMIT,     // offset_commit_request with names and ids of topics that exist; offset_commit_response
    GROUP_TXN_COMMIT, // struct group_txn_commit; offset_commit_response
    GROUP_FETCH,      // struct group_fetch; offset_fetch_response_offset_fetch_response_group
    GROUP_OFFSET_DELETE, // offset_delete_request; offset_delete_response
    GROUP_LIST,          // list_groups_request; list_groups_response: the shard's
    GROUP_DESCRIBE,      // struct str, the group's id; describe_groups_response_described_group
    GROUP_DELETE,        // struct str; none but the error
    GROUP_TOPIC_DELETED, // struct str, the topic's name; none
    // consumer_group_heartbeat_request; consumer_group_heartbeat_response. `known` may be a struct
    // group_regex_verdict
    GROUP_CONSUMER_HEARTBEAT,
    GROUP_CONSUMER_DESCRIBE, // struct str; consumer_group_describe_response_described_group
    GROUP_REGEXES_RESOLVED,  // struct group_regexes; none but the error
    GROUP_ASSIGN_LOOK, // struct group_assignment_due; struct group_assignment, or none: not wanted any more
    GROUP_ASSIGNED,    // struct group_assignment; none but the error
    GROUP_REQUESTS,
    GROUP_REGEXES, // from the machine to config->resolve: the response is a struct group_regexes without
                   // topics
    GROUP_ASSIGN,  // from the machine to config->assign: the response is a struct group_assignment_due
};

// Offsets that count when the producer's transaction commits.
struct group_txn_commit {
    struct offset_commit_request commit; // as for GROUP_COMMIT; without a retention time
    struct coordinator_producer producer;
};

// A large group, whose partitions are to be assigned.
struct group_assignment_due {
    struct str group_id;
    struct uuid token; // of this assignment
};

struct group_assignment;

// Who is to own what of a group as GROUP_ASSIGN_LOOK found it. On any thread that may ask for metadata; what
// it finds lives in the arena.
void group_assignment_compute(struct group_assignment *a, const struct group_config *config,
                              struct arena *arena);

// Requests of the machine's own: GROUP_REGEXES and GROUP_ASSIGN.
void group_work_free(struct coordinator_request *work);

struct group_fetch {
    struct str group_id;
    struct str member_id; // null unless the client gives it
    int32_t member_epoch;
    // topics: NULL: every committed offset of the group. With ids where they are known.
    const struct offset_fetch_request_offset_fetch_request_topics *topics;
    int32_t topics_count;
    bool require_stable; // an offset that a transaction may still change is an error
};

// How long a text is for Java: characters of UTF-16.
size_t utf16_length(struct str text);

#endif
