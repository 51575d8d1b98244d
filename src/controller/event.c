#include "base/error.h"
#include "controller/controller.h"
#include "protocol/api.h"

int controller_event_init(struct controller_event *event, int16_t api_key, int16_t version,
                          const void *request)
{
    *event = (struct controller_event){.api_key = api_key, .version = version, .offset = -1};
    const struct api *api = api_find(api_key);
    if (!api)
        return ERR_INVALID;
    arena_init(&event->arena, 0);
    struct bytes encoded;
    int rc = message_to_bytes(api->request, version, request, &event->arena, &encoded);
    void *copy = rc == 0 ? arena_alloc(&event->arena, api->request->size_bytes) : NULL;
    if (rc == 0 && !copy)
        rc = ERR_NOMEM;
    if (rc == 0)
        rc = message_decode(api->request, version, encoded, &event->arena, copy, NULL);
    if (rc) {
        arena_free(&event->arena);
        return rc == ERR_NOMEM ? rc : ERR_INVALID;
    }
    event->request = copy;
    return 0;
}

void controller_event_free(struct controller_event *event)
{
    arena_free(&event->arena);
}
