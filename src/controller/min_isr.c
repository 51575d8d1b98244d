// KIP-966: while eligible leaders are kept the minimum ISR is the cluster's, and no broker's own.
#include "config/topic_config.h"
#include "controller/controller_internal.h"

#include <stdio.h>

static void emit(struct step *s, struct str broker, struct str value)
{
    struct config_record r = {.resource_type = IMAGE_RESOURCE_BROKER,
                              .resource_name = broker,
                              .name = STR(MIN_ISR),
                              .value = value};
    step_emit(s, &config_record_type, 0, &r);
}

void min_isr_becomes_clusters(struct step *s)
{
    const struct image *image = s->c->image;
    struct str broker = STR("");
    if (!image_config_value(image_config(image, IMAGE_RESOURCE_BROKER, broker), STR(MIN_ISR)).data) {
        struct arena arena;
        struct setting_value value;
        char text[16] = "1";
        arena_init(&arena, 0);
        if (s->c->config.config &&
            broker_config_value(s->c->config.config, STR(MIN_ISR), &arena, &value) == 0 && !value.null)
            snprintf(text, sizeof text, "%d", (int)value.integer);
        emit(s, broker, str_from(text));
        arena_free(&arena);
    }
    struct hamt_walk walk = hamt_walk(&image->configs);
    for (const struct image_config *config; (config = hamt_next(&walk));)
        if (config->key.type == IMAGE_RESOURCE_BROKER && config->key.name.size > 0 &&
            image_config_value(config, STR(MIN_ISR)).data)
            emit(s, config->key.name, STR_NULL);
}
