// Which replicas get a log while a log directory is off line, and what the controller hears of them.
#include "move_fixture.h"

#include "base/logger.h"
#include "metadata/record.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "replication/replica_manager.h"

#define BROKER 1
#define OTHER  2

static void topic_config(void *arg, const struct image *image, struct str topic, struct log_config *out)
{
    (void)arg, (void)image, (void)topic;
    *out = log_config_default();
}

// A topic with one partition on these brokers.
struct one_topic {
    struct image_topic topic;
    struct image_partition partition, *partitions[1];
    int32_t replicas[2];
    struct uuid directories[2];
};

static void on(struct one_topic *t, uint32_t count, const int32_t *replicas)
{
    *t = (struct one_topic){.partition = {.leader = IMAGE_NO_LEADER, .replicas_count = count},
                            .topic = {.name = STR("t"), .id = {{5}}, .partitions_count = 1}};
    memcpy(t->replicas, replicas, count * sizeof *replicas);
    t->partition.replicas = t->replicas;
    t->partition.directories = t->directories;
    t->partitions[0] = &t->partition;
    t->topic.partitions = t->partitions;
}

// One that comes to this broker is new, whenever the partition was made: nothing that is off line is its log.
// One that was here may have its log there.
static void a_replica_that_comes_is_new(void **state)
{
    static const struct {
        const char *what;
        bool was_there; // the partition
        int32_t before;
        bool hosted;
    } cases[] = {
        {"a new partition", false, 0, true},
        {"one that another broker has had", true, OTHER, true},
        {"one that was here", true, BROKER, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct one_topic before, after;
        set_up(&w);
        w.failed[1] = true;
        start(&w, FAST);
        const struct replica_manager_params params = {
            .broker_id = BROKER, .logs = w.manager, .config_of = topic_config};
        struct replica_manager *replicas = replica_manager_new(&params);
        on(&before, 1, &cases[i].before);
        on(&after, 2, (int32_t[]){OTHER, BROKER});
        struct image *image = image_new();
        struct image_topic_delta delta = {.change =
                                              cases[i].was_there ? IMAGE_TOPIC_CHANGED : IMAGE_TOPIC_CREATED,
                                          .before = cases[i].was_there ? &before.topic : NULL,
                                          .after = &after.topic};
        struct image_changes changes = {.after = image, .topics = &delta, .topics_count = 1};
        replica_manager_apply(replicas, &changes, false);
        struct partition *p = replica_manager_get(replicas, &after.topic.id, 0);
        if ((p != NULL) != cases[i].hosted)
            fail_msg("%s: hosted: %d", cases[i].what, p != NULL);
        partition_unref(p);
        int16_t error;
        p = replica_manager_find(replicas, &after.topic, 0, &error);
        assert_int_equal(error, cases[i].hosted ? E_NONE : E_KAFKA_STORAGE_ERROR);
        partition_unref(p);
        delta = (struct image_topic_delta){.change = IMAGE_TOPIC_DELETED, .before = &after.topic};
        replica_manager_apply(replicas, &changes, false);
        assert_null(replica_manager_find(replicas, &after.topic, 0, &error)); // by an image from before
        assert_int_equal(error, E_UNKNOWN_TOPIC_OR_PARTITION);
        replica_manager_free(replicas);
        image_unref(image);
        (void)log_manager_close(w.manager, -1);
        w.manager = NULL;
        tear_down(&w);
    }
}

// An image with one topic of one partition, which is here, in that directory.
static struct image *image_with(const struct uuid *topic_id, struct uuid directory)
{
    int32_t broker = BROKER;
    struct topic_record topic = {.name = STR("t"), .topic_id = *topic_id};
    struct partition_record partition = partition_record_default;
    struct buffer values[2] = {BUFFER_INIT, BUFFER_INIT};
    struct image *image, *before = image_new();
    partition.topic_id = *topic_id;
    partition.partition_id = 0;
    partition.leader = BROKER;
    partition.replicas_count = partition.isr_count = 1;
    partition.replicas = partition.isr = &broker;
    partition.directories_count = 1;
    partition.directories = &directory;
    assert_int_equal(metadata_record_append(&values[0], &topic_record_type, 0, &topic), 0);
    assert_int_equal(metadata_record_append(&values[1], &partition_record_type, 1, &partition), 0);
    const struct image_record records[] = {{0, 1, 0, {values[0].data, values[0].size}},
                                           {1, 1, 0, {values[1].data, values[1].size}}};
    before->metadata_version = METADATA_VERSION_DIRECTORIES;
    assert_int_equal(image_apply(before, records, 2, &image, NULL, NULL), 0);
    image_unref(before);
    buffer_free(&values[0]);
    buffer_free(&values[1]);
    return image;
}

struct told {
    int count, wanted;
    struct replica_place place;
};

static void note_wanted(void *arg)
{
    ((struct told *)arg)->wanted++;
}

static void note_place(void *arg, const struct replica_place *place)
{
    struct told *told = arg;
    told->count++;
    told->place = *place;
}

// Two directories, the second of which may be off line; `told` hears what the controller is to be told.
static struct replica_manager *start_hosting(struct world *w, bool off_line, struct told *told)
{
    set_up(w);
    w->count = 2;
    w->failed[1] = off_line;
    start(w, FAST);
    const struct replica_manager_params params = {.broker_id = BROKER,
                                                  .logs = w->manager,
                                                  .config_of = topic_config,
                                                  .want_settling = note_wanted,
                                                  .arg = told};
    return replica_manager_new(&params);
}

static void end_hosting(struct world *w, struct replica_manager *replicas, const struct image *image)
{
    replica_manager_free(replicas);
    image_unref(image);
    (void)log_manager_close(w->manager, -1); // not all of it could be
    w->manager = NULL;
    tear_down(w);
}

// A log that is nowhere may lie in the directory that is off line. The controller takes it for reachable
// where the broker ended before it could say in which one it was made, or moved to.
static void the_controller_hears_what_is_lost(void **state)
{
    const struct uuid foreign = {{9, 9}}, nowhere = {{0}};
    const struct {
        const char *what;
        bool off_line; // the second directory
        struct uuid said, told;
    } cases[] = {
        {"unassigned", true, DIRECTORY_UNASSIGNED, DIRECTORY_LOST},
        {"migrating", true, DIRECTORY_MIGRATING, DIRECTORY_LOST},
        {"in one that works", true, directory_id(0), DIRECTORY_LOST},
        {"in the one that is off line", true, directory_id(1), nowhere},
        {"in one that is none of ours", true, foreign, nowhere},
        {"lost, as was said", true, DIRECTORY_LOST, nowhere},
        {"unassigned, all work", false, DIRECTORY_UNASSIGNED, directory_id(0)},
        {"lost, all work", false, DIRECTORY_LOST, directory_id(0)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct told told = {0};
        const struct uuid id = {{5}};
        struct replica_manager *replicas = start_hosting(&w, cases[i].off_line, &told);
        struct image *image = image_with(&id, cases[i].said);
        assert_int_equal(replica_manager_load(replicas, image), 0);
        (void)replica_manager_misplaced(replicas, note_place, &told);
        bool any = !uuid_is_zero(&cases[i].told);
        if (told.count != any || told.wanted != any)
            fail_msg("%s: told %d, wanted %d", cases[i].what, told.count, told.wanted);
        if (any && (!uuid_equal(&told.place.directory_id, &cases[i].told) || told.place.partition != 0 ||
                    !uuid_equal(&told.place.topic_id, &id)))
            fail_msg("%s: another place", cases[i].what);
        assert_false(replica_manager_misplaced(replicas, note_place, &told)); // once
        end_hosting(&w, replicas, image);
    }
}

static struct file_fault no_room(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    (void)arg, (void)fd, (void)path, (void)size;
    return (struct file_fault){.error = call == FILE_CALL_MAKE_DIR ? ENOSPC : 0};
}

// A new one that finds no room is not what lies in the directory that is off line: it is neither lost, nor
// left alone when there is room.
static void a_new_replica_without_room_is_not_lost(void **state)
{
    (void)state;
    struct world w;
    struct told told = {0};
    const struct uuid id = {{5}};
    struct replica_manager *replicas = start_hosting(&w, true, &told);
    struct image *image = image_with(&id, directory_id(0));
    struct image_topic_delta delta = {.change = IMAGE_TOPIC_CREATED, .after = image_topic_by_id(image, &id)};
    struct image_changes changes = {.after = image, .topics = &delta, .topics_count = 1};
    file_set_fault(no_room, NULL);
    replica_manager_apply(replicas, &changes, false);
    replica_manager_try_again(replicas, image);
    file_set_fault(NULL, NULL);
    assert_null(replica_manager_get(replicas, &id, 0));
    replica_manager_place_again(replicas);
    (void)replica_manager_misplaced(replicas, note_place, &told);
    assert_int_equal(told.count, 0);
    assert_int_equal(told.wanted, 0);
    replica_manager_try_again(replicas, image);
    struct partition *p = replica_manager_get(replicas, &id, 0);
    assert_non_null(p);
    partition_unref(p);
    end_hosting(&w, replicas, image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_that_comes_is_new),
        cmocka_unit_test(the_controller_hears_what_is_lost),
        cmocka_unit_test(a_new_replica_without_room_is_not_lost),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
