#include "storage/cleaner_throttle.h"

#define LONGEST_US (INT64_C(3600) * 1000000) // no debt grows longer: the rate may be raised at any time

void cleaner_throttle_init(struct cleaner_throttle *t, double bytes_per_second)
{
    *t = (struct cleaner_throttle){.bytes_per_second = bytes_per_second};
    pthread_mutex_init(&t->lock, NULL);
}

void cleaner_throttle_free(struct cleaner_throttle *t)
{
    pthread_mutex_destroy(&t->lock);
}

void cleaner_throttle_set(struct cleaner_throttle *t, double bytes_per_second)
{
    pthread_mutex_lock(&t->lock);
    if (t->bytes_per_second != bytes_per_second) {
        t->free_at_us = 0;
        atomic_fetch_add(&t->changes, 1);
    }
    t->bytes_per_second = bytes_per_second;
    pthread_mutex_unlock(&t->lock);
}

double cleaner_throttle_rate(struct cleaner_throttle *t)
{
    pthread_mutex_lock(&t->lock);
    double rate = t->bytes_per_second;
    pthread_mutex_unlock(&t->lock);
    return rate;
}

int64_t cleaner_throttle_take(struct cleaner_throttle *t, int64_t bytes, int64_t now_us)
{
    pthread_mutex_lock(&t->lock);
    double cost_us = t->bytes_per_second > 0 ? (double)bytes / t->bytes_per_second * 1e6 : (double)LONGEST_US;
    if (t->free_at_us < now_us)
        t->free_at_us = now_us;
    t->free_at_us += cost_us < (double)LONGEST_US ? (int64_t)cost_us : LONGEST_US;
    if (t->free_at_us > now_us + LONGEST_US)
        t->free_at_us = now_us + LONGEST_US;
    int64_t wait_us = t->free_at_us - now_us;
    pthread_mutex_unlock(&t->lock);
    return wait_us;
}
