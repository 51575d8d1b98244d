// The configuration of a node: what server.properties and --override say, checked as Kafka checks it, in
// typed fields for the server and as a whole for DescribeConfigs. Immutable once loaded; any thread may read
// it. What is changed at run time makes another one (broker_config_overlay).
#ifndef CONFIG_BROKER_CONFIG_H
#define CONFIG_BROKER_CONFIG_H

#include "base/arena.h"
#include "config/properties.h"
#include "config/setting.h"
#include "storage/cleaner_config.h"

enum security_protocol { PROTOCOL_PLAINTEXT, PROTOCOL_SSL, PROTOCOL_SASL_PLAINTEXT, PROTOCOL_SASL_SSL };

// NAME://host:port
struct listener_config {
    struct str name; // upper case
    struct str host; // empty: all interfaces. An IPv6 address without brackets
    int32_t port;    // 0: any free one
    enum security_protocol protocol;
    bool controller; // named by controller.listener.names
};

struct voter_config {
    int32_t id;
    struct str host;
    int32_t port;
};

struct server_address {
    struct str host;
    int32_t port;
};

// A limit for one address (max.connections.per.ip.overrides).
struct ip_limit {
    struct str host;
    int32_t limit;
};

// What was changed at run time, from the metadata image: of this broker, and of the whole cluster. Values
// that IncrementalAlterConfigs accepted.
struct config_layers {
    const struct config_entry *broker, *cluster;
    size_t broker_count, cluster_count;
};

#define CONFIG_LAYERS_NONE ((struct config_layers){NULL, NULL, 0, 0})

struct broker_config {
    struct arena arena; // owns everything below
    bool standalone;    // loaded without a file: a node that nobody configured

    // process.roles, node.id, broker.rack
    bool is_broker, is_controller;
    int32_t node_id;
    struct str rack; // null: none

    // listeners, advertised.listeners, inter.broker.listener.name
    struct listener_config *listeners; // controller listeners too
    size_t listener_count;
    struct listener_config *advertised; // what others are told: one for each of `listeners` (an advertised
    size_t advertised_count;            // address, or the listener's own; port 0 stands for the bound port)
    struct str inter_broker_listener;
    struct str *controller_listener_names;
    size_t controller_listener_name_count;
    struct listener_config *http_listeners; // http.listeners
    size_t http_listener_count;

    // controller.quorum.*
    struct voter_config *voters; // static voters (kraft.version 0); none: dynamic (kraft.version 1)
    size_t voter_count;
    struct server_address *bootstrap_servers;
    size_t bootstrap_server_count;
    bool sole_voter; // the quorum is this node alone as far as the configuration says: the only static voter,
                     // or dynamic and no other bootstrap server; such a node may format itself
    int32_t quorum_election_timeout_ms, quorum_fetch_timeout_ms, quorum_request_timeout_ms;
    int32_t quorum_election_backoff_max_ms, quorum_retry_backoff_ms, quorum_append_linger_ms;
    int32_t quorum_fetch_max_bytes, quorum_fetch_snapshot_max_bytes;
    bool quorum_auto_join;

    // Directories.
    struct str *log_dirs;
    size_t log_dir_count;
    struct str metadata_log_dir;   // the first of log_dirs unless set
    struct str *cordoned_log_dirs; // of log_dirs, or "*" alone (KIP-1066)
    size_t cordoned_log_dir_count;
    int64_t storage_min_free_bytes;
    int32_t recovery_threads_per_dir;

    // Logs: the broker's own timers. Topic defaults are in topic_config.h.
    int64_t log_retention_check_interval_ms, log_initial_task_delay_ms;
    int64_t log_flush_scheduler_interval_ms;
    int32_t log_flush_offset_checkpoint_interval_ms;
    int64_t high_watermark_checkpoint_interval_ms;
    int32_t producer_id_expiration_ms;
    int32_t producer_id_expiration_check_interval_ms;
    bool verify_transactions;                                     // transaction.partition.verification.enable
    int32_t add_partitions_retry_ms, add_partitions_retry_max_ms; // add.partitions.to.txn.retry.backoff.*
    struct log_cleaner_config log_cleaner;
    int32_t move_threads; // num.replica.alter.log.dirs.threads; 0: one a directory
    double move_bytes_per_second;

    // The metadata log.
    int32_t metadata_log_segment_bytes;
    int64_t metadata_log_segment_ms;
    int64_t metadata_max_retention_bytes, metadata_max_retention_ms;
    int64_t metadata_max_record_bytes_between_snapshots, metadata_max_snapshot_interval_ms;
    int32_t metadata_max_idle_interval_ms;

    // The broker in its cluster.
    int32_t heartbeat_interval_ms, session_timeout_ms, registration_timeout_ms, request_timeout_ms;
    bool controlled_shutdown;

    // Topics.
    bool auto_create_topics, delete_topics;
    int32_t num_partitions, default_replication_factor;
    int32_t max_request_partition_size_limit;

    // Connections and requests.
    int32_t network_threads; // num.network.threads; 0 when not set: the server chooses
    int32_t socket_send_buffer_bytes, socket_receive_buffer_bytes, socket_listen_backlog;
    int32_t socket_request_max_bytes;
    int64_t queued_max_request_bytes; // -1: no limit
    int32_t queued_max_requests;
    int32_t max_connections, max_connections_per_ip, max_connection_creation_rate;
    struct ip_limit *ip_limits;
    size_t ip_limit_count;
    int64_t connections_max_idle_ms; // negative: never

    // Quotas: how many samples of how many seconds make their windows.
    int32_t quota_window_num, quota_window_size_seconds;
    int32_t controller_quota_window_num, controller_quota_window_size_seconds;

    int32_t fetch_max_bytes;
    int32_t fetch_session_slots;
    int32_t telemetry_max_bytes;

    // Everything that was set, as it was written: what DescribeConfigs calls static broker configuration.
    struct properties properties;
};

// Loads a configuration. file NULL: a standalone node as broker and controller on 127.0.0.1:9092 with its
// data in ./data; then overrides ("name=value") apply. With a file Kafka's rules apply: nothing is assumed.
// 0; ERR_INVALID (or what reading the file said) with one line in *message: the setting, its value and what
// would be right; ERR_NOMEM. The message lies in c->arena; call broker_config_free in any case. Warnings
// (unknown names, settings without effect) come from broker_config_warning.
int broker_config_load(struct broker_config *c, const char *file, const char *const *overrides,
                       size_t override_count, struct str *message);

// The same from texts, for tests and tools that have no file. standalone: as without a file.
int broker_config_from(struct broker_config *c, struct str text, bool standalone,
                       const char *const *overrides, size_t override_count, struct str *message);

// The configuration that `base` and what was changed at run time make together: Kafka's order (this broker's
// settings, the cluster's, the file's), each layer as far as the setting may be changed there. A dynamic
// value that does not parse, or whose setting is unknown here, is passed over, and the layer below counts.
// *out is new and holds no view of base or layers. 0; ERR_INVALID with one line in *message (in out->arena):
// the values do not go together; ERR_NOMEM. Call broker_config_free in any case.
int broker_config_overlay(struct broker_config *out, const struct broker_config *base,
                          const struct config_layers *layers, struct str *message);

void broker_config_free(struct broker_config *c);

// Whether http.listeners or advertised.listeners names this host, upper or lower case: who can be asked for
// by it is this node. Any thread.
bool broker_config_names_host(const struct broker_config *c, struct str host);

// The assignors of consumer groups, of which group.consumer.assignors names some.
enum consumer_assignor { CONSUMER_ASSIGNOR_UNIFORM, CONSUMER_ASSIGNOR_RANGE, CONSUMER_ASSIGNORS };

// CONSUMER_ASSIGNORS: there is none of this name.
enum consumer_assignor consumer_assignor_of(struct str name);

// One line of warning, in `arena`, for entry i of c->properties: an unknown name with the closest known one,
// or a setting that has no effect here. A null view when there is nothing to say.
struct str broker_config_warning(const struct broker_config *c, size_t i, struct arena *arena);

// The parsed value of any broker setting, its default included. Texts lie in c->arena or in `arena`.
// 0, or ERR_NOT_FOUND for an unknown name.
int broker_config_value(const struct broker_config *c, struct str name, struct arena *arena,
                        struct setting_value *out);

#endif
