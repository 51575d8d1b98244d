// CRC-32C (Castagnoli), as record batches and snapshots use it. Any thread.
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The checksum of `data` appended to bytes whose checksum is `crc`; 0 is the checksum of nothing. The fastest
// implementation that the processor has is chosen on the first call.
uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size);

static inline uint32_t crc32c(const void *data, size_t size)
{
    return crc32c_extend(0, data, size);
}

// One way to compute it. All give the same result; tests and benchmarks call each of them.
struct crc32c_implementation {
    const char *name; // "avx512 vpclmul", "sse4.2 pclmul", "sse4.2", "armv8" or "portable"
    uint32_t (*extend)(uint32_t crc, const void *data, size_t size);
    bool (*supported)(void); // by the processor that runs this
};

// Fastest first; the last one, "portable", is always supported.
const struct crc32c_implementation *crc32c_implementations(size_t *count);

#endif
