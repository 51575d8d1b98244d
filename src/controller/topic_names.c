#include "controller/controller_internal.h"

#define NAME_MAX_BYTES 249 // with "-<partition>" and a suffix it is still a file name

struct str topic_name_problem(struct str name, struct arena *arena)
{
    if (name.size == 0)
        return STR("Topic name is invalid: the empty string is not allowed");
    if (str_is(name, ".") || str_is(name, ".."))
        return STR("Topic name is invalid: '.' or '..' is not allowed");
    if (name.size > NAME_MAX_BYTES)
        return arena_printf(
            arena, "Topic name is invalid: the length of '%.*s' is longer than the max allowed length %d",
            STR_ARG(name), NAME_MAX_BYTES);
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                     c == '_' || c == '-';
        if (!legal)
            return arena_printf(
                arena,
                "Topic name is invalid: '%.*s' contains one or more characters other than ASCII "
                "alphanumerics, '.', '_' and '-'",
                STR_ARG(name));
    }
    return STR_NULL;
}

// Metric names take '.' and '_' for the same.
static bool same_but_dots(struct str a, struct str b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        char x = a.data[i] == '.' ? '_' : a.data[i], y = b.data[i] == '.' ? '_' : b.data[i];
        if (x != y)
            return false;
    }
    return true;
}

struct str topic_name_collision(const struct image *image, struct str name)
{
    if (!name.size || (!memchr(name.data, '.', name.size) && !memchr(name.data, '_', name.size)))
        return STR_NULL;
    struct hamt_walk w = hamt_walk(&image->topics_by_name);
    for (const struct image_topic *t; (t = hamt_next(&w));)
        if (same_but_dots(t->name, name))
            return t->name;
    return STR_NULL;
}
