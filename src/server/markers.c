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

static const struct image_topic *topic_of(const struct marker_target *t)
{
    const struct image_topic *topic = image_topic(image_current(), t->topic);
    return topic && image_partition(topic, t->partition) ? topic : NULL;
}

bool marker_target_exists(const struct marker_target *t)
{
    return topic_of(t) != NULL;
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

static void on_loaded(struct task *task)
{
    struct marker_target *t = container_of(task, struct marker_target, loading.done);
    struct markers *m = t->markers;
    t->loads = false;
    append_marker(t);
    if (t->writes || m->left == 0)
        go_on(m);
}

static void load_log(struct job *job)
{
    (void)log_load(container_of(job, struct marker_target, loading)->hosted->log); // or it is off line
}

static void write_to_log(struct marker_target *t, const struct image_topic *topic)
{
    int16_t error;
    struct markers *m = t->markers;
    t->hosted = replica_manager_find(m->broker->replicas, topic, t->partition, &error);
    struct workers *loaders = t->hosted ? log_loaders(t->hosted->log) : NULL;
    t->loading =
        (struct job){.run = load_log, .reads_nothing = true, .loop = m->loop, .done = TASK_INIT(on_loaded)};
    t->loads = loaders && workers_submit(loaders, &t->loading);
    if (!t->hosted)
        settle(t, error);
    else if (!t->loads)
        append_marker(t);
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
    if (!wait_for_replicas(m) && m->left == 0)
        return true;
    remember(m, true);
    return false;
}
