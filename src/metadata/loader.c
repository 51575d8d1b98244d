#include "metadata/loader.h"

#include "base/error.h"
#include "metadata/record.h"

#include <stdlib.h>

// So many records are applied at once: large enough that touching a topic many times costs one copy.
#define BATCH_RECORDS 4096

int image_loader_init(struct image_loader *l)
{
    *l = (struct image_loader){.image = image_new()};
    return l->image ? 0 : ERR_NOMEM;
}

void image_loader_free(struct image_loader *l)
{
    image_unref(l->image);
    free(l->waiting);
    buffer_free(&l->bytes);
    buffer_free(&l->why);
    *l = (struct image_loader){0};
}

static int apply_waiting(struct image_loader *l)
{
    if (!l->waiting_count)
        return 0;
    for (size_t i = 0; i < l->waiting_count; i++)
        l->waiting[i].value.data = l->bytes.data + (uintptr_t)l->waiting[i].value.data;
    struct image *after;
    int rc = image_apply(l->image, l->waiting, l->waiting_count, &after, NULL, &l->why);
    if (rc)
        return rc;
    image_unref(l->image);
    l->image = after;
    l->waiting_count = 0;
    buffer_clear(&l->bytes);
    return 0;
}

static int keep_waiting(struct image_loader *l, const struct image_record *record)
{
    if (l->waiting_count == l->waiting_capacity) {
        size_t capacity = l->waiting_capacity ? l->waiting_capacity * 2 : 256;
        struct image_record *grown = realloc(l->waiting, capacity * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        l->waiting = grown;
        l->waiting_capacity = capacity;
    }
    struct image_record *copy = &l->waiting[l->waiting_count];
    *copy = *record;
    copy->value.data = (const uint8_t *)(uintptr_t)l->bytes.size; // the buffer may still move
    buffer_append(&l->bytes, record->value.data, record->value.size);
    if (l->bytes.failed)
        return ERR_NOMEM;
    l->waiting_count++;
    return 0;
}

int image_loader_add(struct image_loader *l, const struct image_record *record)
{
    struct metadata_frame frame;
    int rc = 0;
    if (metadata_frame_read(record->value, &frame))
        frame.type = -1; // image_apply will say so
    switch (frame.type) {
    case RECORD_BEGIN_TRANSACTION:
        rc = apply_waiting(l);
        l->in_transaction = true;
        break;
    case RECORD_ABORT_TRANSACTION:
        l->in_transaction = false;
        l->waiting_count = 0;
        buffer_clear(&l->bytes);
        break;
    case RECORD_END_TRANSACTION:
        l->in_transaction = false;
        break;
    default:
        break;
    }
    if (rc == 0)
        rc = keep_waiting(l, record); // the markers too: they carry the offset
    if (rc == 0 && !l->in_transaction && l->waiting_count >= BATCH_RECORDS)
        rc = apply_waiting(l);
    return rc;
}

int image_loader_flush(struct image_loader *l)
{
    return l->in_transaction ? 0 : apply_waiting(l);
}
