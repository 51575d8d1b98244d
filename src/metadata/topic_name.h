// What a topic may be called. Pure; any thread.
#ifndef METADATA_TOPIC_NAME_H
#define METADATA_TOPIC_NAME_H

#include "base/arena.h"

#define TOPIC_NAME_MAX_BYTES 249 // with "-<partition>.<uuid>-delete" behind it, it still is a file's name

// Why a topic cannot have this name, in Kafka's words (in the arena), or a null view when it can.
struct str topic_name_problem(struct str name, struct arena *arena);

// Whether it is one of the broker's own topics (__consumer_offsets and the like), which clients do not write
// to.
bool topic_is_internal(struct str name);

#endif
