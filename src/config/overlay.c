// What was changed at run time, laid over what the file says.
#include "base/error.h"
#include "config/alter.h"
#include "config/group_bounds.h"
#include "config/layers.h"

// Sets what the layer may say: settings that `least` or more may change there.
static int overlay(struct broker_config *out, const struct config_entry *entries, size_t n,
                   enum setting_update least)
{
    for (size_t i = 0; i < n; i++) {
        // What is meant for one listener has the listener's name in front.
        const struct setting *s = setting_find(SETTING_BROKER, broker_setting_base(entries[i].name));
        struct setting_value value;
        if (!s || s->update < least)
            continue;
        int err = setting_parse(s, entries[i].value, &out->arena, &value, NULL);
        if (!err)
            err = properties_set(&out->properties, entries[i].name, entries[i].value);
        if (err == ERR_NOMEM)
            return err;
    }
    return 0;
}

int broker_config_overlay(struct broker_config *out, const struct broker_config *base,
                          const struct config_layers *layers, struct str *message)
{
    const struct properties *p = &base->properties;
    int err = 0;
    broker_config_begin(out, message);
    out->standalone = base->standalone;
    for (size_t i = 0; i < p->count && !err; i++)
        err = properties_set(&out->properties, p->entries[i].name, p->entries[i].value);
    if (!err)
        err = overlay(out, layers->cluster, layers->cluster_count, SETTING_CLUSTER_WIDE);
    if (!err)
        err = overlay(out, layers->broker, layers->broker_count, SETTING_PER_BROKER);
    if (!err)
        err = group_bounds_clamp(out);
    return err ? err : broker_config_fill(out, message);
}
