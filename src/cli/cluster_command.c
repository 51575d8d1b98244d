// odradek cluster describe: who is in the cluster, who leads its metadata, and how far each has come.
#include "cli/cluster.h"

#include "base/clock.h"
#include "protocol/errors.h"

#include <inttypes.h>

enum { API_VERSIONS = 18, API_DESCRIBE_QUORUM = 55, API_DESCRIBE_CLUSTER = 60 };

#define METADATA_TOPIC STR("__cluster_metadata")

static const char help[] =
    "  odradek cluster describe\n"
    "\n"
    "Describes a cluster; `odradek cluster describe --help` says more.\n";

static const struct command describe_command;

static const struct command *const commands[] = {&describe_command, NULL};

const struct command cluster_command = {
    .name = "cluster", .summary = "describe a cluster", .help = help, .commands = commands};

static const char describe_help[] =
    "  odradek cluster describe\n"
    "  odradek cluster describe --json | jq '.brokers[].host'\n"
    "\n"
    "Describes a cluster: its brokers, the quorum of its metadata with the lag of each voter and observer, "
    "and the\n"
    "levels of its features.\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        {clusterId, controller, brokers, quorum, features}\n";

struct cluster {
    struct topic_call call;
    struct describe_cluster_response brokers;
    struct describe_quorum_response quorum;
    struct api_versions_response features;
};

static int ask(struct cluster *c, int16_t api, int16_t most, const void *request, void *response)
{
    struct client *client = &c->call.client;
    int16_t version = client_version(client, api, most);
    if (version < 0 || client_call(client, api, version, request, &c->call.arena, response) != 0)
        return cli_fail(c->call.command, "%s", client->error);
    return EXIT_OK;
}

static int ask_brokers(struct cluster *c)
{
    struct describe_cluster_request request;
    message_init(&describe_cluster_request_type, &request);
    request.include_fenced_brokers = client_version(&c->call.client, API_DESCRIBE_CLUSTER, 2) >= 2;
    int status = ask(c, API_DESCRIBE_CLUSTER, 2, &request, &c->brokers);
    if (status == EXIT_OK && c->brokers.error_code != E_NONE)
        return topic_refused(&c->call, STR("cluster"), c->brokers.error_code, c->brokers.error_message);
    return status;
}

static int ask_quorum(struct cluster *c)
{
    struct describe_quorum_request request;
    message_init(&describe_quorum_request_type, &request);
    request.topics = describe_quorum_request_topic_data_new(&c->call.arena, 1);
    struct describe_quorum_request_partition_data *partition =
        describe_quorum_request_partition_data_new(&c->call.arena, 1);
    if (!request.topics || !partition)
        return cli_fail(c->call.command, "out of memory");
    request.topics_count = 1;
    request.topics[0].topic_name = METADATA_TOPIC;
    request.topics[0].partitions = partition;
    request.topics[0].partitions_count = 1;
    int status = ask(c, API_DESCRIBE_QUORUM, 2, &request, &c->quorum);
    if (status != EXIT_OK)
        return status;
    int16_t error = c->quorum.error_code;
    if (error == E_NONE && (c->quorum.topics_count != 1 || c->quorum.topics[0].partitions_count != 1))
        error = E_UNKNOWN_SERVER_ERROR;
    if (error == E_NONE)
        error = c->quorum.topics[0].partitions[0].error_code;
    return error == E_NONE ? EXIT_OK : topic_refused(&c->call, STR("quorum"), error, c->quorum.error_message);
}

static int ask_features(struct cluster *c)
{
    struct api_versions_request request;
    message_init(&api_versions_request_type, &request);
    request.client_software_name = STR("odradek");
    request.client_software_version = STR(ODRADEK_VERSION);
    return ask(c, API_VERSIONS, 3, &request, &c->features);
}

typedef struct describe_quorum_response_replica_state replica;
typedef struct describe_quorum_response_partition_data quorum;

static int64_t end_of_leader(const quorum *q)
{
    for (int32_t i = 0; i < q->current_voters_count; i++)
        if (q->current_voters[i].replica_id == q->leader_id)
            return q->current_voters[i].log_end_offset;
    return q->high_watermark;
}

static int64_t lag_of(const quorum *q, const replica *r)
{
    int64_t end = end_of_leader(q);
    return r->log_end_offset < 0 || r->log_end_offset > end ? 0 : end - r->log_end_offset;
}

static void replica_cells(struct table *table, const quorum *q, const replica *all, int32_t count,
                          const char *role)
{
    for (int32_t i = 0; i < count; i++) {
        table_cell(table, "  %d", all[i].replica_id);
        table_cell(table, "%s", all[i].replica_id == q->leader_id ? "leader" : role);
        table_cell(table, "%" PRId64, all[i].log_end_offset);
        table_cell(table, "%" PRId64, lag_of(q, &all[i]));
    }
}

static void print_people(struct cluster *c)
{
    struct buffer *out = &c->call.out;
    const quorum *q = &c->quorum.topics[0].partitions[0];
    struct table brokers = {.columns = 5}, replicas = {.columns = 4};
    buffer_printf(out, "cluster %.*s, controller %d\n", STR_ARG(c->brokers.cluster_id),
                  c->brokers.controller_id);
    table_cell(&brokers, "  BROKER"), table_cell(&brokers, "HOST"), table_cell(&brokers, "PORT");
    table_cell(&brokers, "RACK"), table_cell(&brokers, "STATE");
    for (int32_t i = 0; i < c->brokers.brokers_count; i++) {
        const struct describe_cluster_response_describe_cluster_broker *b = &c->brokers.brokers[i];
        table_cell(&brokers, "  %d", b->broker_id);
        table_cell(&brokers, "%.*s", STR_ARG(b->host));
        table_cell(&brokers, "%d", b->port);
        table_cell(&brokers, "%.*s", STR_ARG(b->rack.data ? b->rack : STR("-")));
        table_cell(&brokers, "%s", b->is_fenced ? "fenced" : "serving");
    }
    table_print(&brokers, out);
    buffer_printf(out, "metadata: leader %d in epoch %d, committed up to %" PRId64 "\n", q->leader_id,
                  q->leader_epoch, q->high_watermark);
    table_cell(&replicas, "  NODE"), table_cell(&replicas, "ROLE"), table_cell(&replicas, "END"),
        table_cell(&replicas, "LAG");
    replica_cells(&replicas, q, q->current_voters, q->current_voters_count, "voter");
    replica_cells(&replicas, q, q->observers, q->observers_count, "observer");
    table_print(&replicas, out);
    buffer_text(out, "features:");
    for (int32_t i = 0; i < c->features.finalized_features_count; i++)
        buffer_printf(out, " %.*s=%d", STR_ARG(c->features.finalized_features[i].name),
                      c->features.finalized_features[i].max_version_level);
    buffer_byte(out, '\n');
    table_free(&brokers);
    table_free(&replicas);
}

static void json_replicas(struct buffer *out, const char *name, const quorum *q, const replica *all,
                          int32_t count)
{
    buffer_printf(out, ",\"%s\":[", name);
    for (int32_t i = 0; i < count; i++)
        buffer_printf(out, "%s{\"node\":%d,\"endOffset\":%" PRId64 ",\"lag\":%" PRId64 "}", i ? "," : "",
                      all[i].replica_id, all[i].log_end_offset, lag_of(q, &all[i]));
    buffer_byte(out, ']');
}

static void print_json(struct cluster *c)
{
    struct buffer *out = &c->call.out;
    const quorum *q = &c->quorum.topics[0].partitions[0];
    buffer_byte(out, '{');
    json_member(out, "clusterId", c->brokers.cluster_id);
    buffer_printf(out, ",\"controller\":%d,\"brokers\":[", c->brokers.controller_id);
    for (int32_t i = 0; i < c->brokers.brokers_count; i++) {
        const struct describe_cluster_response_describe_cluster_broker *b = &c->brokers.brokers[i];
        buffer_printf(out, "%s{\"id\":%d,", i ? "," : "", b->broker_id);
        json_member(out, "host", b->host);
        buffer_printf(out, ",\"port\":%d,", b->port);
        json_member(out, "rack", b->rack);
        buffer_printf(out, ",\"fenced\":%s}", b->is_fenced ? "true" : "false");
    }
    buffer_printf(out, "],\"quorum\":{\"leader\":%d,\"epoch\":%d,\"highWatermark\":%" PRId64, q->leader_id,
                  q->leader_epoch, q->high_watermark);
    json_replicas(out, "voters", q, q->current_voters, q->current_voters_count);
    json_replicas(out, "observers", q, q->observers, q->observers_count);
    buffer_text(out, "},\"features\":{");
    for (int32_t i = 0; i < c->features.finalized_features_count; i++) {
        if (i)
            buffer_byte(out, ',');
        json_text(out, c->features.finalized_features[i].name);
        buffer_printf(out, ":%d", c->features.finalized_features[i].max_version_level);
    }
    buffer_text(out, "}}\n");
}

static const struct option options[] = {TOPIC_OPTIONS, {NULL, 0, false}};

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct cluster c;
    int status = topic_start(&c.call, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&c.call, options_status(option));
        if (option == OPTION_ARGUMENT)
            status = cli_misuse(self, "%s is too much", o.value);
        else if (!topic_option(&c.call, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = topic_connect(&c.call);
    if (status == EXIT_OK)
        status = ask_brokers(&c);
    if (status == EXIT_OK)
        status = ask_quorum(&c);
    if (status == EXIT_OK)
        status = ask_features(&c);
    if (status == EXIT_OK)
        (c.call.json ? print_json : print_people)(&c);
    return topic_finish(&c.call, status);
}

static const struct command describe_command = {.name = "cluster describe",
                                                .summary =
                                                    "describe the brokers, the quorum and the features",
                                                .help = describe_help,
                                                .options = options,
                                                .run = run};
