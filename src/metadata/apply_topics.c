// Topics, partitions and configurations.
#include "metadata/builder.h"

#include <stdlib.h>

static struct str id_key(const struct uuid *id)
{
    return (struct str){(const char *)id->bytes, sizeof id->bytes};
}

// The edit of a topic, made when this application touches it for the first time. NULL: out of memory.
static struct topic_edit *edit_of(struct image_builder *b, const struct uuid *id)
{
    struct topic_edit *edit = map_get(&b->topics, id_key(id));
    if (edit)
        return edit;
    edit = arena_zalloc(&b->memory, 1, sizeof *edit);
    if (!edit)
        return NULL;
    edit->id = *id;
    if (map_put(&b->topics, id_key(&edit->id), edit))
        return NULL;
    edit->before = hamt_get(&b->before->topics_by_id, id);
    if (edit->before)
        image_part_ref(edit->before);
    return edit;
}

// Puts the topic into both tables. Takes no reference of the caller's.
static int put_topic(struct image_builder *b, struct image_topic *topic)
{
    image_part_ref(topic);
    int rc = hamt_put(&b->image->topics_by_name, topic);
    if (rc) {
        image_topic_unref(topic);
        return rc;
    }
    image_part_ref(topic);
    rc = hamt_put(&b->image->topics_by_id, topic);
    if (rc)
        image_topic_unref(topic);
    return rc;
}

// The topic, to be changed in place: a copy of its own of this application. *out NULL: there is none.
static int writable_topic(struct image_builder *b, const struct uuid *id, struct image_topic **out)
{
    *out = NULL;
    if (!hamt_get(&b->image->topics_by_id, id))
        return 0;
    struct topic_edit *edit = edit_of(b, id);
    if (!edit)
        return ERR_NOMEM;
    if (!edit->after) {
        edit->after = image_topic_copy(edit->before);
        if (!edit->after)
            return ERR_NOMEM;
        int rc = put_topic(b, edit->after);
        if (rc)
            return rc;
    }
    *out = edit->after;
    return 0;
}

int apply_topic(struct image_builder *b, const void *message)
{
    const struct topic_record *r = message;
    if (image_topic(b->image, r->name))
        return builder_fail(b, ERR_CORRUPT, "topic '%.*s' exists already", STR_ARG(r->name));
    if (image_topic_by_id(b->image, &r->topic_id))
        return builder_fail(b, ERR_CORRUPT, "the id of topic '%.*s' is another topic's", STR_ARG(r->name));
    struct topic_edit *edit = edit_of(b, &r->topic_id);
    if (!edit)
        return ERR_NOMEM;
    edit->after = image_topic_new(r->name, &r->topic_id);
    return edit->after ? put_topic(b, edit->after) : ERR_NOMEM;
}

static int set_partition(struct image_builder *b, struct image_topic *topic, int32_t id,
                         const struct image_partition *values)
{
    struct image_partition *p = image_partition_new(values);
    if (!p)
        return ERR_NOMEM;
    uint32_t index = (uint32_t)id, count = topic->partitions_count;
    if (index >= count) {
        uint32_t have = 0, want = 1; // capacities are powers of two
        while (count && (have = have ? have * 2 : 1) < count)
            ;
        while (want < index + 1)
            want *= 2;
        if (want > have) {
            void *grown = realloc(topic->partitions, want * sizeof(void *));
            if (!grown) {
                image_partition_unref(p);
                return ERR_NOMEM;
            }
            topic->partitions = grown;
        }
        for (uint32_t i = count; i <= index; i++)
            topic->partitions[i] = NULL; // apply_check_topics wants them filled in the end
        topic->partitions_count = index + 1;
    }
    if (!topic->partitions[index])
        b->image->partitions_count++;
    image_partition_unref(topic->partitions[index]);
    topic->partitions[index] = p;
    return 0;
}

// A list of a record (count -1: null) over the value that holds otherwise.
static void take_ids(int32_t **out, uint32_t *out_count, int32_t *ids, int32_t count)
{
    if (count < 0)
        return;
    *out = ids;
    *out_count = (uint32_t)count;
}

// The directories of `count` replicas: those of the record, or all MIGRATING where it names none.
static int take_directories(struct image_builder *b, struct image_partition *values, struct uuid *directories,
                            int32_t count)
{
    if (count > 0 && (uint32_t)count != values->replicas_count)
        return builder_fail(b, ERR_CORRUPT, "%d directories for %u replicas", count, values->replicas_count);
    if (count > 0) {
        values->directories = directories;
        return 0;
    }
    values->directories = arena_zalloc(&b->decoded, values->replicas_count + 1, sizeof(struct uuid));
    return values->directories ? 0 : ERR_NOMEM; // zero is DIRECTORY_MIGRATING
}

// More partitions than any cluster has: a record that says so is damaged.
#define PARTITION_LIMIT 10000000

int apply_partition(struct image_builder *b, const void *message)
{
    const struct partition_record *r = message;
    struct image_topic *topic;
    int rc = writable_topic(b, &r->topic_id, &topic);
    if (rc)
        return rc;
    if (!topic)
        return builder_fail(b, ERR_CORRUPT, "partition %d of a topic that is not there", r->partition_id);
    if (r->partition_id < 0 || r->partition_id >= PARTITION_LIMIT)
        return builder_fail(b, ERR_CORRUPT, "partition %d of topic '%.*s'", r->partition_id,
                            STR_ARG(topic->name));
    struct image_partition values = {.id = r->partition_id,
                                     .leader = r->leader,
                                     .leader_epoch = r->leader_epoch,
                                     .partition_epoch = r->partition_epoch,
                                     .leader_recovery_state = r->leader_recovery_state};
    take_ids(&values.replicas, &values.replicas_count, r->replicas, r->replicas_count);
    take_ids(&values.isr, &values.isr_count, r->isr, r->isr_count);
    take_ids(&values.removing, &values.removing_count, r->removing_replicas, r->removing_replicas_count);
    take_ids(&values.adding, &values.adding_count, r->adding_replicas, r->adding_replicas_count);
    take_ids(&values.elr, &values.elr_count, r->eligible_leader_replicas, r->eligible_leader_replicas_count);
    take_ids(&values.last_known_elr, &values.last_known_elr_count, r->last_known_elr,
             r->last_known_elr_count);
    rc = take_directories(b, &values, r->directories, r->directories_count);
    return rc ? rc : set_partition(b, topic, r->partition_id, &values);
}

int apply_partition_change(struct image_builder *b, const void *message)
{
    const struct partition_change_record *r = message;
    struct image_topic *topic;
    int rc = writable_topic(b, &r->topic_id, &topic);
    if (rc)
        return rc;
    const struct image_partition *old = image_partition(topic, r->partition_id);
    if (!old)
        return builder_fail(b, ERR_CORRUPT, "partition %d that is not there", r->partition_id);
    struct image_partition values = *old;
    take_ids(&values.replicas, &values.replicas_count, r->replicas, r->replicas_count);
    take_ids(&values.isr, &values.isr_count, r->isr, r->isr_count);
    take_ids(&values.removing, &values.removing_count, r->removing_replicas, r->removing_replicas_count);
    take_ids(&values.adding, &values.adding_count, r->adding_replicas, r->adding_replicas_count);
    take_ids(&values.elr, &values.elr_count, r->eligible_leader_replicas, r->eligible_leader_replicas_count);
    take_ids(&values.last_known_elr, &values.last_known_elr_count, r->last_known_elr,
             r->last_known_elr_count);
    if (r->directories_count >= 0)
        rc = take_directories(b, &values, r->directories, r->directories_count);
    else if (values.replicas_count != old->replicas_count) // before KIP-858 nobody says where they are
        rc = take_directories(b, &values, NULL, 0);
    if (rc)
        return rc;
    if (r->leader != -2) { // -2: no change
        values.leader = r->leader;
        values.leader_epoch++;
    }
    if (r->leader_recovery_state >= 0)
        values.leader_recovery_state = r->leader_recovery_state;
    values.partition_epoch++;
    return set_partition(b, topic, r->partition_id, &values);
}

int apply_remove_topic(struct image_builder *b, const void *message)
{
    const struct remove_topic_record *r = message;
    struct image_topic *topic = hamt_get(&b->image->topics_by_id, &r->topic_id);
    if (!topic)
        return builder_fail(b, ERR_CORRUPT, "a topic that is not there");
    struct topic_edit *edit = edit_of(b, &r->topic_id);
    if (!edit)
        return ERR_NOMEM;
    image_part_ref(topic); // its name is needed to the end
    int rc = apply_remove_config(b, IMAGE_RESOURCE_TOPIC, topic->name);
    if (rc == 0)
        rc = hamt_remove(&b->image->topics_by_name, &topic->name);
    if (rc == 0)
        rc = hamt_remove(&b->image->topics_by_id, &r->topic_id);
    if (rc == 0) {
        b->image->partitions_count -= topic->partitions_count;
        image_topic_unref(edit->after);
        edit->after = NULL;
    }
    image_topic_unref(topic);
    return rc;
}

static int clear_elr(struct image_builder *b, const struct uuid *id)
{
    struct image_topic *topic;
    int rc = writable_topic(b, id, &topic);
    for (uint32_t i = 0; rc == 0 && i < topic->partitions_count; i++) {
        const struct image_partition *p = topic->partitions[i];
        if (!p || (!p->elr_count && !p->last_known_elr_count))
            continue;
        struct image_partition values = *p;
        values.elr_count = values.last_known_elr_count = 0;
        values.partition_epoch++;
        rc = set_partition(b, topic, (int32_t)i, &values);
    }
    return rc;
}

static bool has_elr(const struct image_topic *topic)
{
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        const struct image_partition *p = topic->partitions[i];
        if (p && (p->elr_count || p->last_known_elr_count))
            return true;
    }
    return false;
}

// Of one topic, or of all when it names none.
int apply_clear_elr(struct image_builder *b, const void *message)
{
    const struct clear_elr_record *r = message;
    if (r->topic_name.size) {
        const struct image_topic *topic = image_topic(b->image, r->topic_name);
        if (!topic)
            return builder_fail(b, ERR_CORRUPT, "topic '%.*s' is not there", STR_ARG(r->topic_name));
        return has_elr(topic) ? clear_elr(b, &topic->id) : 0;
    }
    struct hamt all = hamt_share(&b->image->topics_by_id);
    struct hamt_walk w = hamt_walk(&all);
    int rc = 0;
    for (const struct image_topic *t; rc == 0 && (t = hamt_next(&w));)
        if (has_elr(t))
            rc = clear_elr(b, &t->id);
    hamt_release(&all);
    return rc;
}

int apply_check_topics(struct image_builder *b)
{
    size_t i = 0;
    for (struct map_entry *e; (e = map_next(&b->topics, &i));) {
        const struct image_topic *t = ((const struct topic_edit *)e->value)->after;
        for (uint32_t p = 0; t && p < t->partitions_count; p++)
            if (!t->partitions[p])
                return builder_fail(b, ERR_CORRUPT, "topic '%.*s' has no partition %u", STR_ARG(t->name), p);
    }
    return 0;
}

// --- configurations ---

// Notes the resource as touched, with what it was before.
static int touch_config(struct image_builder *b, int8_t type, struct str name)
{
    char *text = arena_alloc(&b->memory, name.size + 1);
    struct config_edit *edit = arena_zalloc(&b->memory, 1, sizeof *edit);
    if (!text || !edit)
        return ERR_NOMEM;
    text[0] = (char)type;
    memcpy(text + 1, name.data, name.size);
    struct str key = {text, name.size + 1};
    if (map_get(&b->configs, key))
        return 0;
    edit->key = (struct image_config_key){type, {text + 1, name.size}};
    edit->before = hamt_get(&b->before->configs, &edit->key);
    int rc = map_put(&b->configs, key, edit);
    if (rc == 0 && edit->before)
        image_part_ref(edit->before);
    return rc;
}

int apply_remove_config(struct image_builder *b, int8_t type, struct str name)
{
    struct image_config_key key = {type, name};
    if (!hamt_get(&b->image->configs, &key))
        return 0;
    int rc = touch_config(b, type, name);
    return rc ? rc : hamt_remove(&b->image->configs, &key);
}

int apply_config(struct image_builder *b, const void *message)
{
    const struct config_record *r = message;
    const struct image_config *old = image_config(b->image, r->resource_type, r->resource_name);
    int rc = touch_config(b, r->resource_type, r->resource_name);
    if (rc)
        return rc;
    uint32_t count = old ? old->entries_count : 0, n = 0;
    struct config_entry *entries = arena_alloc(&b->decoded, (count + 1) * sizeof *entries);
    if (!entries)
        return ERR_NOMEM;
    bool placed = r->value.data == NULL; // a null removes
    for (uint32_t i = 0; i < count; i++) {
        int order = str_compare(old->entries[i].name, r->name);
        if (!placed && order >= 0) {
            entries[n++] = (struct config_entry){r->name, r->value};
            placed = true;
        }
        if (order != 0)
            entries[n++] = old->entries[i];
    }
    if (!placed)
        entries[n++] = (struct config_entry){r->name, r->value};
    struct image_config values = {
        .key = {r->resource_type, r->resource_name}, .entries_count = n, .entries = entries};
    if (n == 0)
        return old ? hamt_remove(&b->image->configs, &values.key) : 0;
    struct image_config *config = image_config_new(&values);
    if (!config)
        return ERR_NOMEM;
    rc = hamt_put(&b->image->configs, config);
    if (rc)
        image_config_unref(config);
    return rc;
}
