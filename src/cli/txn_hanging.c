// Transactions that hang: open in a partition, and unknown to the coordinator that would have to end them.
// Readers of committed records wait for them for ever. KIP-664 has how they are found, and ended.
#include "cli/txn.h"

#include "base/map.h"
#include "protocol/errors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define STATE_TOPIC "__transaction_state"

enum { API_WRITE_TXN_MARKERS = 27, API_DESCRIBE_PRODUCERS = 61 };

static const char hanging_help[] =
    "  odradek txn hanging\n"
    "  odradek txn hanging orders payments\n"
    "  odradek txn abort --hanging orders\n"
    "\n"
    "Lists transactions that are open in a partition (of all topics, or of those named) and unknown to "
    "their\n"
    "coordinator, so that nobody will end them: consumers of committed records wait there for ever.\n"
    "`odradek txn abort --hanging` ends them.\n"
    "  -o, --open-for SECONDS            only those that nothing was written to for so long (900, the "
    "longest\n"
    "                                    time that brokers allow by default)\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {topic, partition, producerId, epoch, "
    "coordinatorEpoch,\n"
    "                                    startOffset, lastTime}\n";

typedef struct describe_producers_response_producer_state producer_state;
typedef struct metadata_response_metadata_response_topic topic_metadata_of;

struct open_txn {
    struct str topic;
    int32_t partition, leader;
    producer_state producer;
};

struct search {
    struct topic_call *call;
    const struct metadata_response *cluster;
    int64_t before_ms; // nothing was written since then
    struct open_txn *found;
    size_t count;
};

// ---- what is open

static bool is_wanted(const struct topic_call *t, struct str topic)
{
    bool named = t->names_count == 0;
    for (int32_t i = 0; i < t->names_count; i++)
        named |= str_equal(t->names[i], topic);
    return named;
}

static bool ask_of(const struct search *s, int32_t broker, struct describe_producers_request *request)
{
    message_init(&describe_producers_request_type, request);
    request->topics = describe_producers_request_topic_request_new(&s->call->arena, s->cluster->topics_count);
    if (!request->topics)
        return false;
    for (int32_t i = 0; i < s->cluster->topics_count; i++) {
        const topic_metadata_of *t = &s->cluster->topics[i];
        struct describe_producers_request_topic_request *to = &request->topics[request->topics_count];
        to->name = t->name;
        to->partition_indexes =
            arena_alloc(&s->call->arena, ((size_t)t->partitions_count + 1) * sizeof(int32_t));
        if (!to->partition_indexes)
            return false;
        for (int32_t p = 0; p < t->partitions_count && is_wanted(s->call, t->name); p++)
            if (t->partitions[p].leader_id == broker)
                to->partition_indexes[to->partition_indexes_count++] = t->partitions[p].partition_index;
        request->topics_count += to->partition_indexes_count > 0;
    }
    return true;
}

static int take_partition(struct search *s, struct str topic, int32_t leader,
                          const struct describe_producers_response_partition_response *p)
{
    if (p->error_code != E_NONE)
        return topic_refused(s->call,
                             arena_printf(&s->call->arena, "%.*s-%d", STR_ARG(topic), p->partition_index),
                             p->error_code, p->error_message);
    size_t most = s->count + (size_t)p->active_producers_count;
    struct open_txn *grown = p->active_producers_count ? realloc(s->found, most * sizeof *grown) : s->found;
    if (p->active_producers_count && !grown)
        return cli_fail(s->call->command, "out of memory");
    s->found = grown;
    for (int32_t i = 0; i < p->active_producers_count; i++) {
        const producer_state *producer = &p->active_producers[i];
        if (producer->current_txn_start_offset >= 0 && producer->last_timestamp <= s->before_ms)
            s->found[s->count++] = (struct open_txn){topic, p->partition_index, leader, *producer};
    }
    return EXIT_OK;
}

static int ask_leader(void *context, struct client *client, int32_t broker)
{
    struct search *s = context;
    struct describe_producers_request request;
    struct describe_producers_response response;
    int status = EXIT_OK;
    int16_t version = client_version(client, API_DESCRIBE_PRODUCERS, 0);
    if (version < 0)
        return cli_fail(s->call->command, "%s", client->error);
    if (!ask_of(s, broker, &request))
        return cli_fail(s->call->command, "out of memory");
    if (request.topics_count == 0)
        return EXIT_OK;
    if (client_call(client, API_DESCRIBE_PRODUCERS, version, &request, &s->call->arena, &response) != 0)
        return cli_fail(s->call->command, "%s", client->error);
    for (int32_t t = 0; t < response.topics_count && status == EXIT_OK; t++)
        for (int32_t p = 0; p < response.topics[t].partitions_count && status == EXIT_OK; p++)
            status = take_partition(s, response.topics[t].name, broker, &response.topics[t].partitions[p]);
    return status;
}

// ---- what nobody will end

// A coordinator that is away knows transactions which would look as if nobody knew them.
static int all_coordinators_are_there(const struct search *s)
{
    for (int32_t i = 0; i < s->cluster->topics_count; i++) {
        const topic_metadata_of *t = &s->cluster->topics[i];
        for (int32_t p = 0; str_is(t->name, STATE_TOPIC) && p < t->partitions_count; p++)
            if (t->partitions[p].leader_id < 0)
                return cli_fail(s->call->command,
                                STATE_TOPIC
                                "-%d has no leader: what its coordinator knows cannot be told "
                                "from what hangs; try again when it is back",
                                t->partitions[p].partition_index);
    }
    return EXIT_OK;
}

static bool has_partition(const struct describe_transactions_response_transaction_state *x,
                          const struct open_txn *open)
{
    for (int32_t t = 0; t < x->topics_count; t++)
        for (int32_t p = 0; p < x->topics[t].partitions_count; p++)
            if (str_equal(x->topics[t].topic, open->topic) && x->topics[t].partitions[p] == open->partition)
                return true;
    return false;
}

// Whether its coordinator will end it.
static int is_known(const struct search *s, const struct txn_listing *listed, const struct open_txn *open,
                    bool *known)
{
    *known = false;
    for (size_t i = 0; i < listed->count && !*known; i++) {
        struct describe_transactions_response_transaction_state x;
        if (listed->all[i].producer_id != open->producer.producer_id)
            continue;
        int status = txn_ask(s->call, listed->all[i].transactional_id, &x);
        if (status == EXIT_OK && x.error_code != E_NONE && x.error_code != E_TRANSACTIONAL_ID_NOT_FOUND)
            status = topic_refused(s->call, listed->all[i].transactional_id, x.error_code, STR_NULL);
        if (status != EXIT_OK)
            return status;
        *known = x.error_code == E_NONE && has_partition(&x, open);
    }
    return EXIT_OK;
}

static int by_place(const void *left, const void *right)
{
    const struct open_txn *a = left, *b = right;
    int order = str_compare(a->topic, b->topic);
    return order ? order
           : a->partition != b->partition
               ? (a->partition > b->partition) - (a->partition < b->partition)
               : (a->producer.current_txn_start_offset > b->producer.current_txn_start_offset) -
                     (a->producer.current_txn_start_offset < b->producer.current_txn_start_offset);
}

static int check_names(const struct search *s)
{
    for (int32_t i = 0; i < s->call->names_count; i++) {
        bool found = false;
        for (int32_t k = 0; k < s->cluster->topics_count && !found; k++)
            found = str_equal(s->cluster->topics[k].name, s->call->names[i]);
        if (!found)
            return topic_refused(s->call, s->call->names[i], E_UNKNOWN_TOPIC_OR_PARTITION, STR_NULL);
    }
    return EXIT_OK;
}

// Fills s->found, which is the caller's to free, with what hangs in the topics that are named.
static int find(struct search *s, struct metadata_response *cluster, int64_t open_for_s)
{
    struct topic_call *t = s->call;
    struct txn_listing listed = {.call = t, .open_for_s = -1};
    struct timespec now;
    int32_t names = t->names_count;
    clock_gettime(CLOCK_REALTIME, &now);
    s->before_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - open_for_s * 1000;
    t->names_count = 0; // the coordinators' topic, too
    int status = topic_metadata(t, cluster);
    t->names_count = names;
    s->cluster = cluster;
    if (status == EXIT_OK)
        status = check_names(s);
    if (status == EXIT_OK)
        status = all_coordinators_are_there(s);
    if (status == EXIT_OK)
        status = cluster_each(t, cluster, ask_leader, s);
    if (status == EXIT_OK && s->count > 0)
        status = txn_list(&listed, cluster);
    size_t kept = 0;
    for (size_t i = 0; status == EXIT_OK && i < s->count; i++) {
        bool known;
        status = is_known(s, &listed, &s->found[i], &known);
        if (!known)
            s->found[kept++] = s->found[i];
    }
    s->count = status == EXIT_OK ? kept : 0;
    if (s->count > 0)
        qsort(s->found, s->count, sizeof *s->found, by_place);
    return status;
}

// ---- list

static void print_json(struct topic_call *t, const struct open_txn *x, bool first)
{
    buffer_text(&t->out, first ? "{" : ",\n{");
    json_member(&t->out, "topic", x->topic);
    buffer_printf(&t->out,
                  ",\"partition\":%d,\"producerId\":%" PRId64
                  ",\"epoch\":%d,\"coordinatorEpoch\":%d,"
                  "\"startOffset\":%" PRId64 ",\"lastTime\":%" PRId64 "}",
                  x->partition, x->producer.producer_id, x->producer.producer_epoch,
                  x->producer.coordinator_epoch, x->producer.current_txn_start_offset,
                  x->producer.last_timestamp);
}

static void print(const struct search *s)
{
    struct topic_call *t = s->call;
    static const char *const heads[] = {"TOPIC", "PARTITION",    "PRODUCER",
                                        "EPOCH", "START OFFSET", "LAST WRITE"};
    struct table table = {.columns = sizeof heads / sizeof heads[0]};
    for (size_t i = 0; i < table.columns; i++)
        table_cell(&table, "%s", heads[i]);
    if (t->json)
        buffer_byte(&t->out, '[');
    for (size_t i = 0; i < s->count; i++) {
        const struct open_txn *x = &s->found[i];
        char last[TIME_TEXT_BYTES];
        if (t->json) {
            print_json(t, x, i == 0);
            continue;
        }
        time_text(x->producer.last_timestamp, last);
        table_cell(&table, "%.*s", STR_ARG(x->topic));
        table_cell(&table, "%d", x->partition);
        table_cell(&table, "%" PRId64, x->producer.producer_id);
        table_cell(&table, "%d", x->producer.producer_epoch);
        table_cell(&table, "%" PRId64, x->producer.current_txn_start_offset);
        table_cell(&table, "%s", last);
    }
    if (t->json)
        buffer_text(&t->out, "]\n");
    else if (s->count > 0)
        table_print(&table, &t->out);
    table_free(&table);
}

static const struct option hanging_options[] = {TOPIC_OPTIONS, {"open-for", 'o', true}, {NULL, 0, false}};

static int run_hanging(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct topic_call t;
    struct metadata_response cluster;
    struct search s = {.call = &t};
    int64_t open_for_s = TXN_OPEN_FOR_S;
    int status = topic_start(&t, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&t, options_status(option));
        if (option == TOPIC_OWN_OPTIONS)
            status = options_number(&o, 0, INT32_MAX, &open_for_s) ? EXIT_OK : EXIT_USAGE;
        else if (!topic_option(&t, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = topic_connect(&t);
    if (status == EXIT_OK)
        status = find(&s, &cluster, open_for_s);
    if (status == EXIT_OK)
        print(&s);
    free(s.found);
    return topic_finish(&t, status);
}

const struct command txn_hanging_command = {.name = "txn hanging",
                                            .summary = "list transactions that nobody will end",
                                            .help = hanging_help,
                                            .options = hanging_options,
                                            .run = run_hanging};

// ---- abort

static int16_t error_of(const struct write_txn_markers_response *response)
{
    if (response->markers_count != 1 || response->markers[0].topics_count != 1 ||
        response->markers[0].topics[0].partitions_count != 1)
        return E_UNKNOWN_SERVER_ERROR;
    return response->markers[0].topics[0].partitions[0].error_code;
}

// In the place of the coordinator. One that never wrote a marker there has no epoch: 0 is at most any.
static int write_marker(struct topic_call *t, struct client *leader, const struct open_txn *x)
{
    struct write_txn_markers_request request;
    struct write_txn_markers_response response;
    struct write_txn_markers_request_writable_txn_marker marker;
    struct write_txn_markers_request_writable_txn_marker_topic topic;
    int32_t partition = x->partition;
    int16_t version = client_version(leader, API_WRITE_TXN_MARKERS, 1);
    if (version < 0)
        return cli_fail(t->command, "%s", leader->error);
    message_init(&write_txn_markers_request_type, &request);
    marker = write_txn_markers_request_writable_txn_marker_default;
    topic = write_txn_markers_request_writable_txn_marker_topic_default;
    topic.name = x->topic;
    topic.partition_indexes = &partition;
    topic.partition_indexes_count = 1;
    marker.producer_id = x->producer.producer_id;
    marker.producer_epoch = (int16_t)x->producer.producer_epoch;
    marker.coordinator_epoch = x->producer.coordinator_epoch < 0 ? 0 : x->producer.coordinator_epoch;
    marker.transaction_result = false;
    marker.topics = &topic;
    marker.topics_count = 1;
    request.markers = &marker;
    request.markers_count = 1;
    if (client_call(leader, API_WRITE_TXN_MARKERS, version, &request, &t->arena, &response) != 0)
        return cli_fail(t->command, "%s", leader->error);
    int16_t error = error_of(&response);
    return error == E_NONE
               ? EXIT_OK
               : topic_refused(t, arena_printf(&t->arena, "%.*s-%d", STR_ARG(x->topic), x->partition), error,
                               STR_NULL);
}

static int abort_of(void *context, struct client *client, int32_t broker)
{
    const struct search *s = context;
    int status = EXIT_OK;
    for (size_t i = 0; i < s->count && status == EXIT_OK; i++)
        if (s->found[i].leader == broker)
            status = write_marker(s->call, client, &s->found[i]);
    return status;
}

int txn_abort_hanging(struct topic_call *t, int64_t open_for_s)
{
    struct metadata_response cluster;
    struct search s = {.call = t};
    int status = find(&s, &cluster, open_for_s);
    if (status == EXIT_OK && s.count > 0)
        status = cluster_each(t, &cluster, abort_of, &s);
    if (status == EXIT_OK && t->json)
        print(&s);
    for (size_t i = 0; status == EXIT_OK && !t->json && i < s.count; i++)
        buffer_printf(&t->out,
                      "aborted the transaction of producer %" PRId64 " in %.*s-%d from offset %" PRId64 "\n",
                      s.found[i].producer.producer_id, STR_ARG(s.found[i].topic), s.found[i].partition,
                      s.found[i].producer.current_txn_start_offset);
    if (status == EXIT_OK && !t->json && s.count == 0)
        buffer_text(&t->out, "nothing hangs there\n");
    free(s.found);
    return status;
}
