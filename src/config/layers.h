// A broker's settings under what was changed at run time. For this room only.
#ifndef CONFIG_LAYERS_H
#define CONFIG_LAYERS_H

#include "config/describe.h"

// Sources of a broker's setting, the one that counts first.
#define LAYER_COUNT 3

// The text that a layer (0 this broker's dynamic settings, 1 the cluster's, 2 the file) gives a broker's
// setting; a null view when it gives none. layers may be NULL.
struct str layer_text(const struct broker_config *broker, const struct config_layers *layers, int layer,
                      struct str name);

static inline enum config_source layer_source(int layer)
{
    return (enum config_source)(CONFIG_SOURCE_DYNAMIC_BROKER + layer);
}

// The value that a topic or group has of a setting: its own, or the broker's, or the default. An own value
// that does not parse is passed over. 0 or ERR_NOMEM.
int layered_value(const struct broker_config *broker, const struct config_layers *layers,
                  const struct setting *s, struct str own, struct arena *arena, struct setting_value *out);

// Whether the scope has settings of these names ("what: name" else), and the values theirs. 0, ERR_INVALID,
// ERR_NOMEM.
int config_check_names(enum setting_scope scope, const char *what, const struct config_entry *entries,
                       size_t n, struct arena *arena, struct str *message);
int config_check_values(enum setting_scope scope, const struct config_entry *entries, size_t n,
                        struct arena *arena, struct str *message);

// The two halves of loading a broker's configuration: an empty one, and (with its properties set) the typed
// fields and every check. As broker_config_load otherwise.
void broker_config_begin(struct broker_config *c, struct str *message);
int broker_config_fill(struct broker_config *c, struct str *message);

#endif
