// What a Produce request asks for: a first look at each batch, and the partitions, each once and found.
#include "base/error.h"
#include "metadata/image.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "server/handlers/produce_internal.h"
#include "server/partition_index.h"
#include "storage/batch_validate.h"

#include <stdlib.h>

size_t produce_count_partitions(const struct produce_request *m)
{
    size_t n = 0;
    for (int32_t t = 0; t < m->topic_data_count; t++)
        n += (size_t)(m->topic_data[t].partition_data_count > 0 ? m->topic_data[t].partition_data_count : 0);
    return n;
}

size_t produce_count_topics(const struct produce_request *m)
{
    return (size_t)(m->topic_data_count > 0 ? m->topic_data_count : 0);
}

static void item_init(struct produce_item *item, struct produce *w,
                      const struct produce_request_topic_produce_data *topic, int32_t index)
{
    *item = (struct produce_item){.topic = topic->name,
                                  .topic_id = topic->topic_id,
                                  .index = index,
                                  .base_offset = -1,
                                  .append_time_ms = -1,
                                  .log_start_offset = -1,
                                  .wait_for = -1,
                                  .guard = LOG_NO_GUARD,
                                  .produce = w};
    list_init(&item->waiter.node);
}

// Takes one mention's records after a look from outside.
static int item_take(struct produce_item *item, const struct records *records)
{
    struct produce *w = item->produce;
    struct batch_look look;
    if (batch_first_look((struct bytes){records->data, records->size}, w->request->version,
                         &w->request->arena, &look))
        return ERR_NOMEM;
    w->transactional |= look.transactional;
    if (look.scope == BATCH_LOOK_GOOD || !records->data) {
        item->records = (uint8_t *)(uintptr_t)records->data;
        item->records_bytes = records->size;
        item->lacks_records = !records->data;
        return 0;
    }
    item->refusal = look.error;
    item->refusal_message = look.message;
    if (look.scope == BATCH_LOOK_REQUEST && w->damage == E_NONE) {
        w->damage = look.error;
        w->damage_message = look.message;
    }
    return 0;
}

// Where the request first names a topic.
static int first_mention(struct map *topics, struct str key, const struct produce_request *m, int32_t at,
                         int32_t *first)
{
    *first = at;
    if (m->topic_data_count == 1)
        return 0;
    const struct produce_request_topic_produce_data *known = map_get(topics, key);
    if (!known)
        return map_put(topics, key, &m->topic_data[at]);
    *first = (int32_t)(known - m->topic_data);
    return 0;
}

static int by_rank(const void *a, const void *b)
{
    uint64_t x = ((const struct produce_item *)a)->rank, y = ((const struct produce_item *)b)->rank;
    return (x > y) - (x < y);
}

// Brings the items of a topic that is named more than once together.
static void sort_items(struct produce *w)
{
    qsort(w->items, w->count, sizeof *w->items, by_rank);
    for (size_t i = 0; i < w->count; i++)
        list_init(&w->items[i].waiter.node);
}

static int collect(struct produce *w)
{
    struct request *r = w->request;
    const struct produce_request *m = w->message;
    size_t total = produce_count_partitions(m);
    w->items = arena_zalloc(&r->arena, total + 1, sizeof *w->items);
    if (!w->items)
        return ERR_NOMEM;
    struct partition_index seen;
    partition_index_init(&seen, &r->arena);
    struct map topics = MAP_INIT;
    bool mixed = false;
    int rc = 0;
    for (int32_t t = 0; t < m->topic_data_count && rc == 0; t++) {
        const struct produce_request_topic_produce_data *topic = &m->topic_data[t];
        int32_t place;
        struct str key = r->version >= TOPIC_ID_VERSION
                             ? (struct str){(const char *)topic->topic_id.bytes, sizeof topic->topic_id.bytes}
                             : topic->name;
        rc = first_mention(&topics, key, m, t, &place);
        mixed |= place != t;
        for (int32_t i = 0; i < topic->partition_data_count && rc == 0; i++) {
            const struct produce_request_partition_produce_data *p = &topic->partition_data[i];
            void **first = total > 1 ? partition_index_slot(&seen, key, p->index) : NULL;
            struct produce_item *item = first ? *first : NULL;
            if (total > 1 && !first) {
                rc = ERR_NOMEM;
                break;
            }
            if (!item) {
                item = &w->items[w->count];
                item_init(item, w, topic, p->index);
                item->rank = (uint64_t)place << 32 | w->count++;
            }
            if (first)
                *first = item;
            rc = item_take(item, &p->records);
        }
    }
    map_free(&topics);
    partition_index_free(&seen);
    if (mixed)
        sort_items(w);
    return rc;
}

// The name of an item that has an id: the topic may go before the request does.
static struct str own_name(struct produce *w, const struct produce_item *item, struct str name)
{
    const struct produce_item *before = item > w->items ? item - 1 : NULL;
    bool same = before && before->topic.data && uuid_equal(&before->topic_id, &item->topic_id);
    return same ? before->topic : arena_str(&w->request->arena, name);
}

// Finds the partition, or says why it cannot be appended to.
static void resolve(struct produce *w, struct produce_item *item, const struct image *image)
{
    struct broker *b = broker_of(w->request);
    const struct image_topic *topic;
    if (w->request->version >= TOPIC_ID_VERSION) {
        topic = image_topic_by_id(image, &item->topic_id);
        if (!topic) {
            item->error = E_UNKNOWN_TOPIC_ID;
            return;
        }
        item->topic = own_name(w, item, topic->name);
    } else {
        topic = image_topic(image, item->topic);
    }
    if (!request_authorize(w->request, ACL_WRITE, RESOURCE_TOPIC, item->topic)) {
        item->error = E_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    item->partition = replica_manager_find(b->replicas, topic, item->index, &item->error);
    if (!item->partition)
        return;
    if (topic_is_internal(item->topic) && !str_is(w->request->client_id, "__admin_client")) {
        item->error = E_INVALID_TOPIC_EXCEPTION; // without a message, as from Kafka
        return;
    }
}

void produce_fail_all(struct produce *w, int16_t error, struct str message)
{
    for (size_t i = 0; i < w->count; i++) {
        w->items[i].error = error;
        w->items[i].message = message;
        w->items[i].refusal = E_NONE;
    }
}

// Finds the partitions. False: every item has its outcome.
static bool resolve_all(struct produce *w)
{
    const struct image *image = image_current();
    const struct produce_item *empty = NULL;
    bool stumbles = false;
    struct workers *loaders = NULL;
    for (size_t i = 0; i < w->count; i++) {
        resolve(w, &w->items[i], image);
        if (w->items[i].partition && w->items[i].lacks_records)
            empty = &w->items[i];
        stumbles |= w->items[i].partition && w->items[i].refusal == E_UNKNOWN_SERVER_ERROR;
        if (w->items[i].partition && !loaders)
            loaders = log_loaders(w->items[i].partition->log);
    }
    if (stumbles) { // over a compression that there is not, as Kafka does before it appends anything
        produce_fail_all(w, E_UNKNOWN_SERVER_ERROR, STR_NULL);
        return false;
    }
    if (empty) { // Kafka appends nothing of such a request (and leaves it without an answer)
        produce_fail_all(w, E_INVALID_RECORD,
                         arena_printf(&w->request->arena, "There are no records for %.*s-%d",
                                      STR_ARG(empty->topic), empty->index));
        return false;
    }
    w->loaders = loaders;
    return true;
}

// What is wrong with the request as a whole; E_NONE: go on.
static int16_t check_request(struct produce *w, struct str *message)
{
    struct request *r = w->request;
    *message = w->damage_message;
    if (w->damage != E_NONE)
        return w->damage;
    if (!w->transactional)
        return w->acks < -1 || w->acks > 1 ? E_INVALID_REQUIRED_ACKS : E_NONE;
    struct str id = w->message->transactional_id;
    if (!id.data || !request_authorize(r, ACL_WRITE, RESOURCE_TRANSACTIONAL_ID, id))
        return E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    return E_NONE;
}

void produce_prepare(struct produce *w)
{
    struct str message;
    w->out_of_memory = collect(w) != 0;
    if (w->out_of_memory)
        return;
    int16_t error = check_request(w, &message);
    if (error != E_NONE)
        produce_fail_all(w, error, message);
    w->settled = error != E_NONE || !resolve_all(w);
}
