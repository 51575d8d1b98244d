// odradek txn: the transactions of a cluster: list, describe, abort.
#include "cli/txn.h"

#include "protocol/errors.h"
#include "protocol/sorted.h"

#include <inttypes.h>
#include <stdlib.h>

enum { API_INIT_PRODUCER_ID = 22, API_DESCRIBE_TRANSACTIONS = 65, API_LIST_TRANSACTIONS = 66 };

static const char help[] =
    "  odradek txn list\n"
    "  odradek txn describe payments-1\n"
    "  odradek txn abort payments-1\n"
    "  odradek txn hanging\n"
    "\n"
    "Lists, describes and aborts transactions; `odradek txn abort --help` and so on say more. All take\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        for programs\n";

static const struct command list_command, describe_command, abort_command;

static const struct command *const commands[] = {&list_command, &describe_command, &abort_command,
                                                 &txn_hanging_command, NULL};

const struct command txn_command = {
    .name = "txn", .summary = "list, describe and abort transactions", .help = help, .commands = commands};

// ---- list

static const char list_help[] =
    "  odradek txn list\n"
    "  odradek txn list --open-for 60\n"
    "\n"
    "Lists the transactional ids of all brokers with their producers and states.\n"
    "  -o, --open-for SECONDS            only those whose transaction is open for so long\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {transactionalId, producerId, state}\n";

static int list_of(void *context, struct client *client, int32_t broker)
{
    (void)broker;
    struct txn_listing *l = context;
    struct list_transactions_request request;
    struct list_transactions_response response;
    int16_t version = client_version(client, API_LIST_TRANSACTIONS, 1);
    message_init(&list_transactions_request_type, &request);
    request.duration_filter = l->open_for_s < 0 ? -1 : l->open_for_s * 1000;
    if (version < 0 ||
        client_call(client, API_LIST_TRANSACTIONS, version, &request, &l->call->arena, &response) != 0)
        return cli_fail(l->call->command, "%s", client->error);
    if (response.error_code != E_NONE)
        return topic_refused(l->call, str_from(client->address), response.error_code, STR_NULL);
    size_t all = l->count + (size_t)response.transaction_states_count;
    struct list_transactions_response_transaction_state *grown =
        arena_zalloc(&l->call->arena, all + 1, sizeof *grown);
    if (!grown)
        return cli_fail(l->call->command, "out of memory");
    if (l->count > 0)
        memcpy(grown, l->all, l->count * sizeof *grown);
    for (int32_t i = 0; i < response.transaction_states_count; i++)
        grown[l->count++] = response.transaction_states[i];
    l->all = grown;
    return EXIT_OK;
}

int txn_list(struct txn_listing *l, const struct metadata_response *cluster)
{
    return cluster_each(l->call, cluster, list_of, l);
}

static int by_id(const void *a, const void *b)
{
    const struct list_transactions_response_transaction_state *x = a, *y = b;
    return str_compare(x->transactional_id, y->transactional_id);
}

static void print_list(struct txn_listing *l)
{
    struct buffer *out = &l->call->out;
    struct table table = {.columns = 3};
    if (l->count > 0)
        qsort(l->all, l->count, sizeof *l->all, by_id);
    if (l->call->json)
        buffer_byte(out, '[');
    else
        table_cell(&table, "TRANSACTIONAL ID"), table_cell(&table, "PRODUCER"), table_cell(&table, "STATE");
    for (size_t i = 0; i < l->count; i++) {
        const struct list_transactions_response_transaction_state *x = &l->all[i];
        if (!l->call->json) {
            table_cell(&table, "%.*s", STR_ARG(x->transactional_id));
            table_cell(&table, "%" PRId64, x->producer_id);
            table_cell(&table, "%.*s", STR_ARG(x->transaction_state));
            continue;
        }
        buffer_text(out, i ? ",\n{" : "{");
        json_member(out, "transactionalId", x->transactional_id);
        buffer_printf(out, ",\"producerId\":%" PRId64 ",", x->producer_id);
        json_member(out, "state", x->transaction_state);
        buffer_byte(out, '}');
    }
    if (l->call->json)
        buffer_text(out, "]\n");
    else if (l->count > 0)
        table_print(&table, out);
    table_free(&table);
}

static const struct option list_options[] = {TOPIC_OPTIONS, {"open-for", 'o', true}, {NULL, 0, false}};

static int run_list(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct topic_call t;
    struct txn_listing l = {.call = &t, .open_for_s = -1};
    struct metadata_response cluster;
    int status = topic_start(&t, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&t, options_status(option));
        if (option == OPTION_ARGUMENT)
            status = cli_misuse(self, "%s is too much: all transactions are listed", o.value);
        else if (option == TOPIC_OWN_OPTIONS)
            status = options_number(&o, 0, INT32_MAX, &l.open_for_s) ? EXIT_OK : EXIT_USAGE;
        else if (!topic_option(&t, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = topic_connect(&t);
    if (status == EXIT_OK)
        status = topic_metadata(&t, &cluster);
    if (status == EXIT_OK)
        status = txn_list(&l, &cluster);
    if (status == EXIT_OK)
        print_list(&l);
    return topic_finish(&t, status);
}

static const struct command list_command = {.name = "txn list",
                                            .summary = "list transactions",
                                            .help = list_help,
                                            .options = list_options,
                                            .run = run_list};

// ---- describe

static const char describe_help[] =
    "  odradek txn describe payments-1\n"
    "\n"
    "Describes transactional ids: their producer, the state and age of the transaction, and its partitions.\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {transactionalId, producerId, epoch, state, "
    "startTime,\n"
    "                                    timeoutMs, partitions}\n";

typedef struct describe_transactions_response_transaction_state described;

static void print_people(struct topic_call *t, const described *x)
{
    char started[TIME_TEXT_BYTES];
    buffer_printf(&t->out, "%.*s  %.*s, producer %" PRId64 " epoch %d, timeout %d ms",
                  STR_ARG(x->transactional_id), STR_ARG(x->transaction_state), x->producer_id,
                  x->producer_epoch, x->transaction_timeout_ms);
    if (x->transaction_start_time_ms >= 0) {
        time_text(x->transaction_start_time_ms, started);
        buffer_printf(&t->out, ", since %s", started);
    }
    buffer_byte(&t->out, '\n');
    for (int32_t i = 0; i < x->topics_count; i++)
        for (int32_t p = 0; p < x->topics[i].partitions_count; p++)
            buffer_printf(&t->out, "  %.*s-%d\n", STR_ARG(x->topics[i].topic), x->topics[i].partitions[p]);
}

static void print_json(struct topic_call *t, const described *x)
{
    struct buffer *out = &t->out;
    bool first = true;
    buffer_byte(out, '{');
    json_member(out, "transactionalId", x->transactional_id);
    buffer_printf(out, ",\"producerId\":%" PRId64 ",\"epoch\":%d,", x->producer_id, x->producer_epoch);
    json_member(out, "state", x->transaction_state);
    if (x->transaction_start_time_ms >= 0)
        buffer_printf(out, ",\"startTime\":%" PRId64, x->transaction_start_time_ms);
    else
        buffer_text(out, ",\"startTime\":null");
    buffer_printf(out, ",\"timeoutMs\":%d,\"partitions\":[", x->transaction_timeout_ms);
    for (int32_t i = 0; i < x->topics_count; i++)
        for (int32_t p = 0; p < x->topics[i].partitions_count; p++) {
            buffer_text(out, first ? "{" : ",{");
            json_member(out, "topic", x->topics[i].topic);
            buffer_printf(out, ",\"partition\":%d}", x->topics[i].partitions[p]);
            first = false;
        }
    buffer_text(out, "]}");
}

int txn_ask(struct topic_call *t, struct str id, described *out)
{
    struct client coordinator;
    struct describe_transactions_request request;
    struct describe_transactions_response response;
    int status = cluster_open_coordinator(t, COORDINATOR_TRANSACTION, id, &coordinator);
    int16_t version = status == EXIT_OK ? client_version(&coordinator, API_DESCRIBE_TRANSACTIONS, 0) : -1;
    message_init(&describe_transactions_request_type, &request);
    request.transactional_ids = &id;
    request.transactional_ids_count = 1;
    do
        if (status == EXIT_OK && (version < 0 || client_call(&coordinator, API_DESCRIBE_TRANSACTIONS, version,
                                                             &request, &t->arena, &response) != 0))
            status = cli_fail(t->command, "%s", coordinator.error);
    while (status == EXIT_OK && response.transaction_states_count == 1 &&
           cluster_again(t, response.transaction_states[0].error_code));
    client_close(&coordinator);
    if (status != EXIT_OK)
        return status;
    *out = describe_transactions_response_transaction_state_default;
    out->error_code = E_UNKNOWN_SERVER_ERROR;
    if (response.transaction_states_count == 1)
        *out = response.transaction_states[0];
    sort_transaction(out);
    return EXIT_OK;
}

static int describe(struct topic_call *t, struct str id, bool first)
{
    described x;
    int status = txn_ask(t, id, &x);
    if (status == EXIT_OK && x.error_code != E_NONE)
        status = topic_refused(t, id, x.error_code, STR_NULL);
    if (status != EXIT_OK)
        return status;
    if (!first)
        buffer_text(&t->out, t->json ? ",\n" : "");
    (t->json ? print_json : print_people)(t, &x);
    return EXIT_OK;
}

static int describe_all(struct topic_call *t)
{
    return topic_describe_each(t, describe);
}

#define MISSING "no transactional id is named; `odradek txn list` lists them"

static int run_describe(const struct command *self, int argc, char **argv)
{
    return topic_run_names(self, argc, argv, MISSING, describe_all);
}

static const struct command describe_command = {.name = "txn describe",
                                                .summary = "describe transactions",
                                                .help = describe_help,
                                                .options = topic_names_options,
                                                .run = run_describe};

// ---- abort

static const char abort_help[] =
    "  odradek txn abort payments-1\n"
    "  odradek txn abort --hanging orders\n"
    "\n"
    "Aborts the open transaction of a transactional id, and fences its producer: should that still live, it "
    "is told so\n"
    "at its next request.\n"
    "  -H, --hanging                     topics are named instead: aborts what `odradek txn hanging` lists "
    "of "
    "them\n"
    "  -o, --open-for SECONDS            with --hanging: what nothing was written to for so long (900)\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {transactionalId, producerId, epoch}: the producer's "
    "that comes\n"
    "                                    next; with --hanging as `odradek txn hanging`\n";

// As a producer that begins: the coordinator ends what its predecessor has left open.
static int take_over(struct topic_call *t, struct str id, struct init_producer_id_response *out)
{
    struct client coordinator;
    struct init_producer_id_request request;
    int status = cluster_open_coordinator(t, COORDINATOR_TRANSACTION, id, &coordinator);
    int16_t version = status == EXIT_OK ? client_version(&coordinator, API_INIT_PRODUCER_ID, 4) : -1;
    message_init(&init_producer_id_request_type, &request);
    request.transactional_id = id;
    request.transaction_timeout_ms = 1;
    if (status == EXIT_OK && version < 0)
        status = cli_fail(t->command, "%s", coordinator.error);
    while (status == EXIT_OK) {
        if (client_call(&coordinator, API_INIT_PRODUCER_ID, version, &request, &t->arena, out) != 0)
            status = cli_fail(t->command, "%s", coordinator.error);
        else if (out->error_code == E_NONE)
            break;
        else if (!cluster_again(t, out->error_code))
            status = topic_refused(t, id, out->error_code, STR_NULL);
    }
    client_close(&coordinator);
    return status;
}

// A new id is not made by aborting it.
static int is_known(struct topic_call *t, struct str id)
{
    struct buffer printed = t->out;
    t->out = (struct buffer){0};
    int status = describe(t, id, true);
    buffer_free(&t->out);
    t->out = printed;
    return status;
}

static int abort_all(struct topic_call *t)
{
    int status = EXIT_OK;
    for (int32_t i = 0; i < t->names_count && status == EXIT_OK; i++) {
        struct init_producer_id_response next;
        status = is_known(t, t->names[i]);
        if (status == EXIT_OK)
            status = take_over(t, t->names[i], &next);
        if (status != EXIT_OK)
            break;
        if (!t->json) {
            buffer_printf(&t->out, "aborted %.*s\n", STR_ARG(t->names[i]));
            continue;
        }
        buffer_text(&t->out, i ? ",\n{" : "[{");
        json_member(&t->out, "transactionalId", t->names[i]);
        buffer_printf(&t->out, ",\"producerId\":%" PRId64 ",\"epoch\":%d%s", next.producer_id,
                      next.producer_epoch, i + 1 < t->names_count ? "}" : "}]\n");
    }
    return status;
}

enum { ABORT_HANGING = TOPIC_OWN_OPTIONS, ABORT_OPEN_FOR };

static const struct option abort_options[] = {
    TOPIC_OPTIONS, {"hanging", 'H', false}, {"open-for", 'o', true}, {NULL, 0, false}};

static int run_abort(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct topic_call t;
    bool hanging = false;
    int64_t open_for_s = -1;
    int status = topic_start(&t, self, argc), option;
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&t, options_status(option));
        if (option == ABORT_HANGING)
            hanging = true;
        else if (option == ABORT_OPEN_FOR)
            status = options_number(&o, 0, INT32_MAX, &open_for_s) ? EXIT_OK : EXIT_USAGE;
        else if (!topic_option(&t, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK && open_for_s >= 0 && !hanging)
        status = cli_misuse(self, "--open-for goes with --hanging");
    if (status == EXIT_OK && t.names_count == 0)
        status = cli_misuse(self, "%s",
                            hanging ? "no topic is named; `odradek txn hanging` lists what hangs" : MISSING);
    if (status == EXIT_OK)
        status = topic_connect(&t);
    if (status == EXIT_OK && hanging)
        status = txn_abort_hanging(&t, open_for_s < 0 ? TXN_OPEN_FOR_S : open_for_s);
    else if (status == EXIT_OK)
        status = abort_all(&t);
    return topic_finish(&t, status);
}

static const struct command abort_command = {.name = "txn abort",
                                             .summary = "abort transactions",
                                             .help = abort_help,
                                             .options = abort_options,
                                             .run = run_abort};
