#include "raft/walk.h"

#include "base/error.h"

#define UNPACKED_MAX_BYTES ((size_t)256 << 20)

static int visit(const struct batch_header *header, const struct record *r,
                 const struct metadata_visitor *visitor)
{
    int64_t offset = record_offset(header, r);
    if (!batch_is_control(header)) {
        struct image_record record = {offset, header->leader_epoch, record_timestamp_ms(header, r), r->value};
        return visitor->record(visitor->context, &record);
    }
    int16_t type;
    int rc = control_key_read(r->key, NULL, &type);
    return rc ? rc : visitor->control(visitor->context, offset, type, r->value);
}

int metadata_walk_batch(const struct batch_header *header, struct bytes batch, struct buffer *scratch,
                        const struct metadata_visitor *visitor)
{
    struct bytes body;
    if (!batch_crc_ok(batch))
        return ERR_CORRUPT;
    int rc = batch_body(header, batch, UNPACKED_MAX_BYTES, scratch, &body);
    if (rc)
        return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
    struct record_cursor cursor = record_cursor(body, header->count);
    for (struct record r; (rc = record_cursor_next(&cursor, &r)) == 1;) {
        rc = visit(header, &r, visitor);
        if (rc)
            return rc;
    }
    return rc;
}
