#include "server/offload.h"

#include <assert.h>

#include "base/clock.h"
#include "server/cold_logs.h"
#include "server/throttle.h"

static void run(struct request_work *work)
{
    struct offload *o = container_of(work, struct offload, work);
    struct request *r = work->request;
    int64_t started_us = clock_monotonic_us();
    if (o->frame.data && atomic_load(&r->is_orphan))
        return; // nothing of it is done: its client left before anybody had begun
    if (o->frame.data && dispatch_decode(r, o->frame, &o->why))
        o->verdict = VERDICT_REFUSE;
    else if (o->frame.data && (cold_logs_any(r) || !dispatch_is_costly(r)))
        o->verdict = VERDICT_HANDLE;
    else if (o->run)
        o->run(r, o->context);
    else
        r->api->handle(r);
    assert(o->verdict != VERDICT_NONE);
    o->used_us = clock_monotonic_us() - started_us;
}

static void carry_out(struct request *r, const struct offload *o)
{
    switch (o->verdict) {
    case VERDICT_RESPOND:
        request_respond(r, NULL);
        break;
    case VERDICT_REFUSE:
        dispatch_refuse(r, &o->why);
        request_close(r, NULL);
        break;
    case VERDICT_HANDLE:
        dispatch_handle(r);
        break;
    case VERDICT_PARK:
        request_park(r, o->park, o->on_cancel, o->parked);
        break;
    default:
        request_close(r, o->reason);
    }
}

// A request that a worker has decoded, too: only now is it known whose quotas it concerns.
static void carry_out_decoded(struct request *r, const struct offload *o)
{
    bool begins = o->verdict != VERDICT_HANDLE && o->verdict != VERDICT_REFUSE;
    if (begins)
        throttle_begin(r);
    carry_out(r, o);
    if (begins)
        throttle_pause(r);
}

static void done(struct request_work *work, bool gone)
{
    struct offload *o = container_of(work, struct offload, work);
    struct request *r = work->request;
    r->offload = NULL;
    if (!gone) {
        r->used_us += o->used_us;
        if (o->frame.data)
            carry_out_decoded(r, o);
        else
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
    o->work.run = run;
    o->work.done = done;
    o->peer = r->connection->peer;
    r->offload = o;
    request_work(r, &o->work);
}

void offload_decode(struct request *r, struct bytes frame)
{
    offload(r, &(struct offload){.frame = frame});
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
