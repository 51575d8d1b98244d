#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_ALIGN          16
#define ARENA_BLOCK_BYTES    4096
#define ARENA_BLOCK_MAX      (1 << 20) // a larger one has room for one large piece
#define ARENA_KEEP_MAX_BYTES 65536     // a larger block is not kept by arena_reset

struct arena_block {
    struct arena_block *next;
    size_t size; // of data
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena){.limit_bytes = limit_bytes};
}

static void *arena_grow(struct arena *a, size_t size)
{
    size_t block_bytes = (a->first_bytes ? a->first_bytes : ARENA_BLOCK_BYTES) - sizeof(struct arena_block);
    if (a->blocks)
        block_bytes = a->blocks->size < ARENA_BLOCK_MAX ? a->blocks->size * 2 : ARENA_BLOCK_MAX;
    if (block_bytes < size)
        block_bytes = size;
    struct arena_block *b = malloc(sizeof *b + block_bytes);
    if (!b)
        return NULL;
    b->size = block_bytes;
    b->next = a->blocks;
    a->blocks = b;
    a->at = b->data + size;
    a->end = b->data + block_bytes;
    return b->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (size == 0)
        size = ARENA_ALIGN;
    if (a->limit_bytes && size > a->limit_bytes - a->used_bytes)
        return NULL;
    void *p;
    if (size <= (size_t)(a->end - a->at)) {
        p = a->at;
        a->at += size;
    } else {
        p = arena_grow(a, size);
        if (!p)
            return NULL;
    }
    a->used_bytes += size;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        return NULL;
    void *p = arena_alloc(a, total);
    return p ? memset(p, 0, total) : NULL;
}

struct str arena_str(struct arena *a, struct str s)
{
    if (!s.data)
        return STR_NULL;
    char *p = arena_alloc(a, s.size + 1);
    if (!p)
        return STR_NULL;
    memcpy(p, s.data, s.size);
    p[s.size] = 0;
    return (struct str){p, s.size};
}

struct bytes arena_bytes(struct arena *a, struct bytes b)
{
    if (!b.data)
        return BYTES_NULL;
    uint8_t *p = arena_alloc(a, b.size);
    if (!p)
        return BYTES_NULL;
    memcpy(p, b.data, b.size);
    return (struct bytes){p, b.size};
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

struct str arena_vprintf(struct arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return p ? (struct str){p, (size_t)n} : STR_NULL;
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        if (b->size <= ARENA_KEEP_MAX_BYTES && (!keep || b->size > keep->size)) {
            free(keep);
            keep = b;
        } else {
            free(b);
        }
    }
    a->used_bytes = 0;
    a->blocks = keep;
    a->at = a->end = NULL;
    if (keep) {
        keep->next = NULL;
        a->at = keep->data;
        a->end = keep->data + keep->size;
    }
}

void arena_free(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    a->at = a->end = NULL;
    a->used_bytes = 0;
}
