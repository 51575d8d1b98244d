#include "controller_fixture.h"

static void start_one(struct fixture *f)
{
    int16_t error;
    setup(f);
    int64_t epoch = join(f, 1, -1, 1, &error);
    assert_false(beat(f, 1, epoch, false).is_fenced);
}

#define BY_NUMBER (-1)

// Codes and texts as Apache Kafka 4.3.1 answers them for a topic 't' of 2 partitions (one broker, number 1).
static const struct {
    const char *topic;
    int32_t count, assignments; // BY_NUMBER or so many lists
    int32_t ids[2][2], sizes[2];
    int16_t error;
    const char *message;
} growths[] = {
    {"t", 2, BY_NUMBER, .error = E_INVALID_PARTITIONS, .message = "Topic already has 2 partition(s)."},
    {"t", 1, BY_NUMBER, .error = E_INVALID_PARTITIONS,
     .message = "The topic t currently has 2 partition(s); 1 would not be an increase."},
    {"u", 3, BY_NUMBER, .error = E_UNKNOWN_TOPIC_OR_PARTITION},
    {"t", 10003, BY_NUMBER, .error = E_UNKNOWN_SERVER_ERROR},
    {"t", 3, 0, .error = E_INVALID_REPLICA_ASSIGNMENT,
     .message = "Attempted to add 1 additional partition(s), but only 0 assignment(s) were specified."},
    {"t", 3, 1, .error = E_INVALID_REPLICA_ASSIGNMENT,
     .message = "The manual partition assignment includes an empty replica list."},
    {"t",
     4,
     2,
     {{1}, {1, 1}},
     {1, 2},
     E_INVALID_REPLICA_ASSIGNMENT,
     "The manual partition assignment includes the broker 1 more than once."},
    {"t",
     3,
     1,
     {{2}},
     {1},
     E_INVALID_REPLICA_ASSIGNMENT,
     "The manual partition assignment includes broker 2, but no such broker is registered."},
    {"t", 3, 1, {{1}}, {1}, E_NONE, NULL},
    {"t", 5, BY_NUMBER, .error = E_NONE},
};

static void topics_grow_or_are_refused_as_kafka_does(void **state)
{
    (void)state;
    struct fixture f;
    start_one(&f);
    create(&f, "t", 2, 1);
    for (size_t i = 0; i < sizeof growths / sizeof *growths; i++) {
        struct create_partitions_request q = create_partitions_request_default;
        struct create_partitions_request_create_partitions_topic t = {.name = str_from(growths[i].topic),
                                                                      .count = growths[i].count,
                                                                      .assignments_count =
                                                                          growths[i].assignments};
        struct create_partitions_request_create_partitions_assignment lists[2];
        int32_t ids[2][2];
        memcpy(ids, growths[i].ids, sizeof ids);
        for (int k = 0; k < 2; k++)
            lists[k] =
                (struct create_partitions_request_create_partitions_assignment){ids[k], growths[i].sizes[k]};
        t.assignments = lists;
        q.topics = &t;
        q.topics_count = 1;
        for (int validate_only = 1; validate_only >= 0; validate_only--) { // asking changes nothing
            struct controller_event e;
            int64_t before = f.offset;
            q.validate_only = validate_only;
            ask(&f, &e, 37, 3, &q);
            const struct create_partitions_response *response = e.response;
            assert_int_equal(response->results_count, 1);
            struct str message = response->results[0].error_message, wanted = str_from(growths[i].message);
            if (response->results[0].error_code != growths[i].error || !message.data != !wanted.data ||
                !str_equal(message, wanted))
                fail_msg("case %zu: %s: %.*s", i, error_code_name(response->results[0].error_code),
                         STR_ARG(message));
            assert_int_equal(f.offset > before, growths[i].error == E_NONE && !validate_only);
            controller_event_free(&e);
        }
    }
    const struct image_topic *t = image_topic(f.image, STR("t"));
    assert_int_equal(t->partitions_count, 5);
    const struct image_partition *p = t->partitions[4];
    const struct uuid dir = {{7, 1}};
    assert_int_equal(p->leader, 1);
    assert_int_equal(p->isr_count, 1);
    assert_true(uuid_equal(&p->directories[0], &dir));
    teardown(&f);
}

static void a_topic_named_twice_does_not_grow(void **state)
{
    (void)state;
    struct fixture f;
    struct controller_event e;
    start_one(&f);
    create(&f, "t", 2, 1);
    create(&f, "u", 1, 1);
    struct create_partitions_request q = create_partitions_request_default;
    struct create_partitions_request_create_partitions_topic topics[] = {
        {.name = STR("t"), .count = 3, .assignments_count = -1},
        {.name = STR("u"), .count = 3, .assignments_count = -1},
        {.name = STR("t"), .count = 4, .assignments_count = -1}};
    q.topics = topics;
    q.topics_count = 3;
    ask(&f, &e, 37, 3, &q);
    const struct create_partitions_response *response = e.response;
    assert_int_equal(response->results_count, 2);
    assert_int_equal(response->results[0].error_code, E_INVALID_REQUEST);
    assert_true(str_is(response->results[0].error_message, "Duplicate topic name."));
    assert_int_equal(response->results[1].error_code, E_NONE);
    assert_int_equal(image_topic(f.image, STR("t"))->partitions_count, 2);
    assert_int_equal(image_topic(f.image, STR("u"))->partitions_count, 3);
    controller_event_free(&e);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_grow_or_are_refused_as_kafka_does),
        cmocka_unit_test(a_topic_named_twice_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
