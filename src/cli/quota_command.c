// odradek quota: list, set and unset the quotas of clients.
#include "cli/topic.h"

#include "protocol/errors.h"

#include <math.h>
#include <stdlib.h>

enum { API_DESCRIBE_CLIENT_QUOTAS = 48, API_ALTER_CLIENT_QUOTAS = 49 };

#define WHOM                                                                              \
    "  -u, --user NAME                   of a user\n"                                     \
    "  -c, --client-id ID                of a client id; with a user: of both together\n" \
    "  -i, --ip ADDRESS                  of an address\n"                                 \
    "  --default-user, --default-client-id, --default-ip\n"                               \
    "                                    of each that has no quota of its own\n"

#define COMMON                                                                 \
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n" \
    "  -t, --timeout SECONDS             how long to wait (30)\n"

static const char help[] =
    "  odradek quota set --client-id reports consumer_byte_rate=1000000\n"
    "  odradek quota list\n"
    "  odradek quota unset --client-id reports\n"
    "\n"
    "How much a client may do; `odradek quota set --help` and so on say more. All take\n" COMMON
    "  -j, --json                        for programs\n";

static const struct command quota_list_command, quota_set_command, quota_unset_command;

static const struct command *const commands[] = {&quota_list_command, &quota_set_command,
                                                 &quota_unset_command, NULL};

const struct command quota_command = {
    .name = "quota", .summary = "list, set and unset quotas of clients", .help = help, .commands = commands};

// --- whom it is for ---

enum { USER, CLIENT_ID, IP, TYPES };
static const struct {
    const char *type, *json, *heading;
} types[TYPES] = {{"user", "user", "USER"}, {"client-id", "clientId", "CLIENT ID"}, {"ip", "ip", "IP"}};

enum {
    WITH_NAME = TOPIC_OWN_OPTIONS, // one for each type
    WITH_DEFAULT = WITH_NAME + TYPES,
};

static const struct option known[] = {TOPIC_OPTIONS,
                                      {"user", 'u', true},
                                      {"client-id", 'c', true},
                                      {"ip", 'i', true},
                                      {"default-user", 0, false},
                                      {"default-client-id", 0, false},
                                      {"default-ip", 0, false},
                                      {NULL, 0, false}};

struct quota_call {
    struct topic_call t; // its names are the arguments
    bool has[TYPES];
    struct str name[TYPES]; // null: the default
};

// Reads the options. EXIT_OK, or what the command returns; *done: it is over.
static int read_options(struct quota_call *q, const struct command *self, int argc, char **argv, bool *done)
{
    struct options o = options_start(self, argc, argv);
    int status = topic_start(&q->t, self, argc), option;
    *done = true;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return options_status(option);
        if (option < WITH_NAME) {
            status = topic_option(&q->t, &o, option) ? EXIT_OK : EXIT_USAGE;
            continue;
        }
        bool by_default = option >= WITH_DEFAULT;
        int type = option - (by_default ? WITH_DEFAULT : WITH_NAME);
        if (q->has[type])
            return cli_misuse(self, "--%s comes twice", known[option].name);
        q->has[type] = true;
        q->name[type] = by_default ? STR_NULL : str_from(o.value);
    }
    *done = status != EXIT_OK;
    return status;
}

static int call(struct quota_call *q, int16_t api, const void *request, void *response)
{
    int16_t version = client_version(&q->t.client, api, 1);
    if (version < 0 || client_call(&q->t.client, api, version, request, &q->t.arena, response) != 0)
        return cli_fail(q->t.command, "%s", q->t.client.error);
    return EXIT_OK;
}

static int describe(struct quota_call *q, bool strict, struct describe_client_quotas_response *out)
{
    struct describe_client_quotas_request_component_data components[TYPES];
    struct describe_client_quotas_request request;
    message_init(&describe_client_quotas_request_type, &request);
    request.components = components;
    request.strict = strict;
    for (int type = 0; type < TYPES; type++)
        if (q->has[type])
            components[request.components_count++] = (struct describe_client_quotas_request_component_data){
                .entity_type = str_from(types[type].type),
                .match_type = q->name[type].data ? 0 : 1,
                .match = q->name[type]};
    int status = call(q, API_DESCRIBE_CLIENT_QUOTAS, &request, out);
    if (status == EXIT_OK && out->error_code != E_NONE)
        status = topic_refused(&q->t, STR("quotas"), out->error_code, out->error_message);
    return status;
}

// --- list ---

#define entry_data describe_client_quotas_response_entry_data

static bool part_of(const struct entry_data *e, int type, struct str *name)
{
    for (int32_t i = 0; i < e->entity_count; i++) {
        if (!str_is(e->entity[i].entity_type, types[type].type))
            continue;
        *name = e->entity[i].entity_name;
        return true;
    }
    return false;
}

// Those without a type first, then its default, then by name.
static int by_entity(const void *left, const void *right)
{
    for (int type = 0; type < TYPES; type++) {
        struct str x = STR_NULL, y = STR_NULL;
        int a = part_of(left, type, &x) ? x.data ? 2 : 1 : 0,
            b = part_of(right, type, &y) ? y.data ? 2 : 1 : 0;
        int order = a != b ? a - b : str_compare(x, y);
        if (order)
            return order;
    }
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct describe_client_quotas_response_value_data *x = a, *y = b;
    return str_compare(x->key, y->key);
}

static void number_text(double value, char *out, size_t size)
{
    snprintf(out, size, "%.15g", value);
    if (strtod(out, NULL) != value)
        snprintf(out, size, "%.17g", value);
}

static void print_json(struct quota_call *q, const struct entry_data *e, bool first)
{
    struct buffer *out = &q->t.out;
    const char *comma = "";
    buffer_text(out, first ? "{" : ",\n{");
    for (int type = 0; type < TYPES; type++) {
        struct str name;
        if (!part_of(e, type, &name))
            continue;
        buffer_text(out, comma);
        json_member(out, types[type].json, name);
        comma = ",";
    }
    buffer_printf(out, "%s\"quotas\":{", comma);
    for (int32_t i = 0; i < e->values_count; i++) {
        char number[40];
        number_text(e->values[i].value, number, sizeof number);
        json_text(out, e->values[i].key);
        buffer_printf(out, ":%s%s", isfinite(e->values[i].value) ? number : "null",
                      i + 1 < e->values_count ? "," : "");
    }
    buffer_text(out, "}}");
}

static void print_rows(struct table *table, const struct entry_data *e)
{
    for (int32_t i = 0; i < e->values_count; i++) {
        for (int type = 0; type < TYPES; type++) {
            struct str name = STR_NULL;
            bool there = part_of(e, type, &name);
            table_cell(table, "%.*s", STR_ARG(!there ? STR("-") : name.data ? name : STR("<default>")));
        }
        char number[40];
        number_text(e->values[i].value, number, sizeof number);
        table_cell(table, "%.*s", STR_ARG(e->values[i].key));
        table_cell(table, "%s", number);
    }
}

static void print_list(struct quota_call *q, struct describe_client_quotas_response *all)
{
    struct table table = {.columns = TYPES + 2};
    if (all->entries_count > 0)
        qsort(all->entries, (size_t)all->entries_count, sizeof *all->entries, by_entity);
    for (int type = 0; type < TYPES; type++)
        table_cell(&table, "%s", types[type].heading);
    table_cell(&table, "QUOTA");
    table_cell(&table, "VALUE");
    if (q->t.json)
        buffer_byte(&q->t.out, '[');
    for (int32_t i = 0; i < all->entries_count; i++) {
        struct entry_data *e = &all->entries[i];
        if (e->values_count > 0)
            qsort(e->values, (size_t)e->values_count, sizeof *e->values, by_key);
        if (q->t.json)
            print_json(q, e, i == 0);
        else
            print_rows(&table, e);
    }
    if (q->t.json)
        buffer_text(&q->t.out, "]\n");
    else if (table.count > table.columns)
        table_print(&table, &q->t.out);
    table_free(&table);
}

static const char list_help[] =
    "  odradek quota list\n"
    "  odradek quota list --client-id reports --json\n"
    "\n"
    "Lists the quotas of clients, all of them or those\n" WHOM COMMON
    "  -j, --json                        one array of {user, clientId, ip, "
    "quotas: {name: value}}; a name of null is\n"
    "                                    the default\n";

static int run_list(const struct command *self, int argc, char **argv)
{
    struct quota_call q = {.has = {false}};
    struct describe_client_quotas_response all;
    bool done;
    int status = read_options(&q, self, argc, argv, &done);
    if (!done && q.t.names_count > 0)
        status = cli_misuse(self, "%.*s is too much", STR_ARG(q.t.names[0]));
    if (!done && status == EXIT_OK)
        status = topic_connect(&q.t);
    if (!done && status == EXIT_OK)
        status = describe(&q, false, &all);
    if (!done && status == EXIT_OK)
        print_list(&q, &all);
    return topic_finish(&q.t, status);
}

static const struct command quota_list_command = {
    .name = "quota list", .summary = "list quotas", .help = list_help, .options = known, .run = run_list};

// --- set, unset ---

#define op_data alter_client_quotas_request_op_data

static int alter(struct quota_call *q, struct op_data *ops, int32_t count, const char *what)
{
    struct alter_client_quotas_request request;
    struct alter_client_quotas_response response;
    struct alter_client_quotas_request_entry_data entry = {.ops = ops, .ops_count = count};
    struct alter_client_quotas_request_entity_data parts[TYPES];
    message_init(&alter_client_quotas_request_type, &request);
    for (int type = 0; type < TYPES; type++)
        if (q->has[type])
            parts[entry.entity_count++] =
                (struct alter_client_quotas_request_entity_data){str_from(types[type].type), q->name[type]};
    entry.entity = parts;
    request.entries = &entry;
    request.entries_count = 1;
    int status = call(q, API_ALTER_CLIENT_QUOTAS, &request, &response);
    for (int32_t i = 0; status == EXIT_OK && i < response.entries_count; i++)
        if (response.entries[i].error_code != E_NONE)
            status = topic_refused(&q->t, STR("quota"), response.entries[i].error_code,
                                   response.entries[i].error_message);
    if (q->t.json)
        buffer_printf(&q->t.out, "{\"%s\":%d}\n", what, status == EXIT_OK ? count : 0);
    else if (status == EXIT_OK)
        buffer_printf(&q->t.out, "%s %d\n", what, count);
    return status;
}

static int check_whom(const struct quota_call *q)
{
    for (int type = 0; type < TYPES; type++)
        if (q->has[type])
            return EXIT_OK;
    return cli_misuse(q->t.command, "whose quota? --user, --client-id, --ip or a --default-... is missing");
}

// "producer_byte_rate=1000000"
static int read_setting(const struct quota_call *q, struct str text, struct op_data *out)
{
    const char *equals = memchr(text.data, '=', text.size);
    char *end;
    if (!equals || equals == text.data || !equals[1])
        return cli_misuse(q->t.command, "%.*s is not NAME=VALUE", STR_ARG(text));
    *out =
        (struct op_data){.key = {text.data, (size_t)(equals - text.data)}, .value = strtod(equals + 1, &end)};
    return *end ? cli_misuse(q->t.command, "%s is no number", equals + 1) : EXIT_OK;
}

static const char set_help[] =
    "  odradek quota set --client-id reports consumer_byte_rate=1000000\n"
    "  odradek quota set --default-client-id producer_byte_rate=5e6 request_percentage=50\n"
    "  odradek quota set --ip 10.0.0.7 connection_creation_rate=20\n"
    "\n"
    "Limits what a client may do, from now on: producer_byte_rate and consumer_byte_rate (bytes a second),\n"
    "request_percentage (of one thread's time), controller_mutation_rate (partitions created or deleted a\n"
    "second); and of an address connection_creation_rate (connections a second). The quota is\n" WHOM COMMON
    "  -j, --json                        {set: how many}\n";

static int run_set(const struct command *self, int argc, char **argv)
{
    struct quota_call q = {.has = {false}};
    bool done;
    int status = read_options(&q, self, argc, argv, &done);
    if (done)
        return topic_finish(&q.t, status);
    struct op_data *ops = alter_client_quotas_request_op_data_new(&q.t.arena, q.t.names_count);
    status = !ops                   ? cli_fail(self, "out of memory")
             : q.t.names_count == 0 ? cli_misuse(self, "no NAME=VALUE is given")
                                    : check_whom(&q);
    for (int32_t i = 0; status == EXIT_OK && i < q.t.names_count; i++)
        status = read_setting(&q, q.t.names[i], &ops[i]);
    if (status == EXIT_OK)
        status = topic_connect(&q.t);
    if (status == EXIT_OK)
        status = alter(&q, ops, q.t.names_count, "set");
    return topic_finish(&q.t, status);
}

static const struct command quota_set_command = {
    .name = "quota set", .summary = "set quotas", .help = set_help, .options = known, .run = run_set};

// The quotas that the entity has, as names.
static int find_all(struct quota_call *q)
{
    struct describe_client_quotas_response all;
    int status = describe(q, true, &all);
    if (status != EXIT_OK)
        return status;
    if (all.entries_count == 0)
        return cli_fail(q->t.command,
                        "there is no quota of this; `odradek quota list` lists those that there are");
    q->t.names = arena_zalloc(&q->t.arena, (size_t)all.entries[0].values_count + 1, sizeof *q->t.names);
    if (!q->t.names)
        return cli_fail(q->t.command, "out of memory");
    for (int32_t i = 0; i < all.entries[0].values_count; i++)
        q->t.names[q->t.names_count++] = all.entries[0].values[i].key;
    return EXIT_OK;
}

static const char unset_help[] =
    "  odradek quota unset --client-id reports consumer_byte_rate\n"
    "  odradek quota unset --default-user\n"
    "\n"
    "Takes quotas away: those that are named, or all\n" WHOM COMMON
    "  -j, --json                        {unset: how many}\n";

static int run_unset(const struct command *self, int argc, char **argv)
{
    struct quota_call q = {.has = {false}};
    bool done;
    int status = read_options(&q, self, argc, argv, &done);
    if (done)
        return topic_finish(&q.t, status);
    status = check_whom(&q);
    if (status == EXIT_OK)
        status = topic_connect(&q.t);
    if (status == EXIT_OK && q.t.names_count == 0)
        status = find_all(&q);
    struct op_data *ops = alter_client_quotas_request_op_data_new(&q.t.arena, q.t.names_count);
    if (status == EXIT_OK && !ops)
        status = cli_fail(self, "out of memory");
    for (int32_t i = 0; status == EXIT_OK && i < q.t.names_count; i++)
        ops[i] = (struct op_data){.key = q.t.names[i], .remove = true};
    if (status == EXIT_OK)
        status = alter(&q, ops, q.t.names_count, "unset");
    return topic_finish(&q.t, status);
}

static const struct command quota_unset_command = {.name = "quota unset",
                                                   .summary = "take quotas away",
                                                   .help = unset_help,
                                                   .options = known,
                                                   .run = run_unset};
