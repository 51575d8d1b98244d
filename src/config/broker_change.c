// Whether a broker's dynamic settings may become what a client wants: the checks of Kafka 4.3.1, in its order
// and words (also those that it did not mean for people).
#include "base/error.h"
#include "base/java_order.h"
#include "config/broker_check.h"
#include "config/group_bounds.h"
#include "config/layers.h"

#include <ctype.h>
#include <strings.h>

int check_refuse(struct check *c, struct str text)
{
    *c->message = text;
    return text.data ? ERR_INVALID : ERR_NOMEM;
}

struct str broker_setting_base(struct str name)
{
    static const struct str prefix = {"listener.name.", 14};
    if (name.size <= prefix.size || memcmp(name.data, prefix.data, prefix.size) != 0)
        return name;
    const char *dot = memchr(name.data + prefix.size, '.', name.size - prefix.size);
    return dot ? (struct str){dot + 1, name.size - (size_t)(dot + 1 - name.data)} : name;
}

static const struct setting *base_setting(struct str name)
{
    return setting_find(SETTING_BROKER, broker_setting_base(name));
}

static bool is_read_only(struct str name)
{
    const struct setting *s = setting_find(SETTING_BROKER, name);
    return s && s->update == SETTING_READ_ONLY;
}

// Keys and certificates: Kafka changes them for one listener only.
bool check_is_key_or_certificate(struct str name)
{
    static const char *const names[] = {"ssl.keystore.type",       "ssl.keystore.location",
                                        "ssl.keystore.password",   "ssl.key.password",
                                        "ssl.truststore.type",     "ssl.truststore.location",
                                        "ssl.truststore.password", "ssl.keystore.certificate.chain",
                                        "ssl.keystore.key",        "ssl.truststore.certificates"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(name, names[i]))
            return true;
    return false;
}

static bool is_per_broker(struct str name)
{
    static const char *const of_cluster[] = {"max.connections", "max.connection.creation.rate",
                                             "num.network.threads"};
    struct str base = broker_setting_base(name);
    const struct setting *s = setting_find(SETTING_BROKER, name);
    if (base.data == name.data)
        return s && s->update == SETTING_PER_BROKER;
    for (size_t i = 0; i < sizeof of_cluster / sizeof *of_cluster; i++)
        if (str_is(base, of_cluster[i]))
            return false;
    return true;
}

// "what: [a, b]" when there are such names, in the order of a HashSet.
static int refuse_names(struct check *c, bool (*wrong)(struct str name), const char *what)
{
    struct str *names = arena_zalloc(c->arena, c->n + 1, sizeof *names);
    size_t *order, count = 0;
    for (size_t i = 0; names && i < c->n; i++)
        if (wrong(c->altered[i].name))
            names[count++] = c->altered[i].name;
    if (!names || java_set_order(names, count, c->n, c->arena, &order) != 0)
        return ERR_NOMEM;
    if (count == 0)
        return 0;
    struct str list = STR("");
    for (size_t i = 0; i < count && list.data; i++)
        list = arena_printf(c->arena, "%.*s%s%.*s", STR_ARG(list), i ? ", " : "", STR_ARG(names[order[i]]));
    return list.data ? REFUSE(c, "%s: [%.*s]", what, STR_ARG(list)) : ERR_NOMEM;
}

// Kafka looks for a Java class of this name; it would find its own.
static int check_class(struct check *c, const struct setting *s, struct str name)
{
    static const struct str own = {"org.apache.kafka.", 17}, java = {"java.", 5};
    if (s->type != SETTING_CLASS || (name.size > own.size && memcmp(name.data, own.data, own.size) == 0) ||
        (name.size > java.size && memcmp(name.data, java.data, java.size) == 0))
        return 0;
    return REFUSE(c, "Invalid value %.*s for configuration %s: Class %.*s could not be found.", STR_ARG(name),
                  s->name, STR_ARG(name));
}

// Types and single values of what may be changed, whatever listener it is meant for; in the table's order.
static int check_types(struct check *c)
{
    size_t count;
    const struct setting *table = setting_table(SETTING_BROKER, &count);
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; table[t].update != SETTING_READ_ONLY && i < c->n; i++) {
            struct setting_value value;
            if (base_setting(c->altered[i].name) != &table[t])
                continue;
            int err = setting_parse(&table[t], c->altered[i].value, c->arena, &value, c->message);
            err = err ? err : check_class(c, &table[t], c->altered[i].value);
            if (err)
                return err;
        }
    }
    return 0;
}

static int64_t integer_of(struct check *c, const struct broker_config *config, const char *name)
{
    struct setting_value value;
    return broker_config_value(config, str_from(name), c->arena, &value) == 0 ? value.integer : 0;
}

static bool is_set(const struct broker_config *config, const char *name)
{
    return properties_get(&config->properties, str_from(name)).data != NULL;
}

// max.connections.per.ip.overrides: host:limit, and so on.
static int check_overrides(struct check *c)
{
    static const char name[] = "max.connections.per.ip.overrides";
    struct str text = properties_get(&c->after.properties, str_from(name));
    for (size_t start = 0, i = 0; i <= text.size && text.size > 0; i++) {
        if (i < text.size && text.data[i] != ',')
            continue;
        struct str entry = setting_trim((struct str){text.data + start, i - start});
        start = i + 1;
        const char *colon = entry.size ? memrchr(entry.data, ':', entry.size) : NULL;
        if (entry.size == 0)
            continue;
        if (!colon)
            return REFUSE(c, "Error parsing configuration property '%s': begin 0, end -1, length %zu", name,
                          entry.size);
        struct str host = setting_trim((struct str){entry.data, (size_t)(colon - entry.data)});
        struct str limit = {colon + 1, entry.size - (size_t)(colon + 1 - entry.data)};
        struct setting_value value;
        if (setting_parse(setting_find(SETTING_BROKER, STR("num.partitions")), limit, c->arena, &value,
                          NULL) != 0 &&
            !(limit.size > 1 && limit.data[0] == '-') && !str_is(limit, "0"))
            return REFUSE(c, "For input string: \"%.*s\"", STR_ARG(limit));
        for (size_t k = 0; k < host.size; k++) {
            char ch = host.data[k], low = (char)(ch | 0x20);
            if (!((low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') || strchr(".-_%:[]", ch)))
                return REFUSE(c, "%s contains invalid addresses : %.*s", name, STR_ARG(host));
        }
    }
    if (integer_of(c, &c->after, "max.connections.per.ip") == 0 && text.size == 0)
        return REFUSE(c,
                      "requirement failed: max.connections.per.ip can be set to zero only if %s property is "
                      "set.",
                      name);
    return 0;
}

static int check_directories(struct check *c)
{
    struct setting_value cordoned;
    if (broker_config_value(&c->after, STR("cordoned.log.dirs"), c->arena, &cordoned) != 0 || cordoned.null ||
        (cordoned.count == 1 && str_is(cordoned.entries[0], "*")))
        return 0;
    for (size_t i = 0; i < cordoned.count; i++)
        if (str_is(cordoned.entries[i], "*"))
            return REFUSE(c,
                          "requirement failed: When cordoned.log.dirs is set to *, it must not contain "
                          "other values");
    const struct broker_config *b = c->change->started;
    struct str missing = STR("");
    for (size_t i = 0; i < cordoned.count && missing.data; i++) {
        bool known = false;
        for (size_t k = 0; k < b->log_dir_count; k++)
            known |= str_equal(b->log_dirs[k], cordoned.entries[i]);
        if (!known)
            missing = arena_printf(c->arena, "%.*s%s%.*s", STR_ARG(missing), missing.size ? ", " : "",
                                   STR_ARG(cordoned.entries[i]));
    }
    if (!missing.data || missing.size)
        return missing.data
                   ? REFUSE(c,
                            "requirement failed: All entries in cordoned.log.dirs must be present in "
                            "log.dirs or log.dir. Missing entries : %.*s",
                            STR_ARG(missing))
                   : ERR_NOMEM;
    return 0;
}

// What Kafka requires of a configuration as a whole, of what may be changed.
static int check_together(struct check *c)
{
    const struct broker_config *after = &c->after;
    int bounds = group_bounds_of_change(after, c->altered, c->n, c->arena, c->message);
    if (bounds)
        return bounds;
    if (is_set(after, "log.roll.ms") && integer_of(c, after, "log.roll.ms") < 1)
        return REFUSE(c, "requirement failed: log.roll.ms must be greater than or equal to 1");
    if (is_set(after, "log.roll.jitter.ms") && integer_of(c, after, "log.roll.jitter.ms") < 0)
        return REFUSE(c, "requirement failed: log.roll.jitter.ms must be greater than or equal to 0");
    if (is_set(after, "log.retention.ms") && integer_of(c, after, "log.retention.ms") == 0)
        return REFUSE(c,
                      "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal "
                      "to 1");
    int64_t cleaners = integer_of(c, after, "log.cleaner.threads");
    if (cleaners == 0)
        return REFUSE(c, "/ by zero");
    if (integer_of(c, after, "log.cleaner.dedupe.buffer.size") / cleaners <= 1024 * 1024)
        return REFUSE(c,
                      "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner "
                      "thread.");
    int err = check_listener_texts(c);
    err = err ? err : check_directories(c);
    return err ? err : check_overrides(c);
}

static int check_thread_count(struct check *c, const char *name, long long now, long long then)
{
    if (then < now / 2)
        return REFUSE(
            c,
            REFUSED_BY_PART("Dynamic thread count update validation failed for %s=%lld, value should "
                            "be at least half the current value %lld"),
            name, then, now);
    if (then > now * 2)
        return REFUSE(
            c,
            REFUSED_BY_PART("Dynamic thread count update validation failed for %s=%lld, value should "
                            "not be greater than double the current value %lld"),
            name, then, now);
    return 0;
}

// The text of a listener's own setting, or of the broker's in its place; a null view where neither is set.
// *err: ERR_NOMEM.
static struct str text_of_listener(struct check *c, const struct broker_config *config, struct str listener,
                                   const char *setting, int *err)
{
    struct str own = arena_printf(c->arena, "listener.name.%.*s.%s", STR_ARG(listener), setting);
    if (!own.data)
        *err = ERR_NOMEM;
    for (size_t at = strlen("listener.name."); own.data && at < own.size && own.data[at] != '.'; at++)
        ((char *)(uintptr_t)own.data)[at] = (char)tolower((unsigned char)own.data[at]);
    struct str text = own.data ? properties_get(&config->properties, own) : STR_NULL;
    return text.data ? text : properties_get(&config->properties, str_from(setting));
}

static int64_t integer_of_listener(struct check *c, const struct broker_config *config, struct str listener,
                                   const char *name, int *err)
{
    const struct setting *s = setting_find(SETTING_BROKER, str_from(name));
    struct str text = text_of_listener(c, config, listener, name, err);
    struct setting_value value;
    text = text.data ? text : str_from(s->default_text);
    return setting_parse(s, text, c->arena, &value, NULL) == 0 ? value.integer : 0;
}

// A listener that connections come to must take some, and its threads double or halve at most.
static int check_listener(struct check *c, struct str listener)
{
    static const char *const limits[] = {"max.connections", "max.connection.creation.rate"};
    static const char threads[] = "num.network.threads";
    int err = 0;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        long long limit = integer_of_listener(c, &c->after, listener, limits[i], &err);
        if (!err && limit <= 0)
            return REFUSE(c, REFUSED_BY_PART("Invalid %s %lld"), limits[i], limit);
    }
    long long now = integer_of_listener(c, c->change->now, listener, threads, &err);
    long long then = integer_of_listener(c, &c->after, listener, threads, &err);
    return err ? err : check_thread_count(c, threads, now, then);
}

// Whether the name is "listener.name.LISTENER.base".
static bool is_of_listener(struct str name, const struct listener_config *listener)
{
    struct str base = broker_setting_base(name);
    const size_t prefix = strlen("listener.name.");
    return base.data != name.data && (size_t)(base.data - name.data) - prefix - 1 == listener->name.size &&
           strncasecmp(name.data + prefix, listener->name.data, listener->name.size) == 0;
}

// Values of settings that are else read-only, for the listener.
static int check_values_of(struct check *c, const struct listener_config *listener)
{
    for (size_t i = 0; i < c->n; i++) {
        struct str name = c->altered[i].name;
        const struct setting *s = base_setting(name);
        struct setting_value value;
        struct str why;
        if (!s || !is_of_listener(name, listener))
            continue;
        int err = setting_parse(s, c->altered[i].value, c->arena, &value, &why);
        if (err)
            return err == ERR_INVALID ? REFUSE(c, REFUSED_BY_PART("%.*s"), STR_ARG(why)) : err;
    }
    return 0;
}

// The listeners that there are now look at what is meant for them.
static int check_of_listeners(struct check *c)
{
    const struct broker_config *now = c->change->now;
    int err = 0;
    for (size_t i = 0; i < now->listener_count && !err; i++)
        err = check_values_of(c, &now->listeners[i]);
    for (size_t i = 0; i < now->listener_count && !err; i++)
        if (!now->listeners[i].controller)
            err = check_listener(c, now->listeners[i].name);
    return err;
}

// Threads may double or halve at most.
static int check_threads(struct check *c)
{
    static const char *const pools[] = {
        "num.io.threads",
        "num.replica.fetchers",
        "num.recovery.threads.per.data.dir",
        "background.threads",
        "remote.log.manager.copier.thread.pool.size",
        "remote.log.manager.expiration.thread.pool.size",
        "remote.log.manager.follower.thread.pool.size",
        "remote.log.reader.threads",
    };
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        long long now = integer_of(c, c->change->now, pools[i]), then = integer_of(c, &c->after, pools[i]);
        int err = check_thread_count(c, pools[i], now, then);
        if (err)
            return err;
    }
    long long now = integer_of(c, c->change->now, "log.cleaner.threads");
    long long then = integer_of(c, &c->after, "log.cleaner.threads");
    if (then < now / 2)
        return REFUSE(c,
                      REFUSED_BY_PART("Log cleaner threads cannot be reduced to less than half the current "
                                      "value %lld"),
                      now);
    if (then > now * 2)
        return REFUSE(
            c,
            REFUSED_BY_PART("Log cleaner threads cannot be increased to more than double the current "
                            "value %lld"),
            now);
    return 0;
}

// The retention time that counts, in milliseconds; -1: for ever.
static int64_t retention_ms(struct check *c)
{
    if (is_set(&c->after, "log.retention.ms"))
        return integer_of(c, &c->after, "log.retention.ms");
    if (is_set(&c->after, "log.retention.minutes"))
        return integer_of(c, &c->after, "log.retention.minutes") * 60000;
    return integer_of(c, &c->after, "log.retention.hours") * 3600000;
}

static int check_local_retention(struct check *c)
{
    static const struct {
        const char *local, *whole;
    } pairs[] = {{"log.local.retention.ms", "log.retention.ms"},
                 {"log.local.retention.bytes", "log.retention.bytes"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        long long local = integer_of(c, &c->after, pairs[i].local);
        long long whole = i == 0 ? retention_ms(c) : integer_of(c, &c->after, pairs[i].whole);
        if (whole < 0 || local == -2)
            continue;
        if (local == -1)
            return REFUSE(c,
                          REFUSED_BY_PART("Invalid value -1 for configuration %s: Value must not be -1 as %s "
                                          "value is set as %lld."),
                          pairs[i].local, pairs[i].whole, whole);
        if (local > whole)
            return REFUSE(c,
                          REFUSED_BY_PART("Invalid value %lld for configuration %s: Value must not be more "
                                          "than %s property value: %lld"),
                          local, pairs[i].local, pairs[i].whole, whole);
    }
    return 0;
}

// A reporter is a Java class that this broker cannot load.
static int check_reporters(struct check *c)
{
    struct str text = setting_trim(properties_get(&c->after.properties, STR("metric.reporters")));
    struct str now = properties_get(&c->change->now->properties, STR("metric.reporters"));
    if (text.size == 0 || str_is(text, "org.apache.kafka.common.metrics.JmxReporter") || str_equal(text, now))
        return 0;
    return REFUSE(c,
                  REFUSED_BY_PART("Validation of dynamic config update of Set(metric.reporters) failed with "
                                  "class class kafka.server.DynamicMetricsReporters"));
}

static int check_all(struct check *c)
{
    int err = refuse_names(c, is_read_only, "Cannot update these configs dynamically");
    err = err ? err
              : refuse_names(c, check_is_key_or_certificate,
                             "These security configs can be dynamically updated only per-listener using the "
                             "listener prefix");
    err = err ? err : check_types(c);
    if (!err && !c->change->per_broker)
        err =
            refuse_names(c, is_per_broker,
                         "Cannot update these configs at default cluster level, broker id must be specified");
    if (err)
        return err;
    struct str loaded;
    c->loaded = broker_config_overlay(&c->after, c->change->started, &c->change->layers, &loaded);
    err = c->loaded == ERR_NOMEM ? ERR_NOMEM : check_together(c);
    err = err ? err : check_of_listeners(c);
    err = err ? err : check_reporters(c);
    err = err ? err : check_threads(c);
    err = err ? err : check_local_retention(c);
    err = err ? err : check_listeners_stay(c);
    if (!err && c->loaded) { // what this broker refuses for reasons of its own
        *c->message = arena_str(c->arena, loaded);
        err = c->message->data ? c->loaded : ERR_NOMEM;
    }
    broker_config_free(&c->after);
    return err;
}

int broker_change_validate(const struct settings_change *change, const struct config_entry *altered, size_t n,
                           struct arena *arena, struct str *message)
{
    struct check c = {.change = change, .altered = altered, .n = n, .arena = arena, .message = message};
    *message = STR_NULL;
    return check_all(&c);
}
