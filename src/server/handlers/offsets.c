// ListOffsets and OffsetForLeaderEpoch: where a partition's log starts, ends, and was at a time or in an
// epoch.
#include "base/error.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/cold_logs.h"
#include "server/handlers/handlers.h"
#include "server/partition_index.h"
#include "server/topic_groups.h"

#define CONSUMER_REPLICA  (-1)
#define DEBUGGING_REPLICA (-2)
#define EPOCH_VERSION     4 // responses name the leader epoch

// Timestamps that stand for something, and the first version that knows them.
static const struct {
    int64_t timestamp;
    int16_t since;
} named_times[] = {{-1, 0}, {-2, 0}, {-3, 7}, {-4, 8}, {-5, 9}, {-6, 11}};

enum {
    TIME_LATEST = -1,
    TIME_EARLIEST = -2,
    TIME_MAX = -3,
    TIME_EARLIEST_LOCAL = -4,
    TIME_LATEST_TIERED = -5,
    TIME_EARLIEST_PENDING_UPLOAD = -6
};

static bool time_supported(int64_t timestamp, int16_t version)
{
    if (timestamp >= 0)
        return true;
    for (size_t i = 0; i < sizeof named_times / sizeof *named_times; i++)
        if (named_times[i].timestamp == timestamp)
            return version >= named_times[i].since;
    return false;
}

// What is found by time must be below what the reader may see.
static int16_t find_by_time(struct log *log, int64_t timestamp, int64_t limit, struct log_time_offset *found)
{
    int rc = timestamp == TIME_MAX ? log_offset_of_max_time(log, found)
                                   : log_offset_for_time(log, timestamp, found);
    if (rc == ERR_NOT_FOUND || (rc == 0 && found->offset >= limit)) {
        *found = (struct log_time_offset){-1, -1, LOG_NO_EPOCH};
        return E_NONE;
    }
    return rc ? E_KAFKA_STORAGE_ERROR : E_NONE;
}

static int16_t find_offset(const struct list_offsets_request *q, const struct partition *p, int64_t timestamp,
                           struct log_time_offset *found)
{
    struct log_offsets o;
    log_offsets(p->log, &o);
    int64_t limit = q->replica_id != CONSUMER_REPLICA ? o.end_offset
                    : q->isolation_level == 1         ? o.last_stable_offset
                                                      : o.high_watermark;
    *found = (struct log_time_offset){-1, -1, LOG_NO_EPOCH};
    switch (timestamp) {
    case TIME_LATEST:
        found->offset = limit;
        found->leader_epoch = p->leader_epoch;
        return E_NONE;
    case TIME_EARLIEST:
    case TIME_EARLIEST_LOCAL:
        found->offset = o.log_start_offset;
        found->leader_epoch = log_epoch_of_offset(p->log, o.log_start_offset);
        return E_NONE;
    case TIME_LATEST_TIERED:
    case TIME_EARLIEST_PENDING_UPLOAD: // nothing is tiered
        return E_NONE;
    default:
        return find_by_time(p->log, timestamp, limit, found);
    }
}

static void list_one(struct request *r, const struct image_topic *topic,
                     const struct list_offsets_request_list_offsets_partition *q,
                     struct list_offsets_response_list_offsets_partition_response *out)
{
    const struct list_offsets_request *message = r->message;
    out->partition_index = q->partition_index;
    if (!time_supported(q->timestamp, r->version)) {
        out->error_code = E_UNSUPPORTED_VERSION;
        return;
    }
    struct partition *p =
        replica_manager_find(broker_of(r)->replicas, topic, q->partition_index, &out->error_code);
    if (!p)
        return;
    out->error_code = partition_check_leader(p, q->current_leader_epoch);
    if (out->error_code == E_NOT_LEADER_OR_FOLLOWER && message->replica_id == DEBUGGING_REPLICA && !p->gone)
        out->error_code = E_NONE;
    struct log_time_offset found;
    if (out->error_code == E_NONE)
        out->error_code = find_offset(message, p, q->timestamp, &found);
    if (out->error_code == E_NONE) {
        out->timestamp = found.timestamp_ms;
        out->offset = found.offset;
        if (r->version >= EPOCH_VERSION)
            out->leader_epoch = found.leader_epoch;
    }
    partition_unref(p);
}

static void refuse_repeated(struct list_offsets_response_list_offsets_partition_response *o)
{
    o->error_code = E_INVALID_REQUEST;
    o->timestamp = -1;
    o->offset = -1;
    o->leader_epoch = -1;
}

// The answer's topics: each name once, with room for all its partitions. The groups say where the request's
// topics belong.
static int collect_topics(struct request *r, const struct list_offsets_request *q,
                          struct list_offsets_response *out, struct topic_groups *groups)
{
    int rc = topic_groups_init(groups, &r->arena, q->topics_count);
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        rc = topic_groups_add(groups, q->topics[i].name, q->topics[i].partitions_count);
    topic_groups_free(groups);
    out->topics = list_offsets_response_list_offsets_topic_response_new(&r->arena, groups->count);
    rc = rc || !out->topics ? ERR_NOMEM : 0;
    for (int32_t i = 0; i < groups->count && rc == 0; i++) {
        struct list_offsets_response_list_offsets_topic_response *t = &out->topics[out->topics_count++];
        t->name = groups->groups[i].name;
        t->partitions = list_offsets_response_list_offsets_partition_response_new(
            &r->arena, groups->groups[i].partitions_count);
        rc = t->partitions ? 0 : ERR_NOMEM;
    }
    return rc;
}

// A partition that is named twice is answered once, with an error.
static int list_topic(struct request *r, const struct list_offsets_request_list_offsets_topic *q,
                      struct partition_index *seen,
                      struct list_offsets_response_list_offsets_topic_response *t)
{
    const struct image_topic *topic = image_topic(image_current(), q->name);
    bool allowed = request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, q->name);
    for (int32_t i = 0; i < q->partitions_count; i++) {
        struct list_offsets_response_list_offsets_partition_response *o = &t->partitions[t->partitions_count];
        void **first = partition_index_slot(seen, q->name, q->partitions[i].partition_index);
        if (!first)
            return ERR_NOMEM;
        if (*first) {
            refuse_repeated(*first);
            continue;
        }
        *first = o;
        t->partitions_count++;
        if (allowed) {
            list_one(r, topic, &q->partitions[i], o);
        } else {
            o->partition_index = q->partitions[i].partition_index;
            o->error_code = E_TOPIC_AUTHORIZATION_FAILED;
        }
    }
    return 0;
}

static void handle_list_offsets(struct request *r)
{
    const struct list_offsets_request *q = r->message;
    struct list_offsets_response out;
    struct topic_groups groups;
    message_init(&list_offsets_response_type, &out);
    int rc = collect_topics(r, q, &out, &groups);
    struct partition_index seen;
    partition_index_init(&seen, &r->arena);
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        if (groups.of[i] >= 0)
            rc = list_topic(r, &q->topics[i], &seen, &out.topics[groups.of[i]]);
    partition_index_free(&seen);
    if (rc)
        request_close(r, "out of memory for the response to ListOffsets");
    else
        request_respond(r, &out);
}

static void name_listed(const struct request *r, struct cold_logs *cold)
{
    const struct list_offsets_request *q = r->message;
    for (int32_t i = 0; i < q->topics_count; i++) {
        const struct image_topic *topic = image_topic(image_current(), q->topics[i].name);
        for (int32_t k = 0; k < q->topics[i].partitions_count; k++)
            cold_logs_add(cold, topic, q->topics[i].partitions[k].partition_index);
    }
}

const struct api_handler list_offsets_handler = {.api_key = 2,
                                                 .min_version = 1,
                                                 .max_version = 11,
                                                 .advertised_min_version = -1,
                                                 .listeners = LISTENER_BROKER,
                                                 .worker_bytes = HEAVY_REQUEST_BYTES,
                                                 .cold_logs = name_listed,
                                                 .handle = handle_list_offsets};

// OffsetForLeaderEpoch (KIP-101, KIP-320)

static void end_of_epoch(struct request *r, const struct image_topic *topic,
                         const struct offset_for_leader_epoch_request_offset_for_leader_partition *q,
                         struct offset_for_leader_epoch_response_epoch_end_offset *out)
{
    out->partition = q->partition;
    struct partition *p = replica_manager_find(broker_of(r)->replicas, topic, q->partition, &out->error_code);
    if (!p)
        return;
    out->error_code = partition_check_leader(p, q->current_leader_epoch);
    if (out->error_code == E_NONE)
        log_end_offset_for_epoch(p->log, q->leader_epoch, &out->leader_epoch, &out->end_offset);
    partition_unref(p);
}

static int epochs_of_topic(struct request *r,
                           const struct offset_for_leader_epoch_request_offset_for_leader_topic *q,
                           struct offset_for_leader_epoch_response_offset_for_leader_topic_result *out)
{
    const struct image_topic *topic = image_topic(image_current(), q->topic);
    bool allowed = request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, q->topic);
    out->topic = q->topic;
    out->partitions = offset_for_leader_epoch_response_epoch_end_offset_new(&r->arena, q->partitions_count);
    if (!out->partitions)
        return ERR_NOMEM;
    out->partitions_count = q->partitions_count;
    for (int32_t i = 0; i < q->partitions_count; i++) {
        if (allowed) {
            end_of_epoch(r, topic, &q->partitions[i], &out->partitions[i]);
        } else {
            out->partitions[i].partition = q->partitions[i].partition;
            out->partitions[i].error_code = E_TOPIC_AUTHORIZATION_FAILED;
        }
    }
    return 0;
}

static void handle_offset_for_leader_epoch(struct request *r)
{
    const struct offset_for_leader_epoch_request *q = r->message;
    struct offset_for_leader_epoch_response out;
    message_init(&offset_for_leader_epoch_response_type, &out);
    out.topics =
        offset_for_leader_epoch_response_offset_for_leader_topic_result_new(&r->arena, q->topics_count);
    int rc = out.topics ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++) {
        rc = epochs_of_topic(r, &q->topics[i], &out.topics[i]);
        out.topics_count++;
    }
    if (rc)
        request_close(r, "out of memory for the response to OffsetForLeaderEpoch");
    else
        request_respond(r, &out);
}

static void name_asked(const struct request *r, struct cold_logs *cold)
{
    const struct offset_for_leader_epoch_request *q = r->message;
    for (int32_t i = 0; i < q->topics_count; i++) {
        const struct image_topic *topic = image_topic(image_current(), q->topics[i].topic);
        for (int32_t k = 0; k < q->topics[i].partitions_count; k++)
            cold_logs_add(cold, topic, q->topics[i].partitions[k].partition);
    }
}

const struct api_handler offset_for_leader_epoch_handler = {.api_key = 23,
                                                            .min_version = 2,
                                                            .max_version = 4,
                                                            .advertised_min_version = -1,
                                                            .listeners = LISTENER_BROKER,
                                                            .worker_bytes = HEAVY_REQUEST_BYTES,
                                                            .cold_logs = name_asked,
                                                            .handle = handle_offset_for_leader_epoch};
