// What groups of the consumer protocol write into __consumer_offsets.
#include "coordinator/group/consumer.h"

#include <stdlib.h>

static void must(const void *memory)
{
    if (!memory)
        state_array(NULL, SIZE_MAX, 1); // ends the process
}

static void put(struct turn *t, const struct message_type *key_type, const void *key,
                const struct message_type *value_type, const void *value)
{
    write_record(t, key_type, key, value_type, 0, value);
    t->effects->replay = true;
}

void write_consumer_group(struct turn *t, struct str group, int32_t epoch, int64_t hash)
{
    struct consumer_group_metadata_key key = {.group_id = group};
    struct consumer_group_metadata_value value;
    message_init(&consumer_group_metadata_value_type, &value);
    value.epoch = epoch;
    value.metadata_hash = hash;
    put(t, &consumer_group_metadata_key_type, &key, &consumer_group_metadata_value_type, &value);
}

void write_consumer_member(struct turn *t, struct str group, struct str member,
                           const struct consumer_subscription *s)
{
    struct consumer_group_member_metadata_key key = {.group_id = group, .member_id = member};
    struct consumer_group_member_metadata_value value;
    message_init(&consumer_group_member_metadata_value_type, &value);
    value.instance_id = s->instance_id;
    value.rack_id = s->rack_id;
    value.client_id = s->client_id;
    value.client_host = s->client_host;
    value.subscribed_topic_names = s->topics;
    value.subscribed_topic_names_count = s->topics_count;
    value.subscribed_topic_regex = s->regex;
    value.rebalance_timeout_ms = s->rebalance_timeout_ms;
    value.server_assignor = s->assignor;
    struct consumer_group_member_metadata_value_classic_member_metadata classic;
    value.classic_member_metadata = NULL; // not its default: Kafka writes the null
    if (s->classic) {
        classic = *s->classic;
        value.classic_member_metadata = &classic;
    }
    put(t, &consumer_group_member_metadata_key_type, &key, &consumer_group_member_metadata_value_type,
        &value);
}

// The partitions of the topic that begins at `at`.
static int32_t *partitions_of(struct arena *arena, const struct assignment *a, uint32_t at, uint32_t end)
{
    int32_t *partitions = arena_alloc(arena, (end - at) * sizeof *partitions);
    must(partitions);
    for (uint32_t i = at; i < end; i++)
        partitions[i - at] = a->items[i].partition;
    return partitions;
}

struct bytes consumer_target_value(struct arena *arena, const struct assignment *a)
{
    struct consumer_group_target_assignment_member_value value;
    message_init(&consumer_group_target_assignment_member_value_type, &value);
    value.topic_partitions = consumer_group_target_assignment_member_value_topic_partition_new(
        arena, (int32_t)assignment_topics(a));
    if (!value.topic_partitions)
        return BYTES_NULL;
    for (uint32_t at = 0, end; at < a->count; at = end) {
        end = assignment_topic_end(a, at);
        struct consumer_group_target_assignment_member_value_topic_partition *o =
            &value.topic_partitions[value.topic_partitions_count++];
        o->topic_id = a->items[at].topic;
        o->partitions = partitions_of(arena, a, at, end);
        o->partitions_count = (int32_t)(end - at);
    }
    return record_encode(arena, 0, &consumer_group_target_assignment_member_value_type, 0, &value);
}

void write_consumer_target_value(struct turn *t, struct str group, struct str member, struct bytes value)
{
    struct consumer_group_target_assignment_member_key key = {.group_id = group, .member_id = member};
    write_record_value(t, &consumer_group_target_assignment_member_key_type, &key, value);
    t->effects->replay = true;
}

void write_consumer_target(struct turn *t, struct str group, struct str member, const struct assignment *a)
{
    struct bytes value = consumer_target_value(&t->effects->arena, a);
    must(value.data);
    write_consumer_target_value(t, group, member, value);
}

void write_consumer_target_epoch(struct turn *t, struct str group, int32_t epoch, int64_t wall_ms)
{
    struct consumer_group_target_assignment_metadata_key key = {.group_id = group};
    struct consumer_group_target_assignment_metadata_value value;
    message_init(&consumer_group_target_assignment_metadata_value_type, &value);
    value.assignment_epoch = epoch;
    value.assignment_timestamp = wall_ms;
    put(t, &consumer_group_target_assignment_metadata_key_type, &key,
        &consumer_group_target_assignment_metadata_value_type, &value);
}

static struct consumer_group_current_member_assignment_value_topic_partitions *
by_topic(struct arena *arena, const struct assignment *a, int32_t *count)
{
    struct consumer_group_current_member_assignment_value_topic_partitions *topics =
        consumer_group_current_member_assignment_value_topic_partitions_new(arena,
                                                                            (int32_t)assignment_topics(a));
    must(topics);
    *count = 0;
    for (uint32_t at = 0, end; at < a->count; at = end) {
        end = assignment_topic_end(a, at);
        topics[*count].topic_id = a->items[at].topic;
        topics[*count].partitions = partitions_of(arena, a, at, end);
        topics[*count].assignment_epochs = arena_alloc(arena, (end - at) * sizeof(int32_t));
        must(topics[*count].assignment_epochs);
        for (uint32_t i = at; i < end; i++)
            topics[*count].assignment_epochs[i - at] = a->items[i].epoch;
        topics[*count].assignment_epochs_count = topics[*count].partitions_count = (int32_t)(end - at);
        (*count)++;
    }
    return topics;
}

void write_consumer_position(struct turn *t, struct str group, struct str member,
                             const struct consumer_position *at)
{
    struct arena *arena = &t->effects->arena;
    struct consumer_group_current_member_assignment_key key = {.group_id = group, .member_id = member};
    struct consumer_group_current_member_assignment_value value;
    message_init(&consumer_group_current_member_assignment_value_type, &value);
    value.member_epoch = at->epoch;
    value.previous_member_epoch = at->previous_epoch;
    value.state = (int8_t)at->state;
    value.assigned_partitions = by_topic(arena, &at->assigned, &value.assigned_partitions_count);
    value.partitions_pending_revocation =
        by_topic(arena, &at->revoking, &value.partitions_pending_revocation_count);
    put(t, &consumer_group_current_member_assignment_key_type, &key,
        &consumer_group_current_member_assignment_value_type, &value);
}

void write_consumer_member_tombstones(struct turn *t, struct str group, struct str member)
{
    struct consumer_group_current_member_assignment_key position = {group, member};
    struct consumer_group_target_assignment_member_key target = {group, member};
    struct consumer_group_member_metadata_key metadata = {group, member};
    put(t, &consumer_group_current_member_assignment_key_type, &position, NULL, NULL);
    put(t, &consumer_group_target_assignment_member_key_type, &target, NULL, NULL);
    put(t, &consumer_group_member_metadata_key_type, &metadata, NULL, NULL);
}

void write_consumer_regex(struct turn *t, struct str group, const struct group_regexes *r,
                          const struct group_regex *regex)
{
    struct consumer_group_regular_expression_key key = {group, regex->pattern};
    struct consumer_group_regular_expression_value value;
    message_init(&consumer_group_regular_expression_value_type, &value);
    value.topics = regex->topics;
    value.topics_count = regex->topics_count;
    value.version = r->version;
    value.timestamp = r->resolved_ms;
    put(t, &consumer_group_regular_expression_key_type, &key, &consumer_group_regular_expression_value_type,
        &value);
}

void write_consumer_regex_tombstone(struct turn *t, struct str group, struct str pattern)
{
    struct consumer_group_regular_expression_key key = {group, pattern};
    put(t, &consumer_group_regular_expression_key_type, &key, NULL, NULL);
}

// Also of what Kafka before 4.1 wrote about the topics: left behind alone, it would be taken for a group.
void write_consumer_group_tombstones(struct turn *t, const struct group *g)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&g->consumer->regexes, &i));)
        write_consumer_regex_tombstone(t, g->id, e->key);
    struct consumer_group_target_assignment_metadata_key target = {g->id};
    struct consumer_group_partition_metadata_key topics = {g->id};
    struct consumer_group_metadata_key group = {g->id};
    put(t, &consumer_group_target_assignment_metadata_key_type, &target, NULL, NULL);
    put(t, &consumer_group_partition_metadata_key_type, &topics, NULL, NULL);
    put(t, &consumer_group_metadata_key_type, &group, NULL, NULL);
}
