// The cluster's own affairs: UpdateFeatures and UnregisterBroker, which the controller decides, and
// DescribeQuorum.
#include "base/clock.h"
#include "base/error.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "raft/voters.h"
#include "server/broker.h"
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/quorum.h"

#include <stdlib.h>

#define METADATA_TOPIC "__cluster_metadata"
#define NODES_VERSION  2

static bool may(const struct request *r, enum acl_operation operation)
{
    return request_authorize(r, operation, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME);
}

static void refuse_features(struct request *r, int16_t error)
{
    struct update_features_response out;
    message_init(&update_features_response_type, &out);
    out.error_code = error;
    out.error_message = refusal_text(error);
    request_respond(r, &out);
}

static void handle_update_features(struct request *r)
{
    if (may(r, ACL_ALTER))
        forward_to_controller(r, refuse_features);
    else
        refuse_features(r, E_CLUSTER_AUTHORIZATION_FAILED);
}

const struct api_handler update_features_handler = {.api_key = 57,
                                                    .min_version = 0,
                                                    .max_version = 2,
                                                    .advertised_min_version = -1,
                                                    .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                    .handle = handle_update_features};

static void refuse_unregister(struct request *r, int16_t error)
{
    struct unregister_broker_response out;
    message_init(&unregister_broker_response_type, &out);
    out.error_code = error;
    out.error_message = refusal_text(error);
    request_respond(r, &out);
}

static void handle_unregister(struct request *r)
{
    if (may(r, ACL_ALTER))
        forward_to_controller(r, refuse_unregister);
    else
        refuse_unregister(r, E_CLUSTER_AUTHORIZATION_FAILED);
}

const struct api_handler unregister_broker_handler = {.api_key = 64,
                                                      .min_version = 0,
                                                      .max_version = 0,
                                                      .advertised_min_version = -1,
                                                      .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                      .handle = handle_unregister};

// --- DescribeQuorum (KIP-595, KIP-836, KIP-853) ---

static bool asks_for_the_quorum(const struct describe_quorum_request *q)
{
    return q->topics_count == 1 && str_is(q->topics[0].topic_name, METADATA_TOPIC) &&
           q->topics[0].partitions_count == 1 && q->topics[0].partitions[0].partition_index == 0;
}

static int fill_topics(struct request *r, struct describe_quorum_response *out)
{
    const struct describe_quorum_request *q = r->message;
    out->topics = describe_quorum_response_topic_data_new(&r->arena, q->topics_count);
    if (!out->topics)
        return ERR_NOMEM;
    out->topics_count = q->topics_count;
    for (int32_t i = 0; i < q->topics_count; i++) {
        struct describe_quorum_response_topic_data *t = &out->topics[i];
        t->topic_name = q->topics[i].topic_name;
        t->partitions = describe_quorum_response_partition_data_new(&r->arena, q->topics[i].partitions_count);
        if (!t->partitions)
            return ERR_NOMEM;
        t->partitions_count = q->topics[i].partitions_count;
        for (int32_t k = 0; k < t->partitions_count; k++) {
            t->partitions[k].partition_index = q->topics[i].partitions[k].partition_index;
            t->partitions[k].error_code = E_UNKNOWN_TOPIC_OR_PARTITION;
            t->partitions[k].error_message = str_from(error_code_message(E_UNKNOWN_TOPIC_OR_PARTITION));
        }
    }
    return 0;
}

static int fill_nodes(struct request *r, const struct raft_voters *voters,
                      struct describe_quorum_response *out)
{
    out->nodes = describe_quorum_response_node_new(&r->arena, (int32_t)voters->count);
    if (!out->nodes)
        return ERR_NOMEM;
    out->nodes_count = (int32_t)voters->count;
    for (uint32_t i = 0; i < voters->count; i++) {
        const struct raft_voter *v = &voters->items[i];
        struct describe_quorum_response_node *n = &out->nodes[i];
        n->node_id = v->replica.id;
        n->listeners = describe_quorum_response_listener_new(&r->arena, (int32_t)v->endpoints_count);
        if (!n->listeners)
            return ERR_NOMEM;
        n->listeners_count = (int32_t)v->endpoints_count;
        for (uint32_t k = 0; k < v->endpoints_count; k++)
            n->listeners[k] = (struct describe_quorum_response_listener){
                v->endpoints[k].name, v->endpoints[k].host, v->endpoints[k].port};
    }
    return 0;
}

static int fill_quorum(struct request *r, const struct raft_voters *voters,
                       struct describe_quorum_response_partition_data *out)
{
    struct quorum_status status;
    int32_t self = broker_of(r)->config->node_id;
    int64_t now_ms = clock_wall_ms();
    quorum_status(broker_of(r)->quorum, &status);
    out->error_code = status.leader_id == self ? E_NONE : E_NOT_LEADER_OR_FOLLOWER;
    out->error_message = STR("");
    if (out->error_code != E_NONE) {
        out->error_message = str_from(error_code_message(out->error_code));
        return 0;
    }
    out->leader_id = status.leader_id;
    out->leader_epoch = status.leader_epoch;
    out->high_watermark = status.high_watermark;
    out->current_voters = describe_quorum_response_replica_state_new(&r->arena, (int32_t)voters->count);
    if (!out->current_voters)
        return ERR_NOMEM;
    out->current_voters_count = (int32_t)voters->count;
    for (uint32_t i = 0; i < voters->count; i++) {
        struct describe_quorum_response_replica_state *v = &out->current_voters[i];
        bool leads = voters->items[i].replica.id == self;
        v->replica_id = voters->items[i].replica.id;
        if (r->version >= NODES_VERSION)
            v->replica_directory_id = voters->items[i].replica.directory;
        v->log_end_offset = leads ? status.log_end_offset : -1;
        v->last_fetch_timestamp = v->last_caught_up_timestamp = leads ? now_ms : -1;
    }
    return 0;
}

static int describe_quorum(struct request *r, struct raft_voters *voters,
                           struct describe_quorum_response *out)
{
    int rc = fill_topics(r, out);
    if (rc || !asks_for_the_quorum(r->message))
        return rc;
    rc = quorum_voters(broker_of(r)->quorum, voters);
    if (rc == 0)
        rc = fill_quorum(r, voters, &out->topics[0].partitions[0]);
    return rc || r->version < NODES_VERSION ? rc : fill_nodes(r, voters, out);
}

static void handle_describe_quorum(struct request *r)
{
    struct describe_quorum_response out;
    struct raft_voters *voters = malloc(sizeof *voters); // too large for a stack
    message_init(&describe_quorum_response_type, &out);
    if (voters)
        raft_voters_init(voters);
    if (!may(r, ACL_DESCRIBE)) {
        out.error_code = E_CLUSTER_AUTHORIZATION_FAILED;
        out.error_message = str_from(error_code_message(out.error_code));
        request_respond(r, &out);
    } else if (!voters || describe_quorum(r, voters, &out)) {
        request_close(r, "out of memory for the response to DescribeQuorum");
    } else {
        request_respond(r, &out);
    }
    if (voters)
        raft_voters_free(voters);
    free(voters);
}

const struct api_handler describe_quorum_handler = {.api_key = 55,
                                                    .min_version = 0,
                                                    .max_version = 2,
                                                    .advertised_min_version = -1,
                                                    .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                    .handle = handle_describe_quorum};
