// The swap of a compaction: cleaned files take the place of those that they were made from, in Kafka's steps,
// so that a start after a crash at any of them has either the old segments or the new one.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/cleaner_segment.h"
#include "storage/reaper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const suffixes[] = {SEGMENT_LOG_SUFFIX, SEGMENT_INDEX_SUFFIX, SEGMENT_TIME_SUFFIX,
                                       SEGMENT_TXN_SUFFIX};
#define FILES (sizeof suffixes / sizeof *suffixes)

// Its renames, in their order: the new files' to .swap, each old segment's to .deleted, the new files' to
// their names.
struct swap {
    struct log *log;
    struct segment *const *old;
    uint32_t count;
    int64_t base_offset; // of the new segment
    size_t steps;
    bool *done; // of each step: its file was there, and was renamed
};

struct step {
    int64_t base_offset;
    const char *suffix, *from_end, *to_end;
    bool may_lack; // the file need not be there
};

static struct step step_of(const struct swap *w, size_t i)
{
    size_t turn = i / FILES;
    struct step s = {.base_offset = w->base_offset, .suffix = suffixes[i % FILES]};
    s.may_lack = strcmp(s.suffix, SEGMENT_TXN_SUFFIX) == 0; // most have none
    if (turn == 0) {
        s.from_end = CLEANED_SUFFIX;
        s.to_end = SWAP_SUFFIX;
    } else if (turn <= w->count) {
        s.base_offset = w->old[turn - 1]->base_offset;
        s.from_end = "";
        s.to_end = DELETED_SUFFIX;
        s.may_lack = true;
    } else {
        s.from_end = SWAP_SUFFIX;
        s.to_end = "";
    }
    return s;
}

static int name_of(const struct swap *w, const struct step *s, const char *end, char out[PATH_MAX])
{
    char suffix[32];
    snprintf(suffix, sizeof suffix, "%s%s", s->suffix, end);
    return segment_file_name(w->log->place->dir, s->base_offset, suffix, out);
}

static int go_forward(struct swap *w, size_t i)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct step s = step_of(w, i);
    int rc = name_of(w, &s, s.from_end, from);
    rc = rc ? rc : name_of(w, &s, s.to_end, to);
    rc = rc ? rc : file_rename(from, to);
    w->done[i] = rc == 0;
    return rc == ERR_NOT_FOUND && s.may_lack ? 0 : rc;
}

static int go_back(struct swap *w, size_t i)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct step s = step_of(w, i);
    if (!w->done[i])
        return 0;
    int rc = name_of(w, &s, s.to_end, from);
    rc = rc ? rc : name_of(w, &s, s.from_end, to);
    return rc ? rc : file_rename(from, to);
}

static void show(const struct swap *w, int state)
{
    for (uint32_t i = 0; i < w->count; i++)
        atomic_store(&w->old[i]->state, state);
}

// All of it or nothing. Without room for a new name everything is called again what it was called before, in
// the reverse order: at each step a start after a crash finds what it would have found at that one, and
// finishes it. Where that fails, too, or the device does, the log waits off line for such a start. [lock, and
// those of whoever opens a file of the old segments by its name]
static int rename_all(struct swap *w)
{
    size_t i = 0;
    int rc = 0, back = 0;
    show(w, SEGMENT_DELETED);
    while (rc == 0 && i < w->steps)
        rc = go_forward(w, i++);
    if (rc == 0)
        return 0;
    if (rc == ERR_IO)
        back = rc;
    while (back == 0 && i > 0)
        back = go_back(w, --i);
    if (back)
        log_set_offline(w->log, "a compaction could not be finished", back);
    else
        show(w, SEGMENT_LIVE);
    return rc;
}

static void give_to_reaper(const struct swap *w)
{
    int64_t due_ms = clock_monotonic_ms() + w->log->config.file_delete_delay_ms;
    char path[PATH_MAX];
    for (size_t i = FILES; i < (w->count + (size_t)1) * FILES; i++) {
        struct step s = step_of(w, i);
        if (w->done[i] && name_of(w, &s, s.to_end, path) == 0)
            reaper_add(w->log->reaper, path, due_ms);
    }
}

static int swap_files(struct log *log, struct segment *const *old, uint32_t count, int64_t base_offset)
{
    struct swap w = {.log = log,
                     .old = old,
                     .count = count,
                     .base_offset = base_offset,
                     .steps = (count + (size_t)2) * FILES};
    w.done = calloc(w.steps, sizeof *w.done);
    if (!w.done)
        return ERR_NOMEM;
    pthread_mutex_lock(&log->rebuild_lock); // readers that mend an old segment's index use the same names
    pthread_mutex_lock(&log->place->lock);
    int rc = rename_all(&w);
    pthread_mutex_unlock(&log->place->lock);
    pthread_mutex_unlock(&log->rebuild_lock);
    if (rc == 0)
        give_to_reaper(&w);
    free(w.done);
    return rc;
}

// Where these segments stand in the list, or -1 when they are not there any more, one behind the other, and
// sealed.
static int64_t find(const struct log *log, struct segment *const *old, uint32_t count)
{
    uint32_t i = 0;
    while (i < log->segment_count && log->segments[i] != old[0])
        i++;
    if (count == 0 || i + count >= log->segment_count) // the last one is active
        return -1;
    return memcmp(&log->segments[i], old, count * sizeof(*old)) == 0 ? (int64_t)i : -1;
}

// Shows readers the new segment. Those that look into an old one notice, and start again. [lock]
static void publish(struct log *log, uint32_t at, uint32_t count, struct segment *fresh)
{
    pthread_mutex_lock(&log->publish);
    if (log->high_watermark.segment_base >= fresh->base_offset &&
        log->high_watermark.segment_base < log->segments[at + count]->base_offset)
        log->high_watermark.segment_base = LOG_NO_OFFSET;
    log->segments[at] = fresh;
    memmove(&log->segments[at + 1], &log->segments[at + count],
            (log->segment_count - at - count) * sizeof(*log->segments));
    log->segment_count -= count - 1;
    log->directory_dirty = true;
    atomic_fetch_add(&log->truncations, 1);
    pthread_mutex_unlock(&log->publish);
}

int log_replace_segments(struct log *log, struct segment *const *old, uint32_t count, struct segment *fresh,
                         unsigned *truncations)
{
    int rc = log_usable(log);
    int64_t at = find(log, old, count);
    if (rc == 0 && (at < 0 || atomic_load(&log->truncations) != *truncations || !log->config.cleanup_compact))
        rc = ERR_AGAIN;
    if (rc)
        return rc;
    rc = swap_files(log, old, count, fresh->base_offset);
    if (rc)
        return rc;
    publish(log, (uint32_t)at, count, fresh);
    *truncations = atomic_load(&log->truncations);
    for (uint32_t i = 1; i < count; i++)
        log_remove_snapshot(log, old[i]->base_offset);
    for (uint32_t i = 0; i < count; i++)
        segment_unref(old[i]); // the list's
    return 0;
}
