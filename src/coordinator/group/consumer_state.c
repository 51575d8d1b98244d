// The state of a group of the consumer protocol: what replay builds.
#include "coordinator/group/consumer.h"

#include <stdlib.h>

static void must(int rc)
{
    if (rc)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
}

struct consumer_group *consumer_of(const struct group *g)
{
    return g->consumer;
}

struct consumer_group *consumer_need(struct group *g)
{
    if (!g->consumer) {
        g->consumer = state_alloc(sizeof *g->consumer);
        g->consumer->epoch = g->consumer->assignment_epoch = CONSUMER_FIRST_EPOCH;
        g->consumer->metadata_version = -1;
        g->type = GROUP_CONSUMER;
    }
    return g->consumer;
}

void consumer_free(struct group *g)
{
    struct consumer_group *c = g->consumer;
    if (!c)
        return;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&c->members, &i)); i--) // another may have moved there
        consumer_member_remove(e->value);
    for (size_t i = 0; (e = map_next(&c->regexes, &i));) {
        struct consumer_regex *regex = e->value;
        arena_free(&regex->memory);
        free(regex);
    }
    map_free(&c->members);
    map_free(&c->statics);
    map_free(&c->subscribed);
    map_free(&c->regexes);
    map_free(&c->holdings);
    free(c);
    g->consumer = NULL;
}

// Members

struct consumer_member *consumer_member_find(const struct group *g, struct str id)
{
    return g->consumer ? map_get(&g->consumer->members, id) : NULL;
}

// Static members

// An instance id and who is found under it. A member that takes another one is found under the one that it
// gave up, too, as in Kafka, until somebody else takes that or the member leaves; of very many, the last
// ones.
#define INSTANCES_OF_A_MEMBER 16

struct instance {
    struct list node; // in its member's
    struct consumer_member *member;
    struct str id;
};

static struct instance *find_instance(const struct group *g, struct str id)
{
    return g->consumer && id.data ? map_get(&g->consumer->statics, id) : NULL;
}

struct consumer_member *consumer_member_static(const struct group *g, struct str instance_id)
{
    const struct instance *i = find_instance(g, instance_id);
    return i ? i->member : NULL;
}

static void give_up_instance(struct instance *i)
{
    struct consumer_member *m = i->member;
    list_remove(&i->node);
    m->instances_count--;
    map_remove(&m->group->consumer->statics, i->id);
    free((void *)(uintptr_t)i->id.data);
    free(i);
}

static struct instance *oldest_instance(const struct consumer_member *m)
{
    return container_of(list_first(&m->instances), struct instance, node);
}

static void take_instance(struct consumer_member *m, struct str id)
{
    struct instance *old = find_instance(m->group, id);
    if (old)
        give_up_instance(old);
    struct instance *i = state_alloc(sizeof *i);
    i->member = m;
    i->id = state_str(id);
    list_push_back(&m->instances, &i->node);
    must(map_put(&m->group->consumer->statics, i->id, i));
    if (++m->instances_count > INSTANCES_OF_A_MEMBER)
        give_up_instance(oldest_instance(m));
}

struct consumer_member *consumer_member_need(struct group *g, struct str id)
{
    struct consumer_member *m = consumer_member_find(g, id);
    if (m)
        return m;
    m = state_alloc(sizeof *m);
    m->group = g;
    m->id = state_str(id);
    m->subscription = (struct consumer_subscription){
        .client_id = STR(""), .client_host = STR(""), .rebalance_timeout_ms = -1};
    list_init(&m->instances);
    m->session.kind = TIMER_CONSUMER_SESSION;
    m->rebalance.kind = TIMER_CONSUMER_REBALANCE;
    arena_init(&m->subscription_memory, 0);
    must(map_put(&consumer_need(g)->members, m->id, m));
    return m;
}

// What members subscribe to by name

struct subscribed_topic {
    struct str name;
    uint32_t members;
};

uint32_t consumer_subscribers(const struct group *g, struct str topic)
{
    const struct subscribed_topic *s = map_get(&g->consumer->subscribed, topic);
    return s ? s->members : 0;
}

static void count_subscriptions(struct consumer_member *m, int change)
{
    struct map *subscribed = &m->group->consumer->subscribed;
    for (int32_t i = 0; i < m->subscription.topics_count; i++) {
        struct subscribed_topic *s = map_get(subscribed, m->subscription.topics[i]);
        if (!s) {
            s = state_alloc(sizeof *s);
            s->name = state_str(m->subscription.topics[i]);
            must(map_put(subscribed, s->name, s));
        }
        s->members += (uint32_t)change;
        if (s->members > 0)
            continue;
        map_remove(subscribed, s->name);
        free((void *)(uintptr_t)s->name.data);
        free(s);
    }
}

void consumer_member_remove(struct consumer_member *m)
{
    struct group *g = m->group;
    while (!list_empty(&m->instances))
        give_up_instance(oldest_instance(m));
    count_subscriptions(m, -1);
    consumer_release(g, &m->at.assigned);
    consumer_release(g, &m->at.revoking);
    map_remove(&g->consumer->members, m->id);
    timer_cancel(g->groups, &m->session);
    timer_cancel(g->groups, &m->rebalance);
    arena_free(&m->subscription_memory);
    free(m->at.assigned.items);
    free(m->at.revoking.items);
    free(m->target.items);
    free((void *)(uintptr_t)m->id.data);
    free(m);
}

static struct str keep(struct arena *arena, struct str s)
{
    struct str copy = arena_str(arena, s);
    must(s.data && !copy.data);
    return copy;
}

static void *keep_array(struct arena *arena, int32_t count, size_t size)
{
    void *array = arena_zalloc(arena, (size_t)count, size);
    must(!array);
    return array;
}

static const struct consumer_group_member_metadata_value_classic_member_metadata *
keep_classic(struct arena *arena,
             const struct consumer_group_member_metadata_value_classic_member_metadata *from)
{
    if (!from)
        return NULL;
    struct consumer_group_member_metadata_value_classic_member_metadata *to =
        keep_array(arena, 1, sizeof *to);
    *to = *from;
    to->supported_protocols =
        keep_array(arena, from->supported_protocols_count, sizeof *to->supported_protocols);
    for (int32_t i = 0; i < from->supported_protocols_count; i++) {
        to->supported_protocols[i].name = keep(arena, from->supported_protocols[i].name);
        to->supported_protocols[i].metadata = arena_bytes(arena, from->supported_protocols[i].metadata);
    }
    return to;
}

void consumer_member_describe(struct consumer_member *m, const struct consumer_subscription *s)
{
    count_subscriptions(m, -1);
    struct arena arena;
    arena_init(&arena, 0);
    struct consumer_subscription own = {.instance_id = keep(&arena, s->instance_id),
                                        .rack_id = keep(&arena, s->rack_id),
                                        .client_id = keep(&arena, s->client_id),
                                        .client_host = keep(&arena, s->client_host),
                                        .regex = keep(&arena, s->regex),
                                        .assignor = keep(&arena, s->assignor),
                                        .topics = keep_array(&arena, s->topics_count, sizeof *own.topics),
                                        .topics_count = s->topics_count,
                                        .rebalance_timeout_ms = s->rebalance_timeout_ms,
                                        .classic = keep_classic(&arena, s->classic)};
    for (int32_t i = 0; i < s->topics_count; i++)
        own.topics[i] = keep(&arena, s->topics[i]);
    own.topics_count = consumer_sort_names(own.topics, own.topics_count); // Kafka's records have no order
    arena_free(&m->subscription_memory);
    m->subscription_memory = arena;
    m->subscription = own;
    count_subscriptions(m, 1);
    if (own.instance_id.data)
        take_instance(m, own.instance_id);
}

void assignment_own(struct assignment *place, const struct assignment *a)
{
    struct topic_partition *items = a->count > 0 ? state_array(NULL, a->count, sizeof *items) : NULL;
    if (a->count > 0)
        memcpy(items, a->items, a->count * sizeof *items);
    free(place->items);
    *place = (struct assignment){items, a->count};
}

// Who holds what

#define HOLDINGS 32 // partitions that lie beside each other

// How many members hold each, assigned or revoking. More than one may hold a partition only while Kafka's
// records of another order are read.
struct holdings {
    struct topic_partition first; // its first bytes are the key
    uint32_t members[HOLDINGS], held;
};

static struct topic_partition holdings_first(const struct topic_partition *p)
{
    return (struct topic_partition){p->topic, p->partition & ~(HOLDINGS - 1), 0};
}

static struct holdings *holdings_of(const struct group *g, const struct topic_partition *first)
{
    struct str key = {(const char *)first, sizeof first->topic + sizeof first->partition};
    return map_get(&g->consumer->holdings, key);
}

static uint32_t *holders(struct holdings *h, const struct topic_partition *p)
{
    return &h->members[p->partition & (HOLDINGS - 1)];
}

bool consumer_is_held(const struct group *g, const struct topic_partition *p)
{
    const struct topic_partition first = holdings_first(p);
    struct holdings *h = holdings_of(g, &first);
    return h && *holders(h, p) > 0;
}

static struct holdings *holdings_need(struct group *g, const struct topic_partition *p)
{
    const struct topic_partition first = holdings_first(p);
    struct holdings *h = holdings_of(g, &first);
    if (h)
        return h;
    h = state_alloc(sizeof *h);
    h->first = first;
    struct str key = {(const char *)&h->first, sizeof first.topic + sizeof first.partition};
    must(map_put(&g->consumer->holdings, key, h));
    return h;
}

static bool is_among(const struct holdings *h, const struct topic_partition *p)
{
    return h && h->first.partition == (p->partition & ~(HOLDINGS - 1)) &&
           uuid_equal(&h->first.topic, &p->topic);
}

void consumer_hold(struct group *g, const struct assignment *a)
{
    struct holdings *h = NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!is_among(h, &a->items[i]))
            h = holdings_need(g, &a->items[i]);
        h->held += (*holders(h, &a->items[i]))++ == 0;
    }
}

void consumer_release(struct group *g, const struct assignment *a)
{
    struct holdings *h = NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!is_among(h, &a->items[i]))
            h = holdings_need(g, &a->items[i]);
        h->held -= --(*holders(h, &a->items[i])) == 0;
        if (h->held > 0)
            continue;
        map_remove(&g->consumer->holdings,
                   (struct str){(const char *)&h->first, sizeof h->first.topic + sizeof h->first.partition});
        free(h);
        h = NULL;
    }
}

// The group as a whole

const char *consumer_state_name(const struct group *g)
{
    const struct consumer_group *c = g->consumer;
    if (c->members.count == 0)
        return "Empty";
    if (c->epoch > c->assignment_epoch)
        return "Assigning";
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&c->members, &i));) {
        const struct consumer_member *m = e->value;
        if (m->at.state != CONSUMER_STABLE || m->at.epoch != c->assignment_epoch)
            return "Reconciling";
    }
    return "Stable";
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

int32_t consumer_sort_names(struct str *names, int32_t count)
{
    int32_t kept = 0;
    if (count > 1)
        qsort(names, (size_t)count, sizeof *names, compare_names);
    for (int32_t i = 0; i < count; i++)
        if (kept == 0 || !str_equal(names[kept - 1], names[i]))
            names[kept++] = names[i];
    return kept;
}

bool consumer_names_have(const struct str *ascending, int32_t count, struct str name)
{
    return count > 0 && bsearch(&name, ascending, (size_t)count, sizeof name, compare_names);
}

bool consumer_subscription_has(const struct group *g, const struct consumer_subscription *s, struct str topic)
{
    const struct consumer_regex *regex =
        g && s->regex.size > 0 ? map_get(&g->consumer->regexes, s->regex) : NULL;
    return consumer_names_have(s->topics, s->topics_count, topic) ||
           (regex && consumer_names_have(regex->topics, regex->topics_count, topic));
}

bool consumer_subscribes(const struct group *g, struct str topic)
{
    bool any = consumer_subscribers(g, topic) > 0;
    struct map_entry *e;
    for (size_t i = 0; !any && (e = map_next(&g->consumer->regexes, &i));) {
        const struct consumer_regex *regex = e->value;
        any = consumer_names_have(regex->topics, regex->topics_count, topic);
    }
    return any;
}

void consumer_loaded(struct turn *t, struct group *g)
{
    struct map_entry *e;
    for (size_t i = 0; g->consumer && (e = map_next(&g->consumer->members, &i));) {
        struct consumer_member *m = e->value;
        timer_arm(t, &m->session, consumer_session_timeout_ms(t, m));
        if (m->at.state == CONSUMER_UNREVOKED)
            timer_arm(t, &m->rebalance, m->subscription.rebalance_timeout_ms);
    }
}
