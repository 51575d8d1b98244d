#include "quota/resolve.h"

// An entity of a user and a client id: by name, by default, or not at all.
enum part { PART_NONE, PART_NAMED, PART_DEFAULT };

// In the order in which they count.
static const struct {
    enum part user, client_id;
} entities[] = {
    {PART_NAMED, PART_NAMED},   {PART_NAMED, PART_DEFAULT},   {PART_NAMED, PART_NONE},
    {PART_DEFAULT, PART_NAMED}, {PART_DEFAULT, PART_DEFAULT}, {PART_DEFAULT, PART_NONE},
    {PART_NONE, PART_NAMED},    {PART_NONE, PART_DEFAULT},
};

static void add_part(struct image_quota_entity *entity, struct str type, enum part part, struct str name)
{
    if (part != PART_NONE)
        entity->parts[entity->count++] =
            (struct image_quota_part){type, part == PART_NAMED ? name : STR_NULL};
}

bool quota_resolve(const struct image *image, enum image_quota_kind kind, const struct quota_client *client,
                   struct quota_limit *out)
{
    if (image->quota_counts[kind] == 0)
        return false;
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        struct image_quota_part parts[2];
        struct image_quota_entity entity = {0, parts};
        // By type: "client-id" comes before "user".
        add_part(&entity, STR("client-id"), entities[i].client_id, client->client_id);
        add_part(&entity, STR("user"), entities[i].user, client->user);
        const struct image_quota *quota = image_quota(image, &entity);
        if (!quota || !(quota->kinds & 1U << kind))
            continue;
        // Who sends no client id is not told apart from others of the user by one, and has none of its
        // quotas.
        if (entities[i].client_id != PART_NONE && client->client_id.size == 0)
            continue;
        out->bound = quota->limits[kind];
        out->shared_with = (struct quota_client){
            entities[i].user == PART_NONE ? STR("") : client->user,
            entities[i].client_id == PART_NONE ? STR("") : client->client_id,
        };
        return true;
    }
    return false;
}
