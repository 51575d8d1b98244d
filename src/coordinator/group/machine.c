// The machine of a shard of groups: its state as a whole, its timers, and who serves which request.
#include "coordinator/group/consumer.h"
#include "coordinator/group/kind.h"

#include "base/error.h"
#include "base/logger.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>

#define NEVER INT64_MAX

// Groups

struct group *group_find(const struct groups *s, struct str id)
{
    return map_get(&s->groups, id);
}

struct group *group_create(struct groups *s, struct str id, int64_t wall_ms)
{
    struct group *g = state_alloc(sizeof *g + id.size);
    char *name = (char *)(g + 1);
    if (id.size > 0)
        memcpy(name, id.data, id.size);
    g->groups = s;
    g->id = (struct str){name, id.size};
    g->state = GROUP_EMPTY;
    g->previous = GROUP_DEAD;
    g->state_ms = wall_ms;
    g->protocol_type = g->protocol = STR_NULL;
    g->join.kind = TIMER_JOIN;
    g->sync.kind = TIMER_SYNC;
    list_init(&g->members);
    if (map_put(&s->groups, g->id, g))
        state_array(NULL, SIZE_MAX, 1); // ends the process
    return g;
}

static void free_str(struct str *s)
{
    free((void *)(uintptr_t)s->data);
    *s = STR_NULL;
}

void group_remove(struct group *g)
{
    struct groups *s = g->groups;
    struct turn t = {.groups = s};
    map_remove(&s->groups, g->id);
    while (!list_empty(&g->members))
        member_remove(&t, container_of(list_first(&g->members), struct member, node));
    pendings_free(g);
    timer_cancel(s, &g->join);
    timer_cancel(s, &g->sync);
    map_free(&g->members_by_id);
    map_free(&g->static_members);
    for (uint32_t i = 0; i < g->votes_count; i++)
        free_str(&g->votes[i].name);
    free(g->votes);
    map_free(&g->votes_by_name);
    group_forget_topics(g);
    free_str(&g->protocol_type);
    free_str(&g->protocol);
    consumer_free(g);
    offsets_free(&g->offsets);
    offsets_free(&g->pending);
    free(g);
}

void group_end(struct group *g)
{
    if (g->offsets.count == 0 && g->pending.count == 0) {
        group_remove(g);
        return;
    }
    g->type = GROUP_CLASSIC;
    g->state = GROUP_EMPTY;
    g->state_ms = -1;
}

void set_state(struct turn *t, struct group *g, enum group_state state)
{
    g->previous = g->state;
    g->state = state;
    g->state_ms = t->now.wall_ms;
}

bool group_is_empty(const struct group *g)
{
    return kind_of(g)->is_empty(g);
}

void write_tombstones(struct turn *t, const struct group *g)
{
    kind_of(g)->write_tombstones(t, g);
}

const char *group_state_name(enum group_state state)
{
    static const char *const names[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable",
                                        "Dead"};
    return names[state];
}

bool group_uses_consumer_protocol(const struct group *g)
{
    return g->consumer || str_is(g->protocol_type, "consumer");
}

bool group_subscribes(const struct group *g, struct str topic)
{
    return kind_of(g)->subscribes(g, topic);
}

// Timers

void timer_cancel(struct groups *s, struct timer *timer)
{
    heap_remove(&s->timers, &timer->node);
}

void timer_arm(struct turn *t, struct timer *timer, int64_t delay_ms)
{
    int64_t due = t->now.monotonic_ms + (delay_ms > 0 ? delay_ms : 0);
    if (heap_has(&timer->node))
        heap_move(&t->groups->timers, &timer->node, due);
    else if (heap_push(&t->groups->timers, &timer->node, due))
        state_array(NULL, SIZE_MAX, 1); // ends the process
}

static void fire(struct turn *t, struct timer *timer)
{
    switch (timer->kind) {
    case TIMER_EXPIRY:
        on_expiry_timer(t);
        break;
    case TIMER_JOIN:
        on_join_timer(t, container_of(timer, struct group, join));
        break;
    case TIMER_SYNC:
        on_sync_timer(t, container_of(timer, struct group, sync));
        break;
    case TIMER_HEARTBEAT:
        on_heartbeat_timer(t, container_of(timer, struct member, heartbeat));
        break;
    case TIMER_PENDING:
        on_pending_timer(t, container_of(timer, struct pending, timer));
        break;
    case TIMER_CONSUMER_SESSION:
        on_consumer_session_timer(t, container_of(timer, struct consumer_member, session));
        break;
    case TIMER_CONSUMER_REBALANCE:
        on_consumer_rebalance_timer(t, container_of(timer, struct consumer_member, rebalance));
        break;
    }
}

static bool tick(void *state, struct coordinator_now now, struct coordinator_effects *effects)
{
    struct groups *s = state;
    struct heap_node *first = heap_first(&s->timers);
    if (!first || first->key > now.monotonic_ms)
        return false;
    heap_remove(&s->timers, first);
    struct turn t = {s, now, effects};
    s->then = THEN_NOTHING;
    fire(&t, container_of(first, struct timer, node));
    return true;
}

static int64_t next_due(const void *state)
{
    const struct groups *s = state;
    struct heap_node *first = heap_first(&s->timers);
    return first ? first->key : NEVER;
}

// Life

static void *create(const void *config)
{
    struct groups *s = state_alloc(sizeof *s);
    s->config = config;
    s->expiry.kind = TIMER_EXPIRY;
    return s;
}

static void destroy(void *state)
{
    struct groups *s = state;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&s->groups, &i)); i--) // another may have moved there
        group_remove(e->value);
    for (size_t i = 0; (e = map_next(&s->transactions, &i)); i--)
        replay_transaction_end(s, ((struct transaction *)e->value)->producer_id, false);
    map_free(&s->groups);
    map_free(&s->transactions);
    heap_free(&s->timers);
    free(s);
}

static void loaded(void *state, struct coordinator_now now)
{
    struct groups *s = state;
    struct turn t = {.groups = s, .now = now};
    timer_arm(&t, &s->expiry, s->config->retention_check_interval_ms);
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&s->groups, &i));) {
        struct group *g = e->value;
        kind_of(g)->loaded(&t, g);
    }
}

static void unload(void *state, int16_t error, struct coordinator_effects *effects)
{
    struct groups *s = state;
    struct turn t = {.groups = s, .effects = effects};
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&s->groups, &i));) {
        struct group *g = e->value;
        for (struct list *n = list_first(&g->members), *next; list_each(&g->members, n, next); n = next) {
            struct member *m = container_of(n, struct member, node);
            if (m->joining)
                refuse(&t, m->joining, error);
            if (m->syncing)
                refuse(&t, m->syncing, error);
            m->joining = m->syncing = NULL;
        }
    }
}

static void (*const served[GROUP_REQUESTS])(struct turn *t, struct coordinator_request *r) = {
    [GROUP_JOIN] = on_join,
    [GROUP_SYNC] = on_sync,
    [GROUP_HEARTBEAT] = on_heartbeat,
    [GROUP_LEAVE] = on_leave,
    [GROUP_COMMIT] = on_commit,
    [GROUP_TXN_COMMIT] = on_txn_commit,
    [GROUP_FETCH] = on_fetch,
    [GROUP_OFFSET_DELETE] = on_offset_delete,
    [GROUP_LIST] = on_list,
    [GROUP_DESCRIBE] = on_describe,
    [GROUP_DELETE] = on_delete,
    [GROUP_TOPIC_DELETED] = on_topic_deleted,
    [GROUP_CONSUMER_HEARTBEAT] = on_consumer_heartbeat,
    [GROUP_CONSUMER_DESCRIBE] = on_consumer_describe,
    [GROUP_REGEXES_RESOLVED] = on_regexes_resolved,
    [GROUP_ASSIGN_LOOK] = on_assign_look,
    [GROUP_ASSIGNED] = on_assigned,
};

static void step(void *state, struct coordinator_request *r, struct coordinator_now now,
                 struct coordinator_effects *effects)
{
    struct groups *s = state;
    struct turn t = {s, now, effects};
    s->then = THEN_NOTHING;
    served[r->kind](&t, r);
}

static void settle(void *state, int16_t error, struct coordinator_now now,
                   struct coordinator_effects *effects)
{
    struct groups *s = state;
    struct turn t = {s, now, effects};
    enum continuation then = s->then;
    struct str downgraded = s->then_downgraded;
    s->then = THEN_NOTHING;
    s->then_downgraded = STR_NULL;
    switch (then) {
    case THEN_NOTHING:
        break;
    case THEN_ANSWER:
        if (error == E_NONE)
            answer(&t, s->then_request, s->then_request->response);
        else
            refuse(&t, s->then_request, error);
        break;
    case THEN_CREATED:
        settle_created(&t, error);
        break;
    case THEN_ASSIGN:
        settle_assigned(&t, error);
        break;
    case THEN_REPLACED:
        settle_replaced(&t, error);
        break;
    case THEN_AGAIN:
        settle_again(&t, error);
        break;
    case THEN_HEARTBEAT:
        settle_consumer_heartbeat(&t, error);
        break;
    }
    if (error == E_NONE && downgraded.data)
        settle_downgraded(&t, downgraded);
}

const struct coordinator_machine group_machine = {.topic = "__consumer_offsets",
                                                  .create = create,
                                                  .destroy = destroy,
                                                  .replay = replay_record,
                                                  .replay_end = replay_transaction_end,
                                                  .loaded = loaded,
                                                  .unload = unload,
                                                  .step = step,
                                                  .settle = settle,
                                                  .tick = tick,
                                                  .next_due = next_due};

// Configuration

static int64_t number(const struct broker_config *broker, struct arena *arena, struct str name, int *rc)
{
    struct setting_value value = {0};
    int one = broker_config_value(broker, name, arena, &value);
    *rc = *rc ? *rc : one;
    return value.integer;
}

static bool lists(const struct broker_config *broker, struct arena *arena, struct str name, struct str item,
                  int *rc)
{
    struct setting_value value = {0};
    int one = broker_config_value(broker, name, arena, &value);
    *rc = *rc ? *rc : one;
    for (size_t i = 0; i < value.count; i++)
        if (str_equal(value.entries[i], item))
            return true;
    return false;
}

static bool is_any_case(struct str s, const char *word)
{
    return s.size == strlen(word) && strncasecmp(s.data, word, s.size) == 0;
}

static bool migrates(const struct broker_config *broker, struct arena *arena, const char *way, int *rc)
{
    struct setting_value value = {0};
    int one = broker_config_value(broker, STR("group.consumer.migration.policy"), arena, &value);
    *rc = *rc ? *rc : one;
    return is_any_case(value.text, way) || is_any_case(value.text, "bidirectional");
}

static struct uuid random_id(void *context)
{
    (void)context;
    return uuid_random();
}

int group_config_init(struct group_config *c, const struct broker_config *broker)
{
    struct arena arena;
    arena_init(&arena, 0);
    int rc = 0;
#define NUMBER(name) number(broker, &arena, STR(name), &rc)
    *c = (struct group_config){
        .initial_rebalance_delay_ms = (int32_t)NUMBER("group.initial.rebalance.delay.ms"),
        .min_session_timeout_ms = (int32_t)NUMBER("group.min.session.timeout.ms"),
        .max_session_timeout_ms = (int32_t)NUMBER("group.max.session.timeout.ms"),
        .max_size = (int32_t)NUMBER("group.max.size"),
        .offset_metadata_max_bytes = (int32_t)NUMBER("offset.metadata.max.bytes"),
        .offsets_retention_ms = NUMBER("offsets.retention.minutes") * 60000,
        .retention_check_interval_ms = NUMBER("offsets.retention.check.interval.ms"),
        .new_id = random_id,
        .consumer_protocol =
            lists(broker, &arena, STR("group.coordinator.rebalance.protocols"), STR("consumer"), &rc),
        .consumer_session_timeout_ms = (int32_t)NUMBER("group.consumer.session.timeout.ms"),
        .consumer_heartbeat_interval_ms = (int32_t)NUMBER("group.consumer.heartbeat.interval.ms"),
        .consumer_max_size = (int32_t)NUMBER("group.consumer.max.size"),
        .consumer_upgrade = migrates(broker, &arena, "upgrade", &rc),
        .consumer_downgrade = migrates(broker, &arena, "downgrade", &rc),
        .regex_refresh_interval_ms = NUMBER("group.consumer.regex.refresh.interval.ms"),
    };
#undef NUMBER
    struct setting_value assignors = {0};
    int one = broker_config_value(broker, STR("group.consumer.assignors"), &arena, &assignors);
    for (size_t i = 0; i < assignors.count && i < CONSUMER_ASSIGNORS; i++)
        c->consumer_assignors[c->consumer_assignors_count++] = consumer_assignor_of(assignors.entries[i]);
    group_config_follow(c, broker);
    arena_free(&arena);
    return rc ? rc : one;
}

void group_config_follow(struct group_config *c, const struct broker_config *now)
{
    struct arena arena;
    int rc = 0;
    arena_init(&arena, 0);
    int32_t interval_ms = (int32_t)number(now, &arena, STR("group.consumer.assignment.interval.ms"), &rc);
    if (rc == 0)
        atomic_store(&c->consumer_assignment_interval_ms, interval_ms);
    arena_free(&arena);
}

size_t utf16_length(struct str text)
{
    size_t length = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        length += (byte & 0xc0) != 0x80;
        length += byte >= 0xf0; // a surrogate pair
    }
    return length;
}
