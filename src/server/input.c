#include "server/input.h"

#include <stdlib.h>

#include "os/memory.h"

// From here buffers are pages of their own.
#define INPUT_PAGES_BYTES 65536

static size_t class_bytes(unsigned size_class)
{
    return size_class == 0 ? INPUT_STUB_BYTES : (size_t)INPUT_SMALL_BYTES << (size_class - 1);
}

static unsigned class_of(size_t capacity)
{
    unsigned size_class = 0;
    while (size_class < INPUT_CLASSES && class_bytes(size_class) < capacity)
        size_class++;
    return size_class;
}

struct input *input_take(struct input_pool *pool, size_t capacity)
{
    unsigned size_class = class_of(capacity);
    struct input *input = NULL;
    if (size_class < INPUT_CLASSES) {
        capacity = class_bytes(size_class);
        input = pool->kept[size_class];
        if (input) {
            pool->kept[size_class] = input->next;
            pool->kept_bytes -= capacity;
        }
    }
    if (!input) {
        size_t size = sizeof *input + capacity;
        input = size < INPUT_PAGES_BYTES ? malloc(size) : memory_map(size);
        if (!input)
            return NULL;
        input->capacity = capacity;
        input->size_class = (uint8_t)size_class;
    }
    input->next = NULL;
    input->references = 1;
    input->charged_bytes = 0;
    input->start = input->end = 0;
    pool->held_bytes += capacity;
    return input;
}

static void give_back(struct input *input)
{
    size_t size = sizeof *input + input->capacity;
    if (size < INPUT_PAGES_BYTES)
        free(input);
    else
        memory_unmap(input, size);
}

void input_unref(struct input_pool *pool, struct input *input)
{
    if (--input->references > 0)
        return;
    pool->held_bytes -= input->capacity;
    size_t charged_bytes = input->charged_bytes;
    if (input->size_class < INPUT_CLASSES && pool->kept_bytes + input->capacity <= INPUT_KEPT_BYTES) {
        input->next = pool->kept[input->size_class];
        pool->kept[input->size_class] = input;
        pool->kept_bytes += input->capacity;
    } else {
        give_back(input);
    }
    if (charged_bytes)
        pool->uncharge(pool, charged_bytes);
}

void input_pool_trim(struct input_pool *pool)
{
    for (unsigned i = 0; i < INPUT_CLASSES; i++) {
        for (struct input *input; (input = pool->kept[i]);) {
            pool->kept[i] = input->next;
            pool->kept_bytes -= input->capacity;
            give_back(input);
        }
    }
}
