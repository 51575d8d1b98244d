// What the commands that read and change settings share. For the files config_*.c and topic_alter.c only.
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "cli/topic.h"

enum { API_CREATE_PARTITIONS = 37, API_INCREMENTAL_ALTER_CONFIGS = 44 };

// Whose settings: "topic/orders", "broker/1", "broker" (the whole cluster's default), "group/g",
// "client-metrics/m".
struct config_resource {
    int8_t type; // Kafka's ConfigResource
    struct str name;
};

// NAME=VALUE sets, NAME+=VALUE adds to a list, NAME-=VALUE takes from it; NAME alone, of `unset`, goes back
// to the default.
struct config_change {
    struct str name, value;
    int8_t operation; // Kafka's ConfigOperation
};

// False, and said so, when the text is none.
bool config_resource_parse(const struct command *command, const char *text, struct config_resource *out);
bool config_change_parse(const struct command *command, const char *text, struct config_change *out);
struct config_change config_unset(const char *name);

// "topic/orders", in the arena.
struct str config_resource_text(const struct config_resource *resource, struct arena *arena);

// Makes the same changes to each resource and says what became of it. EXIT_OK, or EXIT_FAILED and said so.
int config_alter(struct topic_call *t, const struct config_resource *resources, int32_t resources_count,
                 const struct config_change *changes, int32_t changes_count, bool dry_run);

// With --json: what became of one resource, an entry of the command's one array; which this ends, and the
// command with it.
void config_print_result(struct topic_call *t, struct str resource, int16_t error, struct str message);
int config_finish_results(struct topic_call *t, int status);

extern const struct command config_get_command, config_set_command, config_unset_command;

#endif
