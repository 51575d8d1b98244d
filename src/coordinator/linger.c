#include "coordinator/linger.h"

#include <stdlib.h>

void linger_init(struct linger *l)
{
    *l = (struct linger){.count = 0};
    arena_init(&l->arena, 0);
    list_init(&l->answered);
}

void linger_free(struct linger *l)
{
    arena_free(&l->arena);
    free(l->records);
    free(l->ends);
}

// Lengths, deltas and attributes of a record, and of the batch if it is the only one.
#define OVERHEAD_BYTES 96

size_t linger_cost(const struct coordinator_record *record)
{
    return record->key.size + record->value.size + OVERHEAD_BYTES;
}

static struct bytes copy(struct linger *l, struct bytes b)
{
    struct bytes own = b.data ? arena_bytes(&l->arena, b) : b;
    if (b.data && !own.data)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
    return own;
}

void linger_add(struct linger *l, const struct coordinator_effects *effects)
{
    if (l->count + effects->records_count > l->capacity) {
        l->capacity = 2 * (l->count + effects->records_count);
        l->records = state_array(l->records, l->capacity, sizeof *l->records);
    }
    for (size_t i = 0; i < effects->records_count; i++) {
        const struct coordinator_record *from = &effects->records[i];
        l->records[l->count++] = (struct coordinator_record){copy(l, from->key), copy(l, from->value)};
        l->bytes += linger_cost(from);
    }
    if (l->steps == l->steps_capacity) {
        l->steps_capacity = l->steps_capacity ? 2 * l->steps_capacity : 8;
        l->ends = state_array(l->ends, l->steps_capacity, sizeof *l->ends);
    }
    l->ends[l->steps++] = l->count;
}

size_t linger_batch(const struct linger *l, size_t from, size_t limit)
{
    size_t bytes = 0, to = from;
    for (size_t i = 0; i < l->steps; i++) {
        if (l->ends[i] <= from)
            continue;
        for (size_t k = to; k < l->ends[i]; k++)
            bytes += linger_cost(&l->records[k]);
        if (to > from && bytes > limit)
            break;
        to = l->ends[i];
    }
    return to - from;
}

void linger_clear(struct linger *l)
{
    arena_reset(&l->arena);
    l->count = l->steps = l->bytes = 0;
}
