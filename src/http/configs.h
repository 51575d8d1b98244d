// Settings in JSON.
#ifndef HTTP_CONFIGS_H
#define HTTP_CONFIGS_H

#include "http/request.h"

#define RESOURCE_GROUP 32 // the kind of resource whose settings are a group's

// A configuration's value: a text; numbers and booleans are taken as their text. Null view: it is none of
// these.
struct str http_config_value(struct arena *arena, const json_t *value);

#endif
