// The checks behind setting_parse, with Kafka's messages. For this room only.
#ifndef CONFIG_SETTING_CHECK_H
#define CONFIG_SETTING_CHECK_H

#include "config/setting.h"

// Checks a parsed value. 0; ERR_INVALID with *message; ERR_NOMEM.
int setting_check(const struct setting *s, const struct setting_value *value, struct arena *arena,
                  struct str *message);

// "Invalid value V for configuration NAME: REASON"; a null view when out of memory.
struct str setting_message(const struct setting *s, struct str value, const char *reason,
                           struct arena *arena);

// "[a, b]", as Java prints a list.
struct str setting_list_as_java(const struct setting_value *value, struct arena *arena);

// Splits "host:port" (a host in brackets may hold colons; the host may be empty). False when it is malformed.
bool server_address_parse(struct str text, struct str *host, int32_t *port);

#endif
