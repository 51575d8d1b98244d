#include "telemetry/subscriptions.h"

#include "base/buffer.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/java_order.h"
#include "base/logger.h"
#include "base/regex.h"
#include "config/setting.h"

#include <stdlib.h>

static const char *const attribute_names[SUBSCRIPTION_ATTRIBUTES] = {
    "client_instance_id",    "client_id",         "client_software_name", "client_software_version",
    "client_source_address", "client_source_port"};

struct subscription {
    struct str name;
    struct str *metrics;
    size_t metrics_count;
    int32_t interval_ms;
    bool matches_nobody;
    struct regex *patterns[SUBSCRIPTION_ATTRIBUTES]; // NULL: any
};

void subscriptions_init(struct subscriptions *s)
{
    *s = (struct subscriptions){.count = 0};
    arena_init(&s->arena, 0);
}

static void free_patterns(struct subscription *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t a = 0; a < SUBSCRIPTION_ATTRIBUTES; a++)
            regex_free(items[i].patterns[a]);
}

void subscriptions_free(struct subscriptions *s)
{
    free_patterns(s->items, s->count);
    arena_free(&s->arena);
}

// The setting's value, or its default.
static int value_of(const struct image_config *c, const char *name, struct arena *arena,
                    struct setting_value *out)
{
    const struct setting *setting = setting_find(SETTING_CLIENT_METRICS, str_from(name));
    struct str text = image_config_value(c, str_from(name));
    *out = (struct setting_value){0};
    return text.data ? setting_parse(setting, arena_str(arena, text), arena, out, NULL) : ERR_NOT_FOUND;
}

// "client_id=a.*"; of the same attribute twice the last one counts.
static int add_pattern(struct subscription *s, struct str text)
{
    const char *equals = memchr(text.data, '=', text.size), *why = NULL;
    if (!equals)
        return 0; // the controller takes none like this
    struct str name = setting_trim((struct str){text.data, (size_t)(equals - text.data)});
    struct str pattern = {equals + 1, text.size - (size_t)(equals + 1 - text.data)};
    while (pattern.size > 0 && pattern.data[pattern.size - 1] == '=')
        pattern.size--;
    for (size_t a = 0; a < SUBSCRIPTION_ATTRIBUTES; a++) {
        if (!str_is(name, attribute_names[a]))
            continue;
        regex_free(s->patterns[a]);
        s->patterns[a] = NULL;
        int rc = regex_compile(setting_trim(pattern), &s->patterns[a], &why);
        if (rc == ERR_NOMEM)
            return rc;
        if (rc) {
            s->matches_nobody = true;
            log_warn("telemetry", "client metrics subscription %.*s concerns nobody: %.*s is no pattern: %s",
                     STR_ARG(s->name), STR_ARG(text), why ? why : err_text(rc));
        }
    }
    return 0;
}

static int read_subscription(struct subscription *s, const struct image_config *c, struct arena *arena)
{
    struct setting_value value;
    s->name = arena_str(arena, c->key.name);
    s->interval_ms = SUBSCRIPTION_INTERVAL_MS;
    if (value_of(c, "interval.ms", arena, &value) == 0)
        s->interval_ms = (int32_t)value.integer;
    if (value_of(c, "metrics", arena, &value) == 0) {
        s->metrics = value.entries;
        s->metrics_count = value.count;
    }
    int rc = value_of(c, "match", arena, &value) == 0 ? 0 : ERR_NOT_FOUND;
    for (size_t i = 0; rc == 0 && i < value.count; i++)
        rc = add_pattern(s, value.entries[i]);
    return rc == ERR_NOMEM || !s->name.data ? ERR_NOMEM : 0;
}

int subscriptions_read(struct subscriptions *out, const struct image *image)
{
    size_t most = 0;
    int rc = 0;
    subscriptions_init(out);
    struct hamt_walk w = hamt_walk(&image->configs);
    for (const struct image_config *c; (c = hamt_next(&w));)
        most += c->key.type == IMAGE_RESOURCE_CLIENT_METRICS;
    out->items = arena_zalloc(&out->arena, most + 1, sizeof *out->items);
    if (!out->items)
        rc = ERR_NOMEM;
    w = hamt_walk(&image->configs);
    for (const struct image_config *c; rc == 0 && (c = hamt_next(&w));)
        if (c->key.type == IMAGE_RESOURCE_CLIENT_METRICS)
            rc = read_subscription(&out->items[out->count++], c, &out->arena);
    if (rc)
        subscriptions_free(out);
    return rc;
}

static bool concerns(const struct subscription *s, const struct str attributes[SUBSCRIPTION_ATTRIBUTES])
{
    if (s->matches_nobody)
        return false;
    for (size_t a = 0; a < SUBSCRIPTION_ATTRIBUTES; a++)
        if (s->patterns[a] && (!attributes[a].data || !regex_matches(s->patterns[a], attributes[a])))
            return false;
    return true;
}

static void add_metric(struct subscribed *out, struct str metric)
{
    for (size_t i = 0; i < out->count; i++)
        if (str_equal(out->metrics[i], metric))
            return;
    out->metrics[out->count++] = metric;
}

// In the order in which Kafka's hash set lists them, which clients see, and the id depends on.
static int put_in_order(struct subscribed *out, struct arena *arena)
{
    size_t *order;
    struct str *metrics = arena_alloc(arena, (out->count + 1) * sizeof *metrics);
    if (!metrics || java_map_order(out->metrics, out->count, 0, arena, &order))
        return ERR_NOMEM;
    for (size_t i = 0; i < out->count; i++)
        metrics[i] = out->metrics[order[i]];
    out->metrics = metrics;
    return 0;
}

static int32_t uuid_hash(const struct uuid *id)
{
    uint64_t both = load_be64(id->bytes) ^ load_be64(id->bytes + 8);
    return (int32_t)(uint32_t)(both >> 32 ^ (both & UINT32_MAX));
}

// The same set of metrics and interval give a client the same id on every broker.
static int make_id(struct subscribed *out, const struct uuid *instance)
{
    struct buffer text = BUFFER_INIT;
    buffer_byte(&text, '[');
    for (size_t i = 0; i < out->count; i++)
        buffer_printf(&text, "%s%.*s", i ? ", " : "", STR_ARG(out->metrics[i]));
    buffer_printf(&text, "]%d", out->interval_ms);
    out->id = (int32_t)crc32c(text.data, text.size) ^ uuid_hash(instance);
    int rc = text.failed ? ERR_NOMEM : 0;
    buffer_free(&text);
    return rc;
}

int subscriptions_of(const struct subscriptions *s, const struct uuid *instance,
                     const struct str attributes[SUBSCRIPTION_ATTRIBUTES], struct arena *arena,
                     struct subscribed *out)
{
    size_t most = 1;
    bool all = false;
    for (size_t i = 0; i < s->count; i++)
        most += s->items[i].metrics_count;
    *out = (struct subscribed){.metrics = arena_alloc(arena, most * sizeof *out->metrics),
                               .interval_ms = SUBSCRIPTION_INTERVAL_MS};
    if (!out->metrics)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->count; i++) {
        const struct subscription *one = &s->items[i];
        if (!concerns(one, attributes))
            continue;
        for (size_t m = 0; m < one->metrics_count; m++) {
            all |= str_is(one->metrics[m], "*");
            add_metric(out, one->metrics[m]);
        }
        out->interval_ms = one->interval_ms < out->interval_ms ? one->interval_ms : out->interval_ms;
    }
    if (all) {
        out->metrics[0] = STR("*");
        out->count = 1;
    }
    int rc = put_in_order(out, arena);
    return rc ? rc : make_id(out, instance);
}
