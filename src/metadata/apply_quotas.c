// Client quotas and SCRAM credentials.
#include "metadata/builder.h"

// The entity of a record, in the image's order; a type that comes twice counts as it came last.
static int take_entity(struct image_builder *b, const struct client_quota_record *r,
                       struct image_quota_entity *out)
{
    out->parts = arena_zalloc(&b->decoded, (size_t)r->entity_count + 1, sizeof *out->parts);
    out->count = 0;
    if (!out->parts)
        return ERR_NOMEM;
    for (int32_t i = 0; i < r->entity_count; i++) {
        struct image_quota_part part = {r->entity[i].entity_type, r->entity[i].entity_name};
        uint32_t at = 0;
        while (at < out->count && str_compare(out->parts[at].type, part.type) < 0)
            at++;
        if (at == out->count || !str_equal(out->parts[at].type, part.type)) {
            memmove(&out->parts[at + 1], &out->parts[at], (out->count - at) * sizeof part);
            out->count++;
        }
        out->parts[at] = part;
    }
    return 0;
}

static void count_kinds(struct image_builder *b, const struct image_quota *q, uint32_t by)
{
    for (unsigned kind = 0; q && kind < QUOTA_KINDS; kind++)
        if (q->kinds & 1U << kind)
            b->image->quota_counts[kind] += by;
}

int apply_quota(struct image_builder *b, const void *message)
{
    const struct client_quota_record *r = message;
    struct image_quota values = {0};
    int rc = take_entity(b, r, &values.entity);
    if (rc)
        return rc;
    const struct image_quota *before = image_quota(b->image, &values.entity);
    uint32_t had = before ? before->values_count : 0;
    values.values = arena_zalloc(&b->decoded, had + 1, sizeof *values.values);
    if (!values.values)
        return ERR_NOMEM;
    uint32_t i = 0;
    while (i < had && str_compare(before->values[i].key, r->key) < 0)
        values.values[values.values_count++] = before->values[i++];
    if (i < had && str_equal(before->values[i].key, r->key))
        i++;
    if (!r->remove)
        values.values[values.values_count++] = (struct image_quota_value){r->key, r->value};
    while (i < had)
        values.values[values.values_count++] = before->values[i++];

    values.turn = before ? before->turn : b->image->quota_turns++;
    b->quotas = true;
    struct image_quota *after = NULL;
    if (values.values_count && !(after = image_quota_new(&values)))
        return ERR_NOMEM;
    count_kinds(b, before, UINT32_MAX);
    count_kinds(b, after, 1);
    rc = after ? hamt_put(&b->image->quotas, after) : hamt_remove(&b->image->quotas, &values.entity);
    if (rc && after)
        image_quotas_ops.unref(after);
    return rc == ERR_NOT_FOUND ? 0 : rc; // what is not there needs no removal
}

int apply_scram(struct image_builder *b, const void *message)
{
    const struct user_scram_credential_record *r = message;
    struct image_scram values = {.key = {r->mechanism, r->name},
                                 .iterations = r->iterations,
                                 .salt = r->salt,
                                 .stored_key = r->stored_key,
                                 .server_key = r->server_key};
    struct image_scram *scram = image_scram_new(&values);
    if (!scram)
        return ERR_NOMEM;
    b->scram = true;
    int rc = hamt_put(&b->image->scram, scram);
    if (rc)
        image_scram_ops.unref(scram);
    return rc;
}

int apply_remove_scram(struct image_builder *b, const void *message)
{
    const struct remove_user_scram_credential_record *r = message;
    b->scram = true;
    int rc = hamt_remove(&b->image->scram, &(struct image_scram_key){r->mechanism, r->name});
    return rc == ERR_NOT_FOUND ? 0 : rc;
}
