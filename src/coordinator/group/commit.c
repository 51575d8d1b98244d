// OffsetCommit, TxnOffsetCommit, OffsetFetch, OffsetDelete, and what ends the life of offsets: their age, or
// their topic's end.
#include "coordinator/group/kind.h"

// OffsetCommit

#define GROUP_NOT_FOUND_VERSION 9 // older clients know ILLEGAL_GENERATION only

static int16_t check_commit(const struct group *g, const struct coordinator_request *r,
                            const struct offset_commit_request *q)
{
    if (g)
        return kind_of(g)->check_commit(g, r, q);
    return q->generation_id_or_member_epoch < 0    ? E_NONE // a consumer without a group, or an administrator
           : r->version >= GROUP_NOT_FOUND_VERSION ? E_GROUP_ID_NOT_FOUND
                                                   : E_ILLEGAL_GENERATION;
}

int16_t classic_check_commit(const struct group *g, const struct coordinator_request *r,
                             const struct offset_commit_request *q)
{
    int32_t generation = q->generation_id_or_member_epoch;
    (void)r;
    if (generation < 0 && g->state == GROUP_EMPTY)
        return E_NONE;
    if (generation < 0 && q->member_id.size == 0 && !q->group_instance_id.data)
        return E_UNKNOWN_MEMBER_ID;
    int16_t error = member_check(g, q->member_id, q->group_instance_id);
    if (error != E_NONE)
        return error;
    if (generation != g->generation)
        return E_ILLEGAL_GENERATION;
    return g->state == GROUP_COMPLETING ? E_REBALANCE_IN_PROGRESS : E_NONE;
}

// Older clients choose how long an offset is kept, "for ever" among it.
static int64_t expiry_ms(int64_t now_ms, int64_t retention_ms)
{
    return retention_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + retention_ms;
}

static void commit_partition(struct turn *t, const struct offset_commit_request *q,
                             const struct offset_commit_request_offset_commit_request_topic *topic,
                             const struct offset_commit_request_offset_commit_request_partition *p,
                             struct offset_commit_response_offset_commit_response_partition *out)
{
    out->partition_index = p->partition_index;
    if (utf16_length(p->committed_metadata) > (size_t)t->groups->config->offset_metadata_max_bytes) {
        out->error_code = E_OFFSET_METADATA_TOO_LARGE;
        return;
    }
    struct offset_commit_value value;
    message_init(&offset_commit_value_type, &value);
    value.offset = p->committed_offset;
    value.leader_epoch = p->committed_leader_epoch;
    value.metadata = p->committed_metadata.data ? p->committed_metadata : STR("");
    value.commit_timestamp = t->now.wall_ms;
    if (q->retention_time_ms != -1)
        value.expire_timestamp = expiry_ms(t->now.wall_ms, q->retention_time_ms);
    value.topic_id = topic->topic_id;
    write_offset(t, q->group_id, topic->name, p->partition_index, &value);
}

static struct offset_commit_response *commit_all(struct turn *t, struct coordinator_request *r,
                                                 const struct offset_commit_request *q)
{
    struct offset_commit_response *out = offset_commit_response_new(&r->arena, 1);
    if (!out ||
        !(out->topics = offset_commit_response_offset_commit_response_topic_new(&r->arena, q->topics_count)))
        return NULL;
    for (int32_t i = 0; i < q->topics_count; i++) {
        const struct offset_commit_request_offset_commit_request_topic *topic = &q->topics[i];
        struct offset_commit_response_offset_commit_response_topic *o = &out->topics[out->topics_count++];
        o->name = arena_str(&r->arena, topic->name);
        o->topic_id = topic->topic_id;
        o->partitions =
            offset_commit_response_offset_commit_response_partition_new(&r->arena, topic->partitions_count);
        if (!o->partitions)
            return NULL;
        for (int32_t k = 0; k < topic->partitions_count; k++)
            commit_partition(t, q, topic, &topic->partitions[k], &o->partitions[o->partitions_count++]);
    }
    return out;
}

// Writes the offsets, and answers once they are written.
static void commit(struct turn *t, struct coordinator_request *r, const struct offset_commit_request *q)
{
    r->response = commit_all(t, r, q);
    if (!r->response || t->effects->records_count == 0) {
        answer(t, r, r->response);
        coordinator_effects_reset(t->effects);
        return;
    }
    t->groups->then = THEN_ANSWER;
    t->groups->then_request = r;
}

void on_commit(struct turn *t, struct coordinator_request *r)
{
    const struct offset_commit_request *q = r->message;
    struct group *g = group_find(t->groups, q->group_id);
    int16_t error = check_commit(g, r, q);
    if (error != E_NONE) {
        refuse(t, r, error);
        return;
    }
    struct member *m = g ? member_find(g, q->member_id) : NULL;
    if (m && (g->state == GROUP_STABLE || g->state == GROUP_PREPARING)) // it lives
        timer_arm(t, &m->heartbeat, m->session_timeout_ms);
    commit(t, r, q);
}

// TxnOffsetCommit

// What a producer says of the group that it reads in (KIP-447); older ones say nothing. The state of the
// group does not matter: the offsets count later anyway.
static int16_t check_txn_commit(const struct group *g, const struct offset_commit_request *q)
{
    if (g)
        return kind_of(g)->check_txn_commit(g, q);
    return q->generation_id_or_member_epoch < 0 ? E_NONE : E_ILLEGAL_GENERATION;
}

int16_t classic_check_txn_commit(const struct group *g, const struct offset_commit_request *q)
{
    int32_t generation = q->generation_id_or_member_epoch;
    if (generation < 0 && (g->state == GROUP_EMPTY || (q->member_id.size == 0 && !q->group_instance_id.data)))
        return E_NONE;
    int16_t error = member_check(g, q->member_id, q->group_instance_id);
    return error == E_NONE && generation != g->generation ? E_ILLEGAL_GENERATION : error;
}

void on_txn_commit(struct turn *t, struct coordinator_request *r)
{
    const struct group_txn_commit *q = r->message;
    int16_t error = check_txn_commit(group_find(t->groups, q->commit.group_id), &q->commit);
    if (error != E_NONE) {
        refuse(t, r, error);
        return;
    }
    t->effects->producer = q->producer;
    commit(t, r, &q->commit);
}

// OffsetFetch

static void fill_offset(const struct group *g, const struct group_fetch *q, struct str topic,
                        const struct uuid *topic_id, const struct offset *has, struct arena *arena,
                        struct offset_fetch_response_offset_fetch_response_partitions *out)
{
    out->committed_offset = -1;
    out->metadata = STR("");
    if (g && q->require_stable && offset_is_pending(g, topic, out->partition_index)) {
        out->error_code = E_UNSTABLE_OFFSET_COMMIT;
        return;
    }
    // A topic that was deleted and made again is another one.
    if (!has || (topic_id && !uuid_is_zero(topic_id) && !uuid_is_zero(&has->topic_id) &&
                 !uuid_equal(topic_id, &has->topic_id)))
        return;
    out->committed_offset = has->offset;
    out->committed_leader_epoch = has->leader_epoch;
    if (has->metadata)
        out->metadata = arena_str(arena, str_from(has->metadata));
}

static bool fetch_named(const struct group *g, const struct group_fetch *q, struct arena *arena,
                        struct offset_fetch_response_offset_fetch_response_group *out)
{
    out->topics = offset_fetch_response_offset_fetch_response_topics_new(arena, q->topics_count);
    for (int32_t i = 0; out->topics && i < q->topics_count; i++) {
        const struct offset_fetch_request_offset_fetch_request_topics *topic = &q->topics[i];
        struct offset_fetch_response_offset_fetch_response_topics *o = &out->topics[out->topics_count++];
        o->name = arena_str(arena, topic->name);
        o->topic_id = topic->topic_id;
        o->partitions =
            offset_fetch_response_offset_fetch_response_partitions_new(arena, topic->partition_indexes_count);
        if (!o->partitions)
            return false;
        o->partitions_count = topic->partition_indexes_count;
        for (int32_t k = 0; k < o->partitions_count; k++) {
            o->partitions[k].partition_index = topic->partition_indexes[k];
            const struct offset *has =
                g ? offsets_find(&g->offsets, topic->name, topic->partition_indexes[k]) : NULL;
            fill_offset(g, q, topic->name, &topic->topic_id, has, arena, &o->partitions[k]);
        }
    }
    return out->topics != NULL;
}

static bool fetch_all(const struct group *g, const struct group_fetch *q, struct arena *arena,
                      struct offset_fetch_response_offset_fetch_response_group *out)
{
    uint32_t count = g ? g->offsets.count : 0;
    out->topics = offset_fetch_response_offset_fetch_response_topics_new(arena, (int32_t)count);
    for (uint32_t i = 0; out->topics && i < count; i++) {
        const struct topic_offsets *topic = &g->offsets.topics[i];
        struct offset_fetch_response_offset_fetch_response_topics *o = &out->topics[out->topics_count++];
        o->name = arena_str(arena, topic->topic);
        o->topic_id = topic->offsets[0].topic_id;
        o->partitions =
            offset_fetch_response_offset_fetch_response_partitions_new(arena, (int32_t)topic->count);
        if (!o->partitions)
            return false;
        o->partitions_count = (int32_t)topic->count;
        for (uint32_t k = 0; k < topic->count; k++) {
            o->partitions[k].partition_index = topic->offsets[k].partition;
            fill_offset(g, q, topic->topic, NULL, &topic->offsets[k], arena, &o->partitions[k]);
        }
    }
    return out->topics != NULL;
}

void on_fetch(struct turn *t, struct coordinator_request *r)
{
    const struct group_fetch *q = r->message;
    const struct group *g = group_find(t->groups, q->group_id);
    int16_t error = g ? kind_of(g)->check_fetch(g, q) : E_NONE;
    if (error != E_NONE) {
        refuse(t, r, error);
        return;
    }
    struct offset_fetch_response_offset_fetch_response_group *out =
        offset_fetch_response_offset_fetch_response_group_new(&r->arena, 1);
    bool ok = out && (q->topics ? fetch_named(g, q, &r->arena, out) : fetch_all(g, q, &r->arena, out));
    if (ok)
        out->group_id = arena_str(&r->arena, q->group_id);
    answer(t, r, ok ? out : NULL);
}

// OffsetDelete

static bool delete_topic(struct turn *t, const struct group *g, struct arena *arena,
                         const struct offset_delete_request_offset_delete_request_topic *q,
                         struct offset_delete_response_offset_delete_response_topic *out)
{
    bool subscribed = group_subscribes(g, q->name);
    out->name = arena_str(arena, q->name);
    out->partitions = offset_delete_response_offset_delete_response_partition_new(arena, q->partitions_count);
    if (!out->partitions)
        return false;
    out->partitions_count = q->partitions_count;
    for (int32_t k = 0; k < q->partitions_count; k++) {
        int32_t partition = q->partitions[k].partition_index;
        out->partitions[k].partition_index = partition;
        out->partitions[k].error_code = subscribed ? E_GROUP_SUBSCRIBED_TO_TOPIC : E_NONE;
        if (!subscribed &&
            (offsets_find(&g->offsets, q->name, partition) || offset_is_pending(g, q->name, partition)))
            write_offset_tombstone(t, g->id, q->name, partition);
    }
    return true;
}

void on_offset_delete(struct turn *t, struct coordinator_request *r)
{
    const struct offset_delete_request *q = r->message;
    const struct group *g = group_find(t->groups, q->group_id);
    int16_t error = g ? kind_of(g)->check_offset_delete(g) : E_GROUP_ID_NOT_FOUND;
    if (error != E_NONE) {
        refuse(t, r, error);
        return;
    }
    struct offset_delete_response *out = offset_delete_response_new(&r->arena, 1);
    bool ok = out && (out->topics = offset_delete_response_offset_delete_response_topic_new(&r->arena,
                                                                                            q->topics_count));
    for (int32_t i = 0; ok && i < q->topics_count; i++)
        ok = delete_topic(t, g, &r->arena, &q->topics[i], &out->topics[out->topics_count++]);
    if (!ok || t->effects->records_count == 0) {
        coordinator_effects_reset(t->effects);
        answer(t, r, ok ? out : NULL);
        return;
    }
    r->response = out;
    t->groups->then = THEN_ANSWER;
    t->groups->then_request = r;
}

// A topic is gone, and with it what was committed for it.

void on_topic_deleted(struct turn *t, struct coordinator_request *r)
{
    const struct str *topic = r->message;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&t->groups->groups, &i));) {
        const struct group *g = e->value;
        const struct topic_offsets *offsets = offsets_topic(&g->offsets, *topic);
        for (uint32_t k = 0; offsets && k < offsets->count; k++)
            write_offset_tombstone(t, g->id, *topic, offsets->offsets[k].partition);
        write_pending_tombstones(t, g, topic);
    }
    t->effects->divisible = true;
    refuse(t, r, E_NONE);
}

// Age (KIP-211)

// When the retention of the group's offsets began. False: they do not age now.
static bool expiry_base(const struct group *g, const struct offset *o, int64_t *base_ms)
{
    *base_ms = o->commit_ms;
    if (!g->protocol_type.data)
        return true; // a simple consumer's
    if (g->state == GROUP_EMPTY) {
        if (g->state_ms >= 0)
            *base_ms = g->state_ms;
        return true;
    }
    return group_uses_consumer_protocol(g) && g->knows_topics && g->state == GROUP_STABLE;
}

static bool has_expired(struct turn *t, const struct group *g, struct str topic, const struct offset *o)
{
    int64_t base_ms;
    if (!expiry_base(g, o, &base_ms) || group_subscribes(g, topic))
        return false;
    bool expired = o->expire_ms >= 0 ? t->now.wall_ms >= o->expire_ms
                                     : t->now.wall_ms - base_ms >= t->groups->config->offsets_retention_ms;
    return expired && !offset_is_pending(g, topic, o->partition);
}

static void expire_group(struct turn *t, const struct group *g)
{
    bool all = g->pending.count == 0;
    for (uint32_t i = 0; i < g->offsets.count; i++) {
        const struct topic_offsets *topic = &g->offsets.topics[i];
        for (uint32_t k = 0; k < topic->count; k++) {
            if (has_expired(t, g, topic->topic, &topic->offsets[k]))
                write_offset_tombstone(t, g->id, topic->topic, topic->offsets[k].partition);
            else
                all = false;
        }
    }
    if (all && group_is_empty(g))
        write_tombstones(t, g);
}

void on_expiry_timer(struct turn *t)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&t->groups->groups, &i));) {
        const struct group *g = e->value;
        if (kind_of(g)->served)
            expire_group(t, g);
    }
    t->effects->divisible = true;
    timer_arm(t, &t->groups->expiry, t->groups->config->retention_check_interval_ms);
}
