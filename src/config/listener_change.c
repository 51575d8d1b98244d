// Listeners that change while the broker runs: the checks of Kafka 4.3.1, in its order and words.
#include "base/error.h"
#include "config/broker_check.h"
#include "config/layers.h"
#include "config/setting_check.h"

#include <ctype.h>
#include <strings.h>

#define LISTENERS "listeners"
#define PROTOCOLS "listener.security.protocol.map"

// One entry of `listeners`.
struct endpoint {
    struct str name, host; // as written
    struct str port;       // digits, perhaps with a sign
};

static bool same_name(struct str a, struct str b)
{
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

static struct setting_value list_of(struct check *c, const char *name)
{
    struct setting_value value;
    broker_config_value(&c->after, str_from(name), c->arena, &value);
    return value;
}

static bool is_controllers(const struct check *c, struct str name)
{
    const struct broker_config *b = c->change->started;
    for (size_t i = 0; i < b->controller_listener_name_count; i++)
        if (same_name(b->controller_listener_names[i], name))
            return true;
    return false;
}

// --- listener.security.protocol.map ---

static const char *const protocols[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};

static const char *protocol_named(struct str name)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (same_name(str_from(protocols[i]), name))
            return protocols[i];
    return NULL;
}

// "ListenerName(A), ListenerName(B)", as Java prints them.
static struct str add_name(struct check *c, struct str set, struct str name)
{
    struct str text =
        arena_printf(c->arena, "%.*s%sListenerName(%.*s)", STR_ARG(set), set.size ? ", " : "", STR_ARG(name));
    for (size_t i = text.size - 1 - name.size; text.data && i < text.size; i++)
        ((char *)(uintptr_t)text.data)[i] = (char)toupper((unsigned char)text.data[i]);
    return text;
}

static bool next_entry(struct str list, size_t *at, struct str *entry)
{
    if (!list.data || *at > list.size)
        return false;
    size_t end = *at;
    while (end < list.size && list.data[end] != ',')
        end++;
    *entry = setting_trim((struct str){list.data + *at, end - *at});
    *at = end + 1;
    return true;
}

static void split_entry(struct str entry, struct str *name, struct str *protocol)
{
    const char *colon = memrchr(entry.data, ':', entry.size);
    *name = setting_trim((struct str){entry.data, (size_t)(colon - entry.data)});
    *protocol = setting_trim((struct str){colon + 1, entry.size - (size_t)(colon + 1 - entry.data)});
}

// A name that is written in two ways. (Of one that is written twice, the later counts.)
static int check_map_names(struct check *c, struct str map)
{
    struct str one, other, name, protocol, again, second;
    for (size_t at = 0; next_entry(map, &at, &one);) {
        if (one.size == 0)
            continue;
        split_entry(one, &name, &protocol);
        for (size_t behind = at; next_entry(map, &behind, &other);) {
            if (other.size == 0)
                continue;
            split_entry(other, &again, &second);
            if (same_name(name, again) && !str_equal(name, again)) {
                struct str shown = add_name(c, STR(""), name);
                return REFUSE(c, "Duplicate key %.*s (attempted merging values %s and %s)", STR_ARG(shown),
                              protocol_named(protocol), protocol_named(second));
            }
        }
    }
    return 0;
}

static int check_map(struct check *c)
{
    struct str map = properties_get(&c->after.properties, STR(PROTOCOLS)), entry;
    for (size_t at = 0; next_entry(map, &at, &entry);) {
        const char *colon = entry.size ? memrchr(entry.data, ':', entry.size) : NULL;
        if (entry.size == 0)
            continue;
        if (!colon)
            return REFUSE(c, "Error parsing configuration property '%s': begin 0, end -1, length %zu",
                          PROTOCOLS, entry.size);
        struct str name, protocol;
        split_entry(entry, &name, &protocol);
        if (!protocol_named(protocol))
            return REFUSE(c, "Invalid security protocol `%.*s` defined in %s", STR_ARG(protocol), PROTOCOLS);
    }
    return check_map_names(c, map);
}

// The protocol that a configuration's map gives a listener, which was checked; NULL: none. Of two entries the
// later counts. Without a map names of protocols stand for themselves, and controllers' listeners are
// PLAINTEXT.
static const char *protocol_of(const struct check *c, const struct broker_config *config, struct str name)
{
    struct str map = properties_get(&config->properties, STR(PROTOCOLS)), entry;
    const char *found = NULL;
    if (!map.data)
        return is_controllers(c, name) ? protocols[0] : protocol_named(name);
    for (size_t at = 0; next_entry(map, &at, &entry);) {
        struct str its, protocol;
        if (!entry.size || !memchr(entry.data, ':', entry.size))
            continue;
        split_entry(entry, &its, &protocol);
        if (same_name(its, name))
            found = protocol_named(protocol);
    }
    return found;
}

// --- listeners ---

// "Error creating broker listeners from 'printed': why".
static int refuse_listeners(struct check *c, struct str printed, struct str why)
{
    return why.data ? REFUSE(c, "Error creating broker listeners from '%.*s': %.*s", STR_ARG(printed),
                             STR_ARG(why))
                    : ERR_NOMEM;
}

#define REFUSE_LISTENERS(c, printed, ...) refuse_listeners(c, printed, arena_printf((c)->arena, __VA_ARGS__))

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.size; i++)
        if (!isalnum((unsigned char)host.data[i]) && !strchr("-%._:", host.data[i]))
            return false;
    return true;
}

static bool is_port(struct str port)
{
    size_t at = port.size > 1 && port.data[0] == '-';
    for (size_t i = at; i < port.size; i++)
        if (!isdigit((unsigned char)port.data[i]))
            return false;
    return port.size > 0;
}

// NAME://host:port, where an IPv6 address stands in brackets.
static bool parse(struct str entry, struct endpoint *out)
{
    const char *mark = NULL;
    for (size_t i = 0; i + 3 <= entry.size; i++)
        if (memcmp(entry.data + i, "://", 3) == 0)
            mark = entry.data + i;
    if (!mark)
        return false;
    struct str address = {mark + 3, entry.size - (size_t)(mark + 3 - entry.data)};
    const char *colon = address.size ? memrchr(address.data, ':', address.size) : NULL;
    if (!colon)
        return false;
    out->name = (struct str){entry.data, (size_t)(mark - entry.data)};
    out->port = (struct str){colon + 1, address.size - (size_t)(colon + 1 - address.data)};
    out->host = (struct str){address.data, (size_t)(colon - address.data)};
    if (out->host.size && out->host.data[0] == '[')
        out->host = (struct str){out->host.data + 1, out->host.size - 1};
    if (out->host.size && out->host.data[out->host.size - 1] == ']')
        out->host.size--;
    return is_host(out->host) && is_port(out->port);
}

// 4 or 6 for a numeric address, 0 for a name.
static int family(struct str host)
{
    bool four = host.size > 0;
    for (size_t i = 0; i < host.size; i++)
        four &= isdigit((unsigned char)host.data[i]) || host.data[i] == '.';
    return four ? 4 : host.size && memchr(host.data, ':', host.size) ? 6 : 0;
}

// Two may share a port only as one IPv4 and one IPv6 address.
static int check_port(struct check *c, const struct endpoint *all, size_t n, struct str port,
                      struct str printed)
{
    size_t named = 0, numeric = 0;
    int families = 0;
    for (size_t i = 0; i < n; i++) {
        if (!str_equal(all[i].port, port))
            continue;
        named += family(all[i].host) == 0;
        numeric += family(all[i].host) != 0;
        families |= family(all[i].host);
    }
    if (named + numeric < 2 || str_is(port, "0"))
        return 0;
    if (named > 1)
        return REFUSE_LISTENERS(c, printed, "Each listener must have a different port, listeners: %.*s",
                                STR_ARG(printed));
    if (numeric == 2 && families != (4 | 6))
        return REFUSE_LISTENERS(
            c, printed,
            "If you have two listeners on the same port then one needs to be IPv4 and the other "
            "IPv6, listeners: %.*s, port: %.*s",
            STR_ARG(printed), STR_ARG(port));
    if (numeric != 2 || named > 0)
        return REFUSE_LISTENERS(
            c, printed,
            "Each listener must have a different port unless exactly one listener has an IPv4 "
            "address and the other IPv6 address, listeners: %.*s, port: %.*s",
            STR_ARG(printed), STR_ARG(port));
    return 0;
}

static int check_endpoints(struct check *c, const struct setting_value *list, struct endpoint *all)
{
    struct str printed = setting_list_as_java(list, c->arena);
    if (!printed.data)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        if (!parse(list->entries[i], &all[i]))
            return REFUSE_LISTENERS(c, printed, "Unable to parse %.*s to a broker endpoint",
                                    STR_ARG(list->entries[i]));
        if (all[i].name.size == 0)
            return REFUSE_LISTENERS(c, printed, "The provided listener name is null or empty string");
        if (!protocol_of(c, &c->after, all[i].name)) {
            struct str name = arena_str(c->arena, all[i].name);
            for (size_t k = 0; name.data && k < name.size; k++)
                ((char *)(uintptr_t)name.data)[k] = (char)toupper((unsigned char)name.data[k]);
            return REFUSE_LISTENERS(c, printed, "No security protocol defined for listener %.*s",
                                    STR_ARG(name));
        }
    }
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < i; k++)
            if (same_name(all[i].name, all[k].name))
                return REFUSE_LISTENERS(c, printed,
                                        "Each listener must have a different name, listeners: %.*s",
                                        STR_ARG(printed));
    int err = 0;
    for (size_t i = 0; i < list->count && !err; i++)
        err = check_port(c, all, list->count, all[i].port, printed);
    return err;
}

static bool has(const struct endpoint *all, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (same_name(all[i].name, name))
            return true;
    return false;
}

static struct str joined(struct check *c, const struct endpoint *all, size_t n)
{
    struct str names = STR("");
    for (size_t i = 0; i < n && names.data; i++)
        names = arena_printf(c->arena, "%.*s%s%.*s", STR_ARG(names), i ? "," : "", STR_ARG(all[i].name));
    return names;
}

// What is told to clients: the broker's advertised listeners, which do not change, or all that are no
// controller's. Returns how many.
static size_t told(struct check *c, const struct endpoint *all, size_t n, struct endpoint *out)
{
    struct setting_value given = list_of(c, "advertised.listeners");
    size_t count = 0;
    for (size_t i = 0; i < (given.null ? n : given.count); i++) {
        struct endpoint one;
        if (given.null)
            one = all[i];
        else if (!parse(given.entries[i], &one))
            continue;
        if (!is_controllers(c, one.name))
            out[count++] = one;
    }
    return count;
}

static int check_told(struct check *c, const struct endpoint *all, size_t n, const struct endpoint *out,
                      size_t count)
{
    const struct broker_config *b = c->change->started;
    struct str names = joined(c, all, n), out_names = joined(c, out, count);
    bool known = true;
    for (size_t i = 0; i < count; i++)
        known &= has(all, n, out[i].name);
    if (!names.data || !out_names.data)
        return ERR_NOMEM;
    if (count == 0)
        return REFUSE(
            c,
            "requirement failed: There must be at least one broker advertised listener. Perhaps all "
            "listeners appear in controller.listener.names?");
    if (!has(out, count, b->inter_broker_listener))
        return REFUSE(
            c,
            "requirement failed: inter.broker.listener.name must be a listener name defined in "
            "advertised.listeners. The valid options based on currently configured listeners are %.*s",
            STR_ARG(out_names));
    if (!known)
        return REFUSE(
            c,
            "requirement failed: advertised.listeners listener names must be equal to or a subset of the "
            "ones defined in listeners. Found %.*s. The valid options based on the current configuration "
            "are %.*s",
            STR_ARG(out_names), STR_ARG(names));
    for (size_t i = 0; i < count; i++)
        if (str_is(out[i].host, "0.0.0.0"))
            return REFUSE(c,
                          "requirement failed: advertised.listeners cannot use the nonroutable meta-address "
                          "0.0.0.0. Use a routable IP address.");
    return 0;
}

int check_listener_texts(struct check *c)
{
    const struct broker_config *b = c->change->started;
    struct setting_value list = list_of(c, LISTENERS);
    bool map = properties_get(&c->after.properties, STR(PROTOCOLS)).data != NULL;
    size_t most = list.count + b->listener_count + 1;
    struct endpoint *all = arena_zalloc(c->arena, most, sizeof *all);
    struct endpoint *out = arena_zalloc(c->arena, most, sizeof *out);
    if (!all || !out)
        return ERR_NOMEM;
    for (size_t i = 0; i < list.count && !map; i++)
        if (!memchr(list.entries[i].data, ':', list.entries[i].size))
            return REFUSE(c, "Unable to parse a listener name from %.*s", STR_ARG(list.entries[i]));
    int err = check_map(c);
    err = err ? err : check_endpoints(c, &list, all);
    bool some = false, every = true;
    for (size_t i = 0; i < b->controller_listener_name_count && b->is_controller; i++) {
        bool there = has(all, list.count, b->controller_listener_names[i]);
        some |= there;
        every &= there;
    }
    if (!err && b->is_controller && !every)
        return some
                   ? REFUSE(c,
                            "requirement failed: controller.listener.names must only contain values "
                            "appearing in "
                            "the 'listeners' configuration when running the KRaft controller role")
                   : REFUSE(
                         c,
                         "requirement failed: controller.listener.names must contain at least one value "
                         "appearing in the 'listeners' configuration when running the KRaft controller role");
    return err || !b->is_broker ? err : check_told(c, all, list.count, out, told(c, all, list.count, out));
}

// --- listeners that stay ---

// Settings of "listener.name.LISTENER." that may change while the listener stays.
static bool may_change(struct str base)
{
    return str_is(base, "max.connections") || str_is(base, "max.connection.creation.rate") ||
           str_is(base, "num.network.threads") || check_is_key_or_certificate(base);
}

// Whether "listener.name.LISTENER.base" is for this one: with its name in small letters.
static bool is_for(struct str name, struct str base, struct str listener)
{
    const size_t prefix = strlen("listener.name.");
    if (base.data == name.data || (size_t)(base.data - name.data) - prefix - 1 != listener.size)
        return false;
    for (size_t i = 0; i < listener.size; i++)
        if (name.data[prefix + i] != tolower((unsigned char)listener.data[i]))
            return false;
    return true;
}

// Whether every setting of these that is for the listener alone, and may not change, is as the node was
// started.
static bool as_started(const struct check *c, const struct config_entry *entries, size_t n,
                       struct str listener)
{
    for (size_t i = 0; i < n; i++) {
        struct str name = entries[i].name, base = broker_setting_base(name), text = STR_NULL;
        if (!is_for(name, base, listener) || may_change(base))
            continue;
        for (int layer = 0; layer < LAYER_COUNT && !text.data; layer++)
            text = layer_text(c->change->started, &c->change->layers, layer, name);
        if (!str_equal(text, layer_text(c->change->started, NULL, LAYER_COUNT - 1, name)))
            return false;
    }
    return true;
}

// Whether a setting changes on which Kafka looks at its listeners again.
static bool concerns_listeners(const struct check *c)
{
    const struct properties *now = &c->change->now->properties, *after = &c->after.properties;
    size_t count;
    const struct setting *table = setting_table(SETTING_BROKER, &count);
    for (size_t i = 0; i < count; i++) {
        struct str name = str_from(table[i].name);
        bool of_cluster = str_is(name, "max.connections") || str_is(name, "max.connection.creation.rate") ||
                          str_is(name, "num.network.threads");
        bool of_directories = str_is(name, "cordoned.log.dirs");
        if ((of_cluster || (table[i].update == SETTING_PER_BROKER && !of_directories)) &&
            !str_equal(properties_get(now, name), properties_get(after, name)))
            return true;
    }
    return false;
}

// What clients were told of stays.
static int check_told_stay(struct check *c, const struct setting_value *list)
{
    const struct broker_config *now = c->change->now;
    struct str told_names = STR(""), names = STR("");
    struct endpoint one;
    bool every = true;
    for (size_t k = 0; k < now->advertised_count; k++) {
        bool stays = now->advertised[k].controller;
        for (size_t i = 0; i < list->count; i++)
            stays |= parse(list->entries[i], &one) && same_name(one.name, now->advertised[k].name);
        every &= stays;
        if (!now->advertised[k].controller)
            told_names = add_name(c, told_names, now->advertised[k].name);
    }
    for (size_t i = 0; i < list->count; i++)
        if (parse(list->entries[i], &one))
            names = add_name(c, names, one.name);
    if (!told_names.data || !names.data)
        return ERR_NOMEM;
    return every ? 0
                 : REFUSE(c,
                          REFUSED_BY_PART("Advertised listeners 'Set(%.*s)' must be a subset of listeners "
                                          "'Set(%.*s)'"),
                          STR_ARG(told_names), STR_ARG(names));
}

int check_listeners_stay(struct check *c)
{
    const struct broker_config *now = c->change->now;
    const struct config_layers *layers = &c->change->layers;
    struct setting_value list = list_of(c, LISTENERS);
    struct endpoint one;
    if (!concerns_listeners(c))
        return 0;
    int err = check_told_stay(c, &list);
    if (err)
        return err;
    for (size_t i = 0; i < list.count; i++) {
        const struct listener_config *stays = NULL;
        for (size_t k = 0; parse(list.entries[i], &one) && k < now->listener_count; k++)
            if (same_name(now->listeners[k].name, one.name))
                stays = &now->listeners[k];
        if (!stays)
            continue;
        if (!as_started(c, layers->broker, layers->broker_count, stays->name) ||
            !as_started(c, layers->cluster, layers->cluster_count, stays->name))
            return REFUSE(
                c,
                REFUSED_BY_PART("Configs cannot be updated dynamically for existing listener "
                                "ListenerName(%.*s), restart broker or create a new listener for update"),
                STR_ARG(stays->name));
        if (protocol_of(c, now, stays->name) != protocol_of(c, &c->after, stays->name))
            return REFUSE(c,
                          REFUSED_BY_PART("Security protocol cannot be updated for existing listener "
                                          "ListenerName(%.*s)"),
                          STR_ARG(stays->name));
    }
    return 0;
}
