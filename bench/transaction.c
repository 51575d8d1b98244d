// Transactions, one after another on each connection: one Produce request with --batch-records records for
// each of its --partitions, then EndTxn. The coordinator adds the partitions itself and every transaction has
// an epoch of its own (transaction.version 2), as a Java producer of 4.x does it.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin.h"
#include "batch.h"
#include "call.h"
#include "modes.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "stats.h"

#define VERSION_FIND_COORDINATOR 4
#define VERSION_INIT             5
#define VERSION_PRODUCE          12
#define VERSION_END              5

#define TRANSACTIONAL_BIT 0x10
#define TIMEOUT_MS        600000
#define RETRY_US          1000
#define VARIANTS          16

struct transactor {
    const struct options *o;
    pthread_t thread;
    struct call call;
    char id[32];
    int64_t producer_id;
    int16_t epoch;
    int32_t sequence;      // the same for each partition
    struct batch *batches; // one a partition
    struct produce_request_partition_produce_data *partitions;
    int64_t count, retries;
    int64_t *took_ns;
};

static bool passes(int16_t error)
{
    return error == E_COORDINATOR_LOAD_IN_PROGRESS || error == E_COORDINATOR_NOT_AVAILABLE ||
           error == E_NOT_COORDINATOR || error == E_CONCURRENT_TRANSACTIONS;
}

static void find_coordinator(struct transactor *t)
{
    struct str key = str_from(t->id);
    struct find_coordinator_request request = find_coordinator_request_default;
    request.key_type = 1;
    request.coordinator_keys = &key;
    request.coordinator_keys_count = 1;
    for (;;) {
        struct find_coordinator_response r;
        call_do(&t->call, &find_coordinator_request_type, &find_coordinator_response_type,
                VERSION_FIND_COORDINATOR, &request, &r);
        if (r.coordinators_count == 1 && r.coordinators[0].error_code == E_NONE)
            return;
        usleep(RETRY_US);
    }
}

static void init_producer(struct transactor *t)
{
    find_coordinator(t);
    struct init_producer_id_request request = init_producer_id_request_default;
    request.transactional_id = str_from(t->id);
    request.transaction_timeout_ms = TIMEOUT_MS;
    struct init_producer_id_response r;
    for (;;) {
        call_do(&t->call, &init_producer_id_request_type, &init_producer_id_response_type, VERSION_INIT,
                &request, &r);
        if (!passes(r.error_code))
            break;
        usleep(RETRY_US);
    }
    if (r.error_code != E_NONE)
        fail("InitProducerId of %s: error code %d", t->id, r.error_code);
    t->producer_id = r.producer_id;
    t->epoch = r.producer_epoch;
}

// The partitions' error, or E_NONE.
static int16_t produce(struct transactor *t)
{
    const struct options *o = t->o;
    struct produce_request_partition_produce_data *partitions = t->partitions;
    for (int i = 0; i < o->partitions; i++) {
        struct batch *b = &t->batches[i];
        b->data[BATCH_AT_ATTRIBUTES + 1] |= TRANSACTIONAL_BIT;
        batch_set_producer(b, t->producer_id, t->epoch, t->sequence);
        partitions[i] = produce_request_partition_produce_data_default;
        partitions[i].index = i;
        partitions[i].records = (struct records){.data = b->data, .size = b->size};
    }
    struct produce_request_topic_produce_data topic = produce_request_topic_produce_data_default;
    topic.name = str_from(o->topic);
    topic.partition_data = partitions;
    topic.partition_data_count = o->partitions;
    struct produce_request request = produce_request_default;
    request.transactional_id = str_from(t->id);
    request.acks = -1;
    request.timeout_ms = TIMEOUT_MS;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    struct produce_response r;
    call_do(&t->call, &produce_request_type, &produce_response_type, VERSION_PRODUCE, &request, &r);
    if (r.responses_count != 1 || r.responses[0].partition_responses_count != o->partitions)
        fail("Produce: an answer for other partitions");
    for (int i = 0; i < o->partitions; i++)
        if (r.responses[0].partition_responses[i].error_code != E_NONE)
            return r.responses[0].partition_responses[i].error_code;
    return E_NONE;
}

static int16_t end(struct transactor *t)
{
    struct end_txn_request request = end_txn_request_default;
    request.transactional_id = str_from(t->id);
    request.producer_id = t->producer_id;
    request.producer_epoch = t->epoch;
    request.committed = true;
    struct end_txn_response r;
    call_do(&t->call, &end_txn_request_type, &end_txn_response_type, VERSION_END, &request, &r);
    if (r.error_code == E_NONE) {
        t->producer_id = r.producer_id;
        t->epoch = r.producer_epoch;
        t->sequence = 0;
    }
    return r.error_code;
}

// Asks until the answer is none that passes: the transaction before may still be getting its markers.
static void until_done(struct transactor *t, const char *what, int16_t (*ask)(struct transactor *t))
{
    int16_t error;
    while (passes(error = ask(t))) {
        t->retries++;
        usleep(RETRY_US);
    }
    if (error != E_NONE)
        fail("%s in a transaction of %s: error code %d", what, t->id, error);
}

static void *run_transactor(void *argument)
{
    struct transactor *t = argument;
    for (int64_t i = 0; i < t->count; i++) {
        int64_t started_ns = stats_monotonic_ns();
        until_done(t, "Produce", produce);
        until_done(t, "EndTxn", end);
        t->took_ns[i] = stats_monotonic_ns() - started_ns;
    }
    return NULL;
}

static void open_transactor(struct transactor *t, const struct options *o, int number, int64_t count,
                            int64_t *took_ns)
{
    *t = (struct transactor){.o = o, .count = count, .took_ns = took_ns};
    snprintf(t->id, sizeof t->id, "bench-%d", number);
    call_open(&t->call, o);
    t->batches = calloc((size_t)o->partitions, sizeof t->batches[0]);
    t->partitions = calloc((size_t)o->partitions, sizeof t->partitions[0]);
    if (!t->batches || !t->partitions)
        fail("out of memory");
    for (int p = 0; p < o->partitions; p++)
        t->batches[p] =
            batch_build(o->batch_bytes, o->key_bytes, o->record_bytes, o->compression, (uint64_t)p + 1);
    init_producer(t);
}

static void close_transactor(struct transactor *t)
{
    for (int p = 0; p < t->o->partitions; p++)
        batch_free(&t->batches[p]);
    free(t->batches);
    free(t->partitions);
    call_close(&t->call);
}

// Leaves --count transactions open, each of its own id, and ends: they stay until their timeout.
void mode_open_transactions(const struct options *o)
{
    admin_topic(o);
    for (int64_t i = 0; i < o->count; i++) {
        struct transactor t;
        open_transactor(&t, o, (int)i, 0, NULL);
        until_done(&t, "Produce", produce);
        close_transactor(&t);
    }
    printf("{\"transactions\": %lld}\n", (long long)o->count);
}

void mode_transactions(const struct options *o)
{
    admin_topic(o);
    int64_t each = o->count / o->connections, total = each * o->connections, retries = 0;
    struct transactor *all = calloc((size_t)o->connections, sizeof all[0]);
    int64_t *took_ns = calloc((size_t)total + 1, sizeof took_ns[0]);
    if (!all || !took_ns || each == 0)
        fail("transactions: at least one a connection is needed");
    for (int i = 0; i < o->connections; i++)
        open_transactor(&all[i], o, i, each, took_ns + i * each);
    int records = all[0].batches[0].records;
    int64_t started_ns = stats_monotonic_ns(), cpu_ns = stats_cpu_ns();
    for (int i = 0; i < o->connections; i++)
        if (pthread_create(&all[i].thread, NULL, run_transactor, &all[i]) != 0)
            fail("cannot start a thread");
    for (int i = 0; i < o->connections; i++) {
        pthread_join(all[i].thread, NULL);
        retries += all[i].retries;
    }
    printf(
        "{\"transactions\": %lld, \"records_a_partition\": %d, \"retries\": %lld, \"seconds\": %.6f, "
        "\"load_cpu_seconds\": %.6f, \"transaction\": {",
        (long long)total, records, (long long)retries, (double)(stats_monotonic_ns() - started_ns) / 1e9,
        (double)(stats_cpu_ns() - cpu_ns) / 1e9);
    stats_print_latency(took_ns, total);
    printf("}}\n");
    for (int i = 0; i < o->connections; i++)
        close_transactor(&all[i]);
    free(took_ns);
    free(all);
}
