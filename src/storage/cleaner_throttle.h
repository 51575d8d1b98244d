// Holds the cleaner threads together to log.cleaner.io.max.bytes.per.second.
#ifndef STORAGE_CLEANER_THROTTLE_H
#define STORAGE_CLEANER_THROTTLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct cleaner_throttle {
    pthread_mutex_t lock;
    double bytes_per_second; // guarded by lock, as is what follows
    int64_t free_at_us;      // monotonic: when what was taken so far is paid for
    _Atomic uint64_t
        changes; // of the rate: who still waits for what it took at the former one need not any longer
};

void cleaner_throttle_init(struct cleaner_throttle *t, double bytes_per_second);
void cleaner_throttle_free(struct cleaner_throttle *t);
void cleaner_throttle_set(struct cleaner_throttle *t, double bytes_per_second);
double cleaner_throttle_rate(struct cleaner_throttle *t); // bytes a second

// Takes bytes; returns for how long (microseconds) the caller has to wait before it takes more. Any thread.
int64_t cleaner_throttle_take(struct cleaner_throttle *t, int64_t bytes, int64_t now_us);

#endif
