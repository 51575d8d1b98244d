#include "server/throttle.h"

#include "base/clock.h"
#include "protocol/api.h"
#include "server/reactors.h"

#include <stdlib.h>

// A muted connection's.
struct mute {
    struct loop_timer timer;
    struct connection *connection;
};

static struct client_quotas *quotas_of(const struct request *r)
{
    return reactors_quotas(r->reactor->group);
}

bool request_limit(const struct request *r, enum image_quota_kind kind, struct quota_limit *out)
{
    if (!quotas_of(r) || r->is_own || request_listener(r)->kind != LISTENER_BROKER)
        return false;
    struct str principal = request_principal(r);
    const char *colon = memchr(principal.data, ':', principal.size);
    size_t skip = colon ? (size_t)(colon - principal.data) + 1 : 0;
    struct quota_client client = {{principal.data + skip, principal.size - skip}, r->client_id};
    return quota_resolve(image_current(), kind, &client, out);
}

int32_t request_charge(struct request *r, enum image_quota_kind kind, double value)
{
    struct quota_limit limit;
    if (!quotas_of(r) || !request_limit(r, kind, &limit))
        return 0;
    return client_quotas_record(quotas_of(r), kind, &limit, value, reactor_now_ms(r->reactor));
}

void request_throttle(struct request *r, int32_t throttle_ms)
{
    if (throttle_ms > r->throttle_ms)
        r->throttle_ms = throttle_ms;
}

// Of the time of one thread.
static double percent(int64_t us)
{
    return (double)us * 100.0 / 1e6;
}

void throttle_begin(struct request *r)
{
    struct connection *c = r->connection;
    if (!quotas_of(r) || !quota_any(image_current())) {
        c->one_at_a_time = c->timed = false;
        return;
    }
    struct quota_limit limit;
    c->timed = request_limit(r, QUOTA_REQUEST_PERCENTAGE, &limit);
    if (c->timed) {
        if (c->sending_us > 0) // the earlier responses', which Kafka's network threads are charged for
            client_quotas_note(quotas_of(r), QUOTA_REQUEST_PERCENTAGE, &limit, percent(c->sending_us),
                               reactor_now_ms(r->reactor));
        c->sending_us = 0;
        r->started_us = clock_monotonic_us();
    }
    c->one_at_a_time = c->timed || request_limit(r, QUOTA_PRODUCER_BYTE_RATE, &limit) ||
                       request_limit(r, QUOTA_CONSUMER_BYTE_RATE, &limit);
}

void throttle_pause(struct request *r)
{
    if (!r->started_us)
        return;
    reactor_settle(r->reactor);
    r->used_us += clock_monotonic_us() - r->started_us;
    r->started_us = 0;
}

void request_charge_time(struct request *r)
{
    if (!r->connection->timed || r->time_charged)
        return;
    int64_t used_us = r->used_us + (r->started_us ? clock_monotonic_us() - r->started_us : 0);
    r->time_charged = true;
    request_throttle(r, request_charge(r, QUOTA_REQUEST_PERCENTAGE, percent(used_us)));
}

static void unmute(struct connection *c)
{
    struct mute *mute = c->mute;
    c->mute = NULL;
    free(mute);
}

static void on_silence_over(struct loop_timer *timer)
{
    struct connection *c = container_of(timer, struct mute, timer)->connection;
    unmute(c);
    connection_serve(c);
}

void throttle_forget(struct connection *c)
{
    if (!c->mute)
        return;
    loop_timer_cancel(&c->state->reactor.loop, &c->mute->timer);
    unmute(c);
}

// Nothing is read from the connection until the time is over. The latest silence counts.
static void mute(struct connection *c, int32_t throttle_ms)
{
    struct loop *loop = &c->state->reactor.loop;
    counter_add(&c->state->counters.throttled, 1);
    counter_add(&c->state->counters.throttle_ms, (uint64_t)throttle_ms);
    int64_t due_ms = loop_now_ms(loop) + throttle_ms;
    if (!c->mute) {
        c->mute = calloc(1, sizeof *c->mute);
        if (!c->mute)
            return; // the client was told
        c->mute->connection = c;
        c->mute->timer.fire = on_silence_over;
    } else if (c->mute->timer.node.key >= due_ms) {
        return;
    }
    if (loop_timer_arm(loop, &c->mute->timer, due_ms) && !loop_timer_armed(&c->mute->timer))
        unmute(c);
}

void throttle_respond_none(struct request *r)
{
    if (r->throttle_ms > 0 && !r->connection->closing)
        mute(r->connection, r->throttle_ms);
}

void throttle_respond(struct request *r, void *response)
{
    request_charge_time(r);
    if (r->throttle_ms <= 0)
        return;
    if (response)
        message_set_int32(api_find(r->api->api_key)->response, response, "throttleTimeMs", r->throttle_ms);
    throttle_respond_none(r);
}
