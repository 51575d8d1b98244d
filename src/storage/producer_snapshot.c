// Snapshot files of the producer state: version (int16), CRC-32C of what follows it (uint32), then an array
// of entries, big-endian.
#include "base/crc32c.h"
#include "base/error.h"
#include "storage/producer_state.h"

#include <stdlib.h>

enum {
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_CRC_AT = 2,
    SNAPSHOT_ENTRIES_AT = 6, // int32 count, then the entries
    SNAPSHOT_ENTRY_BYTES = 46,
};

static void put_entry(uint8_t *to, const struct producer_entry *p)
{
    const struct producer_batch *last = p->batch_count ? &p->batches[p->batch_count - 1] : NULL;
    store_be64(to, (uint64_t)p->producer_id);
    store_be16(to + 8, (uint16_t)p->epoch);
    store_be32(to + 10, (uint32_t)(last ? last->last_sequence : BATCH_NO_SEQUENCE));
    store_be64(to + 14, (uint64_t)(last ? last->last_offset : LOG_NO_OFFSET));
    store_be32(to + 22, (uint32_t)(last ? last->offset_delta : 0));
    store_be64(to + 26, (uint64_t)p->last_timestamp_ms);
    store_be32(to + 34, (uint32_t)p->coordinator_epoch);
    store_be64(to + 38, (uint64_t)p->transaction_first_offset);
}

int producer_snapshot_encode(const struct producer_state *s, struct buffer *out)
{
    buffer_clear(out);
    size_t size = SNAPSHOT_ENTRIES_AT + 4 + s->entries.count * SNAPSHOT_ENTRY_BYTES;
    uint8_t *to = buffer_reserve(out, size);
    if (!to)
        return ERR_NOMEM;
    store_be16(to, SNAPSHOT_VERSION);
    store_be32(to + SNAPSHOT_ENTRIES_AT, (uint32_t)s->entries.count);
    struct map_entry *e;
    uint8_t *at = to + SNAPSHOT_ENTRIES_AT + 4;
    for (size_t i = 0; (e = map_next(&s->entries, &i)); at += SNAPSHOT_ENTRY_BYTES)
        put_entry(at, e->value);
    store_be32(to + SNAPSHOT_CRC_AT, crc32c(to + SNAPSHOT_ENTRIES_AT, size - SNAPSHOT_ENTRIES_AT));
    out->size = size;
    return 0;
}

static struct producer_entry get_entry(const uint8_t *at)
{
    struct producer_entry p = {.producer_id = (int64_t)load_be64(at),
                               .epoch = (int16_t)load_be16(at + 8),
                               .last_timestamp_ms = (int64_t)load_be64(at + 26),
                               .coordinator_epoch = (int32_t)load_be32(at + 34),
                               .transaction_first_offset = (int64_t)load_be64(at + 38)};
    if (p.transaction_first_offset < 0)
        p.transaction_first_offset = LOG_NO_OFFSET;
    int64_t last_offset = (int64_t)load_be64(at + 14);
    if (last_offset >= 0) {
        p.batch_count = 1;
        p.batches[0] = (struct producer_batch){.last_offset = last_offset,
                                               .timestamp_ms = p.last_timestamp_ms,
                                               .last_sequence = (int32_t)load_be32(at + 10),
                                               .offset_delta = (int32_t)load_be32(at + 22)};
    }
    return p;
}

static int load_entry(struct producer_state *s, const struct producer_entry *p)
{
    struct producer_entry *copy = map_int_get(&s->entries, (uint64_t)p->producer_id);
    if (copy)
        return ERR_CORRUPT; // twice
    copy = malloc(sizeof *copy);
    if (!copy)
        return ERR_NOMEM;
    *copy = *p;
    if (map_int_put(&s->entries, (uint64_t)p->producer_id, copy)) {
        free(copy);
        return ERR_NOMEM;
    }
    if (p->transaction_first_offset < 0)
        return 0;
    struct transactions *open = &s->open;
    if (open->count == open->capacity) {
        uint32_t capacity = open->capacity ? open->capacity * 2 : 4;
        struct transaction *items = realloc(open->items, capacity * sizeof *items);
        if (!items)
            return ERR_NOMEM;
        open->items = items;
        open->capacity = capacity;
    }
    uint32_t i = open->count++;
    for (; i > 0 && open->items[i - 1].first_offset > p->transaction_first_offset; i--)
        open->items[i] = open->items[i - 1];
    open->items[i] = (struct transaction){p->transaction_first_offset, p->producer_id, LOG_NO_OFFSET};
    return 0;
}

int producer_snapshot_decode(struct bytes in, int64_t offset, int64_t now_ms, int64_t expiration_ms,
                             struct producer_state *s)
{
    producer_state_clear(s, offset);
    if (in.size < SNAPSHOT_ENTRIES_AT + 4 || load_be16(in.data) != SNAPSHOT_VERSION ||
        load_be32(in.data + SNAPSHOT_CRC_AT) !=
            crc32c(in.data + SNAPSHOT_ENTRIES_AT, in.size - SNAPSHOT_ENTRIES_AT))
        return ERR_CORRUPT;
    uint32_t count = load_be32(in.data + SNAPSHOT_ENTRIES_AT);
    if ((in.size - SNAPSHOT_ENTRIES_AT - 4) / SNAPSHOT_ENTRY_BYTES != count ||
        (in.size - SNAPSHOT_ENTRIES_AT - 4) % SNAPSHOT_ENTRY_BYTES != 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        struct producer_entry p =
            get_entry(in.data + SNAPSHOT_ENTRIES_AT + 4 + (size_t)i * SNAPSHOT_ENTRY_BYTES);
        bool gone = p.transaction_first_offset < 0 && now_ms - p.last_timestamp_ms >= expiration_ms;
        int rc = gone ? 0 : load_entry(s, &p);
        if (rc) {
            producer_state_clear(s, offset);
            return rc;
        }
    }
    return 0;
}
