#include "protocol/tables.h"

#include <stdlib.h>

static int compare_name(const void *name, const void *type)
{
    return strcmp(name, (*(const struct message_type *const *)type)->name);
}

const struct message_type *message_find(const char *name)
{
    const struct message_type *const *found =
        bsearch(name, codec_messages, codec_messages_count, sizeof *codec_messages, compare_name);
    return found ? *found : NULL;
}

const struct message_type *message_find_key(enum message_kind kind, int16_t key)
{
    const struct message_lookup *lookup = &codec_lookups[kind];
    return key >= 0 && key < lookup->count ? lookup->types[key] : NULL;
}

void message_init(const struct message_type *type, void *message)
{
    memcpy(message, codec_structs[type->info].defaults, type->size_bytes);
}

bool message_set_int32(const struct message_type *type, void *message, const char *name, int32_t value)
{
    const struct struct_info *info = &codec_structs[type->info];
    for (uint16_t i = 0; i < info->fields; i++) {
        const struct field_info *f = &codec_fields[info->first_field + i];
        if (f->type != FIELD_INT32 || f->array || strcmp(&codec_names[f->name], name) != 0)
            continue;
        memcpy((uint8_t *)message + f->offset, &value, sizeof value);
        return true;
    }
    return false;
}

bool message_begins_with(const struct message_type *type, int16_t version, const char *name)
{
    const struct wire_struct *wire = wire_of(type, version);
    return wire->fields > 0 &&
           strcmp(&codec_names[codec_fields[codec_wire_fields[wire->first].field].name], name) == 0;
}

void *message_array_new(struct arena *arena, const void *defaults, size_t size, int32_t count)
{
    size_t total;
    if (count < 0 || __builtin_mul_overflow((size_t)count, size, &total))
        return NULL;
    uint8_t *elements = arena_alloc(arena, total);
    for (uint8_t *at = elements; elements && at < elements + total; at += size)
        memcpy(at, defaults, size);
    return elements;
}

static size_t primitive_bytes(enum field_type type)
{
    static const uint8_t bytes[] = {
        [FIELD_BOOL] = sizeof(bool), [FIELD_INT8] = 1,    [FIELD_INT16] = 2,
        [FIELD_UINT16] = 2,          [FIELD_INT32] = 4,   [FIELD_UINT32] = 4,
        [FIELD_INT64] = 8,           [FIELD_FLOAT64] = 8, [FIELD_UUID] = 16,
    };
    return bytes[type];
}

static bool struct_is_default(const struct struct_info *info, const uint8_t *structure)
{
    for (uint16_t i = 0; i < info->fields; i++)
        if (!field_is_default(&codec_fields[info->first_field + i], structure, info))
            return false;
    return true;
}

bool field_is_default(const struct field_info *f, const uint8_t *structure, const struct struct_info *info)
{
    const uint8_t *value = structure + f->offset, *standard = (const uint8_t *)info->defaults + f->offset;
    if (f->array)
        return *array_count(value) == *array_count(standard);
    switch ((enum field_type)f->type) {
    case FIELD_STRING:
    case FIELD_BYTES: {
        const struct bytes *a = (const void *)value, *b = (const void *)standard;
        return !a->data == !b->data && a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
    }
    case FIELD_RECORDS:
        return records_is_null(*(const struct records *)(const void *)value);
    case FIELD_STRUCT:
        if (f->pointer) {
            const uint8_t *pointed = *(const uint8_t *const *)(const void *)value;
            const uint8_t *other = *(const uint8_t *const *)(const void *)standard;
            if (!pointed || !other)
                return pointed == other;
            value = pointed;
        }
        return struct_is_default(&codec_structs[f->structure], value);
    default:
        return memcmp(value, standard, primitive_bytes(f->type)) == 0;
    }
}
