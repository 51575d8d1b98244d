// The hash by which Kafka tells whether the topics of a group have changed, and by which its records say what
// a group has seen: XXH3 (64 bits) of what Kafka puts into it, so that a directory may change hands without a
// rebalance. Pure.
#ifndef COORDINATOR_GROUP_METADATA_HASH_H
#define COORDINATOR_GROUP_METADATA_HASH_H

#include "base/bytes.h"
#include "base/uuid.h"

// The racks of the brokers that have a replica of the partition: writes up to `most` of them, in any order,
// and returns how many there are.
typedef uint32_t topic_racks(const void *context, int32_t partition, struct str *racks, uint32_t most);

#define TOPIC_RACKS_MOST 64

int64_t metadata_hash_topic(const struct uuid *id, struct str name, int32_t partitions, topic_racks *racks,
                            const void *context);

// Of the topics' hashes, in the order of their names. 0 for none.
int64_t metadata_hash_group(const int64_t *topics, uint32_t count);

#endif
