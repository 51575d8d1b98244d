// Records to the leaders and from them.
#include "base/error.h"
#include "demo/link.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#define KEY_PRODUCE      0
#define KEY_FETCH        1
#define KEY_LIST_OFFSETS 2

#define UNPACK_BYTES    (16 << 20)  // of a batch
#define PARTITION_BYTES (256 << 10) // of a fetch: more than one batch of the writer
#define RESPONSE_BYTES  (2 << 20)
#define OFFSET_EARLIEST (-2)

typedef struct produce_request_topic_produce_data produce_topic;
typedef struct produce_request_partition_produce_data produce_partition;
typedef struct fetch_request_fetch_topic fetch_topic;
typedef struct fetch_response_partition_data fetched;

static int topic_index(struct str name)
{
    for (int i = 0; i < DEMO_TOPICS; i++)
        if (str_equal(name, demo_topic_names[i]))
            return i;
    return -1;
}

static int refused(struct demo_link *l, int topic, int32_t partition, int16_t code)
{
    return link_fail(l, ERR_CLOSED, "%.*s-%d: %s", STR_ARG(demo_topic_names[topic]), partition,
                     error_code_message(code));
}

// ---- producing

void outbox_add(struct demo_outbox *box, int topic, int32_t partition, int64_t timestamp_ms, struct bytes key,
                struct bytes value)
{
    struct batch_builder *b = &box->builders[topic][partition];
    struct batch_options options = BATCH_OPTIONS;
    options.compression = COMPRESSION_LZ4;
    if (b->count == 0)
        batch_builder_init(b, &options);
    batch_builder_add(b, timestamp_ms, key, value, NULL, 0);
    box->records++;
}

static void written(struct demo_outbox *box, int topic, int32_t partition)
{
    struct batch_builder *b = &box->builders[topic][partition];
    box->records -= (size_t)b->count;
    b->count = 0;
    box->batches[topic][partition] = BYTES_NULL;
}

// Finishes each batch that is not. 0 or ERR_NOMEM.
static int finish(struct demo_outbox *box, struct demo_link *l)
{
    for (int t = 0; t < DEMO_TOPICS; t++)
        for (int32_t p = 0; p < DEMO_PARTITIONS_MOST; p++) {
            struct batch_builder *b = &box->builders[t][p];
            if (b->count == 0 || box->batches[t][p].data)
                continue;
            int err = batch_builder_finish(b, &box->batches[t][p]);
            if (err) {
                box->batches[t][p] = BYTES_NULL;
                written(box, t, p); // it cannot be made: its records are given up
                return link_fail(l, err, "a batch cannot be made: %s", err_text(err));
            }
        }
    return 0;
}

// What this node leads, as a request. NULL topics: out of memory.
static void request_of(const struct demo_outbox *box, const struct demo_link *l, int32_t node,
                       struct arena *arena, struct produce_request *out)
{
    *out = produce_request_default;
    out->acks = -1;
    out->timeout_ms = DEMO_TIMEOUT_MS;
    out->topic_data = produce_request_topic_produce_data_new(arena, DEMO_TOPICS);
    for (int t = 0; out->topic_data && t < DEMO_TOPICS; t++) {
        produce_topic *topic = &out->topic_data[out->topic_data_count];
        topic->name = demo_topic_names[t];
        topic->partition_data = produce_request_partition_produce_data_new(arena, l->partitions);
        if (!topic->partition_data) {
            out->topic_data = NULL;
            return;
        }
        topic->partition_data_count = 0;
        for (int32_t p = 0; p < l->partitions; p++) {
            if (!box->batches[t][p].data || l->leaders[t][p] != node)
                continue;
            produce_partition *partition = &topic->partition_data[topic->partition_data_count++];
            partition->index = p;
            partition->records =
                (struct records){.data = box->batches[t][p].data, .size = box->batches[t][p].size};
        }
        out->topic_data_count += topic->partition_data_count > 0;
    }
}

// What the leader has is taken out of the box. 0, or the first refusal.
static int take_answer(struct demo_outbox *box, struct demo_link *l, const struct produce_response *response)
{
    int result = 0;
    for (int32_t i = 0; i < response->responses_count; i++) {
        int topic = topic_index(response->responses[i].name);
        for (int32_t k = 0; topic >= 0 && k < response->responses[i].partition_responses_count; k++) {
            const struct produce_response_partition_produce_response *p =
                &response->responses[i].partition_responses[k];
            if (p->index < 0 || p->index >= l->partitions)
                continue;
            if (p->error_code == E_NONE)
                written(box, topic, p->index);
            else if (!result)
                result = refused(l, topic, p->index, p->error_code);
        }
    }
    return result;
}

static int send_to(struct demo_outbox *box, struct demo_link *l, int32_t node, struct arena *arena)
{
    struct produce_request request;
    struct produce_response response;
    struct client *client;
    int16_t version;
    request_of(box, l, node, arena, &request);
    if (!request.topic_data)
        return link_fail(l, ERR_NOMEM, "out of memory");
    if (request.topic_data_count == 0)
        return 0;
    int err = link_node(l, node, &client);
    err = err ? err : link_ask(l, client, KEY_PRODUCE, 12, &request, arena, &response, &version);
    return err ? err : take_answer(box, l, &response);
}

int outbox_send(struct demo_outbox *box, struct demo_link *l)
{
    int err = finish(box, l);
    for (int32_t node = 0; !err && box->records > 0 && node < l->nodes_count; node++) {
        struct arena arena;
        arena_init(&arena, 0);
        err = send_to(box, l, node, &arena);
        arena_free(&arena);
    }
    if (!err && box->records > 0) // partitions that are no more
        err = link_fail(l, ERR_CLOSED, "%zu records have no partition to go to", box->records);
    return err;
}

void outbox_free(struct demo_outbox *box)
{
    for (int t = 0; t < DEMO_TOPICS; t++)
        for (int32_t p = 0; p < DEMO_PARTITIONS_MOST; p++)
            batch_builder_free(&box->builders[t][p]);
}

// ---- fetching

static int walk_batch(const struct batch_header *h, struct bytes body, const struct demo_wanted *from,
                      demo_each *each, void *context)
{
    struct record_cursor c = record_cursor(body, h->count);
    struct record record;
    int result = 0;
    while (!result && record_cursor_next(&c, &record) == 1)
        if (record_offset(h, &record) >= from->offset)
            result =
                each(context, from, record_offset(h, &record), record_timestamp_ms(h, &record), record.value);
    return result;
}

int link_walk(struct bytes records, struct demo_wanted *from, demo_each *each, void *context)
{
    struct batch_cursor cursor = batch_cursor(records);
    struct buffer scratch = BUFFER_INIT;
    struct batch_header h;
    struct bytes batch, body;
    int result = 0;
    while (!result && batch_cursor_next(&cursor, &h, &batch) == 1) {
        if (batch_last_offset(&h) < from->offset)
            continue;
        result = batch_body(&h, batch, UNPACK_BYTES, &scratch, &body);
        if (!result && !batch_is_control(&h))
            result = walk_batch(&h, body, from, each, context);
        if (!result)
            from->offset = batch_last_offset(&h) + 1;
    }
    buffer_free(&scratch);
    return result;
}

static int earliest(struct demo_link *l, struct client *client, struct arena *arena, struct demo_wanted *w)
{
    struct list_offsets_request_list_offsets_partition partition =
        list_offsets_request_list_offsets_partition_default;
    struct list_offsets_request_list_offsets_topic topic = list_offsets_request_list_offsets_topic_default;
    struct list_offsets_request request = list_offsets_request_default;
    struct list_offsets_response response;
    int16_t version;
    partition.partition_index = w->partition;
    partition.timestamp = OFFSET_EARLIEST;
    topic.name = demo_topic_names[w->topic];
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    int err = link_ask(l, client, KEY_LIST_OFFSETS, 7, &request, arena, &response, &version);
    if (err)
        return err;
    if (response.topics_count != 1 || response.topics[0].partitions_count != 1)
        return link_fail(l, ERR_CORRUPT, "the answer to ListOffsets is not what was asked");
    if (response.topics[0].partitions[0].error_code != E_NONE)
        return refused(l, (int)w->topic, w->partition, response.topics[0].partitions[0].error_code);
    w->offset = response.topics[0].partitions[0].offset;
    return 0;
}

// The wanted partitions that this node leads, as topics of a request; how many partitions.
static int32_t fetch_topics(const struct demo_link *l, int32_t node, const struct demo_wanted *wanted,
                            int32_t count, struct arena *arena, struct fetch_request *out)
{
    int32_t all = 0;
    out->topics = fetch_request_fetch_topic_new(arena, SHOP_TOPICS);
    for (int t = 0; out->topics && t < SHOP_TOPICS; t++) {
        fetch_topic *topic = &out->topics[out->topics_count];
        topic->topic = demo_topic_names[t];
        topic->partitions = fetch_request_fetch_partition_new(arena, count);
        topic->partitions_count = 0;
        for (int32_t i = 0; topic->partitions && i < count; i++) {
            const struct demo_wanted *w = &wanted[i];
            if ((int)w->topic != t || l->leaders[t][w->partition] != node)
                continue;
            struct fetch_request_fetch_partition *p = &topic->partitions[topic->partitions_count++];
            p->partition = w->partition;
            p->fetch_offset = w->offset;
            p->partition_max_bytes = PARTITION_BYTES;
        }
        out->topics_count += topic->partitions_count > 0;
        all += topic->partitions_count;
    }
    return all;
}

static int take_partition(struct demo_link *l, struct client *client, struct arena *arena,
                          const fetched *data, struct demo_wanted *w, demo_each *each, void *context)
{
    if (data->error_code == E_OFFSET_OUT_OF_RANGE)
        return earliest(l, client, arena, w);
    if (data->error_code != E_NONE)
        return refused(l, (int)w->topic, w->partition, data->error_code);
    int err = link_walk((struct bytes){data->records.data, data->records.size}, w, each, context);
    if (err)
        return link_fail(l, err, "%.*s-%d at offset %lld: %s", STR_ARG(demo_topic_names[w->topic]),
                         w->partition, (long long)w->offset, err_text(err));
    w->read_all = w->offset >= data->high_watermark;
    return 0;
}

static int fetch_from(struct demo_link *l, int32_t node, struct demo_wanted *wanted, int32_t count,
                      int wait_ms, struct arena *arena, demo_each *each, void *context)
{
    struct fetch_request request = fetch_request_default;
    struct fetch_response response;
    struct client *client;
    int16_t version;
    request.max_wait_ms = wait_ms;
    request.min_bytes = 1;
    request.max_bytes = RESPONSE_BYTES;
    if (fetch_topics(l, node, wanted, count, arena, &request) == 0)
        return 0;
    int err = link_node(l, node, &client);
    err = err ? err : link_ask(l, client, KEY_FETCH, 12, &request, arena, &response, &version);
    if (!err && response.error_code != E_NONE)
        err = link_fail(l, ERR_CLOSED, "Fetch: %s", error_code_name(response.error_code));
    for (int32_t t = 0; !err && t < response.responses_count; t++)
        for (int32_t i = 0; !err && i < response.responses[t].partitions_count; i++) {
            const fetched *data = &response.responses[t].partitions[i];
            for (int32_t w = 0; !err && w < count; w++)
                if (wanted[w].partition == data->partition_index &&
                    (int)wanted[w].topic == topic_index(response.responses[t].topic))
                    err = take_partition(l, client, arena, data, &wanted[w], each, context);
        }
    return err;
}

int link_fetch(struct demo_link *l, struct demo_wanted *wanted, int32_t count, int wait_ms, demo_each *each,
               void *context)
{
    int err = 0;
    for (int32_t i = 0; i < count; i++)
        wanted[i].read_all = false;
    for (int32_t node = 0; !err && node < l->nodes_count; node++) {
        struct arena arena;
        arena_init(&arena, 0);
        err = fetch_from(l, node, wanted, count, wait_ms / l->nodes_count, &arena, each, context);
        arena_free(&arena);
    }
    return err;
}
