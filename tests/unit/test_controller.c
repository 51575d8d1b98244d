#include "controller_fixture.h"

static int32_t replica_lists[][3] = {{1, 1, 0}, {9, 0, 0}, {1, 0, 0}, {1, 2, 0}};

struct manual {
    int32_t partition, list, count;
};

// Texts and codes as Apache Kafka 4.3.1 answers them (one broker, number 1).
static const struct {
    const char *name;
    int32_t partitions;
    int16_t factor;
    struct manual assignments[2];
    int assignments_count;
    const char *config, *value;
    int16_t error;
    const char *message;
} creations[] = {
    {.name = "a.b", 2, 1, .error = E_NONE},
    {.name = "a.b", 2, 1, .error = E_TOPIC_ALREADY_EXISTS, .message = "Topic 'a.b' already exists."},
    {.name = "a_b",
     2,
     1,
     .error = E_INVALID_TOPIC_EXCEPTION,
     .message = "Topic 'a_b' collides with existing topic: a.b"},
    {.name = "",
     2,
     1,
     .error = E_INVALID_TOPIC_EXCEPTION,
     .message = "Topic name is invalid: the empty string is not allowed"},
    {.name = "b!",
     2,
     1,
     .error = E_INVALID_TOPIC_EXCEPTION,
     .message = "Topic name is invalid: 'b!' contains one or more characters other than ASCII alphanumerics, "
                "'.', '_' and '-'"},
    {.name = "c",
     0,
     1,
     .error = E_INVALID_PARTITIONS,
     .message = "Number of partitions was set to an invalid non-positive value."},
    {.name = "c",
     1,
     0,
     .error = E_INVALID_REPLICATION_FACTOR,
     .message = "Replication factor must be larger than 0, or -1 to use the default value."},
    {.name = "c",
     1,
     2,
     .error = E_INVALID_REPLICATION_FACTOR,
     .message = "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be "
                "reached because "
                "only 1 broker(s) are registered or some brokers have all their log directories cordoned."},
    {.name = "c",
     10001,
     1,
     .error = E_POLICY_VIOLATION,
     .message = "Excessively large number of partitions per request."},
    {.name = "c",
     1,
     1,
     .config = "retention.ms",
     .value = NULL,
     .error = E_INVALID_CONFIG,
     .message = "Null value not supported for topic configs: retention.ms"},
    {.name = "c",
     1,
     1,
     .config = "no.such",
     .value = "1",
     .error = E_INVALID_CONFIG,
     .message = "Unknown topic config name: no.such"},
    {.name = "c",
     1,
     -1,
     {{0, 2, 1}},
     1,
     .error = E_INVALID_REQUEST,
     .message = "A manual partition assignment was specified, but numPartitions was not set to -1."},
    {.name = "c",
     -1,
     1,
     {{0, 2, 1}},
     1,
     .error = E_INVALID_REQUEST,
     .message = "A manual partition assignment was specified, but replication factor was not set to -1."},
    {.name = "c",
     -1,
     -1,
     {{0, 0, 2}},
     1,
     .error = E_INVALID_REPLICA_ASSIGNMENT,
     .message = "The manual partition assignment includes the broker 1 more than once."},
    {.name = "c",
     -1,
     -1,
     {{0, 1, 1}},
     1,
     .error = E_INVALID_REPLICA_ASSIGNMENT,
     .message = "The manual partition assignment includes broker 9, but no such broker is registered."},
    {.name = "c",
     -1,
     -1,
     {{0, 2, 0}},
     1,
     .error = E_INVALID_REPLICA_ASSIGNMENT,
     .message = "The manual partition assignment includes an empty replica list."},
    {.name = "c",
     -1,
     -1,
     {{0, 2, 1}, {0, 2, 1}},
     2,
     .error = E_INVALID_REPLICA_ASSIGNMENT,
     .message = "Found multiple manual partition assignments for partition 0"},
    {.name = "c",
     -1,
     -1,
     {{0, 2, 1}, {2, 2, 1}},
     2,
     .error = E_INVALID_REPLICA_ASSIGNMENT,
     .message = "partitions should be a consecutive 0-based integer sequence"},
    {.name = "c", -1, -1, {{0, 2, 1}, {1, 2, 1}}, 2, .error = E_NONE},
};

static void topics_are_created_or_refused_as_kafka_does(void **state)
{
    (void)state;
    struct fixture f;
    int16_t error;
    setup(&f);
    int64_t epoch = join(&f, 1, -1, 1, &error);
    assert_int_equal(error, E_NONE);
    assert_false(beat(&f, 1, epoch, false).is_fenced);
    for (size_t i = 0; i < sizeof creations / sizeof *creations; i++) {
        struct controller_event e;
        struct create_topics_request r = create_topics_request_default;
        struct create_topics_request_creatable_topic t = create_topics_request_creatable_topic_default;
        struct create_topics_request_creatable_replica_assignment manual[2];
        struct create_topics_request_creatable_topic_config config = {str_from(creations[i].config),
                                                                      str_from(creations[i].value)};
        t.name = str_from(creations[i].name);
        t.num_partitions = creations[i].partitions;
        t.replication_factor = creations[i].factor;
        t.assignments = manual;
        t.assignments_count = creations[i].assignments_count;
        for (int k = 0; k < creations[i].assignments_count; k++)
            manual[k] = (struct create_topics_request_creatable_replica_assignment){
                creations[i].assignments[k].partition, replica_lists[creations[i].assignments[k].list],
                creations[i].assignments[k].count};
        t.configs = &config;
        t.configs_count = creations[i].config != NULL;
        r.topics = &t;
        r.topics_count = 1;
        int64_t before = f.offset;
        ask(&f, &e, 19, 7, &r);
        const struct create_topics_response_creatable_topic_result *a =
            ((const struct create_topics_response *)e.response)->topics;
        if (a->error_code != creations[i].error ||
            (creations[i].message && !str_is(a->error_message, creations[i].message)))
            fail_msg("case %zu: %s: %.*s", i, error_code_name(a->error_code), STR_ARG(a->error_message));
        assert_int_equal(f.offset > before, creations[i].error == E_NONE);
        assert_int_equal(e.offset, creations[i].error == E_NONE ? f.offset - 1 : -1);
        controller_event_free(&e);
    }
    assert_int_equal(image_topics_count(f.image), 2);
    teardown(&f);
}

// A broker that falls silent is fenced, and its partitions move to who is left.
static void silence_is_answered_by_fencing(void **state)
{
    (void)state;
    struct fixture f;
    int16_t error;
    int64_t next_ms;
    setup(&f);
    int64_t one = join(&f, 1, -1, 1, &error), two = join(&f, 2, -1, 1, &error);
    assert_false(beat(&f, 1, one, false).is_fenced);
    assert_false(beat(&f, 2, two, false).is_fenced);
    join(&f, 2, -1, 2, &error); // another incarnation while the first one lives
    assert_int_equal(error, E_DUPLICATE_BROKER_REGISTRATION);
    create(&f, "t", 4, 2);
    const struct image_topic *t = image_topic(f.image, STR("t"));
    int leaders[3] = {0};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(t->partitions[i]->isr_count, 2);
        leaders[t->partitions[i]->leader]++;
    }
    assert_int_equal(leaders[1], 2);
    assert_int_equal(leaders[2], 2);

    f.now_ms += f.config.session_timeout_ms - 1;
    assert_int_equal(controller_tick(f.c, f.offset, f.now_ms, &f.effects, &next_ms), 0);
    assert_int_equal(f.effects.records_count, 0);
    assert_int_equal(next_ms, f.now_ms + 1);
    beat(&f, 1, one, false);
    f.now_ms += 1;
    assert_int_equal(controller_tick(f.c, f.offset, f.now_ms, &f.effects, &next_ms), 0);
    take(&f);
    assert_true(image_broker(f.image, 2)->fenced);
    t = image_topic(f.image, STR("t"));
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(t->partitions[i]->leader, 1);
        assert_int_equal(t->partitions[i]->isr_count, 1);
    }
    assert_int_equal(beat(&f, 2, two + 1, false).error_code, E_STALE_BROKER_EPOCH);
    teardown(&f);
}

// The only replica: eligible after a clean stop, the last known leader after another end (KIP-966).
static void the_only_replica_comes_back(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct fixture f;
        int16_t error;
        setup(&f);
        int64_t epoch = join(&f, 1, -1, 1, &error);
        beat(&f, 1, epoch, false);
        create(&f, "t", 1, 1);
        if (clean) {
            assert_false(beat(&f, 1, epoch, true).should_shut_down);
            assert_true(beat(&f, 1, epoch, true).should_shut_down);
        }
        f.now_ms += f.config.session_timeout_ms;
        int64_t again = join(&f, 1, clean ? epoch : -1, 2, &error);
        assert_int_equal(error, E_NONE);
        const struct image_partition *p = image_topic(f.image, STR("t"))->partitions[0];
        assert_int_equal(p->leader, -1);
        assert_int_equal(p->isr_count, 0);
        assert_int_equal(p->elr_count, clean);
        assert_int_equal(p->last_known_elr_count, 1);
        assert_false(beat(&f, 1, again, false).is_fenced);
        p = image_topic(f.image, STR("t"))->partitions[0];
        assert_int_equal(p->leader, 1);
        assert_int_equal(p->isr_count, 1);
        assert_int_equal(p->elr_count + p->last_known_elr_count, 0);
        assert_int_equal(p->leader_recovery_state, clean ? 0 : 1);
        assert_int_equal(p->leader_epoch, 2);
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_created_or_refused_as_kafka_does),
        cmocka_unit_test(silence_is_answered_by_fencing),
        cmocka_unit_test(the_only_replica_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
