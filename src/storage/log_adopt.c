// A log goes on in another directory: the files of a copy take the place of its own (KIP-113). Whoever holds
// the log notices nothing but that its segments are others, as after a compaction.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"
#include "storage/reaper.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define EXCHANGE(field)                           \
    do {                                          \
        __typeof__(log->field) kept = log->field; \
        log->field = copy->field;                 \
        copy->field = kept;                       \
    } while (0)

// What belongs to the files of a directory. What belongs to the records (offsets, epochs, producers) stays.
// [both logs' publish held]
static void exchange(struct log *log, struct log *copy)
{
    EXCHANGE(place);
    EXCHANGE(health);
    EXCHANGE(segments);
    EXCHANGE(segment_count);
    EXCHANGE(segment_capacity);
    EXCHANGE(recovery_point);
    EXCHANGE(epochs_unnamed);
    EXCHANGE(directory_dirty);
    EXCHANGE(directory_fresh);
    EXCHANGE(was_clean);
    EXCHANGE(epoch_file);
    EXCHANGE(has_snapshots);
    EXCHANGE(new_metadata);
    EXCHANGE(aborted_dirty);
    EXCHANGE(dirty_messages);
    EXCHANGE(dirty_bytes);
    EXCHANGE(dirty_since_ms);
    EXCHANGE(producers.snapshot_offset);
    log->epochs_dirty = true;
    log->high_watermark.segment_base = LOG_NO_OFFSET;
    atomic_fetch_add(&log->truncations, 1);
}

static int parent_of(const char *dir, char out[PATH_MAX])
{
    const char *slash = strrchr(dir, '/');
    if (!slash || slash == dir || (size_t)(slash - dir) >= PATH_MAX)
        return ERR_INVALID;
    memcpy(out, dir, (size_t)(slash - dir));
    out[slash - dir] = 0;
    return 0;
}

// The old directory goes out of the way before the new one gets its name, so that no start finds both; and
// for good before anybody is answered who wrote to the new one.
static int rename_both(struct log *log, struct log *copy)
{
    char here[PATH_MAX], old_parent[PATH_MAX], new_parent[PATH_MAX], name[PATH_MAX];
    int n = snprintf(here, sizeof here, "%s", log->place->dir);
    int rc = n < (int)sizeof here ? parent_of(here, old_parent) : ERR_INVALID;
    rc = rc ? rc : parent_of(copy->place->dir, new_parent);
    if (rc == 0 && snprintf(name, sizeof name, "%s/%s", new_parent, log->name) >= (int)sizeof name)
        rc = ERR_INVALID;
    rc = rc ? rc : log_rename_away(log, "-delete");
    if (rc)
        return rc;
    rc = file_sync_dir(old_parent);
    rc = rc ? rc : log_place_rename(copy->place, name);
    if (rc == 0)
        return 0;
    snprintf(name, sizeof name, "%s", log->place->dir);
    int back = log_place_rename(log->place, here);
    if (back == 0) {
        reaper_moved(log->reaper, name, here);
        back = file_sync_dir(old_parent); // an idle log may not be flushed for long
    }
    if (back)
        log_set_offline(log, "a move to another directory could not be taken back", back);
    return rc;
}

int log_skip_to(struct log *log, int64_t offset)
{
    int rc = log_ready(log);
    if (rc || offset <= log->end)
        return rc;
    bool nothing = log->segment_count == 1 && atomic_load(&log_active(log)->size_bytes) == 0;
    if (nothing)
        return log_truncate_fully(log, offset);
    rc = log_note(log, "cannot roll", log_roll_at(log, offset, clock_wall_ms()));
    if (rc)
        return rc;
    pthread_mutex_lock(&log->publish);
    log->end = offset;
    pthread_mutex_unlock(&log->publish);
    return 0;
}

int log_adopt(struct log *log, struct log *copy)
{
    int rc = log_ready(log);
    rc = rc ? rc : log_ready(copy);
    if (rc)
        return rc;
    assert(log->end == copy->end);
    pthread_mutex_lock(&log->flush_lock);
    pthread_mutex_lock(&log->rebuild_lock);
    // Only here no flush of the log moves it any more: a producer was, or is about to be, told so.
    if (log_recovery_point(copy) < log_recovery_point(log))
        rc = ERR_AGAIN;
    rc = rc ? rc : rename_both(log, copy);
    if (rc == 0) {
        pthread_mutex_lock(&log->publish);
        pthread_mutex_lock(&copy->publish); // somebody may look at how far it is
        exchange(log, copy);
        pthread_mutex_unlock(&copy->publish);
        pthread_mutex_unlock(&log->publish);
        atomic_store(&copy->deleted, true);
    }
    pthread_mutex_unlock(&log->rebuild_lock);
    pthread_mutex_unlock(&log->flush_lock);
    if (rc == 0)
        reaper_add(copy->reaper, copy->place->dir, log_removal_due_ms(log));
    return rc;
}
