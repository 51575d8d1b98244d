// The lag of groups in the last minutes, taken whether somebody looks or not: for charts that are opened now.
// Of LAG_GROUPS groups at most, those that were looked at lately first.
#ifndef HTTP_GROUP_HISTORY_H
#define HTTP_GROUP_HISTORY_H

#include "http/lag_book.h"
#include "http/request.h"

#include <pthread.h>

struct group_history {
    const struct http_params *broker;
    pthread_mutex_t lock; // guards the book
    struct lag_book book;
};

void group_history_init(struct group_history *g, const struct http_params *broker);
void group_history_free(struct group_history *g);

// Asks the broker and takes a point; one that cannot be had is left out. The history's thread.
void group_history_take(struct group_history *g);

// Any thread: somebody looks at the group, which is there. What is known of it: {"points": [...]}, the oldest
// first.
void group_history_ask(struct group_history *g, struct str group);
json_t *group_history_json(struct group_history *g, struct str group);

#endif
