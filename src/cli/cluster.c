#include "cli/cluster.h"

#include "base/clock.h"
#include "cli/waiting.h"
#include "protocol/errors.h"

#include <poll.h>
#include <string.h>

#define API_FIND_COORDINATOR 10
#define ASK_AGAIN_MS         100

int cluster_open(struct topic_call *t, struct str host, int32_t port, struct client *out)
{
    char address[280];
    bool ipv6 = memchr(host.data, ':', host.size);
    snprintf(address, sizeof address, ipv6 ? "[%.*s]:%d" : "%.*s:%d", STR_ARG(host), port);
    waiting_for(t->command, t->give_up_ms, "%s", address);
    if (client_open(out, address, t->client.timeout_ms) != 0)
        return cli_fail(t->command, "%s", out->error);
    return EXIT_OK;
}

bool cluster_again(const struct topic_call *t, int16_t error)
{
    bool passes = error == E_COORDINATOR_NOT_AVAILABLE || error == E_COORDINATOR_LOAD_IN_PROGRESS ||
                  error == E_NOT_COORDINATOR || error == E_CONCURRENT_TRANSACTIONS;
    if (!passes || clock_monotonic_ms() >= t->give_up_ms)
        return false;
    waiting_for(t->command, t->give_up_ms, "the coordinator (%s)", error_code_name(error));
    waiting_look();
    poll(NULL, 0, ASK_AGAIN_MS);
    return true;
}

static int find(struct topic_call *t, enum coordinator_type type, struct str key,
                struct find_coordinator_response_coordinator *out)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    int16_t version = client_version(&t->client, API_FIND_COORDINATOR, 4);
    if (version < 1)
        return cli_fail(t->command, "%s", t->client.error);
    message_init(&find_coordinator_request_type, &request);
    request.key_type = (int8_t)type;
    request.key = version < 4 ? key : STR("");
    request.coordinator_keys = &key;
    request.coordinator_keys_count = version < 4 ? 0 : 1;
    if (client_call(&t->client, API_FIND_COORDINATOR, version, &request, &t->arena, &response) != 0)
        return cli_fail(t->command, "%s", t->client.error);
    if (version >= 4 && response.coordinators_count == 1)
        *out = response.coordinators[0];
    else
        *out = (struct find_coordinator_response_coordinator){.host = response.host,
                                                              .port = response.port,
                                                              .error_code = response.error_code,
                                                              .error_message = response.error_message};
    return EXIT_OK;
}

int cluster_open_coordinator(struct topic_call *t, enum coordinator_type type, struct str key,
                             struct client *out)
{
    struct find_coordinator_response_coordinator found = find_coordinator_response_coordinator_default;
    out->fd = -1;
    int status;
    do
        status = find(t, type, key, &found);
    while (status == EXIT_OK && cluster_again(t, found.error_code));
    if (status == EXIT_OK && found.error_code != E_NONE)
        return topic_refused(t, key, found.error_code, found.error_message);
    return status == EXIT_OK ? cluster_open(t, found.host, found.port, out) : status;
}

int cluster_each(struct topic_call *t, const struct metadata_response *cluster,
                 int (*ask)(void *context, struct client *client, int32_t broker), void *context)
{
    int status = EXIT_OK;
    for (int32_t i = 0; i < cluster->brokers_count && status == EXIT_OK; i++) {
        const struct metadata_response_metadata_response_broker *b = &cluster->brokers[i];
        struct client client;
        status = cluster_open(t, b->host, b->port, &client);
        if (status == EXIT_OK)
            status = ask(context, &client, b->node_id);
        client_close(&client);
    }
    return status;
}

// ---- offsets

struct asking {
    struct topic_call *call;
    const struct metadata_response *cluster;
    struct offset_question *all;
    size_t count;
    size_t next; // where the next answer is looked for first
    const struct metadata_response_metadata_response_topic *topic; // of the last question
};

static int32_t leader_of(struct asking *a, const struct offset_question *q)
{
    const struct metadata_response *cluster = a->cluster;
    for (int32_t i = 0; i < cluster->topics_count && (!a->topic || !str_equal(a->topic->name, q->topic)); i++)
        a->topic = &cluster->topics[i];
    const struct metadata_response_metadata_response_topic *topic = a->topic;
    if (!topic || !str_equal(topic->name, q->topic))
        return -1;
    if (q->partition < topic->partitions_count &&
        topic->partitions[q->partition].partition_index == q->partition)
        return topic->partitions[q->partition].leader_id; // as they come from a broker of ours
    for (int32_t p = 0; p < topic->partitions_count; p++)
        if (topic->partitions[p].partition_index == q->partition)
            return topic->partitions[p].leader_id;
    return -1;
}

// The questions that the broker leads, as a request. False: out of memory. None of them: no topics.
static bool ask_of(struct asking *a, int32_t broker, struct list_offsets_request *request)
{
    struct arena *arena = &a->call->arena;
    message_init(&list_offsets_request_type, request);
    request->replica_id = -1;
    request->topics = list_offsets_request_list_offsets_topic_new(arena, (int32_t)a->count);
    struct list_offsets_request_list_offsets_partition *partitions =
        list_offsets_request_list_offsets_partition_new(arena, (int32_t)a->count);
    if (!request->topics || !partitions)
        return false;
    struct list_offsets_request_list_offsets_topic *topic = NULL;
    for (size_t i = 0; i < a->count; i++) {
        const struct offset_question *q = &a->all[i];
        if (leader_of(a, q) != broker)
            continue;
        if (!topic || !str_equal(topic->name, q->topic)) {
            topic = &request->topics[request->topics_count++];
            topic->name = q->topic;
            topic->partitions = partitions;
        }
        partitions->partition_index = q->partition;
        partitions->timestamp = q->timestamp;
        partitions++;
        topic->partitions_count++;
    }
    return true;
}

// Brokers answer in the order of the questions.
static void answer(struct asking *a, struct str topic, int32_t partition, int64_t offset)
{
    for (size_t n = 0; n < a->count; n++) {
        struct offset_question *q = &a->all[a->next];
        a->next = (a->next + 1) % a->count;
        if (q->partition == partition && str_equal(q->topic, topic)) {
            q->offset = offset;
            return;
        }
    }
}

static int ask_leader(void *context, struct client *client, int32_t broker)
{
    struct asking *a = context;
    struct list_offsets_request request;
    struct list_offsets_response response;
    int16_t version = client_version(client, API_LIST_OFFSETS, 7);
    if (version < 1)
        return cli_fail(a->call->command, "%s", client->error);
    if (!ask_of(a, broker, &request))
        return cli_fail(a->call->command, "out of memory");
    if (request.topics_count == 0)
        return EXIT_OK;
    if (client_call(client, API_LIST_OFFSETS, version, &request, &a->call->arena, &response) != 0)
        return cli_fail(a->call->command, "%s", client->error);
    for (int32_t i = 0; i < response.topics_count; i++)
        for (int32_t p = 0; p < response.topics[i].partitions_count; p++)
            if (response.topics[i].partitions[p].error_code == E_NONE)
                answer(a, response.topics[i].name, response.topics[i].partitions[p].partition_index,
                       response.topics[i].partitions[p].offset);
    return EXIT_OK;
}

int cluster_offsets(struct topic_call *t, const struct metadata_response *cluster,
                    struct offset_question *all, size_t count)
{
    struct asking a = {.call = t, .cluster = cluster, .all = all, .count = count};
    for (size_t i = 0; i < count; i++)
        all[i].offset = OFFSET_UNKNOWN;
    return count > 0 ? cluster_each(t, cluster, ask_leader, &a) : EXIT_OK;
}
