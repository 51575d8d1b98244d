// MurmurHash2 of 32 bits with the seed of Kafka's clients: by it they choose the partition of a key.
#ifndef BASE_MURMUR2_H
#define BASE_MURMUR2_H

#include "base/bytes.h"

uint32_t murmur2(struct bytes key);

#endif
