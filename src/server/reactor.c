#include "server/reactor.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/logger.h"
#include "server/reactors.h"

// One reactor: its timers and what is posted to it.
#define INPUT_TRIM_MS     10000 // buffers that are kept are freed when this long after the last use
#define LARGE_ARENA_BYTES (1 << 20)

static _Thread_local const struct reactor *current;

const struct reactor *reactor_current(void)
{
    return current;
}

bool reactor_is_mine(const struct reactor *reactor)
{
    return current == reactor;
}

static struct reactor_state *state_of(struct loop_timer *timer, size_t offset)
{
    return (struct reactor_state *)(void *)((char *)timer - offset);
}

// connections.max.idle.ms: the list is ordered by progress, so only its front is looked at.
static void on_idle_timer(struct loop_timer *timer)
{
    struct reactor_state *state = state_of(timer, offsetof(struct reactor_state, idle_timer));
    int64_t idle_ms = state->limits->connections_max_idle_ms, now_ms = loop_now_ms(&state->reactor.loop);
    while (!list_empty(&state->connections)) {
        struct connection *c = container_of(list_first(&state->connections), struct connection, node);
        if (c->progress_ms + idle_ms > now_ms) {
            loop_timer_arm(&state->reactor.loop, timer, c->progress_ms + idle_ms);
            return;
        }
        // Who waits for us is not idle; who does not read our answer is.
        if (c->parked > 0 && !output_pending(c)) {
            connection_touch(c);
            continue;
        }
        log_debug("server", "%s: connection closed: idle for %lld ms", c->peer.text, (long long)idle_ms);
        connection_destroy(c);
    }
}

static void on_trim_timer(struct loop_timer *timer)
{
    struct reactor_state *state = state_of(timer, offsetof(struct reactor_state, trim_timer));
    input_pool_trim(&state->inputs);
}

void reactor_arm_trim(struct reactor_state *state)
{
    counter_add(&state->counters.input_bytes, state->inputs.held_bytes - state->counters.input_bytes);
    // Moved at most once a second: this is asked after each request.
    int64_t due_ms = loop_now_ms(&state->reactor.loop) + INPUT_TRIM_MS;
    if (state->inputs.kept_bytes &&
        (!loop_timer_armed(&state->trim_timer) || state->trim_timer.node.key < due_ms - 1000))
        loop_timer_arm(&state->reactor.loop, &state->trim_timer, due_ms);
}

static void uncharge(struct input_pool *pool, size_t bytes)
{
    struct reactor_state *state = container_of(pool, struct reactor_state, inputs);
    reactors_uncharge_input(state->reactor.group, bytes);
}

void reactor_wait_for_memory(struct connection *c)
{
    struct reactor_state *state = c->state;
    struct reactors *group = state->reactor.group;
    if (list_empty(&c->memory_node))
        list_push_back(&state->memory_waiters, &c->memory_node);
    atomic_store(&group->memory_wanted, true);
    // It may have been freed just before.
    if (atomic_load(&group->input_bytes) < group->config.limits.queued_max_request_bytes)
        reactor_post(&state->reactor, &state->memory_task);
}

static void on_memory(struct task *task)
{
    struct reactor_state *state = container_of(task, struct reactor_state, memory_task);
    framing_memory_freed(state);
}

// Closes the longest idle connection that is on no protected listener, once per connection that was let in
// above max.connections.
static void on_evict(struct task *task)
{
    struct reactor_state *state = container_of(task, struct reactor_state, evict_task);
    for (uint32_t wanted = atomic_exchange(&state->evictions, 0); wanted > 0; wanted--) {
        for (struct list *node = list_first(&state->connections); node != &state->connections;
             node = node->next) {
            struct connection *c = container_of(node, struct connection, node);
            if (reactors_protect(state->reactor.group, c->listener))
                continue;
            log_limited(LOG_LEVEL_INFO, "server",
                        "%s: connection closed: max.connections is reached, and it was idle longest",
                        c->peer.text);
            connection_destroy(c);
            break;
        }
    }
}

void reactor_stop_if_empty(struct reactor_state *state)
{
    if (state->ending && atomic_load(&state->connection_count) == 0 && state->orphans == 0)
        loop_stop(&state->reactor.loop);
}

static void destroy_leaving(struct reactor_state *state)
{
    struct list *next;
    for (struct list *node = list_first(&state->connections); list_each(&state->connections, node, next);
         node = next) {
        struct connection *c = container_of(node, struct connection, node);
        if (connection_leaves(c))
            connection_destroy(c);
    }
}

static void on_drain_timer(struct loop_timer *timer)
{
    destroy_leaving(state_of(timer, offsetof(struct reactor_state, drain_timer)));
}

// The server stops, fewer reactors serve, or a listener was taken away: whom this concerns takes no further
// request; who has none in progress is closed now, the others when they are answered or the time is over. Or
// more reactors serve than did: who was to leave and is still there stays.
static void on_drain(struct task *task)
{
    struct reactor_state *state = container_of(task, struct reactor_state, drain_task);
    struct reactors *group = state->reactor.group;
    bool stays = state->draining;
    state->ending = atomic_load(&group->ending);
    state->draining = state->ending || state->reactor.index >= atomic_load(&group->serving);
    stays &= !state->draining;
    int64_t bound_ms = state->ending ? group->stop_bound_ms : REACTOR_DRAIN_MS;
    bool left = false;
    struct list *next;
    for (struct list *node = list_first(&state->connections); list_each(&state->connections, node, next);
         node = next) {
        struct connection *c = container_of(node, struct connection, node);
        bool leaves = connection_leaves(c);
        left |= leaves;
        if (leaves || stays)
            connection_serve(c);
    }
    if (left && (bound_ms <= 0 || loop_timer_arm(&state->reactor.loop, &state->drain_timer,
                                                 loop_now_ms(&state->reactor.loop) + bound_ms)))
        destroy_leaving(state);
    reactor_stop_if_empty(state);
}

// Lies in what is to be freed.
struct large_arena {
    struct job job;
    struct arena arena;
};

static void free_large(struct job *job)
{
    struct arena arena = container_of(job, struct large_arena, job)->arena;
    arena_free(&arena);
}

void reactor_free_if_large(struct reactor *reactor, struct arena *arena)
{
    bool is_large = arena->used_bytes >= LARGE_ARENA_BYTES;
    struct large_arena *large = is_large ? arena_alloc(arena, sizeof *large) : NULL;
    if (!large)
        return;
    *large = (struct large_arena){{.run = free_large, .reads_nothing = true}, *arena};
    if (workers_submit(reactors_workers(reactor->group), &large->job))
        *arena = (struct arena){.first_bytes = arena->first_bytes};
}

void reactor_settle(struct reactor *reactor)
{
    loop_work_cancel(&reactor->settle_work);
    reactor->collected_bytes = 0;
    if (!list_empty(&reactor->collected))
        reactor->settle(reactor);
}

static void on_settle(struct loop_work *work)
{
    reactor_settle(container_of(work, struct reactor, settle_work));
}

void reactor_collect(struct reactor *reactor, struct list *node, size_t bytes,
                     void (*settle)(struct reactor *reactor))
{
    list_push_back(&reactor->collected, node);
    reactor->collected_bytes += bytes;
    reactor->settle = settle;
    loop_at_end(&reactor->loop, &reactor->settle_work);
}

int reactor_init(struct reactor_state *state, struct reactors *group, unsigned index)
{
    list_init(&state->reactor.collected);
    state->reactor.settle_work.run = on_settle;
    state->reactor.group = group;
    state->reactor.index = index;
    state->limits = &group->config.limits;
    state->latency = calloc(API_KEY_LIMIT, sizeof *state->latency);
    state->errors = calloc(1, sizeof *state->errors);
    if (!state->latency || !state->errors) {
        free(state->latency);
        free(state->errors);
        return ERR_NOMEM;
    }
    list_init(&state->connections);
    list_init(&state->free_requests);
    list_init(&state->memory_waiters);
    state->inputs.uncharge = uncharge;
    state->memory_task.run = on_memory;
    state->evict_task.run = on_evict;
    state->drain_task.run = on_drain;
    state->idle_timer.fire = on_idle_timer;
    state->trim_timer.fire = on_trim_timer;
    state->drain_timer.fire = on_drain_timer;
    int err = loop_init(&state->reactor.loop, NULL);
    if (err) {
        free(state->latency);
        free(state->errors);
    }
    return err;
}

void reactor_free(struct reactor_state *state)
{
    for (struct list *node; (node = list_pop_front(&state->free_requests));) {
        struct request *request = container_of(node, struct request, node);
        arena_free(&request->arena);
        free(request);
    }
    input_pool_trim(&state->inputs);
    free(state->latency);
    free(state->errors);
    loop_free(&state->reactor.loop);
}

void reactor_run(void *context)
{
    struct reactor_state *state = context;
    struct reactors *group = state->reactor.group;
    current = &state->reactor;
    if (group->config.thread_hooks)
        group->config.thread_hooks(group->config.context, state->reactor.index, &state->reactor.loop.hooks);
    loop_run(&state->reactor.loop);
    current = NULL;
}
