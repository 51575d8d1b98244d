// What the txn commands share. For the files txn_*.c only.
#ifndef CLI_TXN_H
#define CLI_TXN_H

#include "cli/cluster.h"

// The transactional ids of all brokers, in the call's arena.
struct txn_listing {
    struct topic_call *call;
    int64_t open_for_s; // only those whose transaction is open for so long; -1: all
    struct list_transactions_response_transaction_state *all;
    size_t count;
};

// EXIT_OK, or a failure and said so.
int txn_list(struct txn_listing *l, const struct metadata_response *cluster);

// Asks the id's coordinator. EXIT_OK, or EXIT_FAILED and said so; an error of the protocol is in *out alone.
int txn_ask(struct topic_call *t, struct str id,
            struct describe_transactions_response_transaction_state *out);

// Aborts what hangs (txn_hanging.c) in the topics that are named: open in a partition for so long, and
// unknown to its coordinator.
int txn_abort_hanging(struct topic_call *t, int64_t open_for_s);

#define TXN_OPEN_FOR_S 900 // the longest transaction.timeout.ms that a broker allows by default

extern const struct command txn_hanging_command;

#endif
