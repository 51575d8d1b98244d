// A seeded simulation of a shard of transactions. Two producers share each transactional id; their requests
// are sent again and come late; markers are delivered late, twice, or not at first; appends fail; the
// coordinator is lost, with what no replica had, and rebuilt from its log; ids expire.
//
// Checked: one decision a transaction, and what is prepared is completed (txn_world.h); a producer that was
// fenced is told of no success; an end ends its own transaction; a partition gets one marker for each
// transaction, the right one; no epoch is given to two; an answer agrees with the log; in the end nothing is
// open.
//
//     sim_transactions [SEED]      one seed; without it, many. A failure prints its seed.
#include "txn_world.h"

#define AGENTS      (2 * IDS)
#define TURNS       400
#define QUIET_TURNS 400
#define TURN_MS     300
#define TIMEOUT_MS  20000
#define LATE        64 // requests on their way
#define JOBS        64
#define SEEDS       3000

struct logged {
    struct buffer key, value;
    bool tombstone;
};

// A request, and what became of it. The machine has answered it when `offset` is set; the asker knows when it
// is `done`.
struct asked {
    struct coordinator_request request;
    bool done;
};

enum doing { FRESH, STARTING, READY, ADDING, ENDING };

struct agent {
    int id;
    bool version_2, ending, commit; // ending: it asks until it knows
    bool fenced, asked_fenced;      // now; when it asked what it waits for
    int64_t producer_id;            // -1: none
    int16_t epoch;
    enum doing doing;
    uint32_t serial; // of its transaction; NO_SERIAL: nothing is in it yet
    int paused, partition, on_the_way;
    uint64_t turn; // of transactions: what came of an earlier one is not its concern
    struct asked *asked;
    uint32_t end_serial; // what an end that is asked for is to end
};

// A request that comes late: a write (its broker adds the partition, version 2), or an end that was sent
// twice.
struct late {
    bool used, is_end, commit, asked_fenced;
    int agent, id, partition;
    uint64_t turn;
    int64_t producer_id;
    int16_t epoch;
    uint32_t serial;
    int delay;
    struct asked *asked;
};

struct job { // markers to be written
    struct coordinator_request *request;
    uint32_t left; // bits, by partition
    struct asked *marked;
};

struct sim {
    struct transaction_config config;
    void *state;
    struct coordinator_now now;
    struct logged *log;
    size_t log_count, replicated;
    struct list held; // answered requests above the high watermark
    int16_t append_error, feature_level;
    bool faults, replicas;
    int64_t ids;
    struct truth truths[IDS];
    struct partition_model partitions[PARTITIONS];
    uint8_t given[PRODUCERS][64]; // (producer id, epoch): to which agent + 1
    struct agent agents[AGENTS];
    struct late late[LATE];
    struct job jobs[JOBS];
    // What the request that is being served may decide.
    bool ends;
    int end_id;
    uint32_t end_serial;
};

static struct sim s;

static int16_t new_producer_id(void *context, int64_t *id)
{
    (void)context;
    if (s.faults && roll(20) == 0)
        return E_COORDINATOR_LOAD_IN_PROGRESS;
    CHECK(s.ids < PRODUCERS, "too many producer ids");
    *id = s.ids++;
    return E_NONE;
}

static int16_t feature_level(void *context)
{
    (void)context;
    return s.feature_level;
}

// The runtime

static void begin_job(struct coordinator_request *r)
{
    if (r->error != E_NONE) { // the shard is lost: its successor sends them
        transaction_markers_free(r);
        return;
    }
    const struct transaction_markers *m = r->response;
    for (int i = 0; i < JOBS; i++) {
        struct job *j = &s.jobs[i];
        if (j->request)
            continue;
        *j = (struct job){.request = r};
        CHECK(m->coordinator_epoch == s.now.leader_epoch, "markers of epoch %d", m->coordinator_epoch);
        for (uint32_t k = 0; k < m->topics_count; k++)
            for (uint32_t n = 0; n < m->topics[k].count; n++)
                j->left |= 1U << m->topics[k].partitions[n];
        return;
    }
    CHECK(false, "too many markers");
}

static void release(struct coordinator_request *r)
{
    if (r->kind == TRANSACTION_MARKERS)
        begin_job(r);
    else
        container_of(r, struct asked, request)->done = true;
}

static void release_replicated(void)
{
    struct list *node;
    while ((node = list_empty(&s.held) ? NULL : list_first(&s.held))) {
        struct coordinator_request *r = container_of(node, struct coordinator_request, node);
        if (r->offset > (int64_t)s.replicated)
            return;
        list_remove(node);
        release(r);
    }
}

static void append(const struct coordinator_record *r)
{
    const struct truth *t = NULL;
    uint32_t open = NO_SERIAL;
    if (s.ends) {
        t = &s.truths[s.end_id];
        open = t->state == ONGOING ? t->serial : NO_SERIAL;
    }
    s.log = reallocarray(s.log, s.log_count + 1, sizeof *s.log);
    struct logged *l = &s.log[s.log_count++];
    *l = (struct logged){.tombstone = !r->value.data};
    buffer_append(&l->key, r->key.data, r->key.size);
    buffer_append(&l->value, r->value.data, r->value.size);
    truth_read(s.truths, r->key, r->value);
    CHECK(!t || open == NO_SERIAL || open == s.end_serial, "an end of transaction %u ends transaction %u",
          s.end_serial, open);
}

static void execute(struct coordinator_effects *effects)
{
    if (effects->records_count > 0) {
        for (size_t i = 0; i < effects->records_count && s.append_error == E_NONE; i++)
            append(&effects->records[i]);
        transaction_machine.settle(s.state, s.append_error, s.now, effects);
    }
    struct list *node;
    while ((node = list_pop_front(&effects->answered))) {
        container_of(node, struct coordinator_request, node)->offset = (int64_t)s.log_count;
        list_push_back(&s.held, node);
    }
    coordinator_effects_reset(effects);
    if (!s.replicas)
        s.replicated = s.log_count;
    release_replicated();
}

static struct asked *ask(int kind, const void *message, int16_t version)
{
    struct asked *a = calloc(1, sizeof *a);
    a->request.kind = kind;
    a->request.message = message;
    a->request.version = version;
    arena_init(&a->request.arena, 0);
    struct coordinator_effects effects;
    coordinator_effects_init(&effects);
    transaction_machine.step(s.state, &a->request, s.now, &effects);
    execute(&effects);
    coordinator_effects_free(&effects);
    s.ends = false;
    return a;
}

// Takes the answer, if there is one.
static bool answered(struct asked **place, int16_t *error)
{
    struct asked *a = *place;
    if (!a->done)
        return false;
    *error = a->request.error;
    return true;
}

static void forget(struct asked **place)
{
    arena_free(&(*place)->request.arena);
    free(*place);
    *place = NULL;
}

static void advance(int64_t ms)
{
    int64_t until = s.now.monotonic_ms + ms;
    struct coordinator_effects effects;
    coordinator_effects_init(&effects);
    for (;;) {
        int64_t due = transaction_machine.next_due(s.state), at = due < until ? due : until;
        if (at > s.now.monotonic_ms) {
            s.now.wall_ms += at - s.now.monotonic_ms;
            s.now.monotonic_ms = at;
        }
        if (due > until || !transaction_machine.tick(s.state, s.now, &effects))
            break;
        execute(&effects);
    }
    coordinator_effects_free(&effects);
}

static void load(void)
{
    s.state = transaction_machine.create(&s.config);
    for (int i = 0; i < IDS; i++)
        truth_reset(&s.truths[i]);
    for (size_t i = 0; i < s.log_count; i++) {
        struct logged *l = &s.log[i];
        struct coordinator_record r = {{l->key.data, l->key.size}, {l->value.data, l->value.size}};
        if (l->tombstone)
            r.value = BYTES_NULL;
        transaction_machine.replay(s.state, &r, (int64_t)i, -1);
        truth_read(s.truths, r.key, r.value);
    }
    transaction_machine.loaded(s.state, s.now);
}

// Another broker takes over. It may lack what no replica had to have; whoever waits is told to look
// elsewhere.
static void fail_over(void)
{
    struct list *node;
    transaction_machine.destroy(s.state);
    while ((node = list_pop_front(&s.held))) {
        struct coordinator_request *r = container_of(node, struct coordinator_request, node);
        r->response = NULL;
        r->error = E_NOT_COORDINATOR;
        release(r);
    }
    size_t kept = s.replicated + (size_t)roll(s.log_count - s.replicated + 1);
    while (s.log_count > kept) {
        struct logged *l = &s.log[--s.log_count];
        buffer_free(&l->key);
        buffer_free(&l->value);
    }
    s.replicated = s.log_count;
    s.now.leader_epoch++;
    for (int i = 0; i < JOBS; i++) // the former leader knows no answer any more
        if (s.jobs[i].marked)
            forget(&s.jobs[i].marked);
    load();
}

// Producers

static struct str id_of(int id)
{
    static const char names[IDS][2] = {"a", "b", "c"};
    return str_from(names[id]);
}

static void fresh(struct agent *a, bool keeps_epoch)
{
    a->doing = FRESH;
    a->ending = false;
    a->serial = NO_SERIAL;
    a->turn++;
    a->on_the_way = 0;
    if (keeps_epoch)
        return;
    a->producer_id = -1;
    a->epoch = -1;
    a->fenced = false;
}

static void take(struct agent *a, int64_t producer_id, int16_t epoch)
{
    CHECK(epoch < INT16_MAX, "the last epoch of %lld is given out", (long long)producer_id);
    uint8_t *given = &s.given[producer_id][epoch & 63], to = (uint8_t)(a - s.agents + 1);
    CHECK(*given == 0 || *given == to || epoch >= 64, "epoch %d of %lld is given to %d and to %d", epoch,
          (long long)producer_id, *given - 1, to - 1);
    *given = to;
    a->fenced &= a->producer_id == producer_id;
    a->producer_id = producer_id;
    a->epoch = epoch;
}

static void start(struct agent *a)
{
    struct init_producer_id_request q = init_producer_id_request_default;
    q.transactional_id = id_of(a->id);
    q.transaction_timeout_ms = TIMEOUT_MS;
    q.producer_id = a->producer_id;
    q.producer_epoch = a->epoch;
    a->asked = ask(TRANSACTION_INIT, &q, 4);
    a->doing = STARTING;
}

static struct asked *ask_add(int kind, int id, int64_t producer_id, int16_t epoch, int32_t partition,
                             int16_t version)
{
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic t = {STR("t"), &partition, 1};
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction q = {.transactional_id = id_of(id),
                                                                                .producer_id = producer_id,
                                                                                .producer_epoch = epoch,
                                                                                .topics = &t,
                                                                                .topics_count = 1};
    return ask(kind, &q, version);
}

static struct asked *ask_end(int id, int64_t producer_id, int16_t epoch, bool commit, bool version_2,
                             uint32_t serial)
{
    struct end_txn_request q = {id_of(id), producer_id, epoch, commit};
    s.ends = true;
    s.end_id = id;
    s.end_serial = serial;
    return ask(TRANSACTION_END, &q, version_2 ? 5 : 4);
}

static struct late *send_late(const struct agent *a, int delay)
{
    for (int i = 0; i < LATE; i++) {
        if (s.late[i].used)
            continue;
        s.late[i] = (struct late){.used = true,
                                  .agent = (int)(a - s.agents),
                                  .id = a->id,
                                  .turn = a->turn,
                                  .producer_id = a->producer_id,
                                  .epoch = a->epoch,
                                  .serial = a->serial,
                                  .delay = delay};
        return &s.late[i];
    }
    return NULL;
}

static void begin_write(struct agent *a)
{
    int partition = (int)roll(PARTITIONS);
    if (!a->version_2) {
        a->partition = partition;
        a->asked = ask_add(TRANSACTION_ADD, a->id, a->producer_id, a->epoch, partition, 3);
        a->doing = ADDING;
        return;
    }
    struct late *l = send_late(a, (int)roll(s.faults ? 8 : 1));
    if (l) {
        l->partition = partition;
        a->on_the_way++;
    }
}

static void begin_end(struct agent *a, bool commit)
{
    a->ending = true;
    a->commit = commit;
    a->end_serial = a->serial;
    if (a->version_2 && s.faults && roll(4) == 0) {
        struct late *l = send_late(a, (int)roll(40));
        if (l) {
            l->is_end = true;
            l->commit = commit;
        }
    }
    a->asked = ask_end(a->id, a->producer_id, a->epoch, commit, a->version_2, a->serial);
    a->doing = ENDING;
}

static bool try_again(int16_t error)
{
    return error == E_NOT_COORDINATOR || error == E_COORDINATOR_NOT_AVAILABLE ||
           error == E_COORDINATOR_LOAD_IN_PROGRESS || error == E_CONCURRENT_TRANSACTIONS;
}

// Who has an earlier epoch is fenced by one that is given out.
static void fence_others(const struct agent *a, int64_t producer_id, int16_t epoch)
{
    for (int i = 0; i < AGENTS; i++) {
        struct agent *b = &s.agents[i];
        bool earlier = b->producer_id < producer_id || (b->producer_id == producer_id && b->epoch < epoch);
        if (b != a && b->id == a->id && b->producer_id != -1 && earlier)
            b->fenced = true;
    }
}

static void on_started(struct agent *a, int16_t error)
{
    const struct init_producer_id_response *out = a->asked->request.response;
    a->doing = FRESH;
    if (error == E_NONE) {
        bool expired = out->producer_id != a->producer_id; // the id was forgotten, and begins anew
        CHECK(!a->asked_fenced || expired, "a producer that was fenced gets epoch %d", out->producer_epoch);
        fence_others(a, out->producer_id, out->producer_epoch);
        if (s.faults && roll(8) == 0)
            return; // the answer gets lost
        take(a, out->producer_id, out->producer_epoch);
        a->doing = READY;
    } else if (!try_again(error)) {
        fresh(a, false);
    }
}

// The transaction that a request was taken into is the one that the producer means.
static void note_serial(struct agent *a, uint32_t serial)
{
    CHECK(a->serial == NO_SERIAL || a->serial == serial, "a transaction is split: %u and %u", a->serial,
          serial);
    a->serial = serial;
}

static void on_added(struct agent *a, int16_t error)
{
    a->doing = READY;
    if (error != E_NONE) {
        if (!try_again(error))
            fresh(a, roll(2));
        return;
    }
    CHECK(!a->asked_fenced, "a producer that was fenced adds a partition");
    const struct truth *t = &s.truths[a->id];
    if (t->producer_id != a->producer_id || t->epoch != a->epoch || t->state != ONGOING)
        return; // its timeout came before the answer
    note_serial(a, t->serial);
    partition_write(&s.partitions[a->partition], a->producer_id, a->epoch, a->id, a->serial);
}

static void on_ended(struct agent *a, int16_t error)
{
    const struct end_txn_response *out = a->asked->request.response;
    if (try_again(error) || (error == E_NONE && s.faults && roll(8) == 0)) {
        a->doing = READY; // and asks the same again
        return;
    }
    if (error != E_NONE) {
        fresh(a, roll(2));
        return;
    }
    CHECK(!a->asked_fenced, "a producer that was fenced ends its transaction");
    enum decision decided = a->end_serial ? s.truths[a->id].decision[a->end_serial] : ABORTED;
    CHECK(decided == (a->commit ? COMMITTED : ABORTED), "transaction %u is %d, its producer was told %d",
          a->end_serial, decided, a->commit);
    if (a->version_2)
        take(a, out->producer_id, out->producer_epoch);
    a->ending = false;
    a->serial = NO_SERIAL;
    a->turn++;
    a->doing = READY;
}

static void act(struct agent *a)
{
    int16_t error;
    if (a->asked) {
        struct asked *was = a->asked;
        if (!answered(&a->asked, &error))
            return;
        enum doing doing = a->doing;
        if (doing == STARTING)
            on_started(a, error);
        else if (doing == ADDING)
            on_added(a, error);
        else
            on_ended(a, error);
        forget(&was);
        a->asked = NULL;
        return;
    }
    a->asked_fenced = a->fenced;
    if (a->doing == FRESH)
        start(a);
    else if (a->ending || (a->serial && a->on_the_way == 0 && roll(3) == 0))
        begin_end(a, a->ending ? a->commit : roll(3) != 0);
    else if (a->version_2 && a->serial == NO_SERIAL && a->on_the_way == 0 && roll(10) == 0)
        begin_end(a, roll(2)); // with nothing in it
    else
        begin_write(a);
}

// Requests that come late

static void on_late_write(struct late *l, int16_t error)
{
    struct agent *a = &s.agents[l->agent];
    const struct truth *t = &s.truths[l->id];
    bool concerns = a->turn == l->turn;
    if (concerns)
        a->on_the_way--;
    if (error != E_NONE) {
        if (concerns && !try_again(error))
            fresh(a, roll(2));
        return;
    }
    if (t->producer_id != l->producer_id || t->epoch != l->epoch || t->state != ONGOING)
        return; // ended before the answer came
    if (concerns) {
        CHECK(!l->asked_fenced, "a producer that was fenced writes");
        note_serial(a, t->serial);
    }
    CHECK(l->serial == NO_SERIAL || l->serial == t->serial,
          "a write of transaction %u is taken into transaction %u", l->serial, t->serial);
    partition_write(&s.partitions[l->partition], l->producer_id, l->epoch, l->id, t->serial);
}

static void arrive(struct late *l)
{
    int16_t error;
    if (!l->asked) {
        if (l->delay-- > 0)
            return;
        l->asked_fenced = s.agents[l->agent].fenced;
        l->asked = l->is_end ? ask_end(l->id, l->producer_id, l->epoch, l->commit, true, l->serial)
                             : ask_add(TRANSACTION_ADD, l->id, l->producer_id, l->epoch, l->partition, 5);
    }
    if (!answered(&l->asked, &error))
        return;
    if (!l->is_end)
        on_late_write(l, error);
    forget(&l->asked);
    l->used = false;
}

// Markers

static void end_job(struct job *j)
{
    transaction_markers_free(j->request);
    *j = (struct job){0};
}

static void deliver(struct job *j)
{
    int16_t error;
    int partition = (int)roll(PARTITIONS);
    const struct transaction_markers *m = j->request->response;
    bool former = m->coordinator_epoch != s.now.leader_epoch;
    if (j->marked) {
        if (!answered(&j->marked, &error))
            return;
        bool again = error == E_COORDINATOR_NOT_AVAILABLE;
        forget(&j->marked);
        if (!again)
            end_job(j);
    } else if (j->left == 0 && former) {
        end_job(j);
    } else if (j->left == 0) {
        j->marked = ask(TRANSACTION_MARKED, m, 0);
    } else if ((j->left >> partition & 1) && !(s.faults && roll(3) == 0)) {
        partition_mark(&s.partitions[partition], s.truths, m);
        if (!s.faults || roll(4) != 0) // else its answer is lost, and it comes again
            j->left &= ~(1U << partition);
    }
}

// Turns

static void fault(void)
{
    struct agent *a = &s.agents[roll(AGENTS)];
    switch (roll(12)) {
    case 0:
        if (!a->asked)
            fresh(a, false); // a crash
        break;
    case 1:
        a->paused = (int)roll(100);
        break;
    case 2:
        s.append_error = E_COORDINATOR_NOT_AVAILABLE;
        break;
    case 3:
        if (roll(3) == 0)
            fail_over();
        break;
    case 4:
        if (roll(10) == 0)
            advance((int64_t)roll(2 * 3600 * 1000)); // long enough for ids to expire
        break;
    default:
        s.append_error = E_NONE;
        break;
    }
}

static void turn(bool agents)
{
    if (s.faults && roll(3) == 0)
        fault();
    for (int i = 0; i < AGENTS && agents; i++) {
        struct agent *a = &s.agents[roll(AGENTS)];
        if (a->paused > 0)
            a->paused--;
        else
            act(a);
    }
    for (int i = 0; i < LATE; i++)
        if (s.late[i].used)
            arrive(&s.late[i]);
    for (int i = 0; i < JOBS; i++)
        if (s.jobs[i].request)
            deliver(&s.jobs[i]);
    s.replicated += s.faults ? (size_t)roll(s.log_count - s.replicated + 1) : s.log_count - s.replicated;
    release_replicated();
    advance((int64_t)roll(2 * TURN_MS));
}

// A producer id whose epochs are nearly used up, as if the log were old.
static void age(int id)
{
    struct transaction_log_key k = {.transactional_id = id_of(id)};
    struct transaction_log_value v;
    message_init(&transaction_log_value_type, &v);
    v.producer_id = s.ids++;
    v.producer_epoch = (int16_t)(INT16_MAX - 2 - (int16_t)roll(3));
    v.transaction_timeout_ms = TIMEOUT_MS;
    v.transaction_status = EMPTY;
    v.transaction_last_update_timestamp_ms = s.now.wall_ms;
    v.transaction_start_timestamp_ms = -1;
    v.transaction_partitions_count = -1;
    uint8_t key[64] = {0}, value[256] = {0, 1};
    struct encode_target to_key = {.at = key + 2, .end = key + sizeof key};
    struct encode_target to_value = {.at = value + 2, .end = value + sizeof value};
    CHECK(message_encode(&transaction_log_key_type, 0, &k, &to_key) == 0, "a key");
    CHECK(message_encode(&transaction_log_value_type, 1, &v, &to_value) == 0, "a value");
    struct coordinator_record r = {{key, (size_t)(to_key.at - key)}, {value, (size_t)(to_value.at - value)}};
    append(&r);
}

static struct loop *one_loop(void *context, struct str id)
{
    (void)context;
    (void)id;
    return NULL;
}

static void open_shard(void)
{
    memset(&s, 0, sizeof s);
    list_init(&s.held);
    s.now = (struct coordinator_now){.monotonic_ms = 1000, .wall_ms = 1700000000000};
    s.feature_level = (int16_t)roll(3);
    s.replicas = roll(2);
    s.config =
        (struct transaction_config){.max_timeout_ms = 900000,
                                    .id_expiration_ms = roll(2) ? 3600 * 1000 : 7 * 24 * 3600 * INT64_C(1000),
                                    .abort_interval_ms = 10000,
                                    .expire_interval_ms = 60000,
                                    .new_producer_id = new_producer_id,
                                    .feature_level = feature_level,
                                    .deliver_to = one_loop};
    for (int i = 0; i < IDS; i++)
        truth_reset(&s.truths[i]);
    for (int i = 0; i < IDS && s.feature_level > 0; i++)
        if (roll(2))
            age(i);
    s.replicated = s.log_count;
    load();
    for (int i = 0; i < AGENTS; i++) {
        s.agents[i] = (struct agent){.id = i % IDS, .version_2 = s.feature_level == 2 && roll(2)};
        fresh(&s.agents[i], false);
    }
}

static void close_shard(void)
{
    transaction_machine.destroy(s.state);
    for (int i = 0; i < AGENTS; i++)
        if (s.agents[i].asked) {
            CHECK(s.agents[i].asked->done, "a request was never answered");
            forget(&s.agents[i].asked);
        }
    for (size_t i = 0; i < s.log_count; i++) {
        buffer_free(&s.log[i].key);
        buffer_free(&s.log[i].value);
    }
    free(s.log);
}

static void run(uint64_t seed)
{
    seed_now = seed;
    rng = seed * 0x9e3779b97f4a7c15 + 1;
    hash_fix_seed(rng); // and so the order in which maps are walked
    open_shard();
    s.faults = true;
    for (int i = 0; i < TURNS; i++)
        turn(true);
    s.faults = false;
    s.append_error = E_NONE;
    for (int i = 0; i < QUIET_TURNS; i++)
        turn(false);
    for (int i = 0; i < IDS; i++)
        CHECK(truth_ends(&s.truths[i]), "id %d stays in state %s", i, state_names[s.truths[i].state + 1]);
    for (int i = 0; i < JOBS; i++)
        CHECK(!s.jobs[i].request, "markers are never done");
    for (int p = 0; p < PARTITIONS; p++)
        for (int64_t i = 0; i < s.ids; i++)
            CHECK(s.partitions[p].of[i].serial == NO_SERIAL, "producer %lld has an open transaction in %d",
                  (long long)i, p);
    close_shard();
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
