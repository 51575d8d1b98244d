#include "coordinator/machine.h"

#include "base/error.h"
#include "base/logger.h"
#include "protocol/errors.h"

#include <stdlib.h>

void coordinator_effects_init(struct coordinator_effects *e)
{
    *e = (struct coordinator_effects){.producer.producer_id = -1};
    arena_init(&e->arena, 0);
    list_init(&e->answered);
}

void coordinator_effects_reset(struct coordinator_effects *e)
{
    arena_reset(&e->arena);
    e->records = NULL;
    e->records_count = e->records_capacity = 0;
    e->replay = e->divisible = false;
    e->producer = (struct coordinator_producer){.producer_id = -1};
}

void coordinator_effects_free(struct coordinator_effects *e)
{
    arena_free(&e->arena);
}

int coordinator_effects_add(struct coordinator_effects *e, struct bytes key, struct bytes value)
{
    if (e->records_count == e->records_capacity) {
        size_t capacity = e->records_capacity ? e->records_capacity * 2 : 4;
        struct coordinator_record *records = arena_alloc(&e->arena, capacity * sizeof *records);
        if (!records)
            return ERR_NOMEM;
        if (e->records_count > 0)
            memcpy(records, e->records, e->records_count * sizeof *records);
        e->records = records;
        e->records_capacity = capacity;
    }
    e->records[e->records_count++] = (struct coordinator_record){key, value};
    return 0;
}

void coordinator_answer(struct coordinator_effects *e, struct coordinator_request *r, void *response)
{
    r->response = response;
    r->error = response ? E_NONE : E_UNKNOWN_SERVER_ERROR;
    atomic_store_explicit(&r->answer_bytes, r->arena.used_bytes, memory_order_relaxed);
    list_push_back(&e->answered, &r->node);
}

void coordinator_refuse(struct coordinator_effects *e, struct coordinator_request *r, int16_t error)
{
    r->response = NULL;
    r->error = error;
    list_push_back(&e->answered, &r->node);
}

static void *or_die(void *memory)
{
    if (!memory) {
        log_error("coordinator",
                  "out of memory in a coordinator's state: the broker ends, and its log says where it was");
        abort();
    }
    return memory;
}

void *state_alloc(size_t size)
{
    return or_die(calloc(1, size ? size : 1));
}

void *state_array(void *old, size_t count, size_t size)
{
    return or_die(reallocarray(old, count ? count : 1, size));
}

struct bytes state_bytes(struct bytes b)
{
    uint8_t *copy = or_die(malloc(b.size ? b.size : 1));
    if (b.size > 0)
        memcpy(copy, b.data, b.size);
    return (struct bytes){copy, b.size};
}

struct str state_str(struct str s)
{
    if (!s.data)
        return s;
    struct bytes b = state_bytes((struct bytes){(const uint8_t *)s.data, s.size});
    return (struct str){(const char *)b.data, b.size};
}
