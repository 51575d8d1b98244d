// Records of __consumer_offsets back into the state.
#include "coordinator/group/consumer.h"
#include "coordinator/group/kind.h"

#include "base/logger.h"

#include <stdlib.h>

static void must(int rc)
{
    if (rc)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
}

// Offsets

// One transaction more, or less, holds an offset of the group.
static void count_pending(struct group *g, struct str topic, int32_t partition, int64_t change)
{
    struct offset *o = offsets_put(&g->pending, topic, partition);
    o->offset += change;
    if (o->offset <= 0)
        offsets_remove(&g->pending, topic, partition);
}

static struct offsets *pending_offsets(struct groups *s, const struct group *g, int64_t producer_id)
{
    struct transaction *t = map_int_get(&s->transactions, (uint64_t)producer_id);
    if (!t) {
        t = state_alloc(sizeof *t);
        t->producer_id = producer_id;
        must(map_int_put(&s->transactions, (uint64_t)producer_id, t));
    }
    struct pending_offsets *p = map_get(&t->groups, g->id);
    if (!p) {
        p = state_alloc(sizeof *p);
        p->group_id = state_str(g->id);
        must(map_put(&t->groups, p->group_id, p));
    }
    return &p->offsets;
}

static void put_offset(struct offsets *o, const struct offset_commit_key *key,
                       const struct offset_commit_value *v, int64_t record_offset)
{
    struct offset *place = offsets_put(o, key->topic, key->partition);
    free(place->metadata);
    *place = (struct offset){.offset = v->offset,
                             .commit_ms = v->commit_timestamp,
                             .expire_ms = v->expire_timestamp,
                             .record_offset = record_offset,
                             .partition = key->partition,
                             .leader_epoch = v->leader_epoch,
                             .topic_id = v->topic_id};
    if (v->metadata.size > 0) {
        place->metadata = state_alloc(v->metadata.size + 1);
        memcpy(place->metadata, v->metadata.data, v->metadata.size);
    }
}

// What was deleted does not come back when its transaction commits.
static void forget_pending(struct groups *s, struct group *g, const struct offset_commit_key *key)
{
    struct map_entry *e;
    for (size_t i = 0;
         offset_is_pending(g, key->topic, key->partition) && (e = map_next(&s->transactions, &i));) {
        struct pending_offsets *p = map_get(&((struct transaction *)e->value)->groups, g->id);
        if (p && offsets_remove(&p->offsets, key->topic, key->partition))
            count_pending(g, key->topic, key->partition, -1);
    }
}

static void replay_offset(struct groups *s, const struct offset_commit_key *key,
                          const struct offset_commit_value *v, int64_t record_offset, int64_t producer_id)
{
    struct group *g = group_find(s, key->group);
    if (!v) {
        if (!g)
            return;
        offsets_remove(&g->offsets, key->topic, key->partition);
        forget_pending(s, g, key);
        return;
    }
    if (!g) // offsets alone make a simple group: an empty one without a protocol type
        g = group_create(s, key->group, v->commit_timestamp);
    struct offsets *to = producer_id < 0 ? &g->offsets : pending_offsets(s, g, producer_id);
    if (producer_id >= 0 && !offsets_find(to, key->topic, key->partition))
        count_pending(g, key->topic, key->partition, 1);
    put_offset(to, key, v, record_offset);
}

// Of offsets by a transaction and outside of one the later record counts, whenever the transaction ends.
static void commit_pending(struct group *g, struct str topic, struct offset *from)
{
    const struct offset *has = offsets_find(&g->offsets, topic, from->partition);
    if (has && has->record_offset >= from->record_offset)
        return;
    struct offset *to = offsets_put(&g->offsets, topic, from->partition);
    free(to->metadata);
    *to = *from;
    from->metadata = NULL;
}

static void end_pending(struct group *g, struct pending_offsets *p, bool committed)
{
    for (uint32_t i = 0; i < p->offsets.count; i++) {
        struct topic_offsets *t = &p->offsets.topics[i];
        for (uint32_t k = 0; k < t->count; k++) {
            count_pending(g, t->topic, t->offsets[k].partition, -1);
            if (committed)
                commit_pending(g, t->topic, &t->offsets[k]);
        }
    }
}

void replay_transaction_end(void *state, int64_t producer_id, bool committed)
{
    struct groups *s = state;
    struct transaction *t = map_int_remove(&s->transactions, (uint64_t)producer_id);
    if (!t)
        return;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&t->groups, &i));) {
        struct pending_offsets *p = e->value;
        struct group *g = group_find(s, p->group_id);
        if (g)
            end_pending(g, p, committed);
        offsets_free(&p->offsets);
        free((void *)(uintptr_t)p->group_id.data);
        free(p);
    }
    map_free(&t->groups);
    free(t);
}

bool offset_is_pending(const struct group *g, struct str topic, int32_t partition)
{
    return offsets_find(&g->pending, topic, partition) != NULL;
}

// Groups

static void replay_member(struct group *g, const struct group_metadata_value *v,
                          const struct group_metadata_value_member_metadata *in)
{
    struct member *m = member_add(g, in->member_id, in->group_instance_id, in->client_id, in->client_host);
    struct join_group_request_join_group_request_protocol protocol = {
        .name = v->protocol.data ? v->protocol : STR(""), .metadata = in->subscription};
    member_set_protocols(m, &protocol, 1);
    m->session_timeout_ms = in->session_timeout;
    m->rebalance_timeout_ms = in->rebalance_timeout >= 0 ? in->rebalance_timeout : in->session_timeout;
    member_set_assignment(m, in->assignment);
    if (str_equal(in->member_id, v->leader))
        g->leader = m;
}

// The last record counts, whatever the group was before: Kafka lets a classic group take the place of one of
// another protocol without a word about that one. Its offsets do not depend on the record: they stay when
// that is replaced.
static void replay_group(struct groups *s, const struct group_metadata_key *key,
                         const struct group_metadata_value *v)
{
    struct group *old = group_find(s, key->group);
    struct offsets offsets = {0}, pending = {0};
    if (old) {
        offsets = old->offsets;
        pending = old->pending;
        old->offsets = old->pending = (struct offsets){0};
        group_remove(old);
    }
    if (!v && offsets.count == 0 && pending.count == 0) {
        offsets_free(&offsets);
        offsets_free(&pending);
        return;
    }
    struct group *g = group_create(s, key->group, v ? v->current_state_timestamp : -1);
    g->offsets = offsets;
    g->pending = pending;
    if (!v) // a simple group is left
        return;
    g->state = v->members_count > 0 ? GROUP_STABLE : GROUP_EMPTY;
    g->generation = v->generation;
    if (v->protocol_type.size > 0)
        g->protocol_type = state_str(v->protocol_type);
    g->protocol = state_str(v->protocol);
    for (int32_t i = 0; i < v->members_count; i++)
        replay_member(g, v, &v->members[i]);
    group_learn_topics(g);
}

#define KEY_LEGACY_OFFSET 0
#define KEY_OFFSET        1
#define KEY_GROUP         2

int replay_decode(const struct message_type *type, struct bytes in, bool is_key, struct arena *arena,
                  void *out)
{
    int16_t version = is_key ? 0 : (int16_t)load_be16(in.data);
    return message_decode(type, version, (struct bytes){in.data + 2, in.size - 2}, arena, out, NULL);
}

bool replay_classic_record(struct groups *s, int16_t type, const struct coordinator_record *record,
                           struct arena *arena, int *rc)
{
    if (type != KEY_GROUP)
        return false;
    struct group_metadata_key key;
    struct group_metadata_value value;
    bool lives = record->value.data != NULL;
    *rc = replay_decode(&group_metadata_key_type, record->key, true, arena, &key);
    if (*rc == 0 && lives)
        *rc = replay_decode(&group_metadata_value_type, record->value, false, arena, &value);
    if (*rc == 0)
        replay_group(s, &key, lives ? &value : NULL);
    return true;
}

// What is committed under its id does not depend on it.
int replay_unserved(struct groups *s, enum group_type type, const struct coordinator_record *record,
                    struct arena *arena)
{
    struct group_metadata_key key; // of every kind it has the group's id and nothing else
    int rc = replay_decode(&group_metadata_key_type, record->key, true, arena, &key);
    struct group *g = rc == 0 ? group_find(s, key.group) : NULL;
    if (rc == 0 && record->value.data) {
        g = g ? g : group_create(s, key.group, -1);
        consumer_free(g); // whose end compaction has taken
        g->type = type;
    } else if (g && g->type == type) {
        group_end(g);
    }
    return rc;
}

static int replay_offset_record(struct groups *s, const struct coordinator_record *record, int64_t offset,
                                int64_t producer_id, struct arena *arena)
{
    struct offset_commit_key key;
    struct offset_commit_value value;
    bool lives = record->value.data != NULL;
    int rc = replay_decode(&offset_commit_key_type, record->key, true, arena, &key);
    if (rc == 0 && lives)
        rc = replay_decode(&offset_commit_value_type, record->value, false, arena, &value);
    if (rc == 0)
        replay_offset(s, &key, lives ? &value : NULL, offset, producer_id);
    return rc;
}

static int replay_typed(struct groups *s, int16_t type, const struct coordinator_record *record,
                        int64_t offset, int64_t producer_id, struct arena *arena)
{
    if (type == KEY_OFFSET || type == KEY_LEGACY_OFFSET)
        return replay_offset_record(s, record, offset, producer_id, arena);
    return kinds_replay(s, type, record, arena);
}

void replay_record(void *state, const struct coordinator_record *record, int64_t offset, int64_t producer_id)
{
    struct bytes key = record->key, value = record->value;
    if (key.size < 2 || (value.data && value.size < 2))
        return;
    struct arena arena;
    arena_init(&arena, 0);
    int rc = replay_typed(state, (int16_t)load_be16(key.data), record, offset, producer_id, &arena);
    if (rc)
        log_limited(LOG_LEVEL_WARN, "coordinator",
                    "record %lld of __consumer_offsets is not understood: passed over", (long long)offset);
    arena_free(&arena);
}
