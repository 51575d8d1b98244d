#include "raft/control.h"

#include "base/error.h"
#include "protocol/messages.h"

static void start(struct batch_builder *b, int64_t base_offset, int32_t epoch)
{
    struct batch_options options = BATCH_OPTIONS;
    options.base_offset = base_offset;
    options.leader_epoch = epoch;
    options.attributes = BATCH_CONTROL;
    batch_builder_init(b, &options);
}

static int add(struct batch_builder *b, int64_t now_ms, int16_t type, const struct message_type *message_type,
               const void *message)
{
    struct arena arena;
    struct bytes value;
    arena_init(&arena, 0);
    int rc = message_to_bytes(message_type, 0, message, &arena, &value);
    if (rc == 0)
        batch_builder_add_control(b, now_ms, type, value);
    arena_free(&arena);
    return rc;
}

static int add_voters(struct batch_builder *b, int64_t now_ms, int16_t kraft_version,
                      const struct raft_voters *voters)
{
    struct kraft_version_record version = {.version = 0, .kraft_version = kraft_version};
    struct arena arena;
    struct bytes value;
    int rc = add(b, now_ms, CONTROL_KRAFT_VERSION, &kraft_version_record_type, &version);
    if (rc)
        return rc;
    arena_init(&arena, 0);
    rc = raft_voters_encode(voters, &arena, &value);
    if (rc == 0)
        batch_builder_add_control(b, now_ms, CONTROL_KRAFT_VOTERS, value);
    arena_free(&arena);
    return rc;
}

int control_epoch_batch(struct batch_builder *b, int32_t epoch, int32_t leader_id,
                        const struct raft_voters *voters, const bool *granted, bool with_voters,
                        int16_t kraft_version, int64_t now_ms, struct bytes *batch)
{
    struct leader_change_message_voter all[RAFT_VOTERS_MAX] = {0}, granting[RAFT_VOTERS_MAX] = {0};
    struct leader_change_message message = leader_change_message_default;
    message.leader_id = leader_id;
    message.voters = all;
    message.granting_voters = granting;
    for (uint32_t i = 0; i < voters->count; i++) {
        all[message.voters_count++].voter_id = voters->items[i].replica.id;
        if (granted[i])
            granting[message.granting_voters_count++].voter_id = voters->items[i].replica.id;
    }
    start(b, 0, epoch);
    int rc = add(b, now_ms, CONTROL_LEADER_CHANGE, &leader_change_message_type, &message);
    if (rc == 0 && with_voters)
        rc = add_voters(b, now_ms, kraft_version, voters);
    return rc ? rc : batch_builder_finish(b, batch);
}

int control_upgrade_batch(struct batch_builder *b, int32_t epoch, int16_t kraft_version,
                          const struct raft_voters *voters, int64_t now_ms, struct bytes *batch)
{
    start(b, 0, epoch);
    int rc = add_voters(b, now_ms, kraft_version, voters);
    return rc ? rc : batch_builder_finish(b, batch);
}

int control_snapshot_header(struct batch_builder *b, int32_t epoch, int64_t last_timestamp_ms,
                            int16_t kraft_version, const struct raft_voters *voters, int64_t now_ms,
                            struct bytes *batch)
{
    struct snapshot_header_record header = {.version = 0, .last_contained_log_timestamp = last_timestamp_ms};
    start(b, 0, epoch);
    int rc = add(b, now_ms, CONTROL_SNAPSHOT_HEADER, &snapshot_header_record_type, &header);
    if (rc == 0 && kraft_version > 0)
        rc = add_voters(b, now_ms, kraft_version, voters);
    return rc ? rc : batch_builder_finish(b, batch);
}

int control_snapshot_footer(struct batch_builder *b, int64_t offset, int32_t epoch, int64_t now_ms,
                            struct bytes *batch)
{
    struct snapshot_footer_record footer = {.version = 0};
    start(b, offset, epoch);
    int rc = add(b, now_ms, CONTROL_SNAPSHOT_FOOTER, &snapshot_footer_record_type, &footer);
    return rc ? rc : batch_builder_finish(b, batch);
}

int control_kraft_version(struct bytes value, int16_t *out)
{
    struct kraft_version_record record;
    struct arena arena;
    arena_init(&arena, 0);
    int rc = message_decode(&kraft_version_record_type, 0, value, &arena, &record, NULL);
    arena_free(&arena);
    if (rc)
        return ERR_CORRUPT;
    *out = record.kraft_version;
    return 0;
}
