#include "demo/setup.h"

#include "base/clock.h"
#include "base/error.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#define KEY_PRODUCE       0
#define KEY_FETCH         1
#define KEY_METADATA      3
#define KEY_CREATE_TOPICS 19

#define BOARD_ID     "shop"
#define SCAN_BYTES   (1 << 20)
#define UNPACK_BYTES (16 << 20)

typedef struct create_topics_request_creatable_topic_config topic_config;

// A day's events at the usual rate would be some hundred megabytes: three hours are enough to look at.
static topic_config event_configs[] = {{{"retention.ms", 12}, {"10800000", 8}},
                                       {{"retention.bytes", 15}, {"67108864", 8}},
                                       {{"segment.bytes", 13}, {"16777216", 8}},
                                       {{"message.timestamp.type", 22}, {"CreateTime", 10}}};

static topic_config minute_configs[] = {{{"cleanup.policy", 14}, {"compact,delete", 14}},
                                        {{"retention.ms", 12}, {"604800000", 9}},
                                        {{"segment.bytes", 13}, {"16777216", 8}}};

static topic_config board_configs[] = {{{"cleanup.policy", 14}, {"compact", 7}}};

// The figures of a minute come some 20 seconds after its end: what shows them ends so long ago.
#define OF_MINUTES "\"topic\":\"shop.minutes\",\"windowSeconds\":3600,\"delaySeconds\":30"

static const char board[] =
    "{\"version\":1,\"name\":\"Shop\",\"charts\":["
    "{\"id\":\"1\",\"title\":\"Orders\",\"measure\":\"sum\",\"field\":\"orders\"," OF_MINUTES
    "},"
    "{\"id\":\"2\",\"title\":\"Revenue, EUR\",\"measure\":\"sum\",\"field\":\"revenue\"," OF_MINUTES
    "},"
    "{\"id\":\"3\",\"title\":\"Pages "
    "viewed\",\"topic\":\"shop.views\",\"measure\":\"count\",\"windowSeconds\":300},"
    "{\"id\":\"4\",\"title\":\"Conversion, % of "
    "visits\",\"measure\":\"average\",\"field\":\"conversion\"," OF_MINUTES
    "},"
    "{\"id\":\"5\",\"title\":\"Orders by country\",\"topic\":\"shop.orders\",\"measure\":\"top\","
    "\"field\":\"customer.country\",\"windowSeconds\":3600},"
    "{\"id\":\"6\",\"title\":\"Products viewed\",\"topic\":\"shop.views\",\"measure\":\"top\","
    "\"field\":\"product\",\"windowSeconds\":300},"
    "{\"id\":\"7\",\"title\":\"Revenue by country, EUR\",\"measure\":\"top\","
    "\"field\":\"revenueByCountry\"," OF_MINUTES
    "},"
    "{\"id\":\"8\",\"title\":\"Ordered by product, EUR\",\"topic\":\"shop.orders\",\"measure\":\"top\","
    "\"field\":\"product\",\"weight\":\"amount\",\"windowSeconds\":3600}]}";

// Sets one of the topics of a request.
static void one_topic(struct create_topics_request_creatable_topic *t, struct str name, int32_t partitions,
                      topic_config *configs, size_t count)
{
    *t = create_topics_request_creatable_topic_default;
    t->name = name;
    t->num_partitions = partitions;
    t->replication_factor = -1;
    t->configs = configs;
    t->configs_count = (int32_t)count;
}

// *made: the first of the topics is new.
static int create(struct demo_link *l, struct create_topics_request_creatable_topic *topics, int32_t count,
                  bool *made)
{
    struct create_topics_request request = create_topics_request_default;
    struct create_topics_response response;
    struct arena arena;
    int16_t version;
    arena_init(&arena, 0);
    request.topics = topics;
    request.topics_count = count;
    request.timeout_ms = DEMO_TIMEOUT_MS;
    *made = false;
    int err = link_ask(l, &l->first, KEY_CREATE_TOPICS, 5, &request, &arena, &response, &version);
    for (int32_t i = 0; !err && i < response.topics_count; i++) {
        const struct create_topics_response_creatable_topic_result *one = &response.topics[i];
        if (one->error_code == E_NONE)
            *made |= str_equal(one->name, topics[0].name);
        else if (one->error_code != E_TOPIC_ALREADY_EXISTS)
            err = link_fail(l, ERR_CLOSED, "%.*s: %.*s", STR_ARG(one->name), STR_ARG(one->error_message));
    }
    arena_free(&arena);
    return err;
}

int setup_topics(struct demo_link *l, bool *made)
{
    struct create_topics_request_creatable_topic topics[DEMO_TOPICS];
    for (int i = 0; i < SHOP_TOPICS; i++)
        one_topic(&topics[i], demo_topic_names[i], DEMO_PARTITIONS, event_configs,
                  sizeof event_configs / sizeof event_configs[0]);
    one_topic(&topics[DEMO_MINUTES], demo_topic_names[DEMO_MINUTES], DEMO_PARTITIONS, minute_configs,
              sizeof minute_configs / sizeof minute_configs[0]);
    return create(l, topics, DEMO_TOPICS, made);
}

// ---- the board

// Whether a record of this key is among these. *next moves on behind them.
static int find_key(struct bytes records, struct str key, int64_t *next, bool *found)
{
    struct batch_cursor cursor = batch_cursor(records);
    struct buffer scratch = BUFFER_INIT;
    struct batch_header h;
    struct bytes batch, body;
    int err = 0;
    while (!err && batch_cursor_next(&cursor, &h, &batch) == 1) {
        struct record record;
        err = batch_body(&h, batch, UNPACK_BYTES, &scratch, &body);
        struct record_cursor c = record_cursor(body, err ? 0 : h.count);
        while (!err && !batch_is_control(&h) && record_cursor_next(&c, &record) == 1)
            *found |= record.key.data &&
                      str_equal((struct str){(const char *)record.key.data, record.key.size}, key);
        *next = batch_last_offset(&h) + 1;
    }
    buffer_free(&scratch);
    return err;
}

// One fetch from *next on; *end: nothing is behind what came.
static int scan(struct demo_link *l, struct client *leader, int64_t *next, bool *found, bool *end)
{
    struct fetch_request_fetch_partition partition = fetch_request_fetch_partition_default;
    struct fetch_request_fetch_topic topic = fetch_request_fetch_topic_default;
    struct fetch_request request = fetch_request_default;
    struct fetch_response response;
    struct arena arena;
    int16_t version;
    arena_init(&arena, 0);
    partition.fetch_offset = *next;
    partition.partition_max_bytes = SCAN_BYTES;
    topic.topic = STR(DEMO_BOARDS);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.max_bytes = SCAN_BYTES;
    request.topics = &topic;
    request.topics_count = 1;
    int err = link_ask(l, leader, KEY_FETCH, 12, &request, &arena, &response, &version);
    const struct fetch_response_partition_data *data =
        !err && response.responses_count == 1 && response.responses[0].partitions_count == 1
            ? &response.responses[0].partitions[0]
            : NULL;
    if (!err && (!data || data->error_code != E_NONE))
        err = link_fail(l, ERR_CLOSED, "%s: %s", DEMO_BOARDS,
                        error_code_message(data ? data->error_code : response.error_code));
    if (!err)
        err = find_key((struct bytes){data->records.data, data->records.size}, STR(BOARD_ID), next, found);
    *end = !err && (*next >= data->high_watermark || data->records.size == 0);
    arena_free(&arena);
    return err;
}

static int write_board(struct demo_link *l, struct client *leader)
{
    struct produce_request_partition_produce_data partition = produce_request_partition_produce_data_default;
    struct produce_request_topic_produce_data topic = produce_request_topic_produce_data_default;
    struct produce_request request = produce_request_default;
    struct produce_response response;
    struct batch_builder builder = {0};
    struct bytes batch;
    struct arena arena;
    int16_t version;
    arena_init(&arena, 0);
    batch_builder_init(&builder, &BATCH_OPTIONS);
    batch_builder_add(&builder, clock_wall_ms(),
                      (struct bytes){(const uint8_t *)BOARD_ID, sizeof BOARD_ID - 1},
                      (struct bytes){(const uint8_t *)board, sizeof board - 1}, NULL, 0);
    int err = batch_builder_finish(&builder, &batch);
    if (err)
        err = link_fail(l, err, "%s", err_text(err));
    partition.records = (struct records){.data = batch.data, .size = batch.size};
    topic.name = STR(DEMO_BOARDS);
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    request.acks = -1;
    request.timeout_ms = DEMO_TIMEOUT_MS;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    err = err ? err : link_ask(l, leader, KEY_PRODUCE, 12, &request, &arena, &response, &version);
    int16_t code = err ? E_NONE : response.responses[0].partition_responses[0].error_code;
    if (code != E_NONE)
        err = link_fail(l, ERR_CLOSED, "%s: %s", DEMO_BOARDS, error_code_message(code));
    batch_builder_free(&builder);
    arena_free(&arena);
    return err;
}

int setup_board(struct demo_link *l)
{
    struct create_topics_request_creatable_topic topic;
    struct client *leader;
    bool made, found = false, end = false;
    int64_t next = 0;
    one_topic(&topic, STR(DEMO_BOARDS), 1, board_configs, 1);
    int err = create(l, &topic, 1, &made);
    err = err ? err : link_leader(l, STR(DEMO_BOARDS), &leader);
    while (!err && !end && !found)
        err = scan(l, leader, &next, &found, &end);
    return err || found ? err : write_board(l, leader);
}
