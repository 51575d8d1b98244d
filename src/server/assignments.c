#include "server/assignments.h"

#include "base/logger.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/quorum.h"

#include <stdlib.h>

#define ASSIGN_REPLICAS_KEY     73
#define ASSIGN_REPLICAS_VERSION 0
#define AT_ONCE                 2000 // Kafka's requests have no more either

void assignments_add(void *arg, const struct replica_place *place)
{
    struct assignments *a = arg;
    if (a->count == a->capacity) {
        size_t capacity = a->capacity ? a->capacity * 2 : 64;
        struct replica_place *grown = realloc(a->places, capacity * sizeof *grown);
        if (!grown) {
            a->failed = true;
            return;
        }
        a->places = grown;
        a->capacity = capacity;
    }
    a->places[a->count++] = *place;
}

static int by_directory(const void *left, const void *right)
{
    const struct replica_place *a = left, *b = right;
    int order = memcmp(&a->directory_id, &b->directory_id, sizeof a->directory_id);
    if (order == 0)
        order = memcmp(&a->topic_id, &b->topic_id, sizeof a->topic_id);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

// Directories, in them topics, in them partitions: `places` are sorted that way.
static int fill(struct assign_replicas_to_dirs_request *q, const struct replica_place *places, size_t count,
                struct arena *arena)
{
    struct assign_replicas_to_dirs_request_directory_data *directory = NULL;
    struct assign_replicas_to_dirs_request_topic_data *topic = NULL;
    struct assign_replicas_to_dirs_request_topic_data *topics =
        assign_replicas_to_dirs_request_topic_data_new(arena, (int32_t)count);
    struct assign_replicas_to_dirs_request_partition_data *partitions =
        assign_replicas_to_dirs_request_partition_data_new(arena, (int32_t)count);
    q->directories = assign_replicas_to_dirs_request_directory_data_new(arena, (int32_t)count);
    if (!topics || !partitions || !q->directories)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct replica_place *p = &places[i];
        if (!directory || !uuid_equal(&directory->id, &p->directory_id)) {
            directory = &q->directories[q->directories_count++];
            directory->id = p->directory_id;
            directory->topics = topic = &topics[i];
        } else if (!uuid_equal(&topic->topic_id, &p->topic_id)) {
            topic++;
        }
        if (!topic->partitions) {
            directory->topics_count++;
            topic->topic_id = p->topic_id;
            topic->partitions = &partitions[i];
        }
        topic->partitions[topic->partitions_count++].partition_index = p->partition;
    }
    return 0;
}

static int16_t send(const struct replica_place *places, size_t count, struct broker *b, int64_t broker_epoch)
{
    struct arena arena;
    struct quorum_request ask = {0};
    struct assign_replicas_to_dirs_request q;
    arena_init(&arena, 0);
    message_init(&assign_replicas_to_dirs_request_type, &q);
    q.broker_id = b->config->node_id;
    q.broker_epoch = broker_epoch;
    int rc = fill(&q, places, count, &arena);
    if (rc == 0)
        rc = controller_event_init(&ask.event, ASSIGN_REPLICAS_KEY, ASSIGN_REPLICAS_VERSION, &q);
    arena_free(&arena);
    if (rc)
        return E_UNKNOWN_SERVER_ERROR;
    int16_t error = quorum_call(b->quorum, &ask);
    if (error == E_NONE) {
        const struct assign_replicas_to_dirs_response *response = ask.event.response;
        error = response->error_code; // of single partitions: they are gone by now, or the next change tells
    }
    controller_event_free(&ask.event);
    return error;
}

bool assignments_send(struct assignments *a, struct broker *b, int64_t broker_epoch)
{
    if (a->count > 1)
        qsort(a->places, a->count, sizeof *a->places, by_directory);
    for (size_t i = 0; i < a->count; i += AT_ONCE) {
        int16_t error = send(a->places + i, a->count - i < AT_ONCE ? a->count - i : AT_ONCE, b, broker_epoch);
        if (error == E_NONE)
            continue;
        log_limited(LOG_LEVEL_WARN, "server",
                    "the controller does not take the log directories of %zu replicas: %s", a->count - i,
                    error_code_name(error));
        return false;
    }
    return !a->failed;
}

void assignments_free(struct assignments *a)
{
    free(a->places);
}
