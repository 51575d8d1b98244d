#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint8_t *buffer_reserve(struct buffer *b, size_t more)
{
    if (b->failed || more > SIZE_MAX / 4) {
        b->failed = true;
        return NULL;
    }
    if (b->capacity - b->size < more) {
        size_t capacity = b->capacity ? b->capacity * 2 : 256;
        if (capacity < b->size + more)
            capacity = b->size + more;
        uint8_t *p = realloc(b->data, capacity);
        if (!p) {
            b->failed = true;
            return NULL;
        }
        b->data = p;
        b->capacity = capacity;
    }
    return b->data + b->size;
}

void buffer_append(struct buffer *b, const void *data, size_t size)
{
    uint8_t *at = size ? buffer_reserve(b, size) : NULL; // an empty buffer has no memory to point to
    if (!at)
        return;
    memcpy(at, data, size);
    b->size += size;
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    uint8_t *at = n < 0 ? NULL : buffer_reserve(b, (size_t)n + 1);
    if (at) {
        vsnprintf((char *)at, (size_t)n + 1, format, again);
        b->size += (size_t)n;
    }
    va_end(again);
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = BUFFER_INIT;
}
