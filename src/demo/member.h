// A member of the demo's consumer group, over the classic protocol: JoinGroup, SyncGroup, Heartbeat,
// LeaveGroup, with committed offsets. The group assigns by "range", as the consumers of Kafka's clients do:
// the same partition of each topic goes to the same member. One thread.
#ifndef DEMO_MEMBER_H
#define DEMO_MEMBER_H

#include "demo/link.h"

#define DEMO_GROUP          "shop-minutes"
#define DEMO_SESSION_MS     10000
#define DEMO_HEARTBEAT_MS   3000
#define DEMO_MEMBER_ID_MOST 256
#define DEMO_NOTE_BYTES     96

struct demo_member {
    struct client coordinator;
    char id[DEMO_MEMBER_ID_MOST]; // "": none yet
    int32_t generation;
    bool connected, joined;
    int32_t partitions[DEMO_PARTITIONS_MOST]; // that are this member's, of each topic
    int32_t partitions_count;
};

// What is committed of a partition.
struct demo_position {
    enum shop_topic topic;
    int32_t partition;
    int64_t offset;             // -1: nothing
    char note[DEMO_NOTE_BYTES]; // the metadata beside it; cut where it is longer
};

// Finds the coordinator, joins, and learns which partitions are this member's. Waits for the group's other
// members. 0; ERR_AGAIN: not now; or another code. All with l->error.
int member_join(struct demo_member *m, struct demo_link *l);

// 0; ERR_AGAIN: the group makes a new generation, to be joined; or another code, with l->error.
int member_beat(struct demo_member *m, struct demo_link *l);

// Of positions, topic by topic, whose topic and partition are given. The same results as member_beat's.
int member_positions(struct demo_member *m, struct demo_link *l, struct demo_position *positions,
                     int32_t count);
int member_commit(struct demo_member *m, struct demo_link *l, const struct demo_position *positions,
                  int32_t count);

// Says goodbye, where it is a member, and closes.
void member_leave(struct demo_member *m, struct demo_link *l);

// Closes without a word: the coordinator is gone, or stops to know the member by itself.
void member_close(struct demo_member *m);

// ---- range.c, pure

struct range_member {
    struct str id;
    const struct str *topics; // that it subscribes to
    int32_t topics_count;
};

// The partitions of a topic that has `partitions` which are the member's: *first of them and how many.
// Members are sorted by id, and each gets partitions that follow one another; those in front one more where
// it does not divide.
int32_t range_of(const struct range_member *members, int32_t count, int32_t self, struct str topic,
                 int32_t partitions, int32_t *first);

#endif
