// What /metrics says (docs/metrics.md), a part a file. What costs questions to the broker is asked for at
// most every METRICS_SLOW_MS, whoever scrapes; topics and groups are bounded in number, with the rest summed
// up.
#ifndef HTTP_METRICS_H
#define HTTP_METRICS_H

#include "http/load.h"
#include "metrics/exposition.h"

#include <pthread.h>

#define METRICS_TOPICS     100
#define METRICS_GROUPS     100
#define METRICS_SLOW_MS    10000
#define METRICS_RETRY_MS   1000 // where something could not be asked for
#define METRICS_NAME_BYTES 255  // of a group that has series of its own

// Stands for all topics, or groups, that have no series of their own: no topic has such a name, and a group
// that has gets none.
#define METRICS_OTHERS STR("(others)")

enum metrics_topic_sum { TOPIC_MESSAGES_IN, TOPIC_BYTES_IN, TOPIC_BYTES_OUT, TOPIC_SUMS };

// Which topics have series of their own. One that has stays until it is deleted, so that no counter falls
// because others got busier; free places go to the busiest.
struct metrics_topics {
    struct map shown; // names, to themselves
    uint64_t others_seen[TOPIC_SUMS], others[TOPIC_SUMS];
};

// What outlives a scrape.
struct metrics {
    pthread_mutex_t lock; // one scrape at a time
    struct metrics_topics topics;
    struct buffer slow; // what was asked for
    int64_t ask_ms;     // when to ask again
};

void metrics_init(struct metrics *m);
void metrics_free(struct metrics *m);

// Of the broker's partitions. Appends. The topics of `loads` that have series of their own are decided here.
void metrics_add_topics(struct exposition *e, struct metrics_topics *t, struct loads *loads);
void metrics_topics_free(struct metrics_topics *t);

// Groups, transactions, log directories. What cannot be asked for is left out. False: something was.
bool metrics_add_slow(struct exposition *e, const struct http_params *broker);

#endif
