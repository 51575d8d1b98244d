// What a group of the consumer protocol as a whole is to do: which topics it sees, and who is to own what.
#include "coordinator/group/assignor.h"
#include "coordinator/group/consumer.h"
#include "coordinator/group/metadata_hash.h"

#include <stdlib.h>

#define DEFAULT_ASSIGNOR STR("uniform")

struct subscriber {
    struct str id;
    const struct consumer_subscription *subscription;
    struct assignment has;
};

struct known {
    struct str name;
    struct group_topic topic;
    uint32_t place; // among the topics that exist, by id
};

// The members and the existing topics that they subscribe to.
struct view {
    const struct consumer_group *group; // NULL: none yet
    const struct group_regexes *resolved;
    struct subscriber *members;
    uint32_t members_count;
    struct known **topics; // sorted by id
    uint32_t topics_count, topics_capacity;
    struct map by_name;
};

// The topics that match the member's regular expression.
static const struct str *matches(const struct view *v, const struct consumer_subscription *s, int32_t *count)
{
    for (int32_t i = 0; v->resolved && i < v->resolved->count; i++)
        if (str_equal(v->resolved->regexes[i].pattern, s->regex)) {
            *count = v->resolved->regexes[i].topics_count;
            return v->resolved->regexes[i].topics;
        }
    const struct consumer_regex *regex =
        v->group && s->regex.size > 0 ? map_get(&v->group->regexes, s->regex) : NULL;
    *count = regex ? regex->topics_count : 0;
    return regex ? regex->topics : NULL;
}

// What a member subscribes to: names, and what matches its regular expression.
struct names {
    const struct str *own, *matched;
    int32_t own_count, count;
};

static struct names names_of(const struct view *v, const struct consumer_subscription *s)
{
    int32_t matched = 0;
    struct names n = {.own = s->topics, .own_count = s->topics_count};
    n.matched = matches(v, s, &matched);
    n.count = n.own_count + matched;
    return n;
}

static struct str name_at(const struct names *n, int32_t i)
{
    return i < n->own_count ? n->own[i] : n->matched[i - n->own_count];
}

static bool learn_topic(struct turn *t, struct view *v, struct str name, struct arena *arena)
{
    const struct group_metadata *metadata = &t->groups->config->metadata;
    struct group_topic topic;
    if (map_get(&v->by_name, name) || !metadata->topic(metadata->context, name, &topic))
        return true;
    struct known *known = arena_zalloc(arena, 1, sizeof *known);
    if (!known)
        return false;
    *known = (struct known){.name = name, .topic = topic};
    if (v->topics_count == v->topics_capacity) {
        v->topics_capacity = v->topics_capacity ? 2 * v->topics_capacity : 8;
        struct known **grown = arena_zalloc(arena, v->topics_capacity, sizeof(struct known *));
        if (!grown)
            return false;
        if (v->topics_count > 0)
            memcpy(grown, v->topics, v->topics_count * sizeof(struct known *));
        v->topics = grown;
    }
    v->topics[v->topics_count++] = known;
    return map_put(&v->by_name, name, known) == 0;
}

static int compare_known(const void *a, const void *b)
{
    const struct known *l = *(const struct known *const *)a, *r = *(const struct known *const *)b;
    return memcmp(&l->topic.id, &r->topic.id, sizeof l->topic.id);
}

static int compare_subscribers(const void *a, const void *b)
{
    return str_compare(((const struct subscriber *)a)->id, ((const struct subscriber *)b)->id);
}

static bool see(struct turn *t, const struct consumer_change *change, struct arena *arena, struct view *v)
{
    *v = (struct view){.group = change->group ? consumer_of(change->group) : NULL,
                       .resolved = change->resolved};
    size_t most = (v->group ? v->group->members.count : 0) + 1;
    v->members = arena_zalloc(arena, most, sizeof *v->members);
    if (!v->members)
        return false;
    struct map_entry *e;
    for (size_t i = 0; v->group && (e = map_next(&v->group->members, &i));) {
        const struct consumer_member *m = e->value;
        if (m != change->replaced && !str_equal(m->id, change->id))
            v->members[v->members_count++] = (struct subscriber){m->id, &m->subscription, m->target};
    }
    if (change->id.data)
        v->members[v->members_count++] =
            (struct subscriber){change->id, change->subscription, *change->target};
    if (v->members_count > 1) // what is decided does not depend on the order of a hash map
        qsort(v->members, v->members_count, sizeof *v->members, compare_subscribers);
    for (uint32_t i = 0; i < v->members_count; i++) {
        const struct names names = names_of(v, v->members[i].subscription);
        for (int32_t k = 0; k < names.count; k++)
            if (!learn_topic(t, v, name_at(&names, k), arena))
                return false;
    }
    if (v->topics_count > 1)
        qsort(v->topics, v->topics_count, sizeof(struct known *), compare_known);
    for (uint32_t i = 0; i < v->topics_count; i++)
        v->topics[i]->place = i;
    return true;
}

// Metadata

static int compare_names(const void *a, const void *b)
{
    return str_compare((*(const struct known *const *)a)->name, (*(const struct known *const *)b)->name);
}

int64_t consumer_metadata_hash(struct turn *t, const struct consumer_change *change)
{
    struct arena arena;
    struct view v;
    arena_init(&arena, 0);
    if (!see(t, change, &arena, &v))
        state_array(NULL, SIZE_MAX, 1); // ends the process
    if (v.topics_count > 1)
        qsort(v.topics, v.topics_count, sizeof(struct known *), compare_names);
    int64_t *hashes = arena_alloc(&arena, v.topics_count * sizeof *hashes);
    if (!hashes)
        state_array(NULL, SIZE_MAX, 1);
    for (uint32_t i = 0; i < v.topics_count; i++)
        hashes[i] = v.topics[i]->topic.hash;
    int64_t result = metadata_hash_group(hashes, v.topics_count);
    map_free(&v.by_name);
    arena_free(&arena);
    return result;
}

// Assignment

// The assignor that most members ask for.
static const struct assignor *preferred_assignor(const struct view *v)
{
    const struct assignor *uniform = assignor_find(DEFAULT_ASSIGNOR), *range = assignor_find(STR("range"));
    uint32_t ranges = 0, uniforms = 0;
    for (uint32_t i = 0; i < v->members_count; i++) {
        struct str name = v->members[i].subscription->assignor;
        ranges += str_is(name, range->name);
        uniforms += str_is(name, uniform->name);
    }
    return ranges > uniforms ? range : uniform;
}

static int compare_places(const void *a, const void *b)
{
    uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;
    return (l > r) - (l < r);
}

static bool set_problem(const struct view *v, struct arena *arena, struct assignor_problem *p)
{
    struct assignor_topic *topics = arena_zalloc(arena, v->topics_count, sizeof *topics);
    struct assignor_member *members = arena_zalloc(arena, v->members_count, sizeof *members);
    if (!topics || !members)
        return false;
    for (uint32_t i = 0; i < v->topics_count; i++)
        topics[i] = (struct assignor_topic){v->topics[i]->topic.id, v->topics[i]->topic.partitions};
    for (uint32_t i = 0; i < v->members_count; i++) {
        const struct consumer_subscription *s = v->members[i].subscription;
        const struct names names = names_of(v, s);
        uint32_t *places = arena_alloc(arena, (size_t)names.count * sizeof *places);
        uint32_t found = 0, kept = 0;
        if (!places)
            return false;
        for (int32_t k = 0; k < names.count; k++) {
            const struct known *known = map_get(&v->by_name, name_at(&names, k));
            if (known)
                places[found++] = known->place;
        }
        if (found > 1)
            qsort(places, found, sizeof *places, compare_places);
        for (uint32_t k = 0; k < found; k++) // by name and by regular expression
            if (kept == 0 || places[kept - 1] != places[k])
                places[kept++] = places[k];
        members[i] = (struct assignor_member){.id = v->members[i].id,
                                              .instance_id = s->instance_id,
                                              .topics = places,
                                              .topics_count = kept,
                                              .has = v->members[i].has};
    }
    *p = (struct assignor_problem){topics, v->topics_count, members, v->members_count};
    return true;
}

bool consumer_assign(struct turn *t, struct str group, const struct consumer_change *change, int32_t epoch,
                     struct assignment *target)
{
    struct arena *arena = &t->effects->arena; // the targets outlive this call
    struct view v;
    struct assignor_problem p;
    bool ok = see(t, change, arena, &v) && set_problem(&v, arena, &p) &&
              preferred_assignor(&v)->assign(&p, arena) == 0;
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
    map_free(&v.by_name);
    return ok;
}
