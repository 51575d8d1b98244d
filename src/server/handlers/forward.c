#include "server/handlers/forward.h"

#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/quorum.h"

#include <stdlib.h>

// Outlives the request: the quorum cannot be asked to forget it.
struct forward {
    struct quorum_request ask;
    struct request *request; // NULL once its connection is gone
    void (*refuse)(struct request *request, int16_t error);
};

static void complete(struct quorum_request *ask)
{
    struct forward *f = ask->context;
    if (f->request) {
        if (f->ask.event.error != E_NONE)
            f->refuse(f->request, f->ask.event.error);
        else
            request_respond(f->request, f->ask.event.response);
    }
    controller_event_free(&f->ask.event);
    free(f);
}

static void on_cancel(struct request *r)
{
    struct forward *f = r->parked;
    f->request = NULL;
}

void forward_to_controller(struct request *r, void (*refuse)(struct request *request, int16_t error))
{
    struct forward *f = calloc(1, sizeof *f);
    if (!f || controller_event_init(&f->ask.event, r->api->api_key, r->version, r->message)) {
        free(f);
        refuse(r, E_UNKNOWN_SERVER_ERROR);
        return;
    }
    f->request = r;
    f->refuse = refuse;
    f->ask.complete = complete;
    f->ask.reply_to = &r->reactor->loop;
    f->ask.context = f;
    request_park(r, PARK_STALL, on_cancel, f);
    quorum_submit(broker_of(r)->quorum, &f->ask);
}

void forward_in_time(struct request *r, int32_t timeout_ms,
                     void (*refuse)(struct request *request, int16_t error))
{
    if (timeout_ms <= 0)
        refuse(r, E_REQUEST_TIMED_OUT);
    else
        forward_to_controller(r, refuse);
}
