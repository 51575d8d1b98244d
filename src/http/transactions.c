// Transactions: list, describe, abort.
#include "base/clock.h"
#include "http/keys.h"
#include "http/offsets.h"
#include "http/route.h"
#include "os/thread.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "protocol/sorted.h"

#define ABORT_TRIES   50 // while the broker says that it is at it
#define ABORT_WAIT_MS 100

static struct str *words_of(struct http_request *r, struct str text, int32_t *count)
{
    *count = 0;
    struct str *all = arena_alloc(&r->arena, (text.size + 1) * sizeof *all);
    for (size_t at = 0, n; all && text.data && at <= text.size; at += n + 1) {
        const char *comma = memchr(text.data + at, ',', text.size - at);
        n = comma ? (size_t)(comma - text.data) - at : text.size - at;
        all[(*count)++] = (struct str){text.data + at, n};
    }
    return all;
}

void http_transactions(struct http_request *r)
{
    struct list_transactions_request request = list_transactions_request_default;
    struct list_transactions_response response;
    int64_t seconds = -1;
    if (!http_query_integer(r, "minSeconds", 0, INT32_MAX, &seconds))
        return;
    request.state_filters = words_of(r, http_query(r, "state"), &request.state_filters_count);
    request.duration_filter = seconds < 0 ? -1 : seconds * 1000;
    if (!http_call(r, KEY_LIST_TRANSACTIONS, 1, &request, &response) ||
        http_fail_kafka(r, response.error_code, STR_NULL))
        return;
    if (response.unknown_state_filters_count > 0) {
        http_fail(r, 400, "INVALID_REQUEST", "state: %.*s is no state of a transaction",
                  STR_ARG(response.unknown_state_filters[0]));
        return;
    }
    json_t *all = json_array();
    for (int32_t i = 0; i < response.transaction_states_count; i++) {
        const struct list_transactions_response_transaction_state *t = &response.transaction_states[i];
        json_array_append_new(all, json_pack("{s:o, s:I, s:o}", "id", http_text(t->transactional_id),
                                             "producerId", (json_int_t)t->producer_id, "state",
                                             http_text(t->transaction_state)));
    }
    http_answer(r, 200, json_pack("{s:o}", "transactions", all));
}

// Before the first transaction of the cluster there is nobody to ask.
static int16_t why_unknown(struct http_request *r)
{
    struct metadata_response metadata;
    bool none = http_metadata(r, STR("__transaction_state"), &metadata) &&
                metadata.topics[0].error_code == E_UNKNOWN_TOPIC_OR_PARTITION;
    return none ? E_TRANSACTIONAL_ID_NOT_FOUND : E_NOT_COORDINATOR;
}

// False when it is answered.
static bool describe(struct http_request *r, struct describe_transactions_response_transaction_state *out)
{
    struct describe_transactions_request request = describe_transactions_request_default;
    struct describe_transactions_response response;
    request.transactional_ids = &r->params[0];
    request.transactional_ids_count = 1;
    if (!http_call(r, KEY_DESCRIBE_TRANSACTIONS, 0, &request, &response))
        return false;
    *out = response.transaction_states[0];
    sort_transaction(out);
    int16_t error = out->error_code == E_NOT_COORDINATOR ? why_unknown(r) : out->error_code;
    return !http_fail_kafka(r, error, STR_NULL);
}

static void answer(struct http_request *r, const struct describe_transactions_response_transaction_state *t)
{
    json_t *topics = json_array();
    for (int32_t i = 0; i < t->topics_count; i++)
        json_array_append_new(topics,
                              json_pack("{s:o, s:o}", "topic", http_text(t->topics[i].topic), "partitions",
                                        http_ids(t->topics[i].partitions, t->topics[i].partitions_count)));
    int64_t start_ms = t->transaction_start_time_ms, age_ms = clock_wall_ms() - start_ms;
    http_answer(r, 200,
                json_pack("{s:o, s:I, s:i, s:o, s:i, s:o, s:o, s:o}", "id", http_text(t->transactional_id),
                          "producerId", (json_int_t)t->producer_id, "producerEpoch", t->producer_epoch,
                          "state", http_text(t->transaction_state), "timeoutMs", t->transaction_timeout_ms,
                          "startTime", http_number(start_ms), "durationSeconds",
                          start_ms < 0 ? json_null() : json_real((double)(age_ms > 0 ? age_ms : 0) / 1000),
                          "topics", topics));
}

void http_transaction(struct http_request *r)
{
    struct describe_transactions_response_transaction_state t;
    if (describe(r, &t))
        answer(r, &t);
}

// As Kafka's own tool ends one: whoever asks for the producer's id anew has what was open aborted, and the
// producer fenced.
void http_transaction_abort(struct http_request *r)
{
    struct describe_transactions_response_transaction_state t;
    struct init_producer_id_request request = init_producer_id_request_default;
    struct init_producer_id_response response = {.error_code = E_CONCURRENT_TRANSACTIONS};
    if (!describe(r, &t))
        return;
    if (!str_is(t.transaction_state, "Ongoing")) {
        http_fail(r, 409, "INVALID_TXN_STATE", "%.*s has no transaction under way: its state is %.*s",
                  STR_ARG(t.transactional_id), STR_ARG(t.transaction_state));
        return;
    }
    request.transactional_id = r->params[0];
    request.transaction_timeout_ms = t.transaction_timeout_ms;
    for (int i = 0; i < ABORT_TRIES && response.error_code == E_CONCURRENT_TRANSACTIONS; i++) {
        if (i > 0)
            thread_sleep_ms(ABORT_WAIT_MS);
        if (!http_call(r, KEY_INIT_PRODUCER_ID, 5, &request, &response))
            return;
    }
    if (!http_fail_kafka(r, response.error_code, STR_NULL) && describe(r, &t))
        answer(r, &t);
}
