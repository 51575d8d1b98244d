#include "unit.h"

#include "base/error.h"
#include "base/qsbr.h"
#include "metadata/image.h"
#include "metadata/image_parts.h"
#include "metadata/record.h"
#include "protocol/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Values of records, one after the other.
struct script {
    struct buffer bytes;
    size_t at[20000], count; // where each begins
};

static void add(struct script *s, const struct message_type *type, int16_t version, const void *message)
{
    s->at[s->count++] = s->bytes.size;
    assert_int_equal(metadata_record_append(&s->bytes, type, version, message), 0);
}

static struct bytes value_at(const struct script *s, size_t i)
{
    size_t end = i + 1 < s->count ? s->at[i + 1] : s->bytes.size;
    return (struct bytes){s->bytes.data + s->at[i], end - s->at[i]};
}

static int apply(const struct image *before, const struct script *s, size_t from, size_t to,
                 struct image **after, struct image_changes *changes, struct buffer *why)
{
    struct image_record *records = calloc(to - from + 1, sizeof *records);
    for (size_t i = from; i < to; i++)
        records[i - from] = (struct image_record){(int64_t)i, 1, 1000, value_at(s, i)};
    int rc = image_apply(before, records, to - from, after, changes, why);
    free(records);
    return rc;
}

static int collect(void *context, struct bytes value)
{
    struct script *s = context;
    s->at[s->count++] = s->bytes.size;
    buffer_append(&s->bytes, value.data, value.size);
    return 0;
}

static const struct script *comparing;

static int compare_values(const void *a, const void *b)
{
    struct bytes x = value_at(comparing, *(const size_t *)a), y = value_at(comparing, *(const size_t *)b);
    int c = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
    return c ? c : (x.size > y.size) - (x.size < y.size);
}

// The image's records in an order of their own, as one text.
static struct buffer fingerprint(const struct image *image)
{
    struct script *s = calloc(1, sizeof *s);
    assert_int_equal(image_write(image, collect, s), 0);
    size_t *order = calloc(s->count + 1, sizeof *order);
    for (size_t i = 0; i < s->count; i++)
        order[i] = i;
    comparing = s;
    qsort(order, s->count, sizeof *order, compare_values);
    struct buffer out = BUFFER_INIT;
    for (size_t i = 0; i < s->count; i++) {
        struct bytes v = value_at(s, order[i]);
        buffer_append(&out, v.data, v.size);
    }
    buffer_free(&s->bytes);
    free(s);
    free(order);
    return out;
}

static void assert_same(const struct image *a, const struct image *b)
{
    struct buffer x = fingerprint(a), y = fingerprint(b);
    assert_int_equal(x.size, y.size);
    if (x.size)
        assert_memory_equal(x.data, y.data, x.size);
    assert_int_equal(image_topics_count(a), image_topics_count(b));
    assert_int_equal(a->partitions_count, b->partitions_count);
    buffer_free(&x);
    buffer_free(&y);
}

// --- random but meaningful records ---

enum { NAMES = 40, BROKERS = 5 };

struct world {
    struct uuid ids[NAMES]; // zero: no such topic now
    int partitions[NAMES];
    int64_t epochs[BROKERS]; // -1: not registered
    unsigned next_id;
};

static struct str topic_name(int i)
{
    static char names[NAMES][16];
    snprintf(names[i], sizeof names[i], "topic-%d", i);
    return str_from(names[i]);
}

static void add_partition(struct script *s, struct world *w, int t)
{
    static int32_t replicas[] = {0, 1, 2};
    static struct uuid directories[] = {{{1}}, {{2}}, {{3}}};
    struct partition_record r = partition_record_default;
    r.partition_id = w->partitions[t]++;
    r.topic_id = w->ids[t];
    r.replicas = replicas;
    r.isr = replicas;
    r.replicas_count = r.directories_count = 3;
    r.isr_count = 1 + rand() % 3;
    r.directories = directories;
    r.leader = 0;
    r.leader_epoch = r.partition_epoch = 0;
    add(s, &partition_record_type, 2, &r);
}

static void add_topic(struct script *s, struct world *w, int t)
{
    w->next_id++;
    w->ids[t] = (struct uuid){{(uint8_t)w->next_id, (uint8_t)(w->next_id >> 8), 7}};
    w->partitions[t] = 0;
    struct topic_record r = {.name = topic_name(t), .topic_id = w->ids[t]};
    add(s, &topic_record_type, 0, &r);
    for (int p = rand() % 5; p >= 0; p--)
        add_partition(s, w, t);
}

static void change_topic(struct script *s, struct world *w, int t)
{
    static int32_t ids[] = {2, 1, 0};
    struct partition_change_record r = partition_change_record_default;
    r.topic_id = w->ids[t];
    r.partition_id = rand() % w->partitions[t];
    switch (rand() % 5) {
    case 0:
        r.leader = rand() % 4 - 1;
        break;
    case 1:
        r.isr = ids;
        r.isr_count = rand() % 4;
        break;
    case 2:
        r.eligible_leader_replicas = ids;
        r.eligible_leader_replicas_count = rand() % 4;
        break;
    case 3:
        add_partition(s, w, t);
        return;
    default: {
        struct remove_topic_record gone = {.topic_id = w->ids[t]};
        add(s, &remove_topic_record_type, 0, &gone);
        w->ids[t] = (struct uuid){{0}};
        return;
    }
    }
    add(s, &partition_change_record_type, 2, &r);
}

static void add_config(struct script *s, struct world *w)
{
    static const char *const names[] = {"retention.ms", "cleanup.policy", "segment.bytes", "a.setting"};
    int t = rand() % NAMES;
    struct config_record r = config_record_default;
    r.resource_type = uuid_is_zero(&w->ids[t]) ? IMAGE_RESOURCE_BROKER : IMAGE_RESOURCE_TOPIC;
    r.resource_name = r.resource_type == IMAGE_RESOURCE_BROKER ? STR("") : topic_name(t);
    r.name = str_from(names[rand() % 4]);
    r.value = rand() % 3 ? str_from(names[rand() % 4]) : STR_NULL;
    add(s, &config_record_type, 0, &r);
}

static void add_broker(struct script *s, struct world *w)
{
    int id = rand() % BROKERS;
    if (w->epochs[id] < 0 || rand() % 4 == 0) {
        static struct register_broker_record_broker_endpoint endpoint;
        endpoint = (struct register_broker_record_broker_endpoint){STR("PLAINTEXT"), STR("host"), 9092, 0};
        static struct uuid dirs[] = {{{9}}, {{8}}};
        struct register_broker_record r = register_broker_record_default;
        r.broker_id = id;
        r.broker_epoch = w->epochs[id] = (int64_t)s->count;
        r.rack = rand() % 2 ? STR("rack") : STR_NULL;
        r.end_points = &endpoint;
        r.end_points_count = 1;
        r.log_dirs = dirs;
        r.log_dirs_count = rand() % 3;
        add(s, &register_broker_record_type, 4, &r);
    } else if (rand() % 8 == 0) {
        struct unregister_broker_record r = {.broker_id = id, .broker_epoch = w->epochs[id]};
        w->epochs[id] = -1;
        add(s, &unregister_broker_record_type, 0, &r);
    } else {
        struct broker_registration_change_record r = broker_registration_change_record_default;
        r.broker_id = id;
        r.broker_epoch = w->epochs[id];
        r.fenced = (int8_t)(rand() % 3 - 1);
        if (rand() % 3 == 0)
            r.cordoned_log_dirs_count = 0;
        add(s, &broker_registration_change_record_type, 3, &r);
    }
}

static void add_other(struct script *s)
{
    static struct client_quota_record_entity_data entity[2];
    switch (rand() % 6) {
    case 5: {
        struct user_scram_credential_record r = user_scram_credential_record_default;
        r.name = rand() % 2 ? STR("u") : STR("v");
        r.mechanism = (int8_t)(1 + rand() % 2);
        r.iterations = rand() % 10000;
        r.salt = (struct bytes){(const uint8_t *)"salt", (size_t)(rand() % 5)};
        if (rand() % 3)
            add(s, &user_scram_credential_record_type, 0, &r);
        else
            add(s, &remove_user_scram_credential_record_type, 0,
                &(struct remove_user_scram_credential_record){.name = r.name, .mechanism = r.mechanism});
        break;
    }
    case 0: {
        struct client_quota_record r = client_quota_record_default;
        entity[0] = (struct client_quota_record_entity_data){STR("user"), rand() % 2 ? STR("u") : STR_NULL};
        entity[1] = (struct client_quota_record_entity_data){STR("client-id"), STR("c")};
        r.entity = entity;
        r.entity_count = 1 + rand() % 2;
        r.key = image_quota_keys[rand() % QUOTA_KINDS];
        r.value = rand() % 1000;
        r.remove = rand() % 4 == 0;
        add(s, &client_quota_record_type, 0, &r);
        break;
    }
    case 1: {
        struct producer_ids_record r = {1, 2, (int64_t)s->count * 1000};
        add(s, &producer_ids_record_type, 0, &r);
        break;
    }
    case 2: {
        static const char *const names[] = {"group.version", "share.version", "x.version"};
        struct feature_level_record r = {.name = str_from(names[rand() % 3]),
                                         .feature_level = (int16_t)(rand() % 3)};
        add(s, &feature_level_record_type, 0, &r);
        break;
    }
    case 3: {
        struct access_control_entry_record r = access_control_entry_record_default;
        r.id = (struct uuid){{(uint8_t)(rand() % 8)}};
        r.operation = (int8_t)(rand() % 10);
        if (rand() % 3)
            add(s, &access_control_entry_record_type, 0, &r);
        else
            add(s, &remove_access_control_entry_record_type, 0,
                &(struct remove_access_control_entry_record){.id = r.id});
        break;
    }
    default: {
        struct register_controller_record r = register_controller_record_default;
        r.controller_id = rand() % 3;
        r.incarnation_id = (struct uuid){{(uint8_t)rand()}};
        add(s, &register_controller_record_type, 0, &r);
    }
    }
}

static struct script *random_script(unsigned seed)
{
    struct script *s = calloc(1, sizeof *s);
    struct world w = {.epochs = {-1, -1, -1, -1, -1}};
    srand(seed);
    struct feature_level_record version = {.name = STR("metadata.version"), .feature_level = 30};
    add(s, &feature_level_record_type, 0, &version);
    while (s->count < 3000) {
        int t = rand() % NAMES;
        switch (rand() % 6) {
        case 0:
        case 1:
        case 2:
            if (uuid_is_zero(&w.ids[t]))
                add_topic(s, &w, t);
            else
                change_topic(s, &w, t);
            break;
        case 3:
            add_config(s, &w);
            break;
        case 4:
            add_broker(s, &w);
            break;
        default:
            add_other(s);
        }
    }
    return s;
}

static void script_free(struct script *s)
{
    buffer_free(&s->bytes);
    free(s);
}

// Each delta is true, and nothing that no delta names has changed.
static void check_changes(const struct image_changes *c)
{
    size_t created = 0, deleted = 0;
    for (uint32_t i = 0; i < c->topics_count; i++) {
        const struct image_topic_delta *d = &c->topics[i];
        const struct image_topic *before = d->before ? image_topic_by_id(c->before, &d->before->id) : NULL;
        const struct image_topic *after = d->after ? image_topic_by_id(c->after, &d->after->id) : NULL;
        assert_ptr_equal(before, d->before);
        assert_ptr_equal(after, d->after);
        assert_int_equal(d->change, !before  ? IMAGE_TOPIC_CREATED
                                    : !after ? IMAGE_TOPIC_DELETED
                                             : IMAGE_TOPIC_CHANGED);
        created += d->change == IMAGE_TOPIC_CREATED;
        deleted += d->change == IMAGE_TOPIC_DELETED;
    }
    assert_int_equal(image_topics_count(c->before) + created - deleted, image_topics_count(c->after));
    struct hamt_walk w = hamt_walk(&c->after->topics_by_name);
    size_t untouched = 0;
    for (const struct image_topic *t; (t = hamt_next(&w));) {
        assert_ptr_equal(image_topic_by_id(c->after, &t->id), t);
        untouched += image_topic_by_id(c->before, &t->id) == t;
    }
    assert_true(untouched + c->topics_count - deleted == image_topics_count(c->after));
}

// metadata invariants 2, 4, 5.
static void one_by_one_is_all_at_once_is_the_snapshot(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 8; seed++) {
        print_message("seed %u\n", seed);
        struct script *s = random_script(seed);
        struct image *empty = image_new(), *now = image_ref(empty), *whole;
        struct buffer why = BUFFER_INIT;
        for (size_t from = 0; from < s->count;) {
            size_t to = from + 1 + (size_t)rand() % 12;
            to = to < s->count ? to : s->count;
            struct image *next;
            struct image_changes changes;
            struct buffer before = fingerprint(now);
            int rc = apply(now, s, from, to, &next, &changes, &why);
            if (rc)
                fail_msg("%.*s", (int)why.size, (char *)why.data);
            check_changes(&changes);
            struct buffer after = fingerprint(now); // the old image is as it was
            assert_int_equal(before.size, after.size);
            assert_memory_equal(before.data, after.data, before.size);
            buffer_free(&before);
            buffer_free(&after);
            image_changes_free(&changes);
            image_unref(now);
            now = next;
            from = to;
        }
        assert_int_equal(apply(empty, s, 0, s->count, &whole, NULL, &why), 0);
        assert_same(now, whole);
        struct script *snapshot = calloc(1, sizeof *snapshot);
        assert_int_equal(image_write(now, collect, snapshot), 0);
        struct image *loaded;
        assert_int_equal(apply(empty, snapshot, 0, snapshot->count, &loaded, NULL, &why), 0);
        assert_same(now, loaded);
        assert_int_equal(loaded->next_producer_id, now->next_producer_id);
        script_free(snapshot);
        script_free(s);
        image_unref(loaded);
        image_unref(whole);
        image_unref(now);
        image_unref(empty);
    }
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct script *s = calloc(1, sizeof *s);
    struct image *empty = image_new(), *after = NULL;
    struct uuid id = {{1}};
    struct topic_record topic = {.name = STR("a"), .topic_id = id};
    add(s, &topic_record_type, 0, &topic); // 0
    add(s, &topic_record_type, 0, &topic); // 1: the same again
    struct partition_record hole = partition_record_default;
    hole.topic_id = id;
    hole.partition_id = 3;
    add(s, &partition_record_type, 2, &hole); // 2
    struct unregister_broker_record broker = {.broker_id = 4};
    add(s, &unregister_broker_record_type, 0, &broker); // 3
    struct feature_level_record version = {.name = STR("metadata.version"), .feature_level = 31};
    add(s, &feature_level_record_type, 0, &version); // 4
    s->at[s->count++] = s->bytes.size;
    buffer_append(&s->bytes, "\x01\x06\x00", 3); // 5: a type that never was
    s->at[s->count++] = s->bytes.size;
    buffer_append(&s->bytes, "\x01\x02\x09", 3); // 6: a version that is not yet
    s->at[s->count++] = s->bytes.size;
    buffer_append(&s->bytes, "\x01\x02\x00\x7f", 4); // 7: cut short
    s->at[s->count++] = s->bytes.size;
    buffer_append(&s->bytes, "\x02\x02\x00", 3); // 8: another frame

    static const struct {
        size_t from, to;
        int rc;
        const char *word;
    } cases[] = {{0, 2, ERR_CORRUPT, "topic 'a' exists already"},
                 {2, 3, ERR_CORRUPT, "not there"},
                 {3, 4, ERR_CORRUPT, "broker 4 is not registered"},
                 {4, 5, ERR_UNSUPPORTED, "metadata.version 31"},
                 {5, 6, ERR_UNSUPPORTED, "unknown type"},
                 {6, 7, ERR_UNSUPPORTED, "no such version"},
                 {7, 8, ERR_CORRUPT, "TopicRecord"},
                 {8, 9, ERR_CORRUPT, "frame"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer why = BUFFER_INIT;
        assert_int_equal(apply(empty, s, cases[i].from, cases[i].to, &after, NULL, &why), cases[i].rc);
        buffer_byte(&why, 0);
        assert_non_null(strstr((char *)why.data, cases[i].word));
        buffer_free(&why);
    }
    assert_int_equal(apply(empty, s, 0, 1, &after, NULL, NULL), 0);
    struct image *never = NULL;
    assert_int_equal(apply(after, s, 2, 3, &never, NULL, NULL), ERR_CORRUPT); // a hole
    assert_null(never);
    image_unref(after);
    image_unref(empty);
    script_free(s);
}

static void publishing_retires_the_one_before(void **state)
{
    (void)state;
    struct qsbr_thread me;
    qsbr_register(&me);
    struct image *first = image_new(), *second = image_new();
    image_publish(first);
    assert_ptr_equal(image_current(), first);
    image_publish(second);
    assert_ptr_equal(image_current(), second);
    assert_int_equal(first->offset, -1); // still readable: no quiescent point yet
    qsbr_quiescent(&me);
    assert_int_equal(qsbr_reclaim(), 0);
    qsbr_unregister(&me);
}

enum { MANY_TOPICS = 100000 };

// Each of the names below is looked for among so many topics: if they were looked through, this would not end
// in time.
static void a_name_alike_is_found_among_many(void **state)
{
    (void)state;
    struct image *image = image_new();
    char name[32], other[32];
    for (unsigned i = 0; i < MANY_TOPICS; i++) {
        snprintf(name, sizeof name, i % 2 ? "many.topics_%u" : "many_topics.%u", i);
        struct uuid id = {{(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 7}};
        struct image_topic *topic = image_topic_new(str_from(name), &id);
        assert_int_equal(hamt_put(&image->topics_by_name, topic), 0);
    }
    static const char *const forms[] = {"many.topics.%u", "many_topics_%u", "many.topics_%u",
                                        "many_topics.%u"};
    for (unsigned i = 0; i < 4 * MANY_TOPICS; i++) {
        snprintf(name, sizeof name, i / 4 % 2 ? "many.topics_%u" : "many_topics.%u", i / 4);
        snprintf(other, sizeof other, forms[i % 4], i / 4);
        const struct image_topic *topic = image_topic(image, str_from(name));
        assert_non_null(topic);
        assert_ptr_equal(image_topic_alike(image, str_from(other)), topic);
        assert_ptr_equal(image_topic(image, str_from(other)), strcmp(name, other) ? NULL : topic);
    }
    static const char *const none[] = {"", "many", "many-topics_1", "many.topics_100000", "many.topics_1."};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(image_topic_alike(image, str_from(none[i])));
    image_unref(image);
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

enum { ALIKE = 10000, ALIKE_BITS = 14 };

// One request may create as many names that differ in '.' and '_' alone. They are alike in a part of their
// hashes, and no more: otherwise they would lie in one list, and each would be looked for through all of it.
static void many_names_alike_are_told_apart(void **state)
{
    (void)state;
    struct image *image = image_new();
    const struct hamt_ops *ops = image->topics_by_name.ops;
    const uint64_t common = (UINT64_C(1) << IMAGE_NAME_ALIKE_BITS) - 1;
    char name[ALIKE_BITS + 1] = "";
    uint64_t first = 0, *all = calloc(ALIKE, sizeof *all);
    for (unsigned i = 0; i < ALIKE; i++) {
        for (unsigned bit = 0; bit < ALIKE_BITS; bit++)
            name[bit] = i >> bit & 1 ? '.' : '_';
        struct str s = str_from(name);
        struct uuid id = {{(uint8_t)i, (uint8_t)(i >> 8), 9}};
        uint64_t hash = ops->hash(&s);
        first = i ? first : hash;
        assert_true((hash & common) == (first & common));
        all[i] = hash & ~common;
        const struct image_topic *alike = image_topic_alike(image, s);
        assert_true(i ? alike && alike->name.size == s.size : !alike);
        assert_int_equal(hamt_put(&image->topics_by_name, image_topic_new(s, &id)), 0);
        assert_true(str_equal(image_topic(image, s)->name, s));
    }
    qsort(all, ALIKE, sizeof *all, compare_hashes);
    unsigned same = 0;
    for (unsigned i = 1; i < ALIKE; i++)
        same += all[i] == all[i - 1];
    assert_true(same < ALIKE / 100);
    free(all);
    image_unref(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_by_one_is_all_at_once_is_the_snapshot),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(publishing_retires_the_one_before),
        cmocka_unit_test(a_name_alike_is_found_among_many),
        cmocka_unit_test(many_names_alike_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
