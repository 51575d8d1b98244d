#include "raft/voters.h"

#include "base/error.h"
#include "protocol/messages.h"

void raft_voters_init(struct raft_voters *v)
{
    v->count = 0;
    arena_init(&v->arena, 0);
}

void raft_voters_free(struct raft_voters *v)
{
    arena_free(&v->arena);
    v->count = 0;
}

int raft_voters_add(struct raft_voters *v, const struct raft_voter *voter)
{
    if (raft_voters_find(v, voter->replica.id))
        return ERR_EXISTS;
    if (v->count == RAFT_VOTERS_MAX)
        return ERR_LIMIT;
    struct raft_voter copy = *voter;
    copy.endpoints = arena_zalloc(&v->arena, voter->endpoints_count + 1, sizeof *copy.endpoints);
    if (!copy.endpoints)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < voter->endpoints_count; i++) {
        const struct raft_endpoint *from = &voter->endpoints[i];
        copy.endpoints[i] = (struct raft_endpoint){arena_str(&v->arena, from->name),
                                                   arena_str(&v->arena, from->host), from->port};
        if (!copy.endpoints[i].name.data || !copy.endpoints[i].host.data)
            return ERR_NOMEM;
    }
    v->items[v->count++] = copy;
    return 0;
}

static int add_decoded(struct raft_voters *v, const struct voters_record_voter *from, struct arena *arena)
{
    struct raft_voter voter = {.replica = {from->voter_id, from->voter_directory_id},
                               .endpoints_count = (uint32_t)from->endpoints_count,
                               .min_kraft_version = from->kraft_version_feature.min_supported_version,
                               .max_kraft_version = from->kraft_version_feature.max_supported_version};
    voter.endpoints = arena_zalloc(arena, voter.endpoints_count + 1, sizeof *voter.endpoints);
    if (!voter.endpoints)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < voter.endpoints_count; i++)
        voter.endpoints[i] =
            (struct raft_endpoint){from->endpoints[i].name, from->endpoints[i].host, from->endpoints[i].port};
    int rc = raft_voters_add(v, &voter);
    return rc == ERR_EXISTS ? ERR_CORRUPT : rc;
}

int raft_voters_decode(struct raft_voters *v, struct bytes value)
{
    struct voters_record record;
    struct arena arena;
    arena_init(&arena, 0);
    raft_voters_free(v);
    int rc = message_decode(&voters_record_type, 0, value, &arena, &record, NULL);
    if (rc && rc != ERR_NOMEM)
        rc = ERR_CORRUPT;
    for (int32_t i = 0; rc == 0 && i < record.voters_count; i++)
        rc = add_decoded(v, &record.voters[i], &arena);
    if (rc)
        raft_voters_free(v);
    arena_free(&arena);
    return rc;
}

int raft_voters_encode(const struct raft_voters *v, struct arena *arena, struct bytes *out)
{
    struct voters_record record = voters_record_default;
    record.voters_count = (int32_t)v->count;
    record.voters = voters_record_voter_new(arena, record.voters_count);
    if (!record.voters)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct raft_voter *from = &v->items[i];
        struct voters_record_voter *to = &record.voters[i];
        to->voter_id = from->replica.id;
        to->voter_directory_id = from->replica.directory;
        to->kraft_version_feature.min_supported_version = from->min_kraft_version;
        to->kraft_version_feature.max_supported_version = from->max_kraft_version;
        to->endpoints_count = (int32_t)from->endpoints_count;
        to->endpoints = voters_record_endpoint_new(arena, to->endpoints_count);
        if (!to->endpoints)
            return ERR_NOMEM;
        for (uint32_t e = 0; e < from->endpoints_count; e++)
            to->endpoints[e] = (struct voters_record_endpoint){
                from->endpoints[e].name, from->endpoints[e].host, from->endpoints[e].port};
    }
    return message_to_bytes(&voters_record_type, 0, &record, arena, out);
}

const struct raft_voter *raft_voters_find(const struct raft_voters *v, int32_t id)
{
    for (uint32_t i = 0; i < v->count; i++)
        if (v->items[i].replica.id == id)
            return &v->items[i];
    return NULL;
}
