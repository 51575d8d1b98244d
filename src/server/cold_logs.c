#include "server/cold_logs.h"

#include "server/broker.h"
#include "server/connection.h"

struct cold_log {
    struct partition *partition; // referenced
    struct cold_log *next;
};

struct cold_logs {
    const struct request *request;
    struct arena *arena;   // NULL: they are not kept
    struct cold_log *logs; // of one directory
    struct request_work work;
};

void cold_logs_add(struct cold_logs *cold, const struct image_topic *topic, int32_t index)
{
    int16_t error;
    struct partition *p = replica_manager_find(broker_of(cold->request)->replicas, topic, index, &error);
    struct workers *loaders = p ? log_loaders(p->log) : NULL;
    if (!cold->work.loaders)
        cold->work.loaders = loaders;
    bool is_kept = loaders && loaders == cold->work.loaders && cold->arena;
    struct cold_log *one = is_kept ? arena_alloc(cold->arena, sizeof *one) : NULL;
    if (!one) {
        partition_unref(p);
        return;
    }
    *one = (struct cold_log){p, cold->logs};
    cold->logs = one;
}

bool cold_logs_any(const struct request *r)
{
    struct cold_logs cold = {.request = r};
    if (r->api->cold_logs)
        r->api->cold_logs(r, &cold);
    return cold.work.loaders != NULL;
}

static void load(struct request_work *work)
{
    const struct cold_logs *cold = container_of(work, struct cold_logs, work);
    for (const struct cold_log *one = cold->logs; one && !atomic_load(&work->request->is_orphan);
         one = one->next)
        (void)log_load(one->partition->log); // a log that cannot be loaded is off line
}

static void on_loaded(struct request_work *work, bool gone)
{
    const struct cold_logs *cold = container_of(work, struct cold_logs, work);
    for (const struct cold_log *one = cold->logs; one; one = one->next)
        partition_unref(one->partition);
    if (!gone)
        dispatch_handle(work->request);
}

bool cold_logs_load(struct request *r)
{
    struct cold_logs *cold = r->api->cold_logs ? arena_zalloc(&r->arena, 1, sizeof *cold) : NULL;
    if (!cold)
        return false;
    *cold = (struct cold_logs){.request = r, .arena = &r->arena, .work = {.run = load, .done = on_loaded}};
    r->api->cold_logs(r, cold);
    if (cold->logs)
        request_work(r, &cold->work);
    return cold->logs != NULL;
}
