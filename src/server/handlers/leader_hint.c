#include "server/handlers/leader_hint.h"

#include "metadata/image.h"

void leader_hints_init(struct leader_hints *hints, struct request *request)
{
    hints->request = request;
    hints->count = 0;
}

static void add_node(struct leader_hints *hints, const struct image_broker *broker)
{
    for (size_t i = 0; i < hints->count; i++)
        if (hints->nodes[i].id == broker->id)
            return;
    const struct image_endpoint *e =
        image_broker_endpoint(broker, str_from(request_listener(hints->request)->name));
    if (!e || hints->count == LEADER_HINTS_MAX)
        return;
    struct arena *arena = &hints->request->arena;
    hints->nodes[hints->count++] = (struct leader_node){.id = broker->id,
                                                        .host = arena_str(arena, e->host),
                                                        .port = e->port,
                                                        .rack = arena_str(arena, broker->rack)};
}

void leader_hints_add(struct leader_hints *hints, const struct uuid *topic_id, int32_t partition,
                      int32_t *leader_id, int32_t *leader_epoch)
{
    const struct image *image = image_current();
    const struct image_topic *topic = image_topic_by_id(image, topic_id);
    const struct image_partition *p = topic ? image_partition(topic, partition) : NULL;
    if (!p)
        return;
    *leader_id = p->leader;
    *leader_epoch = p->leader_epoch;
    const struct image_broker *broker = p->leader == IMAGE_NO_LEADER ? NULL : image_broker(image, p->leader);
    if (broker && !broker->fenced)
        add_node(hints, broker);
}
