// What the group commands share. For the files group_*.c only.
#ifndef CLI_GROUP_H
#define CLI_GROUP_H

#include "cli/cluster.h"

enum {
    API_OFFSET_COMMIT = 8,
    API_OFFSET_FETCH = 9,
    API_DESCRIBE_GROUPS = 15,
    API_LIST_GROUPS = 16,
    API_DELETE_GROUPS = 42,
    API_CONSUMER_GROUP_DESCRIBE = 69
};

struct group_offset {
    struct str topic;
    int32_t partition;
    int64_t committed; // OFFSET_UNKNOWN: none
    int64_t end;       // OFFSET_UNKNOWN: not asked, or not known
};

// What is committed, sorted by topic and partition. EXIT_OK, or EXIT_FAILED and said so.
int group_committed(struct topic_call *t, struct client *coordinator, struct str group,
                    struct group_offset **out, size_t *count);

// Of the topics that are named in t->names. EXIT_OK, or EXIT_FAILED and said so.
int group_metadata(struct topic_call *t, const struct group_offset *all, size_t count,
                   struct metadata_response *out);

int group_compare(const void *a, const void *b); // struct group_offset: by topic and partition

extern const struct command group_describe_command, group_reset_command;

#endif
