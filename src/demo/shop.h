// The visitors of a shop, made up from a seed: they come and go with the hour of the day, look at a few
// products, and some of them order and pay. A pure function of seed and time: the same options give the same
// events in the same order, however often one asks. One thread at a time.
#ifndef DEMO_SHOP_H
#define DEMO_SHOP_H

#include "demo/event.h"

// No event is sent later than this after it happened.
#define SHOP_LATEST_MS 15000

struct shop_options {
    uint64_t seed;
    int64_t start_ms;         // the wall clock's time at which the shop opens
    double events_per_second; // on an average over the day
};

struct shop;

// NULL: out of memory.
struct shop *shop_new(const struct shop_options *options);

// The next event that is sent by now_ms, which is not always the next that happened: some are late, and some
// are sent twice. False: there is none yet.
bool shop_next(struct shop *shop, int64_t now_ms, struct shop_event *out);

// How many visitors there are at this time of the day, beside the average.
double shop_rhythm(int64_t ms);

void shop_free(struct shop *shop); // NULL is fine

#endif
