// Groups that go over from the classic protocol to the consumer protocol (KIP-848) and back, while their
// members stay: scripts of requests, without a broker.
#include "unit.h"

#include "coordinator/group/metadata_hash.h"
#include "group_fixture.h"

#include <stdio.h>

#define GROUP "g"
// The ids that the first two members of the classic protocol are given.
#define X "client-00000000-0000-0000-0000-000000000001"
#define Y "client-00000000-0000-0000-0000-000000000002"

static struct shard_fixture f;
static int32_t partitions = 4; // of a topic
static const char *subscribes; // what members of the classic protocol subscribe to: "a" or "b"

static int64_t no_version(void *context)
{
    (void)context;
    return 0;
}

static struct uuid topic_id(void)
{
    struct uuid id = {{0}};
    id.bytes[15] = 'a';
    return id;
}

#define HASH_OF_A 7
#define HASH_OF_B 9

static bool find_topic(void *context, struct str name, struct group_topic *out)
{
    (void)context;
    *out = (struct group_topic){topic_id(), partitions, str_is(name, "a") ? HASH_OF_A : HASH_OF_B};
    out->id.bytes[15] = (uint8_t)name.data[0];
    return str_is(name, "a") || str_is(name, "b");
}

static struct str topic_name(void *context, const struct uuid *id)
{
    (void)context;
    return id->bytes[15] == 'a' ? STR("a") : id->bytes[15] == 'b' ? STR("b") : STR_NULL;
}

static int set_up(void **state)
{
    (void)state;
    shard_open(&f);
    f.config.consumer_session_timeout_ms = 45000;
    f.config.consumer_heartbeat_interval_ms = 5000;
    f.config.consumer_max_size = INT32_MAX;
    subscribes = "a";
    f.config.consumer_upgrade = f.config.consumer_downgrade = true;
    f.config.metadata = (struct group_metadata){
        .version = no_version, .topic = find_topic, .topic_name = topic_name, .topics_version = no_version};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shard_close(&f);
    return 0;
}

// Requests. Partitions are told as digits: "01" is a-0 and a-1.

static struct bytes with_version(int16_t version, const struct message_type *type, const void *message,
                                 struct arena *arena)
{
    struct bytes body;
    assert_int_equal(message_to_bytes(type, version, message, arena, &body), 0);
    uint8_t *whole = arena_alloc(arena, body.size + 2);
    store_be16(whole, (uint16_t)version);
    memcpy(whole + 2, body.data, body.size);
    return (struct bytes){whole, body.size + 2};
}

static int32_t digits(const char *text, int32_t *out)
{
    int32_t count = 0;
    for (; *text; text++)
        out[count++] = *text - '0';
    return count;
}

static struct bytes subscription(const char *owned, struct arena *arena)
{
    struct str topic = str_from(subscribes);
    int32_t numbers[8];
    struct consumer_protocol_subscription s = consumer_protocol_subscription_default;
    struct consumer_protocol_subscription_topic_partition p = {.topic = topic, .partitions = numbers};
    p.partitions_count = digits(owned, numbers);
    s.topics = &topic;
    s.topics_count = 1;
    s.owned_partitions = &p;
    s.owned_partitions_count = p.partitions_count > 0;
    return with_version(1, &consumer_protocol_subscription_type, &s, arena);
}

// Of a version in which a new member need not come with an id.
static struct asked *ask_join(const char *member, const char *owned)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct join_group_request q = join_group_request_default;
    struct join_group_request_join_group_request_protocol p = {STR("range"), subscription(owned, &arena)};
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.session_timeout_ms = 10000;
    q.rebalance_timeout_ms = 20000;
    q.protocol_type = STR("consumer");
    q.protocols = &p;
    q.protocols_count = 1;
    struct asked *a = shard_ask_version(&f, GROUP_JOIN, &q, 3);
    arena_free(&arena);
    return a;
}

// Of a join that is answered: the error, or the generation.
static int32_t generation(struct asked *a)
{
    assert_true(a->done);
    const struct join_group_response *out = a->request.response;
    int32_t result = out->error_code != E_NONE ? -out->error_code : out->generation_id;
    asked_free(a);
    return result;
}

static char told[16]; // the partitions of the last answer; "-": it told none

static void tell(const int32_t *numbers, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        told[i] = (char)('0' + numbers[i]);
    told[count] = '\0';
}

static struct asked *ask_sync(const char *member, int32_t epoch, const char *x, const char *y)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct sync_group_request q = sync_group_request_default;
    struct sync_group_request_sync_group_request_assignment assignments[2];
    const char *const who[] = {X, Y}, *const what[] = {x, y};
    for (int i = 0; x && i < 2; i++) {
        int32_t numbers[8];
        struct consumer_protocol_assignment_topic_partition p = {.topic = STR("a"), .partitions = numbers};
        struct consumer_protocol_assignment out = consumer_protocol_assignment_default;
        p.partitions_count = digits(what[i], numbers);
        out.assigned_partitions = &p;
        out.assigned_partitions_count = 1;
        assignments[i].member_id = str_from(who[i]);
        assignments[i].assignment = with_version(1, &consumer_protocol_assignment_type, &out, &arena);
    }
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.generation_id = epoch;
    q.protocol_type = STR("consumer");
    q.protocol_name = STR("range");
    q.assignments = assignments;
    q.assignments_count = x ? 2 : 0;
    struct asked *a = shard_ask_version(&f, GROUP_SYNC, &q, 5);
    arena_free(&arena);
    return a;
}

static int16_t synced(struct asked *a)
{
    assert_true(a->done);
    const struct sync_group_response *out = a->request.response;
    int16_t error = out->error_code;
    snprintf(told, sizeof told, "-");
    if (error == E_NONE && out->assignment.size > 2) {
        struct consumer_protocol_assignment got;
        const struct bytes body = {out->assignment.data + 2, out->assignment.size - 2};
        assert_int_equal(
            message_decode(&consumer_protocol_assignment_type, 1, body, &a->request.arena, &got, NULL), 0);
        if (got.assigned_partitions_count > 0)
            tell(got.assigned_partitions[0].partitions, got.assigned_partitions[0].partitions_count);
    }
    asked_free(a);
    return error;
}

static int16_t heartbeat(const char *member, int32_t epoch)
{
    struct heartbeat_request q = heartbeat_request_default;
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.generation_id = epoch;
    struct asked *a = shard_ask_version(&f, GROUP_HEARTBEAT, &q, 4);
    int16_t error = ((const struct heartbeat_response *)a->request.response)->error_code;
    asked_free(a);
    return error;
}

// Of a member of the consumer protocol: minus the error, or its epoch.
static int32_t beat(const char *member, int32_t epoch, const char *owned)
{
    struct str topic = STR("a");
    int32_t numbers[8];
    struct consumer_group_heartbeat_request q = consumer_group_heartbeat_request_default;
    struct consumer_group_heartbeat_request_topic_partitions p = {.topic_id = topic_id(),
                                                                  .partitions = numbers};
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.member_epoch = epoch;
    if (epoch == 0) {
        q.rebalance_timeout_ms = 30000;
        q.subscribed_topic_names = &topic;
        q.subscribed_topic_names_count = 1;
    }
    if (owned) {
        p.partitions_count = digits(owned, numbers);
        q.topic_partitions = &p;
        q.topic_partitions_count = p.partitions_count > 0;
    }
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_HEARTBEAT, &q, 1);
    assert_true(a->done);
    const struct consumer_group_heartbeat_response *out = a->request.response;
    int32_t result = !out ? -a->request.error : out->error_code ? -out->error_code : out->member_epoch;
    snprintf(told, sizeof told, "-");
    if (out && out->assignment) {
        told[0] = '\0';
        if (out->assignment->topic_partitions_count > 0)
            tell(out->assignment->topic_partitions[0].partitions,
                 out->assignment->topic_partitions[0].partitions_count);
    }
    asked_free(a);
    return result;
}

// A stable group of two; x leads and gives itself the first half.
static void classic_group(void)
{
    struct asked *x = ask_join("", ""), *y = ask_join("", "");
    shard_advance(&f, 6000);
    assert_int_equal(generation(x), 1);
    assert_int_equal(generation(y), 1);
    x = ask_sync(X, 1, "01", "23");
    assert_int_equal(synced(x), E_NONE);
    assert_string_equal(told, "01");
    assert_int_equal(synced(ask_sync(Y, 1, NULL, NULL)), E_NONE);
    assert_string_equal(told, "23");
}

// A classic member's round: it learns of the rebalance, joins with what it owns, and syncs.
static int32_t rejoin(const char *member, int32_t epoch, const char *owned)
{
    assert_int_equal(heartbeat(member, epoch), E_REBALANCE_IN_PROGRESS);
    int32_t next = generation(ask_join(member, owned));
    assert_true(next > 0);
    assert_int_equal(synced(ask_sync(member, next, NULL, NULL)), E_NONE);
    return next;
}

static void assert_type(const char *state, int32_t epoch, int32_t members)
{
    struct str id = STR(GROUP);
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_DESCRIBE, &id, 1);
    const struct consumer_group_describe_response_described_group *g = a->request.response;
    assert_int_equal(g->error_code, state ? E_NONE : E_GROUP_ID_NOT_FOUND);
    if (state) {
        assert_true(str_is(g->group_state, state));
        assert_int_equal(g->group_epoch, epoch);
        assert_int_equal(g->members_count, members);
    }
    asked_free(a);
}

static void test_both_ways(void **state)
{
    (void)state;
    classic_group();
    assert_int_equal(beat("z", 0, ""), 2);
    assert_string_equal(told, ""); // the others have everything
    assert_type("Reconciling", 2, 3);
    shard_reload(&f);
    assert_type("Reconciling", 2, 3);

    int32_t x = rejoin(X, 1, "01");
    char has[16];
    snprintf(has, sizeof has, "%s", told);
    int32_t y = rejoin(Y, 1, "23");
    if (strlen(told) == 1) { // it gives one up, and comes once more without it
        y = rejoin(Y, y, told);
    } else {
        x = rejoin(X, x, has);
    }
    assert_int_equal(x, 2);
    assert_int_equal(y, 2);
    assert_int_equal(heartbeat(X, 2), E_NONE);
    assert_int_equal(heartbeat(Y, 2), E_NONE);
    assert_int_equal(beat("z", 2, NULL), 2);
    assert_int_equal(strlen(told), 1);
    assert_type("Stable", 2, 3);

    // The last one of the consumer protocol leaves.
    assert_int_equal(beat("z", -1, NULL), -1);
    assert_type(NULL, 0, 0);
    assert_int_equal(heartbeat(X, 2), E_REBALANCE_IN_PROGRESS);
    assert_int_equal(heartbeat(Y, 2), E_REBALANCE_IN_PROGRESS);
    struct asked *joins[] = {ask_join(X, "01"), ask_join(Y, "23")};
    assert_int_equal(generation(joins[0]), 3);
    assert_int_equal(generation(joins[1]), 3);
}

static void test_downgrade_survives(void **state)
{
    (void)state;
    classic_group();
    assert_int_equal(beat("z", 0, ""), 2);
    shard_advance(&f, 9000);
    assert_int_equal(heartbeat(X, 1), E_REBALANCE_IN_PROGRESS);
    assert_int_equal(heartbeat(Y, 1), E_REBALANCE_IN_PROGRESS);
    shard_advance(&f, 9000);
    assert_int_equal(beat("z", -1, NULL), -1);
    shard_reload(&f);
    assert_int_equal(heartbeat(X, 2), E_NONE); // as the record has it: the rebalance was soft
    struct asked *joins[] = {ask_join(X, "01"), ask_join(Y, "23")};
    assert_int_equal(generation(joins[0]), 3);
    assert_int_equal(generation(joins[1]), 3);
}

static void test_policy(void **state)
{
    (void)state;
    f.config.consumer_upgrade = false;
    classic_group();
    assert_int_equal(beat("z", 0, ""), -E_GROUP_ID_NOT_FOUND);
    f.config.consumer_upgrade = true;
    f.config.consumer_downgrade = false;
    assert_int_equal(beat("z", 0, ""), 2);
    assert_int_equal(beat("z", -1, NULL), -1);
    assert_type("Assigning", 3, 2); // of classic members alone
    assert_int_equal(heartbeat(X, 1), E_REBALANCE_IN_PROGRESS);
}

// Who waits in a rebalance is told to come again, and finds the other group.
static void test_upgrade_while_they_join(void **state)
{
    (void)state;
    struct asked *x = ask_join("", "");
    assert_false(x->done);
    assert_int_equal(beat("z", 0, ""), 1);
    assert_int_equal(generation(x), -E_REBALANCE_IN_PROGRESS);
    assert_string_equal(told, "23"); // its half: x holds nothing
    assert_int_equal(generation(ask_join(X, "")), 1);
}

// What they have is theirs, also where the rebalance has taken the assignments away.
static void test_upgrade_in_a_rebalance(void **state)
{
    (void)state;
    classic_group();
    struct asked *x = ask_join(X, "01"), *y = ask_join(Y, "23");
    assert_int_equal(generation(x), 2);
    assert_int_equal(generation(y), 2);
    x = ask_join(X, "0"); // before anybody has synced; it has given one up
    assert_true(beat("z", 0, "") > 0);
    assert_null(strpbrk(told, "023"));
    assert_int_equal(generation(x), -E_REBALANCE_IN_PROGRESS);
}

// Went back to the classic protocol, and over again before a member was told: what it was to give up is its
// own still.
static void test_upgrade_after_a_downgrade(void **state)
{
    (void)state;
    classic_group();
    assert_int_equal(beat("z", 0, ""), 2); // x or y is to give one up
    assert_int_equal(beat("z", -1, NULL), -1);
    assert_true(beat("z", 0, "") > 0);
    assert_string_equal(told, "");
}

static void test_append_fails(void **state)
{
    (void)state;
    classic_group();
    f.append_error = E_COORDINATOR_NOT_AVAILABLE;
    assert_int_equal(beat("z", 0, ""), -E_COORDINATOR_NOT_AVAILABLE);
    f.append_error = E_NONE;
    assert_type(NULL, 0, 0);
    assert_int_equal(heartbeat(X, 1), E_NONE); // nothing has happened
}

// Going over and the member for which the group does are one batch: no crash parts them.
static void test_one_batch(void **state)
{
    (void)state;
    classic_group();
    size_t batches = f.batches;
    assert_int_equal(beat("z", 0, ""), 2);
    assert_int_equal(f.batches, batches + 1);
    shard_reload(&f);
    assert_type("Reconciling", 2, 3);
}

// Who is refused has not made the group another one.
static void test_refused_newcomer(void **state)
{
    (void)state;
    classic_group();
    size_t records = f.log_count;
    f.config.consumer_max_size = 2;
    assert_int_equal(beat("z", 0, ""), -E_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(f.log_count, records);
    assert_type(NULL, 0, 0);
    assert_int_equal(heartbeat(X, 1), E_NONE);
}

static struct asked *ask_leave(const struct leave_group_request_member_identity *who, int32_t count)
{
    struct leave_group_request q = leave_group_request_default;
    q.group_id = STR(GROUP);
    q.members = (struct leave_group_request_member_identity *)(uintptr_t)who;
    q.members_count = count;
    return shard_ask_version(&f, GROUP_LEAVE, &q, 5);
}

static int64_t written_hash(void) // of the last record of the group as a whole
{
    int64_t hash = 0;
    for (size_t i = 0; i < f.log_count; i++) {
        const struct logged *l = &f.log[i];
        if (load_be16(l->key.data) != 3 || l->tombstone)
            continue;
        struct consumer_group_metadata_value value;
        struct arena arena;
        arena_init(&arena, 0);
        assert_int_equal(message_decode(&consumer_group_metadata_value_type, 0,
                                        (struct bytes){l->value.data + 2, l->value.size - 2}, &arena, &value,
                                        NULL),
                         0);
        hash = value.metadata_hash;
        arena_free(&arena);
    }
    return hash;
}

// Several leave in one request: what they alone subscribed to the group does not see any more.
static void test_several_leave(void **state)
{
    (void)state;
    subscribes = "b";
    classic_group();
    assert_int_equal(beat("z", 0, ""), 2);
    const int64_t both[] = {HASH_OF_A, HASH_OF_B}, one[] = {HASH_OF_A};
    assert_true(written_hash() == metadata_hash_group(both, 2));
    const struct leave_group_request_member_identity who[] = {
        {.member_id = STR(X)}, {.member_id = STR("nobody")}, {.member_id = STR(Y)}, {.member_id = STR(X)}};
    size_t records = f.log_count;
    struct asked *a = ask_leave(who, 4);
    const struct leave_group_response *out = a->request.response;
    const int16_t errors[] = {E_NONE, E_UNKNOWN_MEMBER_ID, E_NONE, E_NONE};
    for (int i = 0; i < 4; i++)
        assert_int_equal(out->members[i].error_code, errors[i]);
    asked_free(a);
    assert_int_equal(f.log_count, records + 3 + 3 + 1); // three of each that left, and the group's
    assert_true(written_hash() == metadata_hash_group(one, 1));
    assert_int_equal(beat("z", 2, NULL), 3);
    assert_string_equal(told, "0123");
}

// An administrator removes members of either protocol. When none but classic ones are left, the group is one
// of theirs again.
static void test_members_are_removed(void **state)
{
    (void)state;
    classic_group();
    assert_int_equal(beat("z", 0, ""), 2);
    const struct leave_group_request_member_identity x = {.member_id = STR(X)}, z = {.member_id = STR("z")};
    asked_free(ask_leave(&x, 1));
    assert_type("Assigning", 3, 2);
    struct asked *a = ask_leave(&z, 1);
    assert_int_equal(((const struct leave_group_response *)a->request.response)->members[0].error_code,
                     E_NONE);
    asked_free(a);
    assert_type(NULL, 0, 0);
    assert_int_equal(heartbeat(Y, 3), E_REBALANCE_IN_PROGRESS);
}

static void test_classic_errors(void **state)
{
    (void)state;
    classic_group();
    assert_int_equal(beat("z", 0, ""), 2);
    assert_int_equal(heartbeat("nobody", 1), E_UNKNOWN_MEMBER_ID);
    assert_int_equal(heartbeat("z", 2), E_UNKNOWN_MEMBER_ID); // of the other protocol
    assert_int_equal(heartbeat(X, 2), E_ILLEGAL_GENERATION);
    assert_int_equal(synced(ask_sync(X, 2, NULL, NULL)), E_ILLEGAL_GENERATION);
    assert_int_equal(synced(ask_sync(X, 1, NULL, NULL)), E_REBALANCE_IN_PROGRESS);
    // Who is silent, or told to join again and does not, is out.
    for (int i = 0; i < 3; i++) {
        shard_advance(&f, 7000);
        if (heartbeat(X, 1) == E_UNKNOWN_MEMBER_ID)
            break;
        beat("z", 2, NULL);
    }
    assert_int_equal(heartbeat(X, 1), E_UNKNOWN_MEMBER_ID);
    assert_int_equal(heartbeat(Y, 1), E_UNKNOWN_MEMBER_ID);
}

// A consumer group that is empty makes way for a classic one, but not for who claims to be a member already.
static void test_empty_group_makes_way(void **state)
{
    (void)state;
    assert_int_equal(beat("z", 0, ""), 2);
    assert_int_equal(beat("z", -1, NULL), -1);
    struct asked *stranger = ask_join("nobody", "");
    assert_int_equal(((const struct join_group_response *)stranger->request.response)->error_code,
                     E_UNKNOWN_MEMBER_ID);
    asked_free(stranger);
    assert_type("Empty", 3, 0);
    struct asked *x = ask_join("", "");
    shard_advance(&f, 6000);
    assert_int_equal(generation(x), 1);
    assert_type(NULL, 0, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_both_ways),
        TEST(test_downgrade_survives),
        TEST(test_policy),
        TEST(test_upgrade_while_they_join),
        TEST(test_upgrade_in_a_rebalance),
        TEST(test_upgrade_after_a_downgrade),
        TEST(test_append_fails),
        TEST(test_one_batch),
        TEST(test_refused_newcomer),
        TEST(test_several_leave),
        TEST(test_members_are_removed),
        TEST(test_classic_errors),
        TEST(test_empty_group_makes_way),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
