#include "unit.h"

#include "base/error.h"
#include "raft/quorum_state.h"
#include "raft/raft.h"
#include "raft/snapshot.h"

#include <string.h>

static struct uuid directory(int32_t id)
{
    return (struct uuid){{(uint8_t)id, 9}};
}

static void make_voters(struct raft_voters *v, int32_t count)
{
    raft_voters_init(v);
    for (int32_t id = 1; id <= count; id++) {
        struct raft_voter voter = {.replica = {id, directory(id)}};
        assert_int_equal(raft_voters_add(v, &voter), 0);
    }
}

static struct raft_update step(struct raft *r, const struct raft_event *e, int64_t now_ms)
{
    struct raft_update u;
    raft_step(r, e, now_ms, &u);
    return u;
}

static struct raft_update start(struct raft *r, const struct raft_voters *v, struct raft_persistent was,
                                int64_t end, int32_t last_epoch)
{
    struct uuid own = directory(1);
    raft_init(r, 1, &own, v, 1000, 7);
    struct raft_event e = {.type = RAFT_EVENT_START, .persistent = was, .end = end, .last_epoch = last_epoch};
    return step(r, &e, 100);
}

static const struct raft_persistent never = {0, RAFT_NOBODY, RAFT_NOBODY, {{0}}};

static void the_only_voter_leads_at_once(void **state)
{
    (void)state;
    struct raft_voters v;
    struct raft r;
    make_voters(&v, 1);
    struct raft_update u = start(&r, &v, never, 0, 0);
    assert_true(u.persist && u.became_leader && !u.request_votes);
    assert_int_equal(r.persistent.epoch, 1);
    assert_int_equal(r.persistent.leader_id, 1);
    assert_int_equal(r.high_watermark, -1);

    u = step(&r, &(struct raft_event){.type = RAFT_EVENT_APPENDED, .end = 3}, 100);
    assert_false(u.high_watermark_moved); // raft invariant 4: not before it is flushed
    u = step(&r, &(struct raft_event){.type = RAFT_EVENT_FLUSHED, .end = 3}, 101);
    assert_true(u.high_watermark_moved);
    assert_int_equal(r.high_watermark, 3);
    raft_voters_free(&v);
}

// Whatever quorum-state or the log say, the next epoch is a later one.
static void epochs_only_grow(void **state)
{
    (void)state;
    static const struct {
        int32_t epoch, leader, voted, last_epoch, next;
    } cases[] = {{4, 1, -1, 4, 5}, {4, -1, 1, 3, 5}, {2, 1, -1, 6, 7}, {0, -1, -1, 3, 4}};
    struct raft_voters v;
    make_voters(&v, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raft r;
        struct raft_persistent was = {cases[i].epoch, cases[i].leader, cases[i].voted, {{0}}};
        struct raft_update u = start(&r, &v, was, 10, cases[i].last_epoch);
        assert_true(u.persist && u.became_leader);
        assert_int_equal(r.persistent.epoch, cases[i].next);
        assert_int_equal(r.epoch_start, 10);
    }
    raft_voters_free(&v);
}

// raft invariant 3: what former leaders left is committed only together with a record of the own epoch.
static void old_records_do_not_commit_alone(void **state)
{
    (void)state;
    struct raft_voters v;
    struct raft r;
    make_voters(&v, 1);
    start(&r, &v, (struct raft_persistent){1, 1, -1, {{0}}}, 50, 1);
    struct raft_update u = step(&r, &(struct raft_event){.type = RAFT_EVENT_FLUSHED, .end = 50}, 101);
    assert_false(u.high_watermark_moved);
    step(&r, &(struct raft_event){.type = RAFT_EVENT_APPENDED, .end = 51}, 102);
    u = step(&r, &(struct raft_event){.type = RAFT_EVENT_FLUSHED, .end = 51}, 103);
    assert_true(u.high_watermark_moved);
    assert_int_equal(r.high_watermark, 51);
    raft_voters_free(&v);
}

static struct raft_event vote(int32_t from, int32_t epoch, bool granted)
{
    return (struct raft_event){.type = RAFT_EVENT_VOTE_RESPONSE,
                               .replica = {from, directory(from)},
                               .epoch = epoch,
                               .granted = granted};
}

static void three_voters_need_two(void **state)
{
    (void)state;
    struct raft_voters v;
    struct raft r;
    make_voters(&v, 3);
    struct raft_update u = start(&r, &v, never, 0, 0);
    assert_false(u.became_leader);
    assert_int_equal(r.role, RAFT_UNATTACHED);
    u = step(&r, &(struct raft_event){.type = RAFT_EVENT_TIMEOUT}, r.deadline_ms - 1);
    assert_int_equal(r.role, RAFT_UNATTACHED);
    u = step(&r, &(struct raft_event){.type = RAFT_EVENT_TIMEOUT}, r.deadline_ms);
    assert_true(u.persist && u.request_votes && !u.became_leader);
    assert_int_equal(r.role, RAFT_CANDIDATE);
    assert_int_equal(r.persistent.voted_id, 1);
    struct raft_event e = vote(2, 1, false);
    assert_false(step(&r, &e, 2000).became_leader);
    e = vote(3, 0, true); // of an epoch long gone
    assert_false(step(&r, &e, 2000).became_leader);
    e = vote(7, 1, true); // no voter
    assert_false(step(&r, &e, 2000).became_leader);
    e = vote(3, 1, true);
    assert_true(step(&r, &e, 2000).became_leader);

    step(&r, &(struct raft_event){.type = RAFT_EVENT_APPENDED, .end = 5}, 2001);
    assert_false(
        step(&r, &(struct raft_event){.type = RAFT_EVENT_FLUSHED, .end = 5}, 2001).high_watermark_moved);
    struct raft_event fetched = {
        .type = RAFT_EVENT_FETCHED, .replica = {2, directory(2)}, .epoch = 1, .end = 4};
    assert_true(step(&r, &fetched, 2002).high_watermark_moved);
    assert_int_equal(r.high_watermark, 4);
    fetched.end = 9; // beyond the leader's own end: not believed
    assert_false(step(&r, &fetched, 2003).high_watermark_moved);
    e = vote(2, 8, false); // a later epoch: not the leader any more
    u = step(&r, &e, 2004);
    assert_true(u.resigned && u.persist);
    assert_int_equal(r.persistent.epoch, 8);
    assert_int_equal(r.persistent.leader_id, RAFT_NOBODY);
    raft_voters_free(&v);
}

// A voter whose disk was replaced is not the voter that it was (KIP-853).
static void another_directory_is_another_voter(void **state)
{
    (void)state;
    struct raft_voters v;
    struct raft r;
    make_voters(&v, 1);
    struct uuid other = directory(5);
    raft_init(&r, 1, &other, &v, 1000, 7);
    struct raft_event e = {.type = RAFT_EVENT_START, .persistent = never};
    struct raft_update u = step(&r, &e, 0);
    assert_false(u.became_leader);
    assert_int_equal(raft_own_place(&r), -1);
    raft_voters_free(&v);
}

static void quorum_state_is_kafkas(void **state)
{
    (void)state;
    struct raft_voters v;
    make_voters(&v, 1);
    static const struct raft_persistent p = {3, 1, -1, {{0}}};
    static const char *const texts[] = {
        "{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":3,\"votedId\":-1,\"appliedOffset\":0,"
        "\"currentVoters\":[{\"voterId\":1}],\"data_version\":0}",
        "{\"leaderId\":1,\"leaderEpoch\":3,\"votedId\":-1,\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\","
        "\"data_version\":1}"};
    for (int16_t version = 0; version < 2; version++) {
        struct buffer out = BUFFER_INIT;
        struct raft_persistent back;
        quorum_state_format(version, &p, &v, &out);
        assert_int_equal(out.size, strlen(texts[version]));
        assert_memory_equal(out.data, texts[version], out.size);
        assert_int_equal(quorum_state_parse((struct bytes){out.data, out.size}, &back, NULL), 0);
        assert_memory_equal(&back, &p, sizeof p);
        buffer_free(&out);
    }
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{}",
                                      "{\"data_version\":2,\"leaderEpoch\":1}",
                                      "{\"data_version\":1,\"leaderEpoch\":\"x\"}",
                                      "{\"data_version\":1,\"leaderEpoch\":-4}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct raft_persistent back;
        struct bytes text = {(const uint8_t *)bad[i], strlen(bad[i])};
        assert_int_equal(quorum_state_parse(text, &back, NULL), ERR_CORRUPT);
    }
    raft_voters_free(&v);
}

static void snapshot_names(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_BYTES];
    struct snapshot_id id;
    snapshot_name((struct snapshot_id){18, 1}, name);
    assert_string_equal(name, "00000000000000000018-0000000001.checkpoint");
    assert_true(snapshot_name_parse(name, &id));
    assert_int_equal(id.offset, 18);
    assert_int_equal(id.epoch, 1);
    static const char *const bad[] = {
        "bootstrap.checkpoint", "00000000000000000018-0000000001.checkpoint.part",
        "00000000000000000018-0000000001.log", "0000000000000000001x-0000000001.checkpoint",
        "00000000000000000018.0000000001.checkpoint"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(snapshot_name_parse(bad[i], &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_only_voter_leads_at_once),
        cmocka_unit_test(epochs_only_grow),
        cmocka_unit_test(old_records_do_not_commit_alone),
        cmocka_unit_test(three_voters_need_two),
        cmocka_unit_test(another_directory_is_another_voter),
        cmocka_unit_test(quorum_state_is_kafkas),
        cmocka_unit_test(snapshot_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
