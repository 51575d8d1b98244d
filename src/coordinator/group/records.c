// What is written into __consumer_offsets, in the versions that Kafka 4.3.1 writes.
#include "coordinator/group/state.h"

#define GROUP_VALUE_VERSION         3
#define OFFSET_VALUE_VERSION        4
#define OFFSET_EXPIRE_VALUE_VERSION 1 // the only one that has a time of expiry

struct bytes record_encode(struct arena *arena, int16_t prefix, const struct message_type *type,
                           int16_t version, const void *message)
{
    size_t size;
    if (message_size(type, version, message, &size, NULL))
        return BYTES_NULL;
    uint8_t *bytes = arena_alloc(arena, size + 2);
    if (!bytes)
        return BYTES_NULL;
    store_be16(bytes, (uint16_t)prefix);
    struct encode_target target = {.at = bytes + 2, .end = bytes + 2 + size};
    if (message_encode(type, version, message, &target))
        return BYTES_NULL;
    return (struct bytes){bytes, size + 2};
}

void write_record_value(struct turn *t, const struct message_type *key_type, const void *key,
                        struct bytes value)
{
    struct bytes k = record_encode(&t->effects->arena, key_type->key, key_type, 0, key);
    if (!k.data || coordinator_effects_add(t->effects, k, value))
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
}

void write_record(struct turn *t, const struct message_type *key_type, const void *key,
                  const struct message_type *value_type, int16_t version, const void *value)
{
    struct arena *arena = &t->effects->arena;
    struct bytes v = value ? record_encode(arena, version, value_type, version, value) : BYTES_NULL;
    if (value && !v.data)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
    write_record_value(t, key_type, key, v);
}

void write_group(struct turn *t, const struct group *g)
{
    struct arena *arena = &t->effects->arena;
    struct group_metadata_value value;
    message_init(&group_metadata_value_type, &value);
    value.protocol_type = g->protocol_type.data ? g->protocol_type : STR("");
    value.generation = g->generation;
    value.protocol = g->protocol;
    value.leader = g->leader ? g->leader->id : STR_NULL;
    value.current_state_timestamp = g->state_ms;
    value.members = group_metadata_value_member_metadata_new(arena, (int32_t)g->members_count);
    for (struct list *n = list_first(&g->members); value.members && n != &g->members; n = n->next) {
        const struct member *m = container_of(n, struct member, node);
        const struct protocol *p = member_protocol(m, g->protocol);
        struct group_metadata_value_member_metadata *o = &value.members[value.members_count++];
        o->member_id = m->id;
        o->group_instance_id = m->instance_id;
        o->client_id = m->client_id;
        o->client_host = m->client_host;
        o->rebalance_timeout = m->rebalance_timeout_ms;
        o->session_timeout = m->session_timeout_ms;
        o->assignment = m->assignment;
        if (p)
            o->subscription = p->metadata;
    }
    struct group_metadata_key key = {.group = g->id};
    write_record(t, &group_metadata_key_type, &key, &group_metadata_value_type, GROUP_VALUE_VERSION, &value);
}

void write_group_value(struct turn *t, struct str id, const struct group_metadata_value *value)
{
    struct group_metadata_key key = {.group = id};
    write_record(t, &group_metadata_key_type, &key, &group_metadata_value_type, GROUP_VALUE_VERSION, value);
    t->effects->replay = true;
}

void write_empty_group(struct turn *t, const struct group *g)
{
    struct group_metadata_value value;
    message_init(&group_metadata_value_type, &value);
    value.protocol_type = STR("");
    value.current_state_timestamp = g->state_ms;
    value.protocol = value.leader = STR_NULL;
    struct group_metadata_key key = {.group = g->id};
    write_record(t, &group_metadata_key_type, &key, &group_metadata_value_type, GROUP_VALUE_VERSION, &value);
}

void write_group_tombstone(struct turn *t, struct str id)
{
    struct group_metadata_key key = {.group = id};
    write_record(t, &group_metadata_key_type, &key, NULL, 0, NULL);
    t->effects->replay = true;
}

void write_offset_tombstone(struct turn *t, struct str group, struct str topic, int32_t partition)
{
    struct offset_commit_key key = {.group = group, .topic = topic, .partition = partition};
    write_record(t, &offset_commit_key_type, &key, NULL, 0, NULL);
    t->effects->replay = true;
}

void write_pending_tombstones(struct turn *t, const struct group *g, const struct str *topic)
{
    for (uint32_t i = 0; i < g->pending.count; i++) {
        const struct topic_offsets *o = &g->pending.topics[i];
        for (uint32_t k = 0; k < o->count && (!topic || str_equal(o->topic, *topic)); k++)
            if (!offsets_find(&g->offsets, o->topic, o->offsets[k].partition))
                write_offset_tombstone(t, g->id, o->topic, o->offsets[k].partition);
    }
}

void write_offset(struct turn *t, struct str group, struct str topic, int32_t partition,
                  const struct offset_commit_value *value)
{
    struct offset_commit_key key = {.group = group, .topic = topic, .partition = partition};
    int16_t version = value->expire_timestamp >= 0 ? OFFSET_EXPIRE_VALUE_VERSION : OFFSET_VALUE_VERSION;
    write_record(t, &offset_commit_key_type, &key, &offset_commit_value_type, version, value);
    t->effects->replay = true;
}
