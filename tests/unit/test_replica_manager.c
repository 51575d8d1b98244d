// Which replicas get a log while a log directory is off line.
#include "move_fixture.h"

#include "base/logger.h"
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
        struct image image = {0};
        struct image_topic_delta delta = {.change =
                                              cases[i].was_there ? IMAGE_TOPIC_CHANGED : IMAGE_TOPIC_CREATED,
                                          .before = cases[i].was_there ? &before.topic : NULL,
                                          .after = &after.topic};
        struct image_changes changes = {.after = &image, .topics = &delta, .topics_count = 1};
        replica_manager_apply(replicas, &changes, false);
        struct partition *p = replica_manager_get(replicas, &after.topic.id, 0);
        if ((p != NULL) != cases[i].hosted)
            fail_msg("%s: hosted: %d", cases[i].what, p != NULL);
        partition_unref(p);
        replica_manager_free(replicas);
        (void)log_manager_close(w.manager, -1);
        w.manager = NULL;
        tear_down(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_that_comes_is_new),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
