// A seeded simulation of a metadata quorum of one: raft/ and controller/ run as they are, the disk is a model
// that loses and tears what was not flushed. After each crash the node starts anew from what the disk kept.
//
// Checked at every step: nothing acknowledged is lost, epochs only grow, no producer id comes twice, the
// controller's image is what its log gives.
//
//     sim_quorum [SEED [STEPS]]      one seed; without it, many. A failure prints its seed.
#include "base/error.h"
#include "controller/bootstrap.h"
#include "controller/controller.h"
#include "metadata/loader.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "raft/raft.h"
#include "seeded.h"

#include <string.h>

#define NODE 1

static struct uuid roll_id(void *context)
{
    (void)context;
    uint64_t parts[2] = {roll(UINT64_MAX), roll(UINT64_MAX) | 1};
    struct uuid id;
    memcpy(id.bytes, parts, sizeof id.bytes);
    return id;
}

// --- the disk ---

struct entry { // a record; those of one batch carry the same batch number and survive together
    int64_t batch;
    int32_t epoch;
    bool control;
    struct buffer value;
};

struct disk {
    struct entry *log;
    size_t count, capacity, flushed; // records; what is below `flushed` survives every crash
    int64_t batches;
    struct raft_persistent state; // quorum-state is replaced whole or not at all
};

static void disk_append(struct disk *d, const struct bytes *values, size_t count, int32_t epoch, bool control)
{
    d->batches++;
    for (size_t i = 0; i < count; i++) {
        if (d->count == d->capacity) {
            d->capacity = d->capacity ? d->capacity * 2 : 64;
            d->log = realloc(d->log, d->capacity * sizeof *d->log);
        }
        struct entry *e = &d->log[d->count++];
        *e = (struct entry){d->batches, epoch, control, BUFFER_INIT};
        buffer_append(&e->value, values[i].data, values[i].size);
    }
}

// Keeps any number of the batches that were not flushed: the kernel may have written some of them, and a torn
// one is cut off.
static void disk_crash(struct disk *d)
{
    size_t keep = d->flushed + roll(d->count - d->flushed + 1);
    while (keep > d->flushed && keep < d->count && d->log[keep].batch == d->log[keep - 1].batch)
        keep--;
    while (d->count > keep)
        buffer_free(&d->log[--d->count].value);
}

static void disk_free(struct disk *d)
{
    while (d->count)
        buffer_free(&d->log[--d->count].value);
    free(d->log);
}

// --- what the world remembers of answers ---

struct memory {
    size_t acknowledged;   // records of the log that some answer relied on
    int64_t next_producer; // no block may begin below it
    int32_t epoch;         // of the last leader
    unsigned topics_created, blocks, crashes;
};

// --- the node ---

struct node {
    struct raft raft;
    struct raft_voters voters;
    struct controller *controller;
    struct controller_effects effects;
    struct image *image;
    struct broker_config config;
    int64_t broker_epoch;
};

static void step_raft(struct node *n, struct disk *d, struct memory *m, const struct raft_event *e,
                      int64_t now_ms)
{
    struct raft_update u;
    raft_step(&n->raft, e, now_ms, &u);
    if (u.persist)
        d->state = n->raft.persistent;
    if (u.became_leader) {
        CHECK(n->raft.persistent.epoch > m->epoch, "epoch %d after %d", n->raft.persistent.epoch, m->epoch);
        m->epoch = n->raft.persistent.epoch;
        struct bytes leader_change = {(const uint8_t *)"leader", 6};
        disk_append(d, &leader_change, 1, m->epoch, true);
        struct raft_event appended = {.type = RAFT_EVENT_APPENDED, .end = (int64_t)d->count};
        step_raft(n, d, m, &appended, now_ms);
    }
}

// Appends the effects and applies them.
static void take(struct node *n, struct disk *d, struct memory *m, int64_t now_ms)
{
    size_t count = n->effects.records_count;
    struct image_record *records = calloc(count + 1, sizeof *records);
    struct buffer why = BUFFER_INIT;
    struct image *after;
    for (size_t i = 0; i < count; i++)
        records[i] = (struct image_record){(int64_t)(d->count + i), n->raft.persistent.epoch, 0,
                                           n->effects.records[i]};
    int rc = image_apply(n->image, records, count, &after, NULL, &why);
    CHECK(rc == 0, "%.*s", (int)why.size, why.data ? (char *)why.data : "");
    free(records);
    buffer_free(&why);
    if (count) {
        disk_append(d, n->effects.records, count, n->raft.persistent.epoch, false);
        struct raft_event e = {.type = RAFT_EVENT_APPENDED, .end = (int64_t)d->count};
        step_raft(n, d, m, &e, now_ms);
    }
    image_unref(n->image);
    n->image = after;
    controller_replay(n->controller, n->image);
    controller_effects_reset(&n->effects);
}

static void flush(struct node *n, struct disk *d, struct memory *m, int64_t now_ms)
{
    d->flushed = d->count;
    struct raft_event e = {.type = RAFT_EVENT_FLUSHED, .end = (int64_t)d->count};
    step_raft(n, d, m, &e, now_ms);
    CHECK(n->raft.high_watermark == (int64_t)d->count, "high watermark %lld of %zu",
          (long long)n->raft.high_watermark, d->count);
}

static struct image *replayed(const struct disk *d, bool *in_transaction)
{
    struct image_loader l;
    CHECK(image_loader_init(&l) == 0, "memory");
    for (size_t i = 0; i < d->count; i++) {
        if (d->log[i].control)
            continue;
        struct image_record r = {
            (int64_t)i, d->log[i].epoch, 0, {d->log[i].value.data, d->log[i].value.size}};
        CHECK(image_loader_add(&l, &r) == 0, "%.*s", (int)l.why.size, l.why.data ? (char *)l.why.data : "");
    }
    CHECK(image_loader_flush(&l) == 0, "%.*s", (int)l.why.size, l.why.data ? (char *)l.why.data : "");
    struct image *image = image_ref(l.image);
    *in_transaction = l.in_transaction;
    image_loader_free(&l);
    return image;
}

static void node_start(struct node *n, struct disk *d, struct memory *m, int64_t now_ms)
{
    struct uuid directory = {{7}};
    struct raft_voter self = {.replica = {NODE, directory}};
    struct str message;
    struct arena arena;
    struct bytes *bootstrap;
    size_t bootstrap_count;
    bool in_transaction;
    *n = (struct node){0};
    CHECK(d->count >= m->acknowledged, "%zu records are left of %zu acknowledged", d->count, m->acknowledged);
    CHECK(broker_config_from(&n->config, STR(""), true, NULL, 0, &message) == 0, "%.*s", STR_ARG(message));
    raft_voters_init(&n->voters);
    raft_voters_add(&n->voters, &self);
    controller_effects_init(&n->effects);
    n->image = replayed(d, &in_transaction);
    raft_init(&n->raft, NODE, &directory, &n->voters, 1000, roll(1u << 30));
    struct raft_event e = {.type = RAFT_EVENT_START,
                           .persistent = d->state,
                           .end = (int64_t)d->count,
                           .last_epoch = d->count ? d->log[d->count - 1].epoch : 0};
    step_raft(n, d, m, &e, now_ms);
    struct controller_config config = {.config = &n->config, .seed = roll(1u << 30), .new_id = roll_id};
    n->controller = controller_new(&config, n->image);
    arena_init(&arena, 0);
    CHECK(bootstrap_records(NULL, &arena, &bootstrap, &bootstrap_count) == 0, "memory");
    CHECK(controller_activate(n->controller, n->raft.persistent.epoch, (int64_t)d->count, bootstrap,
                              bootstrap_count, in_transaction, now_ms, &n->effects) == 0,
          "activation");
    take(n, d, m, now_ms);
    arena_free(&arena);
}

static void node_free(struct node *n)
{
    controller_free(n->controller);
    controller_effects_free(&n->effects);
    raft_voters_free(&n->voters);
    image_unref(n->image);
    broker_config_free(&n->config);
}

// --- requests ---

static void serve(struct node *n, struct disk *d, struct memory *m, struct controller_event *e, int16_t key,
                  int16_t version, const void *message, int64_t now_ms)
{
    CHECK(controller_event_init(e, key, version, message) == 0, "event %d", key);
    int rc = controller_step(n->controller, e, (int64_t)d->count, now_ms, &n->effects);
    CHECK(rc == 0 && e->error == E_NONE, "event %d: %d %s", key, rc, error_code_name(e->error));
    take(n, d, m, now_ms);
}

static void join(struct node *n, struct disk *d, struct memory *m, int64_t now_ms)
{
    struct controller_event e;
    struct broker_registration_request r = broker_registration_request_default;
    struct broker_registration_request_feature features[8];
    struct uuid dir = {{7}};
    r.broker_id = NODE;
    r.incarnation_id = roll_id(NULL);
    r.cluster_id = STR("c");
    r.log_dirs = &dir;
    r.log_dirs_count = 1;
    r.features = features;
    for (uint32_t i = 0; i < n->image->features_count; i++)
        features[r.features_count++] =
            (struct broker_registration_request_feature){n->image->features[i].name, 0, 30};
    serve(n, d, m, &e, 62, 4, &r, now_ms);
    const struct broker_registration_response *answer = e.response;
    CHECK(answer->error_code == E_NONE, "registration: %s", error_code_name(answer->error_code));
    n->broker_epoch = answer->broker_epoch;
    controller_event_free(&e);
    struct broker_heartbeat_request beat = broker_heartbeat_request_default;
    beat.broker_id = NODE;
    beat.broker_epoch = n->broker_epoch;
    beat.current_metadata_offset = (int64_t)d->count;
    serve(n, d, m, &e, 63, 1, &beat, now_ms);
    CHECK(!((const struct broker_heartbeat_response *)e.response)->is_fenced, "still fenced");
    controller_event_free(&e);
}

static void create_or_delete(struct node *n, struct disk *d, struct memory *m, int64_t now_ms)
{
    struct controller_event e;
    char name[16];
    snprintf(name, sizeof name, "t%d", (int)roll(12));
    bool there = image_topic(n->image, str_from(name)) != NULL;
    if (there && roll(2)) {
        struct delete_topics_request_delete_topic_state topic = {.name = str_from(name)};
        struct delete_topics_request r = delete_topics_request_default;
        r.topics = &topic;
        r.topics_count = 1;
        serve(n, d, m, &e, 20, 6, &r, now_ms);
        CHECK(((const struct delete_topics_response *)e.response)->responses[0].error_code == E_NONE,
              "delete %s", name);
        CHECK(!image_topic(n->image, str_from(name)), "%s is still there", name);
    } else {
        struct create_topics_request_creatable_topic topic = create_topics_request_creatable_topic_default;
        struct create_topics_request r = create_topics_request_default;
        topic.name = str_from(name);
        topic.num_partitions = 1 + (int32_t)roll(5);
        topic.replication_factor = 1;
        r.topics = &topic;
        r.topics_count = 1;
        serve(n, d, m, &e, 19, 7, &r, now_ms);
        int16_t error = ((const struct create_topics_response *)e.response)->topics[0].error_code;
        CHECK(error == (there ? E_TOPIC_ALREADY_EXISTS : E_NONE), "create %s: %s", name,
              error_code_name(error));
        m->topics_created += !there;
    }
    controller_event_free(&e);
}

// The block is handed out only once it is flushed; until then another may not know of it.
static int64_t producer_block(struct node *n, struct disk *d, struct memory *m, int64_t now_ms)
{
    struct controller_event e;
    struct allocate_producer_ids_request r = {NODE, n->broker_epoch};
    serve(n, d, m, &e, 67, 0, &r, now_ms);
    int64_t start = ((const struct allocate_producer_ids_response *)e.response)->producer_id_start;
    controller_event_free(&e);
    return start;
}

static void check_image(const struct node *n, const struct disk *d)
{
    bool in_transaction;
    struct image *again = replayed(d, &in_transaction);
    CHECK(!in_transaction, "a transaction is left open");
    CHECK(image_topics_count(again) == image_topics_count(n->image), "%zu topics, replayed %zu",
          image_topics_count(n->image), image_topics_count(again));
    CHECK(again->partitions_count == n->image->partitions_count, "partitions");
    CHECK(again->next_producer_id == n->image->next_producer_id, "producer ids");
    struct hamt_walk w = hamt_walk(&n->image->topics_by_id);
    for (const struct image_topic *t; (t = hamt_next(&w));) {
        const struct image_topic *u = image_topic_by_id(again, &t->id);
        CHECK(u && u->partitions_count == t->partitions_count, "topic %.*s", STR_ARG(t->name));
        for (uint32_t p = 0; p < t->partitions_count; p++)
            CHECK(u->partitions[p]->leader == t->partitions[p]->leader &&
                      u->partitions[p]->partition_epoch == t->partitions[p]->partition_epoch,
                  "%.*s-%u", STR_ARG(t->name), p);
    }
    image_unref(again);
}

static void simulate(uint64_t seed, int steps, struct memory *m)
{
    struct disk d = {.state = {0, RAFT_NOBODY, RAFT_NOBODY, {{0}}}};
    struct node n;
    int64_t now_ms = 0, promised = -1;
    seed_now = seed;
    rng = seed * 0x9e3779b97f4a7c15 | 1;
    *m = (struct memory){0};
    node_start(&n, &d, m, now_ms);
    join(&n, &d, m, now_ms);
    for (int i = 0; i < steps; i++) {
        now_ms += (int64_t)roll(50);
        switch (roll(10)) {
        case 0: // crash: what was not flushed may be gone, and so is every promise that was not answered
            node_free(&n);
            disk_crash(&d);
            m->crashes++;
            promised = -1;
            node_start(&n, &d, m, now_ms);
            if (roll(4)) // or it crashes again before it has joined
                join(&n, &d, m, now_ms);
            break;
        case 1:
        case 2:
            flush(&n, &d, m, now_ms);
            m->acknowledged = d.count;
            if (promised >= 0) {
                CHECK(promised >= m->next_producer, "producer ids from %lld again", (long long)promised);
                m->next_producer = promised + 1000;
                m->blocks++;
                promised = -1;
            }
            break;
        case 3:
            if (promised < 0 && image_broker(n.image, NODE) && !image_broker(n.image, NODE)->fenced &&
                n.broker_epoch == image_broker(n.image, NODE)->epoch)
                promised = producer_block(&n, &d, m, now_ms);
            break;
        default:
            if (image_broker(n.image, NODE) && !image_broker(n.image, NODE)->fenced)
                create_or_delete(&n, &d, m, now_ms);
        }
        if (i % 16 == 0)
            check_image(&n, &d);
    }
    node_free(&n);
    disk_free(&d);
}

int main(int argc, char **argv)
{
    uint64_t from = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, to = argc > 1 ? from : 60;
    int steps = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 400;
    struct memory total = {0};
    for (uint64_t seed = from; seed <= to; seed++) {
        struct memory m;
        simulate(seed, steps, &m);
        total.crashes += m.crashes;
        total.topics_created += m.topics_created;
        total.blocks += m.blocks;
    }
    printf("%llu seeds, %u crashes, %u topics created, %u blocks of producer ids\n",
           (unsigned long long)(to - from + 1), total.crashes, total.topics_created, total.blocks);
    return 0;
}
