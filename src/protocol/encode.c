#include "protocol/tables.h"

#include <assert.h>

#define STRING_MAX_BYTES 32767 // Kafka's, also where the length is a varint

struct encoder {
    struct encode_target *target; // NULL: only the size is wanted
    size_t inline_bytes, external_bytes;
    bool check_absent;
};

static int encode_struct(struct encoder *e, const struct wire_struct *w, const uint8_t *in);

// Room for `size` bytes, or NULL when the target is full. In sizing, counts them only.
static inline bool room(struct encoder *e, size_t size, uint8_t **at)
{
    e->inline_bytes += size;
    *at = NULL;
    if (!e->target)
        return true;
    if (size > (size_t)(e->target->end - e->target->at))
        return false;
    *at = e->target->at;
    e->target->at += size;
    return true;
}

static inline int uvarint(struct encoder *e, uint32_t v)
{
    uint8_t *at;
    if (!room(e, uvarint_size(v), &at))
        return ERR_LIMIT;
    if (at)
        uvarint_write(at, v);
    return 0;
}

static inline int int16(struct encoder *e, int16_t v)
{
    uint8_t *at;
    if (!room(e, 2, &at))
        return ERR_LIMIT;
    if (at)
        store_be16(at, (uint16_t)v);
    return 0;
}

static inline int int32(struct encoder *e, int32_t v)
{
    uint8_t *at;
    if (!room(e, 4, &at))
        return ERR_LIMIT;
    if (at)
        store_be32(at, (uint32_t)v);
    return 0;
}

static inline int raw(struct encoder *e, const void *data, size_t size)
{
    uint8_t *at;
    if (!room(e, size, &at))
        return ERR_LIMIT;
    if (at && size)
        memcpy(at, data, size);
    return 0;
}

static inline int length(struct encoder *e, bool compact, size_t size)
{
    if (size >= INT32_MAX)
        return ERR_LIMIT;
    return compact ? uvarint(e, (uint32_t)size + 1) : int32(e, (int32_t)size);
}

static inline int null_length(struct encoder *e, bool compact, bool nullable)
{
    if (!nullable)
        return ERR_INVALID;
    return compact ? uvarint(e, 0) : int32(e, -1);
}

static int string(struct encoder *e, bool compact, bool nullable, const struct str *s)
{
    if (!s->data) {
        if (!nullable)
            return ERR_INVALID;
        return compact ? uvarint(e, 0) : int16(e, -1);
    }
    if (s->size > STRING_MAX_BYTES)
        return ERR_LIMIT;
    int rc = compact ? uvarint(e, (uint32_t)s->size + 1) : int16(e, (int16_t)s->size);
    return rc ? rc : raw(e, s->data, s->size);
}

static int bytes(struct encoder *e, bool compact, bool nullable, const struct bytes *b)
{
    if (!b->data)
        return null_length(e, compact, nullable);
    int rc = length(e, compact, b->size);
    return rc ? rc : raw(e, b->data, b->size);
}

static int record_set(struct encoder *e, bool compact, bool nullable, const struct records *r)
{
    if (records_is_null(*r))
        return null_length(e, compact, nullable);
    int rc = length(e, compact, r->size);
    if (rc)
        return rc;
    if (!r->external)
        return raw(e, r->data, r->size);
    e->external_bytes += r->size;
    if (e->target && e->target->external)
        e->target->external(e->target->context, r, e->target->at);
    return 0;
}

// One value that is no array and no pointer.
static inline int value(struct encoder *e, const struct wire_field *f, enum wire_op op, bool nullable,
                        const uint8_t *in)
{
    uint8_t *at;
    switch (op) {
    case WIRE_BOOL:
    case WIRE_FIXED1:
        return raw(e, in, 1);
    case WIRE_FIXED2:
        return int16(e, *(const int16_t *)(const void *)in);
    case WIRE_FIXED4:
        return int32(e, *(const int32_t *)(const void *)in);
    case WIRE_FIXED8:
        if (!room(e, 8, &at))
            return ERR_LIMIT;
        if (at)
            store_be64(at, *(const uint64_t *)(const void *)in);
        return 0;
    case WIRE_UUID:
        return raw(e, in, sizeof(struct uuid));
    case WIRE_STRING:
    case WIRE_COMPACT_STRING:
        return string(e, op == WIRE_COMPACT_STRING, nullable, (const void *)in);
    case WIRE_BYTES:
    case WIRE_COMPACT_BYTES:
        return bytes(e, op == WIRE_COMPACT_BYTES, nullable, (const void *)in);
    case WIRE_RECORDS:
    case WIRE_COMPACT_RECORDS:
        return record_set(e, op == WIRE_COMPACT_RECORDS, nullable, (const void *)in);
    case WIRE_STRUCT:
        return encode_struct(e, &codec_wire_structs[f->wire], in);
    default:
        return ERR_INVALID; // the tables hold no other
    }
}

static int array(struct encoder *e, const struct wire_field *f, const uint8_t *in)
{
    bool compact = f->op == WIRE_COMPACT_ARRAY;
    int32_t count = *array_count(in);
    const uint8_t *element = *(const uint8_t *const *)(const void *)in;
    if (count < 0)
        return null_length(e, compact, f->nullable);
    assert(element || count == 0);
    int rc = length(e, compact, (size_t)count);
    for (int32_t i = 0; rc == 0 && i < count; i++, element += f->element_bytes)
        rc = value(e, f, f->element, false, element);
    return rc;
}

static int pointed(struct encoder *e, const struct wire_field *f, const uint8_t *in)
{
    const uint8_t *structure = *(const uint8_t *const *)(const void *)in;
    const uint8_t flag = structure ? 1 : f->op == WIRE_TAGGED_POINTER ? 0 : 0xff;
    if (f->op == WIRE_POINTER_NOT_NULL) {
        if (!structure)
            return ERR_INVALID;
    } else {
        int rc = raw(e, &flag, 1);
        if (rc || !structure)
            return rc;
    }
    return encode_struct(e, &codec_wire_structs[f->wire], structure);
}

static inline int field(struct encoder *e, const struct wire_field *f, const uint8_t *in)
{
    switch ((enum wire_op)f->op) {
    case WIRE_ARRAY:
    case WIRE_COMPACT_ARRAY:
        return array(e, f, in);
    case WIRE_POINTER:
    case WIRE_TAGGED_POINTER:
    case WIRE_POINTER_NOT_NULL:
        return pointed(e, f, in);
    default:
        return value(e, f, f->op, f->nullable, in);
    }
}

static int tagged(struct encoder *e, const struct wire_field *f, const uint8_t *in)
{
    struct encoder sizing = {.check_absent = false};
    int rc = field(&sizing, f, in);
    size_t size = sizing.inline_bytes + sizing.external_bytes;
    if (rc == 0 && size > INT32_MAX)
        rc = ERR_LIMIT;
    if (rc == 0)
        rc = uvarint(e, f->tag);
    if (rc == 0)
        rc = uvarint(e, (uint32_t)size);
    return rc ? rc : field(e, f, in);
}

static int tagged_fields(struct encoder *e, const struct wire_struct *w, const uint8_t *in)
{
    const struct struct_info *info = &codec_structs[w->info];
    const struct wire_field *first = &codec_wire_fields[w->first + w->fields], *end = first + w->tags;
    uint32_t set = 0;
    for (const struct wire_field *f = first; f < end; f++)
        set += !field_is_default(&codec_fields[f->field], in, info);
    int rc = uvarint(e, set);
    for (const struct wire_field *f = first; rc == 0 && set && f < end; f++)
        if (!field_is_default(&codec_fields[f->field], in, info))
            rc = tagged(e, f, in + f->offset);
    return rc;
}

static int encode_struct(struct encoder *e, const struct wire_struct *w, const uint8_t *in)
{
    const struct wire_field *f = &codec_wire_fields[w->first], *end = f + w->fields;
    for (; f < end; f++) {
        int rc = field(e, f, in + f->offset);
        if (rc)
            return rc;
    }
    if (e->check_absent && w->absent) {
        end = f + w->tags + w->absent;
        for (f += w->tags; f < end; f++)
            if (!field_is_default(&codec_fields[f->field], in, &codec_structs[w->info]))
                return ERR_UNSUPPORTED;
    }
    return w->flexible ? tagged_fields(e, w, in) : 0;
}

int message_size(const struct message_type *type, int16_t version, const void *message, size_t *inline_bytes,
                 size_t *external_bytes)
{
    if (!message_has_version(type, version))
        return ERR_UNSUPPORTED;
    struct encoder e = {.check_absent = true};
    int rc = encode_struct(&e, wire_of(type, version), message);
    if (inline_bytes)
        *inline_bytes = e.inline_bytes;
    if (external_bytes)
        *external_bytes = e.external_bytes;
    return rc;
}

int message_encode(const struct message_type *type, int16_t version, const void *message,
                   struct encode_target *target)
{
    if (!message_has_version(type, version))
        return ERR_UNSUPPORTED;
    struct encoder e = {.target = target};
    return encode_struct(&e, wire_of(type, version), message);
}

int message_to_bytes(const struct message_type *type, int16_t version, const void *message,
                     struct arena *arena, struct bytes *out)
{
    size_t size, external;
    int rc = message_size(type, version, message, &size, &external);
    if (rc)
        return rc;
    if (external)
        return ERR_INVALID;
    uint8_t *data = arena_alloc(arena, size);
    if (!data)
        return ERR_NOMEM;
    *out = (struct bytes){data, size};
    return message_encode(type, version, message, &(struct encode_target){.at = data, .end = data + size});
}
