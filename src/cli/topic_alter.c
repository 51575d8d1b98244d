// odradek topic alter
#include "cli/config.h"
#include "metadata/image.h"
#include "protocol/errors.h"

static const char help[] =
    "  odradek topic alter orders --partitions 6\n"
    "  odradek topic alter orders payments --config retention.ms=86400000 --unset cleanup.policy\n"
    "\n"
    "Changes topics while they are used.\n"
    "  -p, --partitions N                so many partitions in all; there can only become more\n"
    "  -c, --config NAME=VALUE           a setting; += adds to a list, -= takes from it; may be given again\n"
    "  -u, --unset NAME                  a setting that goes back to the default; may be given again\n"
    "  -n, --dry-run                     only check whether it could be changed\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {resource, error, message}\n";

enum { ALTER_PARTITIONS = TOPIC_OWN_OPTIONS, ALTER_CONFIG, ALTER_UNSET, ALTER_DRY_RUN };

static const struct option known[] = {TOPIC_OPTIONS,        {"partitions", 'p', true}, {"config", 'c', true},
                                      {"unset", 'u', true}, {"dry-run", 'n', false},   {NULL, 0, false}};

struct alter {
    struct topic_call call;
    int64_t partitions; // 0: as they are
    struct config_change *changes;
    int32_t changes_count;
    bool dry_run;
};

static int take_option(struct alter *a, const struct options *o, int option)
{
    switch (option) {
    case ALTER_PARTITIONS:
        return options_number(o, 1, INT32_MAX, &a->partitions) ? EXIT_OK : EXIT_USAGE;
    case ALTER_CONFIG:
        return config_change_parse(o->command, o->value, &a->changes[a->changes_count++]) ? EXIT_OK
                                                                                          : EXIT_USAGE;
    case ALTER_UNSET:
        a->changes[a->changes_count++] = config_unset(o->value);
        return EXIT_OK;
    case ALTER_DRY_RUN:
        a->dry_run = true;
        return EXIT_OK;
    default:
        return topic_option(&a->call, o, option) ? EXIT_OK : EXIT_USAGE;
    }
}

static int alter_configs(struct alter *a)
{
    struct topic_call *t = &a->call;
    struct config_resource *resources = arena_zalloc(&t->arena, (size_t)t->names_count, sizeof *resources);
    if (!resources)
        return cli_fail(t->command, "out of memory");
    for (int32_t i = 0; i < t->names_count; i++)
        resources[i] = (struct config_resource){IMAGE_RESOURCE_TOPIC, t->names[i]};
    return config_alter(t, resources, t->names_count, a->changes, a->changes_count, a->dry_run);
}

static int print_grown(struct alter *a, const struct create_partitions_response *r)
{
    struct topic_call *t = &a->call;
    int status = EXIT_OK;
    for (int32_t i = 0; i < r->results_count; i++) {
        struct str name = r->results[i].name;
        int16_t error = r->results[i].error_code;
        if (t->json) {
            config_print_result(t, arena_printf(&t->arena, "topic/%.*s", STR_ARG(name)), error,
                                r->results[i].error_message);
            status = error ? EXIT_FAILED : status;
        } else if (error) {
            status = topic_refused(t, name, error, r->results[i].error_message);
        } else {
            buffer_printf(&t->out, "%.*s %s %lld partition%s\n", STR_ARG(name),
                          a->dry_run ? "could have" : "has", (long long)a->partitions,
                          a->partitions == 1 ? "" : "s");
        }
    }
    return status;
}

static int grow(struct alter *a)
{
    struct topic_call *t = &a->call;
    struct create_partitions_request request;
    struct create_partitions_response response;
    int16_t version = client_version(&t->client, API_CREATE_PARTITIONS, 3);
    if (version < 0)
        return cli_fail(t->command, "%s", t->client.error);
    message_init(&create_partitions_request_type, &request);
    request.timeout_ms = (int32_t)t->timeout_s * 1000;
    request.validate_only = a->dry_run;
    request.topics = create_partitions_request_create_partitions_topic_new(&t->arena, t->names_count);
    if (!request.topics)
        return cli_fail(t->command, "out of memory");
    request.topics_count = t->names_count;
    for (int32_t i = 0; i < t->names_count; i++) {
        request.topics[i].name = t->names[i];
        request.topics[i].count = (int32_t)a->partitions;
        request.topics[i].assignments_count = -1; // null: the controller chooses
    }
    if (client_call(&t->client, API_CREATE_PARTITIONS, version, &request, &t->arena, &response) != 0)
        return cli_fail(t->command, "%s", t->client.error);
    return print_grown(a, &response);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct alter a = {0};
    int status = topic_start(&a.call, self, argc), option;
    a.changes = arena_zalloc(&a.call.arena, (size_t)argc + 1, sizeof *a.changes);
    if (status == EXIT_OK && !a.changes)
        status = cli_fail(self, "out of memory");
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&a.call, options_status(option));
        status = take_option(&a, &o, option);
    }
    if (status == EXIT_OK && a.call.names_count == 0)
        status = cli_misuse(self, "no topic is named");
    if (status == EXIT_OK && !a.partitions && !a.changes_count)
        status = cli_misuse(self, "nothing is to be changed");
    if (status == EXIT_OK)
        status = topic_connect(&a.call);
    if (status == EXIT_OK && a.changes_count)
        status = alter_configs(&a);
    if (status == EXIT_OK && a.partitions)
        status = grow(&a);
    return config_finish_results(&a.call, status);
}

const struct command topic_alter_command = {.name = "topic alter",
                                            .summary = "change settings and partitions of topics",
                                            .help = help,
                                            .options = known,
                                            .argument = ARGUMENT_TOPIC,
                                            .run = run};
