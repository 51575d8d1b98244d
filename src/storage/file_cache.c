#include "storage/file_cache.h"

#include "base/error.h"
#include "os/file.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define PINS_MASK  UINT64_C(0x7fffffff)
#define USED       UINT64_C(0x80000000)
#define OPEN_LOCKS 16
#define HAND_STEPS 64 // the most that one opening walks in search of a file to close

struct file_cache {
    pthread_mutex_t lock; // guards ring, hand, count and max
    struct list ring;     // of open files
    size_t count, max;
    pthread_mutex_t opening[OPEN_LOCKS]; // by the file's address: opens one file once
};

static uint64_t state_of_fd(int fd)
{
    return (uint64_t)(uint32_t)(fd + 1) << 32;
}

static int fd_of_state(uint64_t state)
{
    return (int)(state >> 32) - 1;
}

struct file_cache *file_cache_new(size_t open_max)
{
    struct file_cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->max = open_max ? open_max : 1;
    list_init(&c->ring);
    pthread_mutex_init(&c->lock, NULL);
    for (size_t i = 0; i < OPEN_LOCKS; i++)
        pthread_mutex_init(&c->opening[i], NULL);
    return c;
}

void file_cache_free(struct file_cache *c)
{
    if (!c)
        return;
    assert(c->count == 0);
    for (size_t i = 0; i < OPEN_LOCKS; i++)
        pthread_mutex_destroy(&c->opening[i]);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void cached_file_init(struct cached_file *file)
{
    atomic_init(&file->state, 0);
    list_init(&file->ring);
}

// Pins the file if it is open.
static int pin_open(struct cached_file *file)
{
    uint64_t s = atomic_load_explicit(&file->state, memory_order_relaxed);
    while (fd_of_state(s) >= 0) {
        assert((s & PINS_MASK) < PINS_MASK);
        if (atomic_compare_exchange_weak_explicit(&file->state, &s, (s + 1) | USED, memory_order_seq_cst,
                                                  memory_order_relaxed))
            return fd_of_state(s);
    }
    return -1;
}

// Closes this file unless it is pinned. Under the cache's lock.
static bool close_unpinned(struct file_cache *c, struct cached_file *file)
{
    uint64_t s = atomic_load(&file->state);
    if ((s & PINS_MASK) || fd_of_state(s) < 0 || !atomic_compare_exchange_strong(&file->state, &s, 0))
        return false;
    list_remove(&file->ring);
    c->count--;
    file_close(fd_of_state(s));
    return true;
}

// The hand goes round until enough are closed: a file that was used since the last round gets another one.
static void close_oldest(struct file_cache *c)
{
    for (int step = 0; c->count > c->max && step < HAND_STEPS; step++) {
        struct cached_file *file = container_of(list_first(&c->ring), struct cached_file, ring);
        uint64_t s = atomic_load(&file->state);
        if (!(s & USED) && close_unpinned(c, file))
            continue;
        atomic_fetch_and(&file->state, ~USED);
        list_remove(&file->ring);
        list_push_back(&c->ring, &file->ring);
    }
}

int file_cache_pin(struct file_cache *c, struct cached_file *file, int (*open_fn)(void *arg), void *arg)
{
    int fd = pin_open(file);
    if (fd >= 0)
        return fd;
    pthread_mutex_t *opening = &c->opening[((uintptr_t)file / sizeof *file) % OPEN_LOCKS];
    pthread_mutex_lock(opening);
    fd = pin_open(file);
    if (fd < 0)
        fd = open_fn(arg);
    else
        goto out;
    if (fd < 0)
        goto out;
    atomic_store(&file->state, state_of_fd(fd) | USED | 1);
    pthread_mutex_lock(&c->lock);
    list_push_back(&c->ring, &file->ring);
    c->count++;
    close_oldest(c);
    pthread_mutex_unlock(&c->lock);
out:
    pthread_mutex_unlock(opening);
    return fd;
}

void file_cache_unpin(struct cached_file *file)
{
    uint64_t before = atomic_fetch_sub(&file->state, 1);
    assert(before & PINS_MASK);
    (void)before;
}

uint32_t cached_file_pins(const struct cached_file *file)
{
    return (uint32_t)(atomic_load(&file->state) & PINS_MASK);
}

void file_cache_close(struct file_cache *c, struct cached_file *file)
{
    pthread_mutex_lock(&c->lock);
    close_unpinned(c, file);
    pthread_mutex_unlock(&c->lock);
}

size_t file_cache_open_count(struct file_cache *c)
{
    pthread_mutex_lock(&c->lock);
    size_t n = c->count;
    pthread_mutex_unlock(&c->lock);
    return n;
}
