// Fetch (KIP-227 sessions, KIP-320 epochs, KIP-516 topic ids): find what each partition has, wait until that
// is enough, and send it out of the segment files.
//
// The items stand in the order of the context's targets. While a request waits it holds no file: it remembers
// how many bytes each item had, and each item's waiter fires when there is more.
#include "base/error.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/handlers.h"
#include "server/handlers/leader_hint.h"

#include <stdlib.h>

#define RECORDS_MAX_BYTES     (INT32_MAX - (64 << 20)) // a response's length has 31 bits, and has room for more
#define FRAME_LENGTH_BYTES    4
#define TOPIC_ID_VERSION      13
#define REPLICA_STATE_VERSION 15
#define LEADER_HINT_VERSION   16

// Where a partition stands in the response, in Kafka's order.
enum place { PLACE_READABLE, PLACE_UNKNOWN_ID, PLACE_REFUSED, PLACES };

struct item {
    const struct fetch_target *target;
    struct fetch *fetch;
    struct str topic;            // as the answer names it
    struct partition *partition; // referenced; NULL when `error` says why
    int16_t error;
    enum place place; // not PLACE_READABLE: refused before anything was read, which does not end a wait
    bool cut;         // its first batch did not fit: nothing of it is sent
    bool diverging;
    int32_t diverging_epoch;
    int64_t diverging_end_offset;
    int64_t high_watermark, last_stable_offset, log_start_offset;
    struct log_slice read;
    struct slice out; // what the connection sends: the same range
    size_t bytes;
    struct log_aborted *aborted;
    size_t aborted_count;
    struct partition_waiter waiter;
    atomic_bool fired; // set by the waker
};

struct fetch {
    struct request *request;
    struct fetch_context context;
    struct item *items;
    size_t count;
    size_t min_bytes, max_bytes;
    int64_t max_wait_ms;
    enum log_bound bound;
    struct request_work loading;
    struct task progress;
    _Atomic(const struct reactor *) woken_by; // the last waker; NULL: not a reactor
    struct loop_timer timeout;
};

// Reading

static int64_t bound_of(const struct fetch *f, const struct log_offsets *o)
{
    return f->bound == LOG_BOUND_LAST_STABLE ? o->last_stable_offset
           : f->bound == LOG_BOUND_END       ? o->end_offset
                                             : o->high_watermark;
}

static void item_fail(struct item *item, int16_t error)
{
    item->error = error;
    item->high_watermark = item->last_stable_offset = item->log_start_offset = -1;
    item->bytes = 0;
}

static void item_release_read(struct item *item)
{
    log_slice_release(&item->read);
    item->read = (struct log_slice){.fd = -1};
    free(item->aborted);
    item->aborted = NULL;
    item->aborted_count = 0;
    item->bytes = 0;
}

// KIP-320: the reader's last epoch ended earlier here than where it wants to go on: it has to truncate.
static int16_t check_divergence(struct item *item)
{
    const struct fetch_target *t = item->target;
    item->diverging = false;
    if (t->last_fetched_epoch < 0)
        return E_NONE;
    int32_t epoch;
    int64_t end_offset;
    log_end_offset_for_epoch(item->partition->log, t->last_fetched_epoch, &epoch, &end_offset);
    if (epoch < 0 || end_offset < 0)
        return E_OFFSET_OUT_OF_RANGE;
    if (epoch < t->last_fetched_epoch || end_offset < t->fetch_offset) {
        item->diverging = true;
        item->diverging_epoch = epoch;
        item->diverging_end_offset = end_offset;
    }
    return E_NONE;
}

static int read_error(int rc)
{
    return rc == ERR_RANGE   ? E_OFFSET_OUT_OF_RANGE
           : rc == ERR_NOMEM ? E_UNKNOWN_SERVER_ERROR
                             : E_KAFKA_STORAGE_ERROR;
}

// Reads one partition within `limit` bytes (its first batch whole in any case when min_one).
static void item_read(struct fetch *f, struct item *item, size_t limit, bool min_one)
{
    const struct fetch_target *t = item->target;
    item_release_read(item);
    item->error = partition_check_leader(item->partition, t->current_leader_epoch);
    if (item->error == E_NONE)
        item->error = check_divergence(item);
    if (item->error == E_NONE && t->max_bytes < 0)
        item->error = E_UNKNOWN_SERVER_ERROR; // as Kafka answers a negative size
    if (item->error != E_NONE) {
        item_fail(item, item->error);
        return;
    }
    struct log *log = item->partition->log;
    struct log_offsets o;
    log_offsets(log, &o);
    item->high_watermark = o.high_watermark;
    item->last_stable_offset = o.last_stable_offset;
    item->log_start_offset = o.log_start_offset;
    if (item->diverging)
        return;
    size_t max_bytes = (size_t)t->max_bytes < limit ? (size_t)t->max_bytes : limit;
    int rc = log_read(log, t->fetch_offset, max_bytes, f->bound, min_one, &item->read);
    if (rc) {
        item->read = (struct log_slice){.fd = -1};
        item_fail(item, (int16_t)read_error(rc));
        return;
    }
    // Part of a batch is of no use to the reader. To Kafka nothing is cut where nothing may be read.
    bool partial = item->read.first_batch_size > item->read.size;
    item->cut = partial && max_bytes > 0;
    if (f->bound == LOG_BOUND_LAST_STABLE && !item->cut &&
        log_aborted_in_slice(log, t->fetch_offset, &item->read, &item->aborted, &item->aborted_count)) {
        item_release_read(item);
        item_fail(item, E_KAFKA_STORAGE_ERROR);
        return;
    }
    if (partial)
        log_slice_release(&item->read);
    else
        item->bytes = item->read.size;
}

// Whether an answer may go out at once, whatever min_bytes says.
static bool item_is_urgent(const struct item *item)
{
    return item->place == PLACE_READABLE && (item->error != E_NONE || item->diverging);
}

// Reads all items that may have something; returns the bytes in all. *urgent: do not wait.
static size_t read_all(struct fetch *f, bool again, bool *urgent)
{
    size_t limit = f->max_bytes, total = 0;
    bool min_one = true;
    *urgent = false;
    for (size_t i = 0; i < f->count; i++) {
        struct item *item = &f->items[i];
        if (item->place != PLACE_READABLE)
            continue;
        // After a wait, what has not moved is as it was.
        if (!again || item->bytes > 0 || atomic_load(&item->fired))
            item_read(f, item, limit, min_one);
        *urgent |= item_is_urgent(item);
        min_one &= item->bytes == 0;
        limit -= item->bytes < limit ? item->bytes : limit;
        total += item->bytes;
    }
    return total;
}

// Answering

static void release(struct fetch *f)
{
    for (size_t i = 0; i < f->count; i++) {
        partition_wait_cancel(&f->items[i].waiter);
        partition_unref(f->items[i].partition);
        f->items[i].partition = NULL;
    }
    reactor_cancel(f->request->reactor, &f->progress);
    reactor_timer_cancel(f->request->reactor, &f->timeout);
    fetch_context_close(&f->context);
}

static void release_out(struct slice *slice)
{
    struct item *item = container_of(slice, struct item, out);
    log_slice_release(&item->read);
}

static void out_failed(struct slice *slice)
{
    const struct item *item = container_of(slice, struct item, out);
    log_slice_failed(&item->read);
}

static int fill_aborted(struct fetch *f, struct item *item, struct fetch_response_partition_data *out)
{
    if (f->bound != LOG_BOUND_LAST_STABLE || item->error != E_NONE || item->diverging || item->cut)
        return 0; // null: the default
    out->aborted_transactions =
        fetch_response_aborted_transaction_new(&f->request->arena, (int32_t)item->aborted_count);
    if (!out->aborted_transactions)
        return ERR_NOMEM;
    out->aborted_transactions_count = (int32_t)item->aborted_count;
    for (size_t i = 0; i < item->aborted_count; i++) {
        out->aborted_transactions[i].producer_id = item->aborted[i].producer_id;
        out->aborted_transactions[i].first_offset = item->aborted[i].first_offset;
    }
    return 0;
}

static int fill_partition(struct fetch *f, struct item *item, struct fetch_response_partition_data *out)
{
    out->partition_index = item->target->partition;
    out->error_code = item->error;
    out->high_watermark = item->high_watermark;
    out->last_stable_offset = item->last_stable_offset;
    out->log_start_offset = item->log_start_offset;
    if (item->place == PLACE_READABLE)
        out->aborted_transactions_count =
            -1; // null where nothing was looked up; Kafka's refusals have the default
    if (item->diverging) {
        out->diverging_epoch.epoch = item->diverging_epoch;
        out->diverging_epoch.end_offset = item->diverging_end_offset;
    }
    out->records = (struct records){.data = (const uint8_t *)"", .size = item->bytes};
    if (item->bytes > 0) {
        item->out = (struct slice){.fd = item->read.fd,
                                   .position = item->read.position,
                                   .size = item->bytes,
                                   .may_be_cold = !item->read.recent,
                                   .release = release_out,
                                   .failed = out_failed};
        out->records.data = NULL;
        out->records.external = &item->out;
    }
    int rc = fill_aborted(f, item, out);
    free(item->aborted);
    item->aborted = NULL;
    return rc;
}

// Puts the included items of one place behind those that are there; items of one topic that follow each other
// share an entry.
static int add_items(struct fetch *f, const bool *include, enum place place, struct fetch_response *response,
                     struct fetch_response_partition_data *partitions, size_t *used)
{
    bool ids = f->request->version >= TOPIC_ID_VERSION;
    for (size_t i = 0; i < f->count; i++) {
        struct item *item = &f->items[i];
        if (!include[i] || item->place != place)
            continue;
        struct fetch_response_fetchable_topic_response *topic =
            response->responses_count ? &response->responses[response->responses_count - 1] : NULL;
        if (!topic || (ids ? !uuid_equal(&topic->topic_id, &item->target->topic_id)
                           : !str_equal(topic->topic, item->topic))) {
            topic = &response->responses[response->responses_count++];
            topic->topic = item->topic;
            topic->topic_id = item->target->topic_id;
            topic->partitions = &partitions[*used];
        }
        topic->partitions_count++;
        if (fill_partition(f, item, &partitions[(*used)++]))
            return ERR_NOMEM;
    }
    return 0;
}

static int add_leader_hints(struct fetch *f, struct fetch_response *response)
{
    if (f->request->version < LEADER_HINT_VERSION)
        return 0;
    struct leader_hints hints;
    leader_hints_init(&hints, f->request);
    for (int32_t t = 0; t < response->responses_count; t++) {
        for (int32_t i = 0; i < response->responses[t].partitions_count; i++) {
            struct fetch_response_partition_data *p = &response->responses[t].partitions[i];
            if (p->error_code == E_NOT_LEADER_OR_FOLLOWER || p->error_code == E_FENCED_LEADER_EPOCH)
                leader_hints_add(&hints, &response->responses[t].topic_id, p->partition_index,
                                 &p->current_leader.leader_id, &p->current_leader.leader_epoch);
        }
    }
    if (hints.count == 0)
        return 0;
    response->node_endpoints = fetch_response_node_endpoint_new(&f->request->arena, (int32_t)hints.count);
    if (!response->node_endpoints)
        return ERR_NOMEM;
    for (size_t i = 0; i < hints.count; i++) {
        struct fetch_response_node_endpoint *n = &response->node_endpoints[response->node_endpoints_count++];
        n->node_id = hints.nodes[i].id;
        n->host = hints.nodes[i].host;
        n->port = hints.nodes[i].port;
        n->rack = hints.nodes[i].rack;
    }
    return 0;
}

// Kafka cannot build a response in which anything follows a topic id of zeros, and answers the request with
// an error.
static bool follows_zero_id(const struct fetch *f, const bool *include)
{
    bool zero = false;
    if (f->request->version < TOPIC_ID_VERSION)
        return false;
    for (enum place place = 0; place < PLACES; place++) {
        for (size_t i = 0; i < f->count; i++) {
            if (!include[i] || f->items[i].place != place)
                continue;
            if (zero)
                return true;
            zero = uuid_is_zero(&f->items[i].target->topic_id);
        }
    }
    return false;
}

// The response's partitions: those of the items that are included.
static int fill_response(struct fetch *f, const bool *include, struct fetch_response *response)
{
    struct arena *arena = &f->request->arena;
    response->responses = fetch_response_fetchable_topic_response_new(arena, (int32_t)f->count);
    struct fetch_response_partition_data *partitions =
        fetch_response_partition_data_new(arena, (int32_t)f->count);
    if (!response->responses || !partitions)
        return ERR_NOMEM;
    size_t used = 0;
    int rc = 0;
    for (enum place place = 0; place < PLACES && !rc; place++)
        rc = add_items(f, include, place, response, partitions, &used);
    return rc ? rc : add_leader_hints(f, response);
}

static void empty_response(struct fetch *f, struct fetch_response *response)
{
    for (size_t i = 0; i < f->count; i++)
        item_release_read(&f->items[i]);
    response->responses_count = response->node_endpoints_count = 0;
}

// A response to a client with a limit. Its size is charged; where that, or the request's time, is too much,
// the response is empty, and the size counts as not sent.
static int build_limited_response(struct fetch *f, const struct fetch_outcome *outcomes, bool *include,
                                  struct fetch_response *response)
{
    struct request *r = f->request;
    fetch_context_preview(&f->context, outcomes, include);
    bool refused = follows_zero_id(f, include);
    size_t inline_bytes = 0, external_bytes = 0;
    for (size_t i = 0; i < f->count; i++)
        if (!include[i] || refused)
            item_release_read(&f->items[i]);
    int rc = refused ? 0 : fill_response(f, include, response);
    if (rc == 0)
        rc = message_size(&fetch_response_type, r->version, response, &inline_bytes, &external_bytes);
    if (rc)
        return rc;
    double size = (double)(FRAME_LENGTH_BYTES + inline_bytes + external_bytes);
    request_charge_time(r);
    request_throttle(r, request_charge(r, QUOTA_CONSUMER_BYTE_RATE, size));
    if (r->throttle_ms > 0) {
        request_charge(r, QUOTA_CONSUMER_BYTE_RATE, -size);
        empty_response(f, response);
        response->session_id = fetch_context_throttle(&f->context, &response->error_code);
        return 0;
    }
    response->session_id = fetch_context_finish(&f->context, outcomes, include, reactor_now_ms(r->reactor),
                                                &response->error_code);
    if (response->error_code != E_NONE || refused)
        empty_response(f, response);
    if (refused) {
        response->session_id = 0;
        response->error_code = E_UNKNOWN_SERVER_ERROR;
    }
    return 0;
}

static int build_response(struct fetch *f, struct fetch_response *response)
{
    struct arena *arena = &f->request->arena;
    message_init(&fetch_response_type, response);
    struct fetch_outcome *outcomes = arena_zalloc(arena, f->count, sizeof *outcomes);
    bool *include = arena_zalloc(arena, f->count, sizeof *include);
    if (!outcomes || !include)
        return ERR_NOMEM;
    for (size_t i = 0; i < f->count; i++) {
        const struct item *item = &f->items[i];
        outcomes[i] = (struct fetch_outcome){.high_watermark = item->high_watermark,
                                             .log_start_offset = item->log_start_offset,
                                             .records_bytes = item->bytes,
                                             .error = item->error,
                                             .always = item->diverging};
    }
    struct quota_limit limit;
    bool bytes_limited = request_limit(f->request, QUOTA_CONSUMER_BYTE_RATE, &limit);
    if (!f->context.from_follower &&
        (bytes_limited || request_limit(f->request, QUOTA_REQUEST_PERCENTAGE, &limit)))
        return build_limited_response(f, outcomes, include, response);
    response->session_id = fetch_context_finish(&f->context, outcomes, include,
                                                reactor_now_ms(f->request->reactor), &response->error_code);
    bool refused = follows_zero_id(f, include);
    for (size_t i = 0; i < f->count; i++)
        if (!include[i] || refused)
            item_release_read(&f->items[i]);
    if (refused) {
        response->session_id = 0;
        response->error_code = E_UNKNOWN_SERVER_ERROR;
        return 0;
    }
    return fill_response(f, include, response);
}

static void count_delivered(struct fetch *f)
{
    for (size_t i = 0; i < f->count && !f->context.from_follower; i++) {
        struct item *item = &f->items[i];
        if (item->bytes > 0 && item->partition)
            request_delivered(f->request, &item->partition->traffic, item->bytes, atomic_load(&item->fired));
    }
}

static void answer(struct fetch *f)
{
    struct fetch_response response;
    int rc = build_response(f, &response);
    if (rc == 0)
        count_delivered(f);
    release(f);
    if (rc == 0 && request_respond(f->request, &response) == 0)
        return;
    for (size_t i = 0; i < f->count; i++)
        item_release_read(&f->items[i]);
    if (rc)
        request_close(f->request, "out of memory for the response to Fetch");
}

// Waiting

static void wake(struct partition_waiter *waiter)
{
    struct item *item = container_of(waiter, struct item, waiter);
    struct fetch *f = item->fetch;
    atomic_store_explicit(&f->woken_by, reactor_current(), memory_order_relaxed);
    atomic_store(&item->fired, true);
    reactor_post(f->request->reactor, &f->progress);
}

static void item_measure(struct fetch *f, struct item *item)
{
    size_t most = (size_t)item->target->max_bytes;
    size_t bytes = (size_t)log_readable_bytes(item->partition->log, item->target->fetch_offset, f->bound,
                                              (int64_t)f->min_bytes);
    item->bytes = bytes < most ? bytes : most;
}

// Lets the item's waiter fire when its partition has more than what is measured here. False: it has already.
static bool item_wait(struct fetch *f, struct item *item)
{
    static const enum partition_wait kinds[] = {[LOG_BOUND_HIGH_WATERMARK] = PARTITION_WAIT_HIGH_WATERMARK,
                                                [LOG_BOUND_LAST_STABLE] = PARTITION_WAIT_LAST_STABLE,
                                                [LOG_BOUND_END] = PARTITION_WAIT_END};
    struct log_offsets o;
    log_offsets(item->partition->log, &o);
    item->waiter =
        (struct partition_waiter){.kind = kinds[f->bound], .offset = bound_of(f, &o), .wake = wake};
    list_init(&item->waiter.node);
    item_measure(f, item);
    return partition_wait(item->partition, &item->waiter);
}

static size_t bytes_known(const struct fetch *f)
{
    size_t total = 0;
    for (size_t i = 0; i < f->count; i++)
        total += f->items[i].bytes;
    return total;
}

// The wait is over: reads what is there now.
static void complete(struct fetch *f)
{
    bool urgent;
    read_all(f, true, &urgent);
    answer(f);
}

// Lets the item wait on, measuring it anew. *total follows its bytes. False: the fetch has to be answered,
// with enough bytes or because its partition is not served here any more.
static bool item_wait_on(struct fetch *f, struct item *item, size_t *total)
{
    partition_wait_cancel(&item->waiter);
    for (;;) {
        *total -= item->bytes;
        bool waits = item_wait(f, item);
        *total += item->bytes;
        if (waits)
            return true;
        if (*total >= f->min_bytes || partition_check_leader(item->partition, -1) != E_NONE)
            return false;
    }
}

// Something moved: enough?
static void on_progress(struct task *task)
{
    struct fetch *f = container_of(task, struct fetch, progress);
    bool waits = true;
    for (size_t i = 0; i < f->count; i++) {
        struct item *item = &f->items[i];
        if (item->place != PLACE_READABLE || !atomic_load(&item->fired))
            continue;
        item_measure(f, item);
        waits &= partition_check_leader(item->partition, item->target->current_leader_epoch) == E_NONE;
    }
    size_t total = bytes_known(f);
    for (size_t i = 0; i < f->count && waits && total < f->min_bytes; i++) {
        struct item *item = &f->items[i];
        if (item->place == PLACE_READABLE && atomic_load(&item->fired))
            waits = item_wait_on(f, item, &total);
    }
    if (waits && total < f->min_bytes)
        return;
    request_woken_by(f->request, atomic_load_explicit(&f->woken_by, memory_order_relaxed));
    complete(f);
}

static void on_timeout(struct loop_timer *timer)
{
    complete(container_of(timer, struct fetch, timeout));
}

static void on_cancel(struct request *r)
{
    struct fetch *f = r->parked;
    for (size_t i = 0; i < f->count; i++)
        item_release_read(&f->items[i]);
    release(f);
}

// Names may be views of the request or of the image.
static void keep_names(struct fetch *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct item *item = &f->items[i];
        item->topic = arena_str(&f->request->arena, item->topic);
        f->context.targets[i].topic = item->topic;
    }
}

static void park(struct fetch *f)
{
    struct request *r = f->request;
    keep_names(f);
    for (size_t i = 0; i < f->count; i++) {
        struct item *item = &f->items[i];
        size_t had = item->bytes;
        item_release_read(item);
        item->bytes = had;
    }
    request_release_input(r);
    reactor_timer_arm(r->reactor, &f->timeout, reactor_now_ms(r->reactor) + f->max_wait_ms);
    request_park(r, PARK_POLL, on_cancel, f);
    bool moved = false;
    for (size_t i = 0; i < f->count; i++) {
        struct item *item = &f->items[i];
        if (item->place != PLACE_READABLE || item_wait(f, item))
            continue;
        atomic_store(&item->fired, true);
        moved = true;
    }
    if (moved || bytes_known(f) >= f->min_bytes)
        reactor_post(r->reactor, &f->progress);
}

// The request

static int collect_targets(struct request *r, const struct fetch_request *m,
                           struct fetch_context_request *out)
{
    size_t total = 0, forgotten = 0;
    for (int32_t t = 0; t < m->topics_count; t++)
        total += (size_t)m->topics[t].partitions_count;
    for (int32_t t = 0; t < m->forgotten_topics_data_count; t++)
        forgotten += (size_t)m->forgotten_topics_data[t].partitions_count;
    struct fetch_target *targets = arena_zalloc(&r->arena, total + forgotten + 1, sizeof *targets),
                        *at = targets;
    if (!targets)
        return ERR_NOMEM;
    for (int32_t t = 0; t < m->topics_count; t++) {
        for (int32_t i = 0; i < m->topics[t].partitions_count; i++) {
            const struct fetch_request_fetch_partition *p = &m->topics[t].partitions[i];
            *at++ = (struct fetch_target){.topic_id = m->topics[t].topic_id,
                                          .topic = m->topics[t].topic,
                                          .partition = p->partition,
                                          .max_bytes = p->partition_max_bytes,
                                          .fetch_offset = p->fetch_offset,
                                          .log_start_offset = p->log_start_offset,
                                          .current_leader_epoch = p->current_leader_epoch,
                                          .last_fetched_epoch = p->last_fetched_epoch};
        }
    }
    out->targets = targets;
    out->targets_count = total;
    out->forgotten = at;
    out->forgotten_count = forgotten;
    for (int32_t t = 0; t < m->forgotten_topics_data_count; t++)
        for (int32_t i = 0; i < m->forgotten_topics_data[t].partitions_count; i++)
            *at++ = (struct fetch_target){.topic_id = m->forgotten_topics_data[t].topic_id,
                                          .topic = m->forgotten_topics_data[t].topic,
                                          .partition = m->forgotten_topics_data[t].partitions[i]};
    return 0;
}

// Finds the item's partition, or says why it cannot be read.
static void resolve(struct fetch *f, struct item *item, const struct image *image)
{
    struct request *r = f->request;
    const struct image_topic *topic;
    bool ids = r->version >= TOPIC_ID_VERSION;
    if (ids)
        topic = image_topic_by_id(image, &item->target->topic_id);
    else
        topic = image_topic(image, item->target->topic);
    item->topic = topic ? topic->name : ids ? STR("") : item->target->topic;
    int16_t error = E_NONE;
    if (ids && !topic) {
        error = E_UNKNOWN_TOPIC_ID;
    } else if (!request_authorize(r, ACL_READ, RESOURCE_TOPIC, item->topic)) {
        error = E_TOPIC_AUTHORIZATION_FAILED;
    } else if (!topic || !image_partition(topic, item->target->partition)) {
        error = E_UNKNOWN_TOPIC_OR_PARTITION;
    } else {
        item->partition =
            replica_manager_find(broker_of(r)->replicas, topic, item->target->partition, &error);
    }
    if (error != E_NONE) {
        item_fail(item, error);
        item->place = error == E_UNKNOWN_TOPIC_ID ? PLACE_UNKNOWN_ID : PLACE_REFUSED;
    }
}

static int32_t replica_id(const struct request *r, const struct fetch_request *m)
{
    return r->version >= REPLICA_STATE_VERSION ? m->replica_state.replica_id : m->replica_id;
}

static int open_fetch(struct fetch *f)
{
    struct request *r = f->request;
    const struct fetch_request *m = r->message;
    struct broker *b = broker_of(r);
    struct fetch_context_request open = {.session_id = m->session_id,
                                         .session_epoch = m->session_epoch,
                                         .uses_topic_ids = r->version >= TOPIC_ID_VERSION,
                                         .from_follower = replica_id(r, m) >= 0,
                                         .now_ms = reactor_now_ms(r->reactor)};
    if (collect_targets(r, m, &open) || fetch_context_open(&f->context, b->fetch_sessions, &open, &r->arena))
        return ERR_NOMEM;
    int32_t max_bytes = m->max_bytes < b->config->fetch_max_bytes ? m->max_bytes : b->config->fetch_max_bytes;
    if (max_bytes > RECORDS_MAX_BYTES)
        max_bytes = RECORDS_MAX_BYTES;
    // More than fits into a whole window of its quota would be throttled each time: the client would never
    // get on.
    struct quota_limit limit;
    if (!open.from_follower && request_limit(r, QUOTA_CONSUMER_BYTE_RATE, &limit)) {
        double most = client_quotas_most(reactors_quotas(r->reactor->group), &limit);
        if (most < max_bytes)
            max_bytes = (int32_t)most;
    }
    f->max_bytes = max_bytes > 0 ? (size_t)max_bytes : 0;
    int32_t min_bytes = m->min_bytes < max_bytes ? m->min_bytes : max_bytes;
    f->min_bytes = min_bytes > 0 ? (size_t)min_bytes : 0;
    f->max_wait_ms = m->max_wait_ms;
    f->bound = open.from_follower        ? LOG_BOUND_END
               : m->isolation_level == 1 ? LOG_BOUND_LAST_STABLE
                                         : LOG_BOUND_HIGH_WATERMARK;
    f->items = arena_zalloc(&r->arena, f->context.targets_count, sizeof *f->items);
    if (!f->items)
        return ERR_NOMEM;
    f->count = f->context.targets_count;
    const struct image *image = image_current();
    for (size_t i = 0; i < f->count; i++) {
        f->items[i].target = &f->context.targets[i];
        f->items[i].fetch = f;
        f->items[i].read.fd = -1;
        list_init(&f->items[i].waiter.node);
        resolve(f, &f->items[i], image);
    }
    return 0;
}

static void read_or_wait(struct fetch *f)
{
    bool urgent;
    size_t readable = 0;
    for (size_t i = 0; i < f->count; i++)
        readable += f->items[i].place == PLACE_READABLE;
    size_t bytes = read_all(f, false, &urgent);
    if (f->max_wait_ms <= 0 || readable == 0 || bytes >= f->min_bytes || urgent)
        answer(f);
    else
        park(f);
}

// Logs that nobody has used yet

static void load_logs(struct request_work *work)
{
    struct fetch *f = container_of(work, struct fetch, loading);
    for (size_t i = 0; i < f->count && !atomic_load(&f->request->is_orphan); i++)
        if (f->items[i].partition && log_loaders(f->items[i].partition->log) == work->loaders)
            (void)log_load(f->items[i].partition->log); // a log that cannot be loaded is off line
}

static void on_loaded(struct request_work *work, bool gone);

// Those of one directory after the other.
static void load_or_go_on(struct fetch *f)
{
    struct workers *loaders = NULL;
    for (size_t i = 0; i < f->count && !loaders; i++)
        if (f->items[i].partition)
            loaders = log_loaders(f->items[i].partition->log);
    if (!loaders) {
        read_or_wait(f);
        return;
    }
    keep_names(f);
    f->loading = (struct request_work){.run = load_logs, .done = on_loaded, .loaders = loaders};
    request_work(f->request, &f->loading);
}

static void on_loaded(struct request_work *work, bool gone)
{
    struct fetch *f = container_of(work, struct fetch, loading);
    if (gone)
        release(f);
    else
        load_or_go_on(f);
}

static void handle_fetch(struct request *r)
{
    struct fetch *f = arena_zalloc(&r->arena, 1, sizeof *f);
    if (!f) {
        request_close(r, "out of memory for Fetch");
        return;
    }
    f->request = r;
    f->progress = TASK_INIT(on_progress);
    f->timeout.fire = on_timeout;
    if (open_fetch(f)) {
        release(f);
        request_close(r, "out of memory for Fetch");
        return;
    }
    load_or_go_on(f);
}

const struct api_handler fetch_handler = {.api_key = 1,
                                          .min_version = 4,
                                          .max_version = 18,
                                          .advertised_min_version = -1,
                                          .listeners = LISTENER_BROKER,
                                          .handle = handle_fetch};
