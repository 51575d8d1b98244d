#include "storage/batch.h"

#include "base/error.h"

// Reads a length-prefixed view from [*at, end): -1 is null. False when it does not fit.
static bool view_read(const uint8_t **at, const uint8_t *end, struct bytes *out)
{
    int32_t size;
    size_t n = varint_read(*at, end, &size);
    if (n == 0)
        return false;
    *at += n;
    if (size < 0) {
        *out = BYTES_NULL;
        return true;
    }
    if (size > end - *at)
        return false;
    *out = (struct bytes){*at, (size_t)size};
    *at += size;
    return true;
}

static bool header_read(const uint8_t **at, const uint8_t *end, struct record_header *out)
{
    struct bytes key;
    if (!view_read(at, end, &key) || !key.data || !view_read(at, end, &out->value))
        return false;
    out->key = (struct str){(const char *)key.data, key.size};
    return true;
}

static bool fields_read(const uint8_t *at, const uint8_t *end, struct record *out)
{
    size_t n;
    if (at == end)
        return false;
    out->attributes = (int8_t)*at++;
    if ((n = varlong_read(at, end, &out->timestamp_delta_ms)) == 0)
        return false;
    at += n;
    if ((n = varint_read(at, end, &out->offset_delta)) == 0)
        return false;
    at += n;
    if (!view_read(&at, end, &out->key) || !view_read(&at, end, &out->value))
        return false;
    if ((n = varint_read(at, end, &out->header_count)) == 0 || out->header_count < 0)
        return false;
    at += n;
    out->headers = (struct bytes){at, (size_t)(end - at)};
    for (int32_t i = 0; i < out->header_count; i++) {
        struct record_header header;
        if (!header_read(&at, end, &header))
            return false;
    }
    return at == end;
}

int record_cursor_next(struct record_cursor *c, struct record *out)
{
    if (c->left <= 0)
        return c->left == 0 && c->at == c->end ? 0 : ERR_CORRUPT;
    int32_t size;
    size_t n = varint_read(c->at, c->end, &size);
    if (n == 0 || size < 0 || size > c->end - c->at - (ptrdiff_t)n)
        return ERR_CORRUPT;
    const uint8_t *at = c->at + n;
    if (!fields_read(at, at + size, out))
        return ERR_CORRUPT;
    c->at = at + size;
    c->left--;
    return 1;
}

int record_header_next(struct bytes *headers, struct record_header *out)
{
    const uint8_t *at = headers->data, *end = at + headers->size;
    if (at == end)
        return 0;
    if (!header_read(&at, end, out))
        return ERR_CORRUPT;
    *headers = (struct bytes){at, (size_t)(end - at)};
    return 1;
}

int control_key_read(struct bytes key, int16_t *version, int16_t *type)
{
    if (!key.data || key.size < CONTROL_KEY_BYTES)
        return ERR_CORRUPT;
    int16_t v = (int16_t)load_be16(key.data);
    if (v < 0)
        return ERR_CORRUPT;
    if (version)
        *version = v;
    *type = (int16_t)load_be16(key.data + 2);
    return 0;
}

void control_key_write(uint8_t at[CONTROL_KEY_BYTES], int16_t type)
{
    store_be16(at, 0);
    store_be16(at + 2, (uint16_t)type);
}
