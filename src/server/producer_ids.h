// Producer ids for this broker: taken from blocks that the controller persists (KIP-730), so that no id is
// given twice, whatever crashes.
#ifndef SERVER_PRODUCER_IDS_H
#define SERVER_PRODUCER_IDS_H

#include "base/list.h"
#include "server/quorum.h"

struct producer_ids;

// Waits for an id. The memory is the asker's.
struct producer_id_waiter {
    struct list node;
    int64_t producer_id; // the answer, or -1
    int16_t error;       // E_NONE, or why there is no id
    struct loop *reply_to;
    struct task done; // posted to reply_to when the answer is there; run is the asker's
};

struct producer_ids *producer_ids_new(struct quorum *quorum, int32_t broker_id);
void producer_ids_free(struct producer_ids *ids); // nobody waits any more

// The broker's epoch, as its registration got it. Before the first producer_ids_take.
void producer_ids_set_epoch(struct producer_ids *ids, int64_t broker_epoch);

// True: waiter->producer_id is set. False: the answer comes as a task. Any thread with a loop.
bool producer_ids_take(struct producer_ids *ids, struct producer_id_waiter *waiter);

// Takes the waiter out; its task may have been posted. On the waiter's own thread.
void producer_ids_cancel(struct producer_ids *ids, struct producer_id_waiter *waiter);

#endif
