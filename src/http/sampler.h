// What is measured while somebody looks: one thread reads the counters each second, makes rates of them, and
// the overview that all viewers get. When nobody has looked for a while it ends, and nothing is measured.
#ifndef HTTP_SAMPLER_H
#define HTTP_SAMPLER_H

#include "base/buffer.h"
#include "http/load.h"

struct sampler;

// NULL: out of memory. `broker` outlives it.
struct sampler *sampler_new(const struct http_params *broker);
// Ends the thread. Nobody else is in here any more.
void sampler_free(struct sampler *s);

// Somebody looks from now on, until sampler_leave.
void sampler_enter(struct sampler *s);
void sampler_leave(struct sampler *s);

// The latest overview as JSON, if its number is above `after`; else waits for it, at most so long. Its
// number, or 0: there is none. Appends to `out`. Whoever asks counts as a viewer for some seconds.
uint64_t sampler_read(struct sampler *s, uint64_t after, int wait_ms, struct buffer *out);

// Fills in the rates where there are some. Counts as looking, too.
void sampler_rates(struct sampler *s, struct loads *loads);

#endif
