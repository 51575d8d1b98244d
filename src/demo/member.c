#include "demo/member.h"

#include "base/error.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdio.h>

#define KEY_OFFSET_COMMIT    8
#define KEY_OFFSET_FETCH     9
#define KEY_FIND_COORDINATOR 10
#define KEY_JOIN_GROUP       11
#define KEY_HEARTBEAT        12
#define KEY_LEAVE_GROUP      13
#define KEY_SYNC_GROUP       14

#define PROTOCOL_VERSION 1 // of subscriptions and assignments
#define REBALANCE_MS     10000

typedef struct join_group_response_join_group_response_member joined_member;

// What a refusal means for a member. 0 for E_NONE.
static int judge(struct demo_member *m, struct demo_link *l, const char *what, int16_t code)
{
    if (code == E_NONE)
        return 0;
    if (code == E_UNKNOWN_MEMBER_ID || code == E_ILLEGAL_GENERATION || code == E_FENCED_INSTANCE_ID) {
        m->id[0] = 0;
        m->joined = false;
    }
    bool not_yet = code == E_COORDINATOR_NOT_AVAILABLE || code == E_COORDINATOR_LOAD_IN_PROGRESS ||
                   code == E_NOT_COORDINATOR;
    bool again = code == E_UNKNOWN_MEMBER_ID || code == E_ILLEGAL_GENERATION ||
                 code == E_REBALANCE_IN_PROGRESS || code == E_MEMBER_ID_REQUIRED;
    return link_fail(l,
                     again     ? ERR_AGAIN
                     : not_yet ? ERR_NOT_FOUND
                               : ERR_INVALID,
                     "group %s: %s: %s", DEMO_GROUP, what, error_code_message(code));
}

void member_close(struct demo_member *m)
{
    if (m->connected)
        client_close(&m->coordinator);
    m->connected = m->joined = false;
}

static int find_coordinator(struct demo_member *m, struct demo_link *l, struct arena *arena)
{
    struct find_coordinator_request request = find_coordinator_request_default;
    struct find_coordinator_response response;
    char address[300];
    int16_t version;
    request.key = STR(DEMO_GROUP);
    int err = link_ask(l, &l->first, KEY_FIND_COORDINATOR, 3, &request, arena, &response, &version);
    err = err ? err : judge(m, l, "its coordinator", response.error_code);
    if (err)
        return err;
    bool ipv6 = memchr(response.host.data, ':', response.host.size);
    snprintf(address, sizeof address, ipv6 ? "[%.*s]:%d" : "%.*s:%d", STR_ARG(response.host), response.port);
    err = link_reach(l, &m->coordinator, address, DEMO_TIMEOUT_MS + REBALANCE_MS);
    m->connected = !err;
    return err;
}

// A subscription or an assignment: its version, then the message.
static int versioned(const struct message_type *type, const void *message, struct arena *arena,
                     struct bytes *out)
{
    struct bytes body;
    int err = message_to_bytes(type, PROTOCOL_VERSION, message, arena, &body);
    uint8_t *all = err ? NULL : arena_alloc(arena, 2 + body.size);
    if (!all)
        return err ? err : ERR_NOMEM;
    store_be16(all, PROTOCOL_VERSION);
    memcpy(all + 2, body.data, body.size);
    *out = (struct bytes){all, 2 + body.size};
    return 0;
}

static int unversioned(const struct message_type *type, struct bytes in, struct arena *arena, void *out)
{
    size_t used;
    if (in.size < 2)
        return ERR_TRUNCATED;
    int16_t version = (int16_t)load_be16(in.data);
    if (version > type->max_version)
        version = type->max_version;
    return message_decode(type, version, (struct bytes){in.data + 2, in.size - 2}, arena, out, &used);
}

static int join(struct demo_member *m, struct demo_link *l, struct arena *arena,
                struct join_group_response *response)
{
    struct join_group_request_join_group_request_protocol protocol =
        join_group_request_join_group_request_protocol_default;
    struct consumer_protocol_subscription subscription = consumer_protocol_subscription_default;
    struct join_group_request request = join_group_request_default;
    struct str topics[SHOP_TOPICS];
    int16_t version;
    memcpy(topics, demo_topic_names, sizeof topics);
    subscription.topics = topics;
    subscription.topics_count = SHOP_TOPICS;
    protocol.name = STR("range");
    int err = versioned(&consumer_protocol_subscription_type, &subscription, arena, &protocol.metadata);
    if (err)
        return link_fail(l, err, "%s", err_text(err));
    request.group_id = STR(DEMO_GROUP);
    request.session_timeout_ms = DEMO_SESSION_MS;
    request.rebalance_timeout_ms = REBALANCE_MS;
    request.member_id = str_from(m->id);
    request.protocol_type = STR("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    err = link_ask(l, &m->coordinator, KEY_JOIN_GROUP, 7, &request, arena, response, &version);
    if (err)
        return err;
    if (response->error_code == E_NONE || response->error_code == E_MEMBER_ID_REQUIRED)
        snprintf(m->id, sizeof m->id, "%.*s", STR_ARG(response->member_id)); // KIP-394
    m->generation = response->generation_id;
    return judge(m, l, "joining", response->error_code);
}

// What one member gets, in the form that it is told.
static int assignment_of(const struct range_member *members, int32_t count, int32_t self, int32_t partitions,
                         struct arena *arena, struct bytes *out)
{
    struct consumer_protocol_assignment_topic_partition topics[SHOP_TOPICS];
    struct consumer_protocol_assignment assignment = consumer_protocol_assignment_default;
    assignment.assigned_partitions = topics;
    for (int t = 0; t < SHOP_TOPICS; t++) {
        int32_t first, n = range_of(members, count, self, demo_topic_names[t], partitions, &first);
        int32_t *list = arena_alloc(arena, (size_t)n * sizeof *list);
        if (!list)
            return ERR_NOMEM;
        for (int32_t i = 0; i < n; i++)
            list[i] = first + i;
        if (n > 0)
            topics[assignment.assigned_partitions_count++] =
                (struct consumer_protocol_assignment_topic_partition){demo_topic_names[t], list, n};
    }
    return versioned(&consumer_protocol_assignment_type, &assignment, arena, out);
}

// The leader of the group decides for all.
static int assign(struct demo_link *l, const struct join_group_response *joined, struct arena *arena,
                  struct sync_group_request *out)
{
    int32_t count = joined->members_count;
    struct range_member *members = arena_zalloc(arena, (size_t)count, sizeof *members);
    out->assignments = sync_group_request_sync_group_request_assignment_new(arena, count);
    int err = members && out->assignments ? 0 : ERR_NOMEM;
    for (int32_t i = 0; !err && i < count; i++) {
        const joined_member *one = &joined->members[i];
        struct consumer_protocol_subscription s;
        members[i].id = one->member_id;
        if (unversioned(&consumer_protocol_subscription_type, one->metadata, arena, &s) != 0)
            continue; // not understood: it gets nothing
        members[i].topics = s.topics;
        members[i].topics_count = s.topics_count;
    }
    for (int32_t i = 0; !err && i < count; i++) {
        out->assignments[i].member_id = members[i].id;
        err = assignment_of(members, count, i, l->partitions, arena, &out->assignments[i].assignment);
    }
    out->assignments_count = err ? 0 : count;
    return err ? link_fail(l, err, "%s", err_text(err)) : 0;
}

static bool has(const struct demo_member *m, int32_t partition)
{
    for (int32_t i = 0; i < m->partitions_count; i++)
        if (m->partitions[i] == partition)
            return true;
    return false;
}

// A partition is this member's when each of its topics is: so "range" has it.
static int learn_assignment(struct demo_member *m, struct demo_link *l, struct bytes in, struct arena *arena)
{
    struct consumer_protocol_assignment assignment = consumer_protocol_assignment_default;
    m->partitions_count = 0;
    int err = in.size > 0 ? unversioned(&consumer_protocol_assignment_type, in, arena, &assignment) : 0;
    if (err)
        return link_fail(l, err, "group %s: its assignment is not understood", DEMO_GROUP);
    for (int32_t t = 0; t < assignment.assigned_partitions_count; t++) {
        const struct consumer_protocol_assignment_topic_partition *one = &assignment.assigned_partitions[t];
        for (int32_t i = 0; i < one->partitions_count; i++)
            if (one->partitions[i] >= 0 && one->partitions[i] < l->partitions && !has(m, one->partitions[i]))
                m->partitions[m->partitions_count++] = one->partitions[i];
    }
    return 0;
}

static int sync_group(struct demo_member *m, struct demo_link *l, const struct join_group_response *joined,
                      struct arena *arena)
{
    struct sync_group_request request = sync_group_request_default;
    struct sync_group_response response;
    int16_t version;
    request.group_id = STR(DEMO_GROUP);
    request.generation_id = m->generation;
    request.member_id = str_from(m->id);
    request.protocol_type = STR("consumer");
    request.protocol_name = STR("range");
    int err = str_equal(joined->leader, joined->member_id) ? assign(l, joined, arena, &request) : 0;
    err = err ? err : link_ask(l, &m->coordinator, KEY_SYNC_GROUP, 5, &request, arena, &response, &version);
    err = err ? err : judge(m, l, "its assignment", response.error_code);
    return err ? err : learn_assignment(m, l, response.assignment, arena);
}

int member_join(struct demo_member *m, struct demo_link *l)
{
    struct join_group_response response;
    struct arena arena;
    arena_init(&arena, 0);
    int err = m->connected ? 0 : find_coordinator(m, l, &arena);
    bool named = m->id[0];
    err = err ? err : join(m, l, &arena, &response);
    if (err == ERR_AGAIN && !named && m->id[0])
        err = join(m, l, &arena, &response);
    m->joined = !err;
    err = err ? err : sync_group(m, l, &response, &arena);
    arena_free(&arena);
    return err;
}

int member_beat(struct demo_member *m, struct demo_link *l)
{
    struct heartbeat_request request = heartbeat_request_default;
    struct heartbeat_response response;
    struct arena arena;
    int16_t version;
    arena_init(&arena, 0);
    request.group_id = STR(DEMO_GROUP);
    request.generation_id = m->generation;
    request.member_id = str_from(m->id);
    int err = link_ask(l, &m->coordinator, KEY_HEARTBEAT, 4, &request, &arena, &response, &version);
    err = err ? err : judge(m, l, "heartbeat", response.error_code);
    arena_free(&arena);
    return err;
}

void member_leave(struct demo_member *m, struct demo_link *l)
{
    struct leave_group_request_member_identity self = leave_group_request_member_identity_default;
    struct leave_group_request request = leave_group_request_default;
    struct leave_group_response response;
    struct arena arena;
    int16_t version;
    arena_init(&arena, 0);
    self.member_id = str_from(m->id);
    request.group_id = STR(DEMO_GROUP);
    if (m->joined && client_version(&m->coordinator, KEY_LEAVE_GROUP, 4) >= 3) {
        request.members = &self;
        request.members_count = 1;
    } else {
        request.member_id = self.member_id;
    }
    if (m->joined)
        link_ask(l, &m->coordinator, KEY_LEAVE_GROUP, 4, &request, &arena, &response, &version);
    arena_free(&arena);
    member_close(m);
}

// ---- offsets

// Positions come topic by topic. How many of them are of the topic of the first.
static int32_t of_one_topic(const struct demo_position *positions, int32_t count)
{
    int32_t n = 0;
    while (n < count && positions[n].topic == positions[0].topic)
        n++;
    return n;
}

static int positions_request(struct demo_position *positions, int32_t count, struct arena *arena,
                             struct offset_fetch_request *out)
{
    int32_t *indexes = arena_alloc(arena, (size_t)count * sizeof *indexes);
    *out = offset_fetch_request_default;
    out->group_id = STR(DEMO_GROUP);
    out->topics = offset_fetch_request_offset_fetch_request_topic_new(arena, SHOP_TOPICS);
    out->topics_count = 0;
    if (!indexes || !out->topics)
        return ERR_NOMEM;
    for (int32_t i = 0; i < count; i += of_one_topic(positions + i, count - i)) {
        struct offset_fetch_request_offset_fetch_request_topic *topic = &out->topics[out->topics_count++];
        topic->name = demo_topic_names[positions[i].topic];
        topic->partition_indexes = indexes + i;
        topic->partition_indexes_count = of_one_topic(positions + i, count - i);
    }
    for (int32_t i = 0; i < count; i++) {
        indexes[i] = positions[i].partition;
        positions[i].offset = -1;
        positions[i].note[0] = 0;
    }
    return 0;
}

static void take_position(struct demo_position *positions, int32_t count, struct str topic,
                          const struct offset_fetch_response_offset_fetch_response_partition *p)
{
    for (int32_t i = 0; i < count; i++)
        if (positions[i].partition == p->partition_index &&
            str_equal(demo_topic_names[positions[i].topic], topic)) {
            positions[i].offset = p->committed_offset;
            snprintf(positions[i].note, sizeof positions[i].note, "%.*s", STR_ARG(p->metadata));
        }
}

int member_positions(struct demo_member *m, struct demo_link *l, struct demo_position *positions,
                     int32_t count)
{
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    struct arena arena;
    int16_t version;
    arena_init(&arena, 0);
    int err = positions_request(positions, count, &arena, &request);
    err = err ? link_fail(l, err, "%s", err_text(err))
              : link_ask(l, &m->coordinator, KEY_OFFSET_FETCH, 7, &request, &arena, &response, &version);
    err = err ? err : judge(m, l, "its offsets", response.error_code);
    for (int32_t t = 0; !err && t < response.topics_count; t++)
        for (int32_t i = 0; !err && i < response.topics[t].partitions_count; i++) {
            const struct offset_fetch_response_offset_fetch_response_partition *p =
                &response.topics[t].partitions[i];
            err = judge(m, l, "its offsets", p->error_code);
            take_position(positions, err ? 0 : count, response.topics[t].name, p);
        }
    arena_free(&arena);
    return err;
}

static int commit_request(const struct demo_member *m, const struct demo_position *positions, int32_t count,
                          struct arena *arena, struct offset_commit_request *out)
{
    struct offset_commit_request_offset_commit_request_partition *partitions =
        offset_commit_request_offset_commit_request_partition_new(arena, count);
    *out = offset_commit_request_default;
    out->group_id = STR(DEMO_GROUP);
    out->generation_id_or_member_epoch = m->generation;
    out->member_id = str_from(m->id);
    out->topics = offset_commit_request_offset_commit_request_topic_new(arena, SHOP_TOPICS);
    out->topics_count = 0;
    if (!partitions || !out->topics)
        return ERR_NOMEM;
    for (int32_t i = 0; i < count; i += of_one_topic(positions + i, count - i)) {
        struct offset_commit_request_offset_commit_request_topic *topic = &out->topics[out->topics_count++];
        topic->name = demo_topic_names[positions[i].topic];
        topic->partitions = partitions + i;
        topic->partitions_count = of_one_topic(positions + i, count - i);
    }
    for (int32_t i = 0; i < count; i++) {
        partitions[i].partition_index = positions[i].partition;
        partitions[i].committed_offset = positions[i].offset;
        partitions[i].committed_metadata = str_from(positions[i].note);
    }
    return 0;
}

int member_commit(struct demo_member *m, struct demo_link *l, const struct demo_position *positions,
                  int32_t count)
{
    struct offset_commit_request request;
    struct offset_commit_response response;
    struct arena arena;
    int16_t version;
    arena_init(&arena, 0);
    int err = commit_request(m, positions, count, &arena, &request);
    err = err ? link_fail(l, err, "%s", err_text(err))
              : link_ask(l, &m->coordinator, KEY_OFFSET_COMMIT, 8, &request, &arena, &response, &version);
    for (int32_t t = 0; !err && t < response.topics_count; t++)
        for (int32_t i = 0; !err && i < response.topics[t].partitions_count; i++)
            err = judge(m, l, "committing", response.topics[t].partitions[i].error_code);
    arena_free(&arena);
    return err;
}
