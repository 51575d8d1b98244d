// Sets of topic partitions as sorted arrays.
#include "coordinator/group/assignment.h"

#include <stdlib.h>

int topic_partition_compare(const struct topic_partition *a, const struct topic_partition *b)
{
    int c = memcmp(&a->topic, &b->topic, sizeof a->topic);
    return c ? c : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare(const void *a, const void *b)
{
    return topic_partition_compare(a, b);
}

static bool is_ascending(const struct topic_partition *items, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (topic_partition_compare(&items[i - 1], &items[i]) > 0)
            return false;
    return true;
}

struct assignment assignment_make(struct topic_partition *items, uint32_t count)
{
    if (!is_ascending(items, count)) // mostly it is
        qsort(items, count, sizeof *items, compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || topic_partition_compare(&items[kept - 1], &items[i]) != 0)
            items[kept++] = items[i];
    return (struct assignment){items, kept};
}

bool assignment_combine(struct arena *arena, const struct assignment *a, const struct assignment *b,
                        enum assignment_operation operation, struct assignment *out)
{
    size_t most = (size_t)a->count + (operation == ASSIGNMENT_EITHER ? b->count : 0);
    struct topic_partition *items = arena_alloc(arena, most * sizeof *items);
    if (!items)
        return false;
    uint32_t count = 0, i = 0, k = 0;
    while (i < a->count || k < b->count) {
        int c = i == a->count ? 1 : k == b->count ? -1 : topic_partition_compare(&a->items[i], &b->items[k]);
        bool keep = operation == ASSIGNMENT_EITHER || (operation == ASSIGNMENT_BOTH && c == 0) ||
                    (operation == ASSIGNMENT_MINUS && c < 0);
        if (keep)
            items[count++] = c <= 0 ? a->items[i] : b->items[k];
        i += c <= 0;
        k += c >= 0;
    }
    *out = (struct assignment){items, count};
    return true;
}

const struct topic_partition *assignment_find(const struct assignment *a, const struct topic_partition *p)
{
    return a->count > 0 ? bsearch(p, a->items, a->count, sizeof *p, compare) : NULL;
}

bool assignment_has(const struct assignment *a, const struct topic_partition *p)
{
    return assignment_find(a, p) != NULL;
}

bool assignment_equal(const struct assignment *a, const struct assignment *b)
{
    return a->count == b->count && assignment_within(a, b);
}

bool assignment_within(const struct assignment *part, const struct assignment *whole)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < part->count; i++, k++) {
        while (k < whole->count && topic_partition_compare(&whole->items[k], &part->items[i]) < 0)
            k++;
        if (k == whole->count || topic_partition_compare(&whole->items[k], &part->items[i]) != 0)
            return false;
    }
    return true;
}

bool assignment_meets(const struct assignment *a, const struct assignment *b)
{
    for (uint32_t i = 0, k = 0; i < a->count && k < b->count;) {
        int c = topic_partition_compare(&a->items[i], &b->items[k]);
        if (c == 0)
            return true;
        i += c < 0;
        k += c > 0;
    }
    return false;
}

uint32_t assignment_topic_end(const struct assignment *a, uint32_t at)
{
    uint32_t end = at;
    while (end < a->count && uuid_equal(&a->items[end].topic, &a->items[at].topic))
        end++;
    return end;
}

uint32_t assignment_topics(const struct assignment *a)
{
    uint32_t topics = 0;
    for (uint32_t at = 0; at < a->count; at = assignment_topic_end(a, at))
        topics++;
    return topics;
}
