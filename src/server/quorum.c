// The thread that executes what raft/ and controller/ decide.
#include "server/quorum.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/logger.h"
#include "base/qsbr.h"
#include "os/socket.h"
#include "protocol/errors.h"
#include "raft/control.h"
#include "raft/quorum_state.h"
#include "server/quorum_internal.h"

#include <stdio.h>
#include <stdlib.h>

// A batch of records ends when it has grown so far; a change that must be atomic is smaller.
#define BATCH_BYTES      ((size_t)4 << 20)
#define RECLAIM_MS       100  // how soon what was retired is looked at again
#define SNAPSHOT_LOOK_MS 1000 // how often time is looked at for a snapshot

// --- raft ---

static void publish_status(struct quorum *q)
{
    pthread_mutex_lock(&q->lock);
    q->status.leader_id = q->raft.persistent.leader_id;
    q->status.leader_epoch = q->raft.persistent.epoch;
    q->status.high_watermark = q->raft.high_watermark;
    q->status.log_end_offset = metadata_log_end(q->log);
    q->status.log_start_offset = metadata_log_start(q->log);
    q->status.snapshot_offset = metadata_log_latest_snapshot(q->log).offset;
    q->status.kraft_version = q->kraft_version;
    pthread_mutex_unlock(&q->lock);
}

static int append_epoch(struct quorum *q);

// One event and what it asks for. Nothing leaves before the vote and the epoch are on disk.
static int step_raft(struct quorum *q, const struct raft_event *event)
{
    struct raft_update update;
    raft_step(&q->raft, event, clock_monotonic_ms(), &update);
    int rc = 0;
    if (update.persist)
        rc = quorum_state_write(q->log->dir, q->kraft_version, &q->raft.persistent, &q->voters);
    if (rc == 0 && update.became_leader)
        rc = append_epoch(q);
    if (rc == 0 && update.high_watermark_moved)
        metadata_log_set_high_watermark(q->log, q->raft.high_watermark);
    return rc;
}

static int append(struct quorum *q, struct bytes batch, int64_t now_ms)
{
    int64_t base_offset;
    int rc = metadata_log_append(q->log, batch, q->raft.persistent.epoch, now_ms, &base_offset);
    if (rc)
        return rc;
    struct raft_event event = {.type = RAFT_EVENT_APPENDED, .end = metadata_log_end(q->log)};
    return step_raft(q, &event);
}

static bool same_endpoints(const struct quorum *q, const struct raft_voter *self)
{
    const struct quorum_params *p = &q->params;
    if (self->endpoints_count != p->controller_endpoints_count)
        return false;
    for (uint32_t i = 0; i < self->endpoints_count; i++) {
        const struct raft_endpoint *a = &self->endpoints[i];
        const struct image_endpoint *b = &p->controller_endpoints[i];
        if (!str_equal(a->name, b->name) || !str_equal(a->host, b->host) || a->port != b->port)
            return false;
    }
    return true;
}

// This node's endpoints as they are now, in the voters (another port, perhaps). 1 when they changed.
static int refresh_own_endpoints(struct quorum *q)
{
    const struct quorum_params *p = &q->params;
    int own = raft_own_place(&q->raft);
    struct raft_voter *self = &q->voters.items[own];
    if (same_endpoints(q, self) || !p->controller_endpoints_count)
        return 0;
    struct raft_endpoint *endpoints =
        arena_zalloc(&q->voters.arena, p->controller_endpoints_count, sizeof *endpoints);
    if (!endpoints)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < p->controller_endpoints_count; i++)
        endpoints[i] = (struct raft_endpoint){arena_str(&q->voters.arena, p->controller_endpoints[i].name),
                                              arena_str(&q->voters.arena, p->controller_endpoints[i].host),
                                              p->controller_endpoints[i].port};
    pthread_mutex_lock(&q->lock);
    self->endpoints = endpoints;
    self->endpoints_count = p->controller_endpoints_count;
    pthread_mutex_unlock(&q->lock);
    return 1;
}

// The records with which a leader's epoch begins.
static int append_epoch(struct quorum *q)
{
    struct batch_builder b = {0};
    struct bytes batch;
    int64_t now_ms = clock_wall_ms();
    bool with_voters = q->kraft_version > 0 && !q->voters_in_log;
    if (q->kraft_version > 0) {
        int changed = refresh_own_endpoints(q);
        if (changed < 0)
            return changed;
        with_voters |= changed;
    }
    int rc = control_epoch_batch(&b, q->raft.persistent.epoch, q->raft.node_id, &q->voters, q->raft.granted,
                                 with_voters, q->kraft_version, now_ms, &batch);
    if (rc == 0)
        rc = append(q, batch, now_ms);
    batch_builder_free(&b);
    q->voters_in_log |= rc == 0 && with_voters;
    return rc;
}

// --- appending ---

// The static voters, of which this node is the only one, become dynamic ones: what identifies them is in the
// log from now on. An error leaves them as they were, or the log failed.
static int append_upgrade(struct quorum *q, int16_t kraft_version)
{
    struct raft_voter *self = &q->voters.items[raft_own_place(&q->raft)];
    struct raft_voter before = *self;
    struct batch_builder b = {0};
    struct bytes batch;
    int64_t now_ms = clock_wall_ms(), end = metadata_log_end(q->log);
    int rc = refresh_own_endpoints(q);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&q->lock);
    self->replica.directory = q->raft.directory_id;
    self->min_kraft_version = 0;
    self->max_kraft_version = kraft_version;
    pthread_mutex_unlock(&q->lock);
    rc = control_upgrade_batch(&b, q->raft.persistent.epoch, kraft_version, &q->voters, now_ms, &batch);
    if (rc == 0)
        rc = append(q, batch, now_ms);
    batch_builder_free(&b);
    if (rc) {
        q->failed = rc != ERR_NOMEM && (rc != ERR_NO_SPACE || metadata_log_end(q->log) != end);
        pthread_mutex_lock(&q->lock);
        *self = before;
        pthread_mutex_unlock(&q->lock);
        return rc;
    }
    log_info("quorum", "kraft.version is %d now: the voters are dynamic", kraft_version);
    q->kraft_version = kraft_version;
    q->voters_in_log = true;
    controller_set_kraft_version(q->controller, kraft_version);
    return 0;
}

static int append_records(struct quorum *q, const struct bytes *records, size_t count)
{
    int64_t now_ms = clock_wall_ms();
    struct batch_options options = BATCH_OPTIONS;
    options.leader_epoch = q->raft.persistent.epoch;
    for (size_t i = 0; i < count;) {
        struct batch_builder b = {0};
        struct bytes batch;
        batch_builder_init(&b, &options);
        while (i < count && batch_builder_size(&b) < BATCH_BYTES)
            batch_builder_add(&b, now_ms, BYTES_NULL, records[i++], NULL, 0);
        int rc = batch_builder_finish(&b, &batch);
        if (rc == 0)
            rc = append(q, batch, now_ms);
        batch_builder_free(&b);
        if (rc)
            return rc;
    }
    return 0;
}

// The image with the effects' records, as they will lie in the log.
static int apply_records(struct quorum *q, struct image **after, struct image_changes *changes)
{
    size_t count = q->effects.records_count;
    int64_t offset = metadata_log_end(q->log), now_ms = clock_wall_ms();
    struct image_record *records = malloc((count + 1) * sizeof *records);
    struct buffer why = BUFFER_INIT;
    if (!records)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        records[i] = (struct image_record){offset + (int64_t)i, q->raft.persistent.epoch, now_ms,
                                           q->effects.records[i]};
    int rc = image_apply(q->image, records, count, after, changes, &why);
    if (rc)
        log_error("quorum", "the controller's own records do not apply: %.*s", (int)why.size,
                  (const char *)why.data);
    buffer_free(&why);
    free(records);
    return rc;
}

static void wait_for_commit(struct quorum *q, struct quorum_waiting *w)
{
    w->next = NULL;
    w->offset = metadata_log_end(q->log) - 1;
    *q->waiting_end = w;
    q->waiting_end = &w->next;
}

// Appends the effects of a step; `request` (may be NULL) is answered when they are committed.
static int take_effects(struct quorum *q, struct quorum_request *request)
{
    struct quorum_waiting *w = calloc(1, sizeof *w);
    if (!w)
        return ERR_NOMEM;
    w->request = request;
    if (q->effects.kraft_version > q->kraft_version) {
        int rc = append_upgrade(q, q->effects.kraft_version);
        if (rc) {
            free(w);
            return rc;
        }
    }
    if (q->effects.records_count) {
        int rc = apply_records(q, &w->image, &w->changes);
        if (rc) {
            free(w);
            return rc;
        }
        int64_t end = metadata_log_end(q->log);
        rc = append_records(q, q->effects.records, q->effects.records_count);
        if (rc) {
            // A full disk that took nothing: this change is refused, and later ones may find room.
            q->failed = rc != ERR_NO_SPACE || metadata_log_end(q->log) != end;
            image_changes_free(&w->changes);
            image_unref(w->image);
            free(w);
            return rc;
        }
        image_unref(q->image); // w and the changes hold it, or the publication does
        q->image = image_ref(w->image);
        controller_replay(q->controller, q->image);
    }
    wait_for_commit(q, w);
    return 0;
}

// --- answering ---

static void on_reply(struct task *task)
{
    struct quorum_request *request = container_of(task, struct quorum_request, task);
    request->complete(request);
}

static void complete(struct quorum_request *request)
{
    if (!request)
        return;
    if (!request->reply_to) {
        request->complete(request);
        return;
    }
    request->task = (struct task)TASK_INIT(on_reply);
    loop_post(request->reply_to, &request->task);
}

static void refuse(struct quorum_request *request, int16_t error)
{
    request->event.error = error;
    request->event.response = NULL;
    complete(request);
}

// What is below the high watermark is published, told, and answered, in this order for each change.
static void release_committed(struct quorum *q)
{
    struct quorum_waiting *first = q->waiting, *w;
    struct image *newest = NULL;
    while ((w = q->waiting) && w->offset < q->raft.high_watermark) {
        q->waiting = w->next;
        if (w->image) {
            if (q->params.on_change)
                q->params.on_change(q->params.context, &w->changes);
            newest = w->image;
        }
    }
    if (!q->waiting)
        q->waiting_end = &q->waiting;
    if (newest)
        image_publish(image_ref(newest));
    publish_status(q);
    while (first != q->waiting) {
        w = first;
        first = w->next;
        image_changes_free(&w->changes);
        image_unref(w->image);
        complete(w->request);
        free(w);
    }
}

static void refuse_waiting(struct quorum *q)
{
    struct quorum_waiting *w;
    while ((w = q->waiting)) {
        q->waiting = w->next;
        image_changes_free(&w->changes);
        image_unref(w->image);
        if (w->request)
            refuse(w->request, E_NOT_CONTROLLER);
        free(w);
    }
    q->waiting_end = &q->waiting;
}

// --- the turn: decide, make durable, answer ---

static void decide(struct quorum *q, struct quorum_request *request)
{
    if (q->failed || q->raft.role != RAFT_LEADER) {
        refuse(request, E_NOT_CONTROLLER);
        return;
    }
    controller_effects_reset(&q->effects);
    int rc = controller_step(q->controller, &request->event, metadata_log_end(q->log), clock_monotonic_ms(),
                             &q->effects);
    if (rc == 0 && request->event.error == E_NONE)
        rc = take_effects(q, request);
    else if (rc == 0)
        rc = ERR_INVALID; // the error is in the event
    if (rc)
        refuse(request, request->event.error != E_NONE ? request->event.error
                        : rc == ERR_NO_SPACE           ? E_KAFKA_STORAGE_ERROR
                                                       : E_UNKNOWN_SERVER_ERROR);
}

static void make_durable(struct quorum *q)
{
    int64_t end = metadata_log_end(q->log);
    int rc = q->failed ? ERR_IO : metadata_log_flush(q->log);
    struct raft_event event = {.type = RAFT_EVENT_FLUSHED, .end = end};
    if (rc == 0)
        rc = step_raft(q, &event);
    if (rc == 0)
        return;
    // Nobody knows what is on disk: acknowledge nothing any more.
    q->failed = true;
    if (q->raft.role == RAFT_LEADER && q->params.on_failed)
        q->params.on_failed(q->params.context);
    event = (struct raft_event){.type = RAFT_EVENT_RESIGN};
    step_raft(q, &event);
    refuse_waiting(q);
}

static void on_turn(struct loop_work *work)
{
    struct quorum *q = container_of(work, struct quorum, turn);
    struct quorum_request *request;
    int64_t end = metadata_log_end(q->log);
    while ((request = q->incoming)) {
        q->incoming = request->next;
        if (!q->incoming)
            q->incoming_end = &q->incoming;
        decide(q, request);
    }
    if (metadata_log_end(q->log) > end || q->failed)
        make_durable(q);
    release_committed(q);
    quorum_maybe_snapshot(q, clock_monotonic_ms());
}

static void on_request(struct task *task)
{
    struct quorum_request *request = container_of(task, struct quorum_request, task);
    struct quorum *q = request->quorum;
    request->next = NULL;
    *q->incoming_end = request;
    q->incoming_end = &request->next;
    loop_at_end(&q->loop, &q->turn);
}

void quorum_submit(struct quorum *q, struct quorum_request *request)
{
    request->quorum = q;
    request->task = (struct task)TASK_INIT(on_request);
    loop_post(&q->loop, &request->task);
}

static void on_tick(struct loop_timer *timer)
{
    struct quorum *q = container_of(timer, struct quorum, tick);
    int64_t now_ms = clock_monotonic_ms(), next_ms = INT64_MAX;
    controller_effects_reset(&q->effects);
    if (!q->failed && q->raft.role == RAFT_LEADER &&
        controller_tick(q->controller, metadata_log_end(q->log), now_ms, &q->effects, &next_ms) == 0 &&
        q->effects.records_count && take_effects(q, NULL) == 0) {
        make_durable(q);
        release_committed(q);
    }
    quorum_maybe_snapshot(q, now_ms);
    int64_t due_ms = now_ms + (qsbr_reclaim() ? RECLAIM_MS : SNAPSHOT_LOOK_MS);
    loop_timer_arm(&q->loop, &q->tick, next_ms < due_ms ? next_ms : due_ms);
}

// --- waiting for an answer ---

struct call {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
};

static void on_answer(struct quorum_request *request)
{
    struct call *call = request->context;
    pthread_mutex_lock(&call->lock);
    call->done = true;
    pthread_cond_signal(&call->answered);
    pthread_mutex_unlock(&call->lock);
}

int16_t quorum_call(struct quorum *q, struct quorum_request *request)
{
    struct call call = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    request->complete = on_answer;
    request->reply_to = NULL;
    request->context = &call;
    quorum_submit(q, request);
    pthread_mutex_lock(&call.lock);
    while (!call.done)
        pthread_cond_wait(&call.answered, &call.lock);
    pthread_mutex_unlock(&call.lock);
    return request->event.error;
}

// --- start and stop ---

static void run_loop(void *context)
{
    struct quorum *q = context;
    qsbr_register(q->quiescence);
    loop_run(&q->loop);
    qsbr_online(q->quiescence);
    qsbr_unregister(q->quiescence);
}

static void wakes(void *context)
{
    qsbr_online(context);
}

static void sleeps(void *context)
{
    qsbr_offline(context);
}

static void quorum_free(struct quorum *q)
{
    refuse_waiting(q);
    controller_free(q->controller);
    controller_effects_free(&q->effects);
    image_unref(q->image);
    metadata_log_close(q->log);
    raft_voters_free(&q->voters);
    free(q->quiescence);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static bool is_host(struct str name)
{
    char text[256];
    uint8_t ip[16];
    if (name.size >= sizeof text || memchr(name.data, 0, name.size))
        return false;
    memcpy(text, name.data, name.size);
    text[name.size] = 0;
    return socket_resolve_ip(text, ip) == 0;
}

// From what was loaded to a leader whose first records are on disk.
static int take_the_lead(struct quorum *q, const struct raft_persistent *persistent, bool in_transaction,
                         char *message, size_t message_size)
{
    const struct quorum_params *p = &q->params;
    struct uuid seed = uuid_random();
    raft_init(&q->raft, p->config->node_id, &p->dirs[p->metadata_dir]->meta.directory_id, &q->voters,
              p->config->quorum_election_timeout_ms, load_be64(seed.bytes));
    struct raft_event start = {.type = RAFT_EVENT_START,
                               .persistent = *persistent,
                               .end = metadata_log_end(q->log),
                               .last_epoch = metadata_log_last_epoch(q->log)};
    int rc = step_raft(q, &start);
    if (rc)
        return rc;
    struct controller_config config = {.config = p->config,
                                       .is_host = is_host,
                                       .incarnation_id = uuid_random(),
                                       .endpoints = p->controller_endpoints,
                                       .endpoints_count = p->controller_endpoints_count,
                                       .kraft_version = q->kraft_version,
                                       .seed = load_be64(seed.bytes + 8)};
    struct arena arena;
    struct bytes *bootstrap;
    size_t bootstrap_count;
    arena_init(&arena, 0);
    q->controller = controller_new(&config, q->image);
    rc = q->controller ? quorum_bootstrap(q, &arena, &bootstrap, &bootstrap_count, message, message_size)
                       : ERR_NOMEM;
    if (rc == 0)
        rc = controller_activate(q->controller, q->raft.persistent.epoch, metadata_log_end(q->log), bootstrap,
                                 bootstrap_count, in_transaction, clock_monotonic_ms(), &q->effects);
    if (rc == 0)
        rc = take_effects(q, NULL);
    arena_free(&arena);
    if (rc == 0)
        make_durable(q);
    return rc == 0 && q->failed ? ERR_IO : rc;
}

static int start_thread(struct quorum *q)
{
    q->quiescence = calloc(1, sizeof *q->quiescence);
    if (!q->quiescence)
        return ERR_NOMEM;
    struct loop_hooks hooks = {.context = q->quiescence, .wakes = wakes, .sleeps = sleeps};
    int rc = loop_init(&q->loop, &hooks);
    if (rc)
        return rc;
    q->turn.run = on_turn;
    q->tick.fire = on_tick;
    rc = loop_timer_arm(&q->loop, &q->tick, clock_monotonic_ms() + SNAPSHOT_LOOK_MS);
    if (rc == 0)
        rc = thread_start(&q->thread, "controller", run_loop, q);
    if (rc)
        loop_free(&q->loop);
    return rc;
}

int quorum_start(const struct quorum_params *params, struct quorum **out, char *message, size_t message_size)
{
    struct quorum *q = calloc(1, sizeof *q);
    bool in_transaction = false;
    struct raft_persistent persistent;
    if (message_size)
        message[0] = 0;
    if (!q)
        return ERR_NOMEM;
    q->params = *params;
    q->waiting_end = &q->waiting;
    q->incoming_end = &q->incoming;
    pthread_mutex_init(&q->lock, NULL);
    raft_voters_init(&q->voters);
    controller_effects_init(&q->effects);
    q->last_snapshot_ms = clock_monotonic_ms();
    int rc = quorum_load(q, &in_transaction, &persistent, message, message_size);
    if (rc == 0)
        rc = take_the_lead(q, &persistent, in_transaction, message, message_size);
    if (rc == 0) {
        image_publish(image_ref(q->image));
        struct quorum_params told = q->params;
        q->params.on_change = NULL; // what was loaded is no change
        release_committed(q);
        q->params = told;
        rc = start_thread(q);
    }
    if (rc) {
        if (message_size && !message[0])
            snprintf(message, message_size, "the metadata quorum cannot start: %s", err_text(rc));
        quorum_free(q);
        return rc;
    }
    *out = q;
    return 0;
}

void quorum_stop(struct quorum *q)
{
    loop_stop(&q->loop);
    thread_join(&q->thread);
    while (mailbox_run(&q->loop.mailbox, SIZE_MAX)) // requests that came too late are refused below
        ;
    quorum_finish_snapshot(q);
    struct quorum_request *request;
    while ((request = q->incoming)) {
        q->incoming = request->next;
        refuse(request, E_NOT_CONTROLLER);
    }
    loop_work_cancel(&q->turn);
    loop_free(&q->loop);
    quorum_free(q);
}

const char *quorum_cluster_id(const struct quorum *q)
{
    return q->cluster_id;
}

void quorum_status(const struct quorum *q, struct quorum_status *out)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&q->lock; // the lock is no part of the value
    pthread_mutex_lock(lock);
    *out = q->status;
    pthread_mutex_unlock(lock);
}

// Who they are is settled before the first request; what is known of them may change (kraft.version).
int quorum_voters(const struct quorum *q, struct raft_voters *out)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&q->lock;
    int rc = 0;
    pthread_mutex_lock(lock);
    for (uint32_t i = 0; i < q->voters.count && rc == 0; i++)
        rc = raft_voters_add(out, &q->voters.items[i]);
    pthread_mutex_unlock(lock);
    return rc;
}
