#include "config/alter.h"

#include "base/error.h"
#include "base/java_order.h"
#include "config/group_bounds.h"
#include "config/layers.h"

static int refuse(struct str *message, struct str text)
{
    *message = text;
    return text.data ? ERR_INVALID : ERR_NOMEM;
}

// --- lists ---

struct parts {
    struct str *items;
    size_t count;
};

// Java's split(","): empty parts count, but not those at the end.
static int split(struct str list, struct arena *arena, struct parts *out)
{
    size_t most = 1;
    for (size_t i = 0; i < list.size; i++)
        most += list.data[i] == ',';
    *out = (struct parts){arena_zalloc(arena, most, sizeof *out->items), 0};
    if (!out->items)
        return ERR_NOMEM;
    for (size_t start = 0, i = 0; i <= list.size; i++) {
        if (i < list.size && list.data[i] != ',')
            continue;
        out->items[out->count++] = (struct str){list.size ? list.data + start : "", i - start};
        start = i + 1;
    }
    while (out->count > 1 && out->items[out->count - 1].size == 0)
        out->count--;
    if (out->count == 1 && out->items[0].size == 0 && list.size > 0)
        out->count = 0; // commas alone
    return 0;
}

static size_t find(const struct parts *parts, struct str part)
{
    size_t i = 0;
    while (i < parts->count && !str_equal(parts->items[i], part))
        i++;
    return i;
}

static struct str join(const struct parts *parts, struct arena *arena)
{
    size_t size = 0;
    for (size_t i = 0; i < parts->count; i++)
        size += parts->items[i].size + 1;
    char *text = arena_alloc(arena, size + 1), *at = text;
    if (!text)
        return STR_NULL;
    for (size_t i = 0; i < parts->count; i++) {
        if (i > 0)
            *at++ = ',';
        at = mempcpy(at, parts->items[i].data, parts->items[i].size);
    }
    return (struct str){text, (size_t)(at - text)};
}

// What is there already: without its empty parts.
static int split_present(struct str list, size_t more, struct arena *arena, struct parts *out)
{
    struct parts all;
    int err = split(list, arena, &all);
    if (err)
        return err;
    *out = (struct parts){arena_zalloc(arena, all.count + more + 1, sizeof *out->items), 0};
    for (size_t i = 0; out->items && i < all.count; i++)
        if (all.items[i].size > 0)
            out->items[out->count++] = all.items[i];
    return out->items ? 0 : ERR_NOMEM;
}

struct str config_list_append(struct str list, struct str changed, struct arena *arena)
{
    struct parts present, added;
    if (split(changed, arena, &added) || split_present(list, added.count, arena, &present))
        return STR_NULL;
    for (size_t i = 0; i < added.count; i++)
        if (find(&present, added.items[i]) == present.count)
            present.items[present.count++] = added.items[i];
    return join(&present, arena);
}

struct str config_list_subtract(struct str list, struct str changed, struct arena *arena)
{
    struct parts present, removed;
    if (split(changed, arena, &removed) || split_present(list, 0, arena, &present))
        return STR_NULL;
    for (size_t i = 0; i < removed.count; i++) {
        size_t at = find(&present, removed.items[i]);
        if (at == present.count)
            continue;
        memmove(present.items + at, present.items + at + 1, (present.count - at - 1) * sizeof *present.items);
        present.count--;
    }
    return join(&present, arena);
}

// --- names and values ---

// Of several names that are unknown, Kafka says the one that comes first in its hash table.
int config_check_names(enum setting_scope scope, const char *what, const struct config_entry *entries,
                       size_t n, struct arena *arena, struct str *message)
{
    struct str *names = arena_zalloc(arena, n + 1, sizeof *names);
    size_t *order, others = 0;
    for (size_t i = 0; names && i < n; i++)
        names[i] = entries[i].name;
    // A group's table holds every default, too.
    if (scope == SETTING_GROUP)
        setting_table(scope, &others);
    for (size_t i = 0; i < n && others > 0; i++)
        others -= setting_find(scope, entries[i].name) != NULL;
    if (!names || java_map_order(names, n, others, arena, &order) != 0)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        if (!setting_find(scope, names[order[i]]))
            return refuse(message, arena_printf(arena, "%s: %.*s", what, STR_ARG(names[order[i]])));
    return 0;
}

int config_check_values(enum setting_scope scope, const struct config_entry *entries, size_t n,
                        struct arena *arena, struct str *message)
{
    size_t count;
    const struct setting *table = setting_table(scope, &count);
    for (size_t i = 0; i < count; i++) {
        const struct config_entry *e = config_entry_find(entries, n, str_from(table[i].name));
        struct setting_value value;
        int err = e ? setting_parse(&table[i], e->value, arena, &value, message) : 0;
        if (err)
            return err;
    }
    return 0;
}

// --- groups ---

static int check_sessions(const struct broker_config *broker, const struct config_layers *layers,
                          const struct config_entry *entries, size_t n, struct arena *arena,
                          struct str *message)
{
    static const char *const pairs[][2] = {
        {"consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"},
        {"share.session.timeout.ms", "share.heartbeat.interval.ms"},
        {"streams.session.timeout.ms", "streams.heartbeat.interval.ms"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct setting_value values[2];
        for (int k = 0; k < 2; k++) {
            struct str name = str_from(pairs[i][k]);
            const struct config_entry *e = config_entry_find(entries, n, name);
            int err = layered_value(broker, layers, setting_find(SETTING_GROUP, name),
                                    e ? e->value : STR_NULL, arena, &values[k]);
            if (err)
                return err;
        }
        if (values[0].integer <= values[1].integer)
            return refuse(message,
                          arena_printf(arena, "%s must be greater than %s", pairs[i][0], pairs[i][1]));
    }
    return 0;
}

int group_config_validate(const struct broker_config *broker, const struct config_layers *layers,
                          const struct config_entry *entries, size_t n, struct arena *arena,
                          struct str *message)
{
    *message = STR_NULL;
    int err = config_check_names(SETTING_GROUP, "Unknown group config name", entries, n, arena, message);
    err = err ? err : config_check_values(SETTING_GROUP, entries, n, arena, message);
    err = err ? err : group_bounds_of_group(broker, entries, n, arena, message);
    return err ? err : check_sessions(broker, layers, entries, n, arena, message);
}

// --- client metrics ---

#define PUSH_INTERVAL_LEAST_MS 100
#define PUSH_INTERVAL_MOST_MS  3600000

// What a match may look at.
static const char *const match_parameters[] = {"client_instance_id",    "client_id",
                                               "client_software_name",  "client_software_version",
                                               "client_source_address", "client_source_port"};

// A class in brackets from `i` (behind the bracket) on; returns the index behind it, or 0 when it is not
// closed.
static size_t skip_class(struct str p, size_t i)
{
    if (i < p.size && p.data[i] == '^')
        i++;
    for (bool first = true; i < p.size; i++, first = false) {
        if (p.data[i] == '\\')
            i++;
        else if (p.data[i] == '[') {
            i = skip_class(p, i + 1);
            if (i == 0)
                return 0;
            i--;
        } else if (p.data[i] == ']' && !first)
            return i + 1;
    }
    return 0;
}

// Whether Java would take the text for a pattern, as far as brackets, groups, escapes and repetitions go.
static bool is_pattern(struct str p)
{
    size_t open = 0;
    bool repeatable = false;
    for (size_t i = 0; i < p.size; i++) {
        char c = p.data[i];
        if (c == '\\' && ++i == p.size)
            return false;
        if (c == '[') {
            i = skip_class(p, i + 1);
            if (i-- == 0)
                return false;
        } else if (c == '(') {
            open++;
            if (i + 1 < p.size && p.data[i + 1] == '?')
                i++; // (?:, (?= and the like
        } else if (c == ')' && open-- == 0) {
            return false;
        } else if ((c == '*' || c == '+' || c == '?') && !repeatable) {
            return false;
        }
        repeatable = c != '(' && c != '|';
    }
    return open == 0;
}

// parameter=pattern, where Java's split("=") gives exactly two parts.
static bool is_match(struct str text)
{
    const char *equals = text.size ? memchr(text.data, '=', text.size) : NULL;
    if (!equals)
        return false;
    struct str name = setting_trim((struct str){text.data, (size_t)(equals - text.data)});
    struct str pattern = {equals + 1, text.size - (size_t)(equals + 1 - text.data)};
    while (pattern.size > 0 && pattern.data[pattern.size - 1] == '=')
        pattern.size--;
    if (pattern.size == 0 || memchr(pattern.data, '=', pattern.size))
        return false;
    for (size_t i = 0; i < sizeof match_parameters / sizeof *match_parameters; i++)
        if (str_is(name, match_parameters[i]))
            return is_pattern(setting_trim(pattern));
    return false;
}

int client_metrics_validate(const struct config_entry *entries, size_t n, struct arena *arena,
                            struct str *message, bool *bad_request)
{
    *message = STR_NULL;
    *bad_request = true;
    int err = config_check_names(SETTING_CLIENT_METRICS, "Unknown client metrics configuration", entries, n,
                                 arena, message);
    if (err)
        return err;
    *bad_request = false;
    err = config_check_values(SETTING_CLIENT_METRICS, entries, n, arena, message);
    if (err)
        return err;
    struct setting_value value;
    const struct config_entry *e = config_entry_find(entries, n, STR("interval.ms"));
    if (e &&
        setting_parse(setting_find(SETTING_CLIENT_METRICS, e->name), e->value, arena, &value, NULL) == 0 &&
        (value.integer < PUSH_INTERVAL_LEAST_MS || value.integer > PUSH_INTERVAL_MOST_MS)) {
        *bad_request = true;
        return refuse(message,
                      arena_printf(arena,
                                   "Invalid value %lld for interval.ms, interval must be between 100 "
                                   "and 3600000 (1 hour)",
                                   (long long)value.integer));
    }
    e = config_entry_find(entries, n, STR("match"));
    if (!e)
        return 0;
    err = setting_parse(setting_find(SETTING_CLIENT_METRICS, e->name), e->value, arena, &value, message);
    for (size_t i = 0; !err && i < value.count; i++)
        if (!is_match(value.entries[i]))
            err = refuse(message, arena_printf(arena, "Illegal client matching pattern: %.*s",
                                               STR_ARG(value.entries[i])));
    return err;
}
