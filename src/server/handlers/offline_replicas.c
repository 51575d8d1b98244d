#include "server/handlers/offline_replicas.h"

#include "base/error.h"

// KIP-858: what is assigned to no directory yet counts as being in a good one.
static bool directory_online(const struct image_broker *b, const struct uuid *directory)
{
    if (uuid_equal(directory, &DIRECTORY_UNASSIGNED) || uuid_equal(directory, &DIRECTORY_MIGRATING) ||
        b->log_dirs_count == 0)
        return !uuid_equal(directory, &DIRECTORY_LOST);
    for (uint32_t i = 0; i < b->log_dirs_count; i++)
        if (uuid_equal(&b->log_dirs[i], directory))
            return true;
    return false;
}

int offline_replicas(const struct image *image, const struct image_partition *p, struct arena *arena,
                     int32_t **out, int32_t *count)
{
    *count = 0;
    *out = arena_alloc(arena, (p->replicas_count + 1) * sizeof **out);
    if (!*out)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < p->replicas_count; i++) {
        const struct image_broker *b = image_broker(image, p->replicas[i]);
        if (!b || b->fenced || !directory_online(b, &p->directories[i]))
            (*out)[(*count)++] = p->replicas[i];
    }
    return 0;
}
