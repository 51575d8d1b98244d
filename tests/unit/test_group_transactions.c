// Offsets that are committed within transactions: scripts of what producers and groups do, each repeated with
// a crash behind every step. The log is what is left of it.
#include "unit.h"

#include "group_fixture.h"

#include <stdio.h>

#define GROUP "g"

static struct shard_fixture f;
static bool crashes; // behind every step

static void fill_commit(struct offset_commit_request *q,
                        struct offset_commit_request_offset_commit_request_topic *t,
                        struct offset_commit_request_offset_commit_request_partition *p, int64_t offset)
{
    *p = offset_commit_request_offset_commit_request_partition_default;
    p->partition_index = 1;
    p->committed_offset = offset;
    p->committed_metadata = STR("m");
    *t = (struct offset_commit_request_offset_commit_request_topic){
        .name = STR("t"), .partitions = p, .partitions_count = 1};
    *q = offset_commit_request_default;
    q->group_id = STR(GROUP);
    q->topics = t;
    q->topics_count = 1;
    q->generation_id_or_member_epoch = -1;
    q->retention_time_ms = -1;
}

static int16_t error_of(struct asked *a)
{
    assert_true(a->done);
    const struct offset_commit_response *r = a->request.response;
    int16_t error = r ? r->topics[0].partitions[0].error_code : a->request.error;
    asked_free(a);
    return error;
}

static int16_t commit(int64_t offset)
{
    struct offset_commit_request_offset_commit_request_partition p;
    struct offset_commit_request_offset_commit_request_topic t;
    struct offset_commit_request q;
    fill_commit(&q, &t, &p, offset);
    return error_of(shard_ask_version(&f, GROUP_COMMIT, &q, 9));
}

struct who {
    const char *member, *instance; // NULL: none
    int32_t generation;
};

#define NOBODY ((struct who){"", NULL, -1})

static int16_t txn_commit(int64_t producer_id, struct who who, int64_t offset)
{
    struct offset_commit_request_offset_commit_request_partition p;
    struct offset_commit_request_offset_commit_request_topic t;
    struct group_txn_commit q = {.producer = {.producer_id = producer_id, .epoch = 3, .guard = 9}};
    fill_commit(&q.commit, &t, &p, offset);
    q.commit.member_id = str_from(who.member);
    q.commit.group_instance_id = str_from(who.instance);
    q.commit.generation_id_or_member_epoch = who.generation;
    return error_of(shard_ask_version(&f, GROUP_TXN_COMMIT, &q, 3));
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

static int16_t delete_offset(void)
{
    struct offset_delete_request_offset_delete_request_partition p = {.partition_index = 1};
    struct offset_delete_request_offset_delete_request_topic t = {
        .name = STR("t"), .partitions = &p, .partitions_count = 1};
    struct offset_delete_request q = {.group_id = STR(GROUP), .topics = &t, .topics_count = 1};
    struct asked *a = shard_ask_version(&f, GROUP_OFFSET_DELETE, &q, 0);
    assert_true(a->done);
    int16_t error = a->request.error;
    asked_free(a);
    return error;
}

static int16_t ask_plain(int kind, struct str text)
{
    struct asked *a = shard_ask_version(&f, kind, &text, 2);
    assert_true(a->done);
    int16_t error = a->request.error;
    asked_free(a);
    return error;
}

static int32_t groups_listed(void)
{
    struct list_groups_request q = list_groups_request_default;
    struct asked *a = shard_ask_version(&f, GROUP_LIST, &q, 4);
    int32_t count = ((const struct list_groups_response *)a->request.response)->groups_count;
    asked_free(a);
    return count;
}

// Scripts

enum what {
    COMMIT,
    PENDING,
    ABORTS,
    COMMITS,
    DELETE_OFFSET,
    DELETE_GROUP,
    DELETE_TOPIC,
    READS,
    STABLE,
    GROUPS
};

struct step {
    enum what what;
    int64_t a, b; // COMMIT: offset. PENDING: producer, offset. ABORTS, COMMITS: producer. READS ...: expected
};

static void run_step(const struct step *s)
{
    switch (s->what) {
    case COMMIT:
        assert_int_equal(commit(s->a), E_NONE);
        break;
    case PENDING:
        assert_int_equal(txn_commit(s->a, NOBODY, s->b), E_NONE);
        break;
    case ABORTS:
    case COMMITS:
        shard_end(&f, s->a, s->what == COMMITS);
        break;
    case DELETE_OFFSET:
        assert_int_equal(delete_offset(), E_NONE);
        break;
    case DELETE_GROUP:
        assert_int_equal(ask_plain(GROUP_DELETE, STR(GROUP)), s->a);
        break;
    case DELETE_TOPIC:
        assert_int_equal(ask_plain(GROUP_TOPIC_DELETED, STR("t")), E_NONE);
        break;
    case READS:
        assert_int_equal(committed(false), s->a);
        break;
    case STABLE:
        assert_int_equal(committed(true), s->a);
        break;
    case GROUPS:
        assert_int_equal(groups_listed(), s->a);
        break;
    }
}

static void run(const char *name, const struct step *steps, size_t count)
{
    for (int i = 0; i < 2; i++) {
        crashes = i == 1;
        shard_open(&f);
        for (size_t k = 0; k < count; k++) {
            print_message("%s, step %zu%s\n", name, k, crashes ? ", with crashes" : "");
            run_step(&steps[k]);
            if (crashes)
                shard_reload(&f);
        }
        shard_close(&f);
    }
}

#define RUN(name, ...)                            \
    run(name, (const struct step[]){__VA_ARGS__}, \
        sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

#define UNSTABLE (-E_UNSTABLE_OFFSET_COMMIT)

static void offsets_count_when_their_transaction_commits(void **state)
{
    (void)state;
    RUN("commit", {COMMIT, 5, 0}, {PENDING, 77, 6}, {READS, 5, 0}, {STABLE, UNSTABLE, 0}, {PENDING, 77, 7},
        {COMMITS, 77, 0}, {STABLE, 7, 0}, {READS, 7, 0});
    RUN("abort", {COMMIT, 5, 0}, {PENDING, 77, 6}, {ABORTS, 77, 0}, {STABLE, 5, 0});
    RUN("first of its group", {PENDING, 77, 6}, {GROUPS, 1, 0}, {READS, -1, 0}, {STABLE, UNSTABLE, 0},
        {COMMITS, 77, 0}, {STABLE, 6, 0});
    RUN("two", {PENDING, 77, 6}, {PENDING, 78, 4}, {COMMITS, 77, 0}, {READS, 6, 0}, {STABLE, UNSTABLE, 0},
        {ABORTS, 78, 0}, {STABLE, 6, 0});
    // The later record counts, whichever transaction ends later.
    RUN("older record", {PENDING, 77, 6}, {PENDING, 78, 4}, {COMMITS, 78, 0}, {READS, 4, 0}, {COMMITS, 77, 0},
        {STABLE, 4, 0});
    RUN("plain commit behind it", {PENDING, 77, 6}, {COMMIT, 9, 0}, {COMMITS, 77, 0}, {STABLE, 9, 0});
    RUN("marker of another", {PENDING, 77, 6}, {COMMITS, 78, 0}, {READS, -1, 0}, {STABLE, UNSTABLE, 0});
    RUN("again", {PENDING, 77, 6}, {COMMITS, 77, 0}, {PENDING, 77, 8}, {READS, 6, 0}, {STABLE, UNSTABLE, 0},
        {ABORTS, 77, 0}, {STABLE, 6, 0});
}

static void what_is_deleted_stays_deleted(void **state)
{
    (void)state;
    RUN("offset", {COMMIT, 5, 0}, {PENDING, 77, 6}, {DELETE_OFFSET, 0, 0}, {STABLE, -1, 0}, {COMMITS, 77, 0},
        {STABLE, -1, 0});
    RUN("offset that is pending alone", {PENDING, 77, 6}, {PENDING, 78, 7}, {DELETE_OFFSET, 0, 0},
        {STABLE, -1, 0}, {COMMITS, 77, 0}, {COMMITS, 78, 0}, {STABLE, -1, 0});
    RUN("topic", {PENDING, 77, 6}, {DELETE_TOPIC, 0, 0}, {STABLE, -1, 0}, {COMMITS, 77, 0}, {STABLE, -1, 0});
    RUN("topic with both", {COMMIT, 5, 0}, {PENDING, 77, 6}, {DELETE_TOPIC, 0, 0}, {COMMITS, 77, 0},
        {STABLE, -1, 0});
    RUN("group", {COMMIT, 5, 0}, {PENDING, 77, 6}, {DELETE_GROUP, E_NONE, 0}, {GROUPS, 0, 0},
        {COMMITS, 77, 0}, {GROUPS, 0, 0}, {STABLE, -1, 0});
    RUN("group of pending offsets alone", {PENDING, 77, 6}, {DELETE_GROUP, E_NONE, 0}, {GROUPS, 0, 0},
        {PENDING, 78, 7}, {COMMITS, 77, 0}, {READS, -1, 0}, {STABLE, UNSTABLE, 0}, {COMMITS, 78, 0},
        {STABLE, 7, 0});
}

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static void open_transactions_keep_offsets_and_groups(void **state)
{
    (void)state;
    shard_open(&f);
    assert_int_equal(commit(5), E_NONE);
    assert_int_equal(txn_commit(77, NOBODY, 6), E_NONE);
    shard_advance(&f, 9 * DAY_MS);
    assert_int_equal(committed(false), 5);
    assert_int_equal(groups_listed(), 1);
    shard_end(&f, 77, false);
    shard_advance(&f, 600000);
    assert_int_equal(committed(false), -1);
    assert_int_equal(groups_listed(), 0);
    shard_close(&f);
}

static void a_failed_append_leaves_nothing(void **state)
{
    (void)state;
    shard_open(&f);
    f.append_error = E_INVALID_TXN_STATE;
    assert_int_equal(txn_commit(77, NOBODY, 6), E_INVALID_TXN_STATE);
    f.append_error = E_NONE;
    assert_int_equal(groups_listed(), 0);
    assert_int_equal(committed(true), -1);
    shard_close(&f);
}

// A static member that is alone in its group, in generation 1.
static void join(char member[64])
{
    struct join_group_request_join_group_request_protocol protocol = {
        .name = STR("range"), .metadata = {(const uint8_t *)"\0\0\0\0\0\0\377\377\377\377", 10}};
    struct join_group_request q = join_group_request_default;
    q.group_id = STR(GROUP);
    q.member_id = STR("");
    q.group_instance_id = STR("i");
    q.protocol_type = STR("consumer");
    q.session_timeout_ms = q.rebalance_timeout_ms = 1000000;
    q.protocols = &protocol;
    q.protocols_count = 1;
    struct asked *a = shard_ask_version(&f, GROUP_JOIN, &q, 9);
    shard_advance(&f, 5000);
    assert_true(a->done);
    const struct join_group_response *r = a->request.response;
    snprintf(member, 64, "%.*s", STR_ARG(r->member_id));
    assert_int_equal(r->generation_id, 1);
    asked_free(a);
}

static void producers_are_checked_as_members(void **state)
{
    (void)state;
    shard_open(&f);
    assert_int_equal(txn_commit(7, (struct who){"x", NULL, 1}, 1), E_ILLEGAL_GENERATION); // no such group
    char member[64];
    join(member);
    const struct {
        struct who who;
        int16_t expected;
    } cases[] = {
        {NOBODY, E_NONE}, // an old producer, which says nothing
        {{member, NULL, 1}, E_NONE},
        {{member, "i", 1}, E_NONE}, // while the group waits for its leader's assignment
        {{member, "i", 0}, E_ILLEGAL_GENERATION},
        {{member, "i", -1}, E_ILLEGAL_GENERATION},
        {{"x", "i", 1}, E_FENCED_INSTANCE_ID},
        {{"x", NULL, 1}, E_UNKNOWN_MEMBER_ID},
        {{"x", NULL, -1}, E_UNKNOWN_MEMBER_ID},
        {{"", NULL, 1}, E_UNKNOWN_MEMBER_ID},
        {{member, "k", 1}, E_UNKNOWN_MEMBER_ID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("case %zu\n", i);
        assert_int_equal(txn_commit(7, cases[i].who, 1), cases[i].expected);
    }
    shard_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_count_when_their_transaction_commits),
        cmocka_unit_test(what_is_deleted_stays_deleted),
        cmocka_unit_test(open_transactions_keep_offsets_and_groups),
        cmocka_unit_test(a_failed_append_leaves_nothing),
        cmocka_unit_test(producers_are_checked_as_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
