// KIP-858: where replicas lie, and what a directory that goes off line means for the partitions in it.
#include "controller_fixture.h"

#define BROKER 1

static const struct uuid first = {{7, 1, 1}}, second = {{7, 1, 2}}, foreign = {{7, 9, 9}};
static const struct uuid both[] = {{{7, 1, 1}}, {{7, 1, 2}}}; // the first two

static int64_t join_with(struct fixture *f, const struct uuid *dirs, int32_t count, uint8_t incarnation)
{
    struct controller_event e;
    struct broker_registration_request r = broker_registration_request_default;
    struct broker_registration_request_feature features[8];
    r.broker_id = BROKER;
    r.incarnation_id = (struct uuid){{incarnation}};
    r.log_dirs = (struct uuid *)(uintptr_t)dirs;
    r.log_dirs_count = count;
    r.features = features;
    for (uint32_t i = 0; i < f->image->features_count; i++)
        features[r.features_count++] =
            (struct broker_registration_request_feature){f->image->features[i].name, 0, 30};
    ask(f, &e, 62, 4, &r);
    int64_t epoch = ((const struct broker_registration_response *)e.response)->broker_epoch;
    assert_int_equal(((const struct broker_registration_response *)e.response)->error_code, E_NONE);
    controller_event_free(&e);
    return epoch;
}

static void beat_without(struct fixture *f, int64_t epoch, const struct uuid *offline, int32_t count)
{
    struct controller_event e;
    struct broker_heartbeat_request r = broker_heartbeat_request_default;
    r.broker_id = BROKER;
    r.broker_epoch = epoch;
    r.current_metadata_offset = f->offset - 1;
    r.offline_log_dirs = (struct uuid *)(uintptr_t)offline;
    r.offline_log_dirs_count = count;
    ask(f, &e, 63, 1, &r);
    controller_event_free(&e);
}

// The error for the partition.
static int16_t assign(struct fixture *f, int64_t epoch, const struct uuid *topic, int32_t partition,
                      const struct uuid *dir, int16_t *whole)
{
    struct controller_event e;
    struct assign_replicas_to_dirs_request r = assign_replicas_to_dirs_request_default;
    struct assign_replicas_to_dirs_request_partition_data p = {.partition_index = partition};
    struct assign_replicas_to_dirs_request_topic_data t = {
        .topic_id = *topic, .partitions = &p, .partitions_count = 1};
    struct assign_replicas_to_dirs_request_directory_data d = {.id = *dir, .topics = &t, .topics_count = 1};
    r.broker_id = BROKER;
    r.broker_epoch = epoch;
    r.directories = &d;
    r.directories_count = 1;
    ask(f, &e, 73, 0, &r);
    const struct assign_replicas_to_dirs_response *a = e.response;
    *whole = a->error_code;
    int16_t error = a->directories_count ? a->directories[0].topics[0].partitions[0].error_code : E_NONE;
    controller_event_free(&e);
    return error;
}

static const struct image_partition *partition(const struct fixture *f, uint32_t i)
{
    return image_topic(f->image, STR("t"))->partitions[i];
}

static void replicas_lie_where_their_broker_says(void **state)
{
    (void)state;
    const struct uuid nothing = {{1}};
    struct fixture f;
    int16_t whole;
    setup(&f);
    int64_t epoch = join_with(&f, both, 2, 1);
    beat_without(&f, epoch, NULL, 0);
    create(&f, "t", 2, 1);
    assert_true(uuid_equal(&partition(&f, 0)->directories[0], &DIRECTORY_UNASSIGNED));
    const struct uuid id = image_topic(f.image, STR("t"))->id;
    const struct {
        int64_t epoch;
        struct uuid topic;
        int32_t partition;
        int16_t whole, error;
    } cases[] = {
        {epoch, id, 0, E_NONE, E_NONE},
        {epoch, id, 7, E_NONE, E_UNKNOWN_TOPIC_OR_PARTITION},
        {epoch, nothing, 0, E_NONE, E_UNKNOWN_TOPIC_ID},
        {epoch + 1, id, 0, E_STALE_BROKER_EPOCH, E_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(assign(&f, cases[i].epoch, &cases[i].topic, cases[i].partition, &second, &whole),
                         cases[i].error);
        assert_int_equal(whole, cases[i].whole);
    }
    assert_true(uuid_equal(&partition(&f, 0)->directories[0], &second));
    int64_t end = f.offset;
    assert_int_equal(assign(&f, epoch, &id, 0, &second, &whole), E_NONE); // no news
    assert_int_equal(f.offset, end);
    // One that the broker does not have (any more): nobody reaches the replica.
    assert_int_equal(assign(&f, epoch, &id, 1, &foreign, &whole), E_NONE);
    assert_int_equal(partition(&f, 1)->leader, IMAGE_NO_LEADER);
    assert_int_equal(partition(&f, 0)->leader, BROKER);
    teardown(&f);
}

// A broker with both directories and a topic with a partition in the first, and one in `other`. The topic's
// id.
static struct uuid set_up_with_two(struct fixture *f, int64_t *epoch, const struct uuid *other)
{
    int16_t whole;
    setup(f);
    *epoch = join_with(f, both, 2, 1);
    beat_without(f, *epoch, NULL, 0);
    create(f, "t", 2, 1);
    const struct uuid id = image_topic(f->image, STR("t"))->id;
    assert_int_equal(assign(f, *epoch, &id, 0, &first, &whole), E_NONE);
    assert_int_equal(assign(f, *epoch, &id, 1, other, &whole), E_NONE);
    return id;
}

static void a_directory_goes_and_comes_back(void **state)
{
    (void)state;
    struct fixture f;
    int64_t epoch;
    (void)set_up_with_two(&f, &epoch, &second);

    beat_without(&f, epoch, &second, 1);
    assert_int_equal(partition(&f, 0)->leader, BROKER);
    assert_int_equal(partition(&f, 1)->leader, IMAGE_NO_LEADER);
    assert_int_equal(partition(&f, 1)->elr_count, 1); // it has lost nothing yet
    assert_true(image_replica_reachable(f.image, partition(&f, 0), BROKER));
    assert_false(image_replica_reachable(f.image, partition(&f, 1), BROKER));
    assert_int_equal(image_broker(f.image, BROKER)->log_dirs_count, 1);
    int64_t end = f.offset;
    beat_without(&f, epoch, &second, 1); // no news
    assert_int_equal(f.offset, end);

    f.now_ms += f.config.session_timeout_ms;
    epoch = join_with(&f, &first, 1, 2); // started again without it
    beat_without(&f, epoch, NULL, 0);
    assert_int_equal(partition(&f, 0)->leader, BROKER);
    assert_int_equal(partition(&f, 1)->leader, IMAGE_NO_LEADER);

    f.now_ms += f.config.session_timeout_ms;
    epoch = join_with(&f, both, 2, 3); // and with it
    beat_without(&f, epoch, NULL, 0);
    assert_int_equal(partition(&f, 1)->leader, BROKER);
    teardown(&f);
}

// It lies in another one by then, and the controller hears so afterwards.
static void a_replica_that_left_its_directory_in_time_is_led_again(void **state)
{
    (void)state;
    struct fixture f;
    int64_t epoch;
    int16_t whole;
    const struct uuid id = set_up_with_two(&f, &epoch, &first);
    beat_without(&f, epoch, &first, 1);
    assert_int_equal(partition(&f, 0)->leader, IMAGE_NO_LEADER);
    assert_int_equal(assign(&f, epoch, &id, 0, &second, &whole), E_NONE);
    assert_true(uuid_equal(&partition(&f, 0)->directories[0], &second));
    assert_int_equal(partition(&f, 0)->leader, BROKER);
    assert_int_equal(partition(&f, 0)->isr_count, 1);
    assert_int_equal(assign(&f, epoch, &id, 1, &first, &whole), E_NONE); // still there
    assert_int_equal(partition(&f, 1)->leader, IMAGE_NO_LEADER);
    teardown(&f);
}

static void beat_cordoned(struct fixture *f, int64_t epoch, const struct uuid *dirs, int32_t count)
{
    struct controller_event e;
    struct broker_heartbeat_request r = broker_heartbeat_request_default;
    r.broker_id = BROKER;
    r.broker_epoch = epoch;
    r.current_metadata_offset = f->offset - 1;
    r.cordoned_log_dirs = (struct uuid *)(uintptr_t)dirs;
    r.cordoned_log_dirs_count = count;
    ask(f, &e, 63, 2, &r);
    controller_event_free(&e);
}

static bool takes_partitions(struct fixture *f)
{
    struct controller_event e;
    struct create_topics_request r = create_topics_request_default;
    struct create_topics_request_creatable_topic t = create_topics_request_creatable_topic_default;
    t.name = STR("probe");
    t.num_partitions = t.replication_factor = 1;
    r.topics = &t;
    r.topics_count = 1;
    r.validate_only = true;
    ask(f, &e, 19, 7, &r);
    int16_t error = ((const struct create_topics_response *)e.response)->topics[0].error_code;
    assert_true(error == E_NONE || error == E_INVALID_REPLICATION_FACTOR);
    controller_event_free(&e);
    return error == E_NONE;
}

// KIP-1066.
static void a_broker_without_an_open_directory_takes_no_partitions(void **state)
{
    (void)state;
    const struct uuid turned[] = {second, first};
    struct fixture f;
    setup(&f);
    int64_t epoch = join_with(&f, both, 2, 1);
    beat_cordoned(&f, epoch, NULL, 0);
    assert_true(takes_partitions(&f));
    beat_cordoned(&f, epoch, &second, 1);
    assert_true(takes_partitions(&f));
    beat_cordoned(&f, epoch, both, 2);
    assert_false(takes_partitions(&f));
    int64_t end = f.offset;
    struct uuid again[] = {turned[0], turned[1]};
    beat_cordoned(&f, epoch, again, 2); // no news
    assert_int_equal(f.offset, end);
    beat_cordoned(&f, epoch, &first, 1);
    assert_true(takes_partitions(&f));
    beat_without(&f, epoch, &second, 1); // the one that was left
    assert_false(takes_partitions(&f));
    beat_cordoned(&f, epoch, &second, 1); // of which no partition can come anyway
    assert_true(takes_partitions(&f));
    beat_cordoned(&f, epoch, NULL, 0);
    assert_true(takes_partitions(&f));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_lie_where_their_broker_says),
        cmocka_unit_test(a_directory_goes_and_comes_back),
        cmocka_unit_test(a_replica_that_left_its_directory_in_time_is_led_again),
        cmocka_unit_test(a_broker_without_an_open_directory_takes_no_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
