#include "server/coordinators.h"

#include "base/error.h"
#include "config/alter.h"
#include "coordinator/group/metadata_hash.h"
#include "metadata/image.h"
#include "server/group_assignments.h"
#include "server/group_regexes.h"
#include "server/live_config.h"
#include "server/reactors.h"
#include "server/transactions.h"
#include "storage/compress.h"

#include <stdio.h>
#include <stdlib.h>

static struct loop *loop_at(void *arg, unsigned index)
{
    struct broker *b = arg;
    return &reactors_at(b->reactors, index)->loop;
}

static int integer(const struct broker *b, struct str name, int64_t *out)
{
    struct arena arena;
    struct setting_value value;
    arena_init(&arena, 0);
    int rc = broker_config_value(b->config, name, &arena, &value);
    *out = value.integer;
    arena_free(&arena);
    return rc;
}

// What groups ask about topics. On reactors, within a turn.

static int64_t metadata_version(void *context)
{
    (void)context;
    return image_current()->offset;
}

struct placed { // a topic, and where the brokers are
    const struct image *image;
    const struct image_topic *topic;
};

static uint32_t racks_of(const void *context, int32_t partition, struct str *racks, uint32_t most)
{
    const struct placed *placed = context;
    const struct image_partition *p = placed->topic->partitions[partition];
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->replicas_count && count < most; i++) {
        const struct image_broker *broker = image_broker(placed->image, p->replicas[i]);
        if (broker && broker->rack.size > 0)
            racks[count++] = broker->rack;
    }
    return count;
}

static bool find_topic(void *context, struct str name, struct group_topic *out)
{
    (void)context;
    const struct image *image = image_current();
    const struct image_topic *topic = image_topic(image, name);
    if (!topic)
        return false;
    const struct placed placed = {image, topic};
    int32_t partitions = (int32_t)topic->partitions_count;
    *out = (struct group_topic){topic->id, partitions,
                                metadata_hash_topic(&topic->id, name, partitions, racks_of, &placed)};
    return true;
}

static int32_t find_setting(void *context, struct str group, struct str name, int32_t otherwise)
{
    struct broker *b = context;
    const struct image_config *config = image_config(image_current(), IMAGE_RESOURCE_GROUP, group);
    for (uint32_t i = 0; config && i < config->entries_count; i++)
        if (str_equal(config->entries[i].name, name)) {
            char text[12];
            struct str value = config->entries[i].value;
            snprintf(text, sizeof text, "%.*s", STR_ARG(value));
            long set = strtol(text, NULL, 10); // it was checked when it was set, by the bounds of then
            return (int32_t)group_config_bound(broker_config_now(b), name, set);
        }
    return otherwise;
}

static struct str find_topic_name(void *context, const struct uuid *id)
{
    (void)context;
    const struct image_topic *topic = image_topic_by_id(image_current(), id);
    return topic ? topic->name : STR_NULL;
}

static int64_t topics_version(void *context)
{
    struct broker *b = context;
    return atomic_load(&b->topics_version);
}

static struct coordinator *start(struct broker *b, const struct coordinator_machine *machine,
                                 const void *config, int64_t partitions, int64_t compression,
                                 int64_t linger_ms)
{
    struct coordinator_params p = {.machine = machine,
                                   .config = config,
                                   .broker_id = b->config->node_id,
                                   .replicas = b->replicas,
                                   .flusher = b->flusher,
                                   .partitions = (int32_t)partitions,
                                   .compression = (int8_t)compression,
                                   .linger_ms = linger_ms > 0 ? (int32_t)linger_ms : 0,
                                   .loop_at = loop_at,
                                   .loop_count = reactors_count(b->reactors),
                                   .arg = b};
    return coordinator_new(&p);
}

static int start_groups(struct broker *b)
{
    int64_t partitions = 0, compression = 0, linger_ms = 0;
    int rc = group_config_init(&b->group_config, broker_config_now(b));
    rc = rc ? rc : integer(b, STR("offsets.topic.num.partitions"), &partitions);
    rc = rc ? rc : integer(b, STR("offsets.topic.compression.codec"), &compression);
    rc = rc ? rc : integer(b, STR("group.coordinator.append.linger.ms"), &linger_ms);
    if (rc)
        return rc;
    b->group_config.metadata = (struct group_metadata){.context = b,
                                                       .version = metadata_version,
                                                       .topic = find_topic,
                                                       .topic_name = find_topic_name,
                                                       .topics_version = topics_version,
                                                       .setting = find_setting};
    b->group_config.resolve = group_regexes_resolve;
    b->group_config.assign = group_assignments_compute;
    b->group_config.resolve_to = &reactors_at(b->reactors, 0)->loop;
    b->group_config.resolve_context = b;
    b->groups = start(b, &group_machine, &b->group_config, partitions, compression, linger_ms);
    return b->groups ? 0 : ERR_NOMEM;
}

static int start_transactions(struct broker *b)
{
    int64_t partitions = 0;
    int rc = transactions_init(b);
    rc = rc ? rc : integer(b, STR("transaction.state.log.num.partitions"), &partitions);
    if (rc)
        return rc;
    b->transactions = start(b, &transaction_machine, &b->transaction_config, partitions, COMPRESSION_NONE, 0);
    return b->transactions ? 0 : ERR_NOMEM;
}

int coordinators_start(struct broker *b, const struct image *image)
{
    atomic_store(&b->topics_version, image->offset);
    int rc = start_groups(b);
    rc = rc ? rc : start_transactions(b);
    if (rc)
        return rc;
    coordinator_load(b->groups, image);
    coordinator_load(b->transactions, image);
    return 0;
}

void coordinators_apply(struct broker *b, const struct image_changes *changes)
{
    for (uint32_t i = 0; i < changes->topics_count; i++)
        if (changes->topics[i].change == IMAGE_TOPIC_CREATED)
            atomic_store(&b->topics_version, changes->after->offset);
    coordinator_apply(b->groups, changes);
    coordinator_apply(b->transactions, changes);
    for (uint32_t i = 0; i < changes->topics_count; i++)
        if (changes->topics[i].change == IMAGE_TOPIC_DELETED)
            coordinator_tell_all(b->groups, GROUP_TOPIC_DELETED, &changes->topics[i].before->name);
}

void coordinators_stop(struct broker *b)
{
    coordinator_stop(b->transactions);
    coordinator_stop(b->groups);
}

void coordinators_free(struct broker *b)
{
    transactions_free(b);
    coordinator_free(b->transactions);
    coordinator_free(b->groups);
}
