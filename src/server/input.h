// The buffers that sockets are read into, kept and reused per reactor, so that a busy producer's requests
// find pages that are already there. Private to the server room; a pool and its buffers are for its reactor's
// thread.
#ifndef SERVER_INPUT_H
#define SERVER_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_STUB_BYTES   512       // holds the beginning of a request while a connection waits for the rest
#define INPUT_SMALL_BYTES  16384     // several pipelined requests at once
#define INPUT_POOLED_BYTES 2097152   // larger ones are not kept
#define INPUT_KEPT_BYTES   (8 << 20) // kept per reactor at most
#define INPUT_CLASSES      9         // the stub, and 16 KB << 0..7

// Reference-counted: the connection that fills it, and each request that lies in it.
struct input {
    struct input *next; // in the pool
    uint32_t references;
    uint8_t size_class; // INPUT_CLASSES: too large to be kept
    size_t capacity;
    size_t charged_bytes; // what queued.max.request.bytes counts for it
    size_t start, end;    // [start, end) is read, but not taken as a request yet
    uint8_t data[];
};

struct input_pool {
    struct input *kept[INPUT_CLASSES];
    size_t kept_bytes;
    size_t held_bytes; // in use now
    void (*uncharge)(struct input_pool *pool, size_t charged_bytes);
};

// A buffer of at least `capacity` bytes with one reference, or NULL.
struct input *input_take(struct input_pool *pool, size_t capacity);

static inline struct input *input_ref(struct input *input)
{
    input->references++;
    return input;
}

void input_unref(struct input_pool *pool, struct input *input);

// Frees every kept buffer.
void input_pool_trim(struct input_pool *pool);

#endif
