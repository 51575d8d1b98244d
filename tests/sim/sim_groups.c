// A seeded simulation of a classic group: members join, sync, pause, crash and come back; appends fail; the
// coordinator is lost and rebuilt from its log.
//
// Checked: a generation is assigned once, by one leader; of one assignment every part has one owner; an owner
// gets what its leader gave it; nobody waits for ever: after the faults all live members are in one
// generation.
//
//     sim_groups [SEED]      one seed; without it, many. A failure prints its seed.
#include "seeded.h"

#include "../unit/group_fixture.h"
#include "base/map.h"

#include <stdio.h>

#define AGENTS        7
#define STATIC_AGENTS 2 // the first ones
#define TURN_MS       500
#define TURNS         400
#define QUIET_TURNS   240
#define GENERATIONS   4096
#define SEEDS         3000

// What a leader gives a member: who assigned, and which part.
struct part {
    uint64_t assignment;
    uint32_t index;
};

enum doing { IDLE, JOINING, SYNCING, STABLE };

struct agent {
    char id[80], instance[8];
    enum doing doing;
    int32_t generation;
    struct asked *asked; // while joining or syncing
    int paused;          // turns
    struct part part;
};

struct sim {
    struct shard_fixture shard;
    struct agent agents[AGENTS];
    struct asked *orphans[4096]; // requests of members that have crashed
    size_t orphans_count;
    uint64_t assignments;                // made so far
    uint64_t of_generation[GENERATIONS]; // the assignment that a generation was given; 0: none yet
    bool faults;
};

static struct str text(const char *s)
{
    return str_from(s);
}

static void forget(struct agent *a)
{
    a->id[0] = 0;
    a->doing = IDLE;
    a->generation = -1;
}

static void join(struct sim *s, struct agent *a)
{
    struct join_group_request_join_group_request_protocol protocol = {
        .name = STR("range"), .metadata = {(const uint8_t *)"\0\0\0\0\0\0\377\377\377\377", 10}};
    struct join_group_request q = join_group_request_default;
    q.group_id = STR("g");
    q.member_id = text(a->id);
    q.group_instance_id = a->instance[0] ? text(a->instance) : STR_NULL;
    q.session_timeout_ms = 10000;
    q.rebalance_timeout_ms = 15000;
    q.protocol_type = STR("consumer");
    q.protocols = &protocol;
    q.protocols_count = 1;
    a->asked = shard_ask_version(&s->shard, GROUP_JOIN, &q, 9);
    a->doing = JOINING;
}

static void sync(struct sim *s, struct agent *a, const struct join_group_response *joined)
{
    struct sync_group_request q = sync_group_request_default;
    struct part parts[AGENTS * 2];
    struct sync_group_request_sync_group_request_assignment assignments[AGENTS * 2];
    q.group_id = STR("g");
    q.member_id = text(a->id);
    q.group_instance_id = a->instance[0] ? text(a->instance) : STR_NULL;
    q.generation_id = a->generation;
    q.assignments = assignments;
    if (!joined->skip_assignment && str_equal(joined->leader, joined->member_id)) {
        s->assignments++;
        for (int32_t i = 0; i < joined->members_count && i < AGENTS * 2; i++) {
            parts[i] = (struct part){s->assignments, (uint32_t)i};
            assignments[q.assignments_count].member_id = joined->members[i].member_id;
            assignments[q.assignments_count++].assignment =
                (struct bytes){(const uint8_t *)&parts[i], sizeof parts[i]};
        }
    }
    a->asked = shard_ask_version(&s->shard, GROUP_SYNC, &q, 5);
    a->doing = SYNCING;
}

static void refused(struct agent *a, int16_t error)
{
    a->doing = IDLE;
    if (error == E_UNKNOWN_MEMBER_ID || error == E_FENCED_INSTANCE_ID)
        forget(a);
}

static void on_joined(struct sim *s, struct agent *a, struct asked *asked)
{
    const struct join_group_response *r = asked->request.response;
    int16_t error = r ? r->error_code : asked->request.error;
    if (error == E_MEMBER_ID_REQUIRED || error == E_NONE)
        snprintf(a->id, sizeof a->id, "%.*s", STR_ARG(r->member_id));
    if (error != E_NONE) {
        refused(a, error);
        return;
    }
    CHECK(r->generation_id > 0 && r->generation_id < GENERATIONS, "%d", r->generation_id);
    a->generation = r->generation_id;
    sync(s, a, r);
}

static void on_synced(struct sim *s, struct agent *a, struct asked *asked)
{
    const struct sync_group_response *r = asked->request.response;
    int16_t error = r ? r->error_code : asked->request.error;
    if (error != E_NONE) {
        refused(a, error);
        return;
    }
    a->doing = STABLE;
    if (r->assignment.size == 0) { // its leader did not know it: that can be only of an old assignment
        a->doing = IDLE;
        return;
    }
    CHECK(r->assignment.size == sizeof a->part, "%zu bytes", r->assignment.size);
    memcpy(&a->part, r->assignment.data, sizeof a->part);
    uint64_t *assigned = &s->of_generation[a->generation];
    CHECK(*assigned == 0 || *assigned == a->part.assignment, "generation %d was assigned twice",
          a->generation);
    *assigned = a->part.assignment;
    for (int i = 0; i < AGENTS; i++) {
        const struct agent *b = &s->agents[i];
        CHECK(b == a || b->doing != STABLE || b->part.assignment != a->part.assignment ||
                  b->part.index != a->part.index,
              "%s and %s both own part %u", a->id, b->id, a->part.index);
    }
}

static void heartbeat(struct sim *s, struct agent *a)
{
    struct heartbeat_request q = heartbeat_request_default;
    q.group_id = STR("g");
    q.member_id = text(a->id);
    q.group_instance_id = a->instance[0] ? text(a->instance) : STR_NULL;
    q.generation_id = a->generation;
    struct asked *asked = shard_ask_version(&s->shard, GROUP_HEARTBEAT, &q, 4);
    CHECK(asked->done, "a heartbeat waits");
    int16_t error = ((const struct heartbeat_response *)asked->request.response)->error_code;
    asked_free(asked);
    if (error != E_NONE)
        refused(a, error);
}

static void leave(struct sim *s, struct agent *a)
{
    struct leave_group_request_member_identity one = {.member_id = text(a->id)};
    struct leave_group_request q = {.group_id = STR("g"), .members = &one, .members_count = 1};
    struct asked *asked = shard_ask_version(&s->shard, GROUP_LEAVE, &q, 5);
    CHECK(asked->done, "leaving waits");
    asked_free(asked);
    forget(a);
}

static void act(struct sim *s, struct agent *a)
{
    if (a->asked && !a->asked->done)
        return;
    if (a->asked) {
        struct asked *asked = a->asked;
        a->asked = NULL;
        if (a->doing == JOINING)
            on_joined(s, a, asked);
        else
            on_synced(s, a, asked);
        asked_free(asked);
        return;
    }
    if (a->doing == STABLE)
        heartbeat(s, a);
    else
        join(s, a);
}

static void crash(struct sim *s, struct agent *a)
{
    if (a->asked)
        s->orphans[s->orphans_count++] = a->asked;
    a->asked = NULL;
    forget(a);
}

static void fault(struct sim *s)
{
    struct agent *a = &s->agents[roll(AGENTS)];
    switch (roll(12)) {
    case 0:
        crash(s, a);
        a->paused = (int)roll(30);
        break;
    case 1:
    case 2:
        a->paused = (int)roll(60);
        break;
    case 3:
        if (a->doing == STABLE && !a->asked)
            leave(s, a);
        break;
    case 4:
        s->shard.append_error = E_COORDINATOR_NOT_AVAILABLE;
        break;
    case 5:
        if (roll(4) == 0)
            shard_reload(&s->shard);
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
            act(s, a);
    }
    shard_advance(&s->shard, (int64_t)roll(2 * TURN_MS));
}

static void run(uint64_t seed)
{
    static struct sim s;
    seed_now = seed;
    rng = seed * 0x9e3779b97f4a7c15 + 1;
    hash_fix_seed(rng); // and so the order in which maps are walked
    memset(&s, 0, sizeof s);
    shard_open(&s.shard);
    s.shard.config.initial_rebalance_delay_ms = (int32_t)roll(4000);
    for (int i = 0; i < AGENTS; i++) {
        forget(&s.agents[i]);
        if (i < STATIC_AGENTS)
            snprintf(s.agents[i].instance, sizeof s.agents[i].instance, "i%d", i);
    }
    s.faults = true;
    for (int i = 0; i < TURNS; i++)
        turn(&s);
    s.faults = false;
    s.shard.append_error = E_NONE;
    for (int i = 0; i < AGENTS; i++)
        s.agents[i].paused = 0;
    for (int i = 0; i < QUIET_TURNS; i++)
        turn(&s);
    for (int i = 0; i < AGENTS; i++)
        CHECK(s.agents[i].doing == STABLE && s.agents[i].generation == s.agents[0].generation,
              "member %d (%s) is in state %d, generation %d of %d", i, s.agents[i].id, s.agents[i].doing,
              s.agents[i].generation, s.agents[0].generation);
    for (int i = 0; i < AGENTS; i++)
        crash(&s, &s.agents[i]);
    shard_close(&s.shard);
    for (size_t i = 0; i < s.orphans_count; i++) {
        CHECK(s.orphans[i]->done, "a request was never answered");
        asked_free(s.orphans[i]);
    }
}

int main(int count, char **arguments)
{
    if (count > 1) {
        run(strtoull(arguments[1], NULL, 10));
        return 0;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed);
    printf("%d seeds\n", SEEDS);
    return 0;
}
