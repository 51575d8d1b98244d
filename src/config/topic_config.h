// Topic configuration: checks of what clients set, the numbers that storage needs, and the listing that
// DescribeConfigs answers. Pure; any thread.
#ifndef CONFIG_TOPIC_CONFIG_H
#define CONFIG_TOPIC_CONFIG_H

#include "config/broker_config.h"
#include "storage/log_config.h"

// Whether a topic may have these settings: names, values, and how they go together with each other and with
// the broker's. 0; ERR_INVALID with Kafka's message (its error code is INVALID_CONFIG); ERR_NOMEM. Of a name
// that comes twice the last value counts. layers may be NULL.
int topic_config_validate(const struct broker_config *broker, const struct config_layers *layers,
                          const struct config_entry *entries, size_t n, struct arena *arena,
                          struct str *message);

// The numbers of a topic with these settings, over the broker's. Settings that do not parse (written by a
// newer version) leave the broker's value. layers may be NULL.
void topic_config_resolve(const struct broker_config *broker, const struct config_layers *layers,
                          const struct config_entry *entries, size_t n, struct log_config *out);

#endif
