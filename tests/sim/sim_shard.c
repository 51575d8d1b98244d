// A seeded simulation of the runtime under the coordinators: one shard over a real partition, with a machine
// that counts. Appends fail, the high watermark lags, leadership is lost and gained with requests waiting,
// loads come late and are overtaken.
//
// Checked (src/coordinator/README.md): a decision sees every record before it; an answer leaves only when the
// high watermark covers what its decision saw; what was not appended is nowhere, what was is there after a
// load; each request is answered once.
//
//     sim_shard [SEED]      one seed; without it, many. A failure prints its seed.
#include "seeded.h"

#include "coordinator/shard.h"
#include "os/file.h"
#include "protocol/errors.h"
#include "storage/file_cache.h"
#include "storage/log.h"

#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BROKER    1
#define STRANGER  2
#define TURNS     300
#define REQUESTS  4096
#define RECORDS   8192
#define MOST      4 // records of one request
#define BIG_BYTES 40000
#define SEEDS     150

// The machine: it counts records. What a decision saw is in its answer.

enum { ADD, READ, PARK, KINDS };

struct seen {
    uint64_t count, sum;
    int64_t offset; // of the last record
};

struct counting {
    struct seen seen;
    struct list parked;
    struct coordinator_request *adding;
    uint32_t number;
};

struct wish { // of ADD
    uint64_t first;
    uint32_t count;
    bool divisible;
};

struct asked {
    struct coordinator_request request;
    struct wish wish;
    uint64_t known; // records that were in the log when it was asked
    int answers;
};

static struct sim {
    struct loop loop;
    struct coordinator coordinator;
    struct shard shard;
    struct partition *partition;
    struct file_cache *files;
    struct log_config config;
    char root[64];
    struct asked asked[REQUESTS];
    size_t asked_count;
    uint64_t next_value;
    bool kept[RECORDS * MOST]; // which values are in the log, as far as replay after an append says
    struct seen truth;
    int32_t epoch;
    bool loads;                                // what is replayed now was in the log before
    uint32_t states, found_by[RECORDS * MOST]; // how many there have been; which one found a value in the log
} s;

static void overtake(void);

static void *create(const void *config)
{
    (void)config;
    if (s.loads && roll(3) == 0)
        overtake();
    struct counting *c = state_alloc(sizeof *c);
    c->seen.offset = -1;
    c->number = ++s.states;
    list_init(&c->parked);
    return c;
}

static void destroy(void *state)
{
    struct counting *c = state;
    CHECK(list_empty(&c->parked), "a request is destroyed with its state");
    free(c);
}

static void replay(void *state, const struct coordinator_record *record, int64_t offset, int64_t producer_id)
{
    struct counting *c = state;
    uint64_t value = load_be64(record->value.data);
    CHECK(producer_id == -1 && offset == c->seen.offset + 1, "offset %lld behind %lld", (long long)offset,
          (long long)c->seen.offset);
    c->seen.count++;
    c->seen.sum += value;
    c->seen.offset = offset;
    if (s.loads) {
        CHECK(s.kept[value], "value %llu was not appended, and is there", (unsigned long long)value);
        s.found_by[value] = c->number;
        return;
    }
    s.kept[value] = true;
    s.truth = c->seen;
}

static void replay_end(void *state, int64_t producer_id, bool committed)
{
    (void)state, (void)producer_id, (void)committed;
}

// What lingered when an append failed is gone, as far as nobody was told of it.
static void find_acknowledged(const struct counting *c)
{
    for (size_t i = 0; i < s.asked_count; i++) {
        const struct asked *a = &s.asked[i];
        for (uint32_t k = 0; k < a->wish.count && a->answers == 1 && a->request.error == E_NONE; k++)
            CHECK(s.found_by[a->wish.first + k] == c->number, "value %llu was acknowledged, and is gone",
                  (unsigned long long)(a->wish.first + k));
    }
}

static void loaded(void *state, struct coordinator_now now)
{
    struct counting *c = state;
    (void)now;
    if (s.coordinator.params.linger_ms > 0) {
        find_acknowledged(c);
        s.truth = c->seen;
        return;
    }
    CHECK(c->seen.count == s.truth.count && c->seen.sum == s.truth.sum, "%llu records were loaded of %llu",
          (unsigned long long)c->seen.count, (unsigned long long)s.truth.count);
}

static void answer(struct counting *c, struct coordinator_request *r, int16_t error,
                   struct coordinator_effects *effects)
{
    r->error = error;
    r->response = NULL;
    if (error == E_NONE) {
        struct seen *out = arena_alloc(&r->arena, sizeof *out);
        CHECK(out, "no memory");
        *out = c->seen;
        r->response = out;
    }
    list_push_back(&effects->answered, &r->node);
}

static void answer_parked(struct counting *c, int16_t error, struct coordinator_effects *effects)
{
    struct list *node;
    while ((node = list_pop_front(&c->parked)))
        answer(c, container_of(node, struct coordinator_request, node), error, effects);
}

static void unload(void *state, int16_t error, struct coordinator_effects *effects)
{
    answer_parked(state, error, effects);
}

static void add(const struct wish *wish, struct coordinator_effects *effects)
{
    static uint8_t value[BIG_BYTES];
    effects->replay = true;
    effects->divisible = wish->divisible;
    for (uint32_t i = 0; i < wish->count; i++) {
        size_t size = wish->divisible ? BIG_BYTES : 8;
        uint8_t *copy = arena_alloc(&effects->arena, size);
        CHECK(copy, "no memory");
        memcpy(copy, value, size);
        store_be64(copy, wish->first + i);
        CHECK(coordinator_effects_add(effects, (struct bytes){copy, 8}, (struct bytes){copy, size}) == 0,
              "no memory");
    }
}

static void step(void *state, struct coordinator_request *r, struct coordinator_now now,
                 struct coordinator_effects *effects)
{
    struct counting *c = state;
    (void)now;
    CHECK(c->seen.count == s.truth.count && c->seen.sum == s.truth.sum,
          "a decision sees %llu records of %llu", (unsigned long long)c->seen.count,
          (unsigned long long)s.truth.count);
    if (r->kind == PARK) {
        list_push_back(&c->parked, &r->node);
    } else if (r->kind == READ) {
        answer(c, r, E_NONE, effects);
    } else {
        c->adding = r;
        add(r->message, effects);
    }
}

static void settle(void *state, int16_t error, struct coordinator_now now,
                   struct coordinator_effects *effects)
{
    struct counting *c = state;
    (void)now;
    if (c->adding)
        answer(c, c->adding, error, effects);
    c->adding = NULL;
}

// Those that are parked are answered by the timer, which is due at once.
static bool tick(void *state, struct coordinator_now now, struct coordinator_effects *effects)
{
    struct counting *c = state;
    (void)now;
    bool due = !list_empty(&c->parked);
    answer_parked(c, E_NONE, effects);
    if (due && roll(2)) {
        add(&(struct wish){.first = s.next_value, .count = 1}, effects);
        s.next_value++;
    }
    return due;
}

static int64_t next_due(const void *state)
{
    const struct counting *c = state;
    return list_empty(&c->parked) ? INT64_MAX : 0;
}

static const struct coordinator_machine machine = {.topic = "t",
                                                   .create = create,
                                                   .destroy = destroy,
                                                   .replay = replay,
                                                   .replay_end = replay_end,
                                                   .loaded = loaded,
                                                   .unload = unload,
                                                   .step = step,
                                                   .settle = settle,
                                                   .tick = tick,
                                                   .next_due = next_due};

// Requests

static void check_answer(struct asked *a)
{
    const struct seen *seen = a->request.response;
    CHECK(++a->answers == 1, "a request is answered %d times", a->answers);
    if (a->request.error == E_NONE) {
        CHECK(seen, "an answer without a response");
        CHECK(seen->offset < log_high_watermark(s.partition->log),
              "an answer that saw offset %lld leaves at high watermark %lld", (long long)seen->offset,
              (long long)log_high_watermark(s.partition->log));
        CHECK(seen->count >= a->known, "an answer saw %llu records, %llu were there when it was asked for",
              (unsigned long long)seen->count, (unsigned long long)a->known);
    }
    for (uint32_t i = 0; i < a->wish.count && a->request.error == E_NONE; i++)
        CHECK(s.kept[a->wish.first + i], "acknowledged, and not appended");
    for (uint32_t i = 0; i < a->wish.count && !a->wish.divisible; i++)
        CHECK(s.kept[a->wish.first] == s.kept[a->wish.first + i], "half of a batch was appended");
    arena_free(&a->request.arena);
}

static void complete(struct coordinator_request *r)
{
    check_answer(container_of(r, struct asked, request));
}

static void ask(void)
{
    CHECK(s.asked_count < REQUESTS && s.next_value + MOST < RECORDS * MOST, "too many requests");
    struct asked *a = &s.asked[s.asked_count++];
    // What lingered when the state was dropped nobody knows.
    bool dropped = s.coordinator.params.linger_ms > 0 && !s.shard.machine;
    *a = (struct asked){.request = {.kind = (int)roll(KINDS), .complete = complete, .reply_to = &s.loop},
                        .known = dropped ? 0 : s.truth.count};
    arena_init(&a->request.arena, 0);
    if (a->request.kind == ADD) {
        a->wish = (struct wish){
            .first = s.next_value, .count = 1 + (uint32_t)roll(MOST), .divisible = roll(6) == 0};
        s.next_value += a->wish.count;
        a->request.message = &a->wish;
    }
    if (shard_ask(&s.shard, &a->request))
        check_answer(a);
}

// Faults

static void lead(int32_t broker, int32_t in_sync)
{
    CHECK(partition_set_leader(s.partition, broker, s.epoch, in_sync) == 0, "the leader");
}

static void load(void)
{
    s.loads = true;
    shard_load(&s.shard);
    s.loads = false;
}

static void gain(void)
{
    s.epoch++;
    lead(BROKER, 1 + (int32_t)roll(2));
    if (shard_gain(&s.shard, s.partition, s.epoch) && roll(2))
        load();
}

// While a load reads, leadership goes, perhaps comes back, and perhaps the log has grown by then.
static void overtake(void)
{
    s.loads = false;
    shard_lose(&s.shard, E_NOT_COORDINATOR);
    if (roll(2))
        gain();
    if (roll(2))
        ask();
    s.loads = true;
}

static void set_max_bytes(int32_t bytes)
{
    s.config.max_message_bytes = bytes;
    partition_set_config(s.partition, &s.config);
}

static void fault(void)
{
    if (roll(3) == 0)
        shard_flush(&s.shard); // time has passed
    switch (roll(10)) {
    case 0:
        lead(STRANGER, 1); // the shard does not know yet: appends fail
        break;
    case 1:
        set_max_bytes(100);
        break;
    case 2:
        lead(BROKER, 2); // the high watermark waits for the other
        break;
    case 3:
        shard_lose(&s.shard, roll(2) ? E_NOT_COORDINATOR : E_COORDINATOR_NOT_AVAILABLE);
        break;
    case 4:
    case 5:
        gain();
        break;
    case 6:
        load();
        break;
    case 7:
        set_max_bytes(1 << 20);
        break;
    default:
        lead(BROKER, 1);
        break;
    }
}

static void open_shard(void)
{
    memset(&s, 0, sizeof s);
    snprintf(s.root, sizeof s.root, "%s/odradek-shard-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(s.root), "%s", s.root);
    s.files = file_cache_new(8);
    s.config = log_config_default();
    char message[256];
    struct log_params params = {.log_dir = s.root,
                                .flushed_size = -1,
                                .topic = "t",
                                .topic_id = {{1}},
                                .config = &s.config,
                                .clean = true,
                                .now_ms = 1000000,
                                .files = s.files};
    struct log *log;
    CHECK(log_open(&params, &log, message, sizeof message) == 0, "%s", message);
    s.partition = partition_new(STR("t"), &params.topic_id, 0, log, BROKER);
    partition_set_config(s.partition, &s.config);
    CHECK(loop_init(&s.loop, NULL) == 0, "a loop");
    s.truth.offset = -1;
}

static struct loop *loop_at(void *arg, unsigned index)
{
    (void)arg, (void)index;
    return &s.loop;
}

static void close_shard(void)
{
    shard_lose(&s.shard, E_COORDINATOR_NOT_AVAILABLE);
    for (int i = 0; i < 3; i++)
        loop_turn(&s.loop, 0);
    for (size_t i = 0; i < s.asked_count; i++)
        CHECK(s.asked[i].answers == 1, "request %zu of kind %d is answered %d times", i,
              s.asked[i].request.kind, s.asked[i].answers);
    shard_free(&s.shard);
    loop_free(&s.loop);
    log_close(s.partition->log, false);
    partition_unref(s.partition);
    file_cache_free(s.files);
    CHECK(file_remove_tree(s.root) == 0, "%s", s.root);
}

static void reload(struct shard *shard)
{
    (void)shard; // some time: load() or gain()
}

static void run(uint64_t seed)
{
    seed_now = seed;
    rng = seed * 0x9e3779b97f4a7c15 + 1;
    hash_fix_seed(rng); // and so the order in which maps are walked
    open_shard();
    s.coordinator.params = (struct coordinator_params){
        .machine = &machine, .broker_id = BROKER, .partitions = 1, .loop_at = loop_at, .loop_count = 1};
    if (seed % 2 == 0)
        s.coordinator.params.linger_ms = INT32_MAX; // until shard_flush
    s.coordinator.reload = reload;
    shard_init(&s.shard, &s.coordinator, 0);
    gain();
    for (int i = 0; i < TURNS; i++) {
        if (roll(4) == 0)
            fault();
        for (uint64_t n = roll(4); n > 0; n--)
            ask();
        if (roll(2))
            loop_turn(&s.loop, 0);
    }
    set_max_bytes(1 << 20);
    gain();
    load();
    ask();
    lead(BROKER, 1);
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
