// odradek topic: what its subcommands share, list and delete.
#include "cli/topic.h"

#include "base/clock.h"
#include "cli/waiting.h"
#include "os/stream.h"
#include "protocol/errors.h"

#include <stdlib.h>

static const char help[] =
    "  odradek topic create orders --partitions 3\n"
    "  odradek topic list\n"
    "  odradek topic describe orders\n"
    "  odradek topic alter orders --config retention.ms=86400000\n"
    "  odradek topic delete orders\n"
    "\n"
    "Creates, lists, describes, changes and deletes topics of a running broker; `odradek topic create "
    "--help` and so "
    "on say\n"
    "more. All take\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        for programs\n";

static const struct command *const commands[] = {&topic_create_command,   &topic_list_command,
                                                 &topic_describe_command, &topic_alter_command,
                                                 &topic_delete_command,   NULL};

const struct command topic_command = {.name = "topic",
                                      .summary = "create, list, describe, change and delete topics",
                                      .help = help,
                                      .commands = commands};

int topic_start(struct topic_call *t, const struct command *command, int argc)
{
    *t = (struct topic_call){
        .command = command, .servers = DEFAULT_SERVERS, .timeout_s = DEFAULT_TIMEOUT_MS / 1000};
    t->client.fd = -1;
    arena_init(&t->arena, 0);
    t->names = arena_zalloc(&t->arena, (size_t)argc + 1, sizeof *t->names);
    return t->names ? EXIT_OK : cli_fail(command, "out of memory");
}

bool topic_option(struct topic_call *t, const struct options *o, int option)
{
    switch (option) {
    case TOPIC_BOOTSTRAP:
        t->servers = o->value;
        return true;
    case TOPIC_TIMEOUT:
        return options_number(o, 1, 3600, &t->timeout_s);
    case TOPIC_JSON:
        t->json = true;
        return true;
    case OPTION_ARGUMENT:
        t->names[t->names_count++] = str_from(o->value);
        return true;
    default:
        return false;
    }
}

int topic_connect(struct topic_call *t)
{
    t->give_up_ms = clock_monotonic_ms() + t->timeout_s * 1000;
    waiting_for(t->command, t->give_up_ms, "%s", t->servers);
    stream_give_up_when(waiting_look);
    int err = client_open(&t->client, t->servers, (int)t->timeout_s * 1000);
    return err ? cli_fail(t->command, "%s" CLI_NO_BROKER, t->client.error) : EXIT_OK;
}

int topic_finish(struct topic_call *t, int status)
{
    bool written = cli_flush(&t->out) && fflush(stdout) == 0;
    client_close(&t->client);
    buffer_free(&t->out);
    arena_free(&t->arena);
    return status == EXIT_OK && !written ? cli_fail(t->command, "standard output cannot be written") : status;
}

const struct option topic_names_options[] = {TOPIC_OPTIONS, {NULL, 0, false}};

int topic_run_names(const struct command *self, int argc, char **argv, const char *missing,
                    int (*all)(struct topic_call *t))
{
    struct options o = options_start(self, argc, argv);
    struct topic_call t;
    int status = topic_start(&t, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&t, options_status(option));
        if (!topic_option(&t, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK && t.names_count == 0)
        status = cli_misuse(self, "%s", missing);
    if (status == EXIT_OK)
        status = topic_connect(&t);
    if (status == EXIT_OK)
        status = all(&t);
    return topic_finish(&t, status);
}

int topic_describe_each(struct topic_call *t,
                        int (*describe)(struct topic_call *t, struct str name, bool first))
{
    int status = EXIT_OK;
    bool first = true;
    if (t->json)
        buffer_byte(&t->out, '[');
    for (int32_t i = 0; i < t->names_count; i++) {
        int one = describe(t, t->names[i], first);
        first &= one != EXIT_OK;
        status = one != EXIT_OK ? one : status;
    }
    if (t->json)
        buffer_text(&t->out, "]\n");
    return status;
}

static const char *what_to_do(int16_t code)
{
    switch (code) {
    case E_UNKNOWN_TOPIC_OR_PARTITION:
        return CLI_NO_TOPIC;
    case E_GROUP_ID_NOT_FOUND:
        return "; `odradek group list` lists those that there are";
    case E_TRANSACTIONAL_ID_NOT_FOUND:
        return "; `odradek txn list` lists those that there are";
    case E_COORDINATOR_NOT_AVAILABLE:
        return "; the broker cannot make or lead the topic that the coordinator keeps its state in: its log "
               "says why";
    case E_COORDINATOR_LOAD_IN_PROGRESS:
    case E_NOT_COORDINATOR:
    case E_CONCURRENT_TRANSACTIONS:
        return "; it passes: try again, or wait longer with --timeout";
    case E_NOT_CONTROLLER:
    case E_REQUEST_TIMED_OUT:
        return "; `odradek cluster describe` shows the controller";
    case E_TOPIC_ALREADY_EXISTS:
        return "; --if-not-exists leaves it as it is";
    default:
        return "";
    }
}

int topic_refused(struct topic_call *t, struct str name, int16_t code, struct str message)
{
    if (!message.data || message.size == 0)
        message = str_from(error_code_message(code));
    cli_flush(&t->out);
    return cli_fail(t->command, "%.*s: %.*s (%s)%s", STR_ARG(name), STR_ARG(message), error_code_name(code),
                    what_to_do(code));
}

int topic_metadata(struct topic_call *t, struct metadata_response *out)
{
    struct metadata_request request;
    int16_t version = client_version(&t->client, API_METADATA, 12);
    if (version < 1)
        return cli_fail(t->command, "%s", t->client.error);
    message_init(&metadata_request_type, &request);
    request.allow_auto_topic_creation = version < 4; // older versions always allow it
    request.topics_count = -1;                       // null: all of them
    if (t->names_count > 0) {
        request.topics = metadata_request_metadata_request_topic_new(&t->arena, t->names_count);
        if (!request.topics)
            return cli_fail(t->command, "out of memory");
        request.topics_count = t->names_count;
        for (int32_t i = 0; i < t->names_count; i++)
            request.topics[i].name = t->names[i];
    }
    int err = client_call(&t->client, API_METADATA, version, &request, &t->arena, out);
    return err ? cli_fail(t->command, "%s", t->client.error) : EXIT_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct metadata_response_metadata_response_topic *x = a, *y = b;
    return str_compare(x->name, y->name);
}

static const char list_help[] =
    "  odradek topic list\n"
    "  odradek topic list --internal --json\n"
    "\n"
    "Lists the topics with the number of their partitions and replicas.\n"
    "  -i, --internal                    the broker's own topics, too\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {name, topicId, partitions, replicas, internal}\n";

static void print_list(struct topic_call *t, struct metadata_response *all, bool internal)
{
    struct table table = {.columns = 3};
    bool first = true;
    if (all->topics_count > 0)
        qsort(all->topics, (size_t)all->topics_count, sizeof *all->topics, by_name);
    if (t->json)
        buffer_byte(&t->out, '[');
    else
        table_cell(&table, "TOPIC"), table_cell(&table, "PARTITIONS"), table_cell(&table, "REPLICAS");
    for (int32_t i = 0; i < all->topics_count; i++) {
        const struct metadata_response_metadata_response_topic *m = &all->topics[i];
        int32_t replicas = m->partitions_count ? m->partitions[0].replica_nodes_count : 0;
        if (m->is_internal && !internal)
            continue;
        if (!t->json) {
            table_cell(&table, "%.*s", STR_ARG(m->name));
            table_cell(&table, "%d", m->partitions_count);
            table_cell(&table, "%d", replicas);
            continue;
        }
        char id[UUID_TEXT_BYTES];
        uuid_text(&m->topic_id, id);
        buffer_text(&t->out, first ? "{" : ",\n{");
        json_member(&t->out, "name", m->name);
        buffer_printf(&t->out, ",\"topicId\":\"%s\",\"partitions\":%d,\"replicas\":%d,\"internal\":%s}", id,
                      m->partitions_count, replicas, m->is_internal ? "true" : "false");
        first = false;
    }
    if (t->json)
        buffer_text(&t->out, "]\n");
    else if (table.count > table.columns)
        table_print(&table, &t->out);
    table_free(&table);
}

static const struct option list_options[] = {TOPIC_OPTIONS, {"internal", 'i', false}, {NULL, 0, false}};

static int run_list(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct topic_call t;
    struct metadata_response all;
    bool internal = false;
    int status = topic_start(&t, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == TOPIC_OWN_OPTIONS)
            internal = true;
        else if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&t, options_status(option));
        else if (option == OPTION_ARGUMENT)
            status = cli_misuse(self, "%s is too much: all topics are listed", o.value);
        else if (!topic_option(&t, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = topic_connect(&t);
    if (status == EXIT_OK)
        status = topic_metadata(&t, &all);
    if (status == EXIT_OK)
        print_list(&t, &all, internal);
    return topic_finish(&t, status);
}

const struct command topic_list_command = {.name = "topic list",
                                           .summary = "list topics",
                                           .help = list_help,
                                           .options = list_options,
                                           .run = run_list};

static const char delete_help[] =
    "  odradek topic delete orders\n"
    "  odradek topic delete --if-exists orders payments\n"
    "\n"
    "Deletes topics with all their records. There is no way back.\n"
    "  -e, --if-exists                   a topic that is not there is no error\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {name, deleted, error}\n";

static int delete_request(struct topic_call *t, int16_t version, struct delete_topics_request *out)
{
    message_init(&delete_topics_request_type, out);
    out->timeout_ms = (int32_t)t->timeout_s * 1000;
    if (version < 6) {
        out->topic_names = t->names;
        out->topic_names_count = t->names_count;
        return EXIT_OK;
    }
    out->topics = delete_topics_request_delete_topic_state_new(&t->arena, t->names_count);
    if (!out->topics)
        return cli_fail(t->command, "out of memory");
    out->topics_count = t->names_count;
    for (int32_t i = 0; i < t->names_count; i++)
        out->topics[i].name = t->names[i];
    return EXIT_OK;
}

static int print_deleted(struct topic_call *t, const struct delete_topics_response *r, bool if_exists)
{
    int status = EXIT_OK;
    for (int32_t i = 0; i < r->responses_count; i++) {
        const struct delete_topics_response_deletable_topic_result *one = &r->responses[i];
        bool missing = if_exists && one->error_code == E_UNKNOWN_TOPIC_OR_PARTITION;
        bool refused = one->error_code && !missing;
        if (t->json) {
            buffer_text(&t->out, i ? ",\n{" : "[{");
            json_member(&t->out, "name", one->name);
            buffer_printf(&t->out, ",\"deleted\":%s,", one->error_code ? "false" : "true");
            json_member(&t->out, "error", refused ? str_from(error_code_name(one->error_code)) : STR_NULL);
            buffer_text(&t->out, i + 1 < r->responses_count ? "}" : "}]\n");
        }
        if (refused) {
            status = topic_refused(t, one->name, one->error_code, one->error_message);
        } else if (!t->json) {
            buffer_printf(&t->out, missing ? "%.*s is not there\n" : "deleted %.*s\n", STR_ARG(one->name));
        }
    }
    return status;
}

static int call_delete(struct topic_call *t, bool if_exists)
{
    struct delete_topics_request request;
    struct delete_topics_response response;
    int16_t version = client_version(&t->client, API_DELETE_TOPICS, 6);
    int status =
        version < 0 ? cli_fail(t->command, "%s", t->client.error) : delete_request(t, version, &request);
    if (status != EXIT_OK)
        return status;
    if (client_call(&t->client, API_DELETE_TOPICS, version, &request, &t->arena, &response) != 0)
        return cli_fail(t->command, "%s", t->client.error);
    return print_deleted(t, &response, if_exists);
}

static const struct option delete_options[] = {TOPIC_OPTIONS, {"if-exists", 'e', false}, {NULL, 0, false}};

static int run_delete(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct topic_call t;
    bool if_exists = false;
    int status = topic_start(&t, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == TOPIC_OWN_OPTIONS)
            if_exists = true;
        else if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&t, options_status(option));
        else if (!topic_option(&t, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK && t.names_count == 0)
        status = cli_misuse(self, "no topic is named");
    if (status == EXIT_OK)
        status = topic_connect(&t);
    if (status == EXIT_OK)
        status = call_delete(&t, if_exists);
    return topic_finish(&t, status);
}

const struct command topic_delete_command = {.name = "topic delete",
                                             .summary = "delete topics",
                                             .help = delete_help,
                                             .options = delete_options,
                                             .argument = ARGUMENT_TOPIC,
                                             .run = run_delete};
