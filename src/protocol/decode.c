// Decoding. Two rules keep it in bounds (protocol invariants 2 and 3): every read is checked against `limit`,
// and an array may only be allocated when its elements' least sizes fit below `limit`, which then moves down
// by that much and comes back element by element. So no byte of input is promised twice.
#include "protocol/tables.h"

struct decoder {
    const uint8_t *at, *limit;
    const uint8_t *start;
    struct arena *arena;
    struct message_error *error; // or NULL
};

static int decode_struct(struct decoder *d, const struct wire_struct *w, uint8_t *out);

static __attribute__((noinline, cold)) int fail(struct decoder *d, int code, const char *reason)
{
    if (d->error) {
        d->error->reason = reason;
        d->error->at = (size_t)(d->at - d->start);
    }
    return code;
}

// The innermost struct and field of a failure are what the log names.
static __attribute__((noinline, cold)) int fail_in(struct decoder *d, int code, const struct wire_struct *w,
                                                   const struct wire_field *f)
{
    if (d->error && !d->error->structure) {
        d->error->structure = codec_names + codec_structs[w->info].name;
        d->error->field = f ? codec_names + codec_fields[f->field].name : NULL;
    }
    return code;
}

static inline size_t left(const struct decoder *d)
{
    return (size_t)(d->limit - d->at);
}

static int uvarint_slow(struct decoder *d, uint32_t *out)
{
    size_t n = uvarint_read(d->at, d->limit, out);
    if (n == 0)
        return left(d) < VARINT_MAX_BYTES ? fail(d, ERR_TRUNCATED, "varint beyond the end")
                                          : fail(d, ERR_CORRUPT, "varint too long");
    if (n > 1 && d->at[n - 1] == 0)
        return fail(d, ERR_CORRUPT, "varint longer than needed");
    d->at += n;
    return 0;
}

static inline int uvarint(struct decoder *d, uint32_t *out)
{
    if (d->at < d->limit && *d->at < 0x80) {
        *out = *d->at++;
        return 0;
    }
    return uvarint_slow(d, out);
}

// Reads a length or count in its notation: -1 is null.
static inline int length_compact(struct decoder *d, int64_t *length)
{
    uint32_t v = 0;
    int rc = uvarint(d, &v);
    *length = (int64_t)v - 1;
    return rc;
}

static inline int length_int16(struct decoder *d, int64_t *length)
{
    if (left(d) < 2)
        return fail(d, ERR_TRUNCATED, "length beyond the end");
    *length = (int16_t)load_be16(d->at);
    d->at += 2;
    return *length < -1 ? fail(d, ERR_CORRUPT, "negative length") : 0;
}

static inline int length_int32(struct decoder *d, int64_t *length)
{
    if (left(d) < 4)
        return fail(d, ERR_TRUNCATED, "length beyond the end");
    *length = (int32_t)load_be32(d->at);
    d->at += 4;
    return *length < -1 ? fail(d, ERR_CORRUPT, "negative length") : 0;
}

// Takes `length` bytes; a null view for -1.
static inline int view(struct decoder *d, int64_t length, bool nullable, struct bytes *out)
{
    if (length < 0) {
        *out = BYTES_NULL;
        return nullable ? 0 : fail(d, ERR_CORRUPT, "null in a field that cannot be null");
    }
    if ((uint64_t)length > left(d))
        return fail(d, ERR_TRUNCATED, "length beyond the end");
    *out = (struct bytes){d->at, (size_t)length};
    d->at += length;
    return 0;
}

#define STRING_MAX_BYTES 32767 // Kafka's, also where the length is a varint

// What is looked at and leaves nothing in the arena counts as if it did: who limits the memory limits the
// work.
#define UNKNOWN_TAG_BYTES 16

static inline int charge(struct decoder *d, size_t bytes)
{
    return arena_charge(d->arena, bytes) ? 0 : fail(d, ERR_NOMEM, "out of memory");
}

static inline int string(struct decoder *d, int64_t length, bool nullable, uint8_t *out)
{
    struct bytes v = BYTES_NULL;
    if (length > STRING_MAX_BYTES)
        return fail(d, ERR_LIMIT, "string above 32767 bytes");
    int rc = view(d, length, nullable, &v);
    if (rc)
        return rc;
    if (!utf8_valid(v.data, v.size))
        return fail(d, ERR_CORRUPT, "string is not UTF-8");
    *(struct str *)(void *)out = (struct str){(const char *)v.data, v.size};
    return charge(d, v.size);
}

static inline int record_set(struct decoder *d, int64_t length, bool nullable, uint8_t *out)
{
    struct bytes v = BYTES_NULL;
    int rc = view(d, length, nullable, &v);
    if (rc)
        return rc;
    *(struct records *)(void *)out = (struct records){v.data, v.size, NULL};
    return 0;
}

// A struct behind a pointer; `present` was read from the wire.
static int pointed(struct decoder *d, const struct wire_field *f, bool present, uint8_t *out)
{
    void **pointer = (void **)(void *)out;
    *pointer = NULL;
    if (!present)
        return 0;
    const struct wire_struct *w = &codec_wire_structs[f->wire];
    if (w->min_bytes > left(d))
        return fail(d, ERR_TRUNCATED, "struct beyond the end");
    *pointer = arena_alloc(d->arena, f->element_bytes);
    return *pointer ? decode_struct(d, w, *pointer) : fail(d, ERR_NOMEM, "out of memory");
}

// One value that is no array and no tagged field's pointer. Inlined into the loops over fields and elements.
static inline __attribute__((always_inline)) int value(struct decoder *d, const struct wire_field *f,
                                                       enum wire_op op, bool nullable, uint8_t *out)
{
    int64_t length = 0;
    int rc;
    switch (op) {
    case WIRE_BOOL:
        if (left(d) < 1)
            return fail(d, ERR_TRUNCATED, "beyond the end");
        *(bool *)out = *d->at++ != 0; // as Kafka: any other byte is true
        return 0;
    case WIRE_FIXED1:
        if (left(d) < 1)
            return fail(d, ERR_TRUNCATED, "beyond the end");
        *out = *d->at++;
        return 0;
    case WIRE_FIXED2:
        if (left(d) < 2)
            return fail(d, ERR_TRUNCATED, "beyond the end");
        *(uint16_t *)(void *)out = load_be16(d->at);
        d->at += 2;
        return 0;
    case WIRE_FIXED4:
        if (left(d) < 4)
            return fail(d, ERR_TRUNCATED, "beyond the end");
        *(uint32_t *)(void *)out = load_be32(d->at);
        d->at += 4;
        return 0;
    case WIRE_FIXED8:
        if (left(d) < 8)
            return fail(d, ERR_TRUNCATED, "beyond the end");
        *(uint64_t *)(void *)out = load_be64(d->at);
        d->at += 8;
        return 0;
    case WIRE_UUID:
        if (left(d) < sizeof(struct uuid))
            return fail(d, ERR_TRUNCATED, "beyond the end");
        memcpy(out, d->at, sizeof(struct uuid));
        d->at += sizeof(struct uuid);
        return 0;
    case WIRE_STRING:
        rc = length_int16(d, &length);
        return rc ? rc : string(d, length, nullable, out);
    case WIRE_COMPACT_STRING:
        rc = length_compact(d, &length);
        return rc ? rc : string(d, length, nullable, out);
    case WIRE_BYTES:
        rc = length_int32(d, &length);
        return rc ? rc : view(d, length, nullable, (struct bytes *)(void *)out);
    case WIRE_COMPACT_BYTES:
        rc = length_compact(d, &length);
        return rc ? rc : view(d, length, nullable, (struct bytes *)(void *)out);
    case WIRE_RECORDS:
        rc = length_int32(d, &length);
        return rc ? rc : record_set(d, length, nullable, out);
    case WIRE_COMPACT_RECORDS:
        rc = length_compact(d, &length);
        return rc ? rc : record_set(d, length, nullable, out);
    case WIRE_STRUCT:
        return decode_struct(d, &codec_wire_structs[f->wire], out);
    default:
        return fail(d, ERR_CORRUPT, "no such field type"); // the tables hold no other
    }
}

static void swap_elements(uint8_t *out, const uint8_t *in, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes == 2)
            ((uint16_t *)(void *)out)[i] = load_be16(in + 2 * i);
        else if (bytes == 4)
            ((uint32_t *)(void *)out)[i] = load_be32(in + 4 * i);
        else
            ((uint64_t *)(void *)out)[i] = load_be64(in + 8 * i);
    }
}

// Elements of fixed size need no walk.
static bool fixed_elements(struct decoder *d, const struct wire_field *f, uint8_t *elements, size_t count)
{
    if (f->element == WIRE_FIXED1 || f->element == WIRE_UUID)
        memcpy(elements, d->at, count * f->element_bytes);
    else if (f->element == WIRE_FIXED2 || f->element == WIRE_FIXED4 || f->element == WIRE_FIXED8)
        swap_elements(elements, d->at, count, f->element_bytes);
    else
        return false;
    d->at += count * f->element_bytes;
    return true;
}

static int array(struct decoder *d, const struct wire_field *f, int64_t count, uint8_t *out)
{
    uint8_t **pointer = (uint8_t **)(void *)out;
    *pointer = NULL;
    *array_count(out) = (int32_t)count;
    if (count < 0)
        return f->nullable ? 0 : fail(d, ERR_CORRUPT, "null in a field that cannot be null");
    size_t least = wire_element_min_bytes(f);
    if ((uint64_t)count > left(d) / least)
        return fail(d, ERR_LIMIT, "more elements than the bytes left can hold");
    if (count == 0)
        return 0;
    uint8_t *element = arena_alloc(d->arena, (size_t)count * f->element_bytes);
    if (!element)
        return fail(d, ERR_NOMEM, "out of memory");
    *pointer = element;
    if (fixed_elements(d, f, element, (size_t)count))
        return 0;
    d->limit -= (size_t)count * least;
    for (int64_t i = 0; i < count; i++, element += f->element_bytes) {
        d->limit += least;
        int rc = value(d, f, f->element, false, element);
        if (rc)
            return rc;
    }
    return 0;
}

static inline int field(struct decoder *d, const struct wire_field *f, uint8_t *out)
{
    int64_t count = 0;
    uint32_t present = 0;
    int rc;
    switch ((enum wire_op)f->op) {
    case WIRE_ARRAY:
        rc = length_int32(d, &count);
        return rc ? rc : array(d, f, count, out);
    case WIRE_COMPACT_ARRAY:
        rc = length_compact(d, &count);
        return rc ? rc : array(d, f, count, out);
    case WIRE_POINTER:
        if (left(d) < 1)
            return fail(d, ERR_TRUNCATED, "beyond the end");
        return pointed(d, f, (int8_t)*d->at++ >= 0, out); // as Kafka: any negative byte is null
    case WIRE_TAGGED_POINTER:
        rc = uvarint(d, &present);
        return rc ? rc : pointed(d, f, present != 0, out);
    case WIRE_POINTER_NOT_NULL:
        return pointed(d, f, true, out);
    default:
        return value(d, f, f->op, f->nullable, out);
    }
}

// One tagged field's contents, `size` bytes from here.
static int tagged(struct decoder *d, const struct wire_struct *w, uint32_t tag, uint32_t size, uint8_t *out)
{
    const struct wire_field *f = &codec_wire_fields[w->first + w->fields], *end = f + w->tags;
    while (f < end && f->tag != tag)
        f++;
    if (f == end) { // from a newer version of the protocol: skipped
        d->at += size;
        return charge(d, UNKNOWN_TAG_BYTES);
    }
    const uint8_t *limit = d->limit;
    d->limit = d->at + size;
    int rc = field(d, f, out + f->offset);
    if (rc == 0 && d->at != d->limit)
        rc = fail(d, ERR_CORRUPT, "tagged field shorter than its size");
    d->limit = limit;
    return rc ? fail_in(d, rc, w, f) : 0;
}

static int tagged_fields(struct decoder *d, const struct wire_struct *w, uint8_t *out)
{
    uint32_t count = 0, tag = 0, size = 0;
    int64_t last = -1;
    int rc = uvarint(d, &count);
    for (; rc == 0 && count; count--) {
        if ((rc = uvarint(d, &tag)) || (rc = uvarint(d, &size)))
            break;
        if (tag <= last)
            rc = fail(d, ERR_CORRUPT, "tags repeat or are out of order");
        else if (size > left(d))
            rc = fail(d, ERR_TRUNCATED, "tagged field beyond the end");
        else
            rc = tagged(d, w, tag, size, out);
        last = tag;
    }
    return rc ? fail_in(d, rc, w, NULL) : 0;
}

static int decode_struct(struct decoder *d, const struct wire_struct *w, uint8_t *out)
{
    const struct struct_info *info = &codec_structs[w->info];
    if (w->fields != info->fields) // the others keep their defaults
        memcpy(out, info->defaults, info->size_bytes);
    const struct wire_field *f = &codec_wire_fields[w->first], *end = f + w->fields;
    for (; f < end; f++) {
        int rc = field(d, f, out + f->offset);
        if (rc)
            return fail_in(d, rc, w, f);
    }
    if (!w->flexible)
        return 0;
    if (d->at < d->limit && *d->at == 0) { // no tagged fields: nearly always
        d->at++;
        return 0;
    }
    return tagged_fields(d, w, out);
}

int message_decode_explain(const struct message_type *type, int16_t version, struct bytes in,
                           struct arena *arena, void *out, size_t *used, struct message_error *error)
{
    struct decoder d = {in.data, in.data ? in.data + in.size : NULL, in.data, arena, error};
    if (error)
        *error = (struct message_error){0};
    if (!message_has_version(type, version))
        return fail(&d, ERR_UNSUPPORTED, "no such version");
    const struct wire_struct *w = wire_of(type, version);
    int rc = decode_struct(&d, w, out);
    if (rc)
        return rc;
    if (used)
        *used = (size_t)(d.at - d.start);
    else if (d.at != d.limit)
        return fail_in(&d, fail(&d, ERR_CORRUPT, "bytes behind the message"), w, NULL);
    return 0;
}
