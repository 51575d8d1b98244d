// odradek topic describe: metadata, offsets from each partition's leader, and the settings that are not
// defaults.
#include "cli/cluster.h"
#include "config/describe.h"
#include "protocol/errors.h"

#include <inttypes.h>

static const char help[] =
    "  odradek topic describe orders\n"
    "  odradek topic describe\n"
    "\n"
    "Describes topics (all without a name): partitions with leader, replicas and offsets, and the settings "
    "that\n"
    "were changed.\n"
    "  -a, --all                         every setting, the defaults too\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {name, topicId, partitions, configs}\n";

struct describe {
    struct topic_call call;
    bool all;
    struct metadata_response cluster;
    struct offset_question *starts,
        *ends; // of the topic at hand, by the position of the partition in the metadata
};

static int ask_offsets(struct describe *d, const struct metadata_response_metadata_response_topic *topic,
                       int64_t timestamp, struct offset_question **out)
{
    size_t n = (size_t)topic->partitions_count;
    struct offset_question *all = arena_zalloc(&d->call.arena, n + 1, sizeof *all);
    if (!all)
        return cli_fail(d->call.command, "out of memory");
    for (size_t i = 0; i < n; i++)
        all[i] = (struct offset_question){
            .topic = topic->name, .partition = topic->partitions[i].partition_index, .timestamp = timestamp};
    *out = all;
    return cluster_offsets(&d->call, &d->cluster, all, n);
}

static int ask_configs(struct describe *d, struct str topic, struct describe_configs_response *out)
{
    struct topic_call *t = &d->call;
    struct describe_configs_request request;
    int16_t version = client_version(&t->client, API_DESCRIBE_CONFIGS, 4);
    if (version < 0)
        return cli_fail(t->command, "%s", t->client.error);
    message_init(&describe_configs_request_type, &request);
    request.resources = describe_configs_request_describe_configs_resource_new(&t->arena, 1);
    if (!request.resources)
        return cli_fail(t->command, "out of memory");
    request.resources_count = 1;
    request.resources[0].resource_type = 2; // a topic
    request.resources[0].resource_name = topic;
    request.resources[0].configuration_keys_count = -1; // null: all
    if (client_call(&t->client, API_DESCRIBE_CONFIGS, version, &request, &t->arena, out) != 0)
        return cli_fail(t->command, "%s", t->client.error);
    if (out->results_count != 1)
        return cli_fail(t->command, "%.*s: the broker describes no settings", STR_ARG(topic));
    if (out->results[0].error_code != E_NONE)
        return topic_refused(t, topic, out->results[0].error_code, out->results[0].error_message);
    return EXIT_OK;
}

static struct str join_ids(struct arena *arena, const int32_t *ids, int32_t n)
{
    struct str out = STR("");
    for (int32_t i = 0; i < n && out.data; i++)
        out = arena_printf(arena, "%.*s%s%d", STR_ARG(out), i ? "," : "", ids[i]);
    return out;
}

static void print_people(struct describe *d, const struct metadata_response_metadata_response_topic *topic,
                         const struct describe_configs_response_describe_configs_result *configs)
{
    struct topic_call *t = &d->call;
    struct table table = {.columns = 6};
    char id[UUID_TEXT_BYTES];
    uuid_text(&topic->topic_id, id);
    buffer_printf(&t->out, "%.*s  id %s\n", STR_ARG(topic->name), id);
    table_cell(&table, "  PARTITION"), table_cell(&table, "LEADER"), table_cell(&table, "REPLICAS");
    table_cell(&table, "IN SYNC"), table_cell(&table, "START"), table_cell(&table, "END");
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct metadata_response_metadata_response_partition *p = &topic->partitions[i];
        table_cell(&table, "  %d", p->partition_index);
        table_cell(&table, p->leader_id < 0 ? "none" : "%d", p->leader_id);
        table_cell(&table, "%s", join_ids(&t->arena, p->replica_nodes, p->replica_nodes_count).data);
        table_cell(&table, "%s", join_ids(&t->arena, p->isr_nodes, p->isr_nodes_count).data);
        table_cell(&table, d->starts[i].offset < 0 ? "?" : "%" PRId64, d->starts[i].offset);
        table_cell(&table, d->ends[i].offset < 0 ? "?" : "%" PRId64, d->ends[i].offset);
    }
    table_print(&table, &t->out);
    table_free(&table);
    for (int32_t i = 0; i < configs->configs_count; i++)
        if (d->all || configs->configs[i].config_source == CONFIG_SOURCE_TOPIC)
            buffer_printf(&t->out, "  %.*s=%.*s%s\n", STR_ARG(configs->configs[i].name),
                          STR_ARG(configs->configs[i].value),
                          configs->configs[i].config_source == CONFIG_SOURCE_TOPIC ? "" : "  (default)");
}

static void print_json(struct describe *d, const struct metadata_response_metadata_response_topic *topic,
                       const struct describe_configs_response_describe_configs_result *configs)
{
    struct buffer *out = &d->call.out;
    char id[UUID_TEXT_BYTES];
    bool first = true;
    uuid_text(&topic->topic_id, id);
    buffer_byte(out, '{');
    json_member(out, "name", topic->name);
    buffer_printf(out, ",\"topicId\":\"%s\",\"partitions\":[", id);
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct metadata_response_metadata_response_partition *p = &topic->partitions[i];
        buffer_printf(out, "%s{\"partition\":%d,\"leader\":%d,\"replicas\":[%s],\"isr\":[%s],", i ? "," : "",
                      p->partition_index, p->leader_id,
                      join_ids(&d->call.arena, p->replica_nodes, p->replica_nodes_count).data,
                      join_ids(&d->call.arena, p->isr_nodes, p->isr_nodes_count).data);
        buffer_printf(out, "\"startOffset\":%" PRId64 ",\"endOffset\":%" PRId64 "}", d->starts[i].offset,
                      d->ends[i].offset);
    }
    buffer_text(out, "],\"configs\":{");
    for (int32_t i = 0; i < configs->configs_count; i++) {
        if (!d->all && configs->configs[i].config_source != CONFIG_SOURCE_TOPIC)
            continue;
        if (!first)
            buffer_byte(out, ',');
        first = false;
        json_text(out, configs->configs[i].name);
        buffer_byte(out, ':');
        if (configs->configs[i].value.data)
            json_text(out, configs->configs[i].value);
        else
            buffer_text(out, "null");
    }
    buffer_text(out, "}}");
}

static int describe_one(struct describe *d, const struct metadata_response_metadata_response_topic *topic,
                        bool first)
{
    struct topic_call *t = &d->call;
    struct describe_configs_response configs;
    if (topic->error_code != E_NONE)
        return topic_refused(t, topic->name, topic->error_code, STR_NULL);
    int status = ask_offsets(d, topic, OFFSET_EARLIEST, &d->starts);
    if (status == EXIT_OK)
        status = ask_offsets(d, topic, OFFSET_LATEST, &d->ends);
    if (status == EXIT_OK)
        status = ask_configs(d, topic->name, &configs);
    if (status != EXIT_OK)
        return status;
    if (!first)
        buffer_text(&t->out, t->json ? ",\n" : "\n");
    (t->json ? print_json : print_people)(d, topic, &configs.results[0]);
    return EXIT_OK;
}

static int describe_all(struct describe *d)
{
    struct topic_call *t = &d->call;
    int status = topic_metadata(t, &d->cluster);
    if (status != EXIT_OK)
        return status;
    bool first = true;
    if (t->json)
        buffer_byte(&t->out, '[');
    for (int32_t i = 0; i < d->cluster.topics_count; i++) {
        if (t->names_count == 0 && d->cluster.topics[i].is_internal)
            continue;
        int one = describe_one(d, &d->cluster.topics[i], first);
        first &= one != EXIT_OK;
        status = one != EXIT_OK ? one : status;
    }
    if (t->json)
        buffer_text(&t->out, "]\n");
    return status;
}

static const struct option known[] = {TOPIC_OPTIONS, {"all", 'a', false}, {NULL, 0, false}};

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct describe d = {.all = false};
    int status = topic_start(&d.call, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == TOPIC_OWN_OPTIONS)
            d.all = true;
        else if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&d.call, options_status(option));
        else if (!topic_option(&d.call, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = topic_connect(&d.call);
    if (status == EXIT_OK)
        status = describe_all(&d);
    return topic_finish(&d.call, status);
}

const struct command topic_describe_command = {.name = "topic describe",
                                               .summary = "describe topics",
                                               .help = help,
                                               .options = known,
                                               .argument = ARGUMENT_TOPIC,
                                               .run = run};
