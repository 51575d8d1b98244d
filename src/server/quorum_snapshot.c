// Snapshots of the metadata: written by a thread of their own, as their image does not change.
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/logger.h"
#include "server/quorum_internal.h"

static void write_snapshot(void *context)
{
    struct quorum *q = context;
    q->snapshot_error = metadata_log_write_snapshot(q->log->dir, q->snapshot_image, q->snapshot_kraft_version,
                                                    &q->snapshot_voters, clock_wall_ms());
    loop_post(&q->loop, &q->snapshot_done);
}

// Back on the controller's thread.
static void snapshot_written(struct task *task)
{
    struct quorum *q = container_of(task, struct quorum, snapshot_done);
    quorum_finish_snapshot(q);
}

void quorum_finish_snapshot(struct quorum *q)
{
    if (!q->snapshotting)
        return;
    thread_join(&q->snapshot_thread);
    q->snapshotting = false;
    struct snapshot_id id = {q->snapshot_image->offset + 1, q->snapshot_image->epoch};
    if (q->snapshot_error)
        log_warn("quorum", "no snapshot at offset %lld: %s", (long long)id.offset,
                 err_text(q->snapshot_error));
    else
        metadata_log_snapshot_done(q->log, id, clock_wall_ms());
    image_unref(q->snapshot_image);
    q->snapshot_image = NULL;
    raft_voters_free(&q->snapshot_voters);
    pthread_mutex_lock(&q->lock);
    q->status.snapshot_offset = metadata_log_latest_snapshot(q->log).offset;
    q->status.log_start_offset = metadata_log_start(q->log);
    pthread_mutex_unlock(&q->lock);
}

// By size since the last one, or by time when there is anything new.
void quorum_maybe_snapshot(struct quorum *q, int64_t now_ms)
{
    const struct broker_config *c = q->params.config;
    int64_t bytes = q->log->bytes_since_snapshot;
    bool by_size = bytes >= c->metadata_max_record_bytes_between_snapshots;
    bool by_time = c->metadata_max_snapshot_interval_ms > 0 && bytes > 0 &&
                   now_ms - q->last_snapshot_ms >= c->metadata_max_snapshot_interval_ms;
    if (q->snapshotting || q->failed || (!by_size && !by_time) || q->waiting)
        return; // with nothing waiting, q->image is committed
    if (q->image->offset + 1 <= metadata_log_latest_snapshot(q->log).offset)
        return;
    raft_voters_init(&q->snapshot_voters);
    for (uint32_t i = 0; i < q->voters.count; i++)
        if (raft_voters_add(&q->snapshot_voters, &q->voters.items[i]))
            return;
    q->snapshot_done = (struct task)TASK_INIT(snapshot_written);
    q->snapshot_image = image_ref(q->image);
    q->snapshot_kraft_version = q->kraft_version;
    q->last_snapshot_ms = now_ms;
    q->log->bytes_since_snapshot = 0;
    if (thread_start(&q->snapshot_thread, "metadata-snap", write_snapshot, q)) {
        image_unref(q->snapshot_image);
        raft_voters_free(&q->snapshot_voters);
        return;
    }
    q->snapshotting = true;
}
