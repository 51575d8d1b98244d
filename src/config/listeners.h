// Listeners: parsing and how they go together. For this room only.
#ifndef CONFIG_LISTENERS_H
#define CONFIG_LISTENERS_H

#include "config/broker_config.h"

// Fills listeners, advertised, controller_listener_names, http_listeners and inter_broker_listener from the
// settings, as Kafka's rules have them. 0; ERR_INVALID with one line in *message; ERR_NOMEM.
int listeners_load(struct broker_config *c, struct str *message);

#endif
