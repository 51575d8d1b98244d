// Transactions: what a transactional id's producer is, which partitions its transaction covers, and how the
// transaction ends. The machine of the shards of __transaction_state (KIP-98, KIP-360, KIP-890).
#ifndef COORDINATOR_TRANSACTION_TRANSACTION_H
#define COORDINATOR_TRANSACTION_TRANSACTION_H

#include "coordinator/machine.h"

extern const struct coordinator_machine transaction_machine;

// What the machine goes by. Callbacks run under the shard's lock: they only look, count or note.
struct transaction_config {
    int32_t max_timeout_ms;
    int64_t id_expiration_ms;
    int64_t abort_interval_ms, expire_interval_ms; // how often those are looked for that are due
    int16_t (*new_producer_id)(void *context, int64_t *producer_id); // the protocol's error
    int16_t (*feature_level)(void *context);                         // transaction.version: 0 to 2
    void *context;

    // A transaction's markers are to be written (TRANSACTION_MARKERS). Called as a request's `complete` on
    // the thread that deliver_to says for the id, and owns the request: transaction_markers_free. With an
    // error in it the shard is lost, and whoever leads it next writes the markers.
    void (*deliver)(struct coordinator_request *markers);
    struct loop *(*deliver_to)(void *context, struct str transactional_id);
};

// Requests (coordinator_request.kind), each with its message and its response. `version` of the first four is
// the API's.
enum transaction_request {
    TRANSACTION_INIT,   // init_producer_id_request with a transactional id; init_producer_id_response
    TRANSACTION_ADD,    // add_partitions_to_txn_request_add_partitions_to_txn_transaction; none but the error
    TRANSACTION_END,    // end_txn_request; end_txn_response
    TRANSACTION_VERIFY, // as ADD; add_partitions_to_txn_response_add_partitions_to_txn_result
    TRANSACTION_MARKED, // struct transaction_markers whose markers are all written; none but the error
    TRANSACTION_DESCRIBE, // struct str, the id; describe_transactions_response_transaction_state
    TRANSACTION_LIST,     // list_transactions_request, states that are known; list_transactions_response
    TRANSACTION_REQUESTS,
    TRANSACTION_MARKERS, // from the machine to config->deliver: the response is a struct transaction_markers
};

// Of AddPartitionsToTxn: brokers add for clients of transaction version 2.
#define TRANSACTION_ADD_BROKERS_VERSION 4

struct transaction_topic {
    struct str name;
    int32_t *partitions; // ascending
    uint32_t count, capacity;
};

struct transaction_markers { // in the request's arena
    struct str transactional_id;
    int64_t producer_id;
    int16_t producer_epoch;
    int16_t transaction_version; // of the client that ended it
    int32_t coordinator_epoch;   // the shard's leader epoch when the end was decided, or loaded
    bool committed;
    struct transaction_topic *topics;
    uint32_t topics_count;
};

void transaction_markers_free(struct coordinator_request *markers);

// As the protocol names it ("PrepareCommit"); false: none is named so.
bool transaction_state_known(struct str name);

#endif
