// The order in which Apache Kafka lists topics in a Metadata response: that of the hash sets which it keeps
// the names in meanwhile. No client depends on it; with it, answers can be compared with Kafka's as they are.
#ifndef SERVER_TOPIC_ORDER_H
#define SERVER_TOPIC_ORDER_H

#include "base/arena.h"

enum topic_order {
    TOPIC_ORDER_NAMED, // a request that names them: Scala's immutable set (up to four stay as they are)
    TOPIC_ORDER_ALL,   // a request for all: Java's HashSet
};

// order[i] becomes the index of the name that comes i-th. 0, or ERR_NOMEM.
int topic_order(enum topic_order how, const struct str *names, uint32_t count, struct arena *arena,
                uint32_t **order);

#endif
