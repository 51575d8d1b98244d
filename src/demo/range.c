// The "range" assignment of Kafka's consumers.
#include "demo/member.h"

static bool subscribes(const struct range_member *m, struct str topic)
{
    for (int32_t i = 0; i < m->topics_count; i++)
        if (str_equal(m->topics[i], topic))
            return true;
    return false;
}

int32_t range_of(const struct range_member *members, int32_t count, int32_t self, struct str topic,
                 int32_t partitions, int32_t *first)
{
    int32_t all = 0, before = 0;
    *first = 0;
    if (!subscribes(&members[self], topic))
        return 0;
    for (int32_t i = 0; i < count; i++) {
        if (!subscribes(&members[i], topic))
            continue;
        all++;
        before += str_compare(members[i].id, members[self].id) < 0;
    }
    int32_t each = partitions / all, more = partitions % all;
    *first = before * each + (before < more ? before : more);
    return each + (before < more);
}
