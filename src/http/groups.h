// Groups as handlers see them: of either protocol, in one form. Everything lies in the request's arena.
#ifndef HTTP_GROUPS_H
#define HTTP_GROUPS_H

#include "base/map.h"
#include "http/request.h"

struct group_assignment {
    struct str topic;
    const int32_t *partitions;
    int32_t partitions_count;
};

struct group_member {
    struct str id, instance_id, client_id, host, rack;
    int32_t epoch; // -1: it has none
    struct group_assignment *assignment;
    int32_t assignment_count;
};

struct group {
    struct str id, state, type, protocol_type, assignor;
    int32_t epoch; // -1: it has none
    struct group_member *members;
    int32_t members_count;
};

// Describes the groups: out[i] is of ids[i]; one that is not found has no id. False when the request is
// answered.
bool groups_describe(struct http_request *r, struct str *ids, int32_t count, struct group *out);

// One of them, that must be there.
bool group_describe(struct http_request *r, struct str id, struct group *out);

// The groups that have settings of their own, whether they are there or not, by name: each stands for itself.
// False when the request is answered.
bool groups_configured(struct http_request *r, struct map *names);

// A partition that a group has to do with.
struct group_partition {
    struct str topic;
    int32_t partition;
    int64_t committed; // -1: nothing
    struct str metadata;
    int64_t start, end; // -1: unknown
    struct str member;  // to whom it is assigned; null: nobody
    int16_t error;      // why its end is unknown, a code of the protocol
    int64_t lag;        // -1: unknown
    double lag_seconds; // -1: unknown
};

struct group_offsets {
    struct group_partition *partitions; // by topic and number
    int32_t count;
    int64_t lag;        // of those that answer; -1: nothing is committed, or none answers
    int32_t offline;    // how many do not answer
    double lag_seconds; // the greatest; -1: unknown
};

// Ends of partitions, asked for once a topic.
struct ends {
    struct http_request *request;
    struct map topics;
};

// What the groups have committed, with the ends of the partitions and the lag in records. out[i] is of
// ids[i]. False when the request is answered.
bool groups_offsets(struct ends *ends, struct str *ids, int32_t count, struct group_offsets *out);
void ends_free(struct ends *ends);

// Adds what is assigned to the group's members; finds the starts.
bool group_offsets_assigned(struct ends *ends, const struct group *g, struct group_offsets *o);

// How old the first record is that was not consumed, of each partition, until so many partitions were looked
// at or the time is over (clock_monotonic_ms).
void group_offsets_age(struct http_request *r, struct group_offsets *o, int most, int64_t deadline_ms);

// All groups with their lag, at most `most` of them, greatest lag first; in the form of GroupLoad. *total:
// how many groups there are; *others_lag: the lag of those left out, in records. NULL when the request is
// answered.
json_t *groups_load(struct http_request *r, int32_t most, int32_t *total, int64_t *others_lag);

#endif
