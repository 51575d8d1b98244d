// The state of a group of the consumer protocol beside one that is rebuilt from the records: they must be the
// same, whether the log is as it was written or was compacted. Timers are not part of it.
#ifndef CONSUMER_REBUILD_H
#define CONSUMER_REBUILD_H

#include "consumer_world.h"

#include "coordinator/group/consumer.h"

enum rebuild {
    FROM_ALL,
    FROM_NEWEST,
    FROM_LIVING,
    REBUILDS
}; // records: all, the last of each key, without tombstones

// By key, the last record of each: its place, plus one.
static void find_newest(const struct shard_fixture *f, struct map *newest)
{
    for (size_t i = 0; i < f->log_count; i++)
        CHECK(map_put(newest, (struct str){(const char *)f->log[i].key.data, f->log[i].key.size},
                      (void *)(uintptr_t)(i + 1)) == 0,
              "no memory");
}

static void *rebuild(struct shard_fixture *f, const struct map *newest, enum rebuild how)
{
    void *state = group_machine.create(&f->config);
    for (size_t i = 0; i < f->log_count; i++) {
        struct logged *l = &f->log[i];
        struct coordinator_record r = {{l->key.data, l->key.size}, {l->value.data, l->value.size}};
        if (l->tombstone)
            r.value = BYTES_NULL;
        const struct str key = {(const char *)l->key.data, l->key.size};
        if (how == FROM_ALL ||
            ((uintptr_t)map_get(newest, key) == i + 1 && !(how == FROM_LIVING && l->tombstone)))
            group_machine.replay(state, &r, (int64_t)i, l->producer_id);
    }
    return state;
}

static bool same_parts(const struct assignment *a, const struct assignment *b)
{
    bool same = assignment_equal(a, b);
    for (uint32_t i = 0; same && i < a->count; i++)
        same = a->items[i].epoch == b->items[i].epoch;
    return same;
}

static bool same_names_as(const struct str *a, int32_t a_count, const struct str *b, int32_t b_count)
{
    bool same = a_count == b_count;
    for (int32_t i = 0; same && i < a_count; i++)
        same = str_equal(a[i], b[i]);
    return same;
}

static bool same_classic(const struct consumer_group_member_metadata_value_classic_member_metadata *a,
                         const struct consumer_group_member_metadata_value_classic_member_metadata *b)
{
    if (!a || !b)
        return a == b;
    bool same = a->session_timeout_ms == b->session_timeout_ms &&
                a->supported_protocols_count == b->supported_protocols_count;
    for (int32_t i = 0; same && i < a->supported_protocols_count; i++)
        same = str_equal(a->supported_protocols[i].name, b->supported_protocols[i].name) &&
               a->supported_protocols[i].metadata.size == b->supported_protocols[i].metadata.size &&
               memcmp(a->supported_protocols[i].metadata.data, b->supported_protocols[i].metadata.data,
                      a->supported_protocols[i].metadata.size) == 0;
    return same;
}

static void compare_members(const struct consumer_member *a, const struct consumer_member *b)
{
    const struct consumer_subscription *s = &a->subscription, *t = &b->subscription;
    CHECK(str_equal(s->instance_id, t->instance_id) && str_equal(s->rack_id, t->rack_id) &&
              str_equal(s->client_id, t->client_id) && str_equal(s->client_host, t->client_host) &&
              str_equal(s->assignor, t->assignor) && s->rebalance_timeout_ms == t->rebalance_timeout_ms,
          "what %.*s says of itself", STR_ARG(a->id));
    CHECK(str_equal(s->regex, t->regex) &&
              same_names_as(s->topics, s->topics_count, t->topics, t->topics_count),
          "what %.*s subscribes to", STR_ARG(a->id));
    CHECK(same_classic(s->classic, t->classic), "the classic side of %.*s", STR_ARG(a->id));
    CHECK(a->at.state == b->at.state && a->at.epoch == b->at.epoch &&
              a->at.previous_epoch == b->at.previous_epoch,
          "%.*s is at %d (state %d, before %d), rebuilt %d (%d, %d)", STR_ARG(a->id), a->at.epoch,
          (int)a->at.state, a->at.previous_epoch, b->at.epoch, (int)b->at.state, b->at.previous_epoch);
    CHECK(same_parts(&a->at.assigned, &b->at.assigned) && same_parts(&a->at.revoking, &b->at.revoking),
          "what %.*s has", STR_ARG(a->id));
    CHECK(assignment_equal(&a->target, &b->target), "what %.*s is to have", STR_ARG(a->id));
}

// Who is found under the instance ids of one in the other. Of those that members gave up compaction leaves
// nothing.
static void compare_instances(const struct group *in, const struct group *other, bool current_alone)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&in->consumer->statics, &i));) {
        const struct consumer_member *m = consumer_member_static(in, e->key);
        const struct consumer_member *n = consumer_member_static(other, e->key);
        if (n || !current_alone || str_equal(m->subscription.instance_id, e->key))
            CHECK(n && str_equal(m->id, n->id), "whose the instance %.*s of %.*s is", STR_ARG(e->key),
                  STR_ARG(m->id));
    }
}

static void compare_groups(const struct group *live, const struct group *built)
{
    const struct consumer_group *a = live->consumer, *b = built->consumer;
    struct map_entry *e;
    CHECK(a->epoch == b->epoch && a->assignment_epoch == b->assignment_epoch, "epochs %d %d, rebuilt %d %d",
          a->epoch, a->assignment_epoch, b->epoch, b->assignment_epoch);
    CHECK(a->metadata_hash == b->metadata_hash && a->assignment_ms == b->assignment_ms, "hash or time");
    CHECK(a->members.count == b->members.count && a->subscribed.count == b->subscribed.count &&
              a->regexes.count == b->regexes.count && a->holdings.count == b->holdings.count,
          "members %zu %zu, expressions %zu %zu, partitions %zu %zu", a->members.count, b->members.count,
          a->regexes.count, b->regexes.count, a->holdings.count, b->holdings.count);
    for (size_t i = 0; (e = map_next(&a->members, &i));) {
        const struct consumer_member *m = e->value, *n = map_get(&b->members, m->id);
        CHECK(n, "%.*s is not rebuilt", STR_ARG(m->id));
        compare_members(m, n);
    }
    compare_instances(live, built, true);
    compare_instances(built, live, false);
    for (size_t i = 0; (e = map_next(&a->regexes, &i));) {
        const struct consumer_regex *r = e->value, *q = map_get(&b->regexes, r->pattern);
        CHECK(q && r->version == q->version && r->timestamp_ms == q->timestamp_ms &&
                  same_names_as(r->topics, r->topics_count, q->topics, q->topics_count),
              "what matches %.*s", STR_ARG(r->pattern));
    }
}

static void check_rebuilt(struct shard_fixture *f, struct str id)
{
    const struct group *live = group_find(f->state, id);
    bool consumers = live && live->consumer;
    struct map newest = MAP_INIT;
    find_newest(f, &newest);
    for (enum rebuild how = FROM_ALL; how < REBUILDS; how++) {
        void *state = rebuild(f, &newest, how);
        const struct group *built = group_find(state, id);
        CHECK(consumers == (built && built->consumer), "%s is rebuilt as another group (from %d)",
              consumers ? "a consumer group" : "a classic group", (int)how);
        if (consumers)
            compare_groups(live, built);
        group_machine.destroy(state);
    }
    map_free(&newest);
}

#endif
