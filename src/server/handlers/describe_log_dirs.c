// DescribeLogDirs (KIP-113, KIP-827, KIP-1066): what lies in each log directory, and how much room is left.
#include "base/error.h"
#include "metadata/record.h"
#include "os/file.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/handlers.h"
#include "server/handlers/log_dir_path.h"
#include "server/partition_index.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define ERROR_VERSION 3 // responses have an error of their own

// A log that is to be told of.
struct found_log {
    struct str topic; // a copy
    size_t dir;
    int32_t partition;
    int64_t size_bytes, lag;
    bool future; // the copy of one that moves there
};

struct describe_log_dirs {
    struct request_work work;
    struct request *request;
    struct describe_log_dirs_response response;
    struct partition_index wanted; // of a request that names partitions
    bool all;
    bool tells_cordoned; // as Kafka: not before the metadata has a word for it
    struct found_log *found;
    size_t count, capacity;
    int rc;
};

static int note_wanted(struct describe_log_dirs *d)
{
    const struct describe_log_dirs_request *q = d->request->message;
    partition_index_init(&d->wanted, &d->request->arena);
    d->all = q->topics_count < 0;
    for (int32_t i = 0; i < q->topics_count; i++) {
        for (int32_t k = 0; k < q->topics[i].partitions_count; k++) {
            void **slot = partition_index_slot(&d->wanted, q->topics[i].topic, q->topics[i].partitions[k]);
            if (!slot)
                return ERR_NOMEM;
            *slot = d;
        }
    }
    return 0;
}

static void add(struct describe_log_dirs *d, struct found_log found)
{
    if (d->rc || (!d->all && !partition_index_has(&d->wanted, found.topic, found.partition)))
        return;
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? 2 * d->capacity : 64;
        struct found_log *grown = realloc(d->found, capacity * sizeof *grown);
        if (!grown) {
            d->rc = ERR_NOMEM;
            return;
        }
        d->found = grown;
        d->capacity = capacity;
    }
    struct found_log *one = &d->found[d->count++];
    *one = found;
    one->topic = arena_str(&d->request->arena, found.topic);
    d->rc = one->topic.data ? 0 : ERR_NOMEM;
}

static void visit(void *arg, size_t dir, struct log *log)
{
    add(arg, (struct found_log){.topic = str_from(log_topic(log)),
                                .dir = dir,
                                .partition = log_partition(log),
                                .size_bytes = log_size_bytes(log)});
}

static void visit_move(void *arg, const struct log_moving *move)
{
    add(arg, (struct found_log){.topic = str_from(move->topic),
                                .dir = move->dir,
                                .partition = move->partition,
                                .size_bytes = move->size_bytes,
                                .lag = move->lag,
                                .future = true});
}

static int compare_found(const void *a, const void *b)
{
    const struct found_log *x = a, *y = b;
    if (x->dir != y->dir)
        return (x->dir > y->dir) - (x->dir < y->dir);
    int order = str_compare(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

// One directory's logs, which begin at *at and are in order.
static int fill_topics(struct describe_log_dirs *d, size_t dir, size_t *at,
                       struct describe_log_dirs_response_describe_log_dirs_result *out)
{
    struct arena *arena = &d->request->arena;
    size_t first = *at, end = first, topics = 0;
    for (; end < d->count && d->found[end].dir == dir; end++)
        topics += end == first || !str_equal(d->found[end].topic, d->found[end - 1].topic);
    *at = end;
    out->topics = describe_log_dirs_response_describe_log_dirs_topic_new(arena, (int32_t)topics);
    if (!out->topics)
        return ERR_NOMEM;
    for (size_t i = first; i < end;) {
        struct describe_log_dirs_response_describe_log_dirs_topic *t = &out->topics[out->topics_count++];
        size_t next = i;
        while (next < end && str_equal(d->found[next].topic, d->found[i].topic))
            next++;
        t->name = d->found[i].topic;
        t->partitions =
            describe_log_dirs_response_describe_log_dirs_partition_new(arena, (int32_t)(next - i));
        if (!t->partitions)
            return ERR_NOMEM;
        for (; i < next; i++) {
            struct describe_log_dirs_response_describe_log_dirs_partition *p =
                &t->partitions[t->partitions_count++];
            p->partition_index = d->found[i].partition;
            p->partition_size = d->found[i].size_bytes;
            p->offset_lag = d->found[i].lag;
            p->is_future_key = d->found[i].future;
        }
    }
    return 0;
}

struct str log_dir_absolute(struct arena *arena, const char *path)
{
    char here[PATH_MAX];
    if (path[0] == '/' || !getcwd(here, sizeof here))
        return arena_printf(arena, "%s", path);
    return arena_printf(arena, "%s/%s", here, path);
}

static int fill_dirs(struct describe_log_dirs *d)
{
    struct log_manager *logs = broker_of(d->request)->logs;
    size_t count = log_manager_dir_count(logs), at = 0;
    d->response.results =
        describe_log_dirs_response_describe_log_dirs_result_new(&d->request->arena, (int32_t)count);
    if (!d->response.results)
        return ERR_NOMEM;
    if (d->count)
        qsort(d->found, d->count, sizeof *d->found, compare_found);
    for (size_t i = 0; i < count; i++) {
        struct describe_log_dirs_response_describe_log_dirs_result *out =
            &d->response.results[d->response.results_count++];
        struct log_manager_dir dir;
        log_manager_dir(logs, i, &dir);
        out->log_dir = log_dir_absolute(&d->request->arena, dir.path);
        out->is_cordoned = d->tells_cordoned && dir.cordoned;
        int rc = fill_topics(d, i, &at, out);
        if (rc)
            return rc;
        bool read_only;
        if (!dir.failed && file_space(dir.path, &out->total_bytes, &out->usable_bytes, &read_only) == 0)
            continue;
        *out = describe_log_dirs_response_describe_log_dirs_result_default;
        out->log_dir = log_dir_absolute(&d->request->arena, dir.path);
        out->error_code = E_KAFKA_STORAGE_ERROR;
    }
    return 0;
}

// On a worker: ten thousand logs take their time.
static void run(struct request_work *work)
{
    struct describe_log_dirs *d = container_of(work, struct describe_log_dirs, work);
    log_manager_visit(broker_of(d->request)->logs, visit, d);
    log_manager_visit_moves(broker_of(d->request)->logs, visit_move, d);
    if (d->rc == 0)
        d->rc = fill_dirs(d);
}

static void done(struct request_work *work, bool gone)
{
    struct describe_log_dirs *d = container_of(work, struct describe_log_dirs, work);
    partition_index_free(&d->wanted);
    free(d->found);
    if (gone)
        return;
    if (d->rc)
        request_close(d->request, "out of memory for the response to DescribeLogDirs");
    else
        request_respond(d->request, &d->response);
}

static void handle_describe_log_dirs(struct request *r)
{
    struct describe_log_dirs *d = arena_zalloc(&r->arena, 1, sizeof *d);
    if (!d) {
        request_close(r, "out of memory for the response to DescribeLogDirs");
        return;
    }
    d->request = r;
    d->work = (struct request_work){.run = run, .done = done};
    message_init(&describe_log_dirs_response_type, &d->response);
    if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME)) {
        if (r->version >= ERROR_VERSION)
            d->response.error_code = E_CLUSTER_AUTHORIZATION_FAILED;
        request_respond(r, &d->response);
        return;
    }
    d->tells_cordoned = image_current()->metadata_version >= METADATA_VERSION_CORDONED;
    d->rc = note_wanted(d);
    request_work(r, &d->work);
}

const struct api_handler describe_log_dirs_handler = {.api_key = 35,
                                                      .min_version = 1,
                                                      .max_version = 5,
                                                      .advertised_min_version = -1,
                                                      .listeners = LISTENER_BROKER,
                                                      .handle = handle_describe_log_dirs};
