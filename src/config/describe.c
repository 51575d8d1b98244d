#include "config/describe.h"

#include "base/error.h"
#include "base/map.h"
#include "config/layers.h"

// Broker settings that say the same thing; the first that is set counts. Each member's listing names those
// behind it.
static const char *const families[][4] = {
    {"log.roll.ms", "log.roll.hours", NULL},
    {"log.roll.jitter.ms", "log.roll.jitter.hours", NULL},
    {"log.retention.ms", "log.retention.minutes", "log.retention.hours", NULL},
};

// The names under which a broker's setting may be set. A family that is in no list is written to
// `single`.
static const char *const *family_of(struct str name, const struct setting *s, const char *single[3])
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (size_t j = 0; families[i][j]; j++)
            if (str_is(name, families[i][j]))
                return families[i];
    single[0] = name.data;
    single[1] = s && !str_is(name, s->name) ? s->name : NULL; // what is meant for one listener
    single[2] = NULL;
    return single;
}

struct listing {
    const struct str *keys; // that are asked for; n_keys 0: all
    size_t n_keys;
    struct map by_key; // of keys, where they are many
    const struct broker_config *broker;
    const struct config_layers *layers;
    const struct config_subject *subject;
    struct arena *arena;
    struct config_description *out;
    size_t count;
};

static void add_synonym(struct config_description *d, struct str name, struct str value,
                        enum config_source source)
{
    if (d->sensitive)
        value = STR_NULL;
    d->synonyms[d->synonym_count++] = (struct config_synonym){name, value, source};
}

// Room for a topic's own value and, for each of four names, every layer and the default.
#define SYNONYMS_MOST (1 + 4 * (LAYER_COUNT + 1))

// What each layer says of the broker's names, in the order of precedence; what comes before the first mention
// of `name` itself is left out, as Kafka does.
static void add_broker_synonyms(struct listing *l, struct config_description *d, struct str name,
                                const char *const *names)
{
    bool met = false;
    for (int layer = 0; layer <= LAYER_COUNT; layer++) {
        for (size_t i = 0; names[i]; i++) {
            struct str known = names[i] == name.data ? name : str_from(names[i]), text;
            const struct setting *s = setting_find(SETTING_BROKER, known);
            if (layer < LAYER_COUNT)
                text = layer_text(l->broker, l->layers, layer, known);
            else // what exists at run time only (internal, yet no file's) has no default that Kafka shows
                text = s && !(s->internal && s->update != SETTING_READ_ONLY) ? str_from(s->default_text)
                                                                             : STR_NULL;
            met |= text.data && str_equal(known, name);
            if (text.data && met)
                add_synonym(d, known, text,
                            layer < LAYER_COUNT ? layer_source(layer) : CONFIG_SOURCE_DEFAULT);
        }
    }
}

static void start(struct config_description *d, struct str name, const struct setting *s)
{
    *d = (struct config_description){.name = name, .source = CONFIG_SOURCE_DEFAULT, .sensitive = true};
    if (!s)
        return; // a name that nobody knows might be a secret
    d->type = (int8_t)s->type;
    d->documentation = str_from(s->documentation);
    d->sensitive = s->type == SETTING_PASSWORD;
}

static int finish(struct listing *l, struct config_description *d, const struct setting *s,
                  const struct setting_value *value)
{
    if (d->synonym_count > 0)
        d->source = d->synonyms[0].source;
    if (s && !d->sensitive && !value->null) {
        d->value = setting_format(s, value, l->arena);
        if (!d->value.data)
            return ERR_NOMEM;
    }
    l->count++;
    return 0;
}

static int describe_owned(struct listing *l, struct str name)
{
    struct config_description *d = &l->out[l->count];
    const struct setting *s = setting_find(l->subject->scope, name);
    const struct config_entry *own = config_entry_find(l->subject->entries, l->subject->count, name);
    struct setting_value value = {.null = true};
    static const enum config_source sources[SETTING_SCOPES] = {[SETTING_TOPIC] = CONFIG_SOURCE_TOPIC,
                                                               [SETTING_GROUP] = CONFIG_SOURCE_GROUP,
                                                               [SETTING_CLIENT_METRICS] =
                                                                   CONFIG_SOURCE_CLIENT_METRICS};
    start(d, name, s);
    d->synonyms = arena_zalloc(l->arena, SYNONYMS_MOST, sizeof *d->synonyms);
    if (!d->synonyms)
        return ERR_NOMEM;
    int err = s ? layered_value(l->broker, l->layers, s, own ? own->value : STR_NULL, l->arena, &value) : 0;
    if (err)
        return err;
    if (own)
        add_synonym(d, name, s ? setting_format(s, &value, l->arena) : own->value,
                    sources[l->subject->scope]);
    if (s && s->behind)
        add_broker_synonyms(l, d, str_from(s->behind[0]), s->behind);
    else if (l->subject->scope == SETTING_GROUP && s && s->default_text)
        add_synonym(d, name, str_from(s->default_text), CONFIG_SOURCE_DEFAULT);
    return finish(l, d, s, &value);
}

// "listener.name.NAME.setting" has the setting's type.
static const struct setting *broker_setting(struct str name)
{
    const struct setting *s = setting_find(SETTING_BROKER, name);
    while (!s && name.size > 0) {
        const char *dot = memchr(name.data, '.', name.size);
        size_t skip = dot ? (size_t)(dot - name.data) + 1 : name.size;
        name = (struct str){name.data + skip, name.size - skip};
        s = setting_find(SETTING_BROKER, name);
    }
    return s;
}

// Kafka calls what is meant for one listener read-only, although it can be changed.
static bool is_read_only(const struct setting *s, struct str name)
{
    return !s || s->update == SETTING_READ_ONLY || !str_is(name, s->name);
}

static int describe_value(struct listing *l, struct str name, struct str text)
{
    struct config_description *d = &l->out[l->count];
    const struct setting *s = broker_setting(name);
    struct setting_value value = {.null = true};
    const char *single[3];
    start(d, name, s);
    d->read_only = is_read_only(s, name);
    d->synonyms = arena_zalloc(l->arena, SYNONYMS_MOST, sizeof *d->synonyms);
    if (!d->synonyms)
        return ERR_NOMEM;
    if (s &&
        setting_parse(s, text.data ? text : str_from(s->default_text), l->arena, &value, NULL) == ERR_NOMEM)
        return ERR_NOMEM;
    add_broker_synonyms(l, d, name, family_of(name, s, single));
    return finish(l, d, s, &value);
}

static int describe_broker(struct listing *l, struct str name)
{
    struct str text = STR_NULL;
    for (int layer = 0; layer < LAYER_COUNT && !text.data; layer++)
        text = layer_text(l->broker, l->layers, layer, name);
    return describe_value(l, name, text);
}

// Only what was changed for the whole cluster, by whichever of the setting's names.
static int describe_default(struct listing *l, const struct config_entry *e)
{
    struct config_description *d = &l->out[l->count];
    int err = describe_value(l, e->name, e->value);
    if (err)
        return err;
    size_t kept = 0;
    for (size_t i = 0; i < d->synonym_count; i++)
        if (d->synonyms[i].source == CONFIG_SOURCE_DYNAMIC_CLUSTER)
            d->synonyms[kept++] = d->synonyms[i];
    d->synonym_count = kept;
    d->source = CONFIG_SOURCE_DYNAMIC_CLUSTER;
    return 0;
}

#define KEYS_COMPARED 16 // more are looked up

static int index_keys(struct listing *l)
{
    int err = 0;
    for (size_t i = 0; l->n_keys > KEYS_COMPARED && i < l->n_keys && !err; i++)
        err = map_put(&l->by_key, l->keys[i], l);
    return err;
}

static bool wanted(const struct listing *l, struct str name)
{
    if (l->by_key.count > 0)
        return map_get(&l->by_key, name) != NULL;
    for (size_t i = 0; i < l->n_keys; i++)
        if (str_equal(l->keys[i], name))
            return true;
    return l->n_keys == 0;
}

// Describes entries that the table's listing has not shown: internal and unknown names, each once.
static int describe_rest(struct listing *l, const struct config_entry *entries, size_t n)
{
    enum setting_scope scope = l->subject->scope;
    for (size_t i = 0; i < n; i++) {
        const struct setting *s = setting_find(scope, entries[i].name);
        bool again = config_entry_find(entries, i, entries[i].name) != NULL;
        if ((s && !s->internal) || again || !entries[i].value.data || !wanted(l, entries[i].name))
            continue;
        int err = scope == SETTING_BROKER ? describe_broker(l, entries[i].name)
                                          : describe_owned(l, entries[i].name);
        if (err)
            return err;
    }
    return 0;
}

// The same for a broker's dynamic settings: those that no layer below has shown.
static int describe_dynamic_rest(struct listing *l)
{
    const struct config_layers *dynamic = l->layers;
    for (size_t i = 0; i < dynamic->broker_count + dynamic->cluster_count; i++) {
        bool of_cluster = i >= dynamic->broker_count;
        const struct config_entry *e =
            of_cluster ? &dynamic->cluster[i - dynamic->broker_count] : &dynamic->broker[i];
        bool shown = properties_get(&l->broker->properties, e->name).data ||
                     (of_cluster && config_entry_find(dynamic->broker, dynamic->broker_count, e->name));
        int err = shown ? 0 : describe_rest(l, e, 1);
        if (err)
            return err;
    }
    return 0;
}

static int describe_table(struct listing *l)
{
    size_t count;
    const struct setting *table = setting_table(l->subject->scope, &count);
    for (size_t i = 0; i < count; i++) {
        struct str name = str_from(table[i].name);
        if (table[i].internal || !wanted(l, name))
            continue;
        int err = l->subject->scope == SETTING_BROKER ? describe_broker(l, name) : describe_owned(l, name);
        if (err)
            return err;
    }
    return 0;
}

static int describe_defaults(struct listing *l)
{
    int err = 0;
    for (size_t i = 0; l->layers && i < l->layers->cluster_count && !err; i++)
        if (wanted(l, l->layers->cluster[i].name))
            err = describe_default(l, &l->layers->cluster[i]);
    return err;
}

int config_describe(const struct broker_config *broker, const struct config_layers *layers,
                    const struct config_subject *subject, const struct str *keys, size_t n_keys,
                    struct arena *arena, struct config_description **out, size_t *n_out)
{
    struct listing l = {keys, n_keys, MAP_INIT, broker, layers, subject, arena, NULL, 0};
    bool of_broker = subject->scope == SETTING_BROKER;
    const struct config_entry *own = of_broker ? broker->properties.entries : subject->entries;
    size_t owned = of_broker ? broker->properties.count : subject->count, most;
    setting_table(subject->scope, &most);
    most += owned + (layers ? layers->cluster_count + layers->broker_count : 0);
    l.out = arena_zalloc(arena, most, sizeof *l.out);
    int err = l.out ? index_keys(&l) : ERR_NOMEM;
    if (!err && subject->defaults) {
        err = describe_defaults(&l);
    } else {
        if (!err)
            err = describe_table(&l);
        if (!err)
            err = describe_rest(&l, own, owned);
        if (!err && of_broker && layers)
            err = describe_dynamic_rest(&l);
    }
    map_free(&l.by_key);
    *out = l.out;
    *n_out = l.count;
    return err;
}
