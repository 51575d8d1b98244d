// DeleteRecords moves a log's start; before anybody is told so, the start is on disk. Many that come together
// are saved by one writing of the checkpoint file. Runs on log-flush.
#include "storage/log_manager_state.h"

void log_manager_save_start(struct log_manager *m, struct log_start_save *save)
{
    pthread_mutex_lock(&m->work_lock);
    list_push_back(&m->saves, &save->node);
    m->saves_waiting = true;
    pthread_cond_broadcast(&m->work);
    pthread_mutex_unlock(&m->work_lock);
}

void log_manager_save_cancel(struct log_manager *m, struct log_start_save *save)
{
    pthread_mutex_lock(&m->work_lock);
    list_remove(&save->node);
    pthread_mutex_unlock(&m->work_lock);
}

void log_manager_serve_saves(struct log_manager *m)
{
    struct list mine;
    list_init(&mine);
    pthread_mutex_lock(&m->work_lock);
    for (struct list *n; (n = list_pop_front(&m->saves));)
        list_push_back(&mine, n);
    bool any = m->saves_waiting;
    m->saves_waiting = false;
    pthread_mutex_unlock(&m->work_lock);
    if (!any)
        return;
    int rc = log_manager_checkpoint_starts(m);
    pthread_mutex_lock(&m->work_lock);
    for (struct list *n; (n = list_pop_front(&mine));) {
        struct log_start_save *save = container_of(n, struct log_start_save, node);
        save->done(save, rc);
    }
    pthread_mutex_unlock(&m->work_lock);
}
