// Groups, their members, and how far behind they are.
#include "http/offsets.h"
#include "http/route.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#define KEY_OFFSET_FETCH    9
#define KEY_DESCRIBE_GROUPS 15
#define KEY_LIST_GROUPS     16

void http_groups(struct http_request *r)
{
    struct list_groups_request request = list_groups_request_default;
    struct list_groups_response response;
    if (!http_call(r, KEY_LIST_GROUPS, 5, &request, &response) ||
        http_fail_kafka(r, response.error_code, STR_NULL))
        return;
    json_t *groups = json_array();
    for (int32_t i = 0; i < response.groups_count; i++) {
        const struct list_groups_response_listed_group *g = &response.groups[i];
        json_array_append_new(groups, json_pack("{s:o, s:o, s:o, s:o}", "id", http_text(g->group_id), "state",
                                                http_text(g->group_state), "type", http_text(g->group_type),
                                                "protocolType", http_text(g->protocol_type)));
    }
    http_answer(r, 200, json_pack("{s:o}", "groups", groups));
}

static json_t *members(const struct describe_groups_response_described_group *g)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < g->members_count; i++) {
        const struct describe_groups_response_described_group_member *m = &g->members[i];
        json_array_append_new(all, json_pack("{s:o, s:o, s:o, s:o}", "id", http_text(m->member_id),
                                             "instanceId", http_text(m->group_instance_id), "clientId",
                                             http_text(m->client_id), "host", http_text(m->client_host)));
    }
    return all;
}

// Each partition with a committed offset, and its lag. NULL when it is answered.
static json_t *committed(struct http_request *r,
                         const struct offset_fetch_response_offset_fetch_response_group *g, int64_t *total)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < g->topics_count; i++) {
        const struct offset_fetch_response_offset_fetch_response_topics *t = &g->topics[i];
        int32_t count = 0;
        for (int32_t p = 0; p < t->partitions_count; p++)
            if (t->partitions[p].partition_index >= count)
                count = t->partitions[p].partition_index + 1;
        int64_t *end = http_offsets(r, t->name, count, OFFSET_LATEST);
        if (!end) {
            json_decref(all);
            return NULL;
        }
        for (int32_t p = 0; p < t->partitions_count; p++) {
            const struct offset_fetch_response_offset_fetch_response_partitions *one = &t->partitions[p];
            int64_t last = end[one->partition_index];
            bool known = last >= 0 && one->committed_offset >= 0;
            int64_t lag = known && last > one->committed_offset ? last - one->committed_offset : 0;
            *total += lag;
            json_array_append_new(all, json_pack("{s:o, s:i, s:I, s:o, s:o}", "topic", http_text(t->name),
                                                 "partition", one->partition_index, "committedOffset",
                                                 (json_int_t)one->committed_offset, "endOffset",
                                                 last < 0 ? json_null() : json_integer(last), "lag",
                                                 known ? json_integer(lag) : json_null()));
        }
    }
    return all;
}

void http_group(struct http_request *r)
{
    struct describe_groups_request describe = describe_groups_request_default;
    struct describe_groups_response described;
    describe.groups = &r->params[0];
    describe.groups_count = 1;
    if (!http_call(r, KEY_DESCRIBE_GROUPS, 6, &describe, &described) || described.groups_count != 1)
        return;
    const struct describe_groups_response_described_group *g = &described.groups[0];
    if (http_fail_kafka(r, g->error_code, g->error_message))
        return;
    struct offset_fetch_request_offset_fetch_request_group group =
        offset_fetch_request_offset_fetch_request_group_default;
    struct offset_fetch_request fetch = offset_fetch_request_default;
    struct offset_fetch_response fetched;
    group.group_id = r->params[0];
    group.topics_count = -1; // all
    fetch.groups = &group;
    fetch.groups_count = 1;
    if (!http_call(r, KEY_OFFSET_FETCH, 9, &fetch, &fetched) || fetched.groups_count != 1 ||
        http_fail_kafka(r, fetched.groups[0].error_code, STR_NULL))
        return;
    int64_t lag = 0;
    json_t *partitions = committed(r, &fetched.groups[0], &lag);
    if (partitions)
        http_answer(r, 200,
                    json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "id", http_text(g->group_id), "state",
                              http_text(g->group_state), "protocolType", http_text(g->protocol_type),
                              "members", members(g), "lag", (json_int_t)lag, "partitions", partitions));
}
