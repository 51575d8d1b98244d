// AlterReplicaLogDirs (KIP-113): in which of this broker's log directories replicas are to lie.
#include "base/error.h"
#include "base/logger.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/handlers.h"
#include "server/handlers/log_dir_path.h"
#include "server/partition_index.h"
#include "server/topic_groups.h"

#include <stdio.h>

#define NAME_MAX_BYTES   255
#define FUTURE_END_BYTES 40 // ".<32 hex digits>-future"

// A partition that the request names; the last directory of one that it names several times counts.
struct wish {
    struct str topic, path;
    struct alter_replica_log_dirs_response_alter_replica_log_dir_partition_result *result;
    struct uuid topic_id;
    size_t dir;
    bool move; // to be asked of the log manager
};

struct alter_log_dirs {
    struct request_work work;
    struct request *request;
    struct alter_replica_log_dirs_response response;
    struct wish *wishes;
    int32_t count;
    struct log_wish *moves; // of those wishes that are for the log manager
    size_t moves_count;
    struct str *paths; // of the directories
    size_t dirs;
};

// --- the answer's frame ---

static int take_topic(struct alter_log_dirs *a,
                      const struct alter_replica_log_dirs_request_alter_replica_log_dir_topic *q,
                      struct str path,
                      struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result *out,
                      struct partition_index *seen)
{
    for (int32_t i = 0; i < q->partitions_count; i++) {
        void **slot = partition_index_slot(seen, q->name, q->partitions[i]);
        if (!slot)
            return ERR_NOMEM;
        struct wish *one = *slot;
        if (!one) {
            *slot = one = &a->wishes[a->count++];
            one->topic = q->name;
            one->result = &out->partitions[out->partitions_count++];
            one->result->partition_index = q->partitions[i];
        }
        one->path = path;
    }
    return 0;
}

static int take_all(struct alter_log_dirs *a, const struct alter_replica_log_dirs_request *q,
                    const struct topic_groups *groups)
{
    struct partition_index seen;
    int rc = 0;
    int32_t at = 0;
    partition_index_init(&seen, &a->request->arena);
    for (int32_t i = 0; i < q->dirs_count; i++)
        for (int32_t k = 0; k < q->dirs[i].topics_count && rc == 0; k++, at++)
            if (groups->of[at] >= 0)
                rc = take_topic(a, &q->dirs[i].topics[k], q->dirs[i].path,
                                &a->response.results[groups->of[at]], &seen);
    partition_index_free(&seen);
    return rc;
}

static int frame_answer(struct alter_log_dirs *a, const struct alter_replica_log_dirs_request *q)
{
    struct arena *arena = &a->request->arena;
    struct topic_groups groups;
    int32_t topics = 0;
    for (int32_t i = 0; i < q->dirs_count; i++)
        topics += q->dirs[i].topics_count;
    int rc = topic_groups_init(&groups, arena, topics);
    for (int32_t i = 0; i < q->dirs_count; i++)
        for (int32_t k = 0; k < q->dirs[i].topics_count && rc == 0; k++)
            rc = topic_groups_add(&groups, q->dirs[i].topics[k].name, q->dirs[i].topics[k].partitions_count);
    a->wishes = arena_zalloc(arena, (size_t)groups.partitions_count + 1, sizeof *a->wishes);
    a->response.results =
        alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_new(arena, groups.count);
    a->moves = arena_zalloc(arena, (size_t)groups.partitions_count + 1, sizeof *a->moves);
    if (rc || !a->wishes || !a->moves || !a->response.results)
        rc = ERR_NOMEM;
    for (int32_t i = 0; i < groups.count && rc == 0; i++) {
        struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result *t =
            &a->response.results[i];
        t->topic_name = groups.groups[i].name;
        t->partitions = alter_replica_log_dirs_response_alter_replica_log_dir_partition_result_new(
            arena, groups.groups[i].partitions_count);
        rc = t->partitions ? 0 : ERR_NOMEM;
    }
    a->response.results_count = rc ? 0 : groups.count;
    rc = rc ? rc : take_all(a, q, &groups);
    topic_groups_free(&groups);
    return rc;
}

// --- what each asks for ---

static int name_dirs(struct alter_log_dirs *a)
{
    struct log_manager *logs = broker_of(a->request)->logs;
    a->dirs = log_manager_dir_count(logs);
    a->paths = arena_zalloc(&a->request->arena, a->dirs, sizeof *a->paths);
    for (size_t i = 0; a->paths && i < a->dirs; i++) {
        struct log_manager_dir dir;
        log_manager_dir(logs, i, &dir);
        a->paths[i] = log_dir_absolute(&a->request->arena, dir.path);
        if (!a->paths[i].data)
            return ERR_NOMEM;
    }
    return a->paths ? 0 : ERR_NOMEM;
}

static int16_t find_dir(const struct alter_log_dirs *a, struct wish *w)
{
    struct log_manager_dir dir;
    for (w->dir = 0; w->dir < a->dirs && !str_equal(a->paths[w->dir], w->path);)
        w->dir++;
    if (w->dir == a->dirs)
        return E_LOG_DIR_NOT_FOUND;
    log_manager_dir(broker_of(a->request)->logs, w->dir, &dir);
    return dir.failed ? E_KAFKA_STORAGE_ERROR : dir.cordoned ? E_INVALID_REPLICA_ASSIGNMENT : E_NONE;
}

// E_NONE: it is moved, or lies there.
static int16_t judge(const struct alter_log_dirs *a, struct wish *w)
{
    struct broker *b = broker_of(a->request);
    char number[16];
    int digits = snprintf(number, sizeof number, "%d", w->result->partition_index);
    if (w->topic.size + 1 + (size_t)digits + FUTURE_END_BYTES > NAME_MAX_BYTES)
        return E_INVALID_TOPIC_EXCEPTION;
    int16_t error = find_dir(a, w);
    if (error != E_NONE)
        return error;
    const struct image_topic *topic = image_topic(image_current(), w->topic);
    struct partition *p = replica_manager_find(b->replicas, topic, w->result->partition_index, &error);
    if (p) {
        w->topic_id = p->topic_id;
        error = log_is_offline(p->log) ? E_KAFKA_STORAGE_ERROR : E_NONE;
        w->move = error == E_NONE;
        partition_unref(p);
        return error;
    }
    if (error != E_KAFKA_STORAGE_ERROR) // not made yet: it will be there
        log_manager_prefer(b->logs, w->topic, w->result->partition_index, w->dir);
    return error == E_NOT_LEADER_OR_FOLLOWER ? E_REPLICA_NOT_AVAILABLE : error;
}

static int16_t code_of(int rc)
{
    return rc == 0               ? E_NONE
           : rc == ERR_NOT_FOUND ? E_REPLICA_NOT_AVAILABLE
           : rc == ERR_NOMEM     ? E_UNKNOWN_SERVER_ERROR
                                 : E_KAFKA_STORAGE_ERROR;
}

// On a worker: directories are made, and moves that are called off are waited for.
static void run(struct request_work *work)
{
    struct alter_log_dirs *a = container_of(work, struct alter_log_dirs, work);
    size_t n = 0;
    log_manager_move_many(broker_of(a->request)->logs, a->moves, a->moves_count);
    for (int32_t i = 0; i < a->count; i++)
        if (a->wishes[i].move)
            a->wishes[i].result->error_code = code_of(a->moves[n++].rc);
}

static void ask_for(struct alter_log_dirs *a, const struct wish *w)
{
    a->moves[a->moves_count++] =
        (struct log_wish){.topic_id = w->topic_id, .partition = w->result->partition_index, .dir = w->dir};
}

static void done(struct request_work *work, bool gone)
{
    struct alter_log_dirs *a = container_of(work, struct alter_log_dirs, work);
    if (!gone)
        request_respond(a->request, &a->response);
}

static void handle_alter_log_dirs(struct request *r)
{
    struct alter_log_dirs *a = arena_zalloc(&r->arena, 1, sizeof *a);
    if (a) {
        *a = (struct alter_log_dirs){.request = r, .work = {.run = run, .done = done}};
        message_init(&alter_replica_log_dirs_response_type, &a->response);
    }
    if (!a || frame_answer(a, r->message) || name_dirs(a)) {
        request_close(r, "out of memory for the response to AlterReplicaLogDirs");
        return;
    }
    bool allowed = request_authorize(r, ACL_ALTER, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME);
    for (int32_t i = 0; i < a->count; i++) {
        struct wish *w = &a->wishes[i];
        w->result->error_code = allowed ? judge(a, w) : E_CLUSTER_AUTHORIZATION_FAILED;
        if (w->move)
            ask_for(a, w);
    }
    if (a->moves_count && !r->offload) {
        request_work(r, &a->work);
        return;
    }
    run(&a->work);
    request_respond(r, &a->response);
}

const struct api_handler alter_replica_log_dirs_handler = {.api_key = 34,
                                                           .min_version = 1,
                                                           .max_version = 2,
                                                           .advertised_min_version = -1,
                                                           .listeners = LISTENER_BROKER,
                                                           .worker_bytes = HEAVY_REQUEST_BYTES,
                                                           .handle = handle_alter_log_dirs};
