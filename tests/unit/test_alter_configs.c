// Changing settings: what the controller decides, and the rules of the settings themselves. Codes, texts and
// values are what Apache Kafka 4.3.1 answered.
#include "controller_fixture.h"

#include "base/java_order.h"
#include "config/alter.h"

#include <stdio.h>

static void start_one(struct fixture *f)
{
    int16_t error;
    setup(f);
    int64_t epoch = join(f, 1, -1, 1, &error);
    assert_false(beat(f, 1, epoch, false).is_fenced);
    create(f, "t", 1, 1);
}

#define NO_RESULT "(none)" // the setting is not there afterwards

static const struct {
    int8_t type;
    const char *resource, *setting;
    int8_t operation;
    const char *value;
    int16_t error;
    const char *message; // or, without an error, the value afterwards
} steps[] = {
    {2, "t", "retention.ms", CONFIG_SET, "1000", E_NONE, "1000"},
    {2, "t", "retention.ms", CONFIG_SET, "x", E_INVALID_CONFIG,
     "Invalid value x for configuration retention.ms: Not a number of type LONG"},
    {2, "t", "retention.ms", CONFIG_APPEND, "5", E_INVALID_CONFIG,
     "Can't APPEND to key retention.ms because its type is not LIST."},
    {2, "t", "cleanup.policy", CONFIG_APPEND, "compact", E_NONE, "delete,compact"},
    {2, "t", "cleanup.policy", CONFIG_SUBTRACT, "delete", E_NONE, "compact"},
    {2, "t", "cleanup.policy", CONFIG_SUBTRACT, "compact", E_NONE, ""},
    {2, "t", "cleanup.policy", CONFIG_DELETE, NULL, E_NONE, NO_RESULT},
    {2, "t", "retention.ms", CONFIG_DELETE, NULL, E_NONE, NO_RESULT},
    {2, "t", "what", CONFIG_SET, "1", E_INVALID_CONFIG, "Unknown topic config name: what"},
    {2, "", "retention.ms", CONFIG_SET, "1", E_INVALID_REQUEST, "Default topic resources are not allowed."},
    {2, "u", "retention.ms", CONFIG_SET, "1", E_UNKNOWN_TOPIC_OR_PARTITION, "The topic 'u' does not exist."},
    {2, "u", "what", CONFIG_SET, "1", E_INVALID_CONFIG, "Unknown topic config name: what"},
    {4, "", "message.max.bytes", CONFIG_SET, "5000", E_NONE, "5000"},
    {4, "1", "log.cleanup.policy", CONFIG_APPEND, "compact", E_NONE, "delete,compact"},
    {4, "2", "message.max.bytes", CONFIG_SET, "5", E_BROKER_ID_NOT_REGISTERED, "No broker with id 2 found."},
    {4, "x", "message.max.bytes", CONFIG_SET, "5", E_INVALID_REQUEST,
     "Unable to parse broker name as a base 10 number."},
    {4, "-1", "message.max.bytes", CONFIG_SET, "5", E_INVALID_REQUEST, "Invalid negative broker ID."},
    {4, "1", "min.insync.replicas", CONFIG_SET, "2", E_INVALID_CONFIG,
     "Broker-level min.insync.replicas cannot be altered while ELR is enabled."},
    {4, "", "min.insync.replicas", CONFIG_DELETE, NULL, E_INVALID_CONFIG,
     "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."},
    {4, "", "min.insync.replicas", CONFIG_SET, "2", E_NONE, "2"},
    {32, "g", "consumer.session.timeout.ms", CONFIG_SET, "50000", E_NONE, "50000"},
    {32, "g", "consumer.session.timeout.ms", CONFIG_SET, "5", E_INVALID_CONFIG,
     "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"},
    {32, "", "what", CONFIG_SET, "1", E_INVALID_REQUEST, "Default group resources are not allowed."},
    {16, "m", "interval.ms", CONFIG_SET, "1000", E_NONE, "1000"},
    {16, "m", "interval.ms", CONFIG_SET, "50", E_INVALID_REQUEST,
     "Invalid value 50 for interval.ms, interval must be between 100 and 3600000 (1 hour)"},
    {16, "m", "metrics", CONFIG_APPEND, "a", E_INVALID_CONFIG,
     "Can't APPEND to key metrics because its type is not LIST."},
    {16, "", "metrics", CONFIG_SET, "a", E_INVALID_REQUEST, "Subscription name can't be empty"},
};

static void alter_min_isr(struct fixture *f, const char *broker, const char *value)
{
    struct controller_event e;
    struct incremental_alter_configs_request q = incremental_alter_configs_request_default;
    struct incremental_alter_configs_request_alterable_config c = {
        STR("min.insync.replicas"), value ? CONFIG_SET : CONFIG_DELETE, str_from(value)};
    struct incremental_alter_configs_request_alter_configs_resource r = {
        .resource_type = 4, .resource_name = str_from(broker), .configs = &c, .configs_count = 1};
    q.resources = &r;
    q.resources_count = 1;
    ask(f, &e, 44, 1, &q);
    const struct incremental_alter_configs_response *a = e.response;
    assert_int_equal(a->responses[0].error_code, E_NONE);
    controller_event_free(&e);
}

static void keep_eligible_leaders(struct fixture *f, int16_t level)
{
    struct controller_event e;
    struct update_features_request q = update_features_request_default;
    struct update_features_request_feature_update_key u = update_features_request_feature_update_key_default;
    u.feature = STR("eligible.leader.replicas.version");
    u.max_version_level = level;
    u.upgrade_type = level ? 1 : 2;
    q.feature_updates = &u;
    q.feature_updates_count = 1;
    ask(f, &e, 57, 2, &q);
    const struct update_features_response *a = e.response;
    assert_int_equal(a->error_code, E_NONE);
    controller_event_free(&e);
}

static void expect_min_isr(const struct fixture *f, const char *clusters, const char *brokers)
{
    const char *names[] = {"", "1"}, *wanted[] = {clusters, brokers};
    for (int i = 0; i < 2; i++) {
        struct str value =
            image_config_value(image_config(f->image, 4, str_from(names[i])), STR("min.insync.replicas"));
        if (wanted[i] ? !str_is(value, wanted[i]) : value.data != NULL)
            fail_msg("of \"%s\": %.*s", names[i], STR_ARG(value));
    }
}

// As eligible leaders begin to be kept the minimum ISR becomes the cluster's, and is nobody else's any more.
static void min_isr_becomes_the_clusters(void **state)
{
    (void)state;
    struct fixture f;
    start_one(&f);
    expect_min_isr(&f, "1", NULL);
    keep_eligible_leaders(&f, 0);
    expect_min_isr(&f, "1", NULL);
    alter_min_isr(&f, "", NULL);
    alter_min_isr(&f, "1", "2");
    expect_min_isr(&f, NULL, "2");
    keep_eligible_leaders(&f, 1);
    expect_min_isr(&f, "1", NULL);
    keep_eligible_leaders(&f, 0);
    alter_min_isr(&f, "", "3");
    alter_min_isr(&f, "1", "2");
    keep_eligible_leaders(&f, 1);
    expect_min_isr(&f, "3", NULL);
    alter_min_isr(&f, "", "2");
    keep_eligible_leaders(&f, 1); // as they were already
    expect_min_isr(&f, "2", NULL);
    teardown(&f);
}

// What the resource has afterwards; the response's error and message are compared with the table's.
static void alter_once(struct fixture *f, size_t i, bool validate_only)
{
    struct controller_event e;
    struct incremental_alter_configs_request q = incremental_alter_configs_request_default;
    struct incremental_alter_configs_request_alterable_config c = {.name = str_from(steps[i].setting),
                                                                   .config_operation = steps[i].operation,
                                                                   .value = str_from(steps[i].value)};
    struct incremental_alter_configs_request_alter_configs_resource r = {.resource_type = steps[i].type,
                                                                         .resource_name =
                                                                             str_from(steps[i].resource),
                                                                         .configs = &c,
                                                                         .configs_count = 1};
    q.resources = &r;
    q.resources_count = 1;
    q.validate_only = validate_only;
    ask(f, &e, 44, 1, &q);
    const struct incremental_alter_configs_response *a = e.response;
    if (a->responses[0].error_code != steps[i].error ||
        (steps[i].error && !str_is(a->responses[0].error_message, steps[i].message)))
        fail_msg("step %zu: %d %.*s", i, a->responses[0].error_code, STR_ARG(a->responses[0].error_message));
    controller_event_free(&e);
}

static void changes_are_decided_as_kafka_does(void **state)
{
    (void)state;
    struct fixture f;
    start_one(&f);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct str name = str_from(steps[i].resource), setting = str_from(steps[i].setting);
        int64_t offset = f.offset;
        alter_once(&f, i, true);
        assert_int_equal(f.offset, offset); // checked, and nothing else
        alter_once(&f, i, false);
        if (steps[i].error) {
            assert_int_equal(f.offset, offset);
            continue;
        }
        struct str value = image_config_value(image_config(f.image, steps[i].type, name), setting);
        bool gone = strcmp(steps[i].message, NO_RESULT) == 0;
        if (gone ? value.data != NULL : !str_is(value, steps[i].message))
            fail_msg("step %zu: %.*s", i, STR_ARG(value));
    }
    teardown(&f);
}

// AlterConfigs: what is not named goes; one resource that is refused leaves the others alone.
static void the_whole_is_replaced(void **state)
{
    (void)state;
    struct fixture f;
    struct controller_event e;
    start_one(&f);
    static const char *const rounds[][2] = {{"retention.ms", "5"}, {"segment.ms", "70000"}};
    for (size_t i = 0; i < 2; i++) {
        struct alter_configs_request q = alter_configs_request_default;
        struct alter_configs_request_alterable_config c = {str_from(rounds[i][0]), str_from(rounds[i][1])};
        struct alter_configs_request_alter_configs_resource r[] = {{2, STR("u"), &c, 1},
                                                                   {2, STR("t"), &c, 1}};
        q.resources = r;
        q.resources_count = 2;
        ask(&f, &e, 33, 2, &q);
        const struct alter_configs_response *a = e.response;
        assert_int_equal(a->responses[0].error_code, E_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(a->responses[1].error_code, E_NONE);
        controller_event_free(&e);
        const struct image_config *config = image_config(f.image, 2, STR("t"));
        assert_true(config && config->entries_count == 1);
        assert_true(str_is(config->entries[0].name, rounds[i][0]));
    }
    teardown(&f);
}

static void lists_grow_and_shrink(void **state)
{
    (void)state;
    static const struct {
        const char *list, *changed, *appended, *subtracted;
    } cases[] = {
        {"a,b", "b,c", "a,b,c", "a"}, {NULL, "a", "a", ""},           {"", "a,a", "a", ""},
        {"a,,b", "", "a,b,", "a,b"},  {"a,b,a", "a", "a,b,a", "b,a"}, {"a", " a", "a, a", "a"},
        {"a,b", ",", "a,b", "a,b"},
    };
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str list = str_from(cases[i].list), changed = str_from(cases[i].changed);
        struct str appended = config_list_append(list, changed, &arena);
        struct str subtracted = config_list_subtract(list, changed, &arena);
        if (!str_is(appended, cases[i].appended) || !str_is(subtracted, cases[i].subtracted))
            fail_msg("case %zu: %.*s, %.*s", i, STR_ARG(appended), STR_ARG(subtracted));
    }
    arena_free(&arena);
}

static void matches_are_parameters_and_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *match;
        bool good;
    } cases[] = {
        {"client_id=a", true},      {"x", false},
        {"client_id=[", false},     {"client_id=(", false},
        {"client_id=a)", false},    {"client_id=*a", false},
        {"client_id=a\\", false},   {"client_id=[]a]+(b|c)?", true},
        {"client_id=a=b", false},   {"foo=a", false},
        {"client_id=", false},      {"client_id=a, client_software_name = b.*", true},
        {"client_id=(?:a)+", true}, {"client_id=[a&&[^b]]", true},
        {"client_id=|a", true},     {"client_id=(*)", false},
    };
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_entry e = {STR("match"), str_from(cases[i].match)};
        struct str message;
        bool bad_request;
        int rc = client_metrics_validate(&e, 1, &arena, &message, &bad_request);
        if (rc != (cases[i].good ? 0 : ERR_INVALID) || bad_request)
            fail_msg("%s: %d %.*s", cases[i].match, rc, STR_ARG(message));
    }
    arena_free(&arena);
}

// Of several unknown names Kafka tells one: that which comes first in its table.
static void one_of_several_unknown_names_is_told(void **state)
{
    (void)state;
    static const struct {
        struct config_entry entries[3];
        size_t count;
        const char *told;
    } cases[] = {
        {{{STR("interval.ms"), STR("1")},
          {STR("log.retention.ms"), STR("1")},
          {STR("cleanup.policy"), STR("1")}},
         3,
         "Unknown group config name: log.retention.ms"},
        {{{STR("log.cleanup.policy"), STR("1")}, {STR("log.cleaner.threads"), STR("1")}},
         2,
         "Unknown group config name: log.cleaner.threads"},
        {{{STR("d"), STR("1")}, {STR("c"), STR("1")}, {STR("a"), STR("1")}},
         3,
         "Unknown group config name: a"},
    };
    struct fixture f;
    struct arena arena;
    setup(&f);
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str message;
        assert_int_equal(group_config_validate(&f.config, &CONFIG_LAYERS_NONE, cases[i].entries,
                                               cases[i].count, &arena, &message),
                         ERR_INVALID);
        assert_true(str_is(message, cases[i].told));
    }
    arena_free(&arena);
    teardown(&f);
}

// The sets that Kafka 4.3.1 printed.
static void hash_tables_list_as_javas_do(void **state)
{
    (void)state;
    static const struct str sets[][7] = {
        {STR("node.id"), STR("num.partitions"), STR("broker.rack"), STR("queued.max.requests"),
         STR("process.roles"), STR("fetch.max.bytes"), STR("log.dirs")},
        {STR("cordoned.log.dirs"), STR("listeners"), STR("principal.builder.class"), STR("sasl.jaas.config"),
         STR("listener.name.b.foo"), STR("sasl.enabled.mechanisms"), STR("sasl.kerberos.service.name")},
    };
    static const size_t made_of[] = {14, 7};
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t s = 0; s < 2; s++) {
        struct str reversed[7];
        size_t *order;
        for (size_t i = 0; i < 7; i++)
            reversed[i] = sets[s][6 - i];
        assert_int_equal(java_set_order(reversed, 7, made_of[s], &arena, &order), 0);
        for (size_t i = 0; i < 7; i++)
            assert_true(str_equal(reversed[order[i]], sets[s][i]));
    }
    arena_free(&arena);
}

#define VERY_MANY 200000

// A request with very many settings costs the controller no more than their number: one that compares each
// with all others is at it for minutes.
static void very_many_settings_are_answered(void **state)
{
    (void)state;
    struct fixture f;
    struct controller_event e;
    static char names[VERY_MANY][16];
    static struct incremental_alter_configs_request_alterable_config altered[VERY_MANY];
    static struct create_topics_request_creatable_topic_config made[VERY_MANY];
    for (int i = 0; i < VERY_MANY; i++) {
        snprintf(names[i], sizeof names[i], "what-%d", i);
        altered[i] = (struct incremental_alter_configs_request_alterable_config){
            .name = str_from(names[i]), .config_operation = CONFIG_SET, .value = STR("1")};
        made[i] = (struct create_topics_request_creatable_topic_config){str_from(names[i]), STR("1")};
    }
    start_one(&f);
    struct incremental_alter_configs_request q = incremental_alter_configs_request_default;
    struct incremental_alter_configs_request_alter_configs_resource r = {
        .resource_type = 2, .resource_name = STR("t"), .configs = altered, .configs_count = VERY_MANY};
    q.resources = &r;
    q.resources_count = 1;
    ask(&f, &e, 44, 1, &q);
    const struct incremental_alter_configs_response *a = e.response;
    assert_int_equal(a->responses[0].error_code, E_INVALID_CONFIG);
    controller_event_free(&e);
    struct create_topics_request create = create_topics_request_default;
    struct create_topics_request_creatable_topic t = {.name = STR("u"),
                                                      .num_partitions = 1,
                                                      .replication_factor = 1,
                                                      .configs = made,
                                                      .configs_count = VERY_MANY};
    create.topics = &t;
    create.topics_count = 1;
    ask(&f, &e, 19, 7, &create);
    const struct create_topics_response *c = e.response;
    assert_int_equal(c->topics[0].error_code, E_INVALID_CONFIG);
    controller_event_free(&e);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_decided_as_kafka_does),
        cmocka_unit_test(min_isr_becomes_the_clusters),
        cmocka_unit_test(the_whole_is_replaced),
        cmocka_unit_test(lists_grow_and_shrink),
        cmocka_unit_test(matches_are_parameters_and_patterns),
        cmocka_unit_test(one_of_several_unknown_names_is_told),
        cmocka_unit_test(very_many_settings_are_answered),
        cmocka_unit_test(hash_tables_list_as_javas_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
