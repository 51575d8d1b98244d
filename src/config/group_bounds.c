#include "config/group_bounds.h"

#include "base/error.h"
#include "config/setting.h"

#include <stdlib.h>

#define OF_BROKER "group." // in front of a group's setting: the broker's default for it

// NULL: no bound.
static const struct bound {
    const char *setting, *least, *most;
} bounds[] = {
    {"consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms",
     "group.consumer.max.heartbeat.interval.ms"},
    {"consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms",
     "group.consumer.max.session.timeout.ms"},
    {"consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms",
     "group.consumer.max.assignment.interval.ms"},
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

#define BOUNDS (sizeof bounds / sizeof *bounds)

static int64_t integer_of(const struct broker_config *c, const char *name, struct arena *arena)
{
    struct setting_value value;
    return broker_config_value(c, str_from(name), arena, &value) == 0 ? value.integer : 0;
}

// The bound that the value passes; NULL: it lies within. *limit: what it is.
static const char *passed(const struct broker_config *c, const struct bound *b, int64_t value,
                          struct arena *arena, int64_t *limit)
{
    *limit = b->least ? integer_of(c, b->least, arena) : INT64_MIN;
    if (value < *limit)
        return b->least;
    *limit = integer_of(c, b->most, arena);
    return value > *limit ? b->most : NULL;
}

static int refuse(struct str *message, struct str text)
{
    *message = text;
    return text.data ? ERR_INVALID : ERR_NOMEM;
}

// "at least" or "at most" the bound.
static const char *relation(const struct bound *b, const char *bound, const char *least, const char *most)
{
    return bound == b->least ? least : most;
}

// The broker

static const struct ordered { // the first is to be at least the second, or larger
    const char *larger, *smaller;
    bool strictly;
} ordered[] = {
    {"group.consumer.max.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms", false},
    {"group.consumer.max.session.timeout.ms", "group.consumer.min.session.timeout.ms", false},
    {"group.consumer.session.timeout.ms", "group.consumer.heartbeat.interval.ms", true},
    {"group.consumer.max.assignment.interval.ms", "group.consumer.min.assignment.interval.ms", false},
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

int group_bounds_of_broker(const struct broker_config *c, struct arena *arena, struct str *message)
{
    for (size_t i = 0; i < sizeof ordered / sizeof *ordered; i++) {
        const struct ordered *o = &ordered[i];
        long long larger = integer_of(c, o->larger, arena), smaller = integer_of(c, o->smaller, arena);
        if (larger < smaller + o->strictly)
            return refuse(message,
                          arena_printf(arena, "%s=%lld: it must be %s %s, which is %lld", o->larger, larger,
                                       o->strictly ? "larger than" : "at least", o->smaller, smaller));
    }
    for (size_t i = 0; i < BOUNDS; i++) {
        struct str name = arena_printf(arena, OF_BROKER "%s", bounds[i].setting);
        if (!name.data)
            return ERR_NOMEM;
        int64_t value = integer_of(c, name.data, arena), limit;
        const char *bound = passed(c, &bounds[i], value, arena, &limit);
        if (bound)
            return refuse(message,
                          arena_printf(arena, "%.*s=%lld: it must be %s %s, which is %lld", STR_ARG(name),
                                       (long long)value, relation(&bounds[i], bound, "at least", "at most"),
                                       bound, (long long)limit));
    }
    return 0;
}

// What is changed

// Kafka's words. `prefix` stands in front of the group's setting.
static int check(const struct broker_config *broker, const struct bound *b, const char *prefix, int64_t value,
                 struct arena *arena, struct str *message)
{
    int64_t limit;
    const char *bound = passed(broker, b, value, arena, &limit);
    if (!bound)
        return 0;
    return refuse(message, arena_printf(arena, "%s%s must be %s than or equal to %s", prefix, b->setting,
                                        relation(b, bound, "greater", "less"), bound));
}

int group_bounds_of_group(const struct broker_config *broker, const struct config_entry *entries, size_t n,
                          struct arena *arena, struct str *message)
{
    for (size_t i = 0; i < BOUNDS; i++) {
        struct str name = str_from(bounds[i].setting);
        const struct config_entry *e = config_entry_find(entries, n, name);
        struct setting_value value;
        if (!e)
            continue;
        int err = setting_parse(setting_find(SETTING_GROUP, name), e->value, arena, &value, message);
        err = err ? err : check(broker, &bounds[i], "", value.integer, arena, message);
        if (err)
            return err;
    }
    return 0;
}

int group_bounds_of_change(const struct broker_config *after, const struct config_entry *entries, size_t n,
                           struct arena *arena, struct str *message)
{
    for (size_t i = 0; i < BOUNDS; i++) {
        struct str name = arena_printf(arena, OF_BROKER "%s", bounds[i].setting);
        const struct config_entry *e = config_entry_find(entries, n, name);
        struct setting_value value;
        if (!e || setting_parse(setting_find(SETTING_BROKER, name), e->value, arena, &value, NULL))
            continue;
        int err = check(after, &bounds[i], OF_BROKER, value.integer, arena, message);
        if (err)
            return err;
    }
    return 0;
}

// What counts

int64_t group_config_bound(const struct broker_config *broker, struct str name, int64_t value)
{
    struct arena arena;
    int64_t limit;
    arena_init(&arena, 0);
    for (size_t i = 0; i < BOUNDS; i++)
        if (str_is(name, bounds[i].setting) && passed(broker, &bounds[i], value, &arena, &limit))
            value = limit;
    arena_free(&arena);
    return value;
}

int group_bounds_clamp(struct broker_config *c)
{
    for (size_t i = 0; i < BOUNDS; i++) {
        struct str name = arena_printf(&c->arena, OF_BROKER "%s", bounds[i].setting);
        if (!name.data)
            return ERR_NOMEM;
        int64_t limit;
        const struct setting *s = setting_find(SETTING_BROKER, name);
        if (s->update == SETTING_READ_ONLY ||
            !passed(c, &bounds[i], integer_of(c, s->name, &c->arena), &c->arena, &limit))
            continue;
        struct str text = arena_printf(&c->arena, "%lld", (long long)limit);
        if (!text.data || properties_set(&c->properties, name, text))
            return ERR_NOMEM;
    }
    return 0;
}
