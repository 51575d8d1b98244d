// Groups of kinds that are not served (share, KIP-932; streams, KIP-1071): what their records make known,
// what is refused, and what stays. And records that make a group another kind's.
#include "unit.h"

#include "group_fixture.h"

#include <stdio.h>

#define GROUP "g"

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

// A record as Kafka leaves it, straight into the log: the key's type and the group's id, and for a member's
// record its id behind that.
static void left_value(int16_t type, const char *group, const char *member, struct bytes value)
{
    uint8_t key[64];
    size_t size = 0;
    store_be16(key, (uint16_t)type);
    size = 2;
    for (int i = 0; i < (member ? 2 : 1); i++) {
        const char *text = i == 0 ? group : member;
        store_be16(key + size, (uint16_t)strlen(text));
        memcpy(key + size + 2, text, strlen(text));
        size += 2 + strlen(text);
    }
    struct coordinator_record r = {{key, size}, value};
    shard_append(&f, &r, -1);
    group_machine.replay(f.state, &r, (int64_t)f.log_count - 1, -1);
}

static void left(int16_t type, const char *group, const char *member, bool lives)
{
    static const uint8_t epoch[] = {0, 0, 0, 0, 0, 7, 0}; // version 0
    left_value(type, group, member, lives ? (struct bytes){epoch, sizeof epoch} : BYTES_NULL);
}

static const struct kind_case {
    const char *name;
    int16_t epoch, member, targets, target, position;         // types of its records
    int16_t commit, member_commit, fetch_offset, fetch_error; // what is answered
    int16_t offset_delete;
} kinds[] = {
    {"share", 11, 10, 12, 13, 14, E_GROUP_ID_NOT_FOUND, E_GROUP_ID_NOT_FOUND, -1, E_NONE,
     E_GROUP_ID_NOT_FOUND},
    {"streams", 17, 19, 20, 21, 22, E_NONE, E_UNKNOWN_MEMBER_ID, 5, E_UNKNOWN_MEMBER_ID, E_NONE},
};

static void leave_group(const struct kind_case *kind)
{
    left(kind->epoch, GROUP, NULL, true);
    left(kind->member, GROUP, "m", true);
    left(kind->targets, GROUP, NULL, true);
    left(kind->target, GROUP, "m", true);
    left(kind->position, GROUP, "m", true);
}

static int16_t commit(int32_t generation, const char *member, int64_t offset)
{
    struct offset_commit_request_offset_commit_request_partition p =
        offset_commit_request_offset_commit_request_partition_default;
    p.committed_offset = offset;
    struct offset_commit_request_offset_commit_request_topic t = {
        .name = STR("t"), .partitions = &p, .partitions_count = 1};
    struct offset_commit_request q = offset_commit_request_default;
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.topics = &t;
    q.topics_count = 1;
    q.generation_id_or_member_epoch = generation;
    q.retention_time_ms = -1;
    struct asked *a = shard_ask_version(&f, GROUP_COMMIT, &q, 9);
    assert_true(a->done);
    int16_t error = a->request.error;
    asked_free(a);
    return error;
}

// The offset; or the error, negative.
static int64_t fetched(const char *member)
{
    int32_t partition = 0;
    struct offset_fetch_request_offset_fetch_request_topics t = {
        .name = STR("t"), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct group_fetch q = {.group_id = STR(GROUP),
                            .member_id = str_from(member),
                            .member_epoch = member ? 3 : -1,
                            .topics = &t,
                            .topics_count = 1};
    struct asked *a = shard_ask_version(&f, GROUP_FETCH, &q, 9);
    const struct offset_fetch_response_offset_fetch_response_group *r = a->request.response;
    int64_t result = r ? r->topics[0].partitions[0].committed_offset : -a->request.error;
    asked_free(a);
    return result;
}

// "type state protocol-type", or "" when the group is not there.
static const char *listed(void)
{
    static char text[64];
    struct list_groups_request q = list_groups_request_default;
    struct asked *a = shard_ask_version(&f, GROUP_LIST, &q, 5);
    const struct list_groups_response *r = a->request.response;
    assert_true(r->groups_count <= 1);
    text[0] = '\0';
    if (r->groups_count == 1)
        snprintf(text, sizeof text, "%.*s %.*s %.*s", STR_ARG(r->groups[0].group_type),
                 STR_ARG(r->groups[0].group_state), STR_ARG(r->groups[0].protocol_type));
    asked_free(a);
    return text;
}

static int16_t ask_plain(int kind)
{
    struct str id = STR(GROUP);
    struct asked *a = shard_ask_version(&f, kind, &id, 2);
    int16_t error = a->request.error;
    asked_free(a);
    return error;
}

static int16_t delete_offsets(void)
{
    struct offset_delete_request_offset_delete_request_topic t = {.name = STR("none")};
    struct offset_delete_request q = {.group_id = STR(GROUP), .topics = &t, .topics_count = 1};
    struct asked *a = shard_ask_version(&f, GROUP_OFFSET_DELETE, &q, 0);
    int16_t error = a->request.error;
    asked_free(a);
    return error;
}

static int16_t join(void)
{
    struct join_group_request q = join_group_request_default;
    struct join_group_request_join_group_request_protocol p = {STR("range"), {(const uint8_t *)"", 0}};
    q.group_id = STR(GROUP);
    q.session_timeout_ms = q.rebalance_timeout_ms = 10000;
    q.protocol_type = STR("consumer");
    q.protocols = &p;
    q.protocols_count = 1;
    struct asked *a = shard_ask_version(&f, GROUP_JOIN, &q, 3);
    assert_true(a->done);
    int16_t error = ((const struct join_group_response *)a->request.response)->error_code;
    asked_free(a);
    return error;
}

static int16_t consumer_heartbeat(void)
{
    struct str topic = STR("t");
    struct consumer_group_heartbeat_request q = consumer_group_heartbeat_request_default;
    q.group_id = STR(GROUP);
    q.member_id = STR("m");
    q.rebalance_timeout_ms = 10000;
    q.subscribed_topic_names = &topic;
    q.subscribed_topic_names_count = 1;
    q.topic_partitions_count = 0; // and none
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_HEARTBEAT, &q, 1);
    int16_t error = ((const struct consumer_group_heartbeat_response *)a->request.response)->error_code;
    asked_free(a);
    return error;
}

static void assert_listed(const struct kind_case *kind)
{
    char expected[64];
    snprintf(expected, sizeof expected, "%s Empty %s", kind->name, kind->name);
    assert_string_equal(listed(), expected);
}

static void test_known_by_their_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind_case *kind = &kinds[i];
        leave_group(kind);
        size_t records = f.log_count;
        for (int loaded = 0; loaded < 2; loaded++) {
            assert_listed(kind);
            assert_int_equal(join(), E_INCONSISTENT_GROUP_PROTOCOL);
            assert_int_equal(consumer_heartbeat(), E_GROUP_ID_NOT_FOUND);
            assert_int_equal(ask_plain(GROUP_DELETE), E_GROUP_ID_NOT_FOUND);
            assert_int_equal(commit(3, "m", 4), kind->member_commit);
            assert_int_equal(fetched("m"), kind->fetch_error ? -kind->fetch_error : -1);
            assert_int_equal(delete_offsets(), kind->offset_delete);
            assert_int_equal(f.log_count, records); // nothing of that has left a trace
            shard_reload(&f);
        }
        assert_int_equal(commit(-1, "", 5), kind->commit);
        assert_int_equal(fetched(NULL), kind->fetch_offset);
        assert_listed(kind);
        tear_down(NULL);
        set_up(NULL);
    }
}

// What was committed under its id is not the group's, and stays when the group ends.
static void test_offsets_outlive_the_group(void **state)
{
    (void)state;
    const struct kind_case *streams = &kinds[1];
    leave_group(streams);
    assert_int_equal(commit(-1, "", 5), E_NONE);
    left(streams->position, GROUP, "m", false);
    left(streams->target, GROUP, "m", false);
    left(streams->member, GROUP, "m", false);
    left(streams->targets, GROUP, NULL, false);
    left(streams->epoch, GROUP, NULL, false);
    for (int loaded = 0; loaded < 2; loaded++) {
        assert_int_equal(fetched(NULL), 5);
        assert_string_equal(listed(), "classic Empty ");
        shard_reload(&f);
    }
    assert_int_equal(ask_plain(GROUP_DELETE), E_NONE);
    assert_string_equal(listed(), "");
}

// The record of a classic group without members.
static void left_classic(void)
{
    static const uint8_t value[] = "\0\3\0\10consumer\0\0\0\2\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0";
    left_value(2, GROUP, NULL, (struct bytes){value, sizeof value});
}

// Of all kinds: in Kafka a classic group takes the place of an empty one of another kind, of which nothing is
// said; and who deletes it then deletes that one.
static void test_the_last_record_counts(void **state)
{
    (void)state;
    static const int16_t epochs[] = {3, 11, 17};
    for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++) {
        left(epochs[i], GROUP, NULL, true);
        left_classic();
        for (int loaded = 0; loaded < 2; loaded++) {
            assert_string_equal(listed(), "classic Empty consumer");
            shard_reload(&f);
        }
        left(2, GROUP, NULL, false);
        left(epochs[i], GROUP, NULL, false); // of a kind that it is not
        assert_string_equal(listed(), "");
        left(epochs[i], GROUP, NULL, true);
        left(2, GROUP, NULL, false);
        assert_string_equal(listed(), "");
    }
}

// Where a member stands, but not who it is: it can be told of.
static void test_a_member_without_its_record(void **state)
{
    (void)state;
    static const uint8_t position[] = {0, 0, 0, 0, 0, 5, 0, 0, 0, 4, 0, 1, 1, 0};
    left(3, GROUP, NULL, true);
    left_value(8, GROUP, "m", (struct bytes){position, sizeof position});
    struct str id = STR(GROUP);
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_DESCRIBE, &id, 1);
    const struct consumer_group_describe_response_described_group *g = a->request.response;
    assert_int_equal(g->members_count, 1);
    assert_int_equal(g->members[0].member_epoch, 5);
    assert_non_null(g->members[0].client_id.data);
    assert_non_null(g->members[0].client_host.data);
    asked_free(a);
}

// Age ends the offsets of the kinds that are served alone.
static void test_nothing_expires(void **state)
{
    (void)state;
    leave_group(&kinds[1]);
    assert_int_equal(commit(-1, "", 5), E_NONE);
    size_t records = f.log_count;
    shard_advance(&f, f.config.offsets_retention_ms + 2 * f.config.retention_check_interval_ms);
    assert_int_equal(f.log_count, records);
    assert_int_equal(fetched(NULL), 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_known_by_their_records), TEST(test_offsets_outlive_the_group),
        TEST(test_the_last_record_counts), TEST(test_a_member_without_its_record),
        TEST(test_nothing_expires),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
