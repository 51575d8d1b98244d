// Listeners that change at run time: what Apache Kafka 4.3.1 refused, and in which words, where a node's file
// leaves advertised.listeners out (every listener counts as advertised) and where it does not.
#include "unit.h"

#include "base/error.h"
#include "config/alter.h"

#define OWN                 "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
#define KNOWN               "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
#define EXTRA               KNOWN ",EXTRA:PLAINTEXT"
#define MAP                 "listener.security.protocol.map"
#define PART                "Invalid value org.apache.kafka.common.config.ConfigException: "
#define BEHIND              " for configuration Invalid dynamic configuration"
#define ERROR_OF(list, why) "Error creating broker listeners from '[" list "]': " why

static const char nothing_advertised[] =
    "process.roles=broker,controller\nnode.id=1\nlog.dirs=/x\n"
    "controller.listener.names=CONTROLLER\n"
    "controller.quorum.bootstrap.servers=127.0.0.1:9093\nlisteners=" OWN;
static const char advertised[] =
    "process.roles=broker,controller\nnode.id=1\nlog.dirs=/x\n"
    "controller.listener.names=CONTROLLER\n"
    "controller.quorum.bootstrap.servers=127.0.0.1:9093\n"
    "advertised.listeners=PLAINTEXT://127.0.0.1:9092\n"
    "listener.security.protocol.map=" EXTRA "\nlisteners=" OWN ",EXTRA://127.0.0.1:9094";

static const struct {
    const char *file, *name, *value, *other, *other_value, *expected; // NULL: accepted
} cases[] = {
    {nothing_advertised, "listeners", OWN ",EXTRA://127.0.0.1:0", MAP, EXTRA, NULL},
    {nothing_advertised, "listeners", OWN ",extra://localhost:0", MAP, EXTRA, NULL},
    {nothing_advertised, "listeners", "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2", NULL, NULL, NULL},
    {nothing_advertised, "listeners", OWN ",EXTRA://127.0.0.1:0", NULL, NULL,
     ERROR_OF("PLAINTEXT://127.0.0.1:9092, CONTROLLER://127.0.0.1:9093, EXTRA://127.0.0.1:0",
              "No security protocol defined for listener EXTRA")},
    {nothing_advertised, "listeners", "x", NULL, NULL, "Unable to parse a listener name from x"},
    {nothing_advertised, "listeners", "CONTROLLER://127.0.0.1:9093", NULL, NULL,
     "requirement failed: There must be at least one broker advertised listener. Perhaps all listeners "
     "appear in "
     "controller.listener.names?"},
    {nothing_advertised, "listeners", "PLAINTEXT://127.0.0.1:9092", NULL, NULL,
     "requirement failed: controller.listener.names must contain at least one value appearing in the "
     "'listeners' "
     "configuration when running the KRaft controller role"},
    {nothing_advertised, "listeners", OWN ",EXTRA://0.0.0.0:0", MAP, EXTRA,
     "requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a "
     "routable IP "
     "address."},
    {advertised, "listeners", OWN ",EXTRA://0.0.0.0:0", NULL, NULL, NULL},
    {advertised, "listeners", OWN, NULL, NULL, NULL},
    {advertised, "listeners", "CONTROLLER://127.0.0.1:9093,EXTRA://127.0.0.1:9094", NULL, NULL,
     "requirement failed: advertised.listeners listener names must be equal to or a subset of the ones "
     "defined in "
     "listeners. Found PLAINTEXT. The valid options based on the current configuration are CONTROLLER,EXTRA"},
    {advertised, MAP, EXTRA ",EXTRA:SSL", NULL, NULL,
     PART "Security protocol cannot be updated for existing listener ListenerName(EXTRA)" BEHIND},
    {advertised, "listener.name.extra.foo", "1", "max.connections", "5",
     PART "Configs cannot be updated dynamically for existing listener ListenerName(EXTRA), restart broker "
          "or create "
          "a new listener for update" BEHIND},
    {advertised, "listener.name.extra.foo", "1", "listeners", OWN, NULL}, // it goes
    {advertised, "listener.name.extra.max.connections", "0", NULL, NULL,
     PART "Invalid max.connections 0" BEHIND},
    {advertised, "listener.name.extra.num.network.threads", "7", NULL, NULL,
     PART "Dynamic thread count update validation failed for num.network.threads=7, value should not be "
          "greater than "
          "double the current value 3" BEHIND},
};

static void what_may_change(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct broker_config c;
        struct str message;
        assert_int_equal(broker_config_from(&c, str_from(cases[i].file), false, NULL, 0, &message), 0);
        struct config_entry entries[] = {{str_from(cases[i].name), str_from(cases[i].value)},
                                         {str_from(cases[i].other ? cases[i].other : ""),
                                          str_from(cases[i].other ? cases[i].other_value : "")}};
        size_t n = cases[i].other ? 2 : 1;
        struct settings_change change = {
            .started = &c, .now = &c, .layers = {.broker = entries, .broker_count = n}, .per_broker = true};
        struct arena arena;
        arena_init(&arena, 0);
        int rc = broker_change_validate(&change, entries, n, &arena, &message);
        const char *expected = cases[i].expected ? cases[i].expected : "";
        if (rc != (cases[i].expected ? ERR_INVALID : 0) ||
            !str_is(message.data ? message : STR(""), expected))
            fail_msg("case %zu (%s=%s): %d, %.*s", i, cases[i].name, cases[i].value, rc, STR_ARG(message));
        arena_free(&arena);
        broker_config_free(&c);
    }
}

// Once a listener has come without advertised.listeners, it counts as advertised, too: it stays.
static void an_advertised_listener_stays(void **state)
{
    (void)state;
    struct broker_config started, now;
    struct str message;
    struct config_entry more[] = {{STR("listeners"), STR(OWN ",EXTRA://127.0.0.1:0")},
                                  {STR(MAP), STR(EXTRA)}};
    struct config_layers layers = {.broker = more, .broker_count = 2};
    assert_int_equal(broker_config_from(&started, str_from(nothing_advertised), false, NULL, 0, &message), 0);
    assert_int_equal(broker_config_overlay(&now, &started, &layers, &message), 0);
    struct settings_change change = {.started = &started, .now = &now, .per_broker = true};
    struct arena arena;
    arena_init(&arena, 0);
    assert_int_equal(broker_change_validate(&change, more, 0, &arena, &message), ERR_INVALID);
    assert_true(str_is(message, PART
                       "Advertised listeners 'Set(ListenerName(PLAINTEXT), ListenerName(EXTRA))' must be "
                       "a subset of listeners 'Set(ListenerName(PLAINTEXT), "
                       "ListenerName(CONTROLLER))'" BEHIND));
    arena_free(&arena);
    broker_config_free(&now);
    broker_config_free(&started);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_change),
        cmocka_unit_test(an_advertised_listener_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
