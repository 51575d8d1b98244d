// odradek config get
#include "cli/config.h"
#include "config/describe.h"
#include "metadata/image.h"
#include "protocol/errors.h"

static const char help[] =
    "  odradek config get topic/orders\n"
    "  odradek config get topic/orders retention.ms cleanup.policy\n"
    "  odradek config get broker/1 --all\n"
    "  odradek config get broker\n"
    "\n"
    "Shows settings: those that are named, or those that were changed, each with where its value comes "
    "from.\n"
    "  -a, --all                         every setting, the defaults too\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {name, value, source, readOnly, sensitive}\n";

#define config_result describe_configs_response_describe_configs_resource_result

static const char *source_text(int8_t source)
{
    static const char *const texts[] = {[CONFIG_SOURCE_TOPIC] = "topic",
                                        [CONFIG_SOURCE_DYNAMIC_BROKER] = "this broker",
                                        [CONFIG_SOURCE_DYNAMIC_CLUSTER] = "all brokers",
                                        [CONFIG_SOURCE_STATIC_BROKER] = "server.properties",
                                        [CONFIG_SOURCE_DEFAULT] = "default",
                                        [CONFIG_SOURCE_LOGGER] = "logger",
                                        [CONFIG_SOURCE_CLIENT_METRICS] = "client metrics",
                                        [CONFIG_SOURCE_GROUP] = "group"};
    return source > 0 && (size_t)source < sizeof texts / sizeof *texts ? texts[source] : "unknown";
}

static void print_json(struct topic_call *t, const struct config_result *c, bool first)
{
    buffer_text(&t->out, first ? "[{" : ",\n{");
    json_member(&t->out, "name", c->name);
    buffer_text(&t->out, ",");
    json_member(&t->out, "value", c->value);
    buffer_text(&t->out, ",");
    json_member(&t->out, "source", str_from(source_text(c->config_source)));
    buffer_printf(&t->out, ",\"readOnly\":%s,\"sensitive\":%s}", c->read_only ? "true" : "false",
                  c->is_sensitive ? "true" : "false");
}

// What somebody changed: of topics and groups what is their own, of brokers what is no default.
static bool is_changed(const struct config_resource *resource, const struct config_result *c)
{
    return resource->type == IMAGE_RESOURCE_BROKER
               ? c->config_source != CONFIG_SOURCE_DEFAULT
               : c->config_source == CONFIG_SOURCE_TOPIC || c->config_source >= CONFIG_SOURCE_CLIENT_METRICS;
}

static void print(struct topic_call *t, const struct config_resource *resource,
                  const struct describe_configs_response_describe_configs_result *r, bool all)
{
    struct table table = {.columns = 3};
    bool first = true;
    table_cell(&table, "SETTING");
    table_cell(&table, "VALUE");
    table_cell(&table, "FROM");
    for (int32_t i = 0; i < r->configs_count; i++) {
        const struct config_result *c = &r->configs[i];
        if (!all && !is_changed(resource, c))
            continue;
        if (t->json)
            print_json(t, c, first);
        struct str value = c->is_sensitive ? STR("(not shown)") : c->value.data ? c->value : STR("-");
        table_cell(&table, "%.*s", STR_ARG(c->name));
        table_cell(&table, "%.*s", STR_ARG(value));
        table_cell(&table, "%s", source_text(c->config_source));
        first = false;
    }
    if (t->json)
        buffer_text(&t->out, first ? "[]\n" : "]\n");
    else if (first)
        buffer_text(&t->out, "nothing was changed; --all shows the defaults\n");
    else
        table_print(&table, &t->out);
    table_free(&table);
}

// What was named and is no setting of the resource. All brokers' have those alone that somebody set.
static int check_named(struct topic_call *t, const struct config_resource *resource,
                       const struct describe_configs_response_describe_configs_result *r)
{
    bool open = resource->type == IMAGE_RESOURCE_BROKER && resource->name.size == 0;
    for (int32_t i = 1; i < t->names_count && !open; i++) {
        bool found = false;
        for (int32_t k = 0; k < r->configs_count && !found; k++)
            found = str_equal(r->configs[k].name, t->names[i]);
        if (found)
            continue;
        struct str what = config_resource_text(resource, &t->arena);
        return cli_fail(t->command, "%.*s has no setting %.*s; --all shows those that there are",
                        STR_ARG(what), STR_ARG(t->names[i]));
    }
    return EXIT_OK;
}

static int get(struct topic_call *t, bool all)
{
    struct config_resource resource;
    struct describe_configs_request request;
    struct describe_configs_response response;
    if (t->names_count == 0)
        return cli_misuse(t->command, "no resource is named");
    if (!config_resource_parse(t->command, t->names[0].data, &resource))
        return EXIT_USAGE;
    int status = topic_connect(t);
    if (status != EXIT_OK)
        return status;
    int16_t version = client_version(&t->client, API_DESCRIBE_CONFIGS, 4);
    if (version < 0)
        return cli_fail(t->command, "%s", t->client.error);
    message_init(&describe_configs_request_type, &request);
    request.resources = describe_configs_request_describe_configs_resource_new(&t->arena, 1);
    if (!request.resources)
        return cli_fail(t->command, "out of memory");
    request.resources_count = 1;
    request.resources[0].resource_type = resource.type;
    request.resources[0].resource_name = resource.name;
    request.resources[0].configuration_keys = t->names_count > 1 ? t->names + 1 : NULL;
    request.resources[0].configuration_keys_count = t->names_count > 1 ? t->names_count - 1 : -1;
    if (client_call(&t->client, API_DESCRIBE_CONFIGS, version, &request, &t->arena, &response) != 0)
        return cli_fail(t->command, "%s", t->client.error);
    for (int32_t i = 0; i < response.results_count; i++) {
        if (response.results[i].error_code)
            return topic_refused(t, config_resource_text(&resource, &t->arena),
                                 response.results[i].error_code, response.results[i].error_message);
        status = check_named(t, &resource, &response.results[i]);
        if (status == EXIT_OK)
            print(t, &resource, &response.results[i], all || t->names_count > 1);
    }
    return status;
}

static const struct option known[] = {TOPIC_OPTIONS, {"all", 'a', false}, {NULL, 0, false}};

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct topic_call t;
    bool all = false;
    int status = topic_start(&t, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == TOPIC_OWN_OPTIONS)
            all = true;
        else if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&t, options_status(option));
        else if (!topic_option(&t, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = get(&t, all);
    return topic_finish(&t, status);
}

const struct command config_get_command = {.name = "config get",
                                           .summary = "show settings",
                                           .help = help,
                                           .options = known,
                                           .argument = ARGUMENT_RESOURCE,
                                           .run = run};
