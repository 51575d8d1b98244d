// What bounds the settings of groups: other settings of the broker. For this room only; what others ask is in
// alter.h.
#ifndef CONFIG_GROUP_BOUNDS_H
#define CONFIG_GROUP_BOUNDS_H

#include "config/alter.h"

struct group_bound { // of a group's setting, by settings of the broker; NULL: none
    const char *setting, *least, *most;
};

struct group_order { // the first is to be at least the second, or larger
    const char *larger, *smaller;
    bool strictly;
};

// Of groups that are not served yet (unserved_bounds.c).
extern const struct group_bound group_bounds_unserved[];
extern const struct group_order group_orders_unserved[];
extern const size_t group_bounds_unserved_count, group_orders_unserved_count;

// The one assignor of share groups. 0; ERR_INVALID with one line; ERR_NOMEM.
int group_bounds_share_assignor(const struct broker_config *c, struct arena *arena, struct str *message);

// Whether the broker's own values lie within its bounds. 0; ERR_INVALID with one line; ERR_NOMEM.
int group_bounds_of_broker(const struct broker_config *c, struct arena *arena, struct str *message);

// Whether a group's do. 0; ERR_INVALID with Kafka's message; ERR_NOMEM.
int group_bounds_of_group(const struct broker_config *broker, const struct config_entry *entries, size_t n,
                          struct arena *arena, struct str *message);

// Whether a broker's own values, as they are to be changed, do. The same.
int group_bounds_of_change(const struct broker_config *after, const struct config_entry *entries, size_t n,
                           struct arena *arena, struct str *message);

// What was changed at run time and lies outside of bounds that another start has brought counts as the bound
// that it passes, in c->properties. 0 or ERR_NOMEM.
int group_bounds_clamp(struct broker_config *c);

#endif
