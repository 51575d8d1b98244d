#include "server/producer_ids.h"

#include "base/logger.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <pthread.h>
#include <stdlib.h>

struct producer_ids {
    pthread_mutex_t lock;
    struct quorum *quorum;
    int32_t broker_id;
    int64_t broker_epoch;
    int64_t next, end; // of the block in hand
    bool asking;       // the controller is asked for the next block
    struct list waiters;
};

struct producer_ids *producer_ids_new(struct quorum *quorum, int32_t broker_id)
{
    struct producer_ids *ids = calloc(1, sizeof *ids);
    if (!ids)
        return NULL;
    pthread_mutex_init(&ids->lock, NULL);
    list_init(&ids->waiters);
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

static void reply(struct producer_id_waiter *w, int64_t id, int16_t error)
{
    w->producer_id = id;
    w->error = error;
    loop_post(w->reply_to, &w->done);
}

static bool ask(struct producer_ids *ids);

// The controller answered. On its thread.
static void complete(struct quorum_request *asked)
{
    struct producer_ids *ids = asked->context;
    const struct allocate_producer_ids_response *response = asked->event.response;
    int16_t error = asked->event.error != E_NONE ? asked->event.error : response->error_code;
    pthread_mutex_lock(&ids->lock);
    ids->asking = false;
    if (error == E_NONE) {
        ids->next = response->producer_id_start;
        ids->end = response->producer_id_start + response->producer_id_len;
    } else {
        log_limited(LOG_LEVEL_WARN, "server", "no block of producer ids: %s", error_code_name(error));
    }
    struct list *n;
    while ((error != E_NONE || ids->next < ids->end) && (n = list_pop_front(&ids->waiters))) {
        struct producer_id_waiter *w = container_of(n, struct producer_id_waiter, node);
        if (error != E_NONE)
            reply(w, -1, E_COORDINATOR_LOAD_IN_PROGRESS); // what Kafka says: the client tries again
        else
            reply(w, ids->next++, E_NONE);
    }
    bool more = !list_empty(&ids->waiters);
    if (more && !ask(ids))
        while ((n = list_pop_front(&ids->waiters)))
            reply(container_of(n, struct producer_id_waiter, node), -1, E_COORDINATOR_LOAD_IN_PROGRESS);
    pthread_mutex_unlock(&ids->lock);
    controller_event_free(&asked->event);
    free(asked);
}

// Asks the controller for a block. Under the lock. False: out of memory.
static bool ask(struct producer_ids *ids)
{
    struct quorum_request *q = calloc(1, sizeof *q);
    struct allocate_producer_ids_request message;
    message_init(&allocate_producer_ids_request_type, &message);
    message.broker_id = ids->broker_id;
    message.broker_epoch = ids->broker_epoch;
    if (!q || controller_event_init(&q->event, 67, 0, &message)) {
        free(q);
        return false;
    }
    q->complete = complete;
    q->context = ids;
    ids->asking = true;
    quorum_submit(ids->quorum, q);
    return true;
}

bool producer_ids_take(struct producer_ids *ids, struct producer_id_waiter *w)
{
    bool now = true;
    w->error = E_NONE;
    w->producer_id = -1;
    list_init(&w->node);
    pthread_mutex_lock(&ids->lock);
    if (ids->next < ids->end) {
        w->producer_id = ids->next++;
    } else if (ids->asking || ask(ids)) {
        list_push_back(&ids->waiters, &w->node);
        now = false;
    } else {
        w->error = E_COORDINATOR_LOAD_IN_PROGRESS;
    }
    pthread_mutex_unlock(&ids->lock);
    return now;
}

void producer_ids_cancel(struct producer_ids *ids, struct producer_id_waiter *w)
{
    pthread_mutex_lock(&ids->lock);
    list_remove(&w->node);
    pthread_mutex_unlock(&ids->lock);
    loop_cancel(w->reply_to, &w->done);
}
