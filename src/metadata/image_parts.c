#include "metadata/image_parts.h"

#include "base/map.h"
#include "metadata/topic_name.h"

#include <stdlib.h>

// A part and all that it points to lie in one piece of memory. The same function lays it out twice: once
// without memory, to count, and once for real.
struct pack {
    uint8_t *base; // NULL while counting
    size_t used;
};

static void *pack(struct pack *p, const void *data, size_t size, size_t align)
{
    p->used = (p->used + align - 1) & ~(align - 1);
    uint8_t *to = p->base ? p->base + p->used : NULL;
    if (to && size)
        memcpy(to, data, size);
    p->used += size;
    return to;
}

static struct str pack_str(struct pack *p, struct str s)
{
    if (!s.data)
        return STR_NULL;
    return (struct str){pack(p, s.data, s.size, 1), s.size};
}

static int32_t *pack_ids(struct pack *p, const int32_t *ids, uint32_t count)
{
    return pack(p, ids, count * sizeof *ids, _Alignof(int32_t));
}

static struct uuid *pack_uuids(struct pack *p, const struct uuid *ids, uint32_t count)
{
    return pack(p, ids, count * sizeof *ids, _Alignof(struct uuid));
}

// Lays out with `layout(&pack, values, part)`; `part` is scratch while counting.
#define PART_NEW(type, layout, values)                     \
    do {                                                   \
        struct type scratch;                               \
        struct pack p = {0};                               \
        layout(&p, values, &scratch);                      \
        p = (struct pack){malloc(p.used), 0};              \
        if (!p.base)                                       \
            return NULL;                                   \
        struct type *part = (struct type *)(void *)p.base; \
        layout(&p, values, part);                          \
        atomic_init(&part->refs, 1);                       \
        return part;                                       \
    } while (0)

static bool last_ref(atomic_uint *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

static void partition_layout(struct pack *p, const struct image_partition *v, struct image_partition *out)
{
    pack(p, v, sizeof *v, _Alignof(struct image_partition));
    if (!p->base)
        *out = *v;
    out->replicas = pack_ids(p, v->replicas, v->replicas_count);
    out->isr = pack_ids(p, v->isr, v->isr_count);
    out->removing = pack_ids(p, v->removing, v->removing_count);
    out->adding = pack_ids(p, v->adding, v->adding_count);
    out->elr = pack_ids(p, v->elr, v->elr_count);
    out->last_known_elr = pack_ids(p, v->last_known_elr, v->last_known_elr_count);
    out->directories = pack_uuids(p, v->directories, v->replicas_count);
}

struct image_partition *image_partition_new(const struct image_partition *values)
{
    PART_NEW(image_partition, partition_layout, values);
}

void image_partition_unref(struct image_partition *p)
{
    if (p && last_ref(&p->refs))
        free(p);
}

static struct image_endpoint *pack_endpoints(struct pack *p, const struct image_endpoint *v, uint32_t count)
{
    struct image_endpoint *out = pack(p, v, count * sizeof *v, _Alignof(struct image_endpoint));
    for (uint32_t i = 0; i < count; i++) {
        struct str name = pack_str(p, v[i].name), host = pack_str(p, v[i].host);
        if (out) {
            out[i].name = name;
            out[i].host = host;
        }
    }
    return out;
}

static struct image_feature_range *pack_features(struct pack *p, const struct image_feature_range *v,
                                                 uint32_t count)
{
    struct image_feature_range *out = pack(p, v, count * sizeof *v, _Alignof(struct image_feature_range));
    for (uint32_t i = 0; i < count; i++) {
        struct str name = pack_str(p, v[i].name);
        if (out)
            out[i].name = name;
    }
    return out;
}

static void broker_layout(struct pack *p, const struct image_broker *v, struct image_broker *out)
{
    pack(p, v, sizeof *v, _Alignof(struct image_broker));
    out->endpoints = pack_endpoints(p, v->endpoints, v->endpoints_count);
    out->features = pack_features(p, v->features, v->features_count);
    out->log_dirs = pack_uuids(p, v->log_dirs, v->log_dirs_count);
    out->cordoned_log_dirs = pack_uuids(p, v->cordoned_log_dirs, v->cordoned_log_dirs_count);
    out->rack = pack_str(p, v->rack);
}

struct image_broker *image_broker_new(const struct image_broker *values)
{
    PART_NEW(image_broker, broker_layout, values);
}

void image_broker_unref(struct image_broker *b)
{
    if (b && last_ref(&b->refs))
        free(b);
}

static void controller_layout(struct pack *p, const struct image_controller *v, struct image_controller *out)
{
    pack(p, v, sizeof *v, _Alignof(struct image_controller));
    out->endpoints = pack_endpoints(p, v->endpoints, v->endpoints_count);
    out->features = pack_features(p, v->features, v->features_count);
}

struct image_controller *image_controller_new(const struct image_controller *values)
{
    PART_NEW(image_controller, controller_layout, values);
}

void image_controller_unref(struct image_controller *c)
{
    if (c && last_ref(&c->refs))
        free(c);
}

static void config_layout(struct pack *p, const struct image_config *v, struct image_config *out)
{
    pack(p, v, sizeof *v, _Alignof(struct image_config));
    out->key.name = pack_str(p, v->key.name);
    struct config_entry *entries =
        pack(p, v->entries, v->entries_count * sizeof *entries, _Alignof(struct config_entry));
    for (uint32_t i = 0; i < v->entries_count; i++) {
        struct str name = pack_str(p, v->entries[i].name), value = pack_str(p, v->entries[i].value);
        if (entries)
            entries[i] = (struct config_entry){name, value};
    }
    out->entries = entries;
}

struct image_config *image_config_new(const struct image_config *values)
{
    PART_NEW(image_config, config_layout, values);
}

void image_config_unref(struct image_config *c)
{
    if (c && last_ref(&c->refs))
        free(c);
}

const struct str image_quota_keys[QUOTA_KINDS] = {
    [QUOTA_PRODUCER_BYTE_RATE] = STR("producer_byte_rate"),
    [QUOTA_CONSUMER_BYTE_RATE] = STR("consumer_byte_rate"),
    [QUOTA_REQUEST_PERCENTAGE] = STR("request_percentage"),
    [QUOTA_CONTROLLER_MUTATION_RATE] = STR("controller_mutation_rate"),
    [QUOTA_CONNECTION_CREATION_RATE] = STR("connection_creation_rate"),
};

static void quota_layout(struct pack *p, const struct image_quota *v, struct image_quota *out)
{
    pack(p, v, sizeof *v, _Alignof(struct image_quota));
    struct image_quota_part *parts =
        pack(p, v->entity.parts, v->entity.count * sizeof *parts, _Alignof(struct image_quota_part));
    struct image_quota_value *values =
        pack(p, v->values, v->values_count * sizeof *values, _Alignof(struct image_quota_value));
    for (uint32_t i = 0; i < v->entity.count; i++) {
        struct str type = pack_str(p, v->entity.parts[i].type), name = pack_str(p, v->entity.parts[i].name);
        if (parts)
            parts[i] = (struct image_quota_part){type, name};
    }
    for (uint32_t i = 0; i < v->values_count; i++) {
        struct str key = pack_str(p, v->values[i].key);
        if (values)
            values[i].key = key;
    }
    out->entity.parts = parts;
    out->values = values;
}

static struct image_quota *quota_pack(const struct image_quota *values)
{
    PART_NEW(image_quota, quota_layout, values);
}

struct image_quota *image_quota_new(const struct image_quota *values)
{
    struct image_quota *q = quota_pack(values);
    if (!q)
        return NULL;
    q->kinds = 0;
    for (uint32_t i = 0; i < q->values_count; i++) {
        for (unsigned kind = 0; kind < QUOTA_KINDS; kind++) {
            if (!str_equal(q->values[i].key, image_quota_keys[kind]))
                continue;
            q->kinds |= 1U << kind;
            q->limits[kind] = q->values[i].value;
        }
    }
    return q;
}

static void quota_unref(void *value)
{
    struct image_quota *q = value;
    if (last_ref(&q->refs))
        free(q);
}

static void scram_layout(struct pack *p, const struct image_scram *v, struct image_scram *out)
{
    pack(p, v, sizeof *v, _Alignof(struct image_scram));
    out->key.user = pack_str(p, v->key.user);
    out->salt.data = pack(p, v->salt.data, v->salt.size, 1);
    out->stored_key.data = pack(p, v->stored_key.data, v->stored_key.size, 1);
    out->server_key.data = pack(p, v->server_key.data, v->server_key.size, 1);
}

struct image_scram *image_scram_new(const struct image_scram *values)
{
    PART_NEW(image_scram, scram_layout, values);
}

static void scram_unref(void *value)
{
    struct image_scram *s = value;
    if (last_ref(&s->refs))
        free(s);
}

static void kept_layout(struct pack *p, const struct image_kept *v, struct image_kept *out)
{
    pack(p, v, sizeof *v, _Alignof(struct image_kept));
    out->key.data = pack(p, v->key.data, v->key.size, 1);
    out->value.data = pack(p, v->value.data, v->value.size, 1);
}

struct image_kept *image_kept_new(const struct image_kept *values)
{
    PART_NEW(image_kept, kept_layout, values);
}

static void kept_unref(void *value)
{
    struct image_kept *k = value;
    if (last_ref(&k->refs))
        free(k);
}

struct image_topic *image_topic_new(struct str name, const struct uuid *id)
{
    struct image_topic *t = malloc(sizeof *t + name.size);
    if (!t)
        return NULL;
    *t = (struct image_topic){.name = {(char *)(t + 1), name.size}, .id = *id};
    memcpy(t + 1, name.data, name.size);
    atomic_init(&t->refs, 1);
    return t;
}

struct image_topic *image_topic_copy(const struct image_topic *topic)
{
    struct image_topic *t = image_topic_new(topic->name, &topic->id);
    if (!t || !topic->partitions_count)
        return t;
    uint32_t capacity = 1; // a power of two, as apply.c grows it
    while (capacity < topic->partitions_count)
        capacity *= 2;
    t->partitions = malloc(capacity * sizeof(void *));
    if (!t->partitions) {
        free(t);
        return NULL;
    }
    t->partitions_count = topic->partitions_count;
    for (uint32_t i = 0; i < t->partitions_count; i++) {
        t->partitions[i] = topic->partitions[i];
        image_part_ref(t->partitions[i]);
    }
    return t;
}

void image_topic_unref(struct image_topic *t)
{
    if (!t || !last_ref(&t->refs))
        return;
    for (uint32_t i = 0; i < t->partitions_count; i++)
        image_partition_unref(t->partitions[i]);
    free(t->partitions);
    free(t);
}

// --- how the tables see them ---

static void topic_unref(void *value)
{
    image_topic_unref(value);
}

static const void *topic_name(const void *value)
{
    return &((const struct image_topic *)value)->name;
}

static char without_dot(char c)
{
    return c == '.' ? '_' : c;
}

// The lower part is of the name as metrics have it, so that topics whose names are alike there are found by
// one lookup; the rest is of the name itself, as one request may create thousands that are alike. What is
// longer than a topic's name is none's.
static uint64_t topic_name_hash(const void *key)
{
    const struct str *name = key;
    char plain[TOPIC_NAME_MAX_BYTES];
    size_t size = name->size < sizeof plain ? name->size : sizeof plain;
    bool dotted = false;
    plain[0] = 0; // of an empty name gcc is not sure
    for (size_t i = 0; i < size; i++) {
        plain[i] = without_dot(name->data[i]);
        dotted |= name->data[i] == '.';
    }
    const uint64_t alike = (UINT64_C(1) << IMAGE_NAME_ALIKE_BITS) - 1;
    uint64_t hash = hash_bytes(plain, size);
    return dotted ? (hash & alike) | (hash_bytes(name->data, size) & ~alike) : hash;
}

static bool topic_name_same(const void *a, const void *b)
{
    return str_equal(*(const struct str *)a, *(const struct str *)b);
}

bool image_topic_name_alike(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    bool alike = x->size == y->size;
    for (size_t i = 0; alike && i < x->size; i++)
        alike = without_dot(x->data[i]) == without_dot(y->data[i]);
    return alike;
}

static const void *topic_id(const void *value)
{
    return &((const struct image_topic *)value)->id;
}

static uint64_t id_hash(const void *key)
{
    return hash_bytes(key, sizeof(struct uuid));
}

static bool id_same(const void *a, const void *b)
{
    return uuid_equal(a, b);
}

const struct hamt_ops image_topics_by_name_ops = {topic_name, topic_name_hash, topic_name_same,
                                                  image_part_ref, topic_unref};
const struct hamt_ops image_topics_by_id_ops = {topic_id, id_hash, id_same, image_part_ref, topic_unref};

static const void *config_key(const void *value)
{
    return &((const struct image_config *)value)->key;
}

static uint64_t config_hash(const void *key)
{
    const struct image_config_key *k = key;
    return hash_bytes(k->name.data, k->name.size) ^ hash_int((uint64_t)k->type);
}

static bool config_same(const void *a, const void *b)
{
    const struct image_config_key *x = a, *y = b;
    return x->type == y->type && str_equal(x->name, y->name);
}

static void config_unref(void *value)
{
    image_config_unref(value);
}

const struct hamt_ops image_configs_ops = {config_key, config_hash, config_same, image_part_ref,
                                           config_unref};

static const void *quota_key(const void *value)
{
    return &((const struct image_quota *)value)->entity;
}

static uint64_t quota_hash(const void *key)
{
    const struct image_quota_entity *e = key;
    uint64_t hash = e->count;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct image_quota_part *part = &e->parts[i];
        hash = hash_int(hash ^ hash_bytes(part->type.data, part->type.size));
        if (part->name.data)
            hash = hash_int(hash ^ hash_bytes(part->name.data, part->name.size));
    }
    return hash;
}

static bool quota_same(const void *a, const void *b)
{
    const struct image_quota_entity *x = a, *y = b;
    bool same = x->count == y->count;
    for (uint32_t i = 0; i < x->count && same; i++)
        same = str_equal(x->parts[i].type, y->parts[i].type) &&
               !x->parts[i].name.data == !y->parts[i].name.data && // the default is not the empty name
               str_equal(x->parts[i].name, y->parts[i].name);
    return same;
}

const struct hamt_ops image_quotas_ops = {quota_key, quota_hash, quota_same, image_part_ref, quota_unref};

static const void *scram_key(const void *value)
{
    return &((const struct image_scram *)value)->key;
}

static uint64_t scram_hash(const void *key)
{
    const struct image_scram_key *k = key;
    return hash_bytes(k->user.data, k->user.size) ^ hash_int((uint64_t)k->mechanism);
}

static bool scram_same(const void *a, const void *b)
{
    const struct image_scram_key *x = a, *y = b;
    return x->mechanism == y->mechanism && str_equal(x->user, y->user);
}

const struct hamt_ops image_scram_ops = {scram_key, scram_hash, scram_same, image_part_ref, scram_unref};

static const void *kept_key(const void *value)
{
    return &((const struct image_kept *)value)->key;
}

static uint64_t bytes_hash(const void *key)
{
    const struct bytes *b = key;
    return hash_bytes(b->data, b->size);
}

static bool bytes_same(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;
    return x->size == y->size && memcmp(x->data, y->data, x->size) == 0;
}

const struct hamt_ops image_kept_ops = {kept_key, bytes_hash, bytes_same, image_part_ref, kept_unref};
