// Asking the right broker of a cluster: a partition's leader, a coordinator, each of them. For the commands
// that build on topic_call. One thread.
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli/topic.h"

enum coordinator_type { COORDINATOR_GROUP = 0, COORDINATOR_TRANSACTION = 1 };

// Connects to the broker; EXIT_OK, or EXIT_FAILED and said so. The client is the caller's to close, also when
// it failed.
int cluster_open(struct topic_call *t, struct str host, int32_t port, struct client *out);

// The same with the coordinator of a group or a transactional id; waits while there is none, as when its
// topic is being made.
int cluster_open_coordinator(struct topic_call *t, enum coordinator_type type, struct str key,
                             struct client *out);

// Whether the answer passes, as that of a coordinator which still reads its partition: then it is asked
// again, after the pause that this makes. t->give_up_ms is when it ends.
bool cluster_again(const struct topic_call *t, int16_t error);

// Asks each broker of the cluster in turn. EXIT_OK, or the first failure.
int cluster_each(struct topic_call *t, const struct metadata_response *cluster,
                 int (*ask)(void *context, struct client *client, int32_t broker), void *context);

#define OFFSET_UNKNOWN  (-1)
#define OFFSET_EARLIEST (-2)
#define OFFSET_LATEST   (-1)

struct offset_question {
    struct str topic;
    int32_t partition;
    int64_t timestamp; // ms since 1970, OFFSET_EARLIEST or OFFSET_LATEST
    int64_t offset;    // the answer; OFFSET_UNKNOWN: none, or no leader has it
};

// Asks the partitions' leaders. Each partition comes once, those of a topic together. EXIT_OK, or EXIT_FAILED
// and said so.
int cluster_offsets(struct topic_call *t, const struct metadata_response *cluster,
                    struct offset_question *all, size_t count);

#endif
