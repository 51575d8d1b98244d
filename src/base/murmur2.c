#include "base/murmur2.h"

#define SEED   0x9747b28cu
#define FACTOR 0x5bd1e995u

uint32_t murmur2(struct bytes key)
{
    uint32_t h = SEED ^ (uint32_t)key.size;
    size_t at = 0;
    for (; key.size - at >= 4; at += 4) {
        uint32_t k = __builtin_bswap32(load_be32(key.data + at)) * FACTOR;
        k ^= k >> 24;
        h = h * FACTOR ^ k * FACTOR;
    }
    size_t left = key.size - at;
    for (size_t i = left; i-- > 0;)
        h ^= (uint32_t)key.data[at + i] << (8 * i);
    if (left > 0)
        h *= FACTOR;
    h ^= h >> 13;
    h *= FACTOR;
    return h ^ h >> 15;
}
