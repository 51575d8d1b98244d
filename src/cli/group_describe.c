// odradek group describe: members with what they are assigned, and the lag of each partition.
#include "cli/group.h"

#include "protocol/errors.h"
#include "protocol/sorted.h"

#include <inttypes.h>
#include <stdlib.h>

static const char help[] =
    "  odradek group describe billing\n"
    "  odradek group describe billing --json | jq '[.[].offsets[].lag] | add'\n"
    "\n"
    "Describes groups: state, members, and for each partition what is committed, the end, and the lag "
    "between them.\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "  -j, --json                        one array of {groupId, type, state, protocol, members, offsets}\n";

struct owned {
    struct str topic;
    const int32_t *partitions;
    int32_t count;
};

struct member {
    struct str id, instance, client, host;
    struct owned *owned;
    int32_t owned_count;
};

struct view {
    struct str id, type, state, protocol;
    struct member *members;
    int32_t members_count;
    struct group_offset *offsets;
    size_t offsets_count;
};

typedef struct consumer_group_describe_response_described_group consumer_group;
typedef struct describe_groups_response_described_group classic_group;

static bool of_consumer(struct topic_call *t, const consumer_group *g, struct view *v)
{
    v->type = STR("consumer");
    v->state = g->group_state;
    v->protocol = g->assignor_name;
    v->members = arena_zalloc(&t->arena, (size_t)g->members_count + 1, sizeof *v->members);
    for (int32_t i = 0; v->members && i < g->members_count; i++) {
        const struct consumer_group_describe_response_member *from = &g->members[i];
        struct member *m = &v->members[v->members_count++];
        *m = (struct member){from->member_id, from->instance_id, from->client_id, from->client_host, NULL, 0};
        m->owned =
            arena_zalloc(&t->arena, (size_t)from->assignment.topic_partitions_count + 1, sizeof *m->owned);
        for (int32_t k = 0; m->owned && k < from->assignment.topic_partitions_count; k++) {
            const struct consumer_group_describe_response_topic_partitions *has =
                &from->assignment.topic_partitions[k];
            sort_partitions(has->partitions, has->partitions_count); // what it is to give up stands behind
            m->owned[m->owned_count++] =
                (struct owned){has->topic_name, has->partitions, has->partitions_count};
        }
    }
    return v->members;
}

// A consumer's assignment; other protocols have their own, which stay closed.
static bool read_assignment(struct topic_call *t, struct bytes assignment, struct member *m)
{
    struct consumer_protocol_assignment a;
    if (assignment.size < 2)
        return true;
    struct bytes body = {assignment.data + 2, assignment.size - 2};
    if (message_decode(&consumer_protocol_assignment_type, 0, body, &t->arena, &a, NULL) != 0)
        return true;
    m->owned = arena_zalloc(&t->arena, (size_t)a.assigned_partitions_count + 1, sizeof *m->owned);
    for (int32_t i = 0; m->owned && i < a.assigned_partitions_count; i++)
        m->owned[m->owned_count++] =
            (struct owned){a.assigned_partitions[i].topic, a.assigned_partitions[i].partitions,
                           a.assigned_partitions[i].partitions_count};
    return m->owned;
}

static bool of_classic(struct topic_call *t, const classic_group *g, struct view *v)
{
    bool ok = true;
    v->type = STR("classic");
    v->state = g->group_state;
    v->protocol = g->protocol_data;
    v->members = arena_zalloc(&t->arena, (size_t)g->members_count + 1, sizeof *v->members);
    for (int32_t i = 0; v->members && ok && i < g->members_count; i++) {
        const struct describe_groups_response_described_group_member *from = &g->members[i];
        struct member *m = &v->members[v->members_count++];
        *m = (struct member){
            from->member_id, from->group_instance_id, from->client_id, from->client_host, NULL, 0};
        if (str_equal(g->protocol_type, STR("consumer")))
            ok = read_assignment(t, from->member_assignment, m);
    }
    return v->members && ok;
}

static int ask_classic(struct topic_call *t, struct client *coordinator, struct view *v)
{
    struct describe_groups_request request;
    struct describe_groups_response response;
    int16_t version = client_version(coordinator, API_DESCRIBE_GROUPS, 6);
    message_init(&describe_groups_request_type, &request);
    request.groups = &v->id;
    request.groups_count = 1;
    do
        if (version < 0 ||
            client_call(coordinator, API_DESCRIBE_GROUPS, version, &request, &t->arena, &response) != 0)
            return cli_fail(t->command, "%s", coordinator->error);
    while (response.groups_count == 1 && cluster_again(t, response.groups[0].error_code));
    if (response.groups_count != 1 || response.groups[0].error_code != E_NONE)
        return topic_refused(
            t, v->id, response.groups_count == 1 ? response.groups[0].error_code : E_UNKNOWN_SERVER_ERROR,
            response.groups_count == 1 ? response.groups[0].error_message : STR_NULL);
    return of_classic(t, &response.groups[0], v) ? EXIT_OK : cli_fail(t->command, "out of memory");
}

static int ask_group(struct topic_call *t, struct client *coordinator, struct view *v)
{
    struct consumer_group_describe_request request;
    struct consumer_group_describe_response response;
    int16_t version = client_version(coordinator, API_CONSUMER_GROUP_DESCRIBE, 1);
    if (version < 0) // a broker that has no such groups
        return ask_classic(t, coordinator, v);
    message_init(&consumer_group_describe_request_type, &request);
    request.group_ids = &v->id;
    request.group_ids_count = 1;
    do
        if (client_call(coordinator, API_CONSUMER_GROUP_DESCRIBE, version, &request, &t->arena, &response) !=
            0)
            return cli_fail(t->command, "%s", coordinator->error);
    while (response.groups_count == 1 && cluster_again(t, response.groups[0].error_code));
    const consumer_group *g = response.groups;
    int16_t error = response.groups_count == 1 ? g->error_code : E_UNKNOWN_SERVER_ERROR;
    if (error == E_GROUP_ID_NOT_FOUND)
        return ask_classic(t, coordinator, v);
    if (error != E_NONE)
        return topic_refused(t, v->id, error, g ? g->error_message : STR_NULL);
    return of_consumer(t, g, v) ? EXIT_OK : cli_fail(t->command, "out of memory");
}

// What is assigned and not committed yet counts too.
static int add_assigned(struct topic_call *t, struct view *v)
{
    size_t most = v->offsets_count;
    for (int32_t i = 0; i < v->members_count; i++)
        for (int32_t k = 0; k < v->members[i].owned_count; k++)
            most += (size_t)v->members[i].owned[k].count;
    struct group_offset *all = arena_zalloc(&t->arena, most + 1, sizeof *all);
    if (!all)
        return cli_fail(t->command, "out of memory");
    size_t n = v->offsets_count;
    if (n > 0)
        memcpy(all, v->offsets, n * sizeof *all);
    for (int32_t i = 0; i < v->members_count; i++)
        for (int32_t k = 0; k < v->members[i].owned_count; k++)
            for (int32_t p = 0; p < v->members[i].owned[k].count; p++) {
                struct group_offset one = {.topic = v->members[i].owned[k].topic,
                                           .partition = v->members[i].owned[k].partitions[p],
                                           .committed = OFFSET_UNKNOWN,
                                           .end = OFFSET_UNKNOWN};
                if (!bsearch(&one, v->offsets, v->offsets_count, sizeof one, group_compare))
                    all[n++] = one;
            }
    qsort(all, n, sizeof *all, group_compare);
    v->offsets = all;
    v->offsets_count = n;
    return EXIT_OK;
}

static int ask_ends(struct topic_call *t, struct view *v)
{
    struct metadata_response cluster;
    struct offset_question *ends = arena_zalloc(&t->arena, v->offsets_count + 1, sizeof *ends);
    if (!ends)
        return cli_fail(t->command, "out of memory");
    if (v->offsets_count == 0)
        return EXIT_OK;
    for (size_t i = 0; i < v->offsets_count; i++)
        ends[i] = (struct offset_question){
            .topic = v->offsets[i].topic, .partition = v->offsets[i].partition, .timestamp = OFFSET_LATEST};
    int status = group_metadata(t, v->offsets, v->offsets_count, &cluster);
    if (status == EXIT_OK)
        status = cluster_offsets(t, &cluster, ends, v->offsets_count);
    for (size_t i = 0; i < v->offsets_count; i++)
        v->offsets[i].end = ends[i].offset;
    return status;
}

static int64_t lag_of(const struct group_offset *o)
{
    if (o->committed == OFFSET_UNKNOWN || o->end == OFFSET_UNKNOWN)
        return OFFSET_UNKNOWN;
    return o->end > o->committed ? o->end - o->committed : 0;
}

static const struct member *owner_of(const struct view *v, const struct group_offset *o)
{
    for (int32_t i = 0; i < v->members_count; i++)
        for (int32_t k = 0; k < v->members[i].owned_count; k++)
            for (int32_t p = 0; p < v->members[i].owned[k].count; p++)
                if (v->members[i].owned[k].partitions[p] == o->partition &&
                    str_equal(v->members[i].owned[k].topic, o->topic))
                    return &v->members[i];
    return NULL;
}

static void number_cell(struct table *table, int64_t number)
{
    if (number == OFFSET_UNKNOWN)
        table_cell(table, "-");
    else
        table_cell(table, "%" PRId64, number);
}

static void print_people(struct topic_call *t, const struct view *v)
{
    struct table table = {.columns = 7};
    int64_t lag = 0;
    for (size_t i = 0; i < v->offsets_count; i++)
        lag += lag_of(&v->offsets[i]) > 0 ? lag_of(&v->offsets[i]) : 0;
    buffer_printf(&t->out, "%.*s  %.*s, %.*s, %d members, lag %" PRId64 "\n", STR_ARG(v->id),
                  STR_ARG(v->type), STR_ARG(v->state), v->members_count, lag);
    table_cell(&table, "  TOPIC"), table_cell(&table, "PARTITION"), table_cell(&table, "COMMITTED");
    table_cell(&table, "END"), table_cell(&table, "LAG"), table_cell(&table, "CLIENT"),
        table_cell(&table, "HOST");
    for (size_t i = 0; i < v->offsets_count; i++) {
        const struct group_offset *o = &v->offsets[i];
        const struct member *m = owner_of(v, o);
        table_cell(&table, "  %.*s", STR_ARG(o->topic));
        table_cell(&table, "%d", o->partition);
        number_cell(&table, o->committed);
        number_cell(&table, o->end);
        number_cell(&table, lag_of(o));
        table_cell(&table, "%.*s", STR_ARG(m ? m->client : STR("-")));
        table_cell(&table, "%.*s", STR_ARG(m ? m->host : STR("-")));
    }
    if (v->offsets_count > 0)
        table_print(&table, &t->out);
    table_free(&table);
    for (int32_t i = 0; i < v->members_count; i++)
        if (v->members[i].owned_count == 0) {
            char line[1024];
            snprintf(line, sizeof line, "member %.*s of %.*s has no partition", STR_ARG(v->members[i].id),
                     STR_ARG(v->members[i].host));
            text_make_plain(line);
            buffer_printf(&t->out, "  %s\n", line);
        }
}

static void print_member(struct buffer *out, const struct member *m)
{
    buffer_byte(out, '{');
    json_member(out, "memberId", m->id);
    buffer_byte(out, ',');
    json_member(out, "instanceId", m->instance);
    buffer_byte(out, ',');
    json_member(out, "clientId", m->client);
    buffer_byte(out, ',');
    json_member(out, "host", m->host);
    buffer_text(out, ",\"assignment\":[");
    for (int32_t k = 0; k < m->owned_count; k++) {
        buffer_text(out, k ? ",{" : "{");
        json_member(out, "topic", m->owned[k].topic);
        buffer_text(out, ",\"partitions\":[");
        for (int32_t p = 0; p < m->owned[k].count; p++)
            buffer_printf(out, p ? ",%d" : "%d", m->owned[k].partitions[p]);
        buffer_text(out, "]}");
    }
    buffer_text(out, "]}");
}

static void json_number(struct buffer *out, const char *name, int64_t number)
{
    if (number == OFFSET_UNKNOWN)
        buffer_printf(out, ",\"%s\":null", name);
    else
        buffer_printf(out, ",\"%s\":%" PRId64, name, number);
}

static void print_json(struct topic_call *t, const struct view *v)
{
    struct buffer *out = &t->out;
    buffer_byte(out, '{');
    json_member(out, "groupId", v->id);
    buffer_byte(out, ',');
    json_member(out, "type", v->type);
    buffer_byte(out, ',');
    json_member(out, "state", v->state);
    buffer_byte(out, ',');
    json_member(out, "protocol", v->protocol);
    buffer_text(out, ",\"members\":[");
    for (int32_t i = 0; i < v->members_count; i++) {
        if (i)
            buffer_byte(out, ',');
        print_member(out, &v->members[i]);
    }
    buffer_text(out, "],\"offsets\":[");
    for (size_t i = 0; i < v->offsets_count; i++) {
        const struct group_offset *o = &v->offsets[i];
        buffer_text(out, i ? ",{" : "{");
        json_member(out, "topic", o->topic);
        buffer_printf(out, ",\"partition\":%d", o->partition);
        json_number(out, "committed", o->committed);
        json_number(out, "end", o->end);
        json_number(out, "lag", lag_of(o));
        buffer_byte(out, '}');
    }
    buffer_text(out, "]}");
}

static int describe(struct topic_call *t, struct str group, bool first)
{
    struct view v = {.id = group};
    struct client coordinator;
    int status = cluster_open_coordinator(t, COORDINATOR_GROUP, group, &coordinator);
    if (status == EXIT_OK)
        status = ask_group(t, &coordinator, &v);
    if (status == EXIT_OK)
        status = group_committed(t, &coordinator, group, &v.offsets, &v.offsets_count);
    client_close(&coordinator);
    if (status == EXIT_OK)
        status = add_assigned(t, &v);
    if (status == EXIT_OK)
        status = ask_ends(t, &v);
    if (status != EXIT_OK)
        return status;
    if (!first)
        buffer_text(&t->out, t->json ? ",\n" : "\n");
    (t->json ? print_json : print_people)(t, &v);
    return EXIT_OK;
}

static int describe_all(struct topic_call *t)
{
    return topic_describe_each(t, describe);
}

static int run(const struct command *self, int argc, char **argv)
{
    return topic_run_names(self, argc, argv, "no group is named", describe_all);
}

const struct command group_describe_command = {.name = "group describe",
                                               .summary = "describe groups: members, offsets, lag",
                                               .help = help,
                                               .options = topic_names_options,
                                               .argument = ARGUMENT_GROUP,
                                               .run = run};
