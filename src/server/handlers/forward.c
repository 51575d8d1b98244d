#include "server/handlers/forward.h"

#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/dispatch.h"
#include "server/mutation_quota.h"
#include "server/quorum.h"

#include <stdlib.h>

// Outlives the request: the quorum cannot be asked to forget it.
struct forward {
    struct quorum_request ask;
    struct quorum *quorum;
    struct mutation_quota mutations;
    struct request *request;                                // NULL once its connection is gone
    void (*refuse)(struct request *request, int16_t error); // NULL: finish takes errors too
    void (*finish)(struct request *request, void *context, const void *response, int16_t error);
    void *context;
};

static void answer(struct forward *f)
{
    const struct controller_event *event = &f->ask.event;
    if (f->finish)
        f->finish(f->request, f->context, event->error == E_NONE ? event->response : NULL, event->error);
    else if (event->error != E_NONE)
        f->refuse(f->request, event->error);
    else
        request_respond(f->request, event->response);
}

static void answer_by_worker(struct request *r, void *context)
{
    (void)r;
    answer(context);
}

static void release(void *context)
{
    struct forward *f = context;
    reactor_free_if_large(container_of(f->ask.reply_to, struct reactor, loop), &f->ask.event.arena);
    controller_event_free(&f->ask.event);
    free(f);
}

// Who asked for much is told much: a worker writes that down.
static void complete(struct quorum_request *ask)
{
    struct forward *f = ask->context;
    struct request *r = f->request;
    if (r)
        request_throttle(r, mutation_quota_throttle_ms(&f->mutations, reactor_now_ms(r->reactor)));
    if (r && r->size_bytes >= HEAVY_REQUEST_BYTES) {
        request_offload(r, answer_by_worker, release, f);
        return;
    }
    if (r)
        answer(f);
    release(f);
}

static void ask_controller(void *context)
{
    struct forward *f = context;
    quorum_submit(f->quorum, &f->ask);
}

static void on_cancel(struct request *r)
{
    struct forward *f = r->parked;
    f->request = NULL;
}

// False: it cannot be asked.
static bool submit(const struct forward *values, const void *message)
{
    struct request *r = values->request;
    struct forward *f = malloc(sizeof *f);
    if (!f)
        return false;
    *f = *values;
    if (controller_event_init(&f->ask.event, r->api->api_key, r->version, message)) {
        free(f);
        return false;
    }
    mutation_quota_attach(&f->mutations, r, &f->ask.event);
    f->ask.complete = complete;
    f->ask.reply_to = &r->reactor->loop;
    f->ask.context = f;
    f->quorum = broker_of(r)->quorum;
    request_park(r, PARK_STALL, on_cancel, f);
    request_then(r, ask_controller, f);
    return true;
}

void forward_to_controller(struct request *r, void (*refuse)(struct request *request, int16_t error))
{
    struct forward f = {.request = r, .refuse = refuse};
    if (!submit(&f, r->message))
        refuse(r, E_UNKNOWN_SERVER_ERROR);
}

void forward_rest(struct request *r, const void *message, void *context,
                  void (*finish)(struct request *request, void *context, const void *response, int16_t error))
{
    struct forward f = {.request = r, .finish = finish, .context = context};
    if (!submit(&f, message))
        finish(r, context, NULL, E_UNKNOWN_SERVER_ERROR);
}

void forward_in_time(struct request *r, int32_t timeout_ms,
                     void (*refuse)(struct request *request, int16_t error))
{
    if (timeout_ms <= 0)
        refuse(r, E_REQUEST_TIMED_OUT);
    else
        forward_to_controller(r, refuse);
}

struct str refusal_text(int16_t error)
{
    return error == E_REQUEST_TIMED_OUT ? STR_NULL : str_from(error_code_message(error));
}
