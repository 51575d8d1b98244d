#include "config/group_bounds.h"

#include "base/error.h"
#include "config/setting.h"

#define OF_BROKER "group." // in front of a group's setting: the broker's default for it

#define SERVED 3 // bounds of groups that are served

static size_t bounds_count(void)
{
    return SERVED + group_bounds_unserved_count;
}

static const struct group_bound *bound_at(size_t i)
{
    static const struct group_bound served[SERVED] = {
        {"consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms",
         "group.consumer.max.heartbeat.interval.ms"},
        {"consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms",
         "group.consumer.max.session.timeout.ms"},
        {"consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms",
         "group.consumer.max.assignment.interval.ms"},
    };
    return i < SERVED ? &served[i] : &group_bounds_unserved[i - SERVED];
}

static int64_t integer_of(const struct broker_config *c, const char *name, struct arena *arena)
{
    struct setting_value value;
    return broker_config_value(c, str_from(name), arena, &value) == 0 ? value.integer : 0;
}

// The bound that the value passes; NULL: it lies within. *limit: what it is.
static const char *passed(const struct broker_config *c, const struct group_bound *b, int64_t value,
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
static const char *relation(const struct group_bound *b, const char *bound, const char *least,
                            const char *most)
{
    return bound == b->least ? least : most;
}

// The broker

static const struct group_order orders[] = {
    {"group.consumer.max.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms", false},
    {"group.consumer.max.session.timeout.ms", "group.consumer.min.session.timeout.ms", false},
    {"group.consumer.session.timeout.ms", "group.consumer.heartbeat.interval.ms", true},
    {"group.consumer.max.assignment.interval.ms", "group.consumer.min.assignment.interval.ms", false},
};

static int check_orders(const struct broker_config *c, const struct group_order *all, size_t count,
                        struct arena *arena, struct str *message)
{
    for (size_t i = 0; i < count; i++) {
        const struct group_order *o = &all[i];
        long long larger = integer_of(c, o->larger, arena), smaller = integer_of(c, o->smaller, arena);
        if (larger < smaller + o->strictly)
            return refuse(message,
                          arena_printf(arena, "%s=%lld: it must be %s %s, which is %lld", o->larger, larger,
                                       o->strictly ? "larger than" : "at least", o->smaller, smaller));
    }
    return 0;
}

int group_bounds_of_broker(const struct broker_config *c, struct arena *arena, struct str *message)
{
    int err = check_orders(c, orders, sizeof orders / sizeof *orders, arena, message);
    err = err ? err : check_orders(c, group_orders_unserved, group_orders_unserved_count, arena, message);
    if (err)
        return err;
    for (size_t i = 0; i < bounds_count(); i++) {
        struct str name = arena_printf(arena, OF_BROKER "%s", bound_at(i)->setting);
        if (!name.data)
            return ERR_NOMEM;
        int64_t value = integer_of(c, name.data, arena), limit;
        const char *bound = passed(c, bound_at(i), value, arena, &limit);
        if (bound)
            return refuse(message,
                          arena_printf(arena, "%.*s=%lld: it must be %s %s, which is %lld", STR_ARG(name),
                                       (long long)value, relation(bound_at(i), bound, "at least", "at most"),
                                       bound, (long long)limit));
    }
    return 0;
}

// What is changed

// Kafka's words. `prefix` stands in front of the group's setting.
static int check(const struct broker_config *broker, const struct group_bound *b, const char *prefix,
                 int64_t value, struct arena *arena, struct str *message)
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
    for (size_t i = 0; i < bounds_count(); i++) {
        struct str name = str_from(bound_at(i)->setting);
        const struct config_entry *e = config_entry_find(entries, n, name);
        struct setting_value value;
        if (!e)
            continue;
        int err = setting_parse(setting_find(SETTING_GROUP, name), e->value, arena, &value, message);
        err = err ? err : check(broker, bound_at(i), "", value.integer, arena, message);
        if (err)
            return err;
    }
    return 0;
}

int group_bounds_of_change(const struct broker_config *after, const struct config_entry *entries, size_t n,
                           struct arena *arena, struct str *message)
{
    for (size_t i = 0; i < bounds_count(); i++) {
        struct str name = arena_printf(arena, OF_BROKER "%s", bound_at(i)->setting);
        const struct config_entry *e = config_entry_find(entries, n, name);
        struct setting_value value;
        if (!e || setting_parse(setting_find(SETTING_BROKER, name), e->value, arena, &value, NULL))
            continue;
        int err = check(after, bound_at(i), OF_BROKER, value.integer, arena, message);
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
    for (size_t i = 0; i < bounds_count(); i++)
        if (str_is(name, bound_at(i)->setting) && passed(broker, bound_at(i), value, &arena, &limit))
            value = limit;
    arena_free(&arena);
    return value;
}

int group_bounds_clamp(struct broker_config *c)
{
    for (size_t i = 0; i < bounds_count(); i++) {
        struct str name = arena_printf(&c->arena, OF_BROKER "%s", bound_at(i)->setting);
        if (!name.data)
            return ERR_NOMEM;
        int64_t limit;
        const struct setting *s = setting_find(SETTING_BROKER, name);
        if (s->update == SETTING_READ_ONLY ||
            !passed(c, bound_at(i), integer_of(c, s->name, &c->arena), &c->arena, &limit))
            continue;
        struct str text = arena_printf(&c->arena, "%lld", (long long)limit);
        if (!text.data || properties_set(&c->properties, name, text))
            return ERR_NOMEM;
    }
    return 0;
}
