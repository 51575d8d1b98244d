// ListConfigResources: what there is that has settings, or can have them.
#include "base/error.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/handlers.h"

#include <stdio.h>

#define FIRST_WITH_TYPES 1 // version 0 lists client metrics only

#define listed_resource     list_config_resources_response_config_resource
#define listed_resource_new list_config_resources_response_config_resource_new

struct listing {
    struct arena *arena;
    struct listed_resource *out;
    int32_t count;
};

static void add(struct listing *l, int8_t type, struct str name)
{
    struct listed_resource *r = &l->out[l->count++];
    r->resource_type = type;
    r->resource_name = name;
}

// What the image has settings of.
static void add_set(struct listing *l, const struct image *image, int8_t type)
{
    struct hamt_walk w = hamt_walk(&image->configs);
    for (const struct image_config *c; (c = hamt_next(&w));)
        if (c->key.type == type)
            add(l, type, c->key.name);
}

static void add_brokers(struct listing *l, const struct image *image, int8_t type)
{
    for (uint32_t i = 0; i < image->brokers_count; i++)
        if (!image->brokers[i]->fenced)
            add(l, type, arena_printf(l->arena, "%d", image->brokers[i]->id));
}

static void add_topics(struct listing *l, const struct image *image, int8_t type)
{
    struct hamt_walk w = hamt_walk(&image->topics_by_name);
    for (const struct image_topic *t; (t = hamt_next(&w));)
        add(l, type, t->name);
}

// In the order in which Kafka lists them.
static const struct {
    int8_t type;
    void (*add)(struct listing *l, const struct image *image, int8_t type);
} kinds[] = {{IMAGE_RESOURCE_GROUP, add_set},
             {IMAGE_RESOURCE_CLIENT_METRICS, add_set},
             {IMAGE_RESOURCE_BROKER_LOGGER, add_brokers},
             {IMAGE_RESOURCE_BROKER, add_brokers},
             {IMAGE_RESOURCE_TOPIC, add_topics}};

#define KINDS (sizeof kinds / sizeof *kinds)

// Which kinds are asked for; false when one of them is unknown. None: all.
static bool wanted_kinds(const struct list_config_resources_request *q, int16_t version, bool wanted[KINDS])
{
    int32_t count = version >= FIRST_WITH_TYPES ? q->resource_types_count : 0;
    for (size_t k = 0; k < KINDS; k++)
        wanted[k] =
            count == 0 && (version >= FIRST_WITH_TYPES || kinds[k].type == IMAGE_RESOURCE_CLIENT_METRICS);
    for (int32_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < KINDS; k++)
            if (kinds[k].type == q->resource_types[i])
                known = wanted[k] = true;
        if (!known)
            return false;
    }
    return true;
}

static void handle_list_config_resources(struct request *r)
{
    const struct image *image = image_current();
    struct list_config_resources_response out;
    struct listing l = {.arena = &r->arena};
    bool wanted[KINDS];
    message_init(&list_config_resources_response_type, &out);
    if (!request_authorize(r, ACL_DESCRIBE_CONFIGS, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME)) {
        out.error_code = E_CLUSTER_AUTHORIZATION_FAILED;
    } else if (!wanted_kinds(r->message, r->version, wanted)) {
        out.error_code = E_UNSUPPORTED_VERSION;
    } else {
        size_t most = image->configs.count + 2 * image->brokers_count + image_topics_count(image);
        l.out = listed_resource_new(&r->arena, (int32_t)most);
        if (!l.out) {
            request_close(r, "out of memory for the response to ListConfigResources");
            return;
        }
        for (size_t k = 0; k < KINDS; k++)
            if (wanted[k])
                kinds[k].add(&l, image, kinds[k].type);
        out.config_resources = l.out;
        out.config_resources_count = l.count;
    }
    request_respond(r, &out);
}

const struct api_handler list_config_resources_handler = {.api_key = 74,
                                                          .min_version = 0,
                                                          .max_version = 1,
                                                          .advertised_min_version = -1,
                                                          .listeners = LISTENER_BROKER,
                                                          .handle = handle_list_config_resources};
