// Records that are kept as they came, under a key that says which later record replaces or removes them.
#include "metadata/builder.h"
#include "metadata/record.h"

// A key is the record's type and then its identity; texts have their length in front.
struct key {
    struct buffer bytes;
};

static void key_start(struct key *k, int16_t type)
{
    k->bytes = BUFFER_INIT;
    buffer_byte(&k->bytes, (uint8_t)type);
}

static void key_str(struct key *k, struct str s)
{
    uint32_t size = s.data ? (uint32_t)s.size : UINT32_MAX; // null is not empty
    buffer_append(&k->bytes, &size, sizeof size);
    buffer_append(&k->bytes, s.data ? s.data : "", s.size);
}

static int key_finish(struct key *k, int rc)
{
    buffer_free(&k->bytes);
    return rc;
}

static int keep(struct image_builder *b, struct key *k)
{
    struct image_kept values = {
        .type = b->type, .version = b->version, .key = {k->bytes.data, k->bytes.size}, .value = b->value};
    struct image_kept *kept = k->bytes.failed ? NULL : image_kept_new(&values);
    if (!kept)
        return key_finish(k, ERR_NOMEM);
    b->kept = true;
    int rc = hamt_put(&b->image->kept, kept);
    if (rc)
        image_kept_ops.unref(kept);
    return key_finish(k, rc);
}

// What is not there needs no removal.
static int forget(struct image_builder *b, struct key *k)
{
    struct bytes key = {k->bytes.data, k->bytes.size};
    if (k->bytes.failed)
        return key_finish(k, ERR_NOMEM);
    b->kept = true;
    int rc = hamt_remove(&b->image->kept, &key);
    return key_finish(k, rc == ERR_NOT_FOUND ? 0 : rc);
}

static void acl_key(struct key *k, const struct uuid *id)
{
    key_start(k, RECORD_ACCESS_CONTROL_ENTRY);
    buffer_append(&k->bytes, id, sizeof *id);
}

int apply_acl(struct image_builder *b, const void *message)
{
    const struct access_control_entry_record *r = message;
    struct key k;
    acl_key(&k, &r->id);
    return keep(b, &k);
}

int apply_remove_acl(struct image_builder *b, const void *message)
{
    const struct remove_access_control_entry_record *r = message;
    struct key k;
    acl_key(&k, &r->id);
    return forget(b, &k);
}

static void token_key(struct key *k, struct str token_id)
{
    key_start(k, RECORD_DELEGATION_TOKEN);
    key_str(k, token_id);
}

int apply_token(struct image_builder *b, const void *message)
{
    const struct delegation_token_record *r = message;
    struct key k;
    token_key(&k, r->token_id);
    return keep(b, &k);
}

int apply_remove_token(struct image_builder *b, const void *message)
{
    const struct remove_delegation_token_record *r = message;
    struct key k;
    token_key(&k, r->token_id);
    return forget(b, &k);
}
