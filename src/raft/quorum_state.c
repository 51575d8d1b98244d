#include "raft/quorum_state.h"

#include "base/error.h"
#include "os/file.h"

#include <jansson.h>
#include <stdio.h>

#define QUORUM_STATE_MAX_BYTES ((size_t)1 << 20)

static int bad(struct buffer *message, const char *what)
{
    if (message)
        buffer_printf(message, "%s: %s", QUORUM_STATE_FILE, what);
    return ERR_CORRUPT;
}

// An integer field; `otherwise` when it is missing. False when it is something else or out of range.
static bool get_int32(const json_t *object, const char *name, int32_t otherwise, int32_t *out)
{
    const json_t *value = json_object_get(object, name);
    *out = otherwise;
    if (!value)
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < INT32_MIN ||
        json_integer_value(value) > INT32_MAX)
        return false;
    *out = (int32_t)json_integer_value(value);
    return true;
}

static int parse_object(const json_t *object, struct raft_persistent *out, struct buffer *message)
{
    int32_t version;
    *out = (struct raft_persistent){0, RAFT_NOBODY, RAFT_NOBODY, {{0}}};
    if (!get_int32(object, "data_version", -1, &version) || version < 0)
        return bad(message, "no data_version");
    if (version > 1)
        return bad(message, "a data_version above 1");
    if (!get_int32(object, "leaderId", RAFT_NOBODY, &out->leader_id) ||
        !get_int32(object, "leaderEpoch", -1, &out->epoch) ||
        !get_int32(object, "votedId", RAFT_NOBODY, &out->voted_id) || out->epoch < 0)
        return bad(message, "leaderId, leaderEpoch or votedId is no number");
    const json_t *directory = json_object_get(object, "votedDirectoryId");
    if (directory && (!json_is_string(directory) ||
                      uuid_parse(str_from(json_string_value(directory)), &out->voted_directory)))
        return bad(message, "votedDirectoryId is no id");
    return 0;
}

int quorum_state_parse(struct bytes text, struct raft_persistent *out, struct buffer *message)
{
    json_error_t error;
    json_t *object = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return bad(message, error.text);
    int rc = parse_object(object, out, message);
    json_decref(object);
    return rc;
}

int quorum_state_read(const char *dir, struct raft_persistent *out, struct buffer *message)
{
    char path[4096];
    struct buffer text = BUFFER_INIT;
    snprintf(path, sizeof path, "%s/%s", dir, QUORUM_STATE_FILE);
    int rc = file_read_whole(path, QUORUM_STATE_MAX_BYTES, &text);
    if (rc == ERR_NOT_FOUND) {
        *out = (struct raft_persistent){0, RAFT_NOBODY, RAFT_NOBODY, {{0}}};
        rc = 0;
    } else if (rc == 0) {
        rc = quorum_state_parse((struct bytes){text.data, text.size}, out, message);
    }
    buffer_free(&text);
    return rc;
}

void quorum_state_format(int16_t kraft_version, const struct raft_persistent *state,
                         const struct raft_voters *voters, struct buffer *out)
{
    if (kraft_version > 0) {
        char directory[UUID_TEXT_BYTES];
        uuid_text(&state->voted_directory, directory);
        buffer_printf(out,
                      "{\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":%d,\"votedDirectoryId\":\"%s\","
                      "\"data_version\":1}",
                      state->leader_id, state->epoch, state->voted_id, directory);
        return;
    }
    buffer_printf(out,
                  "{\"clusterId\":\"\",\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":%d,\"appliedOffset\":0,"
                  "\"currentVoters\":[",
                  state->leader_id, state->epoch, state->voted_id);
    for (uint32_t i = 0; i < voters->count; i++)
        buffer_printf(out, "%s{\"voterId\":%d}", i ? "," : "", voters->items[i].replica.id);
    buffer_printf(out, "],\"data_version\":0}");
}

int quorum_state_write(const char *dir, int16_t kraft_version, const struct raft_persistent *state,
                       const struct raft_voters *voters)
{
    struct buffer text = BUFFER_INIT;
    quorum_state_format(kraft_version, state, voters, &text);
    int rc = text.failed ? ERR_NOMEM : file_replace(dir, QUORUM_STATE_FILE, text.data, text.size);
    buffer_free(&text);
    return rc;
}
