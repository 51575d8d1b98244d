// Checks of what a client changes at run time (IncrementalAlterConfigs, AlterConfigs) of brokers, groups and
// client metrics, in Kafka's words; topics: topic_config.h. Pure; any thread.
#ifndef CONFIG_ALTER_H
#define CONFIG_ALTER_H

#include "config/broker_config.h"

// Kafka's numbers (IncrementalAlterConfigs' ConfigOperation).
enum config_operation { CONFIG_SET, CONFIG_DELETE, CONFIG_APPEND, CONFIG_SUBTRACT };

// "a,b" with the entries of `changed` that it lacks behind it; or without those that it has, each once. A
// null list is empty. In the arena, or a null view: out of memory.
struct str config_list_append(struct str list, struct str changed, struct arena *arena);
struct str config_list_subtract(struct str list, struct str changed, struct arena *arena);

// Whether a group may have these settings, over the broker's. 0; ERR_INVALID with Kafka's message
// (INVALID_CONFIG); ERR_NOMEM.
int group_config_validate(const struct broker_config *broker, const struct config_layers *layers,
                          const struct config_entry *entries, size_t n, struct arena *arena,
                          struct str *message);

// What counts of a group's value: the bound of the broker's where it passes one, as a broker may have been
// started with other bounds since it was set.
int64_t group_config_bound(const struct broker_config *broker, struct str name, int64_t value);

// Whether a subscription of client metrics may. *bad_request: Kafka calls it INVALID_REQUEST.
int client_metrics_validate(const struct config_entry *entries, size_t n, struct arena *arena,
                            struct str *message, bool *bad_request);

// A broker as it is and what its dynamic settings are to be.
struct settings_change {
    const struct broker_config *started; // as the node was started
    const struct broker_config *now;     // what counts now
    struct config_layers layers;         // with the change
    bool per_broker;                     // this broker's settings change; else the cluster's
};

// Whether a broker's settings may become these. `altered` are the settings of the layer that changes, all of
// them. 0; ERR_INVALID with Kafka's message (INVALID_REQUEST); ERR_NOMEM.
int broker_change_validate(const struct settings_change *change, const struct config_entry *altered, size_t n,
                           struct arena *arena, struct str *message);

// The base of "listener.name.NAME.base", or the name itself.
struct str broker_setting_base(struct str name);

#endif
