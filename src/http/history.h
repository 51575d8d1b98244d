// The last minutes, for charts that are opened now: a few figures every HISTORY_EVERY_MS, whether somebody
// looks or not, in a ring of fixed size, and less often the lag of some groups (group_history.h). One thread
// takes them: the figures from counters alone, the groups' by asking the broker.
#ifndef HTTP_HISTORY_H
#define HTTP_HISTORY_H

#include <jansson.h>

#include "http/http.h"

#define HISTORY_EVERY_MS 5000
#define HISTORY_POINTS   180 // a quarter of an hour
#define HISTORY_GROUPS   2   // points, for one of the groups

struct history;

// NULL: out of memory, or no thread can be started. `broker` outlives it.
struct history *history_new(const struct http_params *broker);
// Ends the thread. Nobody else is in here any more.
void history_free(struct history *h);

// Any thread: {"points": [...]}, the oldest first.
json_t *history_json(struct history *h);

// Any thread: what is known of the groups.
struct group_history;
struct group_history *history_groups(struct history *h);

#endif
