// odradek top: what a cluster does, sampled at intervals (top_sample.c) and laid out for a terminal
// (top_view.c).
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "cli/cluster.h"

struct top_topic {
    struct str name;
    int32_t partitions;
    int64_t written; // the sum of the partitions' ends
    int64_t bytes;   // on the leaders' and followers' disks
};

struct top_group {
    struct str id, state;
    int64_t lag, committed; // sums over partitions
};

// Sorted by name.
struct top_sample {
    int64_t at_ms;      // monotonic
    int64_t latency_us; // of asking for every partition's end
    struct str cluster;
    int32_t brokers, partitions;
    struct top_topic *topics;
    size_t topics_count;
    struct top_group *groups;
    size_t groups_count;
};

// Asks the cluster; what the sample holds is the arena's. EXIT_OK, or EXIT_FAILED and said so.
int top_sample(struct topic_call *t, struct top_sample *out);

struct top_screen {
    int rows, columns;
    bool color;
    bool whole; // for a terminal: each line ends with what clears its rest
};

// Lines that fit the screen: the busiest topics and the groups that are behind first. Rates are between the
// two samples; before->at_ms 0: there was none. Pure.
void top_view(const struct top_sample *now, const struct top_sample *before, const struct top_screen *screen,
              struct buffer *out);

// One line that says that the cluster does not answer. Pure.
void top_lost(const char *why, const struct top_screen *screen, struct buffer *out);

#endif
