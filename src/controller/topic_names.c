#include "controller/controller_internal.h"

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
