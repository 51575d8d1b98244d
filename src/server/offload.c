#include "server/offload.h"

#include <assert.h>

#include "base/clock.h"
#include "server/connection.h"

static void run(struct request_work *work)
{
    struct offload *o = container_of(work, struct offload, work);
    struct request *r = work->request;
    int64_t started_us = clock_monotonic_us();
    r->api->handle(r);
    assert(o->verdict != VERDICT_NONE);
    o->used_us = clock_monotonic_us() - started_us;
}

static void carry_out(struct request *r, const struct offload *o)
{
    if (o->verdict == VERDICT_RESPOND)
        request_respond(r, NULL);
    else if (o->verdict == VERDICT_CLOSE)
        request_close(r, o->reason);
    else
        request_park(r, o->park, o->on_cancel, o->parked);
}

static void done(struct request_work *work, bool gone)
{
    struct offload *o = container_of(work, struct offload, work);
    struct request *r = work->request;
    r->offload = NULL;
    if (!gone) {
        r->used_us += o->used_us;
        carry_out(r, o);
    } else if (o->verdict == VERDICT_PARK) {
        r->parked = o->parked;
        o->on_cancel(r);
    }
    if (o->then)
        o->then(o->then_context);
}

void offload_handle(struct request *r)
{
    struct offload *o = arena_zalloc(&r->arena, 1, sizeof *o);
    if (!o) {
        request_close(r, "out of memory for a request");
        return;
    }
    o->work = (struct request_work){.run = run, .done = done};
    o->peer = r->connection->peer;
    r->offload = o;
    request_work(r, &o->work);
}
