// The listing that DescribeConfigs answers, for brokers, topics, groups and client metrics, in Kafka's shape.
// Pure; any thread.
#ifndef CONFIG_DESCRIBE_H
#define CONFIG_DESCRIBE_H

#include "config/topic_config.h"

// Kafka's numbers (DescribeConfigs' ConfigSource).
enum config_source {
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_DYNAMIC_BROKER = 2,
    CONFIG_SOURCE_DYNAMIC_CLUSTER = 3,
    CONFIG_SOURCE_STATIC_BROKER = 4,
    CONFIG_SOURCE_DEFAULT = 5,
    CONFIG_SOURCE_LOGGER = 6,
    CONFIG_SOURCE_CLIENT_METRICS = 7,
    CONFIG_SOURCE_GROUP = 8,
};

struct config_synonym {
    struct str name;
    struct str value; // null: not shown
    enum config_source source;
};

struct config_description {
    struct str name;
    struct str value; // null: none, or not shown because it is sensitive
    struct str documentation;
    struct config_synonym *synonyms; // where the value comes from, first come first
    size_t synonym_count;
    enum config_source source;
    int8_t type; // enum setting_type; 0: unknown
    bool read_only, sensitive;
};

// Whose configuration: a topic, a group or a client metrics subscription with the settings it has of its own,
// or this broker (without any). SETTING_BROKER with `defaults`: the cluster-wide dynamic settings only
// (DescribeConfigs of broker "").
struct config_subject {
    enum setting_scope scope;
    bool defaults;
    const struct config_entry *entries;
    size_t count;
};

// Lists the settings of the subject that `keys` names (n_keys 0: all), each with its value and source. *out
// and everything in it lie in the arena or in the arguments. 0 or ERR_NOMEM. layers may be NULL.
int config_describe(const struct broker_config *broker, const struct config_layers *layers,
                    const struct config_subject *subject, const struct str *keys, size_t n_keys,
                    struct arena *arena, struct config_description **out, size_t *n_out);

#endif
