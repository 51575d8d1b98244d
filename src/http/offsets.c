#include "http/offsets.h"

#include "http/keys.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

struct http_offset *http_offsets(struct http_request *r, struct str topic, int32_t count, int64_t timestamp)
{
    return http_offsets_committed(r, topic, count, timestamp, false);
}

struct http_offset *http_offsets_committed(struct http_request *r, struct str topic, int32_t count,
                                           int64_t timestamp, bool committed)
{
    struct list_offsets_request_list_offsets_topic t = list_offsets_request_list_offsets_topic_default;
    struct list_offsets_request request = list_offsets_request_default;
    struct list_offsets_response response;
    struct http_offset *offsets = arena_alloc(&r->arena, sizeof *offsets * ((size_t)count + 1));
    t.name = topic;
    t.partitions = list_offsets_request_list_offsets_partition_new(&r->arena, count);
    t.partitions_count = count;
    if (!offsets || !t.partitions) {
        http_fail(r, 500, "UNKNOWN_SERVER_ERROR", "out of memory");
        return NULL;
    }
    for (int32_t i = 0; i < count; i++) {
        offsets[i] = (struct http_offset){-1, E_UNKNOWN_TOPIC_OR_PARTITION};
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
        if (p->partition_index >= 0 && p->partition_index < count)
            offsets[p->partition_index] =
                (struct http_offset){p->error_code == E_NONE ? p->offset : -1, p->error_code};
    }
    return offsets;
}

bool http_is_off_line(int16_t code)
{
    return code == E_KAFKA_STORAGE_ERROR || code == E_LEADER_NOT_AVAILABLE ||
           code == E_NOT_LEADER_OR_FOLLOWER || code == E_REPLICA_NOT_AVAILABLE;
}

struct str http_partition_error(struct arena *arena, struct str topic, int32_t partition, int16_t code)
{
    return arena_printf(arena, "%.*s-%d %s: %s", STR_ARG(topic), partition,
                        http_is_off_line(code) ? "is off line" : "cannot be read", error_code_message(code));
}

bool http_fail_partition(struct http_request *r, struct str topic, int32_t partition, int16_t code)
{
    return code != E_NONE &&
           http_fail_kafka(r, code, http_partition_error(&r->arena, topic, partition, code));
}
