#include "base/siphash.h"

#include "base/clock.h"

#include <string.h>
#include <sys/random.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void rounds(struct state *s, int count)
{
    for (int i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static inline uint64_t load_le64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap64(v);
}

struct siphash_secret siphash_secret_random(void)
{
    struct siphash_secret secret;
    if (getrandom(&secret, sizeof secret, 0) != (ssize_t)sizeof secret)
        secret = (struct siphash_secret){(uint64_t)clock_wall_ms(), (uint64_t)(uintptr_t)&secret};
    return secret;
}

struct siphash siphash128(const struct siphash_secret *secret, const void *data, size_t size)
{
    const uint8_t *at = data;
    struct state s = {
        secret->low ^ UINT64_C(0x736f6d6570736575), secret->high ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
        secret->low ^ UINT64_C(0x6c7967656e657261), secret->high ^ UINT64_C(0x7465646279746573)};
    uint64_t last = (uint64_t)size << 56;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word = load_le64(at);
        s.v3 ^= word;
        rounds(&s, 2);
        s.v0 ^= word;
    }
    for (size_t i = 0; i < size; i++)
        last |= (uint64_t)at[i] << (8 * i);
    s.v3 ^= last;
    rounds(&s, 2);
    s.v0 ^= last;
    struct siphash out;
    s.v2 ^= 0xee;
    rounds(&s, 4);
    out.low = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    rounds(&s, 4);
    out.high = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return out;
}
