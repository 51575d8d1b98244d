// The demo's way to the brokers: its topics, who leads their partitions, producing to them and fetching from
// them. Over src/client: one thread, which waits for each answer.
#ifndef DEMO_LINK_H
#define DEMO_LINK_H

#include "client/client.h"
#include "demo/event.h"
#include "storage/batch.h"

#define DEMO_MINUTES         SHOP_TOPICS // the topic of results, behind those of events
#define DEMO_TOPICS          (SHOP_TOPICS + 1)
#define DEMO_PARTITIONS      3 // of each topic, where the demo makes it
#define DEMO_PARTITIONS_MOST 64
#define DEMO_NODES_MOST      16
#define DEMO_TIMEOUT_MS      15000
#define DEMO_BOARDS          "__odradek_boards" // docs/dashboard.md

extern const struct str demo_topic_names[DEMO_TOPICS];

struct demo_node {
    int32_t id;
    struct client client; // connected when it is first needed
    char address[300];
};

struct demo_link {
    const char *servers;
    struct client first; // of the servers, the one that answered
    struct demo_node nodes[DEMO_NODES_MOST];
    int32_t nodes_count;
    int32_t partitions;                                 // the same number in each topic
    int32_t leaders[DEMO_TOPICS][DEMO_PARTITIONS_MOST]; // which of the nodes
    char error[CLIENT_ERROR_SIZE];                      // what went wrong, for a person
};

// Connects, and learns who leads the topics, which must be there. 0, or a code with l->error; ERR_NOT_FOUND:
// a topic is missing. Closes what was open before.
int link_open(struct demo_link *l, const char *servers);
void link_close(struct demo_link *l); // also of one that is all zeros

// Connects to the first of the servers only: for asking what any broker answers.
int link_connect(struct demo_link *l, const char *servers);

// Like client_open. 0, or a code with l->error; never ERR_AGAIN.
int link_reach(struct demo_link *l, struct client *client, const char *servers, int timeout_ms);

// A request to that broker. Like client_call, with the version chosen: the highest up to `most`. 0, or a code
// with l->error; never ERR_AGAIN.
int link_ask(struct demo_link *l, struct client *client, int16_t api_key, int16_t most, const void *request,
             struct arena *arena, void *response, int16_t *version);

// The connection to a node, made when it is first needed; to the one that leads partition 0 of a topic. 0, or
// a code with l->error.
int link_node(struct demo_link *l, int32_t node, struct client **out);
int link_leader(struct demo_link *l, struct str topic, struct client **out);

// Sets l->error. Returns code.
int link_fail(struct demo_link *l, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

// ---- producing

// Records that wait to be written, a batch a partition. They stay until the leader has them (acks=all); what
// is sent again after an answer was lost may be there twice.
struct demo_outbox {
    struct batch_builder builders[DEMO_TOPICS][DEMO_PARTITIONS_MOST];
    struct bytes batches[DEMO_TOPICS][DEMO_PARTITIONS_MOST]; // finished; data NULL: not yet
    size_t records;
};

// Not while batches wait to be sent again. Having no memory is an error that outbox_send returns.
void outbox_add(struct demo_outbox *box, int topic, int32_t partition, int64_t timestamp_ms, struct bytes key,
                struct bytes value);
// 0 when all of it was written. Else a code with l->error, and what is left waits.
int outbox_send(struct demo_outbox *box, struct demo_link *l);
void outbox_free(struct demo_outbox *box);

// ---- fetching

struct demo_wanted {
    enum shop_topic topic;
    int32_t partition;
    int64_t
        offset;    // where to begin; moved on behind what came, and to the log's beginning where that is gone
    bool read_all; // the log ended there when the answer was made
};

// Called for each record, in order. Returns 0 to go on, or a code that link_fetch returns.
typedef int demo_each(void *context, const struct demo_wanted *from, int64_t offset, int64_t timestamp_ms,
                      struct bytes value);

// Waits up to wait_ms while there is nothing. 0, or a code with l->error.
int link_fetch(struct demo_link *l, struct demo_wanted *wanted, int32_t count, int wait_ms, demo_each *each,
               void *context);

// Offers each record of a batch from the offset on. 0, or what `each` returned, or a code of storage/batch.h.
int link_walk(struct bytes records, struct demo_wanted *from, demo_each *each, void *context);

#endif
