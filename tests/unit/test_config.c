// Properties files as java.util.Properties reads them (the expected column is what Java answered), and nodes'
// configurations.
#include "unit.h"

#include "base/error.h"
#include "config/alter.h"
#include "config/broker_config.h"

#include <stdlib.h>

static const struct {
    const char *text, *expected; // "[name]=[value]" by name; NULL: malformed
} property_cases[] = {
    {"a=b", "[a]=[b]"},
    {"a = b ", "[a]=[b ]"},
    {"a:b", "[a]=[b]"},
    {"a b", "[a]=[b]"},
    {"a\\ b=c", "[a b]=[c]"},
    {"a\\=b=c", "[a=b]=[c]"},
    {"  # comment\n!x=y\na=1", "[a]=[1]"},
    {"a=1\\\n   2,\\\n3", "[a]=[12,3]"},
    {"a=\\u0041b", "[a]=[Ab]"},
    {"a=x\\ty\\q", "[a]=[x\tyq]"},
    {"a", "[a]=[]"},
    {"a=\nb=", "[a]=[] [b]=[]"},
    {"=v", "[]=[v]"},
    {"a==b", "[a]=[=b]"},
    {"a=:b", "[a]=[:b]"},
    {"a : = b", "[a]=[= b]"},
    {"a=b\\", "[a]=[b]"},
    {"a=1\na=2", "[a]=[2]"},
    {"a=b\rc=d\r\ne=f", "[a]=[b] [c]=[d] [e]=[f]"},
    {"\\#a=b", "[#a]=[b]"},
    {"a=\\  b", "[a]=[  b]"},
    {"a=b#c", "[a]=[b#c]"},
    {"a=1\\\n#x\nb=2", "[a]=[1#x] [b]=[2]"},
    {"a\\\nb=1", "[ab]=[1]"},
    {"a=1\\\n\nb=2", "[a]=[1] [b]=[2]"},
    {"a=1\\\n  \\\n 2", "[a]=[12]"},
    {"# c\\\na=1", "[a]=[1]"},
    {"a=\\u004", NULL},
    {"a=\\uD83D\\uDE00",
     "[a]=[\xf0"
     "\x9f"
     "\x98"
     "\x80"
     "]"},
    {"a=\\\\\\\nb=1", "[a]=[\\b=1]"},
    {"a=\\\\\nb=1", "[a]=[\\] [b]=[1]"},
    {"a\\:b:c", "[a:b]=[c]"},
    {"a=c:\\\\x", "[a]=[c:\\x]"},
    {"a=\xfc", "[a]=[\xc3\xbc]"},
    {"", ""},
};

static int by_name(const void *a, const void *b)
{
    return str_compare(((const struct config_entry *)a)->name, ((const struct config_entry *)b)->name);
}

static void properties_are_read_as_java_reads_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof property_cases / sizeof *property_cases; i++) {
        struct arena arena;
        struct properties p;
        struct str message, all = STR("");
        arena_init(&arena, 0);
        properties_init(&p, &arena);
        int err = properties_parse(&p, str_from(property_cases[i].text), &message);
        if (!property_cases[i].expected) {
            assert_int_equal(err, ERR_INVALID);
            assert_true(str_is(message, "line 1: malformed \\uxxxx escape; write four hexadecimal digits"));
            arena_free(&arena);
            continue;
        }
        assert_int_equal(err, 0);
        if (p.count > 0)
            qsort(p.entries, p.count, sizeof *p.entries, by_name);
        for (size_t j = 0; j < p.count; j++)
            all = arena_printf(&arena, "%.*s%s[%.*s]=[%.*s]", STR_ARG(all), j ? " " : "",
                               STR_ARG(p.entries[j].name), STR_ARG(p.entries[j].value));
        if (!str_is(all, property_cases[i].expected))
            fail_msg("\"%s\": \"%.*s\" instead of \"%s\"", property_cases[i].text, STR_ARG(all),
                     property_cases[i].expected);
        arena_free(&arena);
    }
}

// What every case starts from.
#define BASE                                                                             \
    "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n" \
    "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n"                 \
    "controller.quorum.voters=1@127.0.0.1:9093\n"
#define DYNAMIC   "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
#define ANYWHERE  DYNAMIC "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
#define ELSEWHERE DYNAMIC "listeners=PLAINTEXT://:9092,CONTROLLER://192.0.2.1:9093\n"
#define BROKER                                                                \
    "process.roles=broker\nnode.id=1\ncontroller.listener.names=CONTROLLER\n" \
    "listeners=PLAINTEXT://127.0.0.1:9092\ncontroller.quorum.voters=2@h:1\n"

static const struct {
    const char *text, *message; // NULL: accepted
} broker_cases[] = {
    {BASE, NULL},
    {BROKER, NULL},
    {"node.id=1\ncontroller.listener.names=C",
     "process.roles is not set: it is required, for instance process.roles=broker,controller"},
    {BASE "node.id=x", "Invalid value x for configuration node.id: Not a number of type INT"},
    {BASE "node.id=-1", "Invalid value -1 for configuration node.id: Value must be at least 0"},
    {BASE "process.roles=",
     "Configuration 'process.roles' must not be empty. Valid values include: [broker, controller]"},
    {BASE "process.roles=foo",
     "Invalid value foo for configuration process.roles: String must be one of: broker, controller"},
    {BASE "broker.id=2", "broker.id=2: it must equal node.id, which is 1"},
    {BASE "broker.id=1", NULL},
    {BASE "process.roles=broker",
     "controller.listener.names=CONTROLLER: a node without the controller role must not have this listener "
     "in `listeners`"},
    {BASE "process.roles=controller",
     "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093: with process.roles=controller only "
     "the listeners of controller.listener.names are allowed"},
    {BASE "process.roles=controller\nlisteners=CONTROLLER://127.0.0.1:9093", NULL},
    {BASE "listeners=PLAINTEXT://:9092",
     "controller.listener.names=CONTROLLER: a node with the controller role must have this listener in "
     "`listeners`"},
    {BASE "listeners=foo", "listeners=foo: expected NAME://host:port"},
    {BASE "listeners=PLAINTEXT://127.0.0.1",
     "listeners=PLAINTEXT://127.0.0.1: expected NAME://host:port with a port from 0 to 65535"},
    {BASE "listeners=PLAINTEXT://127.0.0.1:99999,CONTROLLER://:9093",
     "listeners=PLAINTEXT://127.0.0.1:99999: expected NAME://host:port with a port from 0 to 65535"},
    {BASE "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9092",
     "listeners=CONTROLLER://127.0.0.1:9092: listener PLAINTEXT has this port already"},
    {BASE "listeners=PLAINTEXT://127.0.0.1:9092,PLAINTEXT://127.0.0.1:9094,CONTROLLER://:9093",
     "listeners=PLAINTEXT://127.0.0.1:9094: each listener must have a name of its own"},
    {BASE "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0", NULL},
    {BASE "listeners=PLAINTEXT://[::1]:9092,CONTROLLER://127.0.0.1:9092", NULL},
    {BASE "listeners=plaintext://127.0.0.1:9092,controller://127.0.0.1:9093", NULL},
    {BASE "listeners=FOO://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
     "listeners=FOO://127.0.0.1:9092: listener FOO has no security protocol; name it in "
     "listener.security.protocol.map or in controller.listener.names"},
    {BASE "listeners=FOO://127.0.0.1:9092,CONTROLLER://"
          "127.0.0.1:9093\nlistener.security.protocol.map=FOO:plaintext,CONTROLLER:PLAINTEXT\ninter.broker."
          "listener.name=FOO",
     NULL},
    {BASE "listeners=",
     "Configuration 'listeners' must not be empty. Valid values include: any non-empty value"},
    {BASE "listeners=SSL://127.0.0.1:9092,CONTROLLER://"
          "127.0.0.1:9093\nlistener.security.protocol.map=SSL:SSL,CONTROLLER:PLAINTEXT",
     "listeners=SSL://127.0.0.1:9092: security protocol SSL is not supported yet; only PLAINTEXT is"},
    {BASE "listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093",
     "listeners=PLAINTEXT://0.0.0.0: others cannot reach this address; set advertised.listeners to one that "
     "they can"},
    {BASE
     "listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093\nadvertised.listeners=PLAINTEXT://a:1",
     NULL},
    {BASE "advertised.listeners=PLAINTEXT://0.0.0.0:1",
     "advertised.listeners=PLAINTEXT://0.0.0.0: others cannot reach this address; set advertised.listeners "
     "to one that they can"},
    {BASE "advertised.listeners=CONTROLLER://h:9",
     "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093: a broker needs at least one "
     "advertised listener that is not in controller.listener.names"},
    {BASE "controller.listener.names=CONTROLLER,CONTROLLER", NULL},
    {BASE "listener.security.protocol.map=PLAINTEXT",
     "listener.security.protocol.map=PLAINTEXT: each entry must be LISTENER:PROTOCOL"},
    {BASE "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:FOO",
     "listener.security.protocol.map=CONTROLLER:FOO: FOO is no security protocol; it must be PLAINTEXT, SSL, "
     "SASL_PLAINTEXT or SASL_SSL"},
    {BASE "inter.broker.listener.name=FOO",
     "inter.broker.listener.name=FOO: not found in listener.security.protocol.map"},
    {BASE "inter.broker.listener.name=CONTROLLER",
     "inter.broker.listener.name=CONTROLLER: it must name an advertised broker listener, one of: PLAINTEXT"},
    {BASE "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
     "inter.broker.listener.name=PLAINTEXT: security.inter.broker.protocol=PLAINTEXT is set, too; set only "
     "one of them"},
    {BASE "controller.quorum.voters=",
     "controller.quorum.bootstrap.servers is not set: it must name the controllers (host:port), or "
     "controller.quorum.voters the static voters (id@host:port)"},
    {BASE "controller.quorum.voters=2@h:1",
     "controller.quorum.voters=2@h:1: with the controller role, node.id 1 must be among the voters"},
    {BROKER "controller.quorum.voters=1@h:1",
     "controller.quorum.voters=1@h:1: without the controller role, node.id 1 must not be among the voters"},
    {BASE "controller.quorum.voters=1@h",
     "Failed to parse host name from entry 1@h for the configuration controller.quorum.voters. Each entry "
     "should be in the form `{id}@{host}:{port}`."},
    {BASE "controller.quorum.voters=x@h:1",
     "Failed to parse voter ID as an integer from entry x@h:1 for the configuration "
     "controller.quorum.voters. Each entry should be in the form `{id}@{host}:{port}`."},
    {BASE "controller.quorum.voters=garbage",
     "Invalid value garbage for configuration controller.quorum.voters. Each entry should be in the form "
     "`{id}@{host}:{port}`."},
    {BASE "controller.quorum.bootstrap.servers=foo",
     "Failed to parse host name from entry foo for the configuration controller.quorum.bootstrap.servers. "
     "Each entry should be in the form \"{host}:{port}\""},
    {BASE "log.dirs=",
     "Configuration 'log.dirs' must not be empty. Valid values include: any non-empty value"},
    {BASE "log.dirs=/a,,/b", "Configuration 'log.dirs' values must not be empty."},
    {BASE "log.roll.ms=0", "log.roll.ms=0: it must be at least 1"},
    {BASE "log.roll.jitter.ms=-1", "log.roll.jitter.ms=-1: it must be at least 0"},
    {BASE "log.retention.hours=0", "log.retention.hours=0: it must be at least 1, or -1 to keep for ever"},
    {BASE "log.retention.hours=0\nlog.retention.ms=5", NULL},
    {BASE "log.cleaner.threads=200",
     "log.cleaner.dedupe.buffer.size=134217728: it must be more than 1 MB for each of 200 cleaner threads"},
    {BASE "replica.fetch.wait.max.ms=40000",
     "replica.socket.timeout.ms=30000: it must be at least replica.fetch.wait.max.ms, which is 40000"},
    {BASE "replica.lag.time.max.ms=1",
     "replica.fetch.wait.max.ms=500: it must be at most replica.lag.time.max.ms, which is 1"},
    {BASE "queued.max.request.bytes=5",
     "queued.max.request.bytes=5: it must be at least socket.request.max.bytes, which is 104857600, or -1 "
     "for no limit"},
    {BASE "max.connections.per.ip=0",
     "max.connections.per.ip=0: this is allowed only with max.connections.per.ip.overrides"},
    {BASE "max.connections.per.ip=0\nmax.connections.per.ip.overrides=127.0.0.1:5", NULL},
    {BASE "max.connections.per.ip.overrides=f_/oo:5",
     "max.connections.per.ip.overrides=f_/oo:5: expected host:limit"},
    {BASE "connections.max.idle.ms=50",
     "connections.max.idle.ms=50: it must be larger than connection.failed.authentication.delay.ms, which is "
     "100"},
    {BASE "early.start.listeners=FOO",
     "early.start.listeners=FOO: it must be one of `listeners` or `controller.listener.names`"},
    {BASE "cordoned.log.dirs=/x", "cordoned.log.dirs=/x: it must be one of log.dirs, or *"},
    {BASE "cordoned.log.dirs=*", NULL},
    {BASE "group.coordinator.rebalance.protocols=consumer",
     "group.coordinator.rebalance.protocols=consumer: it must include classic"},
    {BASE "group.consumer.session.timeout.ms=40000",
     "group.consumer.session.timeout.ms=40000: it must be at least group.consumer.min.session.timeout.ms, "
     "which is 45000"},
    {BASE "group.consumer.min.session.timeout.ms=5000\ngroup.consumer.session.timeout.ms=5000",
     "group.consumer.session.timeout.ms=5000: it must be larger than group.consumer.heartbeat.interval.ms, "
     "which is 5000"},
    {BASE "group.consumer.min.heartbeat.interval.ms=20000",
     "group.consumer.max.heartbeat.interval.ms=15000: it must be at least "
     "group.consumer.min.heartbeat.interval.ms, which is 20000"},
    {BASE "group.consumer.assignment.interval.ms=20000",
     "group.consumer.assignment.interval.ms=20000: it must be at most "
     "group.consumer.max.assignment.interval.ms, which is 15000"},
    {BASE "group.streams.num.standby.replicas=3",
     "group.streams.num.standby.replicas=3: it must be at most group.streams.max.standby.replicas, which is "
     "2"},
    {BASE "group.share.assignors=simple,other",
     "group.share.assignors=simple,other: it must name exactly one"},
    {BASE "group.consumer.assignors=range", NULL},
    {BASE "group.consumer.assignors=org.apache.kafka.coordinator.group.assignor.RangeAssignor,uniform", NULL},
    {BASE "group.consumer.assignors=range,sticky",
     "group.consumer.assignors=sticky: it must be uniform or range"},
    {BASE "group.consumer.assignors=range,org.apache.kafka.coordinator.group.assignor.RangeAssignor",
     "group.consumer.assignors: range and org.apache.kafka.coordinator.group.assignor.RangeAssignor are the "
     "same"},
    {BASE "offsets.topic.replication.factor=99999",
     "Invalid value 99999 for configuration offsets.topic.replication.factor: Not a number of type SHORT"},
    {BASE "http.listeners=http://127.0.0.1:99999",
     "http.listeners=http://127.0.0.1:99999: expected http://host:port, the port from 0 to 65535"},
    {BASE "http.listeners=127.0.0.1:80",
     "http.listeners=127.0.0.1:80: expected http://host:port, the port from 0 to 65535"},
    {BASE "http.listeners=http://127.0.0.1:80", NULL},
    {BASE "nobody.knows=1\nlistener.name.plaintext.ssl.keystore.location=/x", NULL},
};

static void nodes_are_checked_as_kafka_checks_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broker_cases / sizeof *broker_cases; i++) {
        struct broker_config c;
        struct str message;
        int err = broker_config_from(&c, str_from(broker_cases[i].text), false, NULL, 0, &message);
        if (err != (broker_cases[i].message ? ERR_INVALID : 0))
            fail_msg("%s: %d %.*s", broker_cases[i].text, err, STR_ARG(message));
        if (broker_cases[i].message && !str_is(message, broker_cases[i].message))
            fail_msg("%s: \"%.*s\" instead of \"%s\"", broker_cases[i].text, STR_ARG(message),
                     broker_cases[i].message);
        broker_config_free(&c);
    }
}

static void without_a_file_a_node_stands_alone(void **state)
{
    (void)state;
    struct broker_config c;
    struct str message;
    assert_int_equal(broker_config_load(&c, NULL, NULL, 0, &message), 0);
    assert_true(c.is_broker && c.is_controller && c.sole_voter && c.node_id == 1 && c.voter_count == 0);
    assert_int_equal(c.listener_count, 2);
    assert_true(str_is(c.listeners[0].host, "127.0.0.1") && c.listeners[0].port == 9092 &&
                !c.listeners[0].controller);
    assert_true(c.listeners[1].controller && str_is(c.listeners[1].name, "CONTROLLER"));
    assert_true(c.log_dir_count == 1 && str_is(c.log_dirs[0], "./data") &&
                str_is(c.metadata_log_dir, "./data"));
    assert_true(str_is(c.inter_broker_listener, "PLAINTEXT"));
    broker_config_free(&c);

    const char *overrides[] = {"listeners=PLAINTEXT://127.0.0.1:0", "log.dir=/tmp/x", "num.partitions=3"};
    assert_int_equal(broker_config_load(&c, NULL, overrides, 3, &message), 0);
    assert_true(c.listener_count == 2 && c.listeners[0].port == 0 && c.num_partitions == 3);
    assert_true(str_is(c.log_dirs[0], "/tmp/x"));
    broker_config_free(&c);
}

static void the_sole_voter_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool sole;
    } cases[] = {
        {BASE, true},
        {BASE "controller.quorum.voters=1@a:1,2@b:1", false},
        {BASE "controller.quorum.voters=\ncontroller.quorum.bootstrap.servers=127.0.0.1:9093", true},
        {BASE "controller.quorum.voters=\ncontroller.quorum.bootstrap.servers=other:9093", false},
        {BASE "controller.quorum.voters=\ncontroller.quorum.bootstrap.servers=127.0.0.1:9093,other:1", false},
        {ANYWHERE "controller.quorum.bootstrap.servers=localhost:9093", true},
        {ANYWHERE "controller.quorum.bootstrap.servers=127.0.0.1:9093", true},
        {ANYWHERE "controller.quorum.bootstrap.servers=[::1]:9093", true},
        {ANYWHERE "controller.quorum.bootstrap.servers=localhost:9092", false},
        {ANYWHERE "controller.quorum.bootstrap.servers=other:9093", false},
        {BASE "controller.quorum.voters=\ncontroller.quorum.bootstrap.servers=localhost:9093", true},
        {ELSEWHERE "controller.quorum.bootstrap.servers=localhost:9093", false},
        {BROKER, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct broker_config c;
        struct str message;
        assert_int_equal(broker_config_from(&c, str_from(cases[i].text), false, NULL, 0, &message), 0);
        assert_int_equal(c.sole_voter, cases[i].sole);
        broker_config_free(&c);
    }
}

static void what_is_unknown_or_useless_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *warning;
    } cases[] = {
        {"num.partition=1", "unknown setting num.partition; did you mean num.partitions?"},
        {"log.retention.hour=1", "unknown setting log.retention.hour; did you mean log.retention.hours?"},
        {"completely.different.thing.of.mine=1",
         "unknown setting completely.different.thing.of.mine is ignored"},
        {"num.io.threads=8", "num.io.threads=8 has no effect here: it concerns Kafka's Java runtime"},
        {"replica.fetch.max.bytes=4096", "replica.fetch.max.bytes=4096 has no effect yet"},
        {"ssl.keystore.password=secret", "ssl.keystore.password=[hidden] has no effect yet"},
        {"listener.name.plaintext.ssl.keystore.location=/x",
         "listener.name.plaintext.ssl.keystore.location=/x has no effect yet"},
        {"listener.name.plaintext.ssl.key.password=secret",
         "listener.name.plaintext.ssl.key.password=[hidden] has no effect yet"},
        {"listener.name.plaintext.plain.sasl.jaas.config=x", NULL},
        {"num.partitions=1", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct broker_config c;
        struct str message;
        struct arena arena;
        arena_init(&arena, 0);
        assert_int_equal(broker_config_from(&c, str_from(cases[i].entry), true, NULL, 0, &message), 0);
        struct str warning = broker_config_warning(&c, 0, &arena);
        if (cases[i].warning ? !str_is(warning, cases[i].warning) : warning.data != NULL)
            fail_msg("%s: %.*s", cases[i].entry, STR_ARG(warning));
        arena_free(&arena);
        broker_config_free(&c);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct broker_config c;
    struct str message;
    assert_int_equal(broker_config_load(&c, "/nonexistent/server.properties", NULL, 0, &message), ERR_IO);
    assert_true(str_is(message, "/nonexistent/server.properties: No such file or directory"));
    broker_config_free(&c);
    const char *nameless[] = {"=1"};
    assert_int_equal(broker_config_load(&c, NULL, nameless, 1, &message), ERR_INVALID);
    assert_true(str_is(message, "--override =1: expected name=value"));
    broker_config_free(&c);
    const char *valueless[] = {"num.partitions"};
    assert_int_equal(broker_config_load(&c, NULL, valueless, 1, &message), ERR_INVALID);
    assert_true(str_is(message, "--override num.partitions: expected name=value"));
    broker_config_free(&c);
}

// What each layer may say, and what counts of it: the file, the whole cluster, this broker.
static void what_changes_at_run_time_lies_over_the_file(void **state)
{
    (void)state;
    static const struct {
        struct config_entry cluster, broker;
        int32_t max_connections, num_partitions;
        const char *log_dirs_cordoned;
    } cases[] = {
        {{STR_NULL, STR_NULL}, {STR_NULL, STR_NULL}, 7, 2, NULL},
        {{STR("max.connections"), STR("8")}, {STR_NULL, STR_NULL}, 8, 2, NULL},
        {{STR("max.connections"), STR("8")}, {STR("max.connections"), STR("9")}, 9, 2, NULL},
        {{STR("max.connections"), STR("8")}, {STR("max.connections"), STR("many")}, 8, 2, NULL},
        {{STR("max.connections"), STR("-1")}, {STR_NULL, STR_NULL}, 7, 2, NULL},
        {{STR("num.partitions"), STR("9")}, {STR("num.partitions"), STR("9")}, 7, 2, NULL}, // read-only
        {{STR("cordoned.log.dirs"), STR("/tmp/x")}, {STR_NULL, STR_NULL}, 7, 2, NULL},      // per broker
        {{STR_NULL, STR_NULL}, {STR("cordoned.log.dirs"), STR("/tmp/x")}, 7, 2, "/tmp/x"},
        {{STR("no.such.setting"), STR("1")}, {STR_NULL, STR_NULL}, 7, 2, NULL},
    };
    const char *overrides[] = {"max.connections=7", "num.partitions=2", "log.dirs=/tmp/x"};
    struct broker_config base, c;
    struct str message;
    assert_int_equal(broker_config_load(&base, NULL, overrides, 3, &message), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_layers layers = {&cases[i].broker, &cases[i].cluster, cases[i].broker.name.data != NULL,
                                       cases[i].cluster.name.data != NULL};
        assert_int_equal(broker_config_overlay(&c, &base, &layers, &message), 0);
        assert_int_equal(c.max_connections, cases[i].max_connections);
        assert_int_equal(c.num_partitions, cases[i].num_partitions);
        struct str cordoned = properties_get(&c.properties, STR("cordoned.log.dirs"));
        assert_true(cases[i].log_dirs_cordoned ? str_is(cordoned, cases[i].log_dirs_cordoned)
                                               : cordoned.data == NULL);
        assert_true(c.listener_count == base.listener_count && c.sole_voter);
        broker_config_free(&c);
    }
    struct config_entry none = {STR("max.connections.per.ip"), STR("0")};
    assert_int_equal(broker_config_overlay(&c, &base, &(struct config_layers){NULL, &none, 0, 1}, &message),
                     ERR_INVALID);
    assert_true(str_is(message,
                       "max.connections.per.ip=0: this is allowed only with "
                       "max.connections.per.ip.overrides"));
    broker_config_free(&c);
    broker_config_free(&base);
}

// What was set when the bounds were others counts as the bound that it passes.
static void groups_stay_within_bounds(void **state)
{
    (void)state;
    const char *overrides[] = {"group.consumer.min.assignment.interval.ms=500",
                               "group.consumer.max.assignment.interval.ms=2000"};
    static const struct {
        const char *set;
        int64_t counts;
    } cases[] = {{"100", 500}, {"500", 500}, {"700", 700}, {"2000", 2000}, {"9000", 2000}};
    struct broker_config base, c;
    struct str message;
    assert_int_equal(broker_config_load(&base, NULL, overrides, 2, &message), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_entry set = {STR("group.consumer.assignment.interval.ms"), str_from(cases[i].set)};
        struct config_layers layers = {NULL, &set, 0, 1};
        struct setting_value value;
        assert_int_equal(broker_config_overlay(&c, &base, &layers, &message), 0);
        assert_int_equal(broker_config_value(&c, set.name, &c.arena, &value), 0);
        assert_int_equal(value.integer, cases[i].counts);
        broker_config_free(&c);
        struct str of_group = STR("consumer.assignment.interval.ms");
        assert_int_equal(group_config_bound(&base, of_group, strtol(cases[i].set, NULL, 10)),
                         cases[i].counts);
    }
    assert_int_equal(group_config_bound(&base, STR("consumer.session.timeout.ms"), 5), 45000);
    assert_int_equal(group_config_bound(&base, STR("streams.num.standby.replicas"), 7), 2);
    assert_int_equal(group_config_bound(&base, STR("share.auto.offset.reset"), 7), 7); // unbounded
    broker_config_free(&base);
}

static void a_node_goes_by_the_names_that_it_was_given(void **state)
{
    (void)state;
    const char *overrides[] = {
        "listeners=PLAINTEXT://0.0.0.0:9092,INSIDE://:9095,CONTROLLER://:9093",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "advertised.listeners=PLAINTEXT://Broker-1.example.com:9092,INSIDE://inside:9095",
        "http.listeners=http://:8080,http://dashboard.example.com:8081"};
    static const struct {
        const char *host;
        bool named;
    } cases[] = {{"broker-1.example.com", true},
                 {"BROKER-1.EXAMPLE.COM", true},
                 {"inside", true},
                 {"dashboard.example.com", true},
                 {"example.com", false},
                 {"broker-1.example.co", false},
                 {"broker-1.example.com.x", false},
                 {"", false},
                 {"0.0.0.0", false}};
    struct broker_config c;
    struct str message;
    int err = broker_config_load(&c, NULL, overrides, sizeof overrides / sizeof *overrides, &message);
    if (err)
        fail_msg("%.*s", STR_ARG(message));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(broker_config_names_host(&c, str_from(cases[i].host)), cases[i].named);
    broker_config_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_goes_by_the_names_that_it_was_given),
        cmocka_unit_test(properties_are_read_as_java_reads_them),
        cmocka_unit_test(nodes_are_checked_as_kafka_checks_them),
        cmocka_unit_test(without_a_file_a_node_stands_alone),
        cmocka_unit_test(groups_stay_within_bounds),
        cmocka_unit_test(the_sole_voter_is_known),
        cmocka_unit_test(what_is_unknown_or_useless_is_said),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(what_changes_at_run_time_lies_over_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
