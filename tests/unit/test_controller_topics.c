#include "controller_fixture.h"
#include <stdio.h>

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

// --- reassignments and elections ---

// Brokers 1 to 3.
static void start_three(struct fixture *f, int64_t epochs[4])
{
    int16_t error;
    setup(f);
    for (int32_t id = 1; id <= 3; id++) {
        epochs[id] = join(f, id, -1, 1, &error);
        assert_false(beat(f, id, epochs[id], false).is_fenced);
    }
}

static void fall_silent(struct fixture *f, const int64_t epochs[4], int32_t silent)
{
    int64_t next_ms;
    f->now_ms += f->config.session_timeout_ms - 1;
    for (int32_t id = 1; id <= 3; id++)
        if (id != silent)
            beat(f, id, epochs[id], false);
    f->now_ms += 1;
    assert_int_equal(controller_tick(f->c, f->offset, f->now_ms, &f->effects, &next_ms), 0);
    take(f);
    assert_true(image_broker(f->image, silent)->fenced);
}

static void create_on(struct fixture *f, const char *name, int32_t *brokers, int32_t count)
{
    struct controller_event e;
    struct create_topics_request r = create_topics_request_default;
    struct create_topics_request_creatable_topic t = create_topics_request_creatable_topic_default;
    struct create_topics_request_creatable_replica_assignment a = {0, brokers, count};
    t.name = str_from(name);
    t.num_partitions = t.replication_factor = -1;
    t.assignments = &a;
    t.assignments_count = 1;
    r.topics = &t;
    r.topics_count = 1;
    ask(f, &e, 19, 7, &r);
    assert_int_equal(((const struct create_topics_response *)e.response)->topics[0].error_code, E_NONE);
    controller_event_free(&e);
}

// count -1: cancel.
static int16_t reassign(struct fixture *f, int32_t *replicas, int32_t count, bool factor_may_change)
{
    struct controller_event e;
    struct alter_partition_reassignments_request q = alter_partition_reassignments_request_default;
    struct alter_partition_reassignments_request_reassignable_topic t = {.name = STR("t")};
    struct alter_partition_reassignments_request_reassignable_partition p = {0, replicas, count};
    t.partitions = &p;
    t.partitions_count = 1;
    q.topics = &t;
    q.topics_count = 1;
    q.allow_replication_factor_change = factor_may_change;
    ask(f, &e, 45, 1, &q);
    const struct alter_partition_reassignments_response *response = e.response;
    int16_t error = response->responses[0].partitions[0].error_code;
    controller_event_free(&e);
    return error;
}

static const struct image_partition *partition_of(const struct fixture *f)
{
    return image_topic(f->image, STR("t"))->partitions[0];
}

static void assert_ids(const int32_t *ids, uint32_t count, const char *wanted)
{
    char text[64] = "";
    for (uint32_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), i ? " %d" : "%d", ids[i]);
    assert_string_equal(text, wanted);
}

static void a_reassignment_begins_and_is_cancelled(void **state)
{
    (void)state;
    struct fixture f;
    int64_t epochs[4];
    start_three(&f, epochs);
    create_on(&f, "t", (int32_t[]){1, 2}, 2);
    assert_int_equal(reassign(&f, NULL, -1, true), E_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(reassign(&f, (int32_t[]){3}, 1, false), E_INVALID_REPLICATION_FACTOR);
    assert_int_equal(reassign(&f, (int32_t[]){3, 1}, 2, false), E_NONE);
    const struct image_partition *p = partition_of(&f);
    const struct uuid three = {{7, 3}};
    assert_ids(p->replicas, p->replicas_count, "3 1 2");
    assert_ids(p->adding, p->adding_count, "3");
    assert_ids(p->removing, p->removing_count, "2");
    assert_ids(p->isr, p->isr_count, "1 2");
    assert_true(uuid_equal(&p->directories[0], &three));
    assert_int_equal(p->leader_epoch, 0); // nobody has left
    assert_int_equal(reassign(&f, NULL, -1, true), E_NONE);
    p = partition_of(&f);
    assert_ids(p->replicas, p->replicas_count, "1 2");
    assert_int_equal(p->adding_count + p->removing_count, 0);
    assert_int_equal(p->leader, 1);
    assert_int_equal(p->leader_epoch, 1); // 3 has left
    teardown(&f);
}

// What only leaves out or changes the order of replicas needs nobody to catch up.
static void a_reassignment_that_adds_nothing_ends_at_once(void **state)
{
    (void)state;
    struct fixture f;
    int64_t epochs[4];
    start_three(&f, epochs);
    create_on(&f, "t", (int32_t[]){1, 2, 3}, 3);
    assert_int_equal(reassign(&f, (int32_t[]){3, 2, 1}, 3, false), E_NONE);
    const struct image_partition *p = partition_of(&f);
    assert_ids(p->replicas, p->replicas_count, "3 2 1");
    assert_int_equal(p->leader, 1);
    assert_int_equal(p->leader_epoch, 0);
    assert_int_equal(reassign(&f, (int32_t[]){3, 2}, 2, true), E_NONE);
    p = partition_of(&f);
    assert_ids(p->replicas, p->replicas_count, "3 2");
    assert_ids(p->isr, p->isr_count, "2 3");
    assert_int_equal(p->removing_count, 0);
    assert_int_equal(p->leader, 3);
    assert_int_equal(p->leader_epoch, 1);
    teardown(&f);
}

static int16_t elect(struct fixture *f, int8_t type)
{
    struct controller_event e;
    struct elect_leaders_request q = elect_leaders_request_default;
    int32_t partition = 0;
    struct elect_leaders_request_topic_partitions t = {STR("t"), &partition, 1};
    q.election_type = type;
    q.topic_partitions = &t;
    q.topic_partitions_count = 1;
    ask(f, &e, 43, 2, &q);
    const struct elect_leaders_response *response = e.response;
    int16_t error = response->replica_election_results[0].partition_result[0].error_code;
    controller_event_free(&e);
    return error;
}

static void leaders_are_elected(void **state)
{
    (void)state;
    struct fixture f;
    int64_t epochs[4];
    start_three(&f, epochs);
    create_on(&f, "t", (int32_t[]){1, 2}, 2);
    assert_int_equal(elect(&f, 0), E_ELECTION_NOT_NEEDED);
    assert_int_equal(elect(&f, 1), E_ELECTION_NOT_NEEDED);
    assert_int_equal(elect(&f, 2), E_INVALID_REQUEST);
    assert_int_equal(reassign(&f, (int32_t[]){2, 1}, 2, false), E_NONE);
    assert_int_equal(partition_of(&f)->leader, 1);
    assert_int_equal(elect(&f, 1), E_ELECTION_NOT_NEEDED);
    assert_int_equal(elect(&f, 0), E_NONE);
    assert_int_equal(partition_of(&f)->leader, 2);
    assert_int_equal(elect(&f, 0), E_ELECTION_NOT_NEEDED);
    fall_silent(&f, epochs, 2);
    assert_int_equal(partition_of(&f)->leader, 1);
    assert_int_equal(elect(&f, 0), E_PREFERRED_LEADER_NOT_AVAILABLE);
    teardown(&f);
}

static void a_broker_is_unregistered(void **state)
{
    (void)state;
    struct fixture f;
    int64_t epochs[4];
    start_three(&f, epochs);
    create_on(&f, "t", (int32_t[]){3, 1}, 2);
    for (int i = 0; i < 2; i++) {
        struct controller_event e;
        struct unregister_broker_request q = {.broker_id = 3};
        ask(&f, &e, 64, 0, &q);
        const struct unregister_broker_response *response = e.response;
        assert_int_equal(response->error_code, i == 0 ? E_NONE : E_BROKER_ID_NOT_REGISTERED);
        controller_event_free(&e);
    }
    assert_null(image_broker(f.image, 3));
    assert_int_equal(partition_of(&f)->leader, 1);
    assert_ids(partition_of(&f)->isr, partition_of(&f)->isr_count, "1");
    teardown(&f);
}

// --- features ---

// One after the other; texts without what stands in front of all of them.
static const struct {
    const char *feature;
    int16_t level;
    int8_t type;
    const char *message;
} updates[] = {
    {"group.version", 0, 0,
     "Invalid update version 0 for feature group.version. The controller does not support the given upgrade "
     "type."},
    {"group.version", -1, 1,
     "Invalid update version -1 for feature group.version. A feature version cannot be less than 0."},
    {"group.version", 2, 1,
     "Invalid update version 2 for feature group.version. Local controller 1 only supports versions 0-1"},
    {"group.version", 0, 1,
     "Invalid update version 0 for feature group.version. Can't downgrade the version of this feature "
     "without "
     "setting the upgrade type to either safe or unsafe downgrade."},
    {"group.version", 0, 2, NULL},
    {"group.version", 1, 2,
     "Invalid update version 1 for feature group.version. Can't downgrade to a newer version."},
    {"group.version", 1, 1, NULL},
    {"no.such", 1, 1,
     "Invalid update version 1 for feature no.such. Local controller 1 does not support this feature."},
    {"no.such", 0, 1, "Invalid update version 0 for feature no.such. Feature no.such not found."},
    {"metadata.version", 29, 2,
     "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the requested downgrade "
     "because it "
     "might delete metadata information."},
    {"metadata.version", 29, 3,
     "Unsupported metadata.version downgrade from 30 to 29. Unsafe metadata downgrade is not supported in "
     "this "
     "version."},
    {"metadata.version", 30, 1, NULL},
};

static void features_change_or_are_refused_as_kafka_does(void **state)
{
    (void)state;
    static const char failed[] =
        "The update failed for all features since the following feature had an error: ";
    struct fixture f;
    start_one(&f);
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++) {
        struct controller_event e;
        struct update_features_request q = update_features_request_default;
        struct update_features_request_feature_update_key u =
            update_features_request_feature_update_key_default;
        u.feature = str_from(updates[i].feature);
        u.max_version_level = updates[i].level;
        u.upgrade_type = updates[i].type;
        q.feature_updates = &u;
        q.feature_updates_count = 1;
        for (int validate_only = 1; validate_only >= 0; validate_only--) {
            int64_t before = f.offset;
            char wanted[512] = "";
            q.validate_only = validate_only;
            ask(&f, &e, 57, 2, &q);
            const struct update_features_response *a = e.response;
            if (updates[i].message)
                snprintf(wanted, sizeof wanted, "%s%s", failed, updates[i].message);
            if (a->error_code != (updates[i].message ? E_INVALID_UPDATE_VERSION : E_NONE) ||
                (updates[i].message && !str_is(a->error_message, wanted)))
                fail_msg("case %zu: %s: %.*s", i, error_code_name(a->error_code), STR_ARG(a->error_message));
            assert_int_equal(f.offset > before, !updates[i].message && !validate_only);
            controller_event_free(&e);
        }
        if (!updates[i].message && updates[i].level < 30)
            assert_int_equal(image_feature_level(f.image, u.feature), updates[i].level);
    }
    teardown(&f);
}

// The reactor encodes an answer when the image that it was decided on may be gone.
static void answers_outlive_the_image(void **state)
{
    (void)state;
    struct fixture f;
    struct controller_event e;
    start_one(&f);
    create(&f, "t", 2, 1);
    struct delete_topics_request_delete_topic_state topic = {.name = STR_NULL,
                                                             .topic_id = image_topic(f.image, STR("t"))->id};
    struct delete_topics_request q = delete_topics_request_default;
    q.topics = &topic;
    q.topics_count = 1;
    const char *of_image = image_topic(f.image, STR("t"))->name.data;
    ask(&f, &e, 20, 6, &q);
    const struct delete_topics_response *deleted = e.response;
    assert_int_equal(deleted->responses_count, 1);
    assert_int_equal(deleted->responses[0].error_code, E_NONE);
    assert_ptr_not_equal(deleted->responses[0].name.data, of_image);
    assert_true(str_is(deleted->responses[0].name, "t"));
    assert_null(image_topic(f.image, STR("t")));
    controller_event_free(&e);
    teardown(&f);
}

#define DELETIONS 50000

// Each topic that is named is looked for once, however many there are; of each that comes twice one is told.
static void many_topics_are_deleted_in_one_go(void **state)
{
    (void)state;
    struct fixture f;
    struct controller_event e;
    start_one(&f);
    struct delete_topics_request_delete_topic_state *topics = calloc(DELETIONS, sizeof *topics);
    char(*names)[16] = calloc(DELETIONS, sizeof *names);
    for (int i = 0; i < DELETIONS; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i % (DELETIONS - 1));
        topics[i].name = str_from(names[i]);
    }
    struct delete_topics_request q = delete_topics_request_default;
    q.topics = topics;
    q.topics_count = DELETIONS;
    ask(&f, &e, 20, 6, &q);
    const struct delete_topics_response *deleted = e.response;
    assert_int_equal(deleted->responses_count, DELETIONS - 1);
    assert_true(str_is(deleted->responses[0].name, "t0"));
    assert_true(str_is(deleted->responses[0].error_message, "Duplicate topic name."));
    for (int i = 1; i < DELETIONS - 1; i++)
        assert_int_equal(deleted->responses[i].error_code, E_UNKNOWN_TOPIC_OR_PARTITION);
    controller_event_free(&e);
    free(names);
    free(topics);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_grow_or_are_refused_as_kafka_does),
        cmocka_unit_test(a_topic_named_twice_does_not_grow),
        cmocka_unit_test(a_reassignment_begins_and_is_cancelled),
        cmocka_unit_test(a_reassignment_that_adds_nothing_ends_at_once),
        cmocka_unit_test(leaders_are_elected),
        cmocka_unit_test(a_broker_is_unregistered),
        cmocka_unit_test(features_change_or_are_refused_as_kafka_does),
        cmocka_unit_test(answers_outlive_the_image),
        cmocka_unit_test(many_topics_are_deleted_in_one_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
