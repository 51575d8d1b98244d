// Clients' own metrics (KIP-714): who is asked for what, who may push, what is read.
#include "unit.h"

#include "base/error.h"
#include "metadata/image.h"
#include "metadata/record.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "storage/compress.h"
#include "telemetry/subscriptions.h"
#include "telemetry/telemetry.h"

#include <math.h>
#include <stdlib.h>

static const struct uuid ID = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

// ---------------------------------------------------------------- subscriptions

// name, setting, value; by threes, terminated by NULL.
static struct image *image_of(const char *const *settings)
{
    struct image *image = image_new();
    for (size_t i = 0; settings && settings[i]; i += 3) {
        struct config_record r = {.resource_type = IMAGE_RESOURCE_CLIENT_METRICS,
                                  .resource_name = str_from(settings[i]),
                                  .name = str_from(settings[i + 1]),
                                  .value = str_from(settings[i + 2])};
        struct buffer value = BUFFER_INIT;
        struct image *after;
        assert_int_equal(metadata_record_append(&value, &config_record_type, 0, &r), 0);
        struct image_record record = {.offset = (int64_t)i, .value = {value.data, value.size}};
        assert_int_equal(image_apply(image, &record, 1, &after, NULL, NULL), 0);
        image_unref(image);
        image = after;
        buffer_free(&value);
    }
    return image;
}

#define MOST_SETTINGS 16

static void clients_are_asked_for_what_matches_them(void **state)
{
    (void)state;
    static const struct {
        const char *settings[MOST_SETTINGS];
        const char *metrics; // by blanks
        int32_t interval_ms;
    } table[] = {
        {{NULL}, "", 300000},
        {{"a", "metrics", "x.,y."}, "y. x.", 300000}, // as Java's hash set has them
        {{"a", "metrics", "x.", "a", "interval.ms", "1000"}, "x.", 1000},
        {{"a", "metrics", "x.", "a", "interval.ms", "600000"}, "x.", 300000}, // Kafka's default is its most
        {{"a", "metrics", "x.", "b", "metrics", "x.,z.", "b", "interval.ms", "500"}, "z. x.", 500},
        {{"a", "metrics", "x.", "b", "metrics", "*"}, "*", 300000},
        {{"a", "metrics", "x.", "a", "match", "client_id=me"}, "x.", 300000},
        {{"a", "metrics", "x.", "a", "match", "client_id=m"}, "", 300000}, // the whole must match
        {{"a", "metrics", "x.", "a", "match", "client_id=m.*, client_software_name = java"}, "x.", 300000},
        {{"a", "metrics", "x.", "a", "match", "client_id=m.*,client_software_name=c"}, "", 300000},
        {{"a", "metrics", "x.", "a", "match", "client_id=no,client_id=me"}, "x.", 300000}, // the last counts
        {{"a", "metrics", "x.", "a", "match", "client_source_address=127\\..*,client_source_port=4[0-9]+"},
         "x.",
         300000},
        {{"a", "metrics", "x.", "a", "match", "client_software_version=.*"}, "", 300000}, // it is not known
        {{"a", "metrics", "x.", "a", "match", "client_instance_id=AQIDBAUGBwgJCgsMDQ4PEA"}, "x.", 300000},
        {{"a", "metrics", "x.", "a", "match", "client_id=(?=m)me"}, "", 300000}, // Java's alone: nobody
        {{"a", "interval.ms", "1000"}, "", 1000},
    };
    const struct str attributes[] = {
        STR("AQIDBAUGBwgJCgsMDQ4PEA"), STR("me"), STR("java"), STR_NULL, STR("127.0.0.1"), STR("4000")};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("row %zu\n", i);
        struct image *image = image_of(table[i].settings);
        struct subscriptions s;
        struct subscribed out;
        struct arena arena;
        struct buffer metrics = BUFFER_INIT;
        arena_init(&arena, 0);
        assert_int_equal(subscriptions_read(&s, image), 0);
        image_unref(image); // nothing of it is kept
        assert_int_equal(subscriptions_of(&s, &ID, attributes, &arena, &out), 0);
        for (size_t m = 0; m < out.count; m++)
            buffer_printf(&metrics, "%s%.*s", m ? " " : "", STR_ARG(out.metrics[m]));
        buffer_byte(&metrics, 0);
        assert_string_equal((const char *)metrics.data, table[i].metrics);
        assert_int_equal(out.interval_ms, table[i].interval_ms);
        buffer_free(&metrics);
        subscriptions_free(&s);
        arena_free(&arena);
    }
}

// ---------------------------------------------------------------- who may when

struct world {
    struct telemetry *t;
    struct arena arena;
    struct telemetry_caller caller;
    int32_t subscription_id;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->t = telemetry_new(1000);
    w->caller = (struct telemetry_caller){
        .client_id = STR("me"), .address = STR("127.0.0.1"), .port = 4000, .now_ms = 5, .wall_ms = 99};
    arena_init(&w->arena, 0);
    *state = w;
    return w->t ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *w = *state;
    telemetry_free(w->t);
    arena_free(&w->arena);
    free(w);
    return 0;
}

static void subscribe(struct world *w, const char *metrics, const char *interval)
{
    const char *const settings[] = {"a", "metrics", metrics, "a", "interval.ms", interval, NULL};
    struct image *image = image_of(settings);
    assert_int_equal(telemetry_follow(w->t, image), 0);
    image_unref(image);
}

static int16_t get(struct world *w)
{
    struct telemetry_answer a;
    assert_int_equal(telemetry_get(w->t, &ID, &w->caller, &w->arena, &a), 0);
    if (a.error == E_NONE)
        w->subscription_id = a.subscription_id;
    return a.error;
}

static int16_t push_of(struct world *w, bool terminating, int8_t compression, size_t bytes)
{
    static const uint8_t payload[2000];
    bool is_new;
    struct telemetry_push p = {.id = ID,
                               .subscription_id = w->subscription_id,
                               .terminating = terminating,
                               .compression = compression,
                               .payload = {payload, bytes}};
    return telemetry_check(w->t, &p, &w->caller, &is_new);
}

static int16_t push(struct world *w)
{
    return push_of(w, false, 0, 10);
}

static void a_client_may_ask_and_push_once_an_interval(void **state)
{
    struct world *w = *state;
    subscribe(w, "x.", "1000");
    assert_int_equal(get(w), E_NONE);
    assert_int_equal(get(w), E_THROTTLING_QUOTA_EXCEEDED);
    w->caller.now_ms += 1;
    assert_int_equal(push(w), E_NONE); // the first may come at once
    assert_int_equal(push(w), E_THROTTLING_QUOTA_EXCEEDED);
    assert_int_equal(get(w), E_THROTTLING_QUOTA_EXCEEDED);
    w->caller.now_ms += 1000;
    assert_int_equal(push(w), E_NONE);
    w->caller.now_ms += 999;
    assert_int_equal(push(w), E_THROTTLING_QUOTA_EXCEEDED);
    w->caller.now_ms += 1;
    assert_int_equal(get(w), E_NONE);
    assert_int_equal(push(w), E_NONE);
}

static void a_push_is_refused_for_what_is_wrong_with_it(void **state)
{
    struct world *w = *state;
    subscribe(w, "x.", "1000");
    assert_int_equal(get(w), E_NONE);
    int32_t right = w->subscription_id;
    w->subscription_id++;
    assert_int_equal(push(w), E_UNKNOWN_SUBSCRIPTION_ID);
    assert_int_equal(get(w), E_NONE); // at once: what it knows is not so
    assert_int_equal(get(w), E_THROTTLING_QUOTA_EXCEEDED);
    assert_int_equal(w->subscription_id, right);
    w->caller.now_ms += 1000;
    assert_int_equal(push_of(w, false, 5, 10), E_UNSUPPORTED_COMPRESSION_TYPE);
    w->caller.now_ms += 1000;
    assert_int_equal(push_of(w, false, -1, 10), E_UNSUPPORTED_COMPRESSION_TYPE);
    w->caller.now_ms += 1000;
    assert_int_equal(push_of(w, false, 4, 1001), E_TELEMETRY_TOO_LARGE);
    w->caller.now_ms += 1000;
    assert_int_equal(push_of(w, false, 4, 1000), E_NONE);
    assert_int_equal(push_of(w, true, 0, 10), E_NONE); // the last one may come at any time
    w->caller.now_ms += 1000;
    assert_int_equal(push(w),
                     E_INVALID_REQUEST); // after it none is welcome, but that one says that it is not over
    assert_int_equal(push(w), E_NONE);
}

static void reserved_ids_are_no_clients(void **state)
{
    struct world *w = *state;
    bool is_new;
    struct telemetry_push p = {.id = {{0}}};
    assert_int_equal(telemetry_check(w->t, &p, &w->caller, &is_new), E_INVALID_REQUEST);
    p.id.bytes[15] = 1;
    assert_int_equal(telemetry_check(w->t, &p, &w->caller, &is_new), E_INVALID_REQUEST);
    struct telemetry_answer a;
    assert_int_equal(telemetry_get(w->t, &(struct uuid){{0}}, &w->caller, &w->arena, &a), 0);
    assert_int_equal(a.error, E_NONE);
    assert_false(uuid_is_zero(&a.id));
}

static void changed_subscriptions_count_at_once(void **state)
{
    struct world *w = *state;
    subscribe(w, "x.", "1000");
    assert_int_equal(get(w), E_NONE);
    assert_int_equal(push(w), E_NONE);
    int32_t before = w->subscription_id;
    subscribe(w, "y.", "1000");
    assert_int_equal(push(w), E_UNKNOWN_SUBSCRIPTION_ID);
    subscribe(w, "y.", "1000"); // whoever was told of it asks, whenever that was
    assert_int_equal(get(w), E_NONE);
    assert_int_not_equal(w->subscription_id, before);
    assert_int_equal(push(w), E_NONE);
}

static uint64_t clients(struct world *w)
{
    struct telemetry_counts c;
    telemetry_count(w->t, w->caller.now_ms, &c);
    return c.clients;
}

static void clients_are_forgotten(void **state)
{
    struct world *w = *state;
    subscribe(w, "x.", "30000");
    assert_int_equal(get(w), E_NONE);
    assert_int_equal(clients(w), 1);
    w->caller.now_ms += 89999; // three intervals
    assert_int_equal(clients(w), 1);
    w->caller.now_ms += 1;
    assert_int_equal(clients(w), 0);
    assert_int_equal(get(w), E_NONE);
    telemetry_gone(w->t, &ID);
    telemetry_gone(w->t, &ID);
    assert_int_equal(clients(w), 0);
    assert_int_equal(get(w), E_NONE); // not throttled: it is another one
    for (int i = 0; i < TELEMETRY_CLIENTS + 100; i++) {
        struct telemetry_answer a;
        assert_int_equal(telemetry_get(w->t, &(struct uuid){{0}}, &w->caller, &w->arena, &a), 0);
        arena_reset(&w->arena);
    }
    assert_int_equal(clients(w), TELEMETRY_CLIENTS);
}

// Clients choose how long their names are.
static void memory_is_bounded_whatever_clients_are_called(void **state)
{
    struct world *w = *state;
    static char name[30000];
    struct telemetry_answer a;
    memset(name, 'n', sizeof name);
    w->caller.client_id = (struct str){name, sizeof name};
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(telemetry_get(w->t, &(struct uuid){{0}}, &w->caller, &w->arena, &a), 0);
        arena_reset(&w->arena);
    }
    assert_in_range(clients(w), 1, TELEMETRY_MEMORY_BYTES / sizeof name + 1);
    w->caller.client_id = STR("me");
    assert_int_equal(telemetry_get(w->t, &(struct uuid){{0}}, &w->caller, &w->arena, &a), 0);
    assert_in_range(clients(w), 1, TELEMETRY_MEMORY_BYTES / sizeof name + 1);
}

static void those_heard_of_last_are_listed(void **state)
{
    struct world *w = *state;
    struct telemetry_clients list;
    struct telemetry_answer a;
    struct uuid ids[3];
    assert_int_equal(telemetry_list(w->t, w->caller.now_ms, &w->arena, &list), 0);
    assert_int_equal(list.count, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(telemetry_get(w->t, &(struct uuid){{0}}, &w->caller, &w->arena, &a), 0);
        ids[i] = a.id;
    }
    assert_int_equal(telemetry_list(w->t, w->caller.now_ms, &w->arena, &list), 0);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.left_out, 0);
    for (int i = 0; i < 3; i++)
        assert_true(uuid_equal(&list.items[i].id, &ids[2 - i]));
    for (int i = 3; i < TELEMETRY_CLIENTS_LISTED + 7; i++)
        assert_int_equal(telemetry_get(w->t, &(struct uuid){{0}}, &w->caller, &w->arena, &a), 0);
    assert_int_equal(telemetry_list(w->t, w->caller.now_ms, &w->arena, &list), 0);
    assert_int_equal(list.count, TELEMETRY_CLIENTS_LISTED);
    assert_int_equal(list.left_out, 7);
    assert_true(uuid_equal(&list.items[0].id, &a.id));
}

// ---------------------------------------------------------------- what is pushed

static void put(struct buffer *out, unsigned field, const void *data, size_t size)
{
    buffer_byte(out, (uint8_t)(field << 3 | 2));
    uint8_t length[VARLONG_MAX_BYTES];
    buffer_append(out, length, uvarlong_write(length, size));
    buffer_append(out, data, size);
}

static void put_buffer(struct buffer *out, unsigned field, struct buffer *inner)
{
    put(out, field, inner->data ? inner->data : (const uint8_t *)"", inner->size);
    buffer_free(inner);
    *inner = BUFFER_INIT;
}

static void put_fixed(struct buffer *out, unsigned field, uint64_t value)
{
    buffer_byte(out, (uint8_t)(field << 3 | 1));
    for (int i = 0; i < 8; i++)
        buffer_byte(out, (uint8_t)(value >> 8 * i));
}

static uint64_t bits_of(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

static void put_attribute(struct buffer *out, unsigned field, const char *key, const char *value)
{
    struct buffer any = BUFFER_INIT, pair = BUFFER_INIT;
    put(&any, 1, value, strlen(value));
    put(&pair, 1, key, strlen(key));
    put_buffer(&pair, 2, &any);
    put_buffer(out, field, &pair);
}

// A metric with points of one kind.
static void put_metric(struct buffer *scope, const char *name, unsigned kind, int points, double value)
{
    struct buffer data = BUFFER_INIT, metric = BUFFER_INIT;
    for (int i = 0; i < points; i++) {
        struct buffer point = BUFFER_INIT;
        bool number = kind == 5 || kind == 7;
        put_fixed(&point, 3, 12345);
        if (number && i % 2)
            put_fixed(&point, 6, (uint64_t)(int64_t)-i);
        else
            put_fixed(&point, number ? 4 : 5, bits_of(value));
        put_attribute(&point, kind == 9 ? 9 : kind == 10 ? 1 : 7, "topic", "t");
        put_attribute(&point, kind == 9 ? 9 : kind == 10 ? 1 : 7, "p", "0");
        put_buffer(&data, 1, &point);
    }
    put(&metric, 2, "described", 9);
    put_buffer(&metric, kind, &data);
    put(&metric, 1, name, strlen(name)); // behind the values
    put_buffer(scope, 2, &metric);
}

static struct buffer payload_of(struct buffer *scope)
{
    struct buffer resource = BUFFER_INIT, all = BUFFER_INIT;
    put_buffer(&resource, 2, scope);
    put_buffer(&all, 1, &resource);
    return all;
}

static void values_of_every_kind_are_read(void **state)
{
    (void)state;
    static const struct {
        unsigned field;
        const char *type;
    } kinds[] = {{5, "gauge"}, {7, "sum"}, {9, "histogram"}, {10, "exponential histogram"}, {11, "summary"}};
    struct buffer scope = BUFFER_INIT;
    struct arena arena;
    struct otlp_values v;
    for (size_t i = 0; i < 5; i++)
        put_metric(&scope, "org.apache.kafka.producer.x", kinds[i].field, 2, 2.5);
    struct buffer payload = payload_of(&scope);
    arena_init(&arena, 0);
    assert_int_equal(otlp_read((struct bytes){payload.data, payload.size}, &arena, &v), 0);
    assert_int_equal(v.count, 10);
    for (size_t i = 0; i < v.count; i++) {
        bool whole = i % 2 && i < 4;
        assert_true(str_is(v.items[i].name, "org.apache.kafka.producer.x"));
        assert_true(str_is(v.items[i].attributes, "topic=t,p=0"));
        assert_string_equal(v.items[i].type, kinds[i / 2].type);
        assert_true(fabs(v.items[i].value - (whole ? -1 : 2.5)) < 1e-9);
    }
    // Cut anywhere, or with any bit wrong, it is refused or read, never more.
    for (size_t size = 0; size < payload.size; size++) {
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, payload.data, size);
        (void)otlp_read((struct bytes){exact, size}, &arena, &v);
        free(exact);
        arena_reset(&arena);
    }
    for (size_t bit = 0; bit < payload.size * 8; bit++) {
        payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)otlp_read((struct bytes){payload.data, payload.size}, &arena, &v);
        payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        arena_reset(&arena);
    }
    assert_int_equal(otlp_read((struct bytes){payload.data, payload.size - 1}, &arena, &v), ERR_CORRUPT);
    arena_free(&arena);
    buffer_free(&payload);
}

static void values_are_bounded(void **state)
{
    (void)state;
    struct buffer scope = BUFFER_INIT;
    struct arena arena;
    struct otlp_values v;
    put_metric(&scope, "m", 5, OTLP_VALUES_MOST + 100, 1);
    struct buffer payload = payload_of(&scope);
    arena_init(&arena, 0);
    assert_int_equal(otlp_read((struct bytes){payload.data, payload.size}, &arena, &v), 0);
    assert_int_equal(v.count, OTLP_VALUES_MOST);
    assert_int_equal(v.left_out, 100);
    arena_free(&arena);
    buffer_free(&payload);
}

// The client with its one value.
static void expect_pushed(struct world *w, uint64_t pushes, double value)
{
    struct telemetry_client c;
    assert_int_equal(telemetry_find(w->t, &ID, w->caller.now_ms, &w->arena, &c), 0);
    assert_true(str_is(c.client_id, "me"));
    assert_int_equal(c.port, 4000);
    assert_int_equal(c.pushes, pushes);
    assert_int_equal(c.count, 1);
    assert_true(fabs(c.values[0].value - value) < 1e-9);
    assert_true(str_is(c.values[0].name, "m"));
    assert_true(str_is(c.values[0].attributes, "topic=t,p=0"));
}

static int16_t take(struct world *w, int8_t compression, struct buffer *payload)
{
    struct telemetry_push p = {
        .id = ID, .compression = compression, .payload = {payload->data, payload->size}};
    return telemetry_take(w->t, &p, 100, &w->arena);
}

static void the_last_push_is_kept_whatever_its_compression(void **state)
{
    struct world *w = *state;
    struct telemetry_client c;
    subscribe(w, "*", "1000");
    assert_int_equal(get(w), E_NONE);
    for (int8_t type = 0; type < COMPRESSION_TYPES; type++) {
        struct buffer scope = BUFFER_INIT, packed = BUFFER_INIT;
        put_metric(&scope, "m", 5, 1, type);
        struct buffer payload = payload_of(&scope);
        struct bytes plain = {payload.data, payload.size};
        if (type == COMPRESSION_NONE)
            buffer_append(&packed, plain.data, plain.size);
        else
            assert_int_equal(
                compress_append((enum compression)type, COMPRESSION_LEVEL_DEFAULT, plain, &packed), 0);
        assert_int_equal(take(w, type, &packed), E_NONE);
        expect_pushed(w, (uint64_t)type + 1, type);
        packed.data[packed.size - 1] ^= 0xff;
        packed.size -= 1;
        assert_int_equal(take(w, type, &packed), E_INVALID_RECORD);
        buffer_free(&packed);
        buffer_free(&payload);
    }
    struct buffer zeros = BUFFER_INIT, packed = BUFFER_INIT; // unpacks to more than is read
    for (int i = 0; i < 1000 * TELEMETRY_DECODED_FACTOR + 1; i++)
        buffer_byte(&zeros, 0);
    assert_int_equal(compress_append(COMPRESSION_ZSTD, COMPRESSION_LEVEL_DEFAULT,
                                     (struct bytes){zeros.data, zeros.size}, &packed),
                     0);
    assert_int_equal(take(w, COMPRESSION_ZSTD, &packed), E_INVALID_RECORD);
    expect_pushed(w, COMPRESSION_TYPES, COMPRESSION_TYPES - 1); // what was refused changed nothing
    buffer_free(&zeros);
    buffer_free(&packed);
    assert_int_equal(telemetry_find(w->t, &(struct uuid){{9}}, w->caller.now_ms, &w->arena, &c),
                     ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_asked_for_what_matches_them),
        cmocka_unit_test_setup_teardown(a_client_may_ask_and_push_once_an_interval, setup, teardown),
        cmocka_unit_test_setup_teardown(a_push_is_refused_for_what_is_wrong_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(reserved_ids_are_no_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_subscriptions_count_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_are_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_bounded_whatever_clients_are_called, setup, teardown),
        cmocka_unit_test_setup_teardown(those_heard_of_last_are_listed, setup, teardown),
        cmocka_unit_test(values_of_every_kind_are_read),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test_setup_teardown(the_last_push_is_kept_whatever_its_compression, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
