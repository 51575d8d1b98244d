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

static int rename_one(const struct log *log, int64_t base_offset, const char *suffix, const char *from_end,
                      const char *to_end)
{
    char path[PATH_MAX], from[PATH_MAX + 16], to[PATH_MAX + 16];
    int rc = segment_file_name(log->place->dir, base_offset, suffix, path);
    if (rc)
        return rc;
    snprintf(from, sizeof from, "%s%s", path, from_end);
    snprintf(to, sizeof to, "%s%s", path, to_end);
    rc = file_rename(from, to);
    return rc == ERR_NOT_FOUND && strcmp(suffix, SEGMENT_TXN_SUFFIX) == 0 ? 0 : rc; // most have none
}

// Gives up before anything was replaced: first the log, which alone would make a start go on.
static void take_back(const struct log *log, int64_t base_offset)
{
    char path[PATH_MAX], name[PATH_MAX + 16];
    for (size_t i = 0; i < FILES; i++) {
        if (segment_file_name(log->place->dir, base_offset, suffixes[i], path))
            continue;
        snprintf(name, sizeof name, "%s%s", path, SWAP_SUFFIX);
        (void)file_unlink(name);
    }
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

static int move_in(struct log *log, struct segment *const *old, uint32_t count, int64_t base_offset)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = segment_mark_deleted(old[i], log->reaper,
                                  clock_monotonic_ms() + log->config.file_delete_delay_ms);
    for (size_t i = 0; rc == 0 && i < FILES; i++)
        rc = rename_one(log, base_offset, suffixes[i], SWAP_SUFFIX, "");
    if (rc) // the next start finishes it; until then nobody can tell which files are right
        log_set_offline(log, "a compaction could not be finished", rc);
    return rc;
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
    int64_t at = find(log, old, count), base = fresh->base_offset;
    if (rc == 0 && (at < 0 || atomic_load(&log->truncations) != *truncations || !log->config.cleanup_compact))
        rc = ERR_AGAIN;
    if (rc)
        return rc;
    for (size_t i = 0; rc == 0 && i < FILES; i++)
        rc = rename_one(log, base, suffixes[i], CLEANED_SUFFIX, SWAP_SUFFIX);
    if (rc) {
        take_back(log, base);
        return rc;
    }
    pthread_mutex_lock(&log->rebuild_lock); // readers that mend an old segment's index use the same names
    rc = move_in(log, old, count, base);
    pthread_mutex_unlock(&log->rebuild_lock);
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
