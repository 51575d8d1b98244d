// Records of groups of the consumer protocol back into the state.
#include "coordinator/group/consumer.h"

#include <stdlib.h>

#define KEY_GROUP    3
#define KEY_MEMBER   5
#define KEY_TARGETS  6
#define KEY_TARGET   7
#define KEY_POSITION 8
#define KEY_REGEX    16

union key {
    struct consumer_group_metadata_key group;
    struct consumer_group_member_metadata_key member;
    struct consumer_group_target_assignment_metadata_key targets;
    struct consumer_group_target_assignment_member_key target;
    struct consumer_group_current_member_assignment_key position;
    struct consumer_group_regular_expression_key regex;
};

union value {
    struct consumer_group_metadata_value group;
    struct consumer_group_member_metadata_value member;
    struct consumer_group_target_assignment_metadata_value targets;
    struct consumer_group_target_assignment_member_value target;
    struct consumer_group_current_member_assignment_value position;
    struct consumer_group_regular_expression_value regex;
};

// What a record makes of the group; NULL as value: a tombstone.

static void replay_group(struct group *g, const union key *key, const union value *v)
{
    (void)key;
    struct consumer_group *c = consumer_need(g);
    if (!v) {
        consumer_free(g);
        group_end(g);
        return;
    }
    c->epoch = v->group.epoch;
    c->metadata_hash = v->group.metadata_hash;
}

static void replay_member(struct group *g, const union key *key, const union value *v)
{
    if (!v) {
        struct consumer_member *m = consumer_member_find(g, key->member.member_id);
        if (m)
            consumer_member_remove(m);
        return;
    }
    const struct consumer_subscription s = {.instance_id = v->member.instance_id,
                                            .rack_id = v->member.rack_id,
                                            .client_id = v->member.client_id,
                                            .client_host = v->member.client_host,
                                            .regex = v->member.subscribed_topic_regex,
                                            .assignor = v->member.server_assignor,
                                            .topics = v->member.subscribed_topic_names,
                                            .topics_count = v->member.subscribed_topic_names_count,
                                            .rebalance_timeout_ms = v->member.rebalance_timeout_ms,
                                            .classic = v->member.classic_member_metadata};
    consumer_member_describe(consumer_member_need(g, key->member.member_id), &s);
}

static void replay_targets(struct group *g, const union key *key, const union value *v)
{
    (void)key;
    consumer_of(g)->assignment_epoch = v ? v->targets.assignment_epoch : -1;
    consumer_of(g)->assignment_ms = v ? v->targets.assignment_timestamp : 0;
}

static struct assignment flatten(struct topic_partition **items, const struct uuid *topic,
                                 const int32_t *partitions, int32_t count, uint32_t have)
{
    *items = state_array(*items, (size_t)have + (size_t)count, sizeof **items);
    for (int32_t i = 0; i < count; i++)
        (*items)[have++] = (struct topic_partition){.topic = *topic, .partition = partitions[i]};
    return (struct assignment){*items, have};
}

static void own(struct assignment *place, struct assignment a)
{
    free(place->items);
    *place = assignment_make(a.items, a.count);
}

static void replay_target(struct group *g, const union key *key, const union value *v)
{
    struct consumer_member *m = consumer_member_find(g, key->target.member_id);
    if (!v && !m)
        return;
    m = m ? m : consumer_member_need(g, key->target.member_id); // the log was compacted: order is lost
    struct assignment a = {0};
    for (int32_t i = 0; v && i < v->target.topic_partitions_count; i++) {
        const struct consumer_group_target_assignment_member_value_topic_partition *p =
            &v->target.topic_partitions[i];
        a = flatten(&a.items, &p->topic_id, p->partitions, p->partitions_count, a.count);
    }
    own(&m->target, a);
}

// Records of before KIP-1251 do not say at which epoch a partition was assigned: at the member's, then.
static struct assignment
flatten_position(const struct consumer_group_current_member_assignment_value_topic_partitions *topics,
                 int32_t count, int32_t member_epoch)
{
    struct assignment a = {0};
    for (int32_t i = 0; i < count; i++) {
        uint32_t from = a.count;
        a = flatten(&a.items, &topics[i].topic_id, topics[i].partitions, topics[i].partitions_count, a.count);
        for (uint32_t k = from; k < a.count; k++)
            a.items[k].epoch = (int32_t)(k - from) < topics[i].assignment_epochs_count
                                   ? topics[i].assignment_epochs[k - from]
                                   : member_epoch;
    }
    return a;
}

static void replay_position(struct group *g, const union key *key, const union value *v)
{
    struct consumer_member *m = consumer_member_find(g, key->position.member_id);
    if (!v && !m)
        return;
    m = m ? m : consumer_member_need(g, key->position.member_id);
    consumer_release(g, &m->at.assigned);
    consumer_release(g, &m->at.revoking);
    own(&m->at.assigned, (struct assignment){0});
    own(&m->at.revoking, (struct assignment){0});
    m->at.state = CONSUMER_STABLE;
    m->at.epoch = m->at.previous_epoch = v ? 0 : MEMBER_LEAVES;
    if (!v)
        return;
    const struct consumer_group_current_member_assignment_value *p = &v->position;
    m->at.epoch = p->member_epoch;
    m->at.previous_epoch = p->previous_member_epoch;
    m->at.state = p->state >= CONSUMER_STABLE && p->state <= CONSUMER_UNRELEASED
                      ? (enum consumer_state)p->state
                      : CONSUMER_UNKNOWN;
    own(&m->at.assigned,
        flatten_position(p->assigned_partitions, p->assigned_partitions_count, p->member_epoch));
    own(&m->at.revoking, flatten_position(p->partitions_pending_revocation,
                                          p->partitions_pending_revocation_count, p->member_epoch));
    consumer_hold(g, &m->at.assigned);
    consumer_hold(g, &m->at.revoking);
}

static void replay_regex(struct group *g, const union key *key, const union value *v)
{
    struct map *regexes = &consumer_of(g)->regexes;
    struct consumer_regex *old = map_remove(regexes, key->regex.regular_expression);
    if (old) {
        arena_free(&old->memory);
        free(old);
    }
    if (!v)
        return;
    struct consumer_regex *regex = state_alloc(sizeof *regex);
    arena_init(&regex->memory, 0);
    regex->pattern = arena_str(&regex->memory, key->regex.regular_expression);
    regex->topics_count = v->regex.topics_count;
    regex->topics = arena_zalloc(&regex->memory, (size_t)regex->topics_count, sizeof *regex->topics);
    for (int32_t i = 0; regex->topics && i < regex->topics_count; i++)
        regex->topics[i] = arena_str(&regex->memory, v->regex.topics[i]);
    if (regex->topics)
        regex->topics_count = consumer_sort_names(regex->topics, regex->topics_count);
    regex->version = v->regex.version;
    regex->timestamp_ms = v->regex.timestamp;
    if (!regex->pattern.data || !regex->topics || map_put(regexes, regex->pattern, regex))
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
}

static const struct kind {
    int16_t key;
    const struct message_type *key_type, *value_type;
    void (*replay)(struct group *g, const union key *key, const union value *value);
} kinds[] = {
    {KEY_GROUP, &consumer_group_metadata_key_type, &consumer_group_metadata_value_type, replay_group},
    {KEY_MEMBER, &consumer_group_member_metadata_key_type, &consumer_group_member_metadata_value_type,
     replay_member},
    {KEY_TARGETS, &consumer_group_target_assignment_metadata_key_type,
     &consumer_group_target_assignment_metadata_value_type, replay_targets},
    {KEY_TARGET, &consumer_group_target_assignment_member_key_type,
     &consumer_group_target_assignment_member_value_type, replay_target},
    {KEY_POSITION, &consumer_group_current_member_assignment_key_type,
     &consumer_group_current_member_assignment_value_type, replay_position},
    {KEY_REGEX, &consumer_group_regular_expression_key_type, &consumer_group_regular_expression_value_type,
     replay_regex},
};

bool replay_consumer_record(struct groups *s, int16_t type, const struct coordinator_record *record,
                            struct arena *arena, int *rc)
{
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        kind = kinds[i].key == type ? &kinds[i] : kind;
    if (!kind)
        return false;
    union key key;
    union value value;
    bool lives = record->value.data != NULL;
    *rc = replay_decode(kind->key_type, record->key, true, arena, &key);
    if (*rc == 0 && lives)
        *rc = replay_decode(kind->value_type, record->value, false, arena, &value);
    if (*rc)
        return true;
    struct group *g = group_find(s, key.group.group_id); // each key begins with the group's id
    if (!lives && (!g || !consumer_of(g)))
        return true;
    if (!g)
        g = group_create(s, key.group.group_id, -1);
    consumer_need(g);
    kind->replay(g, &key, lives ? &value : NULL);
    return true;
}
