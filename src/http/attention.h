// What needs attention, in words. Pure.
#ifndef HTTP_ATTENTION_H
#define HTTP_ATTENTION_H

#include "http/overview.h"

json_t *attention_json(const struct overview_facts *f);

#endif
