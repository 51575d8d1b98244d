#include "config/listeners.h"

#include "base/error.h"
#include "config/setting_check.h"

#include <strings.h>

#define refuse(c, message, ...) \
    (*(message) = arena_printf(&(c)->arena, __VA_ARGS__), (message)->data ? ERR_INVALID : ERR_NOMEM)

static const char *const protocol_names[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};

static bool protocol_parse(struct str text, enum security_protocol *out)
{
    for (size_t i = 0; i < sizeof protocol_names / sizeof *protocol_names; i++) {
        if (text.size == strlen(protocol_names[i]) &&
            strncasecmp(text.data, protocol_names[i], text.size) == 0) {
            *out = (enum security_protocol)i;
            return true;
        }
    }
    return false;
}

static struct str upper(struct str s, struct arena *arena)
{
    struct str copy = arena_str(arena, s);
    for (size_t i = 0; copy.data && i < copy.size; i++)
        if (copy.data[i] >= 'a' && copy.data[i] <= 'z')
            ((char *)(uintptr_t)copy.data)[i] = (char)(copy.data[i] - 'a' + 'A');
    return copy;
}

// listener.security.protocol.map, as it is in effect.
struct protocol_map {
    struct str *names;
    enum security_protocol *protocols;
    size_t count;
};

static const enum security_protocol *protocol_of(const struct protocol_map *map, struct str name)
{
    for (size_t i = map->count; i > 0; i--) // of two entries the later counts, as in Kafka
        if (str_equal(map->names[i - 1], name))
            return &map->protocols[i - 1];
    return NULL;
}

static bool is_secure_name(struct str name)
{
    enum security_protocol p;
    return protocol_parse(name, &p) && p != PROTOCOL_PLAINTEXT;
}

static struct str listener_name(struct str entry)
{
    const char *mark = memmem(entry.data, entry.size, "://", 3);
    return mark ? (struct str){entry.data, (size_t)(mark - entry.data)} : STR_NULL;
}

// Kafka's rule: where no map is given and no listener is named after TLS or SASL, controller listeners are
// PLAINTEXT.
static bool controllers_are_plaintext(const struct broker_config *c, const struct setting_value *listeners)
{
    if (properties_get(&c->properties, STR("listener.security.protocol.map")).data)
        return false;
    for (size_t i = 0; i < c->controller_listener_name_count; i++)
        if (is_secure_name(c->controller_listener_names[i]))
            return false;
    for (size_t i = 0; i < listeners->count; i++)
        if (is_secure_name(listener_name(listeners->entries[i])))
            return false;
    return true;
}

static int map_entry(struct broker_config *c, struct protocol_map *map, struct str entry, struct str *message)
{
    const char *colon = memchr(entry.data, ':', entry.size);
    struct str name = {entry.data, colon ? (size_t)(colon - entry.data) : 0};
    struct str protocol =
        colon ? setting_trim((struct str){colon + 1, entry.size - name.size - 1}) : STR_NULL;
    if (!colon)
        return refuse(c, message, "listener.security.protocol.map=%.*s: each entry must be LISTENER:PROTOCOL",
                      STR_ARG(entry));
    if (!protocol_parse(protocol, &map->protocols[map->count]))
        return refuse(
            c, message,
            "listener.security.protocol.map=%.*s: %.*s is no security protocol; it must be PLAINTEXT, "
            "SSL, SASL_PLAINTEXT or SASL_SSL",
            STR_ARG(entry), STR_ARG(protocol));
    map->names[map->count] = upper(setting_trim(name), &c->arena);
    return map->names[map->count++].data ? 0 : ERR_NOMEM;
}

static int map_load(struct broker_config *c, const struct setting_value *listeners, struct protocol_map *map,
                    struct str *message)
{
    struct setting_value text;
    broker_config_value(c, STR("listener.security.protocol.map"), &c->arena, &text);
    size_t most = c->controller_listener_name_count + 1;
    for (size_t i = 0; i < text.text.size; i++)
        most += text.text.data[i] == ',';
    map->names = arena_zalloc(&c->arena, most, sizeof *map->names);
    map->protocols = arena_zalloc(&c->arena, most, sizeof *map->protocols);
    if (!map->names || !map->protocols)
        return ERR_NOMEM;
    for (size_t start = 0, i = 0; i <= text.text.size; i++) {
        if (i < text.text.size && text.text.data[i] != ',')
            continue;
        struct str entry = setting_trim((struct str){text.text.data + start, i - start});
        start = i + 1;
        int err = entry.size ? map_entry(c, map, entry, message) : 0;
        if (err)
            return err;
    }
    if (controllers_are_plaintext(c, listeners))
        for (size_t i = 0; i < c->controller_listener_name_count; i++)
            if (!protocol_of(map, c->controller_listener_names[i]))
                map->names[map->count++] = c->controller_listener_names[i]; // PROTOCOL_PLAINTEXT is 0
    return 0;
}

static bool names_controller(const struct broker_config *c, struct str name)
{
    for (size_t i = 0; i < c->controller_listener_name_count; i++)
        if (str_equal(c->controller_listener_names[i], name))
            return true;
    return false;
}

static int parse_one(struct broker_config *c, const struct protocol_map *map, const char *setting,
                     struct str entry, struct listener_config *out, struct str *message)
{
    struct str name = listener_name(entry);
    if (!name.data || name.size == 0)
        return refuse(c, message, "%s=%.*s: expected NAME://host:port", setting, STR_ARG(entry));
    struct str address = {entry.data + name.size + 3, entry.size - name.size - 3};
    if (!server_address_parse(address, &out->host, &out->port) || out->port > 65535)
        return refuse(c, message, "%s=%.*s: expected NAME://host:port with a port from 0 to 65535", setting,
                      STR_ARG(entry));
    out->name = upper(name, &c->arena);
    if (!out->name.data)
        return ERR_NOMEM;
    const enum security_protocol *protocol = protocol_of(map, out->name);
    if (!protocol)
        return refuse(
            c, message,
            "%s=%.*s: listener %.*s has no security protocol; name it in listener.security.protocol.map "
            "or in controller.listener.names",
            setting, STR_ARG(entry), STR_ARG(out->name));
    if (*protocol != PROTOCOL_PLAINTEXT)
        return refuse(c, message, "%s=%.*s: security protocol %s is not supported yet; only PLAINTEXT is",
                      setting, STR_ARG(entry), protocol_names[*protocol]);
    out->protocol = *protocol;
    out->controller = names_controller(c, out->name);
    return 0;
}

// Two listeners may share a port only as one IPv4 and one IPv6 address.
static bool same_socket(const struct listener_config *a, const struct listener_config *b)
{
    bool six_a = a->host.size && memchr(a->host.data, ':', a->host.size);
    bool six_b = b->host.size && memchr(b->host.data, ':', b->host.size);
    return a->port != 0 && a->port == b->port && (six_a == six_b || a->host.size == 0 || b->host.size == 0);
}

static int parse_list(struct broker_config *c, const struct protocol_map *map, const char *setting,
                      const struct setting_value *list, bool distinct_ports, struct listener_config **out,
                      size_t *n_out, struct str *message)
{
    struct listener_config *all = arena_zalloc(&c->arena, list->count + 1, sizeof *all);
    if (!all)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        int err = parse_one(c, map, setting, list->entries[i], &all[i], message);
        if (err)
            return err;
        for (size_t j = 0; j < i; j++) {
            if (str_equal(all[j].name, all[i].name))
                return refuse(c, message, "%s=%.*s: each listener must have a name of its own", setting,
                              STR_ARG(list->entries[i]));
            if (distinct_ports && same_socket(&all[j], &all[i]))
                return refuse(c, message, "%s=%.*s: listener %.*s has this port already", setting,
                              STR_ARG(list->entries[i]), STR_ARG(all[j].name));
        }
    }
    *out = all;
    *n_out = list->count;
    return 0;
}

static const struct listener_config *find(const struct listener_config *all, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(all[i].name, name))
            return &all[i];
    return NULL;
}

// What others are told of each listener: its advertised address if there is one. A broker listener that
// advertised.listeners leaves out is not told to anybody; a controller's always is.
static int advertise(struct broker_config *c, const struct protocol_map *map, struct str *message)
{
    struct setting_value list;
    broker_config_value(c, STR("advertised.listeners"), &c->arena, &list);
    struct listener_config *given = NULL;
    size_t n = 0;
    if (!list.null) {
        int err = parse_list(c, map, "advertised.listeners", &list, false, &given, &n, message);
        if (err)
            return err;
    }
    for (size_t i = 0; i < n; i++)
        if (!find(c->listeners, c->listener_count, given[i].name))
            return refuse(c, message, "advertised.listeners=%.*s: %.*s is none of `listeners`",
                          STR_ARG(list.entries[i]), STR_ARG(given[i].name));
    c->advertised = arena_zalloc(&c->arena, c->listener_count + 1, sizeof *c->advertised);
    if (!c->advertised)
        return ERR_NOMEM;
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct listener_config *l = &c->listeners[i], *a = find(given, n, l->name);
        if (a || list.null || l->controller)
            c->advertised[c->advertised_count++] = a ? *a : *l;
    }
    for (size_t i = 0; i < c->advertised_count; i++)
        if (str_is(c->advertised[i].host, "0.0.0.0"))
            return refuse(
                c, message,
                "%s=%.*s://0.0.0.0: others cannot reach this address; set advertised.listeners to one "
                "that they can",
                list.null ? "listeners" : "advertised.listeners", STR_ARG(c->advertised[i].name));
    return 0;
}

static size_t count_brokers(const struct listener_config *all, size_t n)
{
    size_t brokers = 0;
    for (size_t i = 0; i < n; i++)
        brokers += !all[i].controller;
    return brokers;
}

static int check_controllers(struct broker_config *c, const struct protocol_map *map, struct str *message)
{
    for (size_t i = 0; i < c->controller_listener_name_count; i++) {
        struct str name = c->controller_listener_names[i];
        bool listens = find(c->listeners, c->listener_count, name) != NULL;
        if (c->is_controller && !listens)
            return refuse(
                c, message,
                "controller.listener.names=%.*s: a node with the controller role must have this listener "
                "in `listeners`",
                STR_ARG(name));
        if (!c->is_controller && listens)
            return refuse(
                c, message,
                "controller.listener.names=%.*s: a node without the controller role must not have this "
                "listener in `listeners`",
                STR_ARG(name));
        const enum security_protocol *protocol = protocol_of(map, name);
        if (!protocol)
            return refuse(
                c, message,
                "controller.listener.names=%.*s: listener.security.protocol.map must give its security "
                "protocol",
                STR_ARG(name));
        if (*protocol != PROTOCOL_PLAINTEXT)
            return refuse(c, message,
                          "controller.listener.names=%.*s: security protocol %s is not supported yet; only "
                          "PLAINTEXT is",
                          STR_ARG(name), protocol_names[*protocol]);
    }
    if (!c->is_broker && count_brokers(c->listeners, c->listener_count) > 0)
        return refuse(c, message,
                      "listeners=%.*s: with process.roles=controller only the listeners of "
                      "controller.listener.names are allowed",
                      STR_ARG(properties_get(&c->properties, STR("listeners"))));
    return 0;
}

static int choose_inter_broker(struct broker_config *c, const struct protocol_map *map, struct str *message)
{
    struct str name = properties_get(&c->properties, STR("inter.broker.listener.name"));
    struct str protocol = properties_get(&c->properties, STR("security.inter.broker.protocol"));
    if (name.data && protocol.data)
        return refuse(
            c, message,
            "inter.broker.listener.name=%.*s: security.inter.broker.protocol=%.*s is set, too; set only "
            "one of them",
            STR_ARG(name), STR_ARG(protocol));
    const char *setting = name.data ? "inter.broker.listener.name" : "security.inter.broker.protocol";
    struct str given = name.data ? name : protocol.data ? protocol : STR("PLAINTEXT");
    c->inter_broker_listener = upper(setting_trim(given), &c->arena);
    if (!c->inter_broker_listener.data)
        return ERR_NOMEM;
    if (!c->is_broker)
        return 0;
    const struct listener_config *l = find(c->advertised, c->advertised_count, c->inter_broker_listener);
    if (name.data && !protocol_of(map, c->inter_broker_listener))
        return refuse(c, message,
                      "inter.broker.listener.name=%.*s: not found in listener.security.protocol.map",
                      STR_ARG(name));
    if (!l || l->controller) {
        struct str names = STR("");
        for (size_t i = 0; i < c->advertised_count && names.data; i++)
            if (!c->advertised[i].controller)
                names = arena_printf(&c->arena, "%.*s%s%.*s", STR_ARG(names), names.size ? ", " : "",
                                     STR_ARG(c->advertised[i].name));
        return refuse(c, message, "%s=%.*s: it must name an advertised broker listener, one of: %.*s",
                      setting, STR_ARG(given), STR_ARG(names));
    }
    return 0;
}

// http://host:port, separated by commas.
static int load_http(struct broker_config *c, struct str *message)
{
    struct setting_value list;
    broker_config_value(c, STR("http.listeners"), &c->arena, &list);
    c->http_listeners = arena_zalloc(&c->arena, list.count + 1, sizeof *c->http_listeners);
    if (!c->http_listeners)
        return ERR_NOMEM;
    for (size_t i = 0; i < list.count; i++) {
        struct str entry = list.entries[i];
        struct listener_config *l = &c->http_listeners[i];
        l->name = STR("HTTP");
        if (entry.size < 7 || memcmp(entry.data, "http://", 7) != 0 ||
            !server_address_parse((struct str){entry.data + 7, entry.size - 7}, &l->host, &l->port) ||
            l->port > 65535)
            return refuse(c, message,
                          "http.listeners=%.*s: expected http://host:port, the port from 0 to 65535",
                          STR_ARG(entry));
    }
    c->http_listener_count = list.count;
    return 0;
}

static int check_early_start(struct broker_config *c, struct str *message)
{
    struct setting_value list;
    broker_config_value(c, STR("early.start.listeners"), &c->arena, &list);
    for (size_t i = 0; i < list.count; i++) {
        struct str name = upper(list.entries[i], &c->arena);
        if (!find(c->listeners, c->listener_count, name) && !names_controller(c, name))
            return refuse(c, message,
                          "early.start.listeners=%.*s: it must be one of `listeners` or "
                          "`controller.listener.names`",
                          STR_ARG(list.entries[i]));
    }
    return 0;
}

int listeners_load(struct broker_config *c, struct str *message)
{
    struct setting_value names, list;
    struct protocol_map map = {0};
    broker_config_value(c, STR("controller.listener.names"), &c->arena, &names);
    broker_config_value(c, STR("listeners"), &c->arena, &list);
    c->controller_listener_names = arena_zalloc(&c->arena, names.count + 1, sizeof(struct str));
    if (!c->controller_listener_names)
        return ERR_NOMEM;
    for (size_t i = 0; i < names.count; i++)
        c->controller_listener_names[c->controller_listener_name_count++] =
            upper(names.entries[i], &c->arena);

    int err = map_load(c, &list, &map, message);
    if (!err)
        err = parse_list(c, &map, "listeners", &list, true, &c->listeners, &c->listener_count, message);
    if (!err)
        err = check_controllers(c, &map, message);
    if (!err)
        err = advertise(c, &map, message);
    if (!err && c->is_broker && count_brokers(c->advertised, c->advertised_count) == 0)
        return refuse(c, message,
                      "listeners=%.*s: a broker needs at least one advertised listener that is not in "
                      "controller.listener.names",
                      STR_ARG(properties_get(&c->properties, STR("listeners"))));
    if (!err)
        err = choose_inter_broker(c, &map, message);
    if (!err)
        err = check_early_start(c, message);
    return err ? err : load_http(c, message);
}

static bool has_host(const struct listener_config *all, size_t count, struct str host)
{
    for (size_t i = 0; i < count; i++)
        if (host.size > 0 && all[i].host.size == host.size &&
            strncasecmp(all[i].host.data, host.data, host.size) == 0)
            return true;
    return false;
}

bool broker_config_names_host(const struct broker_config *c, struct str host)
{
    return has_host(c->http_listeners, c->http_listener_count, host) ||
           has_host(c->advertised, c->advertised_count, host);
}
