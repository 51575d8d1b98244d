// Requests and answers through the codec, for the modes in which the client's own cost matters little.
// Every function exits with a clear line when the peer fails. One thread at a time.
#ifndef BENCH_CALL_H
#define BENCH_CALL_H

#include "net.h"
#include "options.h"
#include "protocol/codec.h"

// Appends a request as a frame, length and header included, to *out.
void call_frame(struct buffer *out, const struct message_type *type, int16_t version, int32_t correlation,
                const void *request);

// Decodes an answer's frame without its length. The answer is made of views into it and of the arena's
// memory.
void call_decode(const struct message_type *request_type, const struct message_type *type, int16_t version,
                 struct bytes frame, struct arena *arena, void *answer);

struct call {
    int fd;
    struct reader reader;
    int32_t correlation;
    struct buffer out, in;
    struct arena arena;
};

void call_open(struct call *c, const struct options *o);

// Sends a request, waits for its answer, decodes it into *answer, which is valid until the next call.
void call_do(struct call *c, const struct message_type *request_type, const struct message_type *type,
             int16_t version, const void *request, void *answer);

void call_close(struct call *c);

#endif
