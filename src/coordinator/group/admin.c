// ListGroups, DescribeGroups, DeleteGroups: what administrators ask.
#include "coordinator/group/kind.h"

#include <strings.h>

// ListGroups

static struct str trim(struct str s)
{
    while (s.size > 0 && (uint8_t)s.data[0] <= ' ')
        s = (struct str){s.data + 1, s.size - 1};
    while (s.size > 0 && (uint8_t)s.data[s.size - 1] <= ' ')
        s.size--;
    return s;
}

static bool in_any_case(const struct str *list, int32_t count, const char *word, bool trimmed)
{
    for (int32_t i = 0; i < count; i++) {
        struct str s = trimmed ? trim(list[i]) : list[i];
        if (s.size == strlen(word) && strncasecmp(s.data, word, s.size) == 0)
            return true;
    }
    return count <= 0;
}

void on_list(struct turn *t, struct coordinator_request *r)
{
    const struct list_groups_request *q = r->message;
    const struct map *groups = &t->groups->groups;
    struct list_groups_response *out = list_groups_response_new(&r->arena, 1);
    if (!out || !(out->groups = list_groups_response_listed_group_new(&r->arena, (int32_t)groups->count))) {
        answer(t, r, NULL);
        return;
    }
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(groups, &i));) {
        const struct group *g = e->value;
        const struct group_kind *kind = kind_of(g);
        const char *state = kind->state_name(g);
        if (!in_any_case(q->states_filter, q->states_filter_count, state, true) ||
            !in_any_case(q->types_filter, q->types_filter_count, kind->name, false))
            continue;
        struct list_groups_response_listed_group *o = &out->groups[out->groups_count++];
        o->group_id = arena_str(&r->arena, g->id);
        o->protocol_type = kind->protocol_type     ? str_from(kind->protocol_type)
                           : g->protocol_type.data ? arena_str(&r->arena, g->protocol_type)
                                                   : STR("");
        o->group_state = str_from(state);
        o->group_type = str_from(kind->name);
    }
    answer(t, r, out);
}

// DescribeGroups

#define NOT_FOUND_VERSION 6 // older clients read of a dead group

static void describe_missing(struct coordinator_request *r, struct str id, const char *what,
                             struct describe_groups_response_described_group *out)
{
    out->group_state = str_from(group_state_name(GROUP_DEAD));
    if (r->version < NOT_FOUND_VERSION)
        return;
    out->error_code = E_GROUP_ID_NOT_FOUND;
    out->error_message = arena_printf(&r->arena, "Group %.*s %s", STR_ARG(id), what);
}

static bool describe_group(struct arena *arena, const struct group *g,
                           struct describe_groups_response_described_group *out)
{
    bool stable = g->state == GROUP_STABLE;
    out->group_state = str_from(group_state_name(g->state));
    if (g->protocol_type.data)
        out->protocol_type = arena_str(arena, g->protocol_type);
    if (stable && g->protocol.data)
        out->protocol_data = arena_str(arena, g->protocol);
    out->members = describe_groups_response_described_group_member_new(arena, (int32_t)g->members_count);
    if (!out->members)
        return false;
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next) {
        const struct member *m = container_of(n, struct member, node);
        const struct protocol *p = stable ? member_protocol(m, g->protocol) : NULL;
        struct describe_groups_response_described_group_member *o = &out->members[out->members_count++];
        o->member_id = arena_str(arena, m->id);
        o->group_instance_id = arena_str(arena, m->instance_id);
        o->client_id = arena_str(arena, m->client_id);
        o->client_host = arena_str(arena, m->client_host);
        o->member_assignment = arena_bytes(arena, m->assignment);
        if (p)
            o->member_metadata = arena_bytes(arena, p->metadata);
    }
    return true;
}

void on_describe(struct turn *t, struct coordinator_request *r)
{
    const struct str *id = r->message;
    const struct group *g = group_find(t->groups, *id);
    struct describe_groups_response_described_group *out =
        describe_groups_response_described_group_new(&r->arena, 1);
    if (out) {
        out->group_id = arena_str(&r->arena, *id);
        if (!g)
            describe_missing(r, *id, "not found.", out);
        else if (g->type != GROUP_CLASSIC)
            describe_missing(r, *id, "is not a classic group.", out);
        else if (!describe_group(&r->arena, g, out))
            out = NULL;
    }
    answer(t, r, out);
}

// DeleteGroups

void on_delete(struct turn *t, struct coordinator_request *r)
{
    const struct str *id = r->message;
    const struct group *g = group_find(t->groups, *id);
    int16_t error = !g || !kind_of(g)->write_tombstones ? E_GROUP_ID_NOT_FOUND
                    : !group_is_empty(g)                ? E_NON_EMPTY_GROUP
                                                        : E_NONE;
    if (error != E_NONE) {
        refuse(t, r, error);
        return;
    }
    for (uint32_t i = 0; i < g->offsets.count; i++)
        for (uint32_t k = 0; k < g->offsets.topics[i].count; k++)
            write_offset_tombstone(t, g->id, g->offsets.topics[i].topic,
                                   g->offsets.topics[i].offsets[k].partition);
    write_pending_tombstones(t, g, NULL);
    write_tombstones(t, g);
    r->response = delete_groups_response_deletable_group_result_new(&r->arena, 1);
    t->groups->then = THEN_ANSWER;
    t->groups->then_request = r;
}
