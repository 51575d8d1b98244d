// What the checks of a broker's changed settings share (broker_change.c, listener_change.c). For this room
// only.
#ifndef CONFIG_BROKER_CHECK_H
#define CONFIG_BROKER_CHECK_H

#include "config/alter.h"

// How Kafka words what a part of the broker that is reconfigured refuses.
#define REFUSED_BY_PART(text)                                             \
    "Invalid value org.apache.kafka.common.config.ConfigException: " text \
    " for "                                                               \
    "configuration Invalid dynamic configuration"

struct check {
    const struct settings_change *change;
    const struct config_entry *altered;
    size_t n;
    struct arena *arena;
    struct str *message;
    struct broker_config after; // with the change; its properties are filled in any case
    int loaded;                 // what broker_config_overlay said
};

// 0; ERR_INVALID with Kafka's message; ERR_NOMEM.
int check_refuse(struct check *c, struct str text);

#define REFUSE(c, ...) check_refuse(c, arena_printf((c)->arena, __VA_ARGS__))

// A setting of keys and certificates, which Kafka changes for one listener only.
bool check_is_key_or_certificate(struct str name);

// `listeners` and listener.security.protocol.map as texts, and how they go with what may not change: as
// Kafka's configuration as a whole has it, before any part of the broker sees it.
int check_listener_texts(struct check *c);

// Whether the listeners that stay may go on as they are, where something of listeners changes at all.
int check_listeners_stay(struct check *c);

#endif
