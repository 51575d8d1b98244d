#include "protocol/errors.h"

#include <stddef.h>

struct error_info {
    const char *name, *message;
    bool retriable;
};

#define FIRST_CODE E_UNKNOWN_SERVER_ERROR

// The messages are what Kafka 4.3.1 puts into responses: clients show them.
static const struct error_info infos[] = {
    [E_UNKNOWN_SERVER_ERROR -
     FIRST_CODE] = {"UNKNOWN_SERVER_ERROR",
                    "The server experienced an unexpected error when processing the request.", false},
    [E_NONE - FIRST_CODE] = {"NONE", "NONE", false},
    [E_OFFSET_OUT_OF_RANGE -
        FIRST_CODE] = {"OFFSET_OUT_OF_RANGE",
                       "The requested offset is not within the range of offsets maintained by the server.",
                       false},
    [E_CORRUPT_MESSAGE - FIRST_CODE] = {"CORRUPT_MESSAGE",
                                        "This message has failed its CRC checksum, exceeds the valid size, "
                                        "has a null key for a compacted topic, or is otherwise corrupt.",
                                        true},
    [E_UNKNOWN_TOPIC_OR_PARTITION -
        FIRST_CODE] = {"UNKNOWN_TOPIC_OR_PARTITION", "This server does not host this topic-partition.", true},
    [E_INVALID_FETCH_SIZE -
        FIRST_CODE] = {"INVALID_FETCH_SIZE", "The requested fetch size is invalid.", false},
    [E_LEADER_NOT_AVAILABLE - FIRST_CODE] =
        {"LEADER_NOT_AVAILABLE",
         "There is no leader for this topic-partition as we are in the middle of a leadership election.",
         true},
    [E_NOT_LEADER_OR_FOLLOWER -
        FIRST_CODE] = {"NOT_LEADER_OR_FOLLOWER",
                       "For requests intended only for the leader, this error indicates that the broker is "
                       "not the current leader. For requests intended for any replica, this error indicates "
                       "that the broker is not a replica of the topic partition.",
                       true},
    [E_REQUEST_TIMED_OUT - FIRST_CODE] = {"REQUEST_TIMED_OUT", "The request timed out.", true},
    [E_BROKER_NOT_AVAILABLE - FIRST_CODE] = {"BROKER_NOT_AVAILABLE", "The broker is not available.", false},
    [E_REPLICA_NOT_AVAILABLE -
        FIRST_CODE] = {"REPLICA_NOT_AVAILABLE",
                       "The replica is not available for the requested topic-partition. Produce/Fetch "
                       "requests and other requests intended only for the leader or follower return "
                       "NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.",
                       true},
    [E_MESSAGE_TOO_LARGE - FIRST_CODE] =
        {"MESSAGE_TOO_LARGE",
         "The request included a message larger than the max message size the server will accept.", false},
    [E_STALE_CONTROLLER_EPOCH -
        FIRST_CODE] = {"STALE_CONTROLLER_EPOCH", "The controller moved to another broker.", false},
    [E_OFFSET_METADATA_TOO_LARGE - FIRST_CODE] = {"OFFSET_METADATA_TOO_LARGE",
                                                  "The metadata field of the offset request was too large.",
                                                  false},
    [E_NETWORK_EXCEPTION -
        FIRST_CODE] = {"NETWORK_EXCEPTION", "The server disconnected before a response was received.", true},
    [E_COORDINATOR_LOAD_IN_PROGRESS -
        FIRST_CODE] = {"COORDINATOR_LOAD_IN_PROGRESS",
                       "The coordinator is loading and hence can't process requests.", true},
    [E_COORDINATOR_NOT_AVAILABLE -
        FIRST_CODE] = {"COORDINATOR_NOT_AVAILABLE", "The coordinator is not available.", true},
    [E_NOT_COORDINATOR - FIRST_CODE] = {"NOT_COORDINATOR", "This is not the correct coordinator.", true},
    [E_INVALID_TOPIC_EXCEPTION -
        FIRST_CODE] = {"INVALID_TOPIC_EXCEPTION",
                       "The request attempted to perform an operation on an invalid topic.", false},
    [E_RECORD_LIST_TOO_LARGE - FIRST_CODE] =
        {"RECORD_LIST_TOO_LARGE",
         "The request included message batch larger than the configured segment size on the server.", false},
    [E_NOT_ENOUGH_REPLICAS -
        FIRST_CODE] = {"NOT_ENOUGH_REPLICAS",
                       "Messages are rejected since there are fewer in-sync replicas than required.", true},
    [E_NOT_ENOUGH_REPLICAS_AFTER_APPEND -
        FIRST_CODE] = {"NOT_ENOUGH_REPLICAS_AFTER_APPEND",
                       "Messages are written to the log, but to fewer in-sync replicas than required.", true},
    [E_INVALID_REQUIRED_ACKS - FIRST_CODE] = {"INVALID_REQUIRED_ACKS",
                                              "Produce request specified an invalid value for required acks.",
                                              false},
    [E_ILLEGAL_GENERATION -
        FIRST_CODE] = {"ILLEGAL_GENERATION", "Specified group generation id is not valid.", false},
    [E_INCONSISTENT_GROUP_PROTOCOL - FIRST_CODE] =
        {"INCONSISTENT_GROUP_PROTOCOL",
         "The group member's supported protocols are incompatible with those of existing members or first "
         "group member tried to join with empty protocol type or empty protocol list.",
         false},
    [E_INVALID_GROUP_ID - FIRST_CODE] = {"INVALID_GROUP_ID", "The group id is invalid.", false},
    [E_UNKNOWN_MEMBER_ID -
        FIRST_CODE] = {"UNKNOWN_MEMBER_ID", "The coordinator is not aware of this member.", false},
    [E_INVALID_SESSION_TIMEOUT -
        FIRST_CODE] = {"INVALID_SESSION_TIMEOUT",
                       "The session timeout is not within the range allowed by the broker (as configured by "
                       "group.min.session.timeout.ms and group.max.session.timeout.ms).",
                       false},
    [E_REBALANCE_IN_PROGRESS -
        FIRST_CODE] = {"REBALANCE_IN_PROGRESS", "The group is rebalancing, so a rejoin is needed.", false},
    [E_INVALID_COMMIT_OFFSET_SIZE -
        FIRST_CODE] = {"INVALID_COMMIT_OFFSET_SIZE", "The committing offset data size is not valid.", false},
    [E_TOPIC_AUTHORIZATION_FAILED -
        FIRST_CODE] = {"TOPIC_AUTHORIZATION_FAILED", "Topic authorization failed.", false},
    [E_GROUP_AUTHORIZATION_FAILED -
        FIRST_CODE] = {"GROUP_AUTHORIZATION_FAILED", "Group authorization failed.", false},
    [E_CLUSTER_AUTHORIZATION_FAILED -
        FIRST_CODE] = {"CLUSTER_AUTHORIZATION_FAILED", "Cluster authorization failed.", false},
    [E_INVALID_TIMESTAMP - FIRST_CODE] = {"INVALID_TIMESTAMP",
                                          "The timestamp of the message is out of acceptable range.", false},
    [E_UNSUPPORTED_SASL_MECHANISM -
        FIRST_CODE] = {"UNSUPPORTED_SASL_MECHANISM",
                       "The broker does not support the requested SASL mechanism.", false},
    [E_ILLEGAL_SASL_STATE -
        FIRST_CODE] = {"ILLEGAL_SASL_STATE", "Request is not valid given the current SASL state.", false},
    [E_UNSUPPORTED_VERSION -
        FIRST_CODE] = {"UNSUPPORTED_VERSION", "The version of API is not supported.", false},
    [E_TOPIC_ALREADY_EXISTS -
        FIRST_CODE] = {"TOPIC_ALREADY_EXISTS", "Topic with this name already exists.", false},
    [E_INVALID_PARTITIONS - FIRST_CODE] = {"INVALID_PARTITIONS", "Number of partitions is below 1.", false},
    [E_INVALID_REPLICATION_FACTOR -
        FIRST_CODE] = {"INVALID_REPLICATION_FACTOR",
                       "Replication factor is below 1 or larger than the number of available brokers.",
                       false},
    [E_INVALID_REPLICA_ASSIGNMENT -
        FIRST_CODE] = {"INVALID_REPLICA_ASSIGNMENT", "Replica assignment is invalid.", false},
    [E_INVALID_CONFIG - FIRST_CODE] = {"INVALID_CONFIG", "Configuration is invalid.", false},
    [E_NOT_CONTROLLER -
        FIRST_CODE] = {"NOT_CONTROLLER", "This is not the correct controller for this cluster.", true},
    [E_INVALID_REQUEST - FIRST_CODE] =
        {"INVALID_REQUEST",
         "This most likely occurs because of a request being malformed by the client library or the message "
         "was sent to an incompatible broker. See the broker logs for more details.",
         false},
    [E_UNSUPPORTED_FOR_MESSAGE_FORMAT -
        FIRST_CODE] = {"UNSUPPORTED_FOR_MESSAGE_FORMAT",
                       "The message format version on the broker does not support the request.", false},
    [E_POLICY_VIOLATION -
        FIRST_CODE] = {"POLICY_VIOLATION", "Request parameters do not satisfy the configured policy.", false},
    [E_OUT_OF_ORDER_SEQUENCE_NUMBER - FIRST_CODE] = {"OUT_OF_ORDER_SEQUENCE_NUMBER",
                                                     "The broker received an out of order sequence number.",
                                                     false},
    [E_DUPLICATE_SEQUENCE_NUMBER - FIRST_CODE] = {"DUPLICATE_SEQUENCE_NUMBER",
                                                  "The broker received a duplicate sequence number.", false},
    [E_INVALID_PRODUCER_EPOCH -
        FIRST_CODE] = {"INVALID_PRODUCER_EPOCH", "Producer attempted to produce with an old epoch.", false},
    [E_INVALID_TXN_STATE -
        FIRST_CODE] = {"INVALID_TXN_STATE",
                       "The producer attempted a transactional operation in an invalid state.", false},
    [E_INVALID_PRODUCER_ID_MAPPING - FIRST_CODE] = {"INVALID_PRODUCER_ID_MAPPING",
                                                    "The producer attempted to use a producer id which is "
                                                    "not currently assigned to its transactional id.",
                                                    false},
    [E_INVALID_TRANSACTION_TIMEOUT -
        FIRST_CODE] = {"INVALID_TRANSACTION_TIMEOUT",
                       "The transaction timeout is larger than the maximum value allowed by the broker (as "
                       "configured by transaction.max.timeout.ms).",
                       false},
    [E_CONCURRENT_TRANSACTIONS -
        FIRST_CODE] = {"CONCURRENT_TRANSACTIONS",
                       "The producer attempted to update a transaction while another concurrent operation on "
                       "the same transaction was ongoing.",
                       true},
    [E_TRANSACTION_COORDINATOR_FENCED -
        FIRST_CODE] = {"TRANSACTION_COORDINATOR_FENCED",
                       "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the "
                       "current coordinator for a given producer.",
                       false},
    [E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED - FIRST_CODE] = {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
                                                              "Transactional Id authorization failed.",
                                                              false},
    [E_SECURITY_DISABLED - FIRST_CODE] = {"SECURITY_DISABLED", "Security features are disabled.", false},
    [E_OPERATION_NOT_ATTEMPTED - FIRST_CODE] =
        {"OPERATION_NOT_ATTEMPTED",
         "The broker did not attempt to execute this operation. This may happen for batched RPCs where some "
         "operations in the batch failed, causing the broker to respond without trying the rest.",
         false},
    [E_KAFKA_STORAGE_ERROR -
        FIRST_CODE] = {"KAFKA_STORAGE_ERROR", "Disk error when trying to access log file on the disk.", true},
    [E_LOG_DIR_NOT_FOUND -
        FIRST_CODE] = {"LOG_DIR_NOT_FOUND",
                       "The user-specified log directory is not found in the broker config.", false},
    [E_SASL_AUTHENTICATION_FAILED -
        FIRST_CODE] = {"SASL_AUTHENTICATION_FAILED", "SASL Authentication failed.", false},
    [E_UNKNOWN_PRODUCER_ID -
        FIRST_CODE] = {"UNKNOWN_PRODUCER_ID",
                       "This exception is raised by the broker if it could not locate the producer metadata "
                       "associated with the producerId in question. This could happen if, for instance, the "
                       "producer's records were deleted because their retention time had elapsed. Once the "
                       "last records of the producerId are removed, the producer's metadata is removed from "
                       "the broker, and future appends by the producer will return this exception.",
                       false},
    [E_REASSIGNMENT_IN_PROGRESS -
        FIRST_CODE] = {"REASSIGNMENT_IN_PROGRESS", "A partition reassignment is in progress.", false},
    [E_DELEGATION_TOKEN_AUTH_DISABLED -
        FIRST_CODE] = {"DELEGATION_TOKEN_AUTH_DISABLED", "Delegation Token feature is not enabled.", false},
    [E_DELEGATION_TOKEN_NOT_FOUND -
        FIRST_CODE] = {"DELEGATION_TOKEN_NOT_FOUND", "Delegation Token is not found on server.", false},
    [E_DELEGATION_TOKEN_OWNER_MISMATCH - FIRST_CODE] = {"DELEGATION_TOKEN_OWNER_MISMATCH",
                                                        "Specified Principal is not valid Owner/Renewer.",
                                                        false},
    [E_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED -
        FIRST_CODE] = {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
                       "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on "
                       "delegation token authenticated channels.",
                       false},
    [E_DELEGATION_TOKEN_AUTHORIZATION_FAILED - FIRST_CODE] = {"DELEGATION_TOKEN_AUTHORIZATION_FAILED",
                                                              "Delegation Token authorization failed.",
                                                              false},
    [E_DELEGATION_TOKEN_EXPIRED -
        FIRST_CODE] = {"DELEGATION_TOKEN_EXPIRED", "Delegation Token is expired.", false},
    [E_INVALID_PRINCIPAL_TYPE -
        FIRST_CODE] = {"INVALID_PRINCIPAL_TYPE", "Supplied principalType is not supported.", false},
    [E_NON_EMPTY_GROUP - FIRST_CODE] = {"NON_EMPTY_GROUP", "The group is not empty.", false},
    [E_GROUP_ID_NOT_FOUND - FIRST_CODE] = {"GROUP_ID_NOT_FOUND", "The group id does not exist.", false},
    [E_FETCH_SESSION_ID_NOT_FOUND -
        FIRST_CODE] = {"FETCH_SESSION_ID_NOT_FOUND", "The fetch session ID was not found.", true},
    [E_INVALID_FETCH_SESSION_EPOCH -
        FIRST_CODE] = {"INVALID_FETCH_SESSION_EPOCH", "The fetch session epoch is invalid.", true},
    [E_LISTENER_NOT_FOUND - FIRST_CODE] = {"LISTENER_NOT_FOUND",
                                           "There is no listener on the leader broker that matches the "
                                           "listener on which metadata request was processed.",
                                           true},
    [E_TOPIC_DELETION_DISABLED -
        FIRST_CODE] = {"TOPIC_DELETION_DISABLED", "Topic deletion is disabled.", false},
    [E_FENCED_LEADER_EPOCH -
        FIRST_CODE] = {"FENCED_LEADER_EPOCH",
                       "The leader epoch in the request is older than the epoch on the broker.", true},
    [E_UNKNOWN_LEADER_EPOCH -
        FIRST_CODE] = {"UNKNOWN_LEADER_EPOCH",
                       "The leader epoch in the request is newer than the epoch on the broker.", true},
    [E_UNSUPPORTED_COMPRESSION_TYPE -
        FIRST_CODE] = {"UNSUPPORTED_COMPRESSION_TYPE",
                       "The requesting client does not support the compression type of given partition.",
                       false},
    [E_STALE_BROKER_EPOCH - FIRST_CODE] = {"STALE_BROKER_EPOCH", "Broker epoch has changed.", false},
    [E_OFFSET_NOT_AVAILABLE -
        FIRST_CODE] = {"OFFSET_NOT_AVAILABLE",
                       "The leader high watermark has not caught up from a recent leader election so the "
                       "offsets cannot be guaranteed to be monotonically increasing.",
                       true},
    [E_MEMBER_ID_REQUIRED - FIRST_CODE] =
        {"MEMBER_ID_REQUIRED",
         "The group member needs to have a valid member id before actually entering a consumer group.",
         false},
    [E_PREFERRED_LEADER_NOT_AVAILABLE -
        FIRST_CODE] = {"PREFERRED_LEADER_NOT_AVAILABLE", "The preferred leader was not available.", true},
    [E_GROUP_MAX_SIZE_REACHED -
        FIRST_CODE] = {"GROUP_MAX_SIZE_REACHED", "The group has reached its maximum size.", false},
    [E_FENCED_INSTANCE_ID -
        FIRST_CODE] = {"FENCED_INSTANCE_ID",
                       "The broker rejected this static consumer since another consumer with the same "
                       "group.instance.id has registered with a different member.id.",
                       false},
    [E_ELIGIBLE_LEADERS_NOT_AVAILABLE - FIRST_CODE] = {"ELIGIBLE_LEADERS_NOT_AVAILABLE",
                                                       "Eligible topic partition leaders are not available.",
                                                       true},
    [E_ELECTION_NOT_NEEDED -
        FIRST_CODE] = {"ELECTION_NOT_NEEDED", "Leader election not needed for topic partition.", true},
    [E_NO_REASSIGNMENT_IN_PROGRESS -
        FIRST_CODE] = {"NO_REASSIGNMENT_IN_PROGRESS", "No partition reassignment is in progress.", false},
    [E_GROUP_SUBSCRIBED_TO_TOPIC - FIRST_CODE] =
        {"GROUP_SUBSCRIBED_TO_TOPIC",
         "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.",
         false},
    [E_INVALID_RECORD -
        FIRST_CODE] = {"INVALID_RECORD",
                       "This record has failed the validation on broker and hence will be rejected.", false},
    [E_UNSTABLE_OFFSET_COMMIT -
        FIRST_CODE] = {"UNSTABLE_OFFSET_COMMIT", "There are unstable offsets that need to be cleared.", true},
    [E_THROTTLING_QUOTA_EXCEEDED -
        FIRST_CODE] = {"THROTTLING_QUOTA_EXCEEDED", "The throttling quota has been exceeded.", true},
    [E_PRODUCER_FENCED - FIRST_CODE] =
        {"PRODUCER_FENCED",
         "There is a newer producer with the same transactionalId which fences the current one.", false},
    [E_RESOURCE_NOT_FOUND - FIRST_CODE] = {"RESOURCE_NOT_FOUND",
                                           "A request illegally referred to a resource that does not exist.",
                                           false},
    [E_DUPLICATE_RESOURCE - FIRST_CODE] = {"DUPLICATE_RESOURCE",
                                           "A request illegally referred to the same resource twice.", false},
    [E_UNACCEPTABLE_CREDENTIAL -
        FIRST_CODE] = {"UNACCEPTABLE_CREDENTIAL",
                       "Requested credential would not meet criteria for acceptability.", false},
    [E_INCONSISTENT_VOTER_SET - FIRST_CODE] = {"INCONSISTENT_VOTER_SET",
                                               "Indicates that the either the sender or recipient of a "
                                               "voter-only request is not one of the expected voters.",
                                               false},
    [E_INVALID_UPDATE_VERSION -
        FIRST_CODE] = {"INVALID_UPDATE_VERSION", "The given update version was invalid.", false},
    [E_FEATURE_UPDATE_FAILED -
        FIRST_CODE] = {"FEATURE_UPDATE_FAILED",
                       "Unable to update finalized features due to an unexpected server error.", false},
    [E_PRINCIPAL_DESERIALIZATION_FAILURE -
        FIRST_CODE] = {"PRINCIPAL_DESERIALIZATION_FAILURE",
                       "Request principal deserialization failed during forwarding. This indicates an "
                       "internal error on the broker cluster security setup.",
                       false},
    [E_SNAPSHOT_NOT_FOUND - FIRST_CODE] = {"SNAPSHOT_NOT_FOUND", "Requested snapshot was not found.", false},
    [E_POSITION_OUT_OF_RANGE - FIRST_CODE] =
        {"POSITION_OUT_OF_RANGE",
         "Requested position is not greater than or equal to zero, and less than the size of the snapshot.",
         false},
    [E_UNKNOWN_TOPIC_ID -
        FIRST_CODE] = {"UNKNOWN_TOPIC_ID", "This server does not host this topic ID.", true},
    [E_DUPLICATE_BROKER_REGISTRATION -
        FIRST_CODE] = {"DUPLICATE_BROKER_REGISTRATION", "This broker ID is already in use.", false},
    [E_BROKER_ID_NOT_REGISTERED -
        FIRST_CODE] = {"BROKER_ID_NOT_REGISTERED", "The given broker ID was not registered.", false},
    [E_INCONSISTENT_TOPIC_ID - FIRST_CODE] = {"INCONSISTENT_TOPIC_ID",
                                              "The log's topic ID did not match the topic ID in the request.",
                                              true},
    [E_INCONSISTENT_CLUSTER_ID -
        FIRST_CODE] = {"INCONSISTENT_CLUSTER_ID",
                       "The clusterId in the request does not match that found on the server.", false},
    [E_TRANSACTIONAL_ID_NOT_FOUND -
        FIRST_CODE] = {"TRANSACTIONAL_ID_NOT_FOUND", "The transactionalId could not be found.", false},
    [E_FETCH_SESSION_TOPIC_ID_ERROR -
        FIRST_CODE] = {"FETCH_SESSION_TOPIC_ID_ERROR",
                       "The fetch session encountered inconsistent topic ID usage.", true},
    [E_INELIGIBLE_REPLICA -
        FIRST_CODE] = {"INELIGIBLE_REPLICA", "The new ISR contains at least one ineligible replica.", false},
    [E_NEW_LEADER_ELECTED - FIRST_CODE] =
        {"NEW_LEADER_ELECTED",
         "The AlterPartition request successfully updated the partition state but the leader has changed.",
         false},
    [E_OFFSET_MOVED_TO_TIERED_STORAGE - FIRST_CODE] = {"OFFSET_MOVED_TO_TIERED_STORAGE",
                                                       "The requested offset is moved to tiered storage.",
                                                       false},
    [E_FENCED_MEMBER_EPOCH - FIRST_CODE] = {"FENCED_MEMBER_EPOCH",
                                            "The member epoch is fenced by the group coordinator. The member "
                                            "must abandon all its partitions and rejoin.",
                                            false},
    [E_UNRELEASED_INSTANCE_ID - FIRST_CODE] = {"UNRELEASED_INSTANCE_ID",
                                               "The instance ID is still used by another member in the "
                                               "consumer group. That member must leave first.",
                                               false},
    [E_UNSUPPORTED_ASSIGNOR -
        FIRST_CODE] = {"UNSUPPORTED_ASSIGNOR",
                       "The assignor or its version range is not supported by the consumer group.", false},
    [E_STALE_MEMBER_EPOCH - FIRST_CODE] = {"STALE_MEMBER_EPOCH",
                                           "The member epoch is stale. The member must retry after receiving "
                                           "its updated member epoch via the ConsumerGroupHeartbeat API.",
                                           false},
    [E_MISMATCHED_ENDPOINT_TYPE - FIRST_CODE] = {"MISMATCHED_ENDPOINT_TYPE",
                                                 "The request was sent to an endpoint of the wrong type.",
                                                 false},
    [E_UNSUPPORTED_ENDPOINT_TYPE -
        FIRST_CODE] = {"UNSUPPORTED_ENDPOINT_TYPE", "This endpoint type is not supported yet.", false},
    [E_UNKNOWN_CONTROLLER_ID -
        FIRST_CODE] = {"UNKNOWN_CONTROLLER_ID", "This controller ID is not known.", false},
    [E_UNKNOWN_SUBSCRIPTION_ID -
        FIRST_CODE] = {"UNKNOWN_SUBSCRIPTION_ID",
                       "Client sent a push telemetry request with an invalid or outdated subscription ID.",
                       false},
    [E_TELEMETRY_TOO_LARGE - FIRST_CODE] =
        {"TELEMETRY_TOO_LARGE",
         "Client sent a push telemetry request larger than the maximum size the broker will accept.", false},
    [E_INVALID_REGISTRATION -
        FIRST_CODE] = {"INVALID_REGISTRATION",
                       "The controller has considered the broker registration to be invalid.", false},
    [E_TRANSACTION_ABORTABLE -
        FIRST_CODE] = {"TRANSACTION_ABORTABLE",
                       "The server encountered an error with the transaction. The client can abort the "
                       "transaction to continue using this transactional ID.",
                       false},
    [E_INVALID_RECORD_STATE -
        FIRST_CODE] = {"INVALID_RECORD_STATE",
                       "The record state is invalid. The acknowledgement of delivery could not be completed.",
                       false},
    [E_SHARE_SESSION_NOT_FOUND -
        FIRST_CODE] = {"SHARE_SESSION_NOT_FOUND", "The share session was not found.", true},
    [E_INVALID_SHARE_SESSION_EPOCH -
        FIRST_CODE] = {"INVALID_SHARE_SESSION_EPOCH", "The share session epoch is invalid.", true},
    [E_FENCED_STATE_EPOCH - FIRST_CODE] =
        {"FENCED_STATE_EPOCH",
         "The share coordinator rejected the request because the share-group state epoch did not match.",
         false},
    [E_INVALID_VOTER_KEY - FIRST_CODE] = {"INVALID_VOTER_KEY",
                                          "The voter key doesn't match the receiving replica's key.", false},
    [E_DUPLICATE_VOTER -
        FIRST_CODE] = {"DUPLICATE_VOTER", "The voter is already part of the set of voters.", false},
    [E_VOTER_NOT_FOUND -
        FIRST_CODE] = {"VOTER_NOT_FOUND", "The voter is not part of the set of voters.", false},
    [E_INVALID_REGULAR_EXPRESSION -
        FIRST_CODE] = {"INVALID_REGULAR_EXPRESSION", "The regular expression is not valid.", false},
    [E_REBOOTSTRAP_REQUIRED -
        FIRST_CODE] = {"REBOOTSTRAP_REQUIRED",
                       "Client metadata is stale. The client should rebootstrap to obtain new metadata.",
                       false},
    [E_STREAMS_INVALID_TOPOLOGY -
        FIRST_CODE] = {"STREAMS_INVALID_TOPOLOGY", "The supplied topology is invalid.", false},
    [E_STREAMS_INVALID_TOPOLOGY_EPOCH -
        FIRST_CODE] = {"STREAMS_INVALID_TOPOLOGY_EPOCH", "The supplied topology epoch is invalid.", false},
    [E_STREAMS_TOPOLOGY_FENCED -
        FIRST_CODE] = {"STREAMS_TOPOLOGY_FENCED", "The supplied topology epoch is outdated.", false},
    [E_SHARE_SESSION_LIMIT_REACHED -
        FIRST_CODE] = {"SHARE_SESSION_LIMIT_REACHED", "The limit of share sessions has been reached.", true},
};

static const struct error_info *find(int16_t code)
{
    int i = code - FIRST_CODE;
    return i >= 0 && (size_t)i < sizeof infos / sizeof *infos && infos[i].name ? &infos[i] : NULL;
}

const char *error_code_name(int16_t code)
{
    const struct error_info *info = find(code);
    return info ? info->name : "UNKNOWN";
}

const char *error_code_message(int16_t code)
{
    const struct error_info *info = find(code);
    return info ? info->message : infos[0].message;
}

bool error_code_retriable(int16_t code)
{
    const struct error_info *info = find(code);
    return info && info->retriable;
}
