#include "storage/cleaner_txns.h"

#include "base/error.h"

#include <stdlib.h>

static int by_first_offset(const void *a, const void *b)
{
    int64_t x = ((const struct cleaner_aborted *)a)->entry.first_offset;
    int64_t y = ((const struct cleaner_aborted *)b)->entry.first_offset;
    return (x > y) - (x < y);
}

void cleaner_txns_open(struct cleaner_txns *t, struct cleaner_aborted *aborted, size_t count)
{
    *t = (struct cleaner_txns){.aborted = aborted, .count = count};
    for (size_t i = 0; i < count; i++)
        aborted[i].seen = false;
    if (count)
        qsort(aborted, count, sizeof *aborted, by_first_offset);
}

void cleaner_txns_close(struct cleaner_txns *t)
{
    map_free(&t->open_aborted);
    map_free(&t->open_committed);
}

// Aborted transactions that begin at or below the offset are open from here on.
static int begin_up_to(struct cleaner_txns *t, int64_t offset)
{
    for (; t->next < t->count && t->aborted[t->next].entry.first_offset <= offset; t->next++) {
        struct cleaner_aborted *a = &t->aborted[t->next];
        uint64_t id = (uint64_t)a->entry.producer_id;
        if (!map_int_get(&t->open_aborted, id) && map_int_put(&t->open_aborted, id, a))
            return ERR_NOMEM;
    }
    return 0;
}

int cleaner_txns_data(struct cleaner_txns *t, const struct batch_header *h)
{
    int rc = begin_up_to(t, batch_last_offset(h));
    if (rc || !batch_is_transactional(h))
        return rc;
    struct cleaner_aborted *a = map_int_get(&t->open_aborted, (uint64_t)h->producer_id);
    if (a) {
        a->seen = true;
        return 1;
    }
    return map_int_put(&t->open_committed, (uint64_t)h->producer_id, t);
}

int cleaner_txns_marker(struct cleaner_txns *t, const struct batch_header *h, struct bytes batch,
                        const struct txn_index_entry **kept)
{
    struct record record;
    int16_t type;
    *kept = NULL;
    int rc = begin_up_to(t, batch_last_offset(h));
    if (rc)
        return rc;
    if (h->count == 0) // its marker went in an earlier round
        return 1;
    struct record_cursor cursor = record_cursor(
        (struct bytes){batch.data + BATCH_HEADER_BYTES, batch.size - BATCH_HEADER_BYTES}, h->count);
    if (record_cursor_next(&cursor, &record) <= 0 || control_key_read(record.key, NULL, &type))
        return ERR_CORRUPT;
    if (type == CONTROL_COMMIT)
        return map_int_remove(&t->open_committed, (uint64_t)h->producer_id) == NULL;
    if (type != CONTROL_ABORT)
        return 0;
    const struct cleaner_aborted *a = map_int_remove(&t->open_aborted, (uint64_t)h->producer_id);
    if (!a || !a->seen)
        return 1;
    *kept = &a->entry;
    return 0;
}
