// Members of a classic group: who they are, and the protocols that they support.
#include "coordinator/group/state.h"

#include <assert.h>
#include <stdlib.h>

static void free_view(const void *data)
{
    free((void *)(uintptr_t)data);
}

static void must(int rc)
{
    if (rc)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
}

// Pending member ids

struct pending *pending_find(const struct group *g, struct str id)
{
    return map_get(&g->pendings, id);
}

struct pending *pending_add(struct turn *t, struct group *g, struct str id, int32_t session_timeout_ms)
{
    struct pending *p = state_alloc(sizeof *p);
    p->group = g;
    p->id = state_str(id);
    p->timer.kind = TIMER_PENDING;
    must(map_put(&g->pendings, p->id, p));
    timer_arm(t, &p->timer, session_timeout_ms);
    return p;
}

static void pending_free(struct pending *p)
{
    timer_cancel(p->group->groups, &p->timer);
    free_view(p->id.data);
    free(p);
}

void pending_remove(struct pending *p)
{
    map_remove(&p->group->pendings, p->id);
    pending_free(p);
}

void pendings_free(struct group *g)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&g->pendings, &i));)
        pending_free(e->value);
    map_free(&g->pendings);
}

// Members

struct member *member_find(const struct group *g, struct str id)
{
    return map_get(&g->members_by_id, id);
}

struct member *member_static(const struct group *g, struct str instance_id)
{
    return map_get(&g->static_members, instance_id);
}

struct member *member_add(struct group *g, struct str id, struct str instance_id, struct str client_id,
                          struct str client_host)
{
    struct member *m = state_alloc(sizeof *m);
    m->group = g;
    m->id = state_str(id);
    m->instance_id = state_str(instance_id);
    m->client_id = state_str(client_id.data ? client_id : STR(""));
    m->client_host = state_str(client_host);
    m->assignment = state_bytes((struct bytes){0});
    m->heartbeat.kind = TIMER_HEARTBEAT;
    list_push_back(&g->members, &m->node);
    must(map_put(&g->members_by_id, m->id, m));
    if (m->instance_id.data)
        must(map_put(&g->static_members, m->instance_id, m));
    g->members_count++;
    if (!g->leader)
        g->leader = m;
    return m;
}

static void put_vote_place(struct group *g, uint32_t at)
{
    must(map_put(&g->votes_by_name, g->votes[at].name, (void *)((uintptr_t)at + 1)));
}

static struct protocol_votes *find_votes(const struct group *g, struct str protocol)
{
    uintptr_t place = (uintptr_t)map_get(&g->votes_by_name, protocol);
    return place ? &g->votes[place - 1] : NULL;
}

static void drop_votes(struct group *g, struct protocol_votes *votes)
{
    struct protocol_votes *last = &g->votes[--g->votes_count];
    map_remove(&g->votes_by_name, votes->name);
    free_view(votes->name.data);
    if (votes == last)
        return;
    *votes = *last;
    put_vote_place(g, (uint32_t)(votes - g->votes));
}

static void vote(struct group *g, struct str protocol, int change)
{
    struct protocol_votes *votes = find_votes(g, protocol);
    if (votes) {
        votes->members += (uint32_t)change;
        if (votes->members == 0)
            drop_votes(g, votes);
        return;
    }
    assert(change > 0);
    if (g->votes_count == g->votes_capacity) {
        g->votes_capacity = g->votes_capacity ? g->votes_capacity * 2 : 1;
        g->votes = state_array(g->votes, g->votes_capacity, sizeof *g->votes);
    }
    g->votes[g->votes_count] = (struct protocol_votes){state_str(protocol), 1};
    put_vote_place(g, g->votes_count++);
}

uint32_t votes_of(const struct group *g, struct str protocol)
{
    const struct protocol_votes *votes = find_votes(g, protocol);
    return votes ? votes->members : 0;
}

static void forget_protocols(struct member *m)
{
    for (uint32_t i = 0; i < m->protocols_count; i++) {
        vote(m->group, m->protocols[i].name, -1);
        free_view(m->protocols[i].name.data);
        free_view(m->protocols[i].metadata.data);
    }
    free(m->protocols);
    m->protocols = NULL;
    m->protocols_count = 0;
}

void member_set_protocols(struct member *m,
                          const struct join_group_request_join_group_request_protocol *protocols,
                          int32_t count)
{
    struct protocol *copies = state_array(NULL, (size_t)count, sizeof *copies);
    for (int32_t i = 0; i < count; i++) {
        copies[i] = (struct protocol){state_str(protocols[i].name), state_bytes(protocols[i].metadata)};
        vote(m->group, copies[i].name, 1);
    }
    forget_protocols(m);
    m->protocols = copies;
    m->protocols_count = (uint32_t)count;
}

struct protocol *member_protocol(const struct member *m, struct str name)
{
    for (uint32_t i = 0; i < m->protocols_count; i++)
        if (str_equal(m->protocols[i].name, name))
            return &m->protocols[i];
    return NULL;
}

static bool same_bytes(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool member_has_protocols(const struct member *m,
                          const struct join_group_request_join_group_request_protocol *protocols,
                          int32_t count)
{
    if ((uint32_t)count != m->protocols_count)
        return false;
    for (int32_t i = 0; i < count; i++)
        if (!str_equal(m->protocols[i].name, protocols[i].name) ||
            !same_bytes(m->protocols[i].metadata, protocols[i].metadata))
            return false;
    return true;
}

void member_set_assignment(struct member *m, struct bytes assignment)
{
    struct bytes copy = state_bytes(assignment);
    free_view(m->assignment.data);
    m->assignment = copy;
}

void member_remove(struct turn *t, struct member *m)
{
    struct group *g = m->group;
    assert(!m->joining && !m->syncing);
    timer_cancel(t->groups, &m->heartbeat);
    if (m->pending_sync)
        g->pending_syncs--;
    forget_protocols(m);
    list_remove(&m->node);
    map_remove(&g->members_by_id, m->id);
    if (m->instance_id.data && member_static(g, m->instance_id) == m)
        map_remove(&g->static_members, m->instance_id);
    g->members_count--;
    if (g->leader == m)
        g->leader =
            list_empty(&g->members) ? NULL : container_of(list_first(&g->members), struct member, node);
    free_view(m->id.data);
    free_view(m->instance_id.data);
    free_view(m->client_id.data);
    free_view(m->client_host.data);
    free_view(m->assignment.data);
    free(m);
}

void member_rename(struct member *m, struct str id)
{
    struct str old = m->id;
    map_remove(&m->group->members_by_id, old);
    m->id = state_str(id);
    must(map_put(&m->group->members_by_id, m->id, m));
    free_view(old.data);
}

int16_t member_check(const struct group *g, struct str id, struct str instance_id)
{
    if (instance_id.data) {
        const struct member *m = member_static(g, instance_id);
        if (!m)
            return E_UNKNOWN_MEMBER_ID;
        if (!str_equal(m->id, id))
            return E_FENCED_INSTANCE_ID;
    }
    return member_find(g, id) ? E_NONE : E_UNKNOWN_MEMBER_ID;
}

// A join that is still waiting when the member sends another one gets no answer: its client has given it up.
void member_wait_join(struct turn *t, struct member *m, struct coordinator_request *request)
{
    if (m->joining)
        refuse(t, m->joining, E_NONE);
    else
        m->group->joining_count++;
    m->joining = request;
}

void member_answer_join(struct turn *t, struct member *m, struct join_group_response *response)
{
    struct coordinator_request *r = m->joining;
    m->joining = NULL;
    m->group->joining_count--;
    answer(t, r, response);
}

int32_t group_rebalance_timeout_ms(const struct group *g)
{
    int32_t most = 0;
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next) {
        const struct member *m = container_of(n, struct member, node);
        if (m->rebalance_timeout_ms > most)
            most = m->rebalance_timeout_ms;
    }
    return most;
}

// Each member votes for the first of its protocols that everybody supports.
struct str group_select_protocol(const struct group *g)
{
    uint32_t *counts = state_alloc(g->votes_count * sizeof *counts);
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next) {
        const struct member *m = container_of(n, struct member, node);
        for (uint32_t i = 0; i < m->protocols_count; i++) {
            const struct protocol_votes *votes = find_votes(g, m->protocols[i].name);
            if (votes->members != g->members_count)
                continue;
            counts[votes - g->votes]++;
            break;
        }
    }
    struct str best = STR_NULL;
    uint32_t most = 0;
    for (uint32_t k = 0; k < g->votes_count; k++) {
        if (counts[k] > most) {
            most = counts[k];
            best = g->votes[k].name;
        }
    }
    free(counts);
    return best;
}

// What they subscribe to

void group_forget_topics(struct group *g)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&g->topics, &i));)
        free_view(e->key.data);
    map_free(&g->topics);
    g->topics = MAP_INIT;
}

static void learn_topic(struct group *g, struct str topic)
{
    if (!map_get(&g->topics, topic))
        must(map_put(&g->topics, state_str(topic), g));
}

// Every version of a subscription begins as version 0 does.
static bool learn_member(struct group *g, const struct member *m)
{
    const struct protocol *p = member_protocol(m, g->protocol);
    if (!p || p->metadata.size < 2)
        return false;
    struct arena arena;
    arena_init(&arena, 0);
    struct consumer_protocol_subscription subscription;
    size_t used;
    bool ok = (int16_t)load_be16(p->metadata.data) >= 0 &&
              message_decode(&consumer_protocol_subscription_type, 0,
                             (struct bytes){p->metadata.data + 2, p->metadata.size - 2}, &arena,
                             &subscription, &used) == 0;
    for (int32_t i = 0; ok && i < subscription.topics_count; i++)
        learn_topic(g, subscription.topics[i]);
    arena_free(&arena);
    return ok;
}

void group_learn_topics(struct group *g)
{
    group_forget_topics(g);
    g->knows_topics = false;
    if (!group_uses_consumer_protocol(g) || (g->members_count > 0 && !g->protocol.data))
        return;
    bool ok = true;
    for (struct list *n = list_first(&g->members); ok && n != &g->members; n = n->next)
        ok = learn_member(g, container_of(n, struct member, node));
    if (!ok)
        group_forget_topics(g);
    g->knows_topics = ok;
}
