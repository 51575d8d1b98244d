// Client quotas and SCRAM credentials as the controller decides them and the image holds them.
#include "unit.h"

#include "base/error.h"
#include "config/broker_config.h"
#include "controller/controller.h"
#include "metadata/record.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct broker_config config;
    struct controller *c;
    struct controller_effects effects;
    struct image *image;
    int64_t offset;
};

static bool is_host(struct str name)
{
    return !str_is(name, "nowhere");
}

static void setup(struct fixture *f)
{
    struct str message;
    *f = (struct fixture){.image = image_new()};
    assert_int_equal(broker_config_from(&f->config, STR(""), true, NULL, 0, &message), 0);
    f->image->metadata_version = 30;
    struct controller_config config = {.config = &f->config, .is_host = is_host, .seed = 1};
    controller_effects_init(&f->effects);
    f->c = controller_new(&config, f->image);
}

static void teardown(struct fixture *f)
{
    controller_free(f->c);
    controller_effects_free(&f->effects);
    image_unref(f->image);
    broker_config_free(&f->config);
}

// Asks, and applies what the answer needs; returns how many records that were.
static size_t ask(struct fixture *f, struct controller_event *e, int16_t key, int16_t version, const void *q)
{
    assert_int_equal(controller_event_init(e, key, version, q), 0);
    assert_int_equal(controller_step(f->c, e, f->offset, 0, &f->effects), 0);
    size_t count = f->effects.records_count;
    struct image_record *records = calloc(count + 1, sizeof *records);
    for (size_t i = 0; i < count; i++)
        records[i] = (struct image_record){f->offset++, 1, 0, f->effects.records[i]};
    struct image *after;
    struct image_changes changes;
    assert_int_equal(image_apply(f->image, records, count, &after, &changes, NULL), 0);
    assert_int_equal(changes.quotas, count > 0 && key == 49);
    assert_int_equal(changes.scram, count > 0 && key == 51);
    image_changes_free(&changes);
    free(records);
    image_unref(f->image);
    f->image = after;
    controller_replay(f->c, after);
    controller_effects_reset(&f->effects);
    return count;
}

#define ENTITY alter_client_quotas_request_entity_data
#define OP     alter_client_quotas_request_op_data

static void quotas_are_altered_or_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    static struct ENTITY c[] = {{STR("client-id"), STR("c")}}, u[] = {{STR("user"), STR_NULL}},
                         ip[] = {{STR("ip"), STR("10.0.0.1")}}, nowhere[] = {{STR("ip"), STR("nowhere")}},
                         uip[] = {{STR("user"), STR("u")}, {STR("ip"), STR("10.0.0.1")}},
                         group[] = {{STR("group"), STR("g")}}, unnamed[] = {{STR("user"), STR("")}};
    static struct OP rate[] = {{STR("producer_byte_rate"), 5, false}},
                     half[] = {{STR("producer_byte_rate"), 0.5, false}},
                     zero[] = {{STR("request_percentage"), 0, false}},
                     accept[] = {{STR("connection_creation_rate"), 3, false}},
                     nonsense[] = {{STR("x"), 3, false}}, gone[] = {{STR("producer_byte_rate"), 0, true}},
                     twice[] = {{STR("producer_byte_rate"), 5, false}, {STR("producer_byte_rate"), 5, false}},
                     two[] = {{STR("producer_byte_rate"), 6, false},
                              {STR("controller_mutation_rate"), 0.5, false}},
                     large[] = {{STR("connection_creation_rate"), 1e10, false}};
    const struct {
        struct ENTITY *entity;
        int32_t entity_count;
        struct OP *ops;
        int32_t ops_count;
        bool validate_only;
        int records;
        const char *problem; // NULL: none
    } table[] = {
        {c, 1, rate, 1, true, 0, NULL},
        {c, 1, rate, 1, false, 1, NULL},
        {c, 1, rate, 1, false, 0, NULL}, // it is so already
        {c, 1, two, 2, false, 2, NULL},
        {c, 1, gone, 1, false, 1, NULL},
        {c, 1, gone, 1, false, 0, NULL},
        {u, 1, rate, 1, false, 1, NULL},
        {ip, 1, accept, 1, false, 1, NULL},
        {c, 1, half, 1, false, 0, "producer_byte_rate cannot be a fractional value."},
        {c, 1, zero, 1, false, 0, "Quota request_percentage must be greater than 0"},
        {c, 1, accept, 1, false, 0, "Invalid configuration key connection_creation_rate"},
        {ip, 1, rate, 1, false, 0, "Invalid configuration key producer_byte_rate"},
        {ip, 1, large, 1, false, 0, "Proposed value for connection_creation_rate is too large for an INT."},
        {c, 1, nonsense, 1, false, 0, "Invalid configuration key x"},
        {c, 1, twice, 2, false, 0, "Ignoring duplicate entity ClientQuotaEntity(entries={client-id=c})"},
        {u, 1, twice, 2, false, 0, "Ignoring duplicate entity ClientQuotaEntity(entries={user=null})"},
        {nowhere, 1, accept, 1, false, 0, "nowhere is not a valid IP or resolvable host."},
        {uip, 2, accept, 1, false, 0,
         "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"},
        {group, 1, rate, 1, false, 0, "Unhandled client quota entity type: group"},
        {unnamed, 1, rate, 1, false, 0, "Empty user not supported"},
        {c, 0, rate, 1, false, 0, "Invalid empty client quota entity"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("row %zu\n", i);
        struct alter_client_quotas_request_entry_data entry = {table[i].entity, table[i].entity_count,
                                                               table[i].ops, table[i].ops_count};
        struct alter_client_quotas_request q = {
            .entries = &entry, .entries_count = 1, .validate_only = table[i].validate_only};
        struct controller_event e;
        assert_int_equal(ask(&f, &e, 49, 1, &q), table[i].records);
        const struct alter_client_quotas_response *a = e.response;
        assert_int_equal(a->entries_count, 1);
        assert_int_equal(a->entries[0].error_code, table[i].problem ? E_INVALID_REQUEST : E_NONE);
        if (table[i].problem)
            assert_string_equal(a->entries[0].error_message.data, table[i].problem);
        controller_event_free(&e);
    }
    // What is left: the client's mutation rate, the default user's and the address's rates.
    assert_int_equal(f.image->quotas.count, 3);
    const uint32_t counts[QUOTA_KINDS] = {1, 0, 0, 1, 1};
    assert_memory_equal(f.image->quota_counts, counts, sizeof counts);
    struct image_quota_part part = {STR("client-id"), STR("c")};
    const struct image_quota *quota = image_quota(f.image, &(struct image_quota_entity){1, &part});
    assert_int_equal(quota->values_count, 1);
    assert_int_equal(quota->kinds, 1U << QUOTA_CONTROLLER_MUTATION_RATE);
    assert_float_equal(quota->limits[QUOTA_CONTROLLER_MUTATION_RATE], 0.5, 0);
    struct arena arena;
    arena_init(&arena, 0);
    const struct image_quota **in_turn = image_quotas_in_turn(f.image, &arena);
    static const char *const came[] = {"client-id", "user", "ip"};
    for (size_t i = 0; i < 3; i++)
        assert_true(str_is(in_turn[i]->entity.parts[0].type, came[i]));
    arena_free(&arena);
    part = (struct image_quota_part){STR("user"), STR("")}; // is not the default
    assert_null(image_quota(f.image, &(struct image_quota_entity){1, &part}));
    teardown(&f);
}

// The order is what Kafka 4.3.1 answered to the same request.
static void answers_come_in_kafkas_order(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    static struct ENTITY empty[] = {{STR(""), STR("")}}, one[] = {{STR("g1"), STR("t-a")}},
                         two[] = {{STR("x"), STR_NULL}, {STR("t-a"), STR("x")}};
    struct alter_client_quotas_request_entry_data entries[] = {
        {empty, 1, NULL, 0}, {one, 1, NULL, 0}, {two, 2, NULL, 0}};
    struct alter_client_quotas_request q = {.entries = entries, .entries_count = 3};
    struct controller_event e;
    assert_int_equal(ask(&f, &e, 49, 1, &q), 0);
    const struct alter_client_quotas_response *a = e.response;
    static const char *const types[] = {"g1", "x", ""};
    assert_int_equal(a->entries_count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(str_is(a->entries[i].entity[0].entity_type, types[i]));
    controller_event_free(&e);
    teardown(&f);
}

// RFC 7677's example, as Kafka stores it.
static void scram_credentials_are_stored_as_rfc_5802_says(void **state)
{
    (void)state;
    static const uint8_t salted[] = {0xc4, 0xa4, 0x95, 0x10, 0x32, 0x3a, 0xb4, 0xf9, 0x52, 0xca, 0xc1,
                                     0xfa, 0x99, 0x44, 0x19, 0x39, 0xe7, 0x8e, 0xa7, 0x4d, 0x6b, 0xe8,
                                     0x1d, 0xdf, 0x70, 0x96, 0xe8, 0x75, 0x13, 0xdc, 0x61, 0x5d};
    static const uint8_t stored[] = {0x58, 0x6e, 0x5d, 0xf2, 0x83, 0xe6, 0xdc, 0xeb, 0x5c, 0x3e, 0x79,
                                     0x1d, 0x8b, 0x85, 0x28, 0xec, 0x19, 0x1e, 0x66, 0x40, 0x45, 0xce,
                                     0x97, 0x17, 0x92, 0xe2, 0xe6, 0xb5, 0xbb, 0x13, 0xe2, 0xa6};
    static const uint8_t server[] = {0xc1, 0xf3, 0xcb, 0xc1, 0xc1, 0x3a, 0x9d, 0x35, 0xa1, 0x4c, 0x09,
                                     0x90, 0xee, 0xd9, 0x76, 0x29, 0xea, 0x22, 0x58, 0x63, 0xe5, 0x66,
                                     0xa4, 0x31, 0x4a, 0xb9, 0x9f, 0x3f, 0x00, 0xe5, 0xd9, 0xd5};
    struct fixture f;
    setup(&f);
    struct alter_user_scram_credentials_request_scram_credential_upsertion up = {
        .name = STR("user"),
        .mechanism = 1,
        .iterations = 4096,
        .salt = {salted, 16},
        .salted_password = {salted, sizeof salted}};
    struct alter_user_scram_credentials_request_scram_credential_deletion down = {STR("user"), 1};
    struct alter_user_scram_credentials_request q = {.upsertions = &up, .upsertions_count = 1};
    struct controller_event e;
    assert_int_equal(ask(&f, &e, 51, 0, &q), 1);
    controller_event_free(&e);
    const struct image_scram *s = image_scram(f.image, SCRAM_SHA_256, STR("user"));
    assert_non_null(s);
    assert_int_equal(s->stored_key.size, 32);
    assert_int_equal(s->server_key.size, 32);
    assert_memory_equal(s->stored_key.data, stored, sizeof stored);
    assert_memory_equal(s->server_key.data, server, sizeof server);
    assert_null(image_scram(f.image, SCRAM_SHA_512, STR("user")));

    q.deletions = &down;
    q.deletions_count = 1;
    assert_int_equal(ask(&f, &e, 51, 0, &q), 0); // twice in one request
    const struct alter_user_scram_credentials_response *a = e.response;
    assert_int_equal(a->results_count, 1);
    assert_int_equal(a->results[0].error_code, E_DUPLICATE_RESOURCE);
    controller_event_free(&e);
    q.upsertions_count = 0;
    assert_int_equal(ask(&f, &e, 51, 0, &q), 1);
    assert_int_equal(f.image->scram.count, 0);
    controller_event_free(&e);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_are_altered_or_refused),
        cmocka_unit_test(answers_come_in_kafkas_order),
        cmocka_unit_test(scram_credentials_are_stored_as_rfc_5802_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
