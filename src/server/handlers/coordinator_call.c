#include "server/handlers/coordinator_call.h"

#include <stdlib.h>

// What is gathered for one answer: who names one large group again and again could ask for any amount.
#define GATHERED_MAX_BYTES ((size_t)512 << 20)

// More parts than this begin with little memory for their answers each.
#define PARTS_WITH_ROOM 16
#define PART_BYTES      512

void coordinator_call_discard(struct coordinator_call *call)
{
    for (int32_t i = 0; call && i < call->count; i++)
        arena_free(&call->parts[i].arena);
    free(call);
}

static void finish(struct coordinator_call *call)
{
    if (call->request && call->too_large)
        request_close(call->request, "the answer would be too large");
    else if (call->request)
        call->finish(call);
    coordinator_call_discard(call);
}

static void complete(struct coordinator_request *part)
{
    struct coordinator_call *call = part->context;
    if (--call->left == 0)
        finish(call);
}

// All parts are asked; those that had their answers at once need no one to tell of them.
static void asked(void *context)
{
    struct coordinator_call *call = context;
    call->left -= call->at_once + 1;
    if (call->left == 0)
        finish(call);
}

static void on_cancel(struct request *r)
{
    struct coordinator_call *call = r->parked;
    call->request = NULL; // the parts cannot be taken back: what they do is done all the same
}

// As Java writes the client's address.
static struct str client_host(struct request *r)
{
    struct str address = request_client_address(r, NULL);
    return arena_printf(&r->arena, "/%.*s", STR_ARG(address));
}

struct coordinator_call *coordinator_call_new(struct request *r, int32_t count,
                                              void (*finish_call)(struct coordinator_call *call))
{
    struct coordinator_call *call = calloc(1, sizeof *call + (size_t)count * sizeof call->parts[0]);
    if (!call)
        return NULL;
    call->request = r;
    call->finish = finish_call;
    call->count = count;
    call->left = count + 1; // the last is for their being asked, which may take longer than their answers
    struct str host = client_host(r);
    for (int32_t i = 0; i < count; i++) {
        struct coordinator_request *part = &call->parts[i];
        part->version = r->version;
        part->client_id = r->client_id;
        part->client_host = host;
        part->complete = complete;
        part->context = call;
        part->reply_to = &r->reactor->loop;
        arena_init(&part->arena, 0);
        part->arena.first_bytes = count > PARTS_WITH_ROOM ? PART_BYTES : 0;
    }
    return call;
}

void coordinator_call_run(struct coordinator_call *call, struct coordinator *coordinator,
                          const int32_t *shards)
{
    // While parts are asked on a worker, others' answers may come to the reactor: `left` is the reactor's.
    size_t gathered = 0;
    for (int32_t i = 0; i < call->count; i++) {
        call->too_large |= gathered > GATHERED_MAX_BYTES;
        struct coordinator_request *part = &call->parts[i];
        bool asked_now = shards[i] != COORDINATOR_CALL_ANSWERED && !call->too_large;
        call->at_once += !asked_now || coordinator_ask(coordinator, shards[i], part); // others come later
        // An answer that is held back, until what it may have seen is in the log, takes its memory already.
        gathered += atomic_load_explicit(&part->answer_bytes, memory_order_relaxed);
    }
    if (call->at_once == call->count) {
        finish(call);
        return;
    }
    request_park(call->request, PARK_STALL, on_cancel, call);
    if (call->may_wait_long && !call->request->offload) // the input is its reactor's
        request_release_input(call->request);
    request_then(call->request, asked, call);
}

void coordinator_call_run_key(struct coordinator_call *call, struct coordinator *coordinator, struct str key)
{
    int32_t shard = coordinator_partition(coordinator, key);
    coordinator_call_run(call, coordinator, &shard);
}
