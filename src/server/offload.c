#include "server/offload.h"

#include <assert.h>

#include "base/clock.h"
#include "server/connection.h"

static void run(struct request_work *work)
{
    struct offload *o = container_of(work, struct offload, work);
    struct request *r = work->request;
    int64_t started_us = clock_monotonic_us();
    if (o->run)
        o->run(r, o->context);
    else
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
    if (o->after)
        o->after(o->context);
}

static void offload(struct request *r, const struct offload *values)
{
    struct offload *o = arena_zalloc(&r->arena, 1, sizeof *o);
    if (!o) {
        request_close(r, "out of memory for a request");
        if (values->after)
            values->after(values->context);
        return;
    }
    *o = *values;
    o->work = (struct request_work){.run = run, .done = done};
    o->peer = r->connection->peer;
    r->offload = o;
    request_work(r, &o->work);
}

void offload_handle(struct request *r)
{
    offload(r, &(struct offload){0});
}

void request_offload(struct request *r, void (*run_it)(struct request *request, void *context),
                     void (*after)(void *context), void *context)
{
    offload(r, &(struct offload){.run = run_it, .after = after, .context = context});
}
