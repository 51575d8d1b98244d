// Producer ids for this broker: taken from blocks that the controller persists (KIP-730), so that no id is
// given twice, whatever crashes.
#ifndef SERVER_PRODUCER_IDS_H
#define SERVER_PRODUCER_IDS_H

#include "server/quorum.h"

struct producer_ids;

struct producer_ids *producer_ids_new(struct quorum *quorum, int32_t broker_id);
void producer_ids_free(struct producer_ids *ids); // after the quorum has stopped

// The broker's epoch, as its registration got it. Before the first producer_ids_take.
void producer_ids_set_epoch(struct producer_ids *ids, int64_t broker_epoch);

// A fresh id. E_NONE, or E_COORDINATOR_LOAD_IN_PROGRESS while the first block is on its way, as Kafka
// answers: the client asks again. The next block is asked for before the one in hand is used up. Any thread.
int16_t producer_ids_take(struct producer_ids *ids, int64_t *producer_id);

#endif
