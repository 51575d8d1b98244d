// The rows that protocol/gen.py writes for the codec: what each struct looks like in C (field_info,
// struct_info) and on the wire in a version (wire_struct, wire_field). Equal layouts of several versions
// share their rows, so that the codec never compares versions. For the files of this folder only.
#ifndef PROTOCOL_TABLES_H
#define PROTOCOL_TABLES_H

#include "protocol/api.h"
#include "protocol/codec.h"

enum field_type {
    FIELD_BOOL,
    FIELD_INT8,
    FIELD_INT16,
    FIELD_UINT16,
    FIELD_INT32,
    FIELD_UINT32,
    FIELD_INT64,
    FIELD_FLOAT64,
    FIELD_UUID,
    FIELD_STRING,
    FIELD_BYTES,
    FIELD_RECORDS,
    FIELD_STRUCT,
};

// A member of a C struct. The int32_t count of an array lies right behind its pointer.
struct field_info {
    uint32_t name; // JSON name, in codec_names
    uint16_t offset;
    uint16_t structure; // of FIELD_STRUCT: in codec_structs
    uint8_t type;       // of one element
    uint8_t array, pointer;
};

struct struct_info {
    const void *defaults;
    uint32_t name; // in codec_names
    uint32_t size_bytes;
    uint16_t first_field, fields; // in codec_fields
};

enum wire_op {
    WIRE_BOOL,
    WIRE_FIXED1,
    WIRE_FIXED2,
    WIRE_FIXED4,
    WIRE_FIXED8,
    WIRE_UUID,
    WIRE_STRING, // int16 length
    WIRE_COMPACT_STRING,
    WIRE_BYTES, // int32 length
    WIRE_COMPACT_BYTES,
    WIRE_RECORDS,
    WIRE_COMPACT_RECORDS,
    WIRE_STRUCT,
    WIRE_POINTER,          // a nullable struct: int8 -1 or 1 in front
    WIRE_TAGGED_POINTER,   // a nullable struct in a tagged field: varint 0 or 1 in front
    WIRE_POINTER_NOT_NULL, // nullable in other versions only: nothing in front
    WIRE_ARRAY,            // int32 count
    WIRE_COMPACT_ARRAY,
    WIRE_ABSENT, // not in this version, and may not be set
};

// A field of a struct in a version.
struct wire_field {
    uint8_t op, element; // element: the op of one element of an array; else the same as op
    uint8_t nullable;
    uint8_t tag;
    uint16_t offset;        // in the C struct
    uint16_t element_bytes; // in C
    uint16_t wire;          // of structs: in codec_wire_structs
    uint16_t field;         // in codec_fields
};

// A struct in a version. Its rows of codec_wire_fields: `fields` plain ones, then `tags` tagged ones by tag,
// then `absent` ones.
struct wire_struct {
    uint32_t first;
    uint16_t min_bytes; // the least that it takes on the wire
    uint16_t info;      // in codec_structs
    uint16_t fields, tags, absent;
    uint16_t flexible;
};

// The types of a kind by key; NULL where there is none.
struct message_lookup {
    const struct message_type *const *types;
    int16_t count;
};

extern const struct message_lookup codec_lookups[MESSAGE_KINDS];
extern const char codec_names[];
extern const struct field_info codec_fields[];
extern const struct struct_info codec_structs[];
extern const struct wire_field codec_wire_fields[];
extern const struct wire_struct codec_wire_structs[];
extern const size_t codec_wire_structs_count;
extern const struct message_type *const codec_messages[]; // by name
extern const size_t codec_messages_count;
extern const struct api codec_apis[]; // by key
extern const size_t codec_apis_count;

static inline const struct wire_struct *wire_of(const struct message_type *type, int16_t version)
{
    return &codec_wire_structs[type->wires[version - type->min_version]];
}

// The least that an element takes on the wire.
static inline size_t wire_element_min_bytes(const struct wire_field *f)
{
    static const uint8_t bytes[WIRE_STRUCT] = {1, 1, 2, 4, 8, 16, 2, 1, 4, 1, 4, 1};
    return f->element == WIRE_STRUCT ? codec_wire_structs[f->wire].min_bytes : bytes[f->element];
}

static inline int32_t *array_count(const void *pointer_member)
{
    return (int32_t *)((uintptr_t)pointer_member + sizeof(void *));
}

// Whether a field of a struct has its default value.
bool field_is_default(const struct field_info *f, const uint8_t *structure, const struct struct_info *info);

#endif
