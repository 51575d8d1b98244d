// What a group of 1,000 members and 100,000 partitions costs whom: the thread that serves a heartbeat hardly
// anything.
#include "unit.h"

#include "group_fixture.h"

#include <stdio.h>
#include <time.h>

#define GROUP      "g"
#define MEMBERS    1000
#define TOPICS     100
#define PARTITIONS 1000 // of each

static struct shard_fixture f;
static int64_t version;
static struct coordinator_request *unassigned;

static struct uuid topic_id(int number)
{
    struct uuid id = {{0}};
    id.bytes[15] = (uint8_t)(1 + number);
    return id;
}

static int64_t metadata_version(void *context)
{
    (void)context;
    return version;
}

static char names[TOPICS][4]; // "t00"

static bool metadata_topic(void *context, struct str name, struct group_topic *out)
{
    (void)context;
    int number = (name.data[1] - '0') * 10 + name.data[2] - '0';
    *out = (struct group_topic){topic_id(number), PARTITIONS, number + version * TOPICS};
    return true;
}

static struct str metadata_topic_name(void *context, const struct uuid *id)
{
    (void)context;
    return str_from(names[id->bytes[15] - 1]);
}

static void assign(struct coordinator_request *r)
{
    assert_null(unassigned);
    unassigned = r;
}

static int set_up(void **state)
{
    (void)state;
    shard_open(&f);
    f.config.consumer_session_timeout_ms = 45000;
    f.config.consumer_heartbeat_interval_ms = 5000;
    f.config.consumer_max_size = INT32_MAX;
    f.config.metadata = (struct group_metadata){.version = metadata_version,
                                                .topic = metadata_topic,
                                                .topic_name = metadata_topic_name,
                                                .topics_version = metadata_version};
    version = 1;
    for (int i = 0; i < TOPICS; i++)
        snprintf(names[i], sizeof names[i], "t%02d", i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shard_close(&f);
    return 0;
}

static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// Returns the member's epoch; *partitions are those that it was told, and *most_us what the costliest one
// cost.
static int32_t beat(int member, int32_t epoch, int32_t *partitions, int64_t *most_us)
{
    char id[8];
    struct str topics[TOPICS];
    struct consumer_group_heartbeat_request q = consumer_group_heartbeat_request_default;
    snprintf(id, sizeof id, "m%04d", member);
    q.group_id = STR(GROUP);
    q.member_id = str_from(id);
    q.member_epoch = epoch;
    if (epoch == 0) {
        q.rebalance_timeout_ms = 30000;
        q.subscribed_topic_names = topics;
        q.subscribed_topic_names_count = TOPICS;
        for (int i = 0; i < TOPICS; i++)
            topics[i] = str_from(names[i]);
        q.topic_partitions = (struct consumer_group_heartbeat_request_topic_partitions[1]){0};
        q.topic_partitions_count = 0;
    }
    int64_t before_us = cpu_us();
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_HEARTBEAT, &q, 1);
    int64_t us = cpu_us() - before_us;
    *most_us = us > *most_us ? us : *most_us;
    assert_true(a->done);
    const struct consumer_group_heartbeat_response *r = a->request.response;
    assert_int_equal(r->error_code, E_NONE);
    *partitions = 0;
    for (int32_t i = 0; r->assignment && i < r->assignment->topic_partitions_count; i++)
        *partitions += r->assignment->topic_partitions[i].partitions_count;
    int32_t told = r->member_epoch;
    asked_free(a);
    return told;
}

static int64_t work_us(void)
{
    int64_t before_us = cpu_us();
    struct coordinator_request *due = unassigned;
    unassigned = NULL;
    struct asked *look = shard_ask_version(&f, GROUP_ASSIGN_LOOK, due->response, 0);
    group_assignment_compute(look->request.response, &f.config, &look->request.arena);
    struct asked *told = shard_ask_version(&f, GROUP_ASSIGNED, look->request.response, 0);
    assert_int_equal(told->request.error, E_NONE);
    asked_free(told);
    asked_free(look);
    group_work_free(due);
    return cpu_us() - before_us;
}

// All join, and get what they are to have. Returns what the costliest heartbeat cost.
static int64_t join_all(int64_t *aside_us)
{
    int64_t most_us = 0, first_us = 0;
    int32_t epochs[MEMBERS], partitions;
    epochs[0] = beat(0, 0, &partitions, &first_us); // sees the topics for the first time
    if (unassigned)
        work_us();
    f.config.consumer_assignment_interval_ms = 1000;
    for (int i = 1; i < MEMBERS; i++)
        epochs[i] = beat(i, 0, &partitions, &most_us);
    shard_advance(&f, 2000);
    epochs[1] = beat(1, epochs[1], &partitions, &most_us);
    *aside_us = unassigned ? work_us() : 0;
    for (int i = 0; i < MEMBERS; i++)
        beat(i, epochs[i], &partitions, &most_us);
    printf("%d members: costliest heartbeat %lld us (the group's first %lld us), aside %lld us\n", MEMBERS,
           (long long)most_us, (long long)first_us, (long long)*aside_us);
    return most_us;
}

static void test_who_pays(void **state)
{
    (void)state;
    int64_t aside_us, within_us, most_us;
    f.config.assign = assign;
    most_us = join_all(&aside_us);
    assert_true(aside_us > 0);
    shard_close(&f);
    set_up(NULL);
    within_us = join_all(&aside_us); // everything within requests
    assert_int_equal(aside_us, 0);
    assert_true(most_us * 5 < within_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_who_pays, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
