#include "server/handlers/offline_replicas.h"

#include "base/error.h"

int offline_replicas(const struct image *image, const struct image_partition *p, struct arena *arena,
                     int32_t **out, int32_t *count)
{
    *count = 0;
    *out = arena_alloc(arena, (p->replicas_count + 1) * sizeof **out);
    if (!*out)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < p->replicas_count; i++) {
        const struct image_broker *b = image_broker(image, p->replicas[i]);
        if (!b || b->fenced || !image_directory_online(b, &p->directories[i]))
            (*out)[(*count)++] = p->replicas[i];
    }
    return 0;
}
