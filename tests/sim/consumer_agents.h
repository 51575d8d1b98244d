// The members of a group in its simulation: clients of the consumer protocol and of the classic one, as far
// as they owe anything to each other and to the coordinator.
#ifndef CONSUMER_AGENTS_H
#define CONSUMER_AGENTS_H

#include "consumer_world.h"

#include "coordinator/group/consumer.h"

#define GROUP         "g"
#define AGENTS        7
#define STATIC_AGENTS 2 // the first ones
#define TURN_MS       500

enum kind { CONSUMER, CLASSIC };
enum doing { AWAY, JOINING, SYNCING, MEMBER };

struct agent {
    enum kind kind;
    enum doing doing;
    char id[80], instance[8];
    int32_t epoch;  // of the member, or the generation
    uint32_t names; // bits of topics
    int expression; // that it subscribes to, too
    struct parts owned, told;
    bool has_told;     // what it was told and has not carried out
    bool says_all;     // the next heartbeat does: an answer was lost, or the subscription is another
    bool says_owned;   // the next heartbeat tells what it owns now
    bool leads, again; // of the classic protocol: it is to join again
    bool stale; // it was put out and does not know it: who comes back under its id is not told so (as in
                // Kafka)
    int64_t topics_seen;
    struct asked *asked; // a join or a sync that waits
    int paused;          // turns
};

struct sim {
    struct shard_fixture shard;
    struct agent agents[AGENTS];
    struct asked *orphans[4096]; // requests of members that have crashed
    size_t orphans_count;
    bool faults, mixed; // whether there are members of both protocols
    int32_t epoch, assignment_epoch;
    bool was_consumers, was_empty;
    unsigned went_over, commits;
};

static uint32_t agent_topics(const struct agent *a)
{
    return a->names | (a->kind == CONSUMER ? expressions[a->expression].topics : 0);
}

// Whether the coordinator knows it as a member under its id and in its life.
static bool agent_belongs(const struct sim *s, const struct agent *a)
{
    const struct group *g = group_find(s->shard.state, str_from(GROUP));
    if (!g || !a->id[0] || a->doing == AWAY)
        return false;
    return g->consumer ? consumer_member_find(g, str_from(a->id)) != NULL
                       : member_find(g, str_from(a->id)) != NULL;
}

static struct str instance_of(const struct agent *a)
{
    return a->instance[0] ? str_from(a->instance) : STR_NULL;
}

static void lose(struct agent *a)
{
    a->owned.count = a->told.count = 0;
    a->has_told = a->leads = a->again = a->stale = false;
    a->says_all = true;
    a->epoch = 0;
    a->doing = AWAY;
}

// A process of another id, which may use the other protocol.
static void agent_forget(struct sim *s, struct agent *a)
{
    lose(a);
    a->id[0] = 0;
    if (s->mixed && (s->faults || a->kind == CONSUMER))
        a->kind = (enum kind)roll(2);
}

static void agent_subscribe(struct agent *a)
{
    a->names = (uint32_t)roll(1 << TOPICS);
    a->expression = roll(2) ? 0 : (int)roll(EXPRESSIONS);
    a->says_all = a->again = true;
}

static void agent_crash(struct sim *s, struct agent *a)
{
    if (a->asked)
        s->orphans[s->orphans_count++] = a->asked;
    a->asked = NULL;
    agent_forget(s, a);
}

// Gives up what it is not to have, and begins with the rest.
static void carry_out(struct agent *a)
{
    if (!a->has_told)
        return;
    a->again |= !parts_within(&a->owned, &a->told); // the classic protocol: others wait for it
    a->owned = a->told;
    a->has_told = a->stale = false;
    a->says_owned = true;
}

// Members of the consumer protocol

static int32_t subscribed_names(const struct agent *a, struct str *out)
{
    int32_t count = 0;
    for (int topic = 0; topic < TOPICS; topic++)
        if (a->names >> topic & 1)
            out[count++] = topic_name_of(topic);
    return count;
}

static void take_assignment(struct agent *a, const struct consumer_group_heartbeat_response_assignment *told)
{
    a->told.count = 0;
    a->has_told = true;
    for (int32_t i = 0; i < told->topic_partitions_count; i++)
        for (int32_t k = 0; k < told->topic_partitions[i].partitions_count; k++)
            parts_add(&a->told, told->topic_partitions[i].topic_id, told->topic_partitions[i].partitions[k]);
}

static void on_beaten(struct sim *s, struct agent *a, const struct asked *asked)
{
    const struct consumer_group_heartbeat_response *r = asked->request.response;
    switch (r ? r->error_code : asked->request.error) {
    case E_NONE:
        CHECK(r->member_epoch > 0 && r->member_epoch >= a->epoch, "the epoch of %s went from %d to %d", a->id,
              a->epoch, r->member_epoch);
        a->epoch = r->member_epoch;
        a->doing = MEMBER;
        a->says_all = a->says_owned = false;
        if (r->assignment)
            take_assignment(a, r->assignment);
        break;
    case E_FENCED_MEMBER_EPOCH:
    case E_UNKNOWN_MEMBER_ID:
        lose(a);
        break;
    case E_FENCED_INSTANCE_ID:
    case E_GROUP_ID_NOT_FOUND: // there is another group of that name now
        agent_forget(s, a);
        break;
    case E_UNRELEASED_INSTANCE_ID:
        CHECK(a->epoch == 0, "%s has the instance and is refused", a->id);
        break;
    case E_COORDINATOR_NOT_AVAILABLE:
        a->says_all = true;
        break;
    default:
        CHECK(false, "error %d", r ? r->error_code : asked->request.error);
    }
}

static void beat(struct sim *s, struct agent *a)
{
    struct str names[TOPICS];
    struct consumer_group_heartbeat_request_topic_partitions owned[MOST_PARTS];
    struct consumer_group_heartbeat_request q = consumer_group_heartbeat_request_default;
    bool joins = a->epoch == 0, all = joins || a->says_all;
    if (!a->id[0])
        snprintf(a->id, sizeof a->id, "consumer-%llu", (unsigned long long)++s->shard.ids);
    q.group_id = STR(GROUP);
    q.member_id = str_from(a->id);
    q.instance_id = instance_of(a);
    q.member_epoch = a->epoch;
    if (all) {
        carry_out(a); // what it says that it owns it must not be about to change
        q.rebalance_timeout_ms = 6000;
        q.subscribed_topic_names = names;
        q.subscribed_topic_names_count = subscribed_names(a, names);
        q.subscribed_topic_regex = str_from(expressions[a->expression].text);
    }
    if (all || (!a->has_told && (a->says_owned || roll(4) == 0))) {
        q.topic_partitions = owned;
        q.topic_partitions_count = (int32_t)a->owned.count;
        for (uint32_t i = 0; i < a->owned.count; i++)
            owned[i] = (struct consumer_group_heartbeat_request_topic_partitions){
                .topic_id = a->owned.items[i].topic,
                .partitions = &a->owned.items[i].partition,
                .partitions_count = 1};
    }
    struct asked *asked = shard_ask_version(&s->shard, GROUP_CONSUMER_HEARTBEAT, &q, 1);
    CHECK(asked->done, "a heartbeat waits");
    if (s->faults && roll(8) == 0)
        a->says_all = true; // the answer is lost
    else
        on_beaten(s, a, asked);
    asked_free(asked);
}

static void consumer_act(struct sim *s, struct agent *a)
{
    if (a->has_told && roll(3) > 0)
        carry_out(a);
    else if (!s->faults || roll(10) > 0) // the request is lost
        beat(s, a);
    else
        a->says_all = true;
}

static void consumer_leave(struct sim *s, struct agent *a)
{
    struct consumer_group_heartbeat_request q = consumer_group_heartbeat_request_default;
    a->owned.count = 0;
    q.group_id = STR(GROUP);
    q.member_id = str_from(a->id);
    q.instance_id = instance_of(a);
    q.member_epoch = a->instance[0] && roll(2) ? MEMBER_LEAVES_FOR_NOW : MEMBER_LEAVES;
    asked_free(shard_ask_version(&s->shard, GROUP_CONSUMER_HEARTBEAT, &q, 1));
    agent_forget(s, a);
}

// Members of the classic protocol, which give up partitions before others get them ("cooperative")

#define PROTOCOL "cooperative-sticky"

static struct bytes with_version(const struct message_type *type, const void *message, struct arena *arena)
{
    struct bytes body;
    CHECK(message_to_bytes(type, 1, message, arena, &body) == 0, "a message of the consumers' own");
    uint8_t *whole = arena_alloc(arena, body.size + 2);
    store_be16(whole, 1);
    memcpy(whole + 2, body.data, body.size);
    return (struct bytes){whole, body.size + 2};
}

static struct bytes subscription_of(const struct agent *a, struct arena *arena)
{
    struct str names[TOPICS];
    struct consumer_protocol_subscription s = consumer_protocol_subscription_default;
    struct consumer_protocol_subscription_topic_partition owned[MOST_PARTS];
    s.topics = names;
    s.topics_count = subscribed_names(a, names);
    s.owned_partitions = owned;
    for (uint32_t i = 0; i < a->owned.count; i++)
        owned[s.owned_partitions_count++] = (struct consumer_protocol_subscription_topic_partition){
            topic_name_of(a->owned.items[i].topic.bytes[15] - 'a'),
            (int32_t *)(uintptr_t)&a->owned.items[i].partition, 1};
    return with_version(&consumer_protocol_subscription_type, &s, arena);
}

static void join(struct sim *s, struct agent *a)
{
    struct arena arena;
    arena_init(&arena, 0);
    parts_forget_dead(&a->owned); // this protocol knows topics by name: a new one of that name is another
    struct join_group_request_join_group_request_protocol protocol = {STR(PROTOCOL),
                                                                      subscription_of(a, &arena)};
    struct join_group_request q = join_group_request_default;
    q.group_id = STR(GROUP);
    q.member_id = str_from(a->id);
    q.group_instance_id = instance_of(a);
    q.session_timeout_ms = 10000;
    q.rebalance_timeout_ms = 8000;
    q.protocol_type = STR("consumer");
    q.protocols = &protocol;
    q.protocols_count = 1;
    a->again = false;
    a->doing = JOINING;
    a->asked = shard_ask_version(&s->shard, GROUP_JOIN, &q, 9);
    arena_free(&arena);
}

// What a leader knows of a member.
struct known {
    struct str id;
    struct consumer_protocol_subscription subscription;
    struct consumer_protocol_assignment_topic_partition given[MOST_PARTS];
    int32_t partitions[MOST_PARTS], given_count;
};

static bool names_topic(const struct known *k, int topic)
{
    for (int32_t i = 0; i < k->subscription.topics_count; i++)
        if (str_equal(k->subscription.topics[i], topic_name_of(topic)))
            return true;
    return false;
}

static bool says_to_own(const struct known *k, int topic, int32_t partition)
{
    for (int32_t i = 0; i < k->subscription.owned_partitions_count; i++) {
        const struct consumer_protocol_subscription_topic_partition *p = &k->subscription.owned_partitions[i];
        for (int32_t n = 0; str_equal(p->topic, topic_name_of(topic)) && n < p->partitions_count; n++)
            if (p->partitions[n] == partition)
                return true;
    }
    return false;
}

static int by_id(const void *a, const void *b)
{
    return str_compare(((const struct known *)a)->id, ((const struct known *)b)->id);
}

// Each partition goes to one subscriber; what another one still has goes to nobody for now.
static void assign(struct known *members, int32_t count)
{
    for (int topic = 0; topic < TOPICS; topic++) {
        int32_t subscribers[AGENTS * 2], subscribers_count = 0;
        for (int32_t i = 0; i < count; i++)
            if (names_topic(&members[i], topic))
                subscribers[subscribers_count++] = i;
        for (int32_t p = 0; subscribers_count > 0 && p < metadata.partitions[topic]; p++) {
            struct known *to = &members[subscribers[(topic + p) % subscribers_count]];
            bool taken = false;
            for (int32_t i = 0; i < count; i++)
                taken |= &members[i] != to && says_to_own(&members[i], topic, p);
            if (taken)
                continue;
            to->partitions[to->given_count] = p;
            to->given[to->given_count] = (struct consumer_protocol_assignment_topic_partition){
                topic_name_of(topic), &to->partitions[to->given_count], 1};
            to->given_count++;
        }
    }
}

static int32_t lead(const struct join_group_response *r, struct arena *arena,
                    struct sync_group_request_sync_group_request_assignment *out)
{
    struct known *members = arena_zalloc(arena, (size_t)r->members_count, sizeof *members);
    CHECK(members && r->members_count <= AGENTS * 2, "%d members", r->members_count);
    for (int32_t i = 0; i < r->members_count; i++) {
        struct bytes b = r->members[i].metadata;
        members[i].id = r->members[i].member_id;
        CHECK(b.size > 2 && message_decode(&consumer_protocol_subscription_type, 1,
                                           (struct bytes){b.data + 2, b.size - 2}, arena,
                                           &members[i].subscription, NULL) == 0,
              "a subscription of %zu bytes", b.size);
    }
    qsort(members, (size_t)r->members_count, sizeof *members, by_id);
    assign(members, r->members_count);
    for (int32_t i = 0; i < r->members_count; i++) {
        const struct consumer_protocol_assignment a = {.assigned_partitions = members[i].given,
                                                       .assigned_partitions_count = members[i].given_count,
                                                       .user_data = BYTES_NULL};
        out[i].member_id = members[i].id;
        out[i].assignment = with_version(&consumer_protocol_assignment_type, &a, arena);
    }
    return r->members_count;
}

static void sync(struct sim *s, struct agent *a, const struct join_group_response *joined)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct sync_group_request q = sync_group_request_default;
    struct sync_group_request_sync_group_request_assignment assignments[AGENTS * 2];
    q.group_id = STR(GROUP);
    q.member_id = str_from(a->id);
    q.group_instance_id = instance_of(a);
    q.generation_id = a->epoch;
    q.protocol_type = STR("consumer");
    q.protocol_name = STR(PROTOCOL);
    q.assignments = assignments;
    a->leads = joined->leader.size > 0 && str_equal(joined->leader, joined->member_id);
    if (a->leads && !joined->skip_assignment) {
        a->topics_seen = metadata.version;
        q.assignments_count = lead(joined, &arena, assignments);
    }
    a->doing = SYNCING;
    a->asked = shard_ask_version(&s->shard, GROUP_SYNC, &q, 5);
    arena_free(&arena);
}

// It stays as it is and asks again, or has lost everything.
static void refused(struct sim *s, struct agent *a, int16_t error)
{
    a->doing = MEMBER;
    a->again = true;
    if (error == E_ILLEGAL_GENERATION || error == E_UNKNOWN_MEMBER_ID || error == E_FENCED_INSTANCE_ID)
        agent_forget(s, a);
    else
        CHECK(error == E_REBALANCE_IN_PROGRESS || error == E_COORDINATOR_NOT_AVAILABLE ||
                  error == E_NOT_COORDINATOR || error == E_MEMBER_ID_REQUIRED,
              "error %d", error);
}

static void on_joined(struct sim *s, struct agent *a, struct asked *asked)
{
    const struct join_group_response *r = asked->request.response;
    int16_t error = r ? r->error_code : asked->request.error;
    if (error == E_MEMBER_ID_REQUIRED || error == E_NONE)
        snprintf(a->id, sizeof a->id, "%.*s", STR_ARG(r->member_id));
    if (error != E_NONE) {
        refused(s, a, error);
        return;
    }
    a->epoch = r->generation_id;
    sync(s, a, r);
}

static void on_synced(struct sim *s, struct agent *a, struct asked *asked)
{
    const struct sync_group_response *r = asked->request.response;
    struct consumer_protocol_assignment got = {.assigned_partitions_count = 0};
    int16_t error = r ? r->error_code : asked->request.error;
    if (error != E_NONE) {
        refused(s, a, error);
        return;
    }
    a->doing = MEMBER;
    a->told.count = 0;
    a->has_told = true;
    CHECK(r->assignment.size == 0 ||
              message_decode(&consumer_protocol_assignment_type, 1,
                             (struct bytes){r->assignment.data + 2, r->assignment.size - 2},
                             &asked->request.arena, &got, NULL) == 0,
          "an assignment of %zu bytes", r->assignment.size);
    for (int32_t i = 0; i < got.assigned_partitions_count; i++) {
        int topic = got.assigned_partitions[i].topic.data[0] - 'a';
        for (int32_t k = 0; metadata.partitions[topic] > 0 && k < got.assigned_partitions[i].partitions_count;
             k++)
            parts_add(&a->told, topic_id_of(topic), got.assigned_partitions[i].partitions[k]);
    }
    carry_out(a);
}

// An assignment is carried out as it comes.
static void agents_synced(struct sim *s)
{
    for (int i = 0; i < AGENTS; i++) {
        struct agent *a = &s->agents[i];
        if (a->doing != SYNCING || !a->asked || !a->asked->done)
            continue;
        struct asked *asked = a->asked;
        a->asked = NULL;
        on_synced(s, a, asked);
        asked_free(asked);
    }
}

static void heartbeat(struct sim *s, struct agent *a)
{
    struct heartbeat_request q = heartbeat_request_default;
    q.group_id = STR(GROUP);
    q.member_id = str_from(a->id);
    q.group_instance_id = instance_of(a);
    q.generation_id = a->epoch;
    struct asked *asked = shard_ask_version(&s->shard, GROUP_HEARTBEAT, &q, 4);
    CHECK(asked->done, "a heartbeat waits");
    int16_t error = ((const struct heartbeat_response *)asked->request.response)->error_code;
    asked_free(asked);
    if (error != E_NONE)
        refused(s, a, error);
}

static void classic_act(struct sim *s, struct agent *a)
{
    if (a->asked && a->asked->done) {
        struct asked *asked = a->asked;
        a->asked = NULL;
        if (s->faults && roll(10) == 0)
            a->doing = MEMBER, a->again = true; // the answer is lost
        else
            on_joined(s, a, asked);
        asked_free(asked);
    } else if (!a->asked) {
        a->again |= a->leads && a->topics_seen != metadata.version;
        if (a->doing == MEMBER && !a->again)
            heartbeat(s, a);
        else
            join(s, a);
    }
}

static void classic_leave(struct sim *s, struct agent *a)
{
    struct leave_group_request_member_identity one = {.member_id = str_from(a->id),
                                                      .group_instance_id = instance_of(a)};
    struct leave_group_request q = {.group_id = STR(GROUP), .members = &one, .members_count = 1};
    struct asked *asked = shard_ask_version(&s->shard, GROUP_LEAVE, &q, 5);
    CHECK(asked->done, "leaving waits");
    asked_free(asked);
    agent_crash(s, a);
}

// Both

static void agent_leave(struct sim *s, struct agent *a)
{
    if (!a->id[0])
        return;
    if (a->kind == CONSUMER)
        consumer_leave(s, a);
    else
        classic_leave(s, a);
}

static void agent_act(struct sim *s, struct agent *a)
{
    if (a->kind == CONSUMER)
        consumer_act(s, a);
    else
        classic_act(s, a);
    agents_synced(s);
}

static bool agent_commits(struct sim *s, const struct agent *a, int topic, int32_t partition)
{
    struct offset_commit_request_offset_commit_request_partition p =
        offset_commit_request_offset_commit_request_partition_default;
    struct offset_commit_request_offset_commit_request_topic t =
        offset_commit_request_offset_commit_request_topic_default;
    struct offset_commit_request q = offset_commit_request_default;
    if (a->kind == CLASSIC && (a->doing != MEMBER || a->again))
        return false; // such clients commit nothing while they join
    p.partition_index = partition;
    p.committed_offset = 1;
    t.name = topic_name_of(topic);
    t.topic_id = topic_id_of(topic);
    t.partitions = &p;
    t.partitions_count = 1;
    q.group_id = STR(GROUP);
    q.member_id = str_from(a->id);
    q.group_instance_id = instance_of(a);
    q.generation_id_or_member_epoch = a->epoch;
    q.topics = &t;
    q.topics_count = 1;
    struct asked *asked = shard_ask_version(&s->shard, GROUP_COMMIT, &q, 9);
    CHECK(asked->done, "a commit waits");
    const struct offset_commit_response *r = asked->request.response;
    bool accepted = r && r->topics[0].partitions[0].error_code == E_NONE;
    asked_free(asked);
    return accepted;
}

#endif
