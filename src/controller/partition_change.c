// What a change of a broker means for a partition: its ISR, its eligible leaders (KIP-966), its leader.
#include "base/error.h"
#include "controller/controller_internal.h"

#include <stdlib.h>

#define NO_LEADER_CHANGE (-2)

// A set of replicas; never more than a partition's.
struct replica_set {
    int32_t *ids;
    uint32_t count;
};

static bool set_has(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static void set_add(struct replica_set *set, int32_t id)
{
    if (!set_has(set->ids, set->count, id))
        set->ids[set->count++] = id;
}

static bool set_is(const struct replica_set *set, const int32_t *ids, uint32_t count)
{
    return set->count == count && (count == 0 || memcmp(set->ids, ids, count * sizeof *ids) == 0);
}

struct decision {
    const struct image *image;
    const struct broker_change *change;
    const struct image_partition *p;
    uint32_t min_isr;
    bool elr_enabled, unclean_allowed;
    struct replica_set isr, elr; // as they will be
    int32_t leader;              // NO_LEADER_CHANGE or the new one
    bool unclean;                // by an unclean election
};

static bool acceptable(const struct decision *d, int32_t broker)
{
    const struct broker_change *c = d->change;
    if (broker == c->remove || broker == c->unclean || !image_replica_reachable(d->image, d->p, broker))
        return false;
    return broker == c->add || broker_active(d->image, broker);
}

// In the ISR; or, when nobody is in it, eligible (it has everything below the high watermark).
static bool valid_leader(const struct decision *d, int32_t broker)
{
    bool holds = set_has(d->isr.ids, d->isr.count, broker) ||
                 (d->isr.count == 0 && set_has(d->elr.ids, d->elr.count, broker));
    return holds && acceptable(d, broker);
}

// KIP-966: who leaves an ISR below the minimum stays eligible, unless it lost what it had.
static void decide_elr(struct decision *d)
{
    const struct image_partition *p = d->p;
    if (!d->elr_enabled || d->isr.count >= d->min_isr)
        return; // empty
    for (uint32_t i = 0; i < p->elr_count + p->isr_count; i++) {
        int32_t id = i < p->elr_count ? p->elr[i] : p->isr[i - p->elr_count];
        if (!set_has(d->isr.ids, d->isr.count, id) && id != d->change->unclean)
            set_add(&d->elr, id);
    }
}

static int32_t elect(struct decision *d)
{
    const struct image_partition *p = d->p;
    if (valid_leader(d, p->leader))
        return p->leader;
    for (uint32_t i = 0; i < p->replicas_count; i++)
        if (valid_leader(d, p->replicas[i]))
            return p->replicas[i];
    d->unclean = true;
    // KIP-966: with nobody left, the last known leader is the best guess.
    if (d->elr_enabled && d->elr.count == 0 && d->isr.count == 0 && p->last_known_elr_count == 1 &&
        acceptable(d, p->last_known_elr[0]))
        return p->last_known_elr[0];
    for (uint32_t i = 0; d->unclean_allowed && i < p->replicas_count; i++)
        if (acceptable(d, p->replicas[i]))
            return p->replicas[i];
    d->unclean = false;
    return IMAGE_NO_LEADER;
}

static void decide_leader(struct decision *d)
{
    int32_t leader = elect(d);
    if (leader == d->p->leader)
        return;
    d->leader = leader;
    if (leader == IMAGE_NO_LEADER)
        return;
    if (d->unclean) {
        d->isr.count = d->elr.count = 0;
        set_add(&d->isr, leader);
    } else if (set_has(d->elr.ids, d->elr.count, leader)) {
        struct replica_set rest = {d->elr.ids, 0};
        for (uint32_t i = 0; i < d->elr.count; i++)
            if (d->elr.ids[i] != leader)
                rest.ids[rest.count++] = d->elr.ids[i];
        d->elr = rest;
        d->isr.count = 0;
        set_add(&d->isr, leader);
    }
}

// The record that leads from the partition to the decision. False: nothing changes.
static bool fill_record(struct decision *d, struct partition_change_record *r, int32_t *last_leader)
{
    const struct image_partition *p = d->p;
    bool changed = false;
    if (d->leader != NO_LEADER_CHANGE) {
        r->leader = d->leader;
        changed = true;
    }
    if (!set_is(&d->elr, p->elr, p->elr_count)) {
        r->eligible_leader_replicas = d->elr.ids;
        r->eligible_leader_replicas_count = (int32_t)d->elr.count;
        changed = true;
    }
    if (!set_is(&d->isr, p->isr, p->isr_count) && (d->isr.count || d->elr_enabled)) {
        r->isr = d->isr.ids;
        r->isr_count = (int32_t)d->isr.count;
        changed = true;
    }
    if (d->unclean && p->leader_recovery_state == 0) {
        r->leader_recovery_state = 1;
        changed = true;
    }
    if (!d->elr_enabled)
        return changed;
    bool led_by_nobody_now = r->isr_count == 0 && p->leader != IMAGE_NO_LEADER;
    if (led_by_nobody_now && (p->last_known_elr_count != 1 || p->last_known_elr[0] != p->leader)) {
        *last_leader = p->leader;
        r->last_known_elr = last_leader;
        r->last_known_elr_count = 1;
        changed = true;
    } else if (p->last_known_elr_count &&
               (r->leader >= 0 || (r->leader == NO_LEADER_CHANGE && p->leader >= 0))) {
        r->last_known_elr = last_leader;
        r->last_known_elr_count = 0;
        changed = true;
    }
    return changed;
}

// A setting of the topic, of the whole cluster, or the default.
static struct str effective(const struct image *image, struct str topic, struct str name,
                            struct str otherwise)
{
    struct str value = image_config_value(image_config(image, IMAGE_RESOURCE_TOPIC, topic), name);
    if (!value.data)
        value = image_config_value(image_config(image, IMAGE_RESOURCE_BROKER, STR("")), name);
    return value.data ? value : otherwise;
}

static uint32_t min_isr_of(const struct image *image, const struct image_topic *topic)
{
    struct str text = effective(image, topic->name, STR("min.insync.replicas"), STR("1"));
    uint32_t n = 0;
    for (size_t i = 0; i < text.size && text.data[i] >= '0' && text.data[i] <= '9' && n < 100000; i++)
        n = n * 10 + (uint32_t)(text.data[i] - '0');
    return n ? n : 1;
}

static bool lies_in(const struct image_partition *p, int32_t broker, const struct uuid *directory)
{
    for (uint32_t i = 0; i < p->replicas_count; i++)
        if (p->replicas[i] == broker)
            return uuid_equal(&p->directories[i], directory);
    return false;
}

static bool chosen(const struct image_partition *p, enum partition_choice choice,
                   const struct broker_change *change, int32_t broker)
{
    switch (choice) {
    case PARTITIONS_IN_DIRECTORY:
        return lies_in(p, broker, change->directory);
    case PARTITIONS_IN_ISR:
        return set_has(p->isr, p->isr_count, broker);
    case PARTITIONS_IN_ELR:
        return set_has(p->elr, p->elr_count, broker);
    default:
        return p->leader == IMAGE_NO_LEADER;
    }
}

static void follow(struct step *s, struct decision *d, const struct image_topic *topic, int32_t *room)
{
    const struct image_partition *p = d->p;
    struct partition_change_record r = partition_change_record_default;
    int32_t last_leader = IMAGE_NO_LEADER;
    d->isr = (struct replica_set){room, 0};
    d->elr = (struct replica_set){room + p->isr_count + 1, 0};
    d->leader = NO_LEADER_CHANGE;
    d->unclean = false;
    for (uint32_t i = 0; i < p->isr_count; i++)
        if (p->isr[i] != d->change->remove && p->isr[i] != d->change->unclean)
            set_add(&d->isr, p->isr[i]);
    d->min_isr = d->min_isr < p->replicas_count ? d->min_isr : p->replicas_count;
    decide_elr(d);
    decide_leader(d);
    if (!fill_record(d, &r, &last_leader))
        return;
    r.topic_id = topic->id;
    r.partition_id = p->id;
    step_emit(s, &partition_change_record_type, metadata_partition_change_version(d->image->metadata_version),
              &r);
}

void partition_follow(struct step *s, const struct broker_change *change, const struct image_topic *topic,
                      const struct image_partition *p)
{
    const struct image *image = s->c->image;
    struct decision d = {
        .image = image,
        .change = change,
        .p = p,
        .min_isr = min_isr_of(image, topic),
        .elr_enabled = image_feature_level(image, STR("eligible.leader.replicas.version")) > 0,
        .unclean_allowed = str_is(
            effective(image, topic->name, STR("unclean.leader.election.enable"), STR("false")), "true")};
    int32_t *room = malloc((2 * (size_t)p->isr_count + p->elr_count + 4) * sizeof *room);
    if (!room) {
        s->effects->error = ERR_NOMEM;
        return;
    }
    follow(s, &d, topic, room);
    free(room);
}

void partitions_follow(struct step *s, const struct broker_change *change, enum partition_choice choice,
                       int32_t broker)
{
    struct hamt_walk w = hamt_walk(&s->c->image->topics_by_id);
    for (const struct image_topic *t; (t = hamt_next(&w));)
        for (uint32_t i = 0; i < t->partitions_count; i++)
            if (chosen(t->partitions[i], choice, change, broker))
                partition_follow(s, change, t, t->partitions[i]);
}

bool broker_has_leaderships(const struct image *image, int32_t broker)
{
    struct hamt_walk w = hamt_walk(&image->topics_by_id);
    for (const struct image_topic *t; (t = hamt_next(&w));)
        for (uint32_t i = 0; i < t->partitions_count; i++)
            if (t->partitions[i]->leader == broker)
                return true;
    return false;
}
