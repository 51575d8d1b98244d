#include "http/offsets.h"

#include "http/keys.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

int64_t *http_offsets(struct http_request *r, struct str topic, int32_t count, int64_t timestamp)
{
    return http_offsets_committed(r, topic, count, timestamp, false);
}

int64_t *http_offsets_committed(struct http_request *r, struct str topic, int32_t count, int64_t timestamp,
                                bool committed)
{
    struct list_offsets_request_list_offsets_topic t = list_offsets_request_list_offsets_topic_default;
    struct list_offsets_request request = list_offsets_request_default;
    struct list_offsets_response response;
    int64_t *offsets = arena_alloc(&r->arena, sizeof *offsets * ((size_t)count + 1));
    t.name = topic;
    t.partitions = list_offsets_request_list_offsets_partition_new(&r->arena, count);
    t.partitions_count = count;
    if (!offsets || !t.partitions) {
        http_fail(r, 500, "UNKNOWN_SERVER_ERROR", "out of memory");
        return NULL;
    }
    for (int32_t i = 0; i < count; i++) {
        offsets[i] = -1;
        t.partitions[i].partition_index = i;
        t.partitions[i].timestamp = timestamp;
    }
    request.replica_id = -1;
    request.isolation_level = committed;
    request.topics = &t;
    request.topics_count = 1;
    if (!http_call(r, KEY_LIST_OFFSETS, 7, &request, &response))
        return NULL;
    for (int32_t i = 0; response.topics_count == 1 && i < response.topics[0].partitions_count; i++) {
        const struct list_offsets_response_list_offsets_partition_response *p =
            &response.topics[0].partitions[i];
        if (p->error_code == E_NONE && p->partition_index >= 0 && p->partition_index < count)
            offsets[p->partition_index] = p->offset;
    }
    return offsets;
}
