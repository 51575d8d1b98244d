#include "storage/cleaner_decide.h"

// The last segment that starts at or below the offset, or the first one.
static size_t floor_segment(const struct cleaner_view *v, int64_t offset)
{
    size_t i = 0;
    while (i + 1 < v->count && v->segments[i + 1].base_offset <= offset)
        i++;
    return i;
}

static int64_t first_dirty(const struct cleaner_view *v)
{
    bool valid = v->cleaned_to >= v->log_start_offset && v->cleaned_to <= v->end_offset;
    return valid ? v->cleaned_to : v->log_start_offset;
}

static int64_t overdue_ms(const struct cleaner_view *v, size_t dirty)
{
    int64_t oldest_ms = INT64_MAX, until_ms = v->now_ms - v->max_lag_ms;
    for (size_t i = dirty; i + 1 < v->count; i++)
        if (v->segments[i].first_timestamp_ms > 0 && v->segments[i].first_timestamp_ms < oldest_ms)
            oldest_ms = v->segments[i].first_timestamp_ms;
    return oldest_ms < until_ms ? until_ms - oldest_ms : 0;
}

void cleaner_range(const struct cleaner_view *v, struct cleaner_range *out)
{
    size_t active = v->count - 1, dirty;
    *out = (struct cleaner_range){.first_dirty = first_dirty(v)};
    dirty = floor_segment(v, out->first_dirty);
    int64_t limit = v->segments[active].base_offset;
    if (v->last_stable_offset < limit)
        limit = v->last_stable_offset;
    for (size_t i = dirty; v->min_lag_ms > 0 && i < active; i++) {
        if (v->segments[i].largest_timestamp_ms <= v->now_ms - v->min_lag_ms)
            continue;
        if (v->segments[i].base_offset < limit)
            limit = v->segments[i].base_offset;
        break;
    }
    if (limit < out->first_dirty)
        limit = out->first_dirty;
    size_t end = floor_segment(v, limit);
    out->first_uncleanable = v->segments[end].base_offset;
    for (size_t i = 0; i < v->count; i++) {
        if (v->segments[i].base_offset < out->first_dirty)
            out->clean_bytes += v->segments[i].size_bytes;
        if (i >= dirty && i < end)
            out->cleanable_bytes += v->segments[i].size_bytes;
    }
    out->overdue_ms = overdue_ms(v, dirty);
}

double cleaner_dirty_ratio(const struct cleaner_range *r)
{
    int64_t total = r->clean_bytes + r->cleanable_bytes;
    return total > 0 ? (double)r->cleanable_bytes / (double)total : 0;
}

bool cleaner_is_due(const struct cleaner_range *r, double min_dirty_ratio)
{
    return (r->overdue_ms > 0 && r->cleanable_bytes > 0) || cleaner_dirty_ratio(r) > min_dirty_ratio;
}

size_t cleaner_group(const struct cleaner_segment *s, size_t count, int64_t end_offset, int64_t segment_bytes,
                     int64_t index_bytes)
{
    int64_t bytes = s[0].size_bytes, index = s[0].index_bytes, times = s[0].time_index_bytes;
    size_t n = 1;
    for (; n < count; n++) {
        int64_t last_offset = (n + 1 < count ? s[n + 1].base_offset : end_offset) - 1;
        // An empty segment may always come along: otherwise one would be left every 2^31 offsets.
        bool in_range = s[n].size_bytes == 0 || last_offset - s[0].base_offset <= INT32_MAX;
        bytes += s[n].size_bytes;
        index += s[n].index_bytes;
        times += s[n].time_index_bytes;
        if (bytes > segment_bytes || index > index_bytes || times > index_bytes || !in_range)
            break;
    }
    return n;
}
