// Rates over a sliding window, as Kafka samples them, and throttle times. Pure; one thread at a time (or the
// owner's lock). Times are monotonic milliseconds.
#ifndef QUOTA_RATE_H
#define QUOTA_RATE_H

#include <stdbool.h>
#include <stdint.h>

// quota.window.num and quota.window.size.seconds (or their likes).
struct quota_window {
    int32_t samples; // >= 1
    int64_t sample_ms;
};

struct quota_sample {
    int64_t start_ms, last_ms; // of its last event
    double value;
};

// What was recorded, in samples that follow each other. Zeroed: nothing.
struct quota_rate {
    struct quota_sample *samples; // a ring that grows as needed, to window.samples + 1
    uint32_t count, current;
};

void quota_rate_free(struct quota_rate *rate);

// Adds `value` (negative: takes back). 0, or ERR_NOMEM, and nothing is recorded.
int quota_rate_record(struct quota_rate *rate, const struct quota_window *window, double value,
                      int64_t now_ms);

// Per second, over the window up to now. *span_ms (may be NULL): the time that was divided by.
double quota_rate_measure(struct quota_rate *rate, const struct quota_window *window, int64_t now_ms,
                          int64_t *span_ms);

// How long nothing may happen until the rate is `bound` again; 0: it is not above. At most INT32_MAX.
int32_t quota_rate_throttle_ms(struct quota_rate *rate, const struct quota_window *window, double bound,
                               int64_t now_ms);

// Whether it says the same as one that was never used.
bool quota_rate_is_idle(const struct quota_rate *rate, const struct quota_window *window, int64_t now_ms);

// A token bucket (KIP-599): `rate` tokens come each second, and at most those of a whole window are kept. A
// new one is full. What is taken may exceed what is there: then it is below zero, and exhausted, for a while.
struct quota_bucket {
    double tokens;
    int64_t updated_ms; // 0: never
};

double quota_bucket_tokens(struct quota_bucket *bucket, const struct quota_window *window, double rate,
                           int64_t now_ms);
void quota_bucket_take(struct quota_bucket *bucket, const struct quota_window *window, double rate,
                       double tokens, int64_t now_ms);
// Until it is not exhausted any more; 0: it is not.
int32_t quota_bucket_throttle_ms(struct quota_bucket *bucket, const struct quota_window *window, double rate,
                                 int64_t now_ms);

#endif
