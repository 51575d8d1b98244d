// Groups of the consumer protocol (KIP-848) as a state machine: scripts of heartbeats, without a broker.
#include "unit.h"

#include "coordinator/group/assignment.h"
#include "group_fixture.h"

#include <stdio.h>

#define GROUP "g"

static struct shard_fixture f;

// The broker's metadata: topics of one letter.
static struct {
    int32_t partitions[26]; // 0: there is none
    int64_t version, topics_version;
} metadata;

static int64_t metadata_version(void *context)
{
    (void)context;
    return metadata.version;
}

static struct uuid topic_id(char name)
{
    struct uuid id = {{0}};
    id.bytes[15] = (uint8_t)name;
    return id;
}

static bool metadata_topic(void *context, struct str name, struct group_topic *out)
{
    (void)context;
    if (name.size != 1 || name.data[0] < 'a' || name.data[0] > 'z' ||
        metadata.partitions[name.data[0] - 'a'] == 0)
        return false;
    int32_t partitions = metadata.partitions[name.data[0] - 'a'];
    *out = (struct group_topic){topic_id(name.data[0]), partitions, name.data[0] * 1000 + partitions};
    return true;
}

static struct str metadata_topic_name(void *context, const struct uuid *id)
{
    (void)context;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    if (id->bytes[15] < 'a' || id->bytes[15] > 'z')
        return STR_NULL;
    char letter = (char)id->bytes[15];
    return metadata.partitions[letter - 'a'] ? (struct str){&letters[letter - 'a'], 1} : STR_NULL;
}

static int64_t metadata_topics_version(void *context)
{
    (void)context;
    return metadata.topics_version;
}

// What the machine wants matched: kept until the test says what matches.
static struct coordinator_request *unresolved;

static void resolve(struct coordinator_request *r)
{
    assert_null(unresolved);
    unresolved = r;
}

static int32_t heartbeat_setting_ms; // of the group; 0: it has none

static int32_t metadata_setting(void *context, struct str group, struct str name, int32_t otherwise)
{
    (void)context;
    bool mine = str_is(group, GROUP) && heartbeat_setting_ms > 0;
    return mine && str_is(name, "consumer.heartbeat.interval.ms") ? heartbeat_setting_ms
           : mine && str_is(name, "consumer.session.timeout.ms")  ? 9 * heartbeat_setting_ms
                                                                  : otherwise;
}

// A large group, whose partitions are to be assigned: kept until the test has it done.
static struct coordinator_request *unassigned;

static void assign(struct coordinator_request *r)
{
    assert_null(unassigned);
    unassigned = r;
}

static void set_topic(char name, int32_t partitions)
{
    if (metadata.partitions[name - 'a'] == 0)
        metadata.topics_version = metadata.version + 1;
    metadata.partitions[name - 'a'] = partitions;
    metadata.version++;
}

static int set_up(void **state)
{
    (void)state;
    shard_open(&f);
    f.config.consumer_session_timeout_ms = 45000;
    f.config.consumer_heartbeat_interval_ms = 5000;
    f.config.consumer_assignment_interval_ms = 0;
    f.config.consumer_max_size = INT32_MAX;
    f.config.metadata = (struct group_metadata){.version = metadata_version,
                                                .topic = metadata_topic,
                                                .topic_name = metadata_topic_name,
                                                .topics_version = metadata_topics_version,
                                                .setting = metadata_setting};
    f.config.resolve = resolve;
    f.config.assign = assign;
    f.config.regex_refresh_interval_ms = 600000;
    memset(&metadata, 0, sizeof metadata);
    heartbeat_setting_ms = 0;
    set_topic('a', 4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (unresolved)
        group_work_free(unresolved);
    if (unassigned)
        group_work_free(unassigned);
    unresolved = unassigned = NULL;
    shard_close(&f);
    return 0;
}

// Heartbeats

struct beat {
    const char *member, *instance, *topics, *regex, *owned, *assignor; // topics: letters; owned: "a0 a1"
    int32_t epoch, rebalance_ms;
};

static struct consumer_group_heartbeat_response beaten; // the last answer
static char told[256];                                  // its assignment; "-": none was told
static int32_t told_count;                              // of its partitions

static void tell(const struct consumer_group_heartbeat_response *r)
{
    size_t at = 0;
    snprintf(told, sizeof told, "%s", r->assignment ? "" : "-");
    told_count = 0;
    for (int32_t i = 0; r->assignment && i < r->assignment->topic_partitions_count; i++) {
        const struct consumer_group_heartbeat_response_topic_partitions *t =
            &r->assignment->topic_partitions[i];
        told_count += t->partitions_count;
        for (int32_t k = 0; k < t->partitions_count && at + 8 < sizeof told; k++)
            at += (size_t)snprintf(told + at, sizeof told - at, "%s%c%d", at > 0 ? " " : "",
                                   t->topic_id.bytes[15], t->partitions[k]);
    }
}

static int16_t beat(struct beat b)
{
    struct consumer_group_heartbeat_request q = consumer_group_heartbeat_request_default;
    struct str topics[8];
    struct consumer_group_heartbeat_request_topic_partitions owned[16];
    int32_t partitions[16];
    q.group_id = STR(GROUP);
    q.member_id = str_from(b.member);
    q.instance_id = str_from(b.instance);
    q.member_epoch = b.epoch;
    q.server_assignor = str_from(b.assignor);
    q.subscribed_topic_regex = str_from(b.regex);
    if (b.epoch == 0 || b.rebalance_ms)
        q.rebalance_timeout_ms = b.rebalance_ms ? b.rebalance_ms : 30000;
    if (b.topics) {
        q.subscribed_topic_names = topics;
        q.subscribed_topic_names_count = 0;
        for (const char *c = b.topics; *c; c++)
            topics[q.subscribed_topic_names_count++] = (struct str){c, 1};
    }
    if (b.owned || b.epoch == 0) {
        q.topic_partitions = owned;
        q.topic_partitions_count = 0;
        for (const char *c = b.owned ? b.owned : ""; *c; c += c[2] ? 3 : 2) {
            int32_t i = q.topic_partitions_count++;
            partitions[i] = c[1] - '0';
            owned[i] = consumer_group_heartbeat_request_topic_partitions_default;
            owned[i].topic_id = topic_id(c[0]);
            owned[i].partitions = &partitions[i];
            owned[i].partitions_count = 1;
        }
    }
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_HEARTBEAT, &q, 1);
    assert_true(a->done);
    int16_t error = a->request.error;
    beaten = consumer_group_heartbeat_response_default;
    tell(&beaten);
    if (error == E_NONE) {
        beaten = *(const struct consumer_group_heartbeat_response *)a->request.response;
        error = beaten.error_code;
        tell(&beaten);
    }
    if (error != E_NONE && beaten.error_message.data) {
        static char text[1024];
        snprintf(text, sizeof text, "%.*s", STR_ARG(beaten.error_message));
        beaten.error_message = str_from(text);
    }
    asked_free(a);
    return error;
}

// The answer to the last heartbeat: the member's epoch and what it was told.
static void assert_told(int32_t epoch, const char *assignment)
{
    assert_int_equal(beaten.member_epoch, epoch);
    assert_string_equal(told, assignment);
}

static void assert_state(const char *state, int32_t epoch, int32_t assignment_epoch, int32_t members)
{
    struct str id = STR(GROUP);
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_DESCRIBE, &id, 1);
    const struct consumer_group_describe_response_described_group *g = a->request.response;
    assert_int_equal(g->error_code, E_NONE);
    assert_true(str_is(g->group_state, state));
    assert_int_equal(g->group_epoch, epoch);
    assert_int_equal(g->assignment_epoch, assignment_epoch);
    assert_int_equal(g->members_count, members);
    asked_free(a);
}

// One member, and another that comes and goes

static void test_one_member(void **state)
{
    (void)state;
    assert_int_equal(beat((struct beat){.member = "x", .topics = "a"}), E_NONE);
    assert_told(2, "a0 a1 a2 a3");
    assert_int_equal(beaten.heartbeat_interval_ms, 5000);
    assert_state("Stable", 2, 2, 1);
    size_t records = f.log_count;
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2}), E_NONE);
    assert_told(2, "-");
    assert_int_equal(f.log_count, records); // nothing new, nothing written
    assert_int_equal(beat((struct beat){.member = "x", .epoch = -1}), E_NONE);
    assert_int_equal(beaten.member_epoch, -1);
    assert_state("Empty", 3, 2, 0);
}

static void test_two_members(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a"});
    assert_int_equal(beat((struct beat){.member = "y", .topics = "a"}), E_NONE);
    assert_told(3, ""); // x still has everything
    assert_state("Reconciling", 3, 3, 2);
    beat((struct beat){.member = "x", .epoch = 2});
    assert_told(2, "a0 a1"); // to give up the rest
    beat((struct beat){.member = "y", .epoch = 3});
    assert_told(3, "-");
    beat((struct beat){.member = "x", .epoch = 2, .owned = "a0 a1 a2"}); // not yet
    assert_told(2, "-");
    beat((struct beat){.member = "x", .epoch = 2, .owned = "a0 a1"});
    assert_told(3, "-");
    beat((struct beat){.member = "y", .epoch = 3});
    assert_told(3, "a2 a3");
    assert_state("Stable", 3, 3, 2);
    beat((struct beat){.member = "y", .epoch = -1});
    beat((struct beat){.member = "x", .epoch = 3});
    assert_told(4, "a0 a1 a2 a3");
}

// What a member is to give up is told behind what it keeps.
static void test_described_while_revoking(void **state)
{
    (void)state;
    beat((struct beat){.member = "y", .topics = "a", .assignor = "range"});
    beat((struct beat){.member = "x", .topics = "a", .assignor = "range"});
    beat((struct beat){.member = "y", .epoch = 2});
    assert_told(2, "a2 a3");
    struct str id = STR(GROUP);
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_DESCRIBE, &id, 1);
    const struct consumer_group_describe_response_described_group *g = a->request.response;
    const struct consumer_group_describe_response_member *y = &g->members[1];
    static const int32_t has[] = {2, 3, 0, 1}, target[] = {2, 3};
    assert_int_equal(y->assignment.topic_partitions[0].partitions_count, 4);
    assert_memory_equal(y->assignment.topic_partitions[0].partitions, has, sizeof has);
    assert_memory_equal(y->target_assignment.topic_partitions[0].partitions, target, sizeof target);
    asked_free(a);
}

// All of it lies in the records.
static void test_restart(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a"});
    beat((struct beat){.member = "y", .topics = "a"});
    shard_reload(&f);
    assert_state("Reconciling", 3, 3, 2);
    beat((struct beat){.member = "x", .epoch = 2});
    assert_told(2, "a0 a1");
    shard_reload(&f);
    beat((struct beat){.member = "x", .epoch = 2, .owned = "a0 a1"});
    assert_told(3, "-");
    shard_reload(&f);
    beat((struct beat){.member = "y", .epoch = 3});
    assert_told(3, "a2 a3");
    assert_state("Stable", 3, 3, 2);
    size_t records = f.log_count;
    beat((struct beat){.member = "x", .epoch = 3});
    assert_int_equal(f.log_count, records); // the same metadata: nothing to do anew
}

// What could not be written has not happened.
static void test_append_fails(void **state)
{
    (void)state;
    f.append_error = E_NOT_COORDINATOR;
    assert_int_equal(beat((struct beat){.member = "x", .topics = "a"}), E_NOT_COORDINATOR);
    f.append_error = E_NONE;
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2}), E_GROUP_ID_NOT_FOUND);
    assert_int_equal(beat((struct beat){.member = "x", .topics = "a"}), E_NONE);
    assert_told(2, "a0 a1 a2 a3");
}

static void test_topics_change(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "ab"});
    assert_told(2, "a0 a1 a2 a3");
    set_topic('b', 1);
    beat((struct beat){.member = "x", .epoch = 2});
    assert_told(3, "a0 a1 a2 a3 b0");
    set_topic('c', 1); // not theirs
    beat((struct beat){.member = "x", .epoch = 3});
    assert_told(3, "-");
    set_topic('a', 0); // gone
    beat((struct beat){.member = "x", .epoch = 3});
    assert_told(3, "b0");
    beat((struct beat){.member = "x", .epoch = 3, .owned = "b0"});
    assert_told(4, "-");
    beat((struct beat){.member = "x", .epoch = 4, .topics = "bc", .owned = "b0"});
    assert_told(5, "b0 c0");
}

static void test_assignor(void **state)
{
    (void)state;
    set_topic('b', 1);
    beat((struct beat){.member = "x", .topics = "ab", .assignor = "range"});
    assert_told(2, "a0 a1 a2 a3 b0");
    assert_int_equal(beat((struct beat){.member = "y", .topics = "ab", .assignor = "none"}),
                     E_UNSUPPORTED_ASSIGNOR);
    assert_true(str_is(beaten.error_message,
                       "ServerAssignor none is not supported. Supported assignors: uniform, range."));
}

static void test_assignment_interval(void **state)
{
    (void)state;
    f.config.consumer_assignment_interval_ms = 1000;
    beat((struct beat){.member = "x", .topics = "a"});
    beat((struct beat){.member = "y", .topics = "a"});
    assert_state("Assigning", 3, 2, 2);
    beat((struct beat){.member = "z", .topics = "a"});
    shard_advance(&f, 1000);
    beat((struct beat){.member = "x", .epoch = 2});
    assert_state("Reconciling", 4, 4, 3); // both at once
}

// Large groups, which a worker assigns

#define LARGE_TOPIC 3000

// A worker that has looked at the group; NULL: its work is not wanted any more.
struct worker {
    struct coordinator_request *due;
    struct asked *look;
    struct group_assignment *picture;
};

static struct worker worker_looks(void)
{
    assert_non_null(unassigned);
    struct worker w = {.due = unassigned};
    unassigned = NULL;
    w.look = shard_ask_version(&f, GROUP_ASSIGN_LOOK, w.due->response, 0);
    assert_int_equal(w.look->request.error, E_NONE);
    w.picture = w.look->request.response;
    return w;
}

static void worker_is_done(struct worker *w)
{
    asked_free(w->look);
    group_work_free(w->due);
}

static void worker_tells(struct worker *w)
{
    group_assignment_compute(w->picture, &f.config, &w->look->request.arena);
    struct asked *a = shard_ask_version(&f, GROUP_ASSIGNED, w->picture, 0);
    assert_true(a->done);
    assert_int_equal(a->request.error, f.append_error);
    asked_free(a);
    worker_is_done(w);
}

static void test_large_group(void **state)
{
    (void)state;
    set_topic('b', LARGE_TOPIC);
    beat((struct beat){.member = "x", .topics = "b"});
    assert_told(1, ""); // and it is to ask again soon
    assert_int_equal(beaten.heartbeat_interval_ms, 100);
    assert_state("Assigning", 2, 1, 1);
    struct worker w = worker_looks();
    beat((struct beat){.member = "x", .epoch = 1});
    assert_told(1, "-");
    assert_null(unassigned); // one is enough
    worker_tells(&w);
    assert_state("Reconciling", 2, 2, 1);
    beat((struct beat){.member = "x", .epoch = 1});
    assert_int_equal(beaten.member_epoch, 2);
    assert_int_equal(told_count, LARGE_TOPIC);
    assert_int_equal(beaten.heartbeat_interval_ms, 5000);
    shard_reload(&f);
    assert_state("Stable", 2, 2, 1);
}

// The group goes on while a worker assigns: what it found still counts, for those who are there.
static void test_large_group_changes(void **state)
{
    (void)state;
    set_topic('b', LARGE_TOPIC);
    beat((struct beat){.member = "x", .topics = "b"});
    beat((struct beat){.member = "y", .topics = "b", .instance = "i"});
    struct worker w = worker_looks();
    beat((struct beat){.member = "x", .epoch = -1});
    beat((struct beat){.member = "y", .epoch = -2, .instance = "i"});
    beat((struct beat){.member = "z", .topics = "b", .instance = "i"}); // takes the place of y
    beat((struct beat){.member = "late", .topics = "b"});
    worker_tells(&w);
    assert_state("Assigning", 5, 3, 2);
    beat((struct beat){.member = "z", .epoch = 1, .instance = "i"});
    assert_int_equal(beaten.member_epoch, 3);
    assert_int_equal(told_count, LARGE_TOPIC / 2);
    w = worker_looks(); // for the others
    worker_tells(&w);
    beat((struct beat){.member = "late", .epoch = 1});
    assert_int_equal(beaten.member_epoch, 5);
    assert_int_equal(told_count, LARGE_TOPIC / 2);
    assert_state("Reconciling", 5, 5, 2);
}

static void test_large_group_not_wanted(void **state)
{
    (void)state;
    set_topic('b', LARGE_TOPIC);
    // The shard is lost and found before the worker looks.
    beat((struct beat){.member = "x", .topics = "b"});
    shard_reload(&f);
    struct worker w = worker_looks();
    assert_null(w.picture);
    worker_is_done(&w);
    // What could not be appended is done anew.
    beat((struct beat){.member = "x", .epoch = 1});
    w = worker_looks();
    f.append_error = E_NOT_COORDINATOR;
    worker_tells(&w);
    f.append_error = E_NONE;
    assert_state("Assigning", 2, 1, 1);
    // The group has got small meanwhile, and was assigned within a request.
    beat((struct beat){.member = "x", .epoch = 1});
    w = worker_looks();
    set_topic('b', 2);
    beat((struct beat){.member = "x", .epoch = 1});
    assert_told(3, "b0 b1");
    size_t records = f.log_count;
    worker_tells(&w);
    assert_int_equal(f.log_count, records);
}

// Errors

static void test_invalid(void **state)
{
    (void)state;
    static const struct {
        struct beat beat;
        int16_t error;
        const char *message;
    } cases[] = {
        {{.member = "", .topics = "a"}, E_INVALID_REQUEST, "MemberId can't be empty."},
        {{.member = "x", .topics = "a", .instance = ""}, E_INVALID_REQUEST, "InstanceId can't be empty."},
        {{.member = "x", .topics = "a", .rebalance_ms = -1},
         E_INVALID_REQUEST,
         "RebalanceTimeoutMs must be provided in first request."},
        {{.member = "x", .topics = "a", .owned = "a0"},
         E_INVALID_REQUEST,
         "TopicPartitions must be empty when (re-)joining."},
        {{.member = "x"},
         E_INVALID_REQUEST,
         "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."},
        {{.member = "x", .epoch = -2}, E_INVALID_REQUEST, "InstanceId can't be null."},
        {{.member = "x", .epoch = -3}, E_INVALID_REQUEST, "MemberEpoch is invalid."},
        {{.member = "x", .epoch = 2}, E_GROUP_ID_NOT_FOUND, "Consumer group g not found."},
        {{.member = "x", .epoch = -1}, E_GROUP_ID_NOT_FOUND, "Group g not found."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(beat(cases[i].beat), cases[i].error);
        assert_true(str_is(beaten.error_message, cases[i].message));
    }
    assert_int_equal(f.log_count, 0);
}

static void test_epochs(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a"});
    assert_int_equal(beat((struct beat){.member = "y", .epoch = 2}), E_UNKNOWN_MEMBER_ID);
    assert_true(str_is(beaten.error_message, "Member y is not a member of group g."));
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 3}), E_FENCED_MEMBER_EPOCH);
    assert_true(str_is(beaten.error_message,
                       "The consumer group member has a greater member epoch (3) than the one known by the "
                       "group coordinator (2). The member must abandon all its partitions and rejoin."));
    set_topic('a', 5);
    beat((struct beat){.member = "x", .epoch = 2, .owned = "a0 a1 a2 a3"});
    assert_told(3, "a0 a1 a2 a3 a4");
    // The answer was lost.
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2, .owned = "a0"}), E_NONE);
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2, .owned = "a0 b0"}), E_FENCED_MEMBER_EPOCH);
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2}), E_FENCED_MEMBER_EPOCH);
}

static void test_max_size(void **state)
{
    (void)state;
    f.config.consumer_max_size = 1;
    assert_int_equal(beat((struct beat){.member = "x", .topics = "a"}), E_NONE);
    assert_int_equal(beat((struct beat){.member = "y", .topics = "a"}), E_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2}), E_NONE);
}

// Timers

static void test_session(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a"});
    beat((struct beat){.member = "y", .topics = "a"});
    shard_advance(&f, 44000);
    beat((struct beat){.member = "x", .epoch = 2});
    shard_advance(&f, 1000); // y is silent
    assert_int_equal(beat((struct beat){.member = "y", .epoch = 3}), E_UNKNOWN_MEMBER_ID);
    assert_state("Assigning", 4, 3, 1);
    shard_reload(&f);
    shard_advance(&f, 45000); // nobody came back after the restart
    assert_state("Empty", 5, 3, 0);
}

static void test_settings_of_the_group(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a"});
    assert_int_equal(beaten.heartbeat_interval_ms, 5000);
    heartbeat_setting_ms = 1000; // from its next heartbeat on
    beat((struct beat){.member = "x", .epoch = 2});
    assert_int_equal(beaten.heartbeat_interval_ms, 1000);
    shard_advance(&f, 8999);
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2}), E_NONE);
    shard_advance(&f, 9000);
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2}), E_UNKNOWN_MEMBER_ID);
}

static void test_rebalance_timeout(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a", .rebalance_ms = 10000});
    beat((struct beat){.member = "y", .topics = "a"});
    beat((struct beat){.member = "x", .epoch = 2}); // is to give up two
    shard_advance(&f, 9999);
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2}), E_NONE);
    shard_advance(&f, 1);
    assert_int_equal(beat((struct beat){.member = "x", .epoch = 2}), E_UNKNOWN_MEMBER_ID);
    beat((struct beat){.member = "y", .epoch = 3});
    assert_told(4, "a0 a1 a2 a3");
}

// Static members

static void test_static(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .instance = "i", .topics = "a"});
    assert_int_equal(beat((struct beat){.member = "y", .instance = "i", .topics = "a"}),
                     E_UNRELEASED_INSTANCE_ID);
    assert_int_equal(beat((struct beat){.member = "y", .instance = "i", .epoch = 2}), E_FENCED_INSTANCE_ID);
    assert_int_equal(beat((struct beat){.member = "y", .instance = "k", .epoch = 2}), E_UNKNOWN_MEMBER_ID);
    assert_int_equal(beat((struct beat){.member = "x", .instance = "i", .epoch = -2}), E_NONE);
    assert_int_equal(beaten.member_epoch, -2);
    shard_reload(&f);
    beat((struct beat){.member = "y", .instance = "i", .topics = "a"});
    assert_told(2, "a0 a1 a2 a3"); // no new assignment
    assert_state("Stable", 2, 2, 1);
    assert_int_equal(beat((struct beat){.member = "x", .instance = "i", .epoch = 2}), E_FENCED_INSTANCE_ID);
    beat((struct beat){.member = "y", .instance = "i", .epoch = -2});
    beat((struct beat){.member = "y", .instance = "i", .topics = "a"});
    beat((struct beat){.member = "y", .instance = "k", .topics = "a"}); // the same member under another name,
    assert_int_equal(beat((struct beat){.member = "z", .instance = "i", .topics = "a"}),
                     E_UNRELEASED_INSTANCE_ID); // which is still found under the one before
    assert_state("Stable", 2, 2, 1);
    beat((struct beat){.member = "y", .instance = "k", .epoch = -2});
    shard_advance(&f, 45000); // it did not come back
    assert_state("Empty", 3, 2, 0);
    assert_int_equal(beat((struct beat){.member = "z", .instance = "i", .topics = "a"}), E_NONE);
}

// Regular expressions

// The topics, of one letter, that match each of the expressions that wait, which are `patterns`.
static void resolve_as(const char *patterns, const char *topics)
{
    assert_non_null(unresolved);
    struct group_regexes *q = unresolved->response;
    struct str names[8];
    char asked[64] = "";
    q->version = metadata.version;
    q->resolved_ms = f.now.wall_ms;
    for (int32_t i = 0, at = 0; i < q->count; i++) {
        snprintf(asked + strlen(asked), sizeof asked - strlen(asked), "%s%.*s", i ? " " : "",
                 STR_ARG(q->regexes[i].pattern));
        q->regexes[i].topics = &names[at];
        for (; *topics && *topics != ' '; topics++, q->regexes[i].topics_count++)
            names[at++] = (struct str){topics, 1};
        topics += *topics == ' ';
    }
    assert_string_equal(asked, patterns);
    struct coordinator_request *r = unresolved;
    unresolved = NULL;
    struct asked *a = shard_ask_version(&f, GROUP_REGEXES_RESOLVED, q, 0);
    assert_true(a->done);
    assert_int_equal(a->request.error, f.append_error);
    asked_free(a);
    group_work_free(r);
}

static void test_regex(void **state)
{
    (void)state;
    set_topic('b', 1);
    assert_int_equal(beat((struct beat){.member = "x", .regex = "[ab]"}), E_NONE);
    assert_string_equal(told, ""); // nothing is known to match yet
    beat((struct beat){.member = "x", .epoch = beaten.member_epoch});
    f.append_error = E_NOT_COORDINATOR;
    resolve_as("[ab]", "ab");
    f.append_error = E_NONE;
    beat((struct beat){.member = "x", .epoch = beaten.member_epoch}); // and so it is looked for again
    resolve_as("[ab]", "ab");
    beat((struct beat){.member = "x", .epoch = beaten.member_epoch});
    assert_string_equal(told, "a0 a1 a2 a3 b0");
    assert_null(unresolved);
    // A topic that comes to be joins, but not within ten seconds of the last look.
    set_topic('c', 1);
    beat((struct beat){.member = "x", .epoch = beaten.member_epoch});
    assert_null(unresolved);
    shard_reload(&f);
    shard_advance(&f, 10001);
    beat((struct beat){.member = "x", .epoch = beaten.member_epoch});
    resolve_as("[ab]", "abc");
    beat((struct beat){.member = "x", .epoch = beaten.member_epoch});
    assert_string_equal(told, "a0 a1 a2 a3 b0 c0");
    // Nothing new for ten minutes.
    for (int i = 0; i < 20; i++) {
        shard_advance(&f, 30000);
        beat((struct beat){.member = "x", .epoch = beaten.member_epoch});
        assert_null(unresolved);
    }
    shard_advance(&f, 1);
    beat((struct beat){.member = "x", .epoch = beaten.member_epoch});
    int32_t epoch = beaten.member_epoch;
    resolve_as("[ab]", "abc");
    beat((struct beat){.member = "x", .epoch = epoch});
    assert_int_equal(beaten.member_epoch, epoch); // the same topics
}

static bool has_regex_tombstone(const char *pattern)
{
    size_t size = strlen(pattern);
    const struct logged *last = NULL;
    for (size_t i = 0; i < f.log_count; i++) {
        const struct buffer *key = &f.log[i].key;
        if (key->size > size && load_be16(key->data) == 16 &&
            memcmp(key->data + key->size - size, pattern, size) == 0)
            last = &f.log[i];
    }
    assert_non_null(last);
    return last->tombstone;
}

static void test_regexes_of_two(void **state)
{
    (void)state;
    set_topic('b', 1);
    beat((struct beat){.member = "x", .regex = "a"});
    resolve_as("a", "a");
    beat((struct beat){.member = "x", .epoch = beaten.member_epoch});
    int32_t x = beaten.member_epoch;
    assert_string_equal(told, "a0 a1 a2 a3");
    // Both by name and by expression; one that is known already needs no look.
    beat((struct beat){.member = "y", .topics = "b", .regex = "a"});
    int32_t y = beaten.member_epoch;
    assert_true(y > x);
    assert_string_equal(told, "b0");
    assert_null(unresolved);
    beat((struct beat){.member = "x", .epoch = x});
    assert_string_equal(told, "a0 a1 a2");
    beat((struct beat){.member = "x", .epoch = x, .owned = "a0 a1 a2"});
    x = beaten.member_epoch;
    beat((struct beat){.member = "y", .epoch = y});
    assert_string_equal(told, "a3 b0");
    // The last one that has it takes it along.
    shard_advance(&f, 10001);
    beat((struct beat){.member = "x", .epoch = x, .regex = "b"});
    x = beaten.member_epoch;
    resolve_as("a b", "a b");
    assert_false(has_regex_tombstone("a"));
    beat((struct beat){.member = "y", .epoch = -1});
    assert_true(has_regex_tombstone("a"));
    assert_false(has_regex_tombstone("b"));
    beat((struct beat){.member = "x", .epoch = x, .regex = ""});
    assert_true(has_regex_tombstone("b"));
}

static void test_regex_that_is_none(void **state)
{
    (void)state;
    assert_int_equal(beat((struct beat){.member = "x", .regex = "a("}), E_INVALID_REGULAR_EXPRESSION);
    assert_string_equal(beaten.error_message.data,
                        "SubscribedTopicRegex `a(` is not a valid regular expression: missing closing ).");
    assert_int_equal(f.log_count, 0);
    assert_null(unresolved);
}

// Offsets

static int16_t commit(const char *member, int32_t epoch, int16_t version)
{
    struct offset_commit_request_offset_commit_request_partition partition =
        offset_commit_request_offset_commit_request_partition_default;
    struct offset_commit_request_offset_commit_request_topic topic =
        offset_commit_request_offset_commit_request_topic_default;
    struct offset_commit_request q = offset_commit_request_default;
    partition.committed_offset = 7;
    topic.name = STR("a");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    q.group_id = STR(GROUP);
    q.member_id = str_from(member);
    q.generation_id_or_member_epoch = epoch;
    q.topics = &topic;
    q.topics_count = 1;
    struct asked *a = shard_ask_version(&f, GROUP_COMMIT, &q, version);
    int16_t error = a->request.error;
    asked_free(a);
    return error;
}

static int64_t fetch(const char *member, int32_t epoch)
{
    int32_t partition = 0;
    struct offset_fetch_request_offset_fetch_request_topics topic =
        offset_fetch_request_offset_fetch_request_topics_default;
    topic.name = STR("a");
    topic.partition_indexes = &partition;
    topic.partition_indexes_count = 1;
    struct group_fetch q = {STR(GROUP), str_from(member), epoch, &topic, 1, false};
    struct asked *a = shard_ask_version(&f, GROUP_FETCH, &q, 9);
    const struct offset_fetch_response_offset_fetch_response_group *g = a->request.response;
    int64_t result = g ? g->topics[0].partitions[0].committed_offset : -a->request.error - 1000;
    asked_free(a);
    return result;
}

static void test_offsets(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a"});
    assert_int_equal(commit("x", 2, 9), E_NONE);
    assert_int_equal(commit("x", 2, 8), E_UNSUPPORTED_VERSION);
    assert_int_equal(commit("x", 3, 9), E_STALE_MEMBER_EPOCH);
    assert_int_equal(commit("y", 2, 9), E_UNKNOWN_MEMBER_ID);
    assert_int_equal(commit("", -1, 9), E_UNKNOWN_MEMBER_ID);
    assert_int_equal(fetch("x", 2), 7);
    assert_int_equal(fetch(NULL, -1), 7);
    assert_int_equal(fetch("x", 0), -E_STALE_MEMBER_EPOCH - 1000);
    assert_int_equal(fetch("y", 2), -E_UNKNOWN_MEMBER_ID - 1000);
    beat((struct beat){.member = "x", .epoch = -1});
    assert_int_equal(commit("", -1, 9), E_NONE);
    shard_reload(&f);
    assert_int_equal(fetch(NULL, -1), 7);
}

// A group of offsets alone becomes a consumer group, and keeps them; so does an empty classic one.
static void test_simple_group(void **state)
{
    (void)state;
    assert_int_equal(commit("", -1, 9), E_NONE);
    assert_int_equal(beat((struct beat){.member = "x", .topics = "a"}), E_NONE);
    assert_int_equal(fetch("x", 2), 7);
    shard_reload(&f);
    assert_int_equal(fetch("x", 2), 7);
    assert_state("Stable", 2, 2, 1);
}

static void test_delete(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a"});
    commit("x", 2, 9);
    struct str id = STR(GROUP);
    struct asked *a = shard_ask_version(&f, GROUP_DELETE, &id, 2);
    assert_int_equal(a->request.error, E_NON_EMPTY_GROUP);
    asked_free(a);
    beat((struct beat){.member = "x", .epoch = -1});
    a = shard_ask_version(&f, GROUP_DELETE, &id, 2);
    assert_int_equal(a->request.error, E_NONE);
    asked_free(a);
    static const uint8_t types[] = {6, 4, 3}; // as Kafka: also of what its version 4.0 wrote about the topics
    for (size_t i = 0; i < sizeof types; i++) {
        const struct logged *l = &f.log[f.log_count - sizeof types + i];
        assert_int_equal(((const uint8_t *)l->key.data)[1], types[i]);
        assert_true(l->tombstone);
    }
    for (int i = 0; i < 2; i++) {
        a = shard_ask_version(&f, GROUP_CONSUMER_DESCRIBE, &id, 1);
        const struct consumer_group_describe_response_described_group *g = a->request.response;
        assert_int_equal(g->error_code, E_GROUP_ID_NOT_FOUND);
        assert_true(str_is(g->error_message, "Group g not found."));
        asked_free(a);
        assert_int_equal(fetch(NULL, -1), -1);
        shard_reload(&f);
    }
}

// Offsets of an empty group age, and the group goes with the last.
static void test_expiry(void **state)
{
    (void)state;
    beat((struct beat){.member = "x", .topics = "a"});
    commit("x", 2, 9);
    beat((struct beat){.member = "x", .epoch = -1});
    shard_advance(&f, 8 * 24 * 3600 * INT64_C(1000));
    struct str id = STR(GROUP);
    struct asked *a = shard_ask_version(&f, GROUP_CONSUMER_DESCRIBE, &id, 1);
    const struct consumer_group_describe_response_described_group *g = a->request.response;
    assert_int_equal(g->error_code, E_GROUP_ID_NOT_FOUND);
    asked_free(a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_one_member),
        TEST(test_two_members),
        TEST(test_described_while_revoking),
        TEST(test_restart),
        TEST(test_append_fails),
        TEST(test_topics_change),
        TEST(test_assignor),
        TEST(test_assignment_interval),
        cmocka_unit_test_setup_teardown(test_large_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_group_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_group_not_wanted, set_up, tear_down),
        TEST(test_invalid),
        TEST(test_epochs),
        TEST(test_max_size),
        TEST(test_session),
        TEST(test_settings_of_the_group),
        TEST(test_rebalance_timeout),
        TEST(test_static),
        TEST(test_regex),
        TEST(test_regexes_of_two),
        TEST(test_regex_that_is_none),
        TEST(test_offsets),
        TEST(test_simple_group),
        TEST(test_delete),
        TEST(test_expiry),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
