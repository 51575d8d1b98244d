#include "metadata/record.h"

#define FRAME_VERSION 1

int metadata_frame_read(struct bytes value, struct metadata_frame *out)
{
    const uint8_t *at = value.data, *end = value.data + value.size;
    uint32_t fields[3]; // frame version, type, version
    if (!value.data)
        return ERR_CORRUPT;
    for (size_t i = 0; i < 3; i++) {
        size_t n = uvarint_read(at, end, &fields[i]);
        if (!n || fields[i] > INT16_MAX)
            return ERR_CORRUPT;
        at += n;
    }
    if (fields[0] != FRAME_VERSION)
        return ERR_CORRUPT;
    *out = (struct metadata_frame){(int16_t)fields[1], (int16_t)fields[2], {at, (size_t)(end - at)}};
    return 0;
}

int metadata_record_append(struct buffer *out, const struct message_type *type, int16_t version,
                           const void *message)
{
    size_t size;
    int rc = message_size(type, version, message, &size, NULL);
    if (rc)
        return rc;
    size_t frame =
        uvarint_size(FRAME_VERSION) + uvarint_size((uint32_t)type->key) + uvarint_size((uint32_t)version);
    uint8_t *at = buffer_reserve(out, frame + size);
    if (!at)
        return ERR_NOMEM;
    at += uvarint_write(at, FRAME_VERSION);
    at += uvarint_write(at, (uint32_t)type->key);
    at += uvarint_write(at, (uint32_t)version);
    struct encode_target target = {.at = at, .end = at + size};
    rc = message_encode(type, version, message, &target);
    if (rc == 0)
        out->size += frame + size;
    return rc;
}

int16_t metadata_partition_version(int32_t metadata_version)
{
    if (metadata_version >= METADATA_VERSION_ELR)
        return 2;
    return metadata_version >= METADATA_VERSION_DIRECTORIES ? 1 : 0;
}

int16_t metadata_partition_change_version(int32_t metadata_version)
{
    return metadata_partition_version(metadata_version);
}

int16_t metadata_register_broker_version(int32_t metadata_version)
{
    if (metadata_version >= METADATA_VERSION_CORDONED)
        return 4;
    if (metadata_version >= METADATA_VERSION_DIRECTORIES)
        return 3;
    return metadata_version >= METADATA_VERSION_MIGRATION ? 2 : 1;
}
