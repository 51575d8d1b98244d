// Transactions for the handlers and for the broker as a whole: asking the coordinator of a transactional id,
// and carrying through the ends that it has decided.
#ifndef SERVER_TRANSACTIONS_H
#define SERVER_TRANSACTIONS_H

#include "protocol/messages.h"
#include "server/broker.h"

// ---------------------------------------------------------------- what a transaction covers (KIP-890)

// Asked by who appends a producer's transactional records here: does its transaction cover these partitions,
// or have them added. Lies in the asker's memory, all zeros but for what is filled in.
struct transaction_question {
    // Whose transaction, and the topics with their partitions. `verify_only`: nothing is added. Needed during
    // transaction_ask only.
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction about;
    struct loop *reply_to;                               // of the thread that `done` is called on
    void (*done)(struct transaction_question *question); // unless the answer is there at once
    void *context;                                       // the asker's

    struct coordinator_request ask; // private
};

// True: the answer is there, and `done` is not called. False: it is called later, exactly once, and the
// question stays until then (it cannot be taken back). On a reactor.
bool transaction_ask(struct broker *broker, struct transaction_question *question);

// The answer for about.topics[topic].partitions[partition], as the coordinator gives it: E_NONE: the
// transaction covers it (now); E_TRANSACTION_ABORTABLE: it does not (only with verify_only);
// E_INVALID_PRODUCER_ID_MAPPING, E_PRODUCER_FENCED, E_CONCURRENT_TRANSACTIONS (try again),
// E_INVALID_REQUEST (no id), E_NOT_COORDINATOR, E_COORDINATOR_NOT_AVAILABLE, E_COORDINATOR_LOAD_IN_PROGRESS.
int16_t transaction_answer(const struct transaction_question *question, int32_t topic, int32_t partition);

// Frees what the answer holds.
void transaction_question_free(struct transaction_question *question);

// ---------------------------------------------------------------- the broker's coordinator of transactions

// What it goes by. 0 or ERR_NOMEM.
int transactions_init(struct broker *broker);

// Forgets what is still to be written; the next start finds it in the log. Once the loops have ended.
void transactions_free(struct broker *broker);

#endif
