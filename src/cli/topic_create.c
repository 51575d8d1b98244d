// odradek topic create
#include "cli/topic.h"
#include "protocol/errors.h"

static const char help[] =
    "  odradek topic create orders\n"
    "  odradek topic create orders payments --partitions 3\n"
    "  odradek topic create users --config cleanup.policy=compact --config retention.ms=-1\n"
    "\n"
    "Creates topics. Without --partitions and --replicas the broker's num.partitions and\n"
    "default.replication.factor apply.\n"
    "  -p, --partitions N                partitions of each topic\n"
    "  -r, --replicas N                  replicas of each partition\n"
    "  -c, --config NAME=VALUE           a setting of the topic; may be given again\n"
    "  -e, --if-not-exists               a topic that is there is no error\n"
    "  -n, --dry-run                     only check whether it could be created\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {name, topicId, partitions, replicas, error}\n";

enum {
    CREATE_PARTITIONS = TOPIC_OWN_OPTIONS,
    CREATE_REPLICAS,
    CREATE_CONFIG,
    CREATE_IF_NOT_EXISTS,
    CREATE_DRY_RUN
};

static const struct option known[] = {
    TOPIC_OPTIONS,         {"partitions", 'p', true},     {"replicas", 'r', true},
    {"config", 'c', true}, {"if-not-exists", 'e', false}, {"dry-run", 'n', false},
    {NULL, 0, false}};

struct create {
    struct topic_call call;
    int64_t partitions, replicas; // -1: the broker's default
    struct create_topics_request_creatable_topic_config *configs;
    int32_t configs_count;
    bool if_not_exists, dry_run;
};

static int add_config(struct create *c, const struct options *o)
{
    const char *equals = strchr(o->value, '=');
    if (!equals || equals == o->value)
        return cli_misuse(o->command, "--config %s: expected NAME=VALUE", o->value);
    struct create_topics_request_creatable_topic_config *one = &c->configs[c->configs_count++];
    one->name = (struct str){o->value, (size_t)(equals - o->value)};
    one->value = str_from(equals + 1);
    return EXIT_OK;
}

static int take_option(struct create *c, const struct options *o, int option)
{
    switch (option) {
    case CREATE_PARTITIONS:
        return options_number(o, 1, INT32_MAX, &c->partitions) ? EXIT_OK : EXIT_USAGE;
    case CREATE_REPLICAS:
        return options_number(o, 1, INT16_MAX, &c->replicas) ? EXIT_OK : EXIT_USAGE;
    case CREATE_CONFIG:
        return add_config(c, o);
    case CREATE_IF_NOT_EXISTS:
        c->if_not_exists = true;
        return EXIT_OK;
    case CREATE_DRY_RUN:
        c->dry_run = true;
        return EXIT_OK;
    default:
        return topic_option(&c->call, o, option) ? EXIT_OK : EXIT_USAGE;
    }
}

typedef struct create_topics_response_creatable_topic_result created;

// What only a topic that came to be has is null where it did not.
static void print_created_json(struct topic_call *t, const created *one, bool refused)
{
    char id[UUID_TEXT_BYTES];
    uuid_text(&one->topic_id, id);
    buffer_byte(&t->out, '{');
    json_member(&t->out, "name", one->name);
    if (one->error_code)
        buffer_text(&t->out, ",\"topicId\":null,\"partitions\":null,\"replicas\":null,");
    else
        buffer_printf(&t->out, ",\"topicId\":\"%s\",\"partitions\":%d,\"replicas\":%d,", id,
                      one->num_partitions, one->replication_factor);
    json_member(&t->out, "error", refused ? str_from(error_code_name(one->error_code)) : STR_NULL);
    buffer_byte(&t->out, '}');
}

static int print_created(struct create *c, const struct create_topics_response *r, int16_t version)
{
    struct topic_call *t = &c->call;
    int status = EXIT_OK;
    for (int32_t i = 0; i < r->topics_count; i++) {
        const created *one = &r->topics[i];
        bool there = c->if_not_exists && one->error_code == E_TOPIC_ALREADY_EXISTS;
        bool refused = one->error_code && !there;
        if (t->json) {
            buffer_text(&t->out, i ? ",\n" : "[");
            print_created_json(t, one, refused);
            buffer_text(&t->out, i + 1 < r->topics_count ? "" : "]\n");
        }
        if (refused) {
            status = topic_refused(t, one->name, one->error_code, one->error_message);
        } else if (t->json) {
            continue;
        } else if (there) {
            buffer_printf(&t->out, "%.*s is there already\n", STR_ARG(one->name));
        } else if (version >= 5) {
            buffer_printf(&t->out, "%s %.*s, %d partition%s, %d replica%s\n",
                          c->dry_run ? "could create" : "created", STR_ARG(one->name), one->num_partitions,
                          one->num_partitions == 1 ? "" : "s", one->replication_factor,
                          one->replication_factor == 1 ? "" : "s");
        } else {
            buffer_printf(&t->out, "%s %.*s\n", c->dry_run ? "could create" : "created", STR_ARG(one->name));
        }
    }
    return status;
}

static int call_create(struct create *c)
{
    struct topic_call *t = &c->call;
    struct create_topics_request request;
    struct create_topics_response response;
    int16_t version = client_version(&t->client, API_CREATE_TOPICS, 7);
    if (version < 0)
        return cli_fail(t->command, "%s", t->client.error);
    message_init(&create_topics_request_type, &request);
    request.timeout_ms = (int32_t)t->timeout_s * 1000;
    request.validate_only = c->dry_run;
    request.topics = create_topics_request_creatable_topic_new(&t->arena, t->names_count);
    if (!request.topics)
        return cli_fail(t->command, "out of memory");
    request.topics_count = t->names_count;
    for (int32_t i = 0; i < t->names_count; i++) {
        request.topics[i].name = t->names[i];
        request.topics[i].num_partitions = (int32_t)c->partitions;
        request.topics[i].replication_factor = (int16_t)c->replicas;
        if (c->configs_count > 0) {
            request.topics[i].configs = c->configs;
            request.topics[i].configs_count = c->configs_count;
        }
    }
    if (client_call(&t->client, API_CREATE_TOPICS, version, &request, &t->arena, &response) != 0)
        return cli_fail(t->command, "%s", t->client.error);
    return print_created(c, &response, version);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct create c = {.partitions = -1, .replicas = -1};
    int status = topic_start(&c.call, self, argc), option;
    c.configs = create_topics_request_creatable_topic_config_new(&c.call.arena, argc + 1);
    if (status == EXIT_OK && !c.configs)
        status = cli_fail(self, "out of memory");
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&c.call, options_status(option));
        status = take_option(&c, &o, option);
    }
    if (status == EXIT_OK && c.call.names_count == 0)
        status = cli_misuse(self, "no topic is named");
    if (status == EXIT_OK)
        status = topic_connect(&c.call);
    if (status == EXIT_OK)
        status = call_create(&c);
    return topic_finish(&c.call, status);
}

const struct command topic_create_command = {
    .name = "topic create", .summary = "create topics", .help = help, .options = known, .run = run};
