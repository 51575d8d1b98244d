#include "server/dynamic_config.h"

#include "base/error.h"

#include <stdio.h>

int dynamic_config_entries(const struct image *image, int8_t type, struct str name, struct arena *arena,
                           const struct config_entry **entries, size_t *count)
{
    const struct image_config *config = image_config(image, type, name);
    *entries = NULL;
    *count = 0;
    if (!config || config->entries_count == 0)
        return 0;
    struct config_entry *copy = arena_zalloc(arena, config->entries_count, sizeof *copy);
    if (!copy)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < config->entries_count; i++)
        copy[i] = (struct config_entry){config->entries[i].name, config->entries[i].value};
    *entries = copy;
    *count = config->entries_count;
    return 0;
}

int dynamic_config_layers(const struct image *image, int32_t node_id, struct arena *arena,
                          struct config_layers *layers)
{
    char id[12];
    snprintf(id, sizeof id, "%d", node_id);
    *layers = CONFIG_LAYERS_NONE;
    int err = dynamic_config_entries(image, IMAGE_RESOURCE_BROKER, str_from(id), arena, &layers->broker,
                                     &layers->broker_count);
    return err ? err
               : dynamic_config_entries(image, IMAGE_RESOURCE_BROKER, STR(""), arena, &layers->cluster,
                                        &layers->cluster_count);
}
