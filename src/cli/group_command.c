// odradek group: list and delete, and what the other group commands share.
#include "cli/group.h"

#include "protocol/errors.h"

#include <stdlib.h>

static const char help[] =
    "  odradek group list\n"
    "  odradek group describe billing\n"
    "  odradek group reset billing --topic orders --to beginning\n"
    "  odradek group delete billing\n"
    "\n"
    "Lists, describes, resets and deletes groups of consumers; `odradek group reset --help` and so on say "
    "more. All\n"
    "take\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        for programs\n";

static const struct command list_command, delete_command;

static const struct command *const commands[] = {&list_command, &group_describe_command, &group_reset_command,
                                                 &delete_command, NULL};

const struct command group_command = {.name = "group",
                                      .summary = "list, describe, reset and delete groups of consumers",
                                      .help = help,
                                      .commands = commands};

// ---- what they share

int group_compare(const void *a, const void *b)
{
    const struct group_offset *x = a, *y = b;
    int order = str_compare(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

int group_committed(struct topic_call *t, struct client *coordinator, struct str group,
                    struct group_offset **out, size_t *count)
{
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    int16_t version = client_version(coordinator, API_OFFSET_FETCH, 9);
    if (version < 8)
        return cli_fail(t->command, "%s",
                        version < 0 ? coordinator->error : "the broker is older than Kafka 3.0");
    message_init(&offset_fetch_request_type, &request);
    request.groups = offset_fetch_request_offset_fetch_request_group_new(&t->arena, 1);
    if (!request.groups)
        return cli_fail(t->command, "out of memory");
    request.groups_count = 1;
    request.groups[0].group_id = group;
    request.groups[0].topics_count = -1; // null: all of them
    do {
        if (client_call(coordinator, API_OFFSET_FETCH, version, &request, &t->arena, &response) != 0)
            return cli_fail(t->command, "%s", coordinator->error);
    } while (response.groups_count == 1 && cluster_again(t, response.groups[0].error_code));
    const struct offset_fetch_response_offset_fetch_response_group *g = response.groups;
    if (response.groups_count != 1 || g->error_code != E_NONE)
        return topic_refused(t, group, response.groups_count == 1 ? g->error_code : E_UNKNOWN_SERVER_ERROR,
                             STR_NULL);
    size_t n = 0;
    for (int32_t i = 0; i < g->topics_count; i++)
        n += (size_t)g->topics[i].partitions_count;
    *out = arena_zalloc(&t->arena, n + 1, sizeof **out);
    if (!*out)
        return cli_fail(t->command, "out of memory");
    *count = 0;
    for (int32_t i = 0; i < g->topics_count; i++)
        for (int32_t p = 0; p < g->topics[i].partitions_count; p++)
            (*out)[(*count)++] =
                (struct group_offset){.topic = g->topics[i].name,
                                      .partition = g->topics[i].partitions[p].partition_index,
                                      .committed = g->topics[i].partitions[p].committed_offset,
                                      .end = OFFSET_UNKNOWN};
    qsort(*out, *count, sizeof **out, group_compare);
    return EXIT_OK;
}

int group_metadata(struct topic_call *t, const struct group_offset *all, size_t count,
                   struct metadata_response *out)
{
    struct str *names = arena_zalloc(&t->arena, count + 1, sizeof *names);
    struct str *before = t->names;
    int32_t before_count = t->names_count;
    if (!names)
        return cli_fail(t->command, "out of memory");
    t->names = names;
    t->names_count = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !str_equal(all[i].topic, all[i - 1].topic))
            t->names[t->names_count++] = all[i].topic;
    int status = topic_metadata(t, out);
    t->names = before;
    t->names_count = before_count;
    return status;
}

// ---- list

static const char list_help[] =
    "  odradek group list\n"
    "  odradek group list --state stable,empty --json\n"
    "\n"
    "Lists the groups of all brokers with their kind and state.\n"
    "  -s, --state STATE[,...]           those only: stable, empty, dead, preparingrebalance, ...\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {groupId, type, state, protocolType}\n";

struct listing {
    struct topic_call call;
    struct str *states;
    int32_t states_count;
    struct list_groups_response_listed_group *all;
    size_t count;
};

static int list_of(void *context, struct client *client, int32_t broker)
{
    (void)broker;
    struct listing *l = context;
    struct list_groups_request request;
    struct list_groups_response response;
    int16_t version = client_version(client, API_LIST_GROUPS, 5);
    if (version < 0)
        return cli_fail(l->call.command, "%s", client->error);
    message_init(&list_groups_request_type, &request);
    request.states_filter = l->states;
    request.states_filter_count = version < 4 ? 0 : l->states_count;
    if (client_call(client, API_LIST_GROUPS, version, &request, &l->call.arena, &response) != 0)
        return cli_fail(l->call.command, "%s", client->error);
    if (response.error_code != E_NONE)
        return topic_refused(&l->call, str_from(client->address), response.error_code, STR_NULL);
    size_t all = l->count + (size_t)response.groups_count;
    struct list_groups_response_listed_group *grown = arena_zalloc(&l->call.arena, all + 1, sizeof *grown);
    if (!grown)
        return cli_fail(l->call.command, "out of memory");
    if (l->count > 0)
        memcpy(grown, l->all, l->count * sizeof *grown);
    if (response.groups_count > 0)
        memcpy(grown + l->count, response.groups, (size_t)response.groups_count * sizeof *grown);
    l->all = grown;
    l->count = all;
    return EXIT_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct list_groups_response_listed_group *x = a, *y = b;
    return str_compare(x->group_id, y->group_id);
}

static void print_groups(struct listing *l)
{
    struct buffer *out = &l->call.out;
    struct table table = {.columns = 4};
    if (l->count > 0)
        qsort(l->all, l->count, sizeof *l->all, by_id);
    if (l->call.json)
        buffer_byte(out, '[');
    else
        table_cell(&table, "GROUP"), table_cell(&table, "TYPE"), table_cell(&table, "STATE"),
            table_cell(&table, "PROTOCOL");
    for (size_t i = 0; i < l->count; i++) {
        const struct list_groups_response_listed_group *g = &l->all[i];
        struct str type = g->group_type.size ? g->group_type : STR("classic");
        if (!l->call.json) {
            table_cell(&table, "%.*s", STR_ARG(g->group_id));
            table_cell(&table, "%.*s", STR_ARG(type));
            table_cell(&table, "%.*s", STR_ARG(g->group_state.size ? g->group_state : STR("?")));
            table_cell(&table, "%.*s", STR_ARG(g->protocol_type.size ? g->protocol_type : STR("-")));
            continue;
        }
        buffer_text(out, i ? ",\n{" : "{");
        json_member(out, "groupId", g->group_id);
        buffer_byte(out, ',');
        json_member(out, "type", type);
        buffer_byte(out, ',');
        json_member(out, "state", g->group_state);
        buffer_byte(out, ',');
        json_member(out, "protocolType", g->protocol_type);
        buffer_byte(out, '}');
    }
    if (l->call.json)
        buffer_text(out, "]\n");
    else if (l->count > 0)
        table_print(&table, out);
    table_free(&table);
}

static bool take_states(struct listing *l, const char *text)
{
    struct str rest = str_from(text);
    l->states = arena_zalloc(&l->call.arena, rest.size + 1, sizeof *l->states);
    while (l->states && rest.size > 0) {
        const char *comma = memchr(rest.data, ',', rest.size);
        size_t size = comma ? (size_t)(comma - rest.data) : rest.size;
        if (size > 0)
            l->states[l->states_count++] = (struct str){rest.data, size};
        size += comma ? 1 : 0;
        rest = (struct str){rest.data + size, rest.size - size};
    }
    return l->states;
}

static const struct option list_options[] = {TOPIC_OPTIONS, {"state", 's', true}, {NULL, 0, false}};

static int run_list(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct listing l = {.count = 0};
    struct metadata_response cluster;
    int status = topic_start(&l.call, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&l.call, options_status(option));
        if (option == OPTION_ARGUMENT)
            status = cli_misuse(self, "%s is too much: all groups are listed", o.value);
        else if (option == TOPIC_OWN_OPTIONS)
            status = take_states(&l, o.value) ? EXIT_OK : cli_fail(self, "out of memory");
        else if (!topic_option(&l.call, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = topic_connect(&l.call);
    if (status == EXIT_OK)
        status = topic_metadata(&l.call, &cluster);
    if (status == EXIT_OK)
        status = cluster_each(&l.call, &cluster, list_of, &l);
    if (status == EXIT_OK)
        print_groups(&l);
    return topic_finish(&l.call, status);
}

static const struct command list_command = {.name = "group list",
                                            .summary = "list groups",
                                            .help = list_help,
                                            .options = list_options,
                                            .run = run_list};

// ---- delete

static const char delete_help[] =
    "  odradek group delete billing\n"
    "\n"
    "Deletes groups with all that they have committed. A group that has members cannot be deleted: stop them "
    "first.\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {groupId, deleted, error}\n";

static int delete_one(struct topic_call *t, struct str group, int16_t *error)
{
    struct client coordinator;
    struct delete_groups_request request;
    struct delete_groups_response response;
    int status = cluster_open_coordinator(t, COORDINATOR_GROUP, group, &coordinator);
    int16_t version = status == EXIT_OK ? client_version(&coordinator, API_DELETE_GROUPS, 2) : -1;
    message_init(&delete_groups_request_type, &request);
    request.groups_names = &group;
    request.groups_names_count = 1;
    do
        if (status == EXIT_OK && (version < 0 || client_call(&coordinator, API_DELETE_GROUPS, version,
                                                             &request, &t->arena, &response) != 0))
            status = cli_fail(t->command, "%s", coordinator.error);
    while (status == EXIT_OK && response.results_count == 1 &&
           cluster_again(t, response.results[0].error_code));
    if (status == EXIT_OK)
        *error = response.results_count == 1 ? response.results[0].error_code : E_UNKNOWN_SERVER_ERROR;
    client_close(&coordinator);
    return status;
}

static int delete_all(struct topic_call *t)
{
    int status = EXIT_OK;
    for (int32_t i = 0; i < t->names_count; i++) {
        int16_t error = E_NONE;
        int one = delete_one(t, t->names[i], &error);
        if (one != EXIT_OK)
            return one;
        if (t->json) {
            buffer_text(&t->out, i ? ",\n{" : "[{");
            json_member(&t->out, "groupId", t->names[i]);
            buffer_printf(&t->out, ",\"deleted\":%s,", error ? "false" : "true");
            json_member(&t->out, "error", error ? str_from(error_code_name(error)) : STR_NULL);
            buffer_text(&t->out, i + 1 < t->names_count ? "}" : "}]\n");
            status = error ? EXIT_FAILED : status;
        } else if (error == E_NON_EMPTY_GROUP) {
            status = topic_refused(t, t->names[i], error, STR("it has members; stop them first"));
        } else if (error) {
            status = topic_refused(t, t->names[i], error, STR_NULL);
        } else {
            buffer_printf(&t->out, "deleted %.*s\n", STR_ARG(t->names[i]));
        }
    }
    return status;
}

static int run_delete(const struct command *self, int argc, char **argv)
{
    return topic_run_names(self, argc, argv, "no group is named", delete_all);
}

static const struct command delete_command = {.name = "group delete",
                                              .summary = "delete groups",
                                              .help = delete_help,
                                              .options = topic_names_options,
                                              .argument = ARGUMENT_GROUP,
                                              .run = run_delete};
