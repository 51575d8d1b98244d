#include "server/markers.h"

#include "base/clock.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "server/connection.h"
#include "server/handlers/auto_create.h"

#include <stdlib.h>

struct marker_writer {
    pthread_mutex_t lock;
    struct list all; // struct markers that wait for a high watermark
};

struct marker_writer *marker_writer_new(void)
{
    struct marker_writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    list_init(&w->all);
    return w;
}

static void release(struct markers *m)
{
    partition_wait_cancel(&m->waiter);
    for (size_t i = 0; i < m->count; i++) {
        partition_unref(m->targets[i].hosted);
        m->targets[i].hosted = NULL;
    }
}

void marker_writer_free(struct marker_writer *w)
{
    if (!w)
        return;
    struct list *node;
    while ((node = list_pop_front(&w->all))) {
        struct markers *m = container_of(node, struct markers, node);
        release(m);
        m->abandon(m);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void remember(struct markers *m, bool waits)
{
    struct marker_writer *w = m->broker->marker_writer;
    pthread_mutex_lock(&w->lock);
    list_remove(&m->node);
    if (waits)
        list_push_back(&w->all, &m->node);
    pthread_mutex_unlock(&w->lock);
}

static void settle(struct marker_target *t, int16_t error)
{
    t->error = error;
    t->writes = false;
    t->markers->left--;
    partition_unref(t->hosted);
    t->hosted = NULL;
}

// As whoever asks for a marker is to read it: a coordinator that is not there is a leader that is not there.
static int16_t group_error(int16_t error)
{
    switch (error) {
    case E_COORDINATOR_NOT_AVAILABLE:
    case E_COORDINATOR_LOAD_IN_PROGRESS:
    case E_NOT_COORDINATOR:
        return E_NOT_LEADER_OR_FOLLOWER;
    default:
        return error;
    }
}

static void finish(struct markers *m)
{
    loop_cancel(m->loop, &m->progress);
    remember(m, false);
    m->done(m);
}

static void on_group_marked(struct coordinator_request *r)
{
    struct marker_target *t = container_of(r, struct marker_target, group);
    struct markers *m = t->markers;
    settle(t, group_error(r->error));
    if (m->left == 0)
        finish(m);
}

static void write_to_group(struct marker_target *t)
{
    struct markers *m = t->markers;
    t->group = (struct coordinator_request){.complete = on_group_marked, .reply_to = m->loop};
    if (coordinator_mark(m->broker->groups, t->partition, &m->marker, &t->group))
        settle(t, group_error(t->group.error));
}

static void append_marker(struct marker_target *t)
{
    struct markers *m = t->markers;
    struct partition_append append;
    int16_t error = partition_append_marker(t->hosted, &m->marker, clock_wall_ms(), &append);
    if (append.flush_due)
        flusher_submit(m->broker->flusher, t->hosted);
    t->wait_for = append.wait_for;
    if (error != E_NONE || append.wait_for < 0)
        settle(t, error);
}

static void write_to_log(struct marker_target *t, const struct image_topic *topic)
{
    int16_t error;
    t->hosted = replica_manager_find(t->markers->broker->replicas, topic, t->partition, &error);
    if (!t->hosted)
        settle(t, error);
    else if (log_is_cold(t->hosted->log))
        t->loads = true;
    else
        append_marker(t);
}

static const struct image_topic *topic_of(const struct marker_target *t)
{
    const struct image_topic *topic = image_topic(image_current(), t->topic);
    return topic && image_partition(topic, t->partition) ? topic : NULL;
}

bool marker_target_exists(const struct marker_target *t)
{
    return topic_of(t) != NULL;
}

static void write_one(struct marker_target *t)
{
    const struct image_topic *topic = topic_of(t);
    if (!topic)
        settle(t, E_UNKNOWN_TOPIC_OR_PARTITION);
    else if (str_is(t->topic, GROUP_TOPIC))
        write_to_group(t);
    else
        write_to_log(t, topic);
}

static void wake(struct partition_waiter *waiter)
{
    struct markers *m = container_of(waiter, struct markers, waiter);
    loop_post(m->loop, &m->progress);
}

// Settles what is replicated; true: the first that is not is waited for.
static bool wait_for_replicas(struct markers *m)
{
    partition_wait_cancel(&m->waiter);
    for (size_t i = 0; i < m->count; i++) {
        struct marker_target *t = &m->targets[i];
        if (!t->writes || !t->hosted || t->loads)
            continue;
        m->waiter = (struct partition_waiter){
            .kind = PARTITION_WAIT_HIGH_WATERMARK, .offset = t->wait_for, .wake = wake};
        list_init(&m->waiter.node);
        if (partition_wait(t->hosted, &m->waiter))
            return true;
        int16_t error = E_NONE;
        if (log_high_watermark(t->hosted->log) <= t->wait_for) {
            error = partition_check_leader(t->hosted, -1);
            error = error == E_NONE ? E_NOT_LEADER_OR_FOLLOWER : error;
        }
        settle(t, error);
    }
    return false;
}

static void go_on(struct markers *m)
{
    if (!wait_for_replicas(m) && m->left == 0)
        finish(m);
}

static void on_progress(struct task *task)
{
    go_on(container_of(task, struct markers, progress));
}

static void load_logs(struct job *job)
{
    struct markers *m = container_of(job, struct markers, loading);
    for (size_t i = 0; i < m->count; i++)
        if (m->targets[i].loads)
            (void)log_load(m->targets[i].hosted->log); // a log that cannot be loaded is off line
}

static void append_loaded(struct markers *m)
{
    for (size_t i = 0; i < m->count; i++) {
        if (!m->targets[i].loads)
            continue;
        m->targets[i].loads = false;
        append_marker(&m->targets[i]);
    }
}

static void on_loaded(struct task *task)
{
    struct markers *m = container_of(task, struct markers, loading.done);
    append_loaded(m);
    go_on(m);
}

// What a loader does, as it may take long. Here, where as many wait for one as may.
static void load_cold_logs(struct markers *m)
{
    bool any = false;
    for (size_t i = 0; i < m->count; i++)
        any |= m->targets[i].loads;
    m->loading =
        (struct job){.run = load_logs, .reads_nothing = true, .loop = m->loop, .done = TASK_INIT(on_loaded)};
    if (!any || workers_submit(reactors_loaders(m->broker->reactors), &m->loading))
        return;
    load_logs(&m->loading);
    append_loaded(m);
}

bool markers_write(struct markers *m)
{
    m->left = m->count;
    m->progress = TASK_INIT(on_progress);
    m->waiter = (struct partition_waiter){.wake = wake};
    list_init(&m->waiter.node);
    list_init(&m->node);
    for (size_t i = 0; i < m->count; i++) {
        m->targets[i].markers = m;
        m->targets[i].hosted = NULL;
        m->targets[i].writes = true;
        m->targets[i].loads = false;
    }
    for (size_t i = 0; i < m->count; i++)
        write_one(&m->targets[i]);
    load_cold_logs(m);
    if (!wait_for_replicas(m) && m->left == 0)
        return true;
    remember(m, true);
    return false;
}
