// A growable run of bytes. One thread at a time.
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/bytes.h"

struct buffer {
    uint8_t *data;
    size_t size, capacity;
    bool failed; // an append ran out of memory; the contents are then not complete
};

#define BUFFER_INIT ((struct buffer){0})

// Room for `more` bytes behind size; returns where they go, or NULL (and failed is set). Does not change
// size.
uint8_t *buffer_reserve(struct buffer *b, size_t more);

void buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void buffer_byte(struct buffer *b, uint8_t byte)
{
    buffer_append(b, &byte, 1);
}

static inline void buffer_text(struct buffer *b, const char *terminated)
{
    buffer_append(b, terminated, strlen(terminated));
}

static inline void buffer_clear(struct buffer *b)
{
    b->size = 0;
    b->failed = false;
}

void buffer_free(struct buffer *b);

#endif
