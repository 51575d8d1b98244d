// What a change of a broker means for a partition: its ISR, its eligible leaders (KIP-966), its leader.
#include "base/error.h"
#include "controller/controller_internal.h"

#define NO_LEADER_CHANGE (-2)

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

static void set_remove_all(struct replica_set *set, const struct replica_set *gone)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->count; i++)
        if (!set_has(gone->ids, gone->count, set->ids[i]))
            set->ids[kept++] = set->ids[i];
    set->count = kept;
}

static bool set_has_all(const struct replica_set *set, const int32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!set_has(set->ids, set->count, ids[i]))
            return false;
    return true;
}

// What a topic's settings say, looked up once for all its partitions.
struct topic_rules {
    uint32_t min_isr;
    bool unclean_allowed;
};

struct decision {
    const struct image *image;
    const struct broker_change *change;
    const struct image_partition *p;
    enum partition_election election;
    uint32_t min_isr;
    bool elr_enabled;
    struct replica_set isr, elr, replicas, removing, adding; // as they will be
    int32_t leader;                                          // NO_LEADER_CHANGE or the new one
    bool unclean;                                            // by an unclean election
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
    if (d->election == ELECT_PREFERRED && valid_leader(d, d->replicas.ids[0]))
        return d->replicas.ids[0];
    if (valid_leader(d, p->leader))
        return p->leader;
    for (uint32_t i = 0; i < d->replicas.count; i++)
        if (valid_leader(d, d->replicas.ids[i]))
            return d->replicas.ids[i];
    d->unclean = true;
    // KIP-966: with nobody left, the last known leader is the best guess.
    if (d->elr_enabled && d->elr.count == 0 && d->isr.count == 0 && p->last_known_elr_count == 1 &&
        acceptable(d, p->last_known_elr[0]))
        return p->last_known_elr[0];
    for (uint32_t i = 0; d->election == ELECT_UNCLEAN && i < d->replicas.count; i++)
        if (acceptable(d, d->replicas.ids[i]))
            return d->replicas.ids[i];
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

// KIP-455: once everything that is added is in the ISR, what is removed goes, and the reassignment is over.
static void complete_reassignment(struct decision *d)
{
    if (!d->removing.count && !d->adding.count)
        return;
    uint32_t isr_left = 0, replicas_left = 0;
    for (uint32_t i = 0; i < d->isr.count; i++)
        isr_left += !set_has(d->removing.ids, d->removing.count, d->isr.ids[i]);
    for (uint32_t i = 0; i < d->replicas.count; i++) {
        int32_t id = d->replicas.ids[i];
        if (set_has(d->removing.ids, d->removing.count, id))
            continue;
        replicas_left++;
        if (!set_has(d->isr.ids, d->isr.count, id))
            return;
    }
    if (!isr_left || !replicas_left)
        return;
    set_remove_all(&d->isr, &d->removing);
    set_remove_all(&d->replicas, &d->removing);
    d->removing.count = d->adding.count = 0;
}

// A replica that goes must not take itself for a member of the leader's epoch any more; and up to
// metadata.version 3.5 neither one that leaves the ISR (KAFKA-15021).
static void bump_epoch(struct decision *d, bool isr_changes)
{
    const struct image_partition *p = d->p;
    bool shrinks = isr_changes && d->image->metadata_version < METADATA_VERSION_SHRINK_WITHOUT_EPOCH &&
                   !set_has_all(&d->isr, p->isr, p->isr_count);
    if (d->leader == NO_LEADER_CHANGE &&
        (shrinks || !set_has_all(&d->replicas, p->replicas, p->replicas_count)))
        d->leader = p->leader;
}

static bool fill_last_known(const struct decision *d, struct partition_change_record *r, int32_t *last_leader)
{
    const struct image_partition *p = d->p;
    bool led_by_nobody_now = r->isr_count == 0 && p->leader != IMAGE_NO_LEADER;
    if (led_by_nobody_now && (p->last_known_elr_count != 1 || p->last_known_elr[0] != p->leader)) {
        *last_leader = p->leader;
        r->last_known_elr = last_leader;
        r->last_known_elr_count = 1;
        return true;
    }
    if (p->last_known_elr_count && (r->leader >= 0 || (r->leader == NO_LEADER_CHANGE && p->leader >= 0))) {
        r->last_known_elr = last_leader;
        r->last_known_elr_count = 0;
        return true;
    }
    return false;
}

// Where each replica is: those that stay keep their directories.
static bool fill_directories(const struct decision *d, struct partition_change_record *r, struct uuid *room)
{
    const struct image_partition *p = d->p;
    bool same = d->replicas.count == p->replicas_count;
    if (d->image->metadata_version < METADATA_VERSION_DIRECTORIES)
        return false;
    for (uint32_t i = 0; i < d->replicas.count; i++) {
        room[i] = replica_directory(d->image, d->replicas.ids[i]);
        for (uint32_t k = 0; k < p->replicas_count; k++)
            if (p->replicas[k] == d->replicas.ids[i])
                room[i] = p->directories[k];
        same = same && uuid_equal(&room[i], &p->directories[i]);
    }
    if (same)
        return false;
    r->directories = room;
    r->directories_count = (int32_t)d->replicas.count;
    return true;
}

static bool fill_set(const struct replica_set *set, const int32_t *ids, uint32_t count, int32_t **out,
                     int32_t *out_count)
{
    if (set_is(set, ids, count))
        return false;
    *out = set->ids;
    *out_count = (int32_t)set->count;
    return true;
}

static bool fill_assignment(const struct decision *d, struct partition_change_record *r, struct uuid *room)
{
    const struct image_partition *p = d->p;
    bool changed = fill_directories(d, r, room);
    changed |= fill_set(&d->replicas, p->replicas, p->replicas_count, &r->replicas, &r->replicas_count);
    changed |= fill_set(&d->removing, p->removing, p->removing_count, &r->removing_replicas,
                        &r->removing_replicas_count);
    changed |=
        fill_set(&d->adding, p->adding, p->adding_count, &r->adding_replicas, &r->adding_replicas_count);
    return changed;
}

// The record that leads from the partition to the decision. False: nothing changes.
static bool fill_record(struct decision *d, struct partition_change_record *r, int32_t *last_leader,
                        struct uuid *directories)
{
    const struct image_partition *p = d->p;
    bool isr_changes = !set_is(&d->isr, p->isr, p->isr_count) && (d->isr.count || d->elr_enabled);
    bump_epoch(d, isr_changes);
    bool changed = d->leader != NO_LEADER_CHANGE;
    r->leader = d->leader;
    changed |= fill_set(&d->elr, p->elr, p->elr_count, &r->eligible_leader_replicas,
                        &r->eligible_leader_replicas_count);
    if (isr_changes)
        changed |= fill_set(&d->isr, p->isr, p->isr_count, &r->isr, &r->isr_count);
    if (d->unclean && p->leader_recovery_state == 0) {
        r->leader_recovery_state = 1;
        changed = true;
    }
    if (d->elr_enabled)
        changed |= fill_last_known(d, r, last_leader);
    changed |= fill_assignment(d, r, directories);
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

static struct topic_rules rules_of(const struct image *image, const struct image_topic *topic)
{
    return (struct topic_rules){
        min_isr_of(image, topic),
        str_is(effective(image, topic->name, STR("unclean.leader.election.enable"), STR("false")), "true")};
}

static struct replica_set copy_set(int32_t **room, const struct replica_set *wish, const int32_t *ids,
                                   uint32_t count, uint32_t spare)
{
    struct replica_set set = {*room, wish ? wish->count : count};
    const int32_t *from = wish ? wish->ids : ids;
    if (set.count)
        memcpy(set.ids, from, set.count * sizeof *set.ids);
    *room += set.count + spare;
    return set;
}

static uint32_t wish_size(const struct partition_wish *w)
{
    const struct replica_set *sets[] = {w->isr, w->replicas, w->removing, w->adding};
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        n += sets[i] ? sets[i]->count : 0;
    return n;
}

// Gives the sets room in the effects' arena, and their values before the decision.
static int start_decision(struct step *s, struct decision *d, const struct partition_wish *w,
                          struct uuid **directories)
{
    const struct image_partition *p = d->p;
    uint32_t replicas = w->replicas ? w->replicas->count : p->replicas_count;
    size_t n = 2 * (size_t)p->isr_count + p->elr_count + p->replicas_count + p->removing_count +
               p->adding_count + 4 + wish_size(w);
    int32_t *room = arena_alloc(&s->effects->arena, n * sizeof *room);
    *directories = arena_alloc(&s->effects->arena, (replicas + 1) * sizeof **directories);
    if (!room || !*directories)
        return ERR_NOMEM;
    struct replica_set gone = {(int32_t[]){d->change->remove, d->change->unclean}, 2};
    d->isr = copy_set(&room, w->isr, p->isr, p->isr_count, 1);
    set_remove_all(&d->isr, &gone);
    d->replicas = copy_set(&room, w->replicas, p->replicas, p->replicas_count, 0);
    d->removing = copy_set(&room, w->removing, p->removing, p->removing_count, 0);
    d->adding = copy_set(&room, w->adding, p->adding, p->adding_count, 0);
    d->elr = (struct replica_set){room, 0};
    return 0;
}

static bool change_partition(struct step *s, const struct image_topic *topic, const struct image_partition *p,
                             const struct topic_rules *rules, const struct partition_wish *wish)
{
    const struct image *image = s->c->image;
    static const struct broker_change nobody = {NO_BROKER, NO_BROKER, NO_BROKER, NULL};
    struct decision d = {.image = image,
                         .change = wish->change ? wish->change : &nobody,
                         .p = p,
                         .election = wish->election,
                         .elr_enabled =
                             image_feature_level(image, STR("eligible.leader.replicas.version")) > 0,
                         .leader = NO_LEADER_CHANGE};
    struct partition_change_record r = partition_change_record_default;
    int32_t last_leader = IMAGE_NO_LEADER;
    struct uuid *directories;
    if (start_decision(s, &d, wish, &directories)) {
        s->effects->error = ERR_NOMEM;
        return false;
    }
    d.min_isr = rules->min_isr < p->replicas_count ? rules->min_isr : p->replicas_count;
    complete_reassignment(&d);
    decide_elr(&d);
    decide_leader(&d);
    if (!fill_record(&d, &r, &last_leader, directories))
        return false;
    r.topic_id = topic->id;
    r.partition_id = p->id;
    step_emit(s, &partition_change_record_type, metadata_partition_change_version(image->metadata_version),
              &r);
    return true;
}

bool partition_change(struct step *s, const struct image_topic *topic, const struct image_partition *p,
                      const struct partition_wish *wish)
{
    struct topic_rules rules = rules_of(s->c->image, topic);
    return change_partition(s, topic, p, &rules, wish);
}

bool topic_allows_unclean_election(const struct image *image, const struct image_topic *topic)
{
    return rules_of(image, topic).unclean_allowed;
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

static void follow(struct step *s, const struct broker_change *change, const struct image_topic *topic,
                   const struct image_partition *p, const struct topic_rules *rules)
{
    struct partition_wish wish = {.change = change,
                                  .election = rules->unclean_allowed ? ELECT_UNCLEAN : ELECT_ONLINE};
    change_partition(s, topic, p, rules, &wish);
}

void partition_follow(struct step *s, const struct broker_change *change, const struct image_topic *topic,
                      const struct image_partition *p)
{
    struct topic_rules rules = rules_of(s->c->image, topic);
    follow(s, change, topic, p, &rules);
}

void partitions_follow(struct step *s, const struct broker_change *change, enum partition_choice choice,
                       int32_t broker)
{
    struct hamt_walk w = hamt_walk(&s->c->image->topics_by_id);
    for (const struct image_topic *t; (t = hamt_next(&w));) {
        struct topic_rules rules = {0};
        for (uint32_t i = 0; i < t->partitions_count && s->effects->error == 0; i++) {
            if (!chosen(t->partitions[i], choice, change, broker))
                continue;
            if (!rules.min_isr) // of the topic: once, and only where it is needed
                rules = rules_of(s->c->image, t);
            follow(s, change, t, t->partitions[i], &rules);
        }
    }
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
