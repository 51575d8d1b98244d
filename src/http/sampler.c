#include "http/sampler.h"

#include "base/clock.h"
#include "http/groups.h"
#include "http/keys.h"
#include "http/logdirs.h"
#include "http/offsets.h"
#include "http/overview.h"
#include "os/thread.h"
#include "protocol/messages.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PERIOD_MS    1000
#define LOOK_MS      10000 // a question counts as looking for so long
#define SLOW_EVERY   3     // samples, until what is asked of the broker is asked again
#define GROUPS_SHOWN 100
#define TXN_OPEN_MS  60000

enum life { IDLE, RUNS, ENDED };

struct sampler {
    const struct http_params *broker;
    int64_t start_time_ms;
    pthread_mutex_t lock; // guards everything up to the thread's own
    pthread_cond_t changed;
    struct thread thread;
    enum life life;
    bool stopping;
    unsigned viewers;
    int64_t look_until_ms;
    uint64_t sequence;
    char *text;               // the latest overview; NULL: none
    struct reading *readings; // two of them, while the thread runs
    const struct reading *latest;

    // The thread's own.
    struct slow_facts slow;
    uint64_t refused;
    int64_t refused_ms;
};

struct sampler *sampler_new(const struct http_params *broker)
{
    struct sampler *s = calloc(1, sizeof *s);
    pthread_condattr_t monotonic;
    if (!s)
        return NULL;
    s->broker = broker;
    s->start_time_ms = clock_wall_ms();
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return s;
}

// [lock] Waits for a change, or until then. False: it is then.
static bool wait_until(struct sampler *s, int64_t until_ms)
{
    struct timespec t = {until_ms / 1000, until_ms % 1000 * 1000000};
    return pthread_cond_timedwait(&s->changed, &s->lock, &t) != ETIMEDOUT;
}

// ---------------------------------------------------------------- the thread

static void drop_slow(struct slow_facts *slow)
{
    json_decref(slow->log_dirs);
    json_decref(slow->groups);
    json_decref(slow->transactions);
    json_decref(slow->brokers);
    *slow = (struct slow_facts){0};
}

static void read_topics(struct http_request *r, struct slow_facts *out)
{
    struct metadata_response metadata;
    if (!http_metadata(r, STR_NULL, &metadata))
        return;
    out->topics = metadata.topics_count;
    for (int32_t t = 0; t < metadata.topics_count; t++) {
        const struct metadata_response_metadata_response_topic *topic = &metadata.topics[t];
        out->partitions += topic->partitions_count;
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            out->offline += topic->partitions[p].leader_id < 0;
            out->under_replicated +=
                topic->partitions[p].isr_nodes_count < topic->partitions[p].replica_nodes_count;
        }
    }
}

static void read_brokers(struct http_request *r, struct slow_facts *out)
{
    struct describe_cluster_request request = describe_cluster_request_default;
    struct describe_cluster_response response;
    request.include_fenced_brokers = true;
    if (!http_call(r, KEY_DESCRIBE_CLUSTER, 2, &request, &response))
        return;
    out->brokers = json_array();
    for (int32_t i = 0; i < response.brokers_count; i++)
        json_array_append_new(out->brokers, json_pack("{s:i, s:b}", "id", response.brokers[i].broker_id,
                                                      "fenced", response.brokers[i].is_fenced));
}

static void read_transactions(struct http_request *r, struct slow_facts *out)
{
    static struct str ongoing = STR("Ongoing");
    struct list_transactions_request request = list_transactions_request_default;
    struct list_transactions_response response;
    request.state_filters = &ongoing;
    request.state_filters_count = 1;
    request.duration_filter = TXN_OPEN_MS;
    if (!http_call(r, KEY_LIST_TRANSACTIONS, 1, &request, &response))
        return;
    out->transactions = json_array();
    for (int32_t i = 0; i < response.transaction_states_count; i++)
        json_array_append_new(
            out->transactions,
            json_pack("{s:o}", "id", http_text(response.transaction_states[i].transactional_id)));
}

// A question that fails leaves its part out; the next sample asks again.
static void read_slow(struct sampler *s)
{
    struct http_request r = {.broker = s->broker, .client.fd = -1};
    int32_t groups = 0;
    int64_t others_lag;
    arena_init(&r.arena, 0);
    drop_slow(&s->slow);
    read_topics(&r, &s->slow);
    read_brokers(&r, &s->slow);
    read_transactions(&r, &s->slow);
    s->slow.log_dirs = http_logdirs_json(&r);
    s->slow.groups = groups_load(&r, GROUPS_SHOWN, &groups, &others_lag);
    s->slow.group_count = groups;
    client_close(&r.client);
    arena_free(&r.arena);
    free(r.content);
}

static void read_now(struct sampler *s, struct reading *out)
{
    loads_free(&out->loads);
    arena_reset(&out->arena);
    out->at_us = clock_monotonic_us();
    loads_read(&out->loads, s->broker, STR_NULL, &out->arena);
    s->broker->counters(s->broker->context, &out->counters);
    for (int16_t key = 0; key < OVERVIEW_APIS; key++)
        if (!s->broker->latency(s->broker->context, key, &out->apis[key]))
            out->apis[key].count = 0;
    s->broker->latency(s->broker->context, HTTP_DELIVERY, &out->delivery);
}

// Takes a sample into `now`, which nobody reads.
static void sample(struct sampler *s, const struct reading *before, struct reading *now)
{
    if (s->sequence % SLOW_EVERY == 0)
        read_slow(s);
    read_now(s, now);
    int64_t time_ms = clock_wall_ms();
    if (before) {
        loads_measure(&now->loads, &before->loads, (double)(now->at_us - before->at_us) / 1e6);
        if (now->counters.connections_refused > s->refused)
            s->refused_ms = time_ms;
    }
    s->refused = now->counters.connections_refused;
    struct overview_facts facts = {.time_ms = time_ms,
                                   .start_time_ms = s->start_time_ms,
                                   .before = before,
                                   .now = now,
                                   .slow = &s->slow,
                                   .refused_ms = s->refused_ms};
    json_t *overview = overview_json(&facts);
    char *text = json_dumps(overview, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(overview);
    pthread_mutex_lock(&s->lock);
    free(s->text);
    s->text = text;
    s->latest = now;
    s->sequence++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

// [lock] Until the next sample is due. False: nobody looks any more, or the server stops.
static bool wait_for_next(struct sampler *s, int64_t due_ms)
{
    for (;;) {
        if (s->stopping || (s->viewers == 0 && clock_monotonic_ms() > s->look_until_ms))
            return false;
        if (!wait_until(s, due_ms))
            return !s->stopping;
    }
}

static void run(void *context)
{
    struct sampler *s = context;
    const struct reading *before = NULL;
    int64_t due_ms = clock_monotonic_ms();
    bool goes_on = true;
    s->refused_ms = 0;
    for (int i = 0; goes_on; i = 1 - i) {
        sample(s, before, &s->readings[i]);
        before = &s->readings[i];
        due_ms += PERIOD_MS;
        if (due_ms < clock_monotonic_ms())
            due_ms = clock_monotonic_ms();
        pthread_mutex_lock(&s->lock);
        goes_on = wait_for_next(s, due_ms);
        if (!goes_on) {
            s->latest = NULL;
            free(s->text);
            s->text = NULL;
            s->life = ENDED;
        }
        pthread_mutex_unlock(&s->lock);
    }
    drop_slow(&s->slow);
    for (int i = 0; i < 2; i++) {
        loads_free(&s->readings[i].loads);
        arena_free(&s->readings[i].arena);
    }
    free(s->readings);
    s->readings = NULL;
}

// [lock]
static void start(struct sampler *s)
{
    if (s->life == RUNS || s->stopping)
        return;
    if (s->life == ENDED)
        thread_join(&s->thread); // it does not take the lock any more
    s->life = IDLE;
    s->readings = calloc(2, sizeof *s->readings);
    if (!s->readings)
        return;
    arena_init(&s->readings[0].arena, 0);
    arena_init(&s->readings[1].arena, 0);
    if (thread_start(&s->thread, "sampler", run, s) == 0) {
        s->life = RUNS;
        return;
    }
    free(s->readings);
    s->readings = NULL;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    bool started = s->life != IDLE;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (started)
        thread_join(&s->thread);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

// ---------------------------------------------------------------- who looks

void sampler_enter(struct sampler *s)
{
    pthread_mutex_lock(&s->lock);
    s->viewers++;
    start(s);
    pthread_mutex_unlock(&s->lock);
}

void sampler_leave(struct sampler *s)
{
    pthread_mutex_lock(&s->lock);
    s->viewers--;
    pthread_mutex_unlock(&s->lock);
}

// [lock]
static void look(struct sampler *s)
{
    s->look_until_ms = clock_monotonic_ms() + LOOK_MS;
    start(s);
}

uint64_t sampler_read(struct sampler *s, uint64_t after, int wait_ms, struct buffer *out)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    uint64_t number = 0;
    pthread_mutex_lock(&s->lock);
    look(s);
    while ((!s->text || s->sequence <= after) && !s->stopping && wait_until(s, until_ms))
        ;
    if (s->text && s->sequence > after) {
        number = s->sequence;
        buffer_text(out, s->text);
    }
    pthread_mutex_unlock(&s->lock);
    return number;
}

void sampler_rates(struct sampler *s, struct loads *loads)
{
    struct map_entry *e;
    pthread_mutex_lock(&s->lock);
    look(s);
    for (size_t i = 0; s->latest && (e = map_next(&loads->topics, &i));) {
        struct topic_load *to = e->value;
        const struct topic_load *from = loads_topic(&s->latest->loads, to->name);
        if (from)
            load_take_rates(&to->all, &from->all);
        for (int32_t p = 0; from && p < to->count; p++)
            if (loads_partition(from, p))
                load_take_rates(&to->partitions[p], loads_partition(from, p));
    }
    pthread_mutex_unlock(&s->lock);
}
