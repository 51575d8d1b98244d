// A Produce request while it is served. Private to handlers/produce*.c.
#ifndef SERVER_PRODUCE_INTERNAL_H
#define SERVER_PRODUCE_INTERNAL_H

#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/produce_verify.h"

#define TOPIC_ID_VERSION 13

// One partition of the request. A repeated partition keeps the place of its first mention. As in Kafka, the
// last of its mentions that looks good is appended, and one that does not gives the answer all the same.
struct produce_item {
    uint64_t rank; // where the request first names the topic, then the partition: the order of the items
    struct str topic;
    struct uuid topic_id;
    int32_t index;
    uint8_t *records; // of the last mention that looks good, in the request's own buffer; NULL: none does
    size_t records_bytes;
    int16_t refusal; // of the last mention that does not; E_NONE: all do
    struct str refusal_message;
    bool lacks_records; // null came instead

    struct partition *partition; // referenced while the request waits
    int16_t error;
    struct str message;
    const struct batch_record_error *record_errors;
    size_t record_error_count;
    int64_t base_offset, append_time_ms, log_start_offset;
    int64_t guard;                   // of a transactional batch that its coordinator has no objection to
    struct partition_append *append; // what was accepted and waits for the end of the turn; NULL: nothing
    struct buffer rewrite;           // where its bytes lie when they are not the producer's own
    bool append_time;
    size_t order;     // among what is appended together
    int64_t wait_for; // -1: answered
    struct partition_waiter waiter;
    struct produce *produce;
};

struct produce {
    struct request *request;
    const struct produce_request *message;
    int16_t acks;
    struct produce_item *items;
    size_t count;
    int16_t damage; // of a batch, that fails the whole request; E_NONE: go on
    struct str damage_message;
    bool transactional;          // a batch is
    bool verifies;               // the coordinator of such a batch is asked
    size_t validated;            // items
    bool out_of_memory, settled; // as it was prepared: no item is to be appended
    struct workers *loaders;     // of a log that is to be loaded first; NULL: all are
    struct request_work preparation, validation;
    struct task progress; // posted by whoever moves a high watermark
    struct loop_timer timeout;
    struct list node;              // of the reactor's collected ones
    bool cancelled;                // while it was collected: nobody is to be answered
    struct produce_entry *entries; // transactional ones
    size_t entry_count;
    struct produce_verify *verifying; // NULL: nothing is asked
};
// As many as the request names, each time that it does.
size_t produce_count_partitions(const struct produce_request *message);
// Without partitions, too: each costs a look.
size_t produce_count_topics(const struct produce_request *message);

// Looks at what is asked for, and finds the partitions. On the reactor or on a worker.
void produce_prepare(struct produce *produce);

// Every item comes to this.
void produce_fail_all(struct produce *produce, int16_t error, struct str message);

#endif
