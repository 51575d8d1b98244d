// Groups as a state machine: scripts of what members do and what they are told, without a broker.
#include "unit.h"

#include "base/java_order.h"
#include "coordinator/group/metadata_hash.h"
#include "group_fixture.h"

#include <stdio.h>

#define GROUP        "g"
#define JOIN_VERSION 9

static struct shard_fixture f;

static int set_up(void **state)
{
    (void)state;
    shard_open(&f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shard_close(&f);
    return 0;
}

// Joining

struct join {
    const char *member, *instance, *protocols[3]; // names; the first is preferred
    int32_t session_ms, rebalance_ms;
    int16_t version;
};

static struct asked *join(struct join j)
{
    struct join_group_request_join_group_request_protocol protocols[3];
    struct join_group_request q = join_group_request_default;
    q.group_id = STR(GROUP);
    q.member_id = str_from(j.member ? j.member : "");
    q.group_instance_id = str_from(j.instance);
    q.protocol_type = STR("consumer");
    q.session_timeout_ms = j.session_ms ? j.session_ms : 10000;
    q.rebalance_timeout_ms = j.rebalance_ms ? j.rebalance_ms : 20000;
    q.protocols = protocols;
    for (int i = 0; i < 3 && (j.protocols[i] || i == 0); i++) {
        protocols[i].name = str_from(j.protocols[i] ? j.protocols[i] : "range");
        protocols[i].metadata = (struct bytes){(const uint8_t *)"\0\0\0\0\0\1\0\1t\377\377\377\377", 13};
        q.protocols_count++;
    }
    return shard_ask_version(&f, GROUP_JOIN, &q, j.version ? j.version : JOIN_VERSION);
}

static const struct join_group_response *joined(struct asked *a)
{
    assert_true(a->done);
    assert_non_null(a->request.response);
    return a->request.response;
}

// A new member's id, which it gets before it joins.
static void new_id(char *out, size_t size)
{
    struct asked *a = join((struct join){0});
    assert_int_equal(joined(a)->error_code, E_MEMBER_ID_REQUIRED);
    snprintf(out, size, "%.*s", STR_ARG(joined(a)->member_id));
    asked_free(a);
}

static void expect_join(struct asked *a, int16_t error, int32_t generation)
{
    const struct join_group_response *r = joined(a);
    assert_int_equal(r->error_code, error);
    assert_int_equal(r->generation_id, generation);
    asked_free(a);
}

static struct asked *sync_named(const char *member, int32_t generation, const char *const *members, int count)
{
    struct sync_group_request_sync_group_request_assignment assignments[4];
    struct sync_group_request q = sync_group_request_default;
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.generation_id = generation;
    q.assignments = assignments;
    q.assignments_count = count;
    for (int i = 0; i < count; i++) {
        assignments[i].member_id = str_from(members[i]);
        assignments[i].assignment = (struct bytes){(const uint8_t *)members[i], strlen(members[i])};
    }
    return shard_ask_version(&f, GROUP_SYNC, &q, 5);
}

static void expect_sync(struct asked *a, int16_t error, const char *assignment)
{
    assert_true(a->done);
    const struct sync_group_response *r = a->request.response;
    assert_non_null(r);
    assert_int_equal(r->error_code, error);
    assert_int_equal(r->assignment.size, strlen(assignment));
    assert_memory_equal(r->assignment.data, assignment, r->assignment.size);
    asked_free(a);
}

static int16_t heartbeat(const char *member, int32_t generation)
{
    struct heartbeat_request q = heartbeat_request_default;
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.generation_id = generation;
    struct asked *a = shard_ask_version(&f, GROUP_HEARTBEAT, &q, 4);
    assert_true(a->done);
    int16_t error = ((const struct heartbeat_response *)a->request.response)->error_code;
    asked_free(a);
    return error;
}

static int16_t leave(const char *member)
{
    struct leave_group_request_member_identity one = {.member_id = str_from(member)};
    struct leave_group_request q = {.group_id = STR(GROUP), .members = &one, .members_count = 1};
    struct asked *a = shard_ask_version(&f, GROUP_LEAVE, &q, 5);
    assert_true(a->done);
    int16_t error = ((const struct leave_group_response *)a->request.response)->members[0].error_code;
    asked_free(a);
    return error;
}

static void expect_state(const char *state, int32_t members)
{
    struct str id = STR(GROUP);
    struct asked *a = shard_ask_version(&f, GROUP_DESCRIBE, &id, 5);
    assert_true(a->done);
    const struct describe_groups_response_described_group *g = a->request.response;
    assert_true(str_is(g->group_state, state));
    assert_int_equal(g->members_count, members);
    asked_free(a);
}

// Two members in a stable group of generation 1; the first leads.
static void two_members(char ids[2][64])
{
    struct asked *joins[2], *syncs[2];
    for (int i = 0; i < 2; i++)
        new_id(ids[i], sizeof ids[i]);
    for (int i = 0; i < 2; i++) {
        joins[i] = join((struct join){.member = ids[i]});
        assert_false(joins[i]->done);
    }
    shard_advance(&f, 6000); // the initial delay, and once more for the second
    assert_true(str_is(joined(joins[0])->leader, ids[0]));
    assert_int_equal(joined(joins[0])->members_count, 2);
    assert_int_equal(joined(joins[1])->members_count, 0);
    for (int i = 0; i < 2; i++)
        expect_join(joins[i], E_NONE, 1);
    const char *const names[] = {ids[0], ids[1]};
    syncs[1] = sync_named(ids[1], 1, NULL, 0);
    assert_false(syncs[1]->done);
    syncs[0] = sync_named(ids[0], 1, names, 2);
    for (int i = 0; i < 2; i++)
        expect_sync(syncs[i], E_NONE, ids[i]);
    expect_state("Stable", 2);
}

static void test_join_and_sync(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    assert_int_equal(heartbeat(ids[0], 1), E_NONE);
    assert_int_equal(heartbeat(ids[0], 2), E_ILLEGAL_GENERATION);
    assert_int_equal(heartbeat("nobody", 1), E_UNKNOWN_MEMBER_ID);
    expect_sync(sync_named(ids[1], 1, NULL, 0), E_NONE, ids[1]); // again: the answer was lost
    expect_sync(sync_named(ids[1], 2, NULL, 0), E_ILLEGAL_GENERATION, "");
}

static void test_initial_delay(void **state)
{
    (void)state;
    char ids[3][64];
    struct asked *joins[3];
    for (int i = 0; i < 3; i++)
        new_id(ids[i], sizeof ids[i]);
    joins[0] = join((struct join){.member = ids[0], .rebalance_ms = 7000});
    shard_advance(&f, 2900);
    joins[1] = join((struct join){.member = ids[1], .rebalance_ms = 7000});
    shard_advance(&f, 3000); // it was extended once
    assert_false(joins[0]->done);
    joins[2] = join((struct join){.member = ids[2], .rebalance_ms = 7000});
    shard_advance(&f, 1000); // of 7 s, 1 is left of the last extension
    assert_false(joins[0]->done);
    shard_advance(&f, 200);
    for (int i = 0; i < 3; i++)
        expect_join(joins[i], E_NONE, 1);
}

static void test_protocol_that_most_prefer(void **state)
{
    (void)state;
    static const char *const prefers[3][3] = {
        {"range", "sticky", "robin"}, {"sticky", "range"}, {"sticky", "range"}};
    char ids[3][64];
    struct asked *joins[3];
    for (int i = 0; i < 3; i++)
        new_id(ids[i], sizeof ids[i]);
    for (int i = 0; i < 3; i++)
        joins[i] =
            join((struct join){.member = ids[i], .protocols = {prefers[i][0], prefers[i][1], prefers[i][2]}});
    expect_join(join((struct join){.protocols = {"robin"}}), E_INCONSISTENT_GROUP_PROTOCOL, -1);
    shard_advance(&f, 20000);
    for (int i = 0; i < 3; i++) {
        assert_true(str_is(joined(joins[i])->protocol_name, "sticky"));
        expect_join(joins[i], E_NONE, 1);
    }
}

// A member that never syncs, a leader that never does

static void test_member_never_syncs(void **state)
{
    (void)state;
    char ids[2][64];
    struct asked *joins[2], *waits;
    for (int i = 0; i < 2; i++)
        new_id(ids[i], sizeof ids[i]);
    for (int i = 0; i < 2; i++)
        joins[i] = join((struct join){.member = ids[i], .session_ms = 60000});
    shard_advance(&f, 6000);
    for (int i = 0; i < 2; i++)
        expect_join(joins[i], E_NONE, 1);
    waits = sync_named(ids[1], 1, NULL, 0);
    shard_advance(&f, 19000);
    assert_false(waits->done);
    shard_advance(&f, 1001); // the rebalance timeout: the leader is out
    expect_sync(waits, E_REBALANCE_IN_PROGRESS, "");
    assert_int_equal(heartbeat(ids[0], 1), E_UNKNOWN_MEMBER_ID);
    assert_int_equal(heartbeat(ids[1], 1), E_REBALANCE_IN_PROGRESS);
    struct asked *again = join((struct join){.member = ids[1]});
    assert_true(str_is(joined(again)->leader, ids[1]));
    expect_join(again, E_NONE, 2);
}

static void test_session_ends(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    shard_advance(&f, 9000);
    assert_int_equal(heartbeat(ids[1], 1), E_NONE);
    shard_advance(&f, 1001);
    expect_state("PreparingRebalance", 1);
    assert_int_equal(heartbeat(ids[0], 1), E_UNKNOWN_MEMBER_ID);
    assert_int_equal(heartbeat(ids[1], 1), E_REBALANCE_IN_PROGRESS);
    shard_advance(&f, 20000);
    expect_state("Empty", 0);
}

static void test_rebalance_leaves_out_who_does_not_come(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    struct asked *a = join((struct join){.member = ids[0]}); // the leader wants a rebalance
    assert_false(a->done);
    for (int i = 0; i < 4; i++) { // the other one lives, but does not join
        assert_int_equal(heartbeat(ids[1], 1), E_REBALANCE_IN_PROGRESS);
        shard_advance(&f, 5000);
    }
    shard_advance(&f, 1);
    expect_join(a, E_NONE, 2);
    assert_int_equal(heartbeat(ids[1], 1), E_UNKNOWN_MEMBER_ID);
}

static void test_pending_id_ends(void **state)
{
    (void)state;
    char id[64];
    new_id(id, sizeof id);
    shard_advance(&f, 10001);
    expect_join(join((struct join){.member = id}), E_UNKNOWN_MEMBER_ID, -1);
}

static void test_leave(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    assert_int_equal(leave(ids[0]), E_NONE);
    assert_int_equal(leave(ids[0]), E_UNKNOWN_MEMBER_ID);
    struct asked *a = join((struct join){.member = ids[1]});
    expect_join(a, E_NONE, 2);
    assert_int_equal(leave(ids[1]), E_NONE);
    expect_state("Empty", 0);
}

static void test_max_size(void **state)
{
    (void)state;
    f.config.max_size = 2;
    char ids[2][64];
    two_members(ids);
    expect_join(join((struct join){0}), E_GROUP_MAX_SIZE_REACHED, -1);
    shard_reload(&f);
    f.config.max_size = 1; // smaller than the group that is loaded
    shard_reload(&f);
    struct asked *a = join((struct join){.member = ids[0]});
    expect_join(join((struct join){.member = ids[1]}), E_GROUP_MAX_SIZE_REACHED, -1);
    shard_advance(&f, 20001); // it is not asked again whether all have joined: the timeout does
    expect_join(a, E_NONE, 2);
    expect_state("CompletingRebalance", 1);
}

// Only the last of two joins of a member is answered.
static void test_second_join_replaces_the_first(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    struct asked *first = join((struct join){.member = ids[0]});
    struct asked *second = join((struct join){.member = ids[0]});
    assert_true(first->done);
    assert_null(first->request.response);
    assert_int_equal(first->request.error, E_NONE);
    assert_false(second->done);
    asked_free(first);
    struct asked *other = join((struct join){.member = ids[1]});
    expect_join(second, E_NONE, 2);
    expect_join(other, E_NONE, 2);
}

// Static members

static void test_static_member_returns(void **state)
{
    (void)state;
    struct asked *a = join((struct join){.instance = "i", .rebalance_ms = 3000});
    shard_advance(&f, 3000);
    char old[64], new[64];
    snprintf(old, sizeof old, "%.*s", STR_ARG(joined(a)->member_id));
    expect_join(a, E_NONE, 1);
    const char *const names[] = {old};
    expect_sync(sync_named(old, 1, names, 1), E_NONE, old);
    f.append_error = E_NOT_COORDINATOR; // it is not stored: the old id stays
    expect_join(join((struct join){.instance = "i"}), E_NOT_COORDINATOR, 1);
    f.append_error = E_NONE;
    assert_int_equal(heartbeat(old, 1), E_NONE);
    a = join((struct join){.instance = "i"});
    assert_true(joined(a)->skip_assignment);
    snprintf(new, sizeof new, "%.*s", STR_ARG(joined(a)->member_id));
    expect_join(a, E_NONE, 1); // without a rebalance
    assert_string_not_equal(old, new);
    expect_join(join((struct join){.instance = "i", .member = old}), E_FENCED_INSTANCE_ID, -1);
    expect_sync(sync_named(new, 1, NULL, 0), E_NONE, old);
    shard_reload(&f);
    assert_int_equal(heartbeat(new, 1), E_NONE);
}

// Offsets

static int16_t commit(const char *member, int32_t generation, int64_t offset, const char *metadata,
                      int64_t retention_ms)
{
    struct offset_commit_request_offset_commit_request_partition p =
        offset_commit_request_offset_commit_request_partition_default;
    p.partition_index = 1;
    p.committed_offset = offset;
    p.committed_metadata = str_from(metadata);
    struct offset_commit_request_offset_commit_request_topic t = {
        .name = STR("t"), .partitions = &p, .partitions_count = 1};
    struct offset_commit_request q = offset_commit_request_default;
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.generation_id_or_member_epoch = generation;
    q.retention_time_ms = retention_ms;
    q.topics = &t;
    q.topics_count = 1;
    struct asked *a = shard_ask_version(&f, GROUP_COMMIT, &q, 9);
    assert_true(a->done);
    const struct offset_commit_response *r = a->request.response;
    int16_t error = r ? r->topics[0].partitions[0].error_code : a->request.error;
    asked_free(a);
    return error;
}

// The offset, or the negative error, or -1.
static int64_t committed(bool stable)
{
    int32_t partition = 1;
    struct offset_fetch_request_offset_fetch_request_topics t = {
        .name = STR("t"), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct group_fetch q = {
        .group_id = STR(GROUP), .topics = &t, .topics_count = 1, .require_stable = stable};
    struct asked *a = shard_ask_version(&f, GROUP_FETCH, &q, 9);
    const struct offset_fetch_response_offset_fetch_response_group *r = a->request.response;
    const struct offset_fetch_response_offset_fetch_response_partitions *p = &r->topics[0].partitions[0];
    int64_t result = p->error_code ? -p->error_code : p->committed_offset;
    asked_free(a);
    return result;
}

static void test_commits(void **state)
{
    (void)state;
    assert_int_equal(committed(false), -1);
    assert_int_equal(commit("", 3, 5, "", -1), E_GROUP_ID_NOT_FOUND);
    assert_int_equal(commit("", -1, 5, "m", -1), E_NONE); // a simple consumer
    assert_int_equal(committed(false), 5);
    f.append_error = E_COORDINATOR_NOT_AVAILABLE;
    assert_int_equal(commit("", -1, 6, "m", -1), E_COORDINATOR_NOT_AVAILABLE);
    f.append_error = E_NONE;
    assert_int_equal(committed(false), 5);
    char ids[2][64], *large = calloc(1, 4098);
    two_members(ids);
    assert_int_equal(commit("", -1, 7, "", -1), E_UNKNOWN_MEMBER_ID);
    assert_int_equal(commit(ids[0], 7, 7, "", -1), E_ILLEGAL_GENERATION);
    assert_int_equal(commit("foreign", 1, 7, "", -1), E_UNKNOWN_MEMBER_ID);
    memset(large, 'x', 4097);
    assert_int_equal(commit(ids[0], 1, 7, large, -1), E_OFFSET_METADATA_TOO_LARGE);
    free(large);
    assert_int_equal(commit(ids[0], 1, 7, "", -1), E_NONE);
    shard_reload(&f);
    assert_int_equal(committed(false), 7);
    assert_int_equal(commit(ids[1], 1, 8, "", -1), E_NONE); // its session goes on after a reload
}

static void test_commit_keeps_the_session(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    for (int i = 0; i < 5; i++) {
        shard_advance(&f, 6000);
        assert_int_equal(commit(ids[0], 1, i, "", -1), E_NONE);
        assert_int_equal(heartbeat(ids[1], 1), E_NONE);
    }
}

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static void test_offsets_age(void **state)
{
    (void)state;
    assert_int_equal(commit("", -1, 5, "", -1), E_NONE);
    shard_advance(&f, 6 * DAY_MS);
    assert_int_equal(committed(false), 5);
    shard_advance(&f, DAY_MS + 600000);
    assert_int_equal(committed(false), -1);
    expect_state("Dead", 0); // and the group with its last offset
    shard_reload(&f);
    expect_state("Dead", 0);
    assert_int_equal(commit("", -1, 5, "", DAY_MS), E_NONE); // a time of its own, by an old client
    shard_advance(&f, DAY_MS + 600000);
    assert_int_equal(committed(false), -1);
}

static void test_offsets_of_members_do_not_age(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    assert_int_equal(commit(ids[0], 1, 5, "", -1), E_NONE);
    for (int i = 0; i < 30; i++) { // they are subscribed to the topic
        f.now.wall_ms += DAY_MS;
        for (int k = 0; k < 100; k++) {
            shard_advance(&f, 9000);
            assert_int_equal(heartbeat(ids[0], 1), E_NONE);
            assert_int_equal(heartbeat(ids[1], 1), E_NONE);
        }
    }
    assert_int_equal(committed(false), 5);
    shard_advance(&f, 60000);
    expect_state("Empty", 0);
    shard_advance(&f, 6 * DAY_MS);
    assert_int_equal(committed(false), 5);
    shard_advance(&f, DAY_MS + 600000);
    expect_state("Dead", 0);
}

// Appends that fail, and a shard that goes

static void test_group_is_not_created(void **state)
{
    (void)state;
    f.append_error = E_NOT_COORDINATOR;
    struct asked *a = join((struct join){.version = 3});
    expect_join(a, E_NOT_COORDINATOR, -1);
    expect_state("Dead", 0);
    f.append_error = E_NONE;
    char ids[2][64];
    two_members(ids);
}

static void test_assignment_is_not_stored(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    struct asked *a = join((struct join){.member = ids[0]}), *b = join((struct join){.member = ids[1]});
    expect_join(a, E_NONE, 2);
    expect_join(b, E_NONE, 2);
    f.append_error = E_COORDINATOR_NOT_AVAILABLE;
    b = sync_named(ids[1], 2, NULL, 0);
    const char *const names[] = {ids[0], ids[1]};
    expect_sync(sync_named(ids[0], 2, names, 2), E_COORDINATOR_NOT_AVAILABLE, "");
    expect_sync(b, E_COORDINATOR_NOT_AVAILABLE, "");
    f.append_error = E_NONE;
    expect_state("PreparingRebalance", 2);
    shard_reload(&f); // as it was stored: the generation before
    assert_int_equal(heartbeat(ids[0], 1), E_NONE);
    expect_sync(sync_named(ids[1], 1, NULL, 0), E_NONE, ids[1]);
}

static void test_unload_answers_who_waits(void **state)
{
    (void)state;
    char ids[2][64];
    two_members(ids);
    struct asked *a = join((struct join){.member = ids[0]});
    assert_false(a->done);
    shard_unload(&f, E_NOT_COORDINATOR);
    assert_true(a->done);
    assert_null(a->request.response);
    assert_int_equal(a->request.error, E_NOT_COORDINATOR);
    asked_free(a);
}

static void test_garbage_is_passed_over(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        size_t key_size;
        const char *value;
        size_t value_size;
    } records[] = {{"", 0, "", 0},
                   {"\0", 1, NULL, 0},
                   {"\0\1", 2, "\0\3", 2},
                   {"\0\2\0\1g", 5, "\0", 1},
                   {"\0\2\0\1g", 5, "\0\3x", 3},
                   {"\177\177abc", 5, "\0\0", 2},
                   {"\0\2\0\1g", 5, "\0\143", 2}};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct coordinator_record r = {{(const uint8_t *)records[i].key, records[i].key_size},
                                       {(const uint8_t *)records[i].value, records[i].value_size}};
        group_machine.replay(f.state, &r, (int64_t)i, -1);
    }
    expect_state("Dead", 0);
}

// String.hashCode and String.length, as a JVM gives them.
static void test_java_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t hash;
        size_t length;
    } cases[] = {{"", 0, 0},
                 {"a", 97, 1},
                 {"my-group", -1906497762, 8},
                 {"gr\303\274n", 3185949, 4},
                 {"\342\202\254", 8364, 1},
                 {"\360\237\230\200", 1772899, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal((int32_t)java_string_hash(str_from(cases[i].text)), cases[i].hash);
        assert_int_equal(utf16_length(str_from(cases[i].text)), cases[i].length);
    }
}

// What Kafka's own hash gives for the same topics.

static uint32_t some_racks(const void *context, int32_t partition, struct str *racks, uint32_t most)
{
    (void)context;
    assert_true(most >= 2);
    racks[0] = partition == 0 ? STR("b") : STR("r\xc3\xa9\xf0\x9f\x98\x80");
    racks[1] = STR("a");
    return partition == 0 ? 2 : partition == 2;
}

static uint32_t no_racks(const void *context, int32_t partition, struct str *racks, uint32_t most)
{
    (void)context, (void)partition, (void)racks, (void)most;
    return 0;
}

static void test_metadata_hash(void **state)
{
    (void)state;
    const struct uuid one = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
                      two = {{255, 255, 255, 255, 255, 255, 255, 255, [15] = 7}};
    const int64_t hashes[] = {metadata_hash_topic(&one, STR("orders"), 3, some_racks, NULL),
                              metadata_hash_topic(&two, STR("t"), 100, no_racks, NULL)};
    assert_int_equal(hashes[0], -2239730751461311618);
    assert_int_equal(hashes[1], 2254379871186687962);
    assert_int_equal(metadata_hash_group(hashes, 2), 1478675868955552896);
    assert_int_equal(metadata_hash_group(hashes, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_join_and_sync),
        TEST(test_initial_delay),
        TEST(test_protocol_that_most_prefer),
        TEST(test_member_never_syncs),
        TEST(test_session_ends),
        TEST(test_rebalance_leaves_out_who_does_not_come),
        TEST(test_pending_id_ends),
        TEST(test_leave),
        TEST(test_max_size),
        TEST(test_second_join_replaces_the_first),
        TEST(test_static_member_returns),
        TEST(test_commits),
        TEST(test_commit_keeps_the_session),
        TEST(test_offsets_age),
        TEST(test_offsets_of_members_do_not_age),
        TEST(test_group_is_not_created),
        TEST(test_assignment_is_not_stored),
        TEST(test_unload_answers_who_waits),
        TEST(test_garbage_is_passed_over),
        TEST(test_java_strings),
        TEST(test_metadata_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
