// Log directories and their disks.
#include "http/logdirs.h"
#include "http/keys.h"
#include "http/route.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

static json_t *directory_json(int broker, const struct describe_log_dirs_response_describe_log_dirs_result *d)
{
    int64_t bytes = 0;
    int partitions = 0;
    json_t *moves = json_array();
    for (int32_t t = 0; t < d->topics_count; t++)
        for (int32_t p = 0; p < d->topics[t].partitions_count; p++) {
            const struct describe_log_dirs_response_describe_log_dirs_partition *one =
                &d->topics[t].partitions[p];
            bytes += one->partition_size;
            partitions += !one->is_future_key;
            if (one->is_future_key)
                json_array_append_new(moves,
                                      json_pack("{s:o, s:i, s:I, s:I}", "topic", http_text(d->topics[t].name),
                                                "partition", one->partition_index, "copiedBytes",
                                                (json_int_t)one->partition_size, "offsetLag",
                                                (json_int_t)one->offset_lag));
        }
    return json_pack(
        "{s:i, s:o, s:o, s:o, s:o, s:I, s:i, s:o, s:b}", "broker", broker, "path", http_text(d->log_dir),
        "error", d->error_code == E_NONE ? json_null() : json_string(error_code_name(d->error_code)),
        "totalBytes", http_number(d->total_bytes), "usableBytes", http_number(d->usable_bytes), "logBytes",
        (json_int_t)bytes, "partitions", partitions, "moves", moves, "cordoned", d->is_cordoned);
}

json_t *http_logdirs_json(struct http_request *r)
{
    struct describe_cluster_request cluster = describe_cluster_request_default;
    struct describe_cluster_response described;
    struct describe_log_dirs_request request = describe_log_dirs_request_default;
    struct describe_log_dirs_response response;
    request.topics_count = -1; // all
    if (!http_call(r, KEY_DESCRIBE_CLUSTER, 2, &cluster, &described) ||
        !http_call(r, KEY_DESCRIBE_LOG_DIRS, 5, &request, &response) ||
        http_fail_kafka(r, response.error_code, STR_NULL))
        return NULL;
    int broker = described.brokers_count ? described.brokers[0].broker_id : described.controller_id;
    json_t *all = json_array();
    for (int32_t i = 0; i < response.results_count; i++)
        json_array_append_new(all, directory_json(broker, &response.results[i]));
    return all;
}

void http_logdirs(struct http_request *r)
{
    json_t *all = http_logdirs_json(r);
    if (all)
        http_answer(r, 200, json_pack("{s:o}", "logDirs", all));
}
