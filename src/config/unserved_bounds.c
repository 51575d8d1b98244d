// Share and streams groups are not served yet; their settings are checked as if they were, so that a
// server.properties that Kafka refuses is refused here, too.
#include "base/error.h"
#include "config/group_bounds.h"

const struct group_bound group_bounds_unserved[] = {
    {"share.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms",
     "group.share.max.heartbeat.interval.ms"},
    {"share.session.timeout.ms", "group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms"},
    {"share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms",
     "group.share.max.record.lock.duration.ms"},
    {"share.delivery.count.limit", "group.share.min.delivery.count.limit",
     "group.share.max.delivery.count.limit"},
    {"share.partition.max.record.locks", "group.share.min.partition.max.record.locks",
     "group.share.max.partition.max.record.locks"},
    {"share.assignment.interval.ms", "group.share.min.assignment.interval.ms",
     "group.share.max.assignment.interval.ms"},
    {"streams.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms",
     "group.streams.max.heartbeat.interval.ms"},
    {"streams.session.timeout.ms", "group.streams.min.session.timeout.ms",
     "group.streams.max.session.timeout.ms"},
    {"streams.num.standby.replicas", NULL, "group.streams.max.standby.replicas"},
    {"streams.assignment.interval.ms", "group.streams.min.assignment.interval.ms",
     "group.streams.max.assignment.interval.ms"},
};

const size_t group_bounds_unserved_count = sizeof group_bounds_unserved / sizeof *group_bounds_unserved;

const struct group_order group_orders_unserved[] = {
    {"group.share.max.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms", false},
    {"group.share.max.session.timeout.ms", "group.share.min.session.timeout.ms", false},
    {"group.share.session.timeout.ms", "group.share.heartbeat.interval.ms", true},
    {"group.share.max.assignment.interval.ms", "group.share.min.assignment.interval.ms", false},
    {"group.share.max.share.sessions", "group.share.max.size", false},
    {"group.streams.max.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms", false},
    {"group.streams.max.session.timeout.ms", "group.streams.min.session.timeout.ms", false},
    {"group.streams.session.timeout.ms", "group.streams.heartbeat.interval.ms", true},
    {"group.streams.max.assignment.interval.ms", "group.streams.min.assignment.interval.ms", false},
};

const size_t group_orders_unserved_count = sizeof group_orders_unserved / sizeof *group_orders_unserved;

int group_bounds_share_assignor(const struct broker_config *c, struct arena *arena, struct str *message)
{
    static const struct str name = {"group.share.assignors", 21};
    struct setting_value assignors;
    if (broker_config_value(c, name, arena, &assignors) != 0)
        return ERR_NOMEM;
    if (assignors.count == 1)
        return 0;
    *message = arena_printf(arena, "%.*s=%.*s: it must name exactly one", STR_ARG(name),
                            STR_ARG(properties_get(&c->properties, name)));
    return message->data ? ERR_INVALID : ERR_NOMEM;
}
