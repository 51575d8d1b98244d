// Which topics a group of the consumer protocol sees, by the hash that its records bear.
#include "coordinator/group/metadata_hash.h"
#include "coordinator/group/target.h"

#include "base/java_order.h"

#include <stdlib.h>

// The topics that match the member's regular expression.
static const struct str *matches(const struct consumer_change *change, const struct consumer_subscription *s,
                                 int32_t *count)
{
    const struct group_regexes *resolved = change->resolved;
    for (int32_t i = 0; resolved && i < resolved->count; i++)
        if (str_equal(resolved->regexes[i].pattern, s->regex)) {
            *count = resolved->regexes[i].topics_count;
            return resolved->regexes[i].topics;
        }
    const struct consumer_regex *regex =
        change->group && s->regex.size > 0 ? map_get(&consumer_of(change->group)->regexes, s->regex) : NULL;
    *count = regex ? regex->topics_count : 0;
    return regex ? regex->topics : NULL;
}

static void add_member(struct target_view *v, const struct consumer_change *change, struct str id,
                       const struct consumer_subscription *s, struct assignment has)
{
    struct target_member *m = &v->members[v->members_count++];
    *m = (struct target_member){.id = id,
                                .instance_id = s->instance_id,
                                .assignor = s->assignor,
                                .topics = s->topics,
                                .topics_count = s->topics_count,
                                .has = has};
    m->matched = matches(change, s, &m->matched_count);
}

bool target_see(const struct consumer_change *change, struct arena *arena, struct target_view *v)
{
    const struct consumer_group *c = change->group ? consumer_of(change->group) : NULL;
    *v = (struct target_view){0};
    v->members = arena_zalloc(arena, (c ? c->members.count : 0) + 1, sizeof *v->members);
    if (!v->members)
        return false;
    struct map_entry *e;
    for (size_t i = 0; c && (e = map_next(&c->members, &i));) {
        const struct consumer_member *m = e->value;
        bool gone = m == change->replaced || (change->gone && map_get(change->gone, m->id));
        if (!gone && !str_equal(m->id, change->id))
            add_member(v, change, m->id, &m->subscription, m->target);
    }
    if (change->id.data)
        add_member(v, change, change->id, change->subscription, *change->target);
    return true;
}

static int compare_members(const void *a, const void *b)
{
    return str_compare(((const struct target_member *)a)->id, ((const struct target_member *)b)->id);
}

// Kafka puts the members that it has into a hash map, in the order of its own table, and then a new one.
bool target_order(struct target_view *v, struct str newcomer, struct arena *arena)
{
    size_t count = v->members_count, known = 0, *table, *order;
    if (count > 1) // nothing depends on the order of our own map
        qsort(v->members, count, sizeof *v->members, compare_members);
    struct target_member *from = arena_zalloc(arena, count, sizeof *from);
    struct str *ids = arena_zalloc(arena, count, sizeof *ids), *put = arena_zalloc(arena, count, sizeof *put);
    if (!from || !ids || !put)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!str_equal(v->members[i].id, newcomer)) {
            ids[known] = v->members[i].id;
            from[known++] = v->members[i];
        } else {
            ids[count - 1] = newcomer;
            from[count - 1] = v->members[i];
        }
    if (java_timeline_order(ids, known, arena, &table))
        return false;
    for (size_t i = 0; i < count; i++)
        put[i] = i < known ? ids[table[i]] : ids[i];
    if (java_map_order(put, count, 0, arena, &order))
        return false;
    for (size_t i = 0; i < count; i++)
        v->members[i] = from[order[i] < known ? table[order[i]] : order[i]];
    return true;
}

struct str target_name_at(const struct target_member *m, int32_t i)
{
    return i < m->topics_count ? m->topics[i] : m->matched[i - m->topics_count];
}

static bool same_names(const struct str *a, int32_t a_count, const struct str *b, int32_t b_count)
{
    bool same = a_count == b_count;
    for (int32_t i = 0; same && a != b && i < a_count; i++)
        same = str_equal(a[i], b[i]);
    return same;
}

bool target_same_topics(const struct target_member *a, const struct target_member *b)
{
    return same_names(a->topics, a->topics_count, b->topics, b->topics_count) &&
           same_names(a->matched, a->matched_count, b->matched, b->matched_count);
}

// The next of the names that the member subscribes to, ascending and each once; a null view: there is none.
static struct str next_name(const struct target_member *m, int32_t *own, int32_t *matched)
{
    int c = *own == m->topics_count        ? 1
            : *matched == m->matched_count ? -1
                                           : str_compare(m->topics[*own], m->matched[*matched]);
    if (*own == m->topics_count && *matched == m->matched_count)
        return STR_NULL;
    struct str name = c <= 0 ? m->topics[*own] : m->matched[*matched];
    *own += c <= 0;
    *matched += c >= 0;
    return name;
}

bool target_same_names(const struct target_member *a, const struct target_member *b)
{
    if (target_same_topics(a, b))
        return true;
    int32_t a_own = 0, a_matched = 0, b_own = 0, b_matched = 0;
    for (;;) {
        struct str l = next_name(a, &a_own, &a_matched), r = next_name(b, &b_own, &b_matched);
        if (!l.data || !r.data)
            return !l.data && !r.data;
        if (!str_equal(l, r))
            return false;
    }
}

static bool learn_topic(const struct group_metadata *metadata, struct target_view *v, struct str name,
                        struct arena *arena)
{
    struct group_topic topic;
    if (map_get(&v->by_name, name) || !metadata->topic(metadata->context, name, &topic))
        return true;
    struct target_topic *known = arena_zalloc(arena, 1, sizeof *known);
    if (!known)
        return false;
    *known = (struct target_topic){.name = name, .topic = topic};
    if (v->topics_count == v->topics_capacity) {
        v->topics_capacity = v->topics_capacity ? 2 * v->topics_capacity : 8;
        struct target_topic **grown = arena_zalloc(arena, v->topics_capacity, sizeof(struct target_topic *));
        if (!grown)
            return false;
        if (v->topics_count > 0)
            memcpy(grown, v->topics, v->topics_count * sizeof(struct target_topic *));
        v->topics = grown;
    }
    v->topics[v->topics_count++] = known;
    v->partitions += topic.partitions;
    return map_put(&v->by_name, name, known) == 0;
}

static int compare_ids(const void *a, const void *b)
{
    const struct target_topic *l = *(const struct target_topic *const *)a,
                              *r = *(const struct target_topic *const *)b;
    return memcmp(&l->topic.id, &r->topic.id, sizeof l->topic.id);
}

bool target_learn(const struct group_metadata *metadata, struct target_view *v, struct arena *arena)
{
    for (uint32_t i = 0; i < v->members_count; i++) {
        const struct target_member *m = &v->members[i];
        if (i > 0 && target_same_topics(m, m - 1)) // as in most groups
            continue;
        for (int32_t k = 0; k < m->topics_count + m->matched_count; k++)
            if (!learn_topic(metadata, v, target_name_at(m, k), arena))
                return false;
    }
    if (v->topics_count > 1)
        qsort(v->topics, v->topics_count, sizeof(struct target_topic *), compare_ids);
    for (uint32_t i = 0; i < v->topics_count; i++)
        v->topics[i]->place = i;
    return true;
}

void target_free(struct target_view *v)
{
    map_free(&v->by_name);
}

// The hash

static int compare_names(const void *a, const void *b)
{
    return str_compare((*(const struct target_topic *const *)a)->name,
                       (*(const struct target_topic *const *)b)->name);
}

static struct consumer_topics look_at_topics(struct turn *t, const struct consumer_change *change)
{
    struct arena arena;
    struct target_view v;
    arena_init(&arena, 0);
    if (!target_see(change, &arena, &v) || !target_learn(&t->groups->config->metadata, &v, &arena))
        state_array(NULL, SIZE_MAX, 1); // ends the process
    if (v.topics_count > 1)
        qsort(v.topics, v.topics_count, sizeof(struct target_topic *), compare_names);
    int64_t *hashes = arena_alloc(&arena, v.topics_count * sizeof *hashes);
    if (!hashes)
        state_array(NULL, SIZE_MAX, 1);
    for (uint32_t i = 0; i < v.topics_count; i++)
        hashes[i] = v.topics[i]->topic.hash;
    const struct consumer_topics result = {metadata_hash_group(hashes, v.topics_count), v.partitions};
    target_free(&v);
    arena_free(&arena);
    return result;
}

// Whether the others still subscribe to all that one of them leaves, if it does not itself.
static bool leaves_nothing(const struct group *g, const struct consumer_member *old,
                           const struct consumer_subscription *now)
{
    const struct consumer_subscription *s = &old->subscription;
    for (int32_t i = 0; i < s->topics_count; i++)
        if (consumer_subscribers(g, s->topics[i]) < 2 &&
            !(now && consumer_names_have(now->topics, now->topics_count, s->topics[i])))
            return false;
    return s->regex.size == 0 || (now && str_equal(now->regex, s->regex)) ||
           consumer_regex_subscribers(g, s->regex) > 1;
}

static bool brings_nothing(const struct group *g, const struct consumer_subscription *now)
{
    for (int32_t i = 0; i < now->topics_count; i++)
        if (consumer_subscribers(g, now->topics[i]) == 0)
            return false;
    return now->regex.size == 0 || consumer_regex_subscribers(g, now->regex) > 0;
}

// When one of many comes or goes, the topics are mostly the same ones.
static bool sees_the_same(const struct consumer_change *change)
{
    const struct consumer_member *one =
        change->id.data ? consumer_member_find(change->group, change->id) : NULL;
    const struct consumer_member *old = change->replaced ? change->replaced : one;
    const struct consumer_subscription *now = change->id.data ? change->subscription : NULL;
    return !change->resolved && !(change->gone && change->gone->count > 1) && !(change->replaced && one) &&
           (!old || leaves_nothing(change->group, old, now)) && (!now || brings_nothing(change->group, now));
}

struct consumer_topics consumer_see_topics(struct turn *t, const struct consumer_change *change)
{
    const struct group_metadata *metadata = &t->groups->config->metadata;
    const struct consumer_group *c = change->group ? consumer_of(change->group) : NULL;
    if (c && c->metadata_version == metadata->version(metadata->context) && sees_the_same(change))
        return (struct consumer_topics){c->metadata_hash, c->partitions};
    return look_at_topics(t, change);
}
