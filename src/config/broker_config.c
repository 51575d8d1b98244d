#include "config/broker_config.h"

#include "base/error.h"
#include "config/alter.h"
#include "config/group_bounds.h"
#include "config/layers.h"
#include "config/listeners.h"
#include "config/setting_check.h"

#include <assert.h>

#define refuse(c, message, ...) \
    (*(message) = arena_printf(&(c)->arena, __VA_ARGS__), (message)->data ? ERR_INVALID : ERR_NOMEM)

// A node that nobody configured: broker and controller in one, a dynamic quorum of itself.
static const struct config_entry standalone_settings[] = {
    {STR("process.roles"), STR("broker,controller")},
    {STR("node.id"), STR("1")},
    {STR("controller.listener.names"), STR("CONTROLLER")},
    {STR("log.dirs"), STR("./data")},
    {STR("offsets.topic.replication.factor"), STR("1")},
    {STR("transaction.state.log.replication.factor"), STR("1")},
    {STR("transaction.state.log.min.isr"), STR("1")},
};
#define STANDALONE_BROKER_LISTENER     "PLAINTEXT://127.0.0.1:9092"
#define STANDALONE_CONTROLLER_LISTENER "CONTROLLER://127.0.0.1:0"

static int add_standalone(struct broker_config *c)
{
    for (size_t i = 0; i < sizeof standalone_settings / sizeof *standalone_settings; i++) {
        const struct config_entry *e = &standalone_settings[i];
        bool elsewhere = str_is(e->name, "log.dirs") && properties_get(&c->properties, STR("log.dir")).data;
        if (!elsewhere && !properties_get(&c->properties, e->name).data &&
            properties_set(&c->properties, e->name, e->value) != 0)
            return ERR_NOMEM;
    }
    // Whoever overrides `listeners` thinks of clients: the controller's listener is added when it is not
    // there.
    struct str listeners = properties_get(&c->properties, STR("listeners"));
    if (!listeners.data)
        listeners = STR(STANDALONE_BROKER_LISTENER);
    if (!str_is(properties_get(&c->properties, STR("controller.listener.names")), "CONTROLLER") ||
        (listeners.size && memmem(listeners.data, listeners.size, "CONTROLLER://", 13)))
        return properties_set(&c->properties, STR("listeners"), listeners);
    struct str both = arena_printf(&c->arena, "%.*s," STANDALONE_CONTROLLER_LISTENER, STR_ARG(listeners));
    return both.data ? properties_set(&c->properties, STR("listeners"), both) : ERR_NOMEM;
}

int broker_config_value(const struct broker_config *c, struct str name, struct arena *arena,
                        struct setting_value *out)
{
    const struct setting *s = setting_find(SETTING_BROKER, name);
    *out = (struct setting_value){.null = true};
    if (!s)
        return ERR_NOT_FOUND;
    struct str text = properties_get(&c->properties, name);
    return setting_parse(s, text.data ? text : str_from(s->default_text), arena, out, NULL);
}

// What a person who knows Kafka would write for a setting that has no default.
static const char *example_of(const char *required)
{
    static const char *const examples[][2] = {
        {"process.roles", "process.roles=broker,controller"},
        {"node.id", "node.id=1"},
        {"controller.listener.names", "controller.listener.names=CONTROLLER"}};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        if (strcmp(examples[i][0], required) == 0)
            return examples[i][1];
    return required;
}

// Types and single-value checks of everything, in the table's order.
static int check_values(struct broker_config *c, struct str *message)
{
    size_t n;
    const struct setting *table = setting_table(SETTING_BROKER, &n);
    for (size_t i = 0; i < n; i++) {
        struct setting_value value;
        struct str text = properties_get(&c->properties, str_from(table[i].name));
        if (!text.data && table[i].required)
            return refuse(c, message, "%s is not set: it is required, for instance %s", table[i].name,
                          example_of(table[i].name));
        if (!text.data)
            continue;
        int err = setting_parse(&table[i], text, &c->arena, &value, message);
        if (err)
            return err;
    }
    return 0;
}

static struct setting_value value_of(struct broker_config *c, const char *name)
{
    struct setting_value v;
    int err = broker_config_value(c, str_from(name), &c->arena, &v);
    assert(err != ERR_NOT_FOUND); // names below are the table's
    return v;
}

static int32_t int_of(struct broker_config *c, const char *name)
{
    return (int32_t)value_of(c, name).integer;
}

static int64_t long_of(struct broker_config *c, const char *name)
{
    return value_of(c, name).integer;
}

static bool bool_of(struct broker_config *c, const char *name)
{
    return value_of(c, name).boolean;
}

static double real_of(struct broker_config *c, const char *name)
{
    return value_of(c, name).real;
}

static bool is_set(const struct broker_config *c, const char *name)
{
    return properties_get(&c->properties, str_from(name)).data != NULL;
}

// Kafka: broker.id and node.id stand for each other.
static int load_identity(struct broker_config *c, struct str *message)
{
    struct str node = properties_get(&c->properties, STR("node.id"));
    struct str broker = properties_get(&c->properties, STR("broker.id"));
    if (!node.data && broker.data && properties_set(&c->properties, STR("node.id"), broker) != 0)
        return ERR_NOMEM;
    int err = check_values(c, message);
    if (err)
        return err;
    if (!broker.data && properties_set(&c->properties, STR("broker.id"), node) != 0)
        return ERR_NOMEM;
    c->node_id = int_of(c, "node.id");
    if (broker.data && int_of(c, "broker.id") != c->node_id)
        return refuse(c, message, "broker.id=%.*s: it must equal node.id, which is %d", STR_ARG(broker),
                      c->node_id);
    struct setting_value roles = value_of(c, "process.roles");
    for (size_t i = 0; i < roles.count; i++) {
        c->is_broker |= str_is(roles.entries[i], "broker");
        c->is_controller |= str_is(roles.entries[i], "controller");
    }
    c->rack = value_of(c, "broker.rack").text;
    return 0;
}

static int load_directories(struct broker_config *c, struct str *message)
{
    struct setting_value dirs = value_of(c, "log.dirs");
    if (dirs.null)
        dirs = value_of(c, "log.dir");
    c->log_dirs = dirs.entries;
    c->log_dir_count = dirs.count;
    struct setting_value metadata = value_of(c, "metadata.log.dir");
    c->metadata_log_dir = metadata.null ? c->log_dirs[0] : metadata.text;

    struct setting_value cordoned = value_of(c, "cordoned.log.dirs");
    c->cordoned_log_dirs = cordoned.entries;
    c->cordoned_log_dir_count = cordoned.count;
    for (size_t i = 0; i < cordoned.count; i++) {
        bool known = cordoned.count == 1 && str_is(cordoned.entries[i], "*");
        for (size_t j = 0; j < dirs.count; j++)
            known |= str_equal(cordoned.entries[i], dirs.entries[j]);
        if (!known)
            return refuse(c, message, "cordoned.log.dirs=%.*s: it must be one of log.dirs, or *",
                          STR_ARG(cordoned.entries[i]));
    }
    return 0;
}

static int32_t number_of(struct str digits)
{
    int32_t n = 0; // setting_check has seen that these are at most nine digits
    for (size_t i = 0; i < digits.size; i++)
        n = n * 10 + (digits.data[i] - '0');
    return n;
}

static int load_quorum_members(struct broker_config *c)
{
    struct setting_value voters = value_of(c, "controller.quorum.voters");
    struct setting_value servers = value_of(c, "controller.quorum.bootstrap.servers");
    c->voters = arena_zalloc(&c->arena, voters.count + 1, sizeof *c->voters);
    c->bootstrap_servers = arena_zalloc(&c->arena, servers.count + 1, sizeof *c->bootstrap_servers);
    if (!c->voters || !c->bootstrap_servers)
        return ERR_NOMEM;
    for (size_t i = 0; i < voters.count; i++) {
        struct str entry = voters.entries[i];
        size_t id = (size_t)((const char *)memchr(entry.data, '@', entry.size) - entry.data);
        struct voter_config v = {.id = number_of((struct str){entry.data, id})};
        server_address_parse((struct str){entry.data + id + 1, entry.size - id - 1}, &v.host, &v.port);
        size_t at = 0;
        while (at < c->voter_count && c->voters[at].id != v.id)
            at++;
        c->voters[at] = v; // an id that comes twice: the last one, as in Kafka
        c->voter_count += at == c->voter_count;
    }
    for (size_t i = 0; i < servers.count; i++) {
        struct server_address *a = &c->bootstrap_servers[c->bootstrap_server_count++];
        server_address_parse(servers.entries[i], &a->host, &a->port);
    }
    return 0;
}

static bool is_loopback(struct str host)
{
    return str_is(host, "localhost") || str_is(host, "::1") ||
           (host.size > 4 && memcmp(host.data, "127.", 4) == 0);
}

// As it is told, or a loopback address where the controller's listener takes connections of this machine.
static bool is_own_controller_address(const struct broker_config *c, const struct server_address *address)
{
    for (size_t i = 0; i < c->listener_count && is_loopback(address->host); i++) {
        struct str host = c->listeners[i].host;
        if (c->listeners[i].controller && c->listeners[i].port == address->port &&
            (host.size == 0 || str_is(host, "0.0.0.0") || str_is(host, "::") || is_loopback(host)))
            return true;
    }
    for (size_t i = 0; i < c->advertised_count; i++)
        if (c->advertised[i].controller && c->advertised[i].port == address->port &&
            str_equal(c->advertised[i].host, address->host))
            return true;
    return false;
}

static bool names_self(const struct broker_config *c)
{
    for (size_t i = 0; i < c->voter_count; i++)
        if (c->voters[i].id == c->node_id)
            return true;
    return false;
}

static int load_quorum(struct broker_config *c, struct str *message)
{
    int err = load_quorum_members(c);
    if (err)
        return err;
    struct str voters = properties_get(&c->properties, STR("controller.quorum.voters"));
    if (!c->standalone && c->voter_count == 0 && c->bootstrap_server_count == 0)
        return refuse(
            c, message,
            "controller.quorum.bootstrap.servers is not set: it must name the controllers (host:port), or "
            "controller.quorum.voters the static voters (id@host:port)");
    if (c->is_controller && c->voter_count > 0 && !names_self(c))
        return refuse(
            c, message,
            "controller.quorum.voters=%.*s: with the controller role, node.id %d must be among the voters",
            STR_ARG(voters), c->node_id);
    if (!c->is_controller && names_self(c))
        return refuse(
            c, message,
            "controller.quorum.voters=%.*s: without the controller role, node.id %d must not be among the "
            "voters",
            STR_ARG(voters), c->node_id);
    bool only_bootstrap_self =
        c->bootstrap_server_count == 0 ||
        (c->bootstrap_server_count == 1 && is_own_controller_address(c, &c->bootstrap_servers[0]));
    c->sole_voter = c->is_controller && (c->voter_count ? c->voter_count == 1 : only_bootstrap_self);

    c->quorum_election_timeout_ms = int_of(c, "controller.quorum.election.timeout.ms");
    c->quorum_fetch_timeout_ms = int_of(c, "controller.quorum.fetch.timeout.ms");
    c->quorum_request_timeout_ms = int_of(c, "controller.quorum.request.timeout.ms");
    c->quorum_election_backoff_max_ms = int_of(c, "controller.quorum.election.backoff.max.ms");
    c->quorum_retry_backoff_ms = int_of(c, "controller.quorum.retry.backoff.ms");
    c->quorum_append_linger_ms = int_of(c, "controller.quorum.append.linger.ms");
    c->quorum_fetch_max_bytes = int_of(c, "controller.quorum.fetch.max.bytes");
    c->quorum_fetch_snapshot_max_bytes = int_of(c, "controller.quorum.fetch.snapshot.max.bytes");
    c->quorum_auto_join = bool_of(c, "controller.quorum.auto.join.enable");
    return 0;
}

static void load_cleaner(struct broker_config *c)
{
    c->log_cleaner = (struct log_cleaner_config){
        .threads = bool_of(c, "log.cleaner.enable") ? int_of(c, "log.cleaner.threads") : 0,
        .keys_bytes = long_of(c, "log.cleaner.dedupe.buffer.size"),
        .load_factor = real_of(c, "log.cleaner.io.buffer.load.factor"),
        .io_buffer_bytes = int_of(c, "log.cleaner.io.buffer.size"),
        .io_bytes_per_second = real_of(c, "log.cleaner.io.max.bytes.per.second"),
        .backoff_ms = long_of(c, "log.cleaner.backoff.ms")};
}

static void load_logs(struct broker_config *c)
{
    load_cleaner(c);
    c->move_threads =
        is_set(c, "num.replica.alter.log.dirs.threads") ? int_of(c, "num.replica.alter.log.dirs.threads") : 0;
    c->move_bytes_per_second = (double)long_of(c, "replica.alter.log.dirs.io.max.bytes.per.second");
    c->storage_min_free_bytes = long_of(c, "storage.min.free.bytes");
    c->recovery_threads_per_dir = int_of(c, "num.recovery.threads.per.data.dir");
    c->log_retention_check_interval_ms = long_of(c, "log.retention.check.interval.ms");
    c->log_initial_task_delay_ms = long_of(c, "log.initial.task.delay.ms");
    c->log_flush_scheduler_interval_ms = long_of(c, "log.flush.scheduler.interval.ms");
    c->log_flush_offset_checkpoint_interval_ms = int_of(c, "log.flush.offset.checkpoint.interval.ms");
    c->high_watermark_checkpoint_interval_ms = long_of(c, "replica.high.watermark.checkpoint.interval.ms");
    c->producer_id_expiration_ms = int_of(c, "producer.id.expiration.ms");
    c->verify_transactions = bool_of(c, "transaction.partition.verification.enable");
    c->add_partitions_retry_ms = int_of(c, "add.partitions.to.txn.retry.backoff.ms");
    c->add_partitions_retry_max_ms = int_of(c, "add.partitions.to.txn.retry.backoff.max.ms");
    c->producer_id_expiration_check_interval_ms = int_of(c, "producer.id.expiration.check.interval.ms");

    c->metadata_log_segment_bytes = int_of(c, "metadata.log.segment.bytes");
    if (is_set(c, "internal.metadata.log.segment.bytes"))
        c->metadata_log_segment_bytes = int_of(c, "internal.metadata.log.segment.bytes");
    c->metadata_log_segment_ms = long_of(c, "metadata.log.segment.ms");
    c->metadata_max_retention_bytes = long_of(c, "metadata.max.retention.bytes");
    c->metadata_max_retention_ms = long_of(c, "metadata.max.retention.ms");
    c->metadata_max_record_bytes_between_snapshots =
        long_of(c, "metadata.log.max.record.bytes.between.snapshots");
    c->metadata_max_snapshot_interval_ms = long_of(c, "metadata.log.max.snapshot.interval.ms");
    c->metadata_max_idle_interval_ms = int_of(c, "metadata.max.idle.interval.ms");
}

static void load_cluster(struct broker_config *c)
{
    c->heartbeat_interval_ms = int_of(c, "broker.heartbeat.interval.ms");
    c->session_timeout_ms = int_of(c, "broker.session.timeout.ms");
    c->registration_timeout_ms = int_of(c, "initial.broker.registration.timeout.ms");
    c->request_timeout_ms = int_of(c, "request.timeout.ms");
    c->controlled_shutdown = bool_of(c, "controlled.shutdown.enable");
    c->auto_create_topics = bool_of(c, "auto.create.topics.enable");
    c->delete_topics = bool_of(c, "delete.topic.enable");
    c->num_partitions = int_of(c, "num.partitions");
    c->default_replication_factor = int_of(c, "default.replication.factor");
    c->max_request_partition_size_limit = int_of(c, "max.request.partition.size.limit");
}

static int load_ip_limit(struct broker_config *c, struct str entry, struct str *message)
{
    struct ip_limit *limit = &c->ip_limits[c->ip_limit_count++];
    bool good = server_address_parse(entry, &limit->host, &limit->limit) && limit->host.size > 0;
    for (size_t i = 0; good && i < limit->host.size; i++) {
        char ch = limit->host.data[i], low = (char)(ch | 0x20);
        good = (low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') || strchr(".-_%:", ch);
    }
    if (!good)
        return refuse(c, message, "max.connections.per.ip.overrides=%.*s: expected host:limit",
                      STR_ARG(entry));
    limit->host = arena_str(&c->arena, limit->host); // terminated: who counts connections parses it as text
    return limit->host.data ? 0 : ERR_NOMEM;
}

static int load_ip_limits(struct broker_config *c, struct str *message)
{
    struct str text = value_of(c, "max.connections.per.ip.overrides").text;
    size_t most = 1;
    for (size_t i = 0; i < text.size; i++)
        most += text.data[i] == ',';
    c->ip_limits = arena_zalloc(&c->arena, most, sizeof *c->ip_limits);
    if (!c->ip_limits)
        return ERR_NOMEM;
    for (size_t start = 0, i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != ',')
            continue;
        struct str entry = setting_trim((struct str){text.data + start, i - start});
        start = i + 1;
        int err = entry.size ? load_ip_limit(c, entry, message) : 0;
        if (err)
            return err;
    }
    return 0;
}

static int load_connections(struct broker_config *c, struct str *message)
{
    c->network_threads = is_set(c, "num.network.threads") ? int_of(c, "num.network.threads") : 0;
    c->socket_send_buffer_bytes = int_of(c, "socket.send.buffer.bytes");
    c->socket_receive_buffer_bytes = int_of(c, "socket.receive.buffer.bytes");
    c->socket_listen_backlog = int_of(c, "socket.listen.backlog.size");
    c->socket_request_max_bytes = int_of(c, "socket.request.max.bytes");
    c->queued_max_request_bytes = long_of(c, "queued.max.request.bytes");
    c->queued_max_requests = int_of(c, "queued.max.requests");
    c->max_connections = int_of(c, "max.connections");
    c->max_connections_per_ip = int_of(c, "max.connections.per.ip");
    c->max_connection_creation_rate = int_of(c, "max.connection.creation.rate");
    c->connections_max_idle_ms = long_of(c, "connections.max.idle.ms");
    c->quota_window_num = int_of(c, "quota.window.num");
    c->quota_window_size_seconds = int_of(c, "quota.window.size.seconds");
    c->controller_quota_window_num = int_of(c, "controller.quota.window.num");
    c->controller_quota_window_size_seconds = int_of(c, "controller.quota.window.size.seconds");
    c->fetch_max_bytes = int_of(c, "fetch.max.bytes");
    c->telemetry_max_bytes = int_of(c, "telemetry.max.bytes");
    c->fetch_session_slots = int_of(c, "max.incremental.fetch.session.cache.slots");
    int err = load_ip_limits(c, message);
    if (err)
        return err;
    if (c->queued_max_request_bytes > 0 && c->queued_max_request_bytes < c->socket_request_max_bytes)
        return refuse(
            c, message,
            "queued.max.request.bytes=%lld: it must be at least socket.request.max.bytes, which is %d, or "
            "-1 for no limit",
            (long long)c->queued_max_request_bytes, c->socket_request_max_bytes);
    if (c->max_connections_per_ip == 0 && c->ip_limit_count == 0)
        return refuse(c, message,
                      "max.connections.per.ip=0: this is allowed only with max.connections.per.ip.overrides");
    int32_t delay_ms = int_of(c, "connection.failed.authentication.delay.ms");
    if (c->connections_max_idle_ms >= 0 && delay_ms >= c->connections_max_idle_ms)
        return refuse(c, message,
                      "connections.max.idle.ms=%lld: it must be larger than "
                      "connection.failed.authentication.delay.ms, which is %d",
                      (long long)c->connections_max_idle_ms, delay_ms);
    return 0;
}

// Times that Kafka takes from the first setting that is set.
static int check_log_times(struct broker_config *c, struct str *message)
{
    if (is_set(c, "log.roll.ms") && long_of(c, "log.roll.ms") < 1)
        return refuse(c, message, "log.roll.ms=%lld: it must be at least 1",
                      (long long)long_of(c, "log.roll.ms"));
    if (is_set(c, "log.roll.jitter.ms") && long_of(c, "log.roll.jitter.ms") < 0)
        return refuse(c, message, "log.roll.jitter.ms=%lld: it must be at least 0",
                      (long long)long_of(c, "log.roll.jitter.ms"));
    const char *retention = is_set(c, "log.retention.ms")        ? "log.retention.ms"
                            : is_set(c, "log.retention.minutes") ? "log.retention.minutes"
                                                                 : "log.retention.hours";
    if (long_of(c, retention) == 0)
        return refuse(c, message, "%s=0: it must be at least 1, or -1 to keep for ever", retention);
    return 0;
}

// By name, or as Kafka calls the classes behind them.
enum consumer_assignor consumer_assignor_of(struct str name)
{
    if (str_is(name, "uniform") ||
        str_is(name, "org.apache.kafka.coordinator.group.assignor.UniformAssignor"))
        return CONSUMER_ASSIGNOR_UNIFORM;
    if (str_is(name, "range") || str_is(name, "org.apache.kafka.coordinator.group.assignor.RangeAssignor"))
        return CONSUMER_ASSIGNOR_RANGE;
    return CONSUMER_ASSIGNORS;
}

static int check_assignors(struct broker_config *c, struct str *message)
{
    struct setting_value assignors = value_of(c, "group.consumer.assignors");
    for (size_t i = 0; i < assignors.count; i++) {
        enum consumer_assignor one = consumer_assignor_of(assignors.entries[i]);
        for (size_t k = 0; k < i; k++)
            if (consumer_assignor_of(assignors.entries[k]) == one)
                return refuse(c, message, "group.consumer.assignors: %.*s and %.*s are the same",
                              STR_ARG(assignors.entries[k]), STR_ARG(assignors.entries[i]));
        if (one == CONSUMER_ASSIGNORS)
            return refuse(c, message, "group.consumer.assignors=%.*s: it must be uniform or range",
                          STR_ARG(assignors.entries[i]));
    }
    return 0;
}

static int check_together(struct broker_config *c, struct str *message)
{
    int err = check_log_times(c, message);
    if (err)
        return err;
    int64_t buffer = long_of(c, "log.cleaner.dedupe.buffer.size");
    int32_t cleaners = int_of(c, "log.cleaner.threads");
    if (cleaners == 0)
        return refuse(c, message, "log.cleaner.threads=0: it must be at least 1");
    if (buffer / cleaners <= 1024 * 1024)
        return refuse(
            c, message,
            "log.cleaner.dedupe.buffer.size=%lld: it must be more than 1 MB for each of %d cleaner threads",
            (long long)buffer, cleaners);
    int32_t wait_ms = int_of(c, "replica.fetch.wait.max.ms"),
            socket_ms = int_of(c, "replica.socket.timeout.ms");
    int64_t lag_ms = long_of(c, "replica.lag.time.max.ms");
    if (wait_ms > socket_ms)
        return refuse(
            c, message,
            "replica.socket.timeout.ms=%d: it must be at least replica.fetch.wait.max.ms, which is %d",
            socket_ms, wait_ms);
    if (wait_ms > lag_ms)
        return refuse(
            c, message,
            "replica.fetch.wait.max.ms=%d: it must be at most replica.lag.time.max.ms, which is %lld",
            wait_ms, (long long)lag_ms);
    struct setting_value protocols = value_of(c, "group.coordinator.rebalance.protocols");
    bool classic = false;
    for (size_t i = 0; i < protocols.count; i++)
        classic |= str_is(protocols.entries[i], "classic");
    if (!classic)
        return refuse(c, message, "group.coordinator.rebalance.protocols=%.*s: it must include classic",
                      STR_ARG(properties_get(&c->properties, STR("group.coordinator.rebalance.protocols"))));
    err = check_assignors(c, message);
    err = err ? err : group_bounds_share_assignor(c, &c->arena, message);
    return err ? err : group_bounds_of_broker(c, &c->arena, message);
}

int broker_config_fill(struct broker_config *c, struct str *message)
{
    int err = load_identity(c, message);
    if (!err)
        err = load_directories(c, message);
    if (!err)
        err = listeners_load(c, message);
    if (!err)
        err = load_quorum(c, message);
    if (err)
        return err;
    load_logs(c);
    load_cluster(c);
    err = load_connections(c, message);
    return err ? err : check_together(c, message);
}

static int load(struct broker_config *c, bool standalone, const char *const *overrides, size_t n,
                struct str *message)
{
    int err = 0;
    c->standalone = standalone;
    for (size_t i = 0; i < n && !err; i++)
        err = properties_override(&c->properties, str_from(overrides[i]), message);
    if (!err && standalone)
        err = add_standalone(c);
    return err ? err : broker_config_fill(c, message);
}

void broker_config_begin(struct broker_config *c, struct str *message)
{
    *c = (struct broker_config){0};
    *message = STR_NULL;
    arena_init(&c->arena, 0);
    properties_init(&c->properties, &c->arena);
}

int broker_config_load(struct broker_config *c, const char *file, const char *const *overrides,
                       size_t override_count, struct str *message)
{
    broker_config_begin(c, message);
    int err = file ? properties_read(&c->properties, file, message) : 0;
    return err ? err : load(c, !file, overrides, override_count, message);
}

int broker_config_from(struct broker_config *c, struct str text, bool standalone,
                       const char *const *overrides, size_t override_count, struct str *message)
{
    broker_config_begin(c, message);
    int err = properties_parse(&c->properties, text, message);
    return err ? err : load(c, standalone, overrides, override_count, message);
}

void broker_config_free(struct broker_config *c)
{
    arena_free(&c->arena);
}

// A listener's SASL settings carry the mechanism in front: "listener.name.NAME.plain.sasl.jaas.config".
static bool is_listener_setting(struct str base)
{
    const char *dot = base.size ? memchr(base.data, '.', base.size) : NULL;
    return setting_find(SETTING_BROKER, base) ||
           (dot &&
            setting_find(SETTING_BROKER, (struct str){dot + 1, base.size - (size_t)(dot + 1 - base.data)}));
}

struct str broker_config_warning(const struct broker_config *c, size_t i, struct arena *arena)
{
    const struct config_entry *e = &c->properties.entries[i];
    const struct setting *s = setting_find(SETTING_BROKER, e->name);
    if (s && s->without_effect)
        return arena_printf(arena, "%s=%.*s has no effect here: it concerns Kafka's Java runtime", s->name,
                            STR_ARG(e->value));
    struct str base = broker_setting_base(e->name);
    if (!s)
        s = setting_find(SETTING_BROKER, base); // of one listener
    if (s && s->without_effect_yet)
        return arena_printf(arena, "%.*s=%.*s has no effect yet", STR_ARG(e->name),
                            STR_ARG(s->type == SETTING_PASSWORD ? STR("[hidden]") : e->value));
    if (s || (base.data != e->name.data && is_listener_setting(base)))
        return STR_NULL;
    const struct setting *near = setting_closest(SETTING_BROKER, base);
    if (near)
        return arena_printf(arena, "unknown setting %.*s; did you mean %s?", STR_ARG(e->name), near->name);
    return arena_printf(arena, "unknown setting %.*s is ignored", STR_ARG(e->name));
}
