// What surrounds a group of the consumer protocol in its simulation: topics that come, grow and go, the
// expressions that match them, and sets of their partitions.
#ifndef CONSUMER_WORLD_H
#define CONSUMER_WORLD_H

#include "seeded.h"

#include "../unit/group_fixture.h"
#include "coordinator/group/assignment.h"

#include <stdio.h>

#define TOPICS          6 // "a" to "f"
#define MOST_PARTITIONS 5
#define MOST_PARTS      128 // those of topics that were there before among them

// Topics

static struct {
    int32_t partitions[TOPICS]; // 0: there is none
    uint8_t life[TOPICS];       // how often it came to be
    int64_t version, topics_version;
} metadata;

static const char topic_names[] = "abcdef";

static struct str topic_name_of(int topic)
{
    return (struct str){&topic_names[topic], 1};
}

static struct uuid topic_id_of(int topic)
{
    struct uuid id = {{0}};
    id.bytes[0] = metadata.life[topic];
    id.bytes[15] = (uint8_t)topic_names[topic];
    return id;
}

static bool topic_lives(const struct uuid *id)
{
    int topic = id->bytes[15] - 'a';
    return metadata.partitions[topic] > 0 && metadata.life[topic] == id->bytes[0];
}

static void set_topic(int topic, int32_t partitions)
{
    metadata.version++;
    if (metadata.partitions[topic] == 0 && partitions > 0) {
        metadata.topics_version = metadata.version;
        metadata.life[topic]++;
    }
    metadata.partitions[topic] = partitions;
}

static int64_t metadata_version(void *context)
{
    (void)context;
    return metadata.version;
}

static int64_t metadata_topics_version(void *context)
{
    (void)context;
    return metadata.topics_version;
}

static bool metadata_topic(void *context, struct str name, struct group_topic *out)
{
    (void)context;
    int topic = name.size == 1 ? name.data[0] - 'a' : -1;
    if (topic < 0 || topic >= TOPICS || metadata.partitions[topic] == 0)
        return false;
    *out = (struct group_topic){topic_id_of(topic), metadata.partitions[topic],
                                topic * 10000 + metadata.life[topic] * 100 + metadata.partitions[topic]};
    return true;
}

static struct str metadata_topic_name(void *context, const struct uuid *id)
{
    (void)context;
    return topic_lives(id) ? topic_name_of(id->bytes[15] - 'a') : STR_NULL;
}

// Expressions, and which topics match

static const struct {
    const char *text;
    uint32_t topics; // bits
} expressions[] = {{"", 0}, {"[ab]", 3}, {"[b-e]", 30}, {"f|a", 33}, {".*", 63}, {"none", 0}};

#define EXPRESSIONS ((int)(sizeof expressions / sizeof expressions[0]))

static uint32_t matching(struct str pattern)
{
    for (int i = 0; i < EXPRESSIONS; i++)
        if (str_is(pattern, expressions[i].text))
            return expressions[i].topics;
    CHECK(false, "nobody subscribes to %.*s", STR_ARG(pattern));
    return 0;
}

// What the machine wants matched, until it is answered.
static struct {
    struct coordinator_request *waiting[16];
    int count;
} matcher;

static void want_matched(struct coordinator_request *r)
{
    if (r->error != E_NONE) { // the shard was lost
        group_work_free(r);
        return;
    }
    CHECK(matcher.count < 16, "a group asks again and again");
    matcher.waiting[matcher.count++] = r;
}

static void match_topics(struct shard_fixture *f, struct coordinator_request *r, bool fails)
{
    struct group_regexes *q = r->response;
    q->version = metadata.version;
    q->resolved_ms = f->now.wall_ms;
    q->failed = fails;
    for (int32_t i = 0; i < q->count; i++) {
        uint32_t topics = matching(q->regexes[i].pattern);
        q->regexes[i].topics = arena_alloc(&r->arena, TOPICS * sizeof(struct str));
        for (int topic = 0; topic < TOPICS; topic++)
            if ((topics >> topic & 1) && metadata.partitions[topic] > 0)
                q->regexes[i].topics[q->regexes[i].topics_count++] = topic_name_of(topic);
    }
    struct asked *a = shard_ask_version(f, GROUP_REGEXES_RESOLVED, q, 0);
    CHECK(a->done, "matches wait");
    asked_free(a);
    group_work_free(r);
}

// Sets of partitions, in no order

struct parts {
    struct topic_partition items[MOST_PARTS];
    uint32_t count;
};

static bool parts_have(const struct parts *p, const struct topic_partition *one)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (topic_partition_compare(&p->items[i], one) == 0)
            return true;
    return false;
}

static void parts_add(struct parts *p, struct uuid topic, int32_t partition)
{
    CHECK(p->count < MOST_PARTS, "too many partitions");
    p->items[p->count++] = (struct topic_partition){.topic = topic, .partition = partition};
}

// Whether all of it is in the other.
static bool parts_within(const struct parts *p, const struct parts *other)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (!parts_have(other, &p->items[i]))
            return false;
    return true;
}

static void parts_forget_dead(struct parts *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (topic_lives(&p->items[i].topic))
            p->items[kept++] = p->items[i];
    p->count = kept;
}

#endif
