// odradek config: whose settings, set and unset.
#include "cli/config.h"
#include "config/alter.h"
#include "metadata/image.h"
#include "protocol/errors.h"

static const char help[] =
    "  odradek config get topic/orders\n"
    "  odradek config set topic/orders retention.ms=86400000 cleanup.policy+=compact\n"
    "  odradek config unset topic/orders retention.ms\n"
    "  odradek config set broker message.max.bytes=2000000     # of every broker\n"
    "\n"
    "Reads and changes the settings of a running cluster. They belong to\n"
    "  topic/NAME            a topic\n"
    "  broker/ID             one broker\n"
    "  broker                all brokers: what counts where a broker has no setting of its own\n"
    "  group/NAME            a group of consumers\n"
    "  client-metrics/NAME   a subscription of clients' metrics\n"
    "`odradek config get --help` and so on say more. All take\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        for programs\n";

static const struct command *const commands[] = {&config_get_command, &config_set_command,
                                                 &config_unset_command, NULL};

const struct command config_command = {.name = "config",
                                       .summary = "read and change settings of topics, brokers, groups",
                                       .help = help,
                                       .commands = commands};

// --- whose ---

static const struct {
    const char *word;
    int8_t type;
    bool named; // never without a name
} kinds[] = {{"topic", IMAGE_RESOURCE_TOPIC, true},
             {"broker", IMAGE_RESOURCE_BROKER, false},
             {"group", IMAGE_RESOURCE_GROUP, true},
             {"client-metrics", IMAGE_RESOURCE_CLIENT_METRICS, true}};

#define KINDS (sizeof kinds / sizeof *kinds)

bool config_resource_parse(const struct command *command, const char *text, struct config_resource *out)
{
    const char *slash = strchr(text, '/');
    struct str word = {text, slash ? (size_t)(slash - text) : strlen(text)};
    for (size_t i = 0; i < KINDS; i++) {
        if (!str_is(word, kinds[i].word))
            continue;
        *out = (struct config_resource){kinds[i].type, slash ? str_from(slash + 1) : STR("")};
        if (out->name.size > 0 || (!slash && !kinds[i].named))
            return true;
        cli_misuse(command, "%s: expected %s/NAME", text, kinds[i].word);
        return false;
    }
    cli_misuse(command, "%s: expected topic/NAME, broker, broker/ID, group/NAME or client-metrics/NAME",
               text);
    return false;
}

struct str config_resource_text(const struct config_resource *resource, struct arena *arena)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].type == resource->type)
            return resource->name.size
                       ? arena_printf(arena, "%s/%.*s", kinds[i].word, STR_ARG(resource->name))
                       : str_from(kinds[i].word);
    return resource->name;
}

// --- changes ---

bool config_change_parse(const struct command *command, const char *text, struct config_change *out)
{
    const char *equals = strchr(text, '=');
    size_t size = equals ? (size_t)(equals - text) : 0;
    *out = (struct config_change){.operation = CONFIG_SET};
    if (size > 1 && (text[size - 1] == '+' || text[size - 1] == '-')) {
        size--;
        out->operation = text[size] == '+' ? CONFIG_APPEND : CONFIG_SUBTRACT;
    }
    if (size == 0) {
        cli_misuse(command, "%s: expected NAME=VALUE, NAME+=VALUE or NAME-=VALUE", text);
        return false;
    }
    out->name = (struct str){text, size};
    out->value = str_from(equals + 1);
    return true;
}

struct config_change config_unset(const char *name)
{
    return (struct config_change){str_from(name), STR_NULL, CONFIG_DELETE};
}

static int alter_request(struct topic_call *t, const struct config_resource *resources,
                         int32_t resources_count, const struct config_change *changes, int32_t changes_count,
                         struct incremental_alter_configs_request *out)
{
    struct incremental_alter_configs_request_alterable_config *configs =
        incremental_alter_configs_request_alterable_config_new(&t->arena, changes_count);
    out->resources = incremental_alter_configs_request_alter_configs_resource_new(&t->arena, resources_count);
    if (!configs || !out->resources)
        return cli_fail(t->command, "out of memory");
    for (int32_t i = 0; i < changes_count; i++) {
        configs[i].name = changes[i].name;
        configs[i].value = changes[i].value;
        configs[i].config_operation = changes[i].operation;
    }
    out->resources_count = resources_count;
    for (int32_t i = 0; i < resources_count; i++) {
        out->resources[i].resource_type = resources[i].type;
        out->resources[i].resource_name = resources[i].name;
        out->resources[i].configs = configs;
        out->resources[i].configs_count = changes_count;
    }
    return EXIT_OK;
}

void config_print_result(struct topic_call *t, struct str resource, int16_t error, struct str message)
{
    buffer_text(&t->out, t->out.size ? ",\n{" : "[{");
    json_member(&t->out, "resource", resource);
    buffer_text(&t->out, ",");
    json_member(&t->out, "error", error ? str_from(error_code_name(error)) : STR_NULL);
    buffer_text(&t->out, ",");
    json_member(&t->out, "message", message);
    buffer_text(&t->out, "}");
}

int config_finish_results(struct topic_call *t, int status)
{
    if (t->json && t->out.size)
        buffer_text(&t->out, "]\n");
    return topic_finish(t, status);
}

static int print_altered(struct topic_call *t, const struct incremental_alter_configs_response *r,
                         bool dry_run)
{
    int status = EXIT_OK;
    for (int32_t i = 0; i < r->responses_count; i++) {
        struct config_resource resource = {r->responses[i].resource_type, r->responses[i].resource_name};
        struct str name = config_resource_text(&resource, &t->arena);
        int16_t error = r->responses[i].error_code;
        if (t->json) {
            config_print_result(t, name, error, r->responses[i].error_message);
            status = error ? EXIT_FAILED : status;
        } else if (error) {
            status = topic_refused(t, name, error, r->responses[i].error_message);
        } else {
            buffer_printf(&t->out, "%s %.*s\n", dry_run ? "could change" : "changed", STR_ARG(name));
        }
    }
    return status;
}

int config_alter(struct topic_call *t, const struct config_resource *resources, int32_t resources_count,
                 const struct config_change *changes, int32_t changes_count, bool dry_run)
{
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    int16_t version = client_version(&t->client, API_INCREMENTAL_ALTER_CONFIGS, 1);
    if (version < 0)
        return cli_fail(t->command, "%s", t->client.error);
    message_init(&incremental_alter_configs_request_type, &request);
    request.validate_only = dry_run;
    int status = alter_request(t, resources, resources_count, changes, changes_count, &request);
    if (status != EXIT_OK)
        return status;
    if (client_call(&t->client, API_INCREMENTAL_ALTER_CONFIGS, version, &request, &t->arena, &response) != 0)
        return cli_fail(t->command, "%s", t->client.error);
    return print_altered(t, &response, dry_run);
}

// --- set and unset ---

#define CHANGE_OPTIONS                                                             \
    "  -n, --dry-run                     only check whether it could be changed\n" \
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"     \
    "  -t, --timeout SECONDS             how long to wait (30)\n"                  \
    "  -j, --json                        one array of {resource, error, message}\n"

static const char set_help[] =
    "  odradek config set topic/orders retention.ms=86400000\n"
    "  odradek config set topic/orders cleanup.policy+=compact cleanup.policy-=delete\n"
    "  odradek config set broker/1 max.connections=1000\n"
    "  odradek config set broker log.retention.ms=3600000\n"
    "  odradek config set group/billing consumer.session.timeout.ms=50000\n"
    "\n"
    "Changes settings while the cluster runs; all of one command or none. NAME=VALUE sets, += adds entries "
    "to a\n"
    "list, -= takes them out. A change takes effect at once and lasts.\n" CHANGE_OPTIONS;

static const char unset_help[] =
    "  odradek config unset topic/orders retention.ms cleanup.policy\n"
    "  odradek config unset broker log.retention.ms\n"
    "\n"
    "Takes settings back to what counts without them.\n" CHANGE_OPTIONS;

static int change(struct topic_call *t, bool unset, bool dry_run)
{
    struct config_resource resource;
    struct config_change *changes = arena_zalloc(&t->arena, (size_t)t->names_count + 1, sizeof *changes);
    if (!changes)
        return cli_fail(t->command, "out of memory");
    if (t->names_count < 2)
        return cli_misuse(t->command, t->names_count ? "no setting is named" : "no resource is named");
    if (!config_resource_parse(t->command, t->names[0].data, &resource))
        return EXIT_USAGE;
    for (int32_t i = 1; i < t->names_count; i++) {
        if (unset)
            changes[i - 1] = config_unset(t->names[i].data);
        else if (!config_change_parse(t->command, t->names[i].data, &changes[i - 1]))
            return EXIT_USAGE;
    }
    int status = topic_connect(t);
    return status == EXIT_OK ? config_alter(t, &resource, 1, changes, t->names_count - 1, dry_run) : status;
}

static const struct option change_options[] = {TOPIC_OPTIONS, {"dry-run", 'n', false}, {NULL, 0, false}};

static int run_change(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct topic_call t;
    bool dry_run = false;
    int status = topic_start(&t, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == TOPIC_OWN_OPTIONS)
            dry_run = true;
        else if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&t, options_status(option));
        else if (!topic_option(&t, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = change(&t, self == &config_unset_command, dry_run);
    return config_finish_results(&t, status);
}

const struct command config_set_command = {.name = "config set",
                                           .summary = "change settings",
                                           .help = set_help,
                                           .options = change_options,
                                           .argument = ARGUMENT_RESOURCE,
                                           .run = run_change};
const struct command config_unset_command = {.name = "config unset",
                                             .summary = "take settings back",
                                             .help = unset_help,
                                             .options = change_options,
                                             .argument = ARGUMENT_RESOURCE,
                                             .run = run_change};
