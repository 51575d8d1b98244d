// What IncrementalAlterConfigs changed, taken from the metadata image in the form that config/ reads.
#ifndef SERVER_DYNAMIC_CONFIG_H
#define SERVER_DYNAMIC_CONFIG_H

#include "config/describe.h"
#include "metadata/image.h"

// The settings of one resource, copied into the arena as an array (the texts stay the image's). *count 0 when
// it has none. 0 or ERR_NOMEM. For registered threads, as the image.
int dynamic_config_entries(const struct image *image, int8_t type, struct str name, struct arena *arena,
                           const struct config_entry **entries, size_t *count);

// The dynamic settings of this broker and of the cluster. 0 or ERR_NOMEM.
int dynamic_config_layers(const struct image *image, int32_t node_id, struct arena *arena,
                          struct config_layers *layers);

#endif
