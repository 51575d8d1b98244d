// A seeded simulation of a group of the consumer protocol (KIP-848): members come, change what they subscribe
// to, lose heartbeats, fall silent, crash and leave, some of them static ones, some of the classic protocol,
// so that the group goes over from one to the other and back; topics come, grow and go; appends fail; the
// coordinator is lost and rebuilt from its log.
//
// Checked: no partition has two owners, by the coordinator's books or by what members believe, and of those
// who believe that they own it only one may commit; epochs never go back; at any time the records rebuild the
// state; after the faults all partitions that anybody subscribes to are owned, and the group is stable.
//
//     sim_consumers [SEED]      one seed; without it, many. A failure prints its seed.
#include "consumer_agents.h"
#include "consumer_rebuild.h"

#define TURNS       250
#define QUIET_TURNS 260
#define SEEDS       150

// What must hold at any time

static void check_holdings(const struct group *g)
{
    const struct consumer_group *c = g->consumer;
    struct parts held = {.count = 0};
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&c->members, &i));) {
        const struct consumer_member *m = e->value;
        const struct assignment *both[] = {&m->at.assigned, &m->at.revoking};
        CHECK(m->at.epoch <= c->epoch, "%.*s is at %d, the group at %d", STR_ARG(m->id), m->at.epoch,
              c->epoch);
        for (int k = 0; k < 2; k++)
            for (uint32_t n = 0; n < both[k]->count; n++) {
                const struct topic_partition *p = &both[k]->items[n];
                CHECK(!parts_have(&held, p), "%c%d has two owners, one is %.*s", p->topic.bytes[15],
                      p->partition, STR_ARG(m->id));
                CHECK(consumer_is_held(g, p), "%c%d is held, and not so in the books", p->topic.bytes[15],
                      p->partition);
                parts_add(&held, p->topic, p->partition);
            }
    }
    CHECK(c->assignment_epoch <= c->epoch, "targets of epoch %d, the group is at %d", c->assignment_epoch,
          c->epoch);
    for (int topic = 0; topic < TOPICS; topic++)
        for (int32_t i = 0; i < MOST_PARTITIONS; i++) {
            const struct topic_partition p = {topic_id_of(topic), i, 0};
            CHECK(consumer_is_held(g, &p) == parts_have(&held, &p), "%c%d in the books", topic_names[topic],
                  i);
        }
}

// A static member stays in a classic group while others rebalance without it, and is not told (KIP-345).
static bool has_missed_one(const struct group *g, const struct agent *a)
{
    return g && !g->consumer && (g->state == GROUP_COMPLETING || g->state == GROUP_STABLE) &&
           a->epoch < g->generation;
}

static void check_owners(struct sim *s, const struct group *g)
{
    for (int i = 0; i < AGENTS; i++) {
        struct agent *a = &s->agents[i];
        const struct consumer_member *m = g ? consumer_member_find(g, str_from(a->id)) : NULL;
        a->stale |= a->doing != AWAY && !agent_belongs(s, a);
        a->stale |= a->doing == MEMBER && has_missed_one(g, a);
        if (a->stale)
            continue;
        for (uint32_t k = 0; k < a->owned.count; k++) {
            const struct topic_partition *p = &a->owned.items[k];
            if (a->kind == CLASSIC && !topic_lives(&p->topic))
                continue; // by name, nobody can own it
            CHECK(!m || assignment_has(&m->at.assigned, p) || assignment_has(&m->at.revoking, p),
                  "%s owns %c%d, which the group does not know", a->id, p->topic.bytes[15], p->partition);
            for (int n = 0; n < i; n++)
                CHECK(s->agents[n].stale || !parts_have(&s->agents[n].owned, p), "%s and %s both own %c%d",
                      a->id, s->agents[n].id, p->topic.bytes[15], p->partition);
        }
    }
}

// Epochs, as long as the group is the same: one that was empty may begin anew as one of the other protocol.
static void check_epochs(struct sim *s, const struct group *g)
{
    bool consumers = g && g->consumer, empty = !g || group_is_empty(g);
    if (!g || (s->was_empty && consumers != s->was_consumers))
        s->epoch = s->assignment_epoch = 0;
    if (consumers) {
        CHECK(g->consumer->epoch >= s->epoch, "the group's epoch went from %d to %d", s->epoch,
              g->consumer->epoch);
        CHECK(g->consumer->assignment_epoch >= s->assignment_epoch, "the targets' epoch went from %d to %d",
              s->assignment_epoch, g->consumer->assignment_epoch);
        s->epoch = g->consumer->epoch;
        s->assignment_epoch = g->consumer->assignment_epoch;
    } else if (g) {
        CHECK(g->generation >= s->epoch, "a generation %d after epoch %d", g->generation, s->epoch);
    }
    s->went_over += g && !empty && !s->was_empty && consumers != s->was_consumers;
    s->was_consumers = consumers;
    s->was_empty = empty;
}

static void check(struct sim *s)
{
    const struct group *g = group_find(s->shard.state, STR(GROUP));
    if (g && g->consumer)
        check_holdings(g);
    check_owners(s, g);
    check_epochs(s, g);
}

// Of those who believe that they own it, one at most may commit.
static void check_commits(struct sim *s)
{
    int topic = (int)roll(TOPICS), accepted = -1;
    if (metadata.partitions[topic] == 0 || s->shard.append_error != E_NONE)
        return;
    const struct topic_partition p = {topic_id_of(topic), (int32_t)roll((uint64_t)metadata.partitions[topic]),
                                      0};
    for (int i = 0; i < AGENTS; i++) {
        if (!parts_have(&s->agents[i].owned, &p) || !agent_commits(s, &s->agents[i], topic, p.partition))
            continue;
        CHECK(accepted < 0, "%s and %s both commit %c%d", s->agents[accepted].id, s->agents[i].id,
              topic_names[topic], p.partition);
        accepted = i;
    }
    s->commits += accepted >= 0;
}

// What goes wrong

static void change_topics(void)
{
    int topic = (int)roll(TOPICS);
    int32_t now = metadata.partitions[topic];
    set_topic(topic,
              now == 0 || roll(4) > 0 ? now + (int32_t)roll((uint64_t)(MOST_PARTITIONS - now) + 1) : 0);
}

static void fault(struct sim *s)
{
    struct agent *a = &s->agents[roll(AGENTS)];
    switch (roll(16)) {
    case 0:
        agent_crash(s, a);
        a->paused = (int)roll(30);
        break;
    case 1:
    case 2:
        a->paused = (int)roll(40);
        break;
    case 3:
        agent_leave(s, a);
        a->paused = (int)roll(10);
        break;
    case 4:
        s->shard.append_error = E_COORDINATOR_NOT_AVAILABLE;
        break;
    case 5:
        if (roll(3) == 0)
            shard_reload(&s->shard);
        break;
    case 6:
    case 7:
        change_topics();
        break;
    case 8:
    case 9:
        agent_subscribe(a);
        break;
    default:
        s->shard.append_error = E_NONE;
        break;
    }
}

static void turn(struct sim *s)
{
    if (s->faults && roll(3) == 0)
        fault(s);
    for (int i = 0; i < AGENTS; i++) {
        struct agent *a = &s->agents[roll(AGENTS)];
        if (a->paused > 0)
            a->paused--;
        else
            agent_act(s, a);
        check(s);
    }
    for (int i = 0; i < matcher.count; i++)
        if (roll(3) == 0) {
            struct coordinator_request *r = matcher.waiting[i];
            matcher.waiting[i--] = matcher.waiting[--matcher.count];
            match_topics(&s->shard, r, s->faults && roll(8) == 0);
        }
    shard_advance(&s->shard, (int64_t)roll(2 * TURN_MS));
    agents_synced(s);
    check(s);
    if (roll(4) == 0)
        check_commits(s);
    if (roll(24) == 0)
        check_rebuilt(&s->shard, STR(GROUP));
}

// After the faults

static int owners_of(const struct sim *s, int topic, int32_t partition, bool *wanted)
{
    const struct topic_partition p = {topic_id_of(topic), partition, 0};
    int owners = 0;
    *wanted = false;
    for (int i = 0; i < AGENTS; i++) {
        *wanted |= agent_topics(&s->agents[i]) >> topic & 1;
        owners += parts_have(&s->agents[i].owned, &p);
    }
    return owners;
}

static void check_rest(struct sim *s)
{
    const struct group *g = group_find(s->shard.state, STR(GROUP));
    uint32_t owned = 0, wanted = 0;
    for (int i = 0; i < AGENTS; i++) {
        const struct agent *a = &s->agents[i];
        CHECK(a->doing == MEMBER && agent_belongs(s, a), "%s (%s) is not in the group (state %d, epoch %d)",
              a->id, a->kind == CONSUMER ? "consumer" : "classic", (int)a->doing, a->epoch);
        owned += a->owned.count;
        for (uint32_t k = 0; k < a->owned.count; k++)
            CHECK(agent_topics(a) >> (a->owned.items[k].topic.bytes[15] - 'a') & 1,
                  "%s owns %c%d, and does not subscribe to it", a->id, a->owned.items[k].topic.bytes[15],
                  a->owned.items[k].partition);
    }
    for (int topic = 0; topic < TOPICS; topic++)
        for (int32_t i = 0; i < metadata.partitions[topic]; i++) {
            bool subscribed;
            int owners = owners_of(s, topic, i, &subscribed);
            CHECK(owners == subscribed, "%c%d has %d owners, and %s", topic_names[topic], i, owners,
                  subscribed ? "members subscribe to it" : "nobody subscribes to it");
            wanted += subscribed;
        }
    CHECK(owned == wanted, "%u partitions are owned, %u are there", owned, wanted);
    if (!g->consumer)
        return;
    CHECK(g->consumer->members.count == AGENTS, "%zu members", g->consumer->members.count);
    CHECK(strcmp(consumer_state_name(g), "Stable") == 0, "the group is %s", consumer_state_name(g));
}

static void open_shard(struct sim *s)
{
    memset(&metadata, 0, sizeof metadata);
    metadata.version = 1;
    set_topic(0, 3);
    shard_open(&s->shard);
    struct group_config *c = &s->shard.config;
    c->initial_rebalance_delay_ms = (int32_t)roll(2000);
    c->consumer_session_timeout_ms = 10000;
    c->consumer_heartbeat_interval_ms = 1000;
    c->consumer_assignment_interval_ms = (int32_t)roll(2) * 1500;
    c->consumer_max_size = INT32_MAX;
    c->consumer_upgrade = c->consumer_downgrade = true;
    c->metadata = (struct group_metadata){.version = metadata_version,
                                          .topic = metadata_topic,
                                          .topic_name = metadata_topic_name,
                                          .topics_version = metadata_topics_version};
    c->resolve = want_matched;
    c->regex_refresh_interval_ms = 60000;
}

static void close_all(struct sim *s)
{
    for (int i = 0; i < AGENTS; i++)
        agent_crash(s, &s->agents[i]);
    shard_close(&s->shard);
    while (matcher.count > 0)
        group_work_free(matcher.waiting[--matcher.count]);
    for (size_t i = 0; i < s->orphans_count; i++) {
        CHECK(s->orphans[i]->done, "a request was never answered");
        asked_free(s->orphans[i]);
    }
}

static struct sim sim;

static void run(uint64_t seed)
{
    struct sim *s = &sim;
    seed_now = seed;
    rng = seed * 0x9e3779b97f4a7c15 + 1;
    hash_fix_seed(rng); // and so the order in which maps are walked
    memset(s, 0, sizeof *s);
    open_shard(s);
    s->mixed = roll(2);
    for (int i = 0; i < AGENTS; i++) {
        if (i < STATIC_AGENTS)
            snprintf(s->agents[i].instance, sizeof s->agents[i].instance, "i%d", i);
        agent_subscribe(&s->agents[i]);
        agent_forget(s, &s->agents[i]);
    }
    s->faults = true;
    for (int i = 0; i < TURNS; i++)
        turn(s);
    s->faults = false;
    s->shard.append_error = E_NONE;
    for (int i = 0; i < AGENTS; i++)
        s->agents[i].paused = 0;
    for (int i = 0; i < QUIET_TURNS; i++)
        turn(s);
    check_rest(s);
    check_rebuilt(&s->shard, STR(GROUP));
    close_all(s);
}

int main(int count, char **arguments)
{
    uint64_t first = count > 1 ? strtoull(arguments[1], NULL, 10) : 1, last = count > 1 ? first : SEEDS;
    unsigned long went_over = 0, commits = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        run(seed);
        went_over += sim.went_over;
        commits += sim.commits;
    }
    printf("%llu seeds: the group went over to the other protocol %lu times, %lu commits\n",
           (unsigned long long)(last - first + 1), went_over, commits);
    return 0;
}
