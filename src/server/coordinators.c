#include "server/coordinators.h"

#include "base/error.h"
#include "server/reactors.h"

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

int coordinators_start(struct broker *b, const struct image *image)
{
    int64_t partitions = 0, compression = 0;
    int rc = group_config_init(&b->group_config, b->config);
    rc = rc ? rc : integer(b, STR("offsets.topic.num.partitions"), &partitions);
    rc = rc ? rc : integer(b, STR("offsets.topic.compression.codec"), &compression);
    if (rc)
        return rc;
    struct coordinator_params p = {.machine = &group_machine,
                                   .config = &b->group_config,
                                   .broker_id = b->config->node_id,
                                   .replicas = b->replicas,
                                   .flusher = b->flusher,
                                   .partitions = (int32_t)partitions,
                                   .compression = (int8_t)compression,
                                   .loop_at = loop_at,
                                   .loop_count = reactors_count(b->reactors),
                                   .arg = b};
    b->groups = coordinator_new(&p);
    if (!b->groups)
        return ERR_NOMEM;
    coordinator_load(b->groups, image);
    return 0;
}

void coordinators_apply(struct broker *b, const struct image_changes *changes)
{
    coordinator_apply(b->groups, changes);
    for (uint32_t i = 0; i < changes->topics_count; i++)
        if (changes->topics[i].change == IMAGE_TOPIC_DELETED)
            coordinator_tell_all(b->groups, GROUP_TOPIC_DELETED, &changes->topics[i].before->name);
}

void coordinators_stop(struct broker *b)
{
    coordinator_stop(b->groups);
}

void coordinators_free(struct broker *b)
{
    coordinator_free(b->groups);
}
