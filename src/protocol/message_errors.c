// The error codes of a message, wherever they lie in it. What leads to one is found out once, so that a walk
// looks at nothing else.
#include "protocol/tables.h"

#include <pthread.h>
#include <stdlib.h>

enum role { NOTHING, HAS_CODE, LEADS_TO_CODE };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint8_t *roles;   // of codec_fields; NULL: out of memory, and no code is found
static uint8_t *leading; // of codec_structs: whether there is a code within

static bool is_code(const struct field_info *f)
{
    return f->type == FIELD_INT16 && !f->array && strcmp(&codec_names[f->name], "errorCode") == 0;
}

// Whether the struct has come to lead to a code just now.
static bool look_at(uint16_t structure)
{
    const struct struct_info *info = &codec_structs[structure];
    bool leads = false;
    for (uint16_t i = 0; i < info->fields; i++) {
        uint16_t at = (uint16_t)(info->first_field + i);
        const struct field_info *f = &codec_fields[at];
        if (is_code(f))
            roles[at] = HAS_CODE;
        else if (f->type == FIELD_STRUCT && leading[f->structure])
            roles[at] = LEADS_TO_CODE;
        leads |= roles[at] != NOTHING;
    }
    bool is_new = leads && !leading[structure];
    leading[structure] = leads;
    return is_new;
}

static void count_tables(size_t *structs_count, size_t *fields_count)
{
    size_t structs = 0, fields = 0;
    for (size_t i = 0; i < codec_wire_structs_count; i++) {
        const struct struct_info *info = &codec_structs[codec_wire_structs[i].info];
        size_t end = (size_t)info->first_field + info->fields;
        structs = codec_wire_structs[i].info >= structs ? (size_t)codec_wire_structs[i].info + 1 : structs;
        fields = end > fields ? end : fields;
        for (size_t k = info->first_field; k < end; k++)
            if (codec_fields[k].type == FIELD_STRUCT && codec_fields[k].structure >= structs)
                structs = (size_t)codec_fields[k].structure + 1;
    }
    *structs_count = structs;
    *fields_count = fields;
}

static void find_roles(void)
{
    size_t structs, fields;
    count_tables(&structs, &fields);
    uint8_t *all = calloc(fields + structs, 1);
    if (!all)
        return;
    roles = all;
    leading = all + fields;
    for (bool more = true; more;) { // until nothing new leads anywhere
        more = false;
        for (size_t i = 0; i < codec_wire_structs_count; i++)
            more |= look_at(codec_wire_structs[i].info);
    }
}

struct walk {
    void (*each)(void *arg, int16_t code);
    void *arg;
};

static void walk_struct(const struct walk *w, const struct struct_info *info, const uint8_t *in);

static void walk_field(const struct walk *w, const struct field_info *f, const uint8_t *in)
{
    const struct struct_info *info = &codec_structs[f->structure];
    const uint8_t *pointed = f->array || f->pointer ? *(const uint8_t *const *)(const void *)in : in;
    int32_t count = f->array ? *array_count(in) : pointed ? 1 : 0;
    for (int32_t i = 0; i < count; i++)
        walk_struct(w, info, pointed + (size_t)i * info->size_bytes);
}

static void walk_struct(const struct walk *w, const struct struct_info *info, const uint8_t *in)
{
    for (uint16_t i = 0; i < info->fields; i++) {
        const struct field_info *f = &codec_fields[info->first_field + i];
        uint8_t role = roles[info->first_field + i];
        if (role == LEADS_TO_CODE) {
            walk_field(w, f, in + f->offset);
        } else if (role == HAS_CODE) {
            int16_t code;
            memcpy(&code, in + f->offset, sizeof code);
            if (code != 0)
                w->each(w->arg, code);
        }
    }
}

void message_each_error(const struct message_type *type, const void *message,
                        void (*each)(void *arg, int16_t code), void *arg)
{
    struct walk w = {each, arg};
    pthread_once(&once, find_roles);
    if (roles && leading[type->info])
        walk_struct(&w, &codec_structs[type->info], message);
}
