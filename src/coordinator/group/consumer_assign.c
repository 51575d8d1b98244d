// Who of a consumer group is to own what: within the request, or for a large group on a worker.
//
// A worker takes a picture of the group (GROUP_ASSIGN_LOOK), computes without the shard's lock, and hands the
// targets back (GROUP_ASSIGNED). They count as those of the epoch that it looked at, even when the group has
// gone on since: otherwise a group that members keep joining would never get any. Who has left gets nothing.
#include "coordinator/group/assignor.h"
#include "coordinator/group/target.h"

#include <stdlib.h>

// Subscriptions and partitions that are looked at within a request: about 200 us.
#define WITHIN_A_REQUEST 2000

// The assignor that most members ask for. Of two that are even, one that only the changed member brings comes
// first in Kafka's hash map.
static const struct assignor *preferred_assignor(const struct group_config *config,
                                                 const struct target_view *v, struct str changed)
{
    const struct assignor *uniform = assignor_of(CONSUMER_ASSIGNOR_UNIFORM);
    const struct assignor *range = assignor_of(CONSUMER_ASSIGNOR_RANGE), *best;
    uint32_t ranges = 0, uniforms = 0;
    bool brings_range = false;
    for (uint32_t i = 0; i < v->members_count; i++) {
        const struct target_member *m = &v->members[i];
        bool wants_range = str_is(m->assignor, range->name);
        ranges += wants_range;
        uniforms += str_is(m->assignor, uniform->name);
        brings_range |= wants_range && str_equal(m->id, changed);
    }
    best = ranges > uniforms || (ranges == 1 && uniforms == 1 && brings_range) ? range : uniform;
    // Members may ask for what was offered once.
    return ranges + uniforms > 0 && assignor_find(config, str_from(best->name)) ? best
                                                                                : assignor_default(config);
}

static int compare_places(const void *a, const void *b)
{
    uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;
    return (l > r) - (l < r);
}

// The topics that exist of those that the member subscribes to, ascending. NULL: out of memory.
static uint32_t *places_of(const struct target_view *v, const struct target_member *m, struct arena *arena,
                           uint32_t *count)
{
    int32_t names = m->topics_count + m->matched_count;
    uint32_t *places = arena_alloc(arena, (size_t)names * sizeof *places);
    uint32_t found = 0, kept = 0;
    for (int32_t k = 0; places && k < names; k++) {
        const struct target_topic *known = map_get(&v->by_name, target_name_at(m, k));
        if (known)
            places[found++] = known->place;
    }
    if (found > 1)
        qsort(places, found, sizeof *places, compare_places);
    for (uint32_t k = 0; k < found; k++) // by name and by regular expression
        if (kept == 0 || places[kept - 1] != places[k])
            places[kept++] = places[k];
    *count = kept;
    return places;
}

static bool set_problem(const struct target_view *v, struct arena *arena, struct assignor_problem *p)
{
    struct assignor_topic *topics = arena_zalloc(arena, v->topics_count, sizeof *topics);
    struct assignor_member *members = arena_zalloc(arena, v->members_count, sizeof *members);
    if (!topics || !members)
        return false;
    for (uint32_t i = 0; i < v->topics_count; i++)
        topics[i] = (struct assignor_topic){v->topics[i]->topic.id, v->topics[i]->topic.partitions};
    for (uint32_t i = 0; i < v->members_count; i++) {
        const struct target_member *m = &v->members[i];
        members[i] = (struct assignor_member){.id = m->id, .instance_id = m->instance_id, .has = m->has};
        if (i > 0 && target_same_topics(m, m - 1)) {
            members[i].topics = members[i - 1].topics;
            members[i].topics_count = members[i - 1].topics_count;
        } else if (!(members[i].topics = places_of(v, m, arena, &members[i].topics_count))) {
            return false;
        }
    }
    *p = (struct assignor_problem){topics, v->topics_count, members, v->members_count, .equal_names = true};
    for (uint32_t i = 1; i < v->members_count && p->equal_names; i++)
        p->equal_names = target_same_names(&v->members[i - 1], &v->members[i]);
    return true;
}

// The view has its members in order. changed: whose heartbeat it is; null: nobody's.
static bool solve(const struct group_config *config, struct target_view *v, struct str changed,
                  struct arena *arena, struct assignor_problem *p)
{
    return target_learn(&config->metadata, v, arena) && set_problem(v, arena, p) &&
           preferred_assignor(config, v, changed)->assign(p, arena) == 0;
}

// Within the request

bool consumer_assign(struct turn *t, struct str group, const struct consumer_change *change, int32_t epoch,
                     struct assignment *target)
{
    struct arena *arena = &t->effects->arena; // the targets outlive this call
    struct target_view v;
    struct assignor_problem p;
    bool comes = !change->group || !consumer_member_find(change->group, change->id);
    bool ok = target_see(change, arena, &v) && target_order(&v, comes ? change->id : STR_NULL, arena) &&
              solve(t->groups->config, &v, change->id, arena, &p);
    for (uint32_t i = 0; ok && i < p.members_count; i++) {
        const struct assignor_member *m = &p.members[i];
        bool is_new = !change->group || !consumer_member_find(change->group, m->id);
        if (is_new || !assignment_equal(&m->has, &m->gets))
            write_consumer_target(t, group, m->id, &m->gets);
        if (str_equal(m->id, change->id))
            *target = m->gets;
    }
    if (ok)
        write_consumer_target_epoch(t, group, epoch, t->now.wall_ms);
    target_free(&v);
    return ok;
}

// On a worker

struct target_result {
    struct str member_id, instance_id;
    struct bytes value; // of its record
};

struct group_assignment {
    struct group_assignment_due due;
    int32_t epoch;
    struct target_view view; // copies
    struct target_result *results;
    uint32_t results_count;
    bool failed; // out of memory
};

bool consumer_assigns_aside(const struct turn *t, const struct group *g, int64_t cost)
{
    struct map_entry *e;
    for (size_t i = 0; g && (e = map_next(&consumer_of(g)->members, &i));) {
        const struct consumer_subscription *s = &((const struct consumer_member *)e->value)->subscription;
        const struct consumer_regex *regex =
            s->regex.size > 0 ? map_get(&consumer_of(g)->regexes, s->regex) : NULL;
        cost += 1 + s->topics_count + (regex ? regex->topics_count : 0);
    }
    return t->groups->config->assign && cost > WITHIN_A_REQUEST;
}

void consumer_assign_aside(struct turn *t, struct group *g)
{
    const struct group_config *config = t->groups->config;
    struct consumer_group *c = consumer_of(g);
    if (c->assigning)
        return;
    struct coordinator_request *r = state_alloc(sizeof *r);
    r->kind = GROUP_ASSIGN;
    r->complete = config->assign;
    r->reply_to = config->resolve_to;
    r->context = config->resolve_context;
    arena_init(&r->arena, 0);
    struct group_assignment_due *due = arena_zalloc(&r->arena, 1, sizeof *due);
    if (!due || !(due->group_id = arena_str(&r->arena, g->id)).data)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
    due->token = config->new_id(config->new_id_context);
    c->assigning = true;
    c->assigning_token = due->token;
    answer(t, r, due);
}

static struct consumer_group *wanted(struct turn *t, const struct group_assignment_due *due, struct group **g)
{
    *g = group_find(t->groups, due->group_id);
    struct consumer_group *c = *g ? consumer_of(*g) : NULL;
    return c && c->assigning && uuid_equal(&c->assigning_token, &due->token) ? c : NULL;
}

static const struct str *copy_names(struct arena *arena, const struct str *names, int32_t count)
{
    struct str *own = arena_alloc(arena, (size_t)count * sizeof *own);
    for (int32_t i = 0; own && i < count; i++) {
        own[i] = arena_str(arena, names[i]);
        if (!own[i].data)
            return NULL;
    }
    return own;
}

// Replaces views of the group's memory; `like` is a member before it, with copies already, or NULL.
static bool copy_member(struct arena *arena, struct target_member *m, const struct target_member *like)
{
    struct topic_partition *has = arena_alloc(arena, m->has.count * sizeof *has);
    struct str id = arena_str(arena, m->id), instance = arena_str(arena, m->instance_id),
               assignor = arena_str(arena, m->assignor);
    if (!has || !id.data || (m->instance_id.data && !instance.data) || (m->assignor.data && !assignor.data))
        return false;
    if (m->has.count > 0)
        memcpy(has, m->has.items, m->has.count * sizeof *has);
    m->id = id;
    m->instance_id = instance;
    m->assignor = assignor;
    m->has.items = has;
    bool same = like && target_same_topics(m, like);
    m->topics = same ? like->topics : copy_names(arena, m->topics, m->topics_count);
    m->matched = same ? like->matched : copy_names(arena, m->matched, m->matched_count);
    return m->topics && m->matched;
}

void on_assign_look(struct turn *t, struct coordinator_request *r)
{
    const struct group_assignment_due *due = r->message;
    struct group *g;
    const struct consumer_group *c = wanted(t, due, &g);
    if (!c) {
        refuse(t, r, E_NONE);
        return;
    }
    struct group_assignment *a = arena_zalloc(&r->arena, 1, sizeof *a);
    const struct consumer_change as_it_is = {.group = g};
    if (!a || !target_see(&as_it_is, &r->arena, &a->view))
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
    for (uint32_t i = 0; i < a->view.members_count; i++)
        if (!copy_member(&r->arena, &a->view.members[i], i > 0 ? &a->view.members[i - 1] : NULL))
            state_array(NULL, SIZE_MAX, 1);
    a->due = *due;
    a->epoch = c->epoch;
    answer(t, r, a);
}

void group_assignment_compute(struct group_assignment *a, const struct group_config *config,
                              struct arena *arena)
{
    struct assignor_problem p;
    a->results = arena_zalloc(arena, a->view.members_count, sizeof *a->results);
    a->failed = !a->results || !target_order(&a->view, STR_NULL, arena) ||
                !solve(config, &a->view, STR_NULL, arena, &p);
    for (uint32_t i = 0; !a->failed && i < p.members_count; i++) {
        const struct assignor_member *m = &p.members[i];
        if (assignment_equal(&m->has, &m->gets))
            continue;
        struct bytes value = consumer_target_value(arena, &m->gets);
        a->failed = !value.data;
        a->results[a->results_count++] = (struct target_result){m->id, m->instance_id, value};
    }
    target_free(&a->view);
}

void on_assigned(struct turn *t, struct coordinator_request *r)
{
    const struct group_assignment *a = r->message;
    struct group *g;
    struct consumer_group *c = wanted(t, &a->due, &g);
    if (c)
        c->assigning = false;
    if (!c || a->failed || a->epoch <= c->assignment_epoch) {
        refuse(t, r, E_NONE);
        return;
    }
    for (uint32_t i = 0; i < a->results_count; i++) {
        const struct target_result *result = &a->results[i];
        const struct consumer_member *m = consumer_member_find(g, result->member_id);
        m = m ? m : consumer_member_static(g, result->instance_id); // it came back under another id
        if (m)
            write_consumer_target_value(t, g->id, m->id, result->value);
    }
    write_consumer_target_epoch(t, g->id, a->epoch, t->now.wall_ms);
    t->effects->divisible = true; // the epoch comes last: until it is there, all is to be assigned anew
    r->response = r;              // there is none but the error
    t->groups->then = THEN_ANSWER;
    t->groups->then_request = r;
}
