#include "server/placement.h"

#include "base/clock.h"
#include "server/connection.h"
#include "server/reactors.h"

bool placement_joins(uint32_t wakes, struct load here, struct load there)
{
    return wakes >= PLACEMENT_WAKES && here.busy + there.busy <= PLACEMENT_JOINED &&
           there.connections < here.connections + PLACEMENT_CROWD;
}

bool placement_parts(uint32_t busy_here, uint32_t busy_there, uint32_t turns, uint32_t all_turns)
{
    if (busy_here < PLACEMENT_BUSY || all_turns < PLACEMENT_TURNS)
        return false;
    uint64_t share = (uint64_t)turns * 1000 / all_turns;
    return share >= PLACEMENT_SHARE_LEAST && busy_there + share <= PLACEMENT_RELIEVED;
}

void placement_woken(struct connection *c, const struct reactor *by)
{
    struct placement *p = &c->placement;
    if (!by)
        return;
    if (by != p->woken_by)
        p->wakes = 0;
    p->woken_by = by;
    if (p->wakes < PLACEMENT_WAKES)
        p->wakes++;
}

static void count(struct served *served, uint32_t window)
{
    if (served->window != window)
        *served = (struct served){.window = window};
    served->turns++;
}

void placement_served(struct connection *c)
{
    uint32_t window = c->state->reactor.loop.windows;
    count(&c->placement.served, window);
    count(&c->state->served, window);
}

static uint32_t busy(struct reactor_state *state, int64_t now_us)
{
    return loop_busy_permille(&state->reactor.loop, now_us);
}

static struct load load(struct reactor_state *state, int64_t now_us)
{
    return (struct load){busy(state, now_us), atomic_load(&state->connection_count)};
}

// The reactor that has woken it, if that is another one and serves.
static struct reactor_state *waker(const struct connection *c)
{
    struct reactors *group = c->state->reactor.group;
    const struct reactor *by = c->placement.woken_by;
    if (c->placement.wakes < PLACEMENT_WAKES || !by || by == &c->state->reactor ||
        by->index >= atomic_load(&group->serving))
        return NULL;
    return group->states[by->index];
}

static struct reactor_state *least_busy(struct reactors *group, int64_t now_us)
{
    struct reactor_state *best = group->states[0];
    for (unsigned i = 1, serving = atomic_load(&group->serving); i < serving; i++)
        if (busy(group->states[i], now_us) < busy(best, now_us))
            best = group->states[i];
    return best;
}

static bool has_rested(int64_t moved_ms, int64_t now_ms)
{
    return !moved_ms || now_ms - moved_ms >= PLACEMENT_REST_MS;
}

struct reactor_state *placement_better(struct connection *c)
{
    struct reactor_state *here = c->state, *there = waker(c);
    struct placement *p = &c->placement;
    int64_t now_ms = loop_now_ms(&here->reactor.loop), now_us = now_ms * 1000;
    uint32_t busy_here = busy(here, now_us);
    if ((!there && busy_here < PLACEMENT_BUSY) || !has_rested(p->moved_ms, now_ms))
        return NULL;
    if (there && !placement_joins(p->wakes, load(here, now_us), load(there, now_us)))
        there = NULL;
    if (!there && busy_here >= PLACEMENT_BUSY && has_rested(here->parted_ms, now_ms)) {
        there = least_busy(here->reactor.group, now_us);
        if (!placement_parts(busy_here, busy(there, now_us), p->served.turns, here->served.turns))
            return NULL;
        here->parted_ms = now_ms;
    }
    if (there)
        *p = (struct placement){.moved_ms = now_ms};
    return there;
}
