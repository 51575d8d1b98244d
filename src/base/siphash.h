// SipHash-2-4 with 128 bits: a hash of bytes under a secret, for tables in which two keys with the same hash
// must not occur, not even when somebody looks for them. Any thread.
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_secret {
    uint64_t low, high;
};

struct siphash {
    uint64_t low, high; // low: the first eight bytes of the result, little-endian
};

// A secret from the kernel's random source.
struct siphash_secret siphash_secret_random(void);

struct siphash siphash128(const struct siphash_secret *secret, const void *data, size_t size);

#endif
