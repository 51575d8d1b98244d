// Records that the codec knows: metadata records and control records.
#include "cli/dump.h"

#include "metadata/record.h"
#include "protocol/codec.h"
#include "storage/batch.h"

#include <stdlib.h>

static bool append_message(const struct dump *d, const struct message_type *type, int16_t version,
                           struct bytes body, struct buffer *out)
{
    struct arena arena;
    arena_init(&arena, body.size * MESSAGE_MEMORY_FACTOR + 4096);
    void *message = arena_zalloc(&arena, 1, type->size_bytes);
    struct buffer json = BUFFER_INIT;
    bool known = message && message_decode(type, version, body, &arena, message, NULL) == 0 &&
                 message_json(type, version, message, &json) == 0;
    if (known && d->json)
        buffer_printf(out, "\"type\":\"%s\",\"version\":%d,\"data\":", type->name, version);
    else if (known)
        buffer_printf(out, "%s ", type->name);
    if (known)
        buffer_append(out, json.data, json.size);
    buffer_free(&json);
    arena_free(&arena);
    return known;
}

bool dump_metadata_value(const struct dump *d, struct bytes value, struct buffer *out)
{
    struct metadata_frame frame;
    if (metadata_frame_read(value, &frame) != 0)
        return false;
    const struct message_type *type = message_find_key(MESSAGE_METADATA_RECORD, frame.type);
    return type && append_message(d, type, frame.version, frame.body, out);
}

// Markers have their version in front; the others hold it as their first field.
bool dump_control_value(const struct dump *d, int16_t control, struct bytes value, struct buffer *out)
{
    static const char *const names[] = {
        [CONTROL_ABORT] = "EndTxnMarker",
        [CONTROL_COMMIT] = "EndTxnMarker",
        [CONTROL_LEADER_CHANGE] = "LeaderChangeMessage",
        [CONTROL_SNAPSHOT_HEADER] = "SnapshotHeaderRecord",
        [CONTROL_SNAPSHOT_FOOTER] = "SnapshotFooterRecord",
        [CONTROL_KRAFT_VERSION] = "KRaftVersionRecord",
        [CONTROL_KRAFT_VOTERS] = "VotersRecord",
    };
    if (control < 0 || control >= (int16_t)(sizeof names / sizeof *names) || value.size < 2)
        return false;
    int16_t version = (int16_t)load_be16(value.data);
    bool marker = control == CONTROL_ABORT || control == CONTROL_COMMIT;
    struct bytes body = marker ? (struct bytes){value.data + 2, value.size - 2} : value;
    if (marker && !d->json)
        buffer_text(out, control == CONTROL_COMMIT ? "commit " : "abort ");
    else if (marker)
        buffer_printf(out, "\"control\":\"%s\",", control == CONTROL_COMMIT ? "commit" : "abort");
    const struct message_type *type = message_find(names[control]);
    return type && append_message(d, type, version, body, out);
}
