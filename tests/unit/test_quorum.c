#include "unit.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/qsbr.h"
#include "config/broker_config.h"
#include "metadata/features.h"
#include "os/file.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/quorum.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A node's quorum in a temporary directory, and its broker's registration.
struct node {
    char path[64];
    struct broker_config config;
    struct log_dir *dir;
    struct quorum *quorum;
    struct image_endpoint endpoint;
    struct qsbr_thread me;
    int64_t broker_epoch;
    unsigned changes;
};

static void on_change(void *context, const struct image_changes *changes)
{
    struct node *n = context;
    n->changes += changes->topics_count;
}

static int node_start(struct node *n, const char *extra)
{
    struct quorum_params params = {.config = &n->config, .dirs = &n->dir, .dirs_count = 1};
    struct str message;
    char overrides[2][128], error[512] = "";
    const char *const list[] = {overrides[0], overrides[1]};
    snprintf(overrides[0], sizeof overrides[0], "log.dirs=%s", n->path);
    snprintf(overrides[1], sizeof overrides[1], "%s", extra ? extra : "num.partitions=2");
    int rc = broker_config_from(&n->config, STR(""), true, list, 2, &message);
    if (rc)
        fail_msg("%.*s", STR_ARG(message));
    assert_int_equal(log_dir_open(n->path, &n->dir, error, sizeof error), 0);
    n->endpoint = (struct image_endpoint){STR("CONTROLLER"), STR("127.0.0.1"), 9093, 0};
    params.controller_endpoints = &n->endpoint;
    params.controller_endpoints_count = 1;
    params.on_change = on_change;
    params.context = n;
    qsbr_register(&n->me);
    rc = quorum_start(&params, &n->quorum, error, sizeof error);
    if (rc)
        print_message("%s\n", error);
    return rc;
}

static void node_stop(struct node *n)
{
    if (n->quorum)
        quorum_stop(n->quorum);
    n->quorum = NULL;
    log_dir_close(n->dir);
    broker_config_free(&n->config);
    qsbr_unregister(&n->me);
}

static void ask(struct node *n, struct quorum_request *q, int16_t key, int16_t version, const void *message)
{
    *q = (struct quorum_request){0};
    assert_int_equal(controller_event_init(&q->event, key, version, message), 0);
    assert_int_equal(quorum_call(n->quorum, q), E_NONE);
    qsbr_quiescent(&n->me);
}

static void node_register(struct node *n, int64_t previous_epoch)
{
    struct quorum_request q;
    struct broker_registration_request r = broker_registration_request_default;
    struct broker_registration_request_listener listener = {STR("PLAINTEXT"), STR("127.0.0.1"), 9092, 0};
    struct broker_registration_request_feature features[16];
    r.broker_id = n->config.node_id;
    r.cluster_id = str_from(quorum_cluster_id(n->quorum));
    r.incarnation_id = uuid_random();
    r.listeners = &listener;
    r.listeners_count = 1;
    r.features = features;
    for (size_t i = 0; i < features_supported_count; i++)
        features[i] = (struct broker_registration_request_feature){
            features_supported[i].name, features_supported[i].min, features_supported[i].max};
    r.features_count = (int32_t)features_supported_count;
    r.log_dirs = &n->dir->meta.directory_id;
    r.log_dirs_count = 1;
    r.previous_broker_epoch = previous_epoch;
    ask(n, &q, 62, 4, &r);
    const struct broker_registration_response *response = q.event.response;
    assert_int_equal(response->error_code, E_NONE);
    n->broker_epoch = response->broker_epoch;
    controller_event_free(&q.event);
}

static bool node_beat(struct node *n, bool want_shutdown)
{
    struct quorum_request q;
    struct broker_heartbeat_request r = broker_heartbeat_request_default;
    struct quorum_status status;
    quorum_status(n->quorum, &status);
    r.broker_id = n->config.node_id;
    r.broker_epoch = n->broker_epoch;
    r.current_metadata_offset = status.high_watermark - 1;
    r.want_shut_down = want_shutdown;
    ask(n, &q, 63, 1, &r);
    const struct broker_heartbeat_response *response = q.event.response;
    assert_int_equal(response->error_code, E_NONE);
    bool answer = want_shutdown ? response->should_shut_down : !response->is_fenced;
    controller_event_free(&q.event);
    return answer;
}

static int16_t node_create(struct node *n, const char *name)
{
    struct quorum_request q = {0};
    struct create_topics_request r = create_topics_request_default;
    struct create_topics_request_creatable_topic topic = create_topics_request_creatable_topic_default;
    topic.name = str_from(name);
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    r.topics = &topic;
    r.topics_count = 1;
    assert_int_equal(controller_event_init(&q.event, 19, 7, &r), 0);
    int16_t refused = quorum_call(n->quorum, &q);
    qsbr_quiescent(&n->me);
    if (refused != E_NONE) {
        controller_event_free(&q.event);
        return refused;
    }
    const struct create_topics_response *response = q.event.response;
    int16_t error = response->topics[0].error_code;
    if (error != E_NONE)
        print_message("%.*s\n", STR_ARG(response->topics[0].error_message));
    controller_event_free(&q.event);
    return error;
}

static int16_t node_delete(struct node *n, const char *name)
{
    struct quorum_request q;
    struct delete_topics_request r = delete_topics_request_default;
    struct delete_topics_request_delete_topic_state topic = {.name = str_from(name)};
    r.topics = &topic;
    r.topics_count = 1;
    ask(n, &q, 20, 6, &r);
    int16_t error = ((const struct delete_topics_response *)q.event.response)->responses[0].error_code;
    controller_event_free(&q.event);
    return error;
}

static int64_t node_producer_block(struct node *n)
{
    struct quorum_request q;
    struct allocate_producer_ids_request r = {n->config.node_id, n->broker_epoch};
    ask(n, &q, 67, 0, &r);
    const struct allocate_producer_ids_response *response = q.event.response;
    assert_int_equal(response->error_code, E_NONE);
    assert_int_equal(response->producer_id_len, 1000);
    int64_t start = response->producer_id_start;
    controller_event_free(&q.event);
    return start;
}

static void make_path(struct node *n)
{
    *n = (struct node){0};
    snprintf(n->path, sizeof n->path, "/tmp/odradek-quorum-XXXXXX");
    assert_non_null(mkdtemp(n->path));
}

static void a_node_formats_itself_and_comes_back(void **state)
{
    (void)state;
    struct node n;
    char cluster[64], name[32];
    make_path(&n);
    assert_int_equal(node_start(&n, NULL), 0);
    snprintf(cluster, sizeof cluster, "%s", quorum_cluster_id(n.quorum));
    assert_int_equal(image_feature_level(image_current(), STR("metadata.version")), 30);
    node_register(&n, -1);
    assert_true(node_beat(&n, false));
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "topic-%d", i);
        assert_int_equal(node_create(&n, name), E_NONE);
        assert_non_null(image_topic(image_current(), str_from(name)));
    }
    assert_int_equal(node_create(&n, "topic-3"), E_TOPIC_ALREADY_EXISTS);
    assert_int_equal(node_delete(&n, "topic-3"), E_NONE);
    assert_int_equal(node_delete(&n, "topic-3"), E_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(n.changes, 21);
    assert_int_equal(node_producer_block(&n), 0);
    assert_int_equal(node_producer_block(&n), 1000);
    assert_false(node_beat(&n, true)); // leaders first
    assert_true(node_beat(&n, true));
    int64_t former_epoch = n.broker_epoch;
    node_stop(&n);

    assert_int_equal(node_start(&n, NULL), 0);
    assert_string_equal(quorum_cluster_id(n.quorum), cluster);
    assert_int_equal(image_topics_count(image_current()), 19);
    const struct image_topic *t = image_topic(image_current(), STR("topic-7"));
    assert_non_null(t);
    assert_int_equal(t->partitions[1]->leader, -1);
    node_register(&n, former_epoch);
    assert_true(node_beat(&n, false));
    t = image_topic(image_current(), STR("topic-7"));
    assert_int_equal(t->partitions[1]->leader, n.config.node_id);
    assert_int_equal(t->partitions[1]->leader_recovery_state, 0);
    assert_int_equal(t->partitions[1]->elr_count, 0);
    assert_int_equal(node_producer_block(&n), 2000);
    struct quorum_status status;
    quorum_status(n.quorum, &status);
    assert_int_equal(status.leader_epoch, 2);
    node_stop(&n);
    file_remove_tree(n.path);
}

static void a_used_directory_without_meta_is_refused(void **state)
{
    (void)state;
    struct node n;
    char path[128];
    make_path(&n);
    snprintf(path, sizeof path, "%s/something-0", n.path);
    assert_int_equal(file_make_dir(path), 0);
    assert_int_equal(node_start(&n, NULL), ERR_NOT_FOUND);
    node_stop(&n);
    file_remove_tree(n.path);
}

static void snapshots_replace_the_log(void **state)
{
    (void)state;
    struct node n;
    char name[32];
    make_path(&n);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(node_start(&n, "metadata.log.max.record.bytes.between.snapshots=2000"), 0);
        assert_int_equal(image_topics_count(image_current()), (size_t)round * 30);
        node_register(&n, -1);
        assert_true(node_beat(&n, false));
        for (int i = 0; i < 30; i++) {
            snprintf(name, sizeof name, "topic-%d-%d", round, i);
            assert_int_equal(node_create(&n, name), E_NONE);
        }
        struct quorum_status status;
        int64_t deadline_ms = clock_monotonic_ms() + 60000;
        do { // written by a thread of its own
            node_beat(&n, false);
            quorum_status(n.quorum, &status);
        } while (status.snapshot_offset <= 0 && clock_monotonic_ms() < deadline_ms);
        assert_true(status.snapshot_offset > 0);
        node_stop(&n);
    }
    file_remove_tree(n.path);
}

static struct file_fault fill_disk(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    const atomic_bool *full = arg;
    (void)fd;
    (void)path;
    // A part of it fits.
    return (struct file_fault){.error = call == FILE_CALL_WRITE && atomic_load(full) ? ENOSPC : 0,
                               .write_bytes = size / 2};
}

// A full disk takes no change of the metadata; when there is room again, nothing has to be started anew.
static void a_full_disk_refuses_changes_while_it_is_full(void **state)
{
    (void)state;
    struct node n;
    atomic_bool full = false;
    make_path(&n);
    file_set_fault(fill_disk, &full);
    assert_int_equal(node_start(&n, NULL), 0);
    node_register(&n, -1);
    assert_true(node_beat(&n, false));
    assert_int_equal(node_create(&n, "before"), E_NONE);
    atomic_store(&full, true);
    assert_int_equal(node_create(&n, "meanwhile"), E_KAFKA_STORAGE_ERROR);
    assert_int_equal(node_create(&n, "meanwhile"), E_KAFKA_STORAGE_ERROR);
    atomic_store(&full, false);
    assert_int_equal(node_create(&n, "after"), E_NONE);
    node_stop(&n);
    file_set_fault(NULL, NULL);
    assert_int_equal(node_start(&n, NULL), 0); // what was acknowledged is there, and no more
    assert_non_null(image_topic(image_current(), STR("before")));
    assert_null(image_topic(image_current(), STR("meanwhile")));
    assert_non_null(image_topic(image_current(), STR("after")));
    node_stop(&n);
    file_remove_tree(n.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_formats_itself_and_comes_back),
        cmocka_unit_test(a_used_directory_without_meta_is_refused),
        cmocka_unit_test(snapshots_replace_the_log),
        cmocka_unit_test(a_full_disk_refuses_changes_while_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
