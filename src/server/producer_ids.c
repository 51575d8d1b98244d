#include "server/producer_ids.h"

#include "base/logger.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <pthread.h>
#include <stdlib.h>

#define ALLOCATE_PRODUCER_IDS_KEY 67
#define PREFETCH_TENTHS           9 // of a block used: time to ask for the next one

struct block {
    int64_t start, next, end;
};

struct producer_ids {
    pthread_mutex_t lock;
    struct quorum *quorum;
    int32_t broker_id;
    int64_t broker_epoch;
    struct block current, following; // empty: next == end
    bool asking;                     // the controller is asked for a block
};

struct producer_ids *producer_ids_new(struct quorum *quorum, int32_t broker_id)
{
    struct producer_ids *ids = calloc(1, sizeof *ids);
    if (!ids)
        return NULL;
    pthread_mutex_init(&ids->lock, NULL);
    ids->quorum = quorum;
    ids->broker_id = broker_id;
    ids->broker_epoch = -1;
    return ids;
}

void producer_ids_free(struct producer_ids *ids)
{
    if (!ids)
        return;
    pthread_mutex_destroy(&ids->lock);
    free(ids);
}

void producer_ids_set_epoch(struct producer_ids *ids, int64_t broker_epoch)
{
    pthread_mutex_lock(&ids->lock);
    ids->broker_epoch = broker_epoch;
    pthread_mutex_unlock(&ids->lock);
}

static bool empty(const struct block *b)
{
    return b->next >= b->end;
}

// The controller answered. On its thread.
static void complete(struct quorum_request *asked)
{
    struct producer_ids *ids = asked->context;
    const struct allocate_producer_ids_response *response = asked->event.response;
    int16_t error = asked->event.error != E_NONE ? asked->event.error : response->error_code;
    pthread_mutex_lock(&ids->lock);
    ids->asking = false;
    if (error == E_NONE) {
        int64_t start = response->producer_id_start;
        ids->following = (struct block){start, start, start + response->producer_id_len};
    } else {
        log_limited(LOG_LEVEL_WARN, "server", "no block of producer ids: %s", error_code_name(error));
    }
    pthread_mutex_unlock(&ids->lock);
    controller_event_free(&asked->event);
    free(asked);
}

// Asks the controller for a block. Under the lock.
static void ask(struct producer_ids *ids)
{
    struct quorum_request *q = calloc(1, sizeof *q);
    struct allocate_producer_ids_request message;
    message_init(&allocate_producer_ids_request_type, &message);
    message.broker_id = ids->broker_id;
    message.broker_epoch = ids->broker_epoch;
    if (!q || controller_event_init(&q->event, ALLOCATE_PRODUCER_IDS_KEY, 0, &message)) {
        log_limited(LOG_LEVEL_ERROR, "server", "out of memory: cannot ask for producer ids");
        free(q);
        return;
    }
    q->complete = complete;
    q->context = ids;
    ids->asking = true;
    quorum_submit(ids->quorum, q);
}

int16_t producer_ids_take(struct producer_ids *ids, int64_t *producer_id)
{
    int16_t error = E_COORDINATOR_LOAD_IN_PROGRESS;
    pthread_mutex_lock(&ids->lock);
    struct block *b = &ids->current;
    if (empty(b)) {
        *b = ids->following;
        ids->following = (struct block){0};
    }
    if (!empty(b)) {
        *producer_id = b->next++;
        error = E_NONE;
    }
    bool low = (b->next - b->start) * 10 >= (b->end - b->start) * PREFETCH_TENTHS;
    if (low && empty(&ids->following) && !ids->asking)
        ask(ids);
    pthread_mutex_unlock(&ids->lock);
    return error;
}
