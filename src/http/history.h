// The last minutes, for charts that are opened now: a few figures every HISTORY_EVERY_MS, whether somebody
// looks or not, in a ring of fixed size. One thread takes them; it asks nobody, and reads counters alone.
#ifndef HTTP_HISTORY_H
#define HTTP_HISTORY_H

#include <jansson.h>

#include "http/http.h"

#define HISTORY_EVERY_MS 5000
#define HISTORY_POINTS   180 // a quarter of an hour

struct history;

// NULL: out of memory, or no thread can be started. `broker` outlives it.
struct history *history_new(const struct http_params *broker);
// Ends the thread. Nobody else is in here any more.
void history_free(struct history *h);

// Any thread: {"points": [...]}, the oldest first.
json_t *history_json(struct history *h);

#endif
