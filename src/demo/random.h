// Numbers from a seed: the same on every machine and in every run.
#ifndef DEMO_RANDOM_H
#define DEMO_RANDOM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

// Every bit of the result depends on every bit of v; no two values have the same.
static inline uint64_t random_mix(uint64_t v)
{
    v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
    return v ^ (v >> 31);
}

// The next of a sequence (SplitMix64).
static inline uint64_t random_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return random_mix(*state);
}

// From 0 to below 1.
static inline double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

static inline bool random_chance(uint64_t *state, double share)
{
    return random_unit(state) < share;
}

// The time until the next of what happens at random, `mean` apart.
static inline double random_wait(uint64_t *state, double mean)
{
    return -log1p(-random_unit(state)) * mean;
}

#endif
