// The overview, once and as a stream.
#include "base/clock.h"
#include "http/route.h"
#include "http/sampler.h"
#include "http/stream.h"

#include <inttypes.h>
#include <stdlib.h>

#define FIRST_SAMPLE_MS 20000 // it is there at once, unless the machine is very busy

void http_overview(struct http_request *r)
{
    struct buffer text = BUFFER_INIT;
    if (sampler_read(r->sampler, 0, FIRST_SAMPLE_MS, &text) && !text.failed)
        http_answer_text(r, 200, "application/json", (const char *)text.data, text.size);
    else
        http_fail(r, 503, "BROKER_NOT_AVAILABLE", "nothing could be measured");
    buffer_free(&text);
}

// What the stream's reader has seen.
struct live {
    uint64_t seen;
};

static bool next(struct http_stream *s)
{
    struct live *live = s->context;
    struct buffer text = BUFFER_INIT;
    uint64_t number = sampler_read(s->request->sampler, live->seen, STREAM_WAIT_MS, &text);
    if (number && !text.failed) {
        live->seen = number;
        buffer_printf(&s->out, "id: %" PRIu64 "\nevent: overview\ndata: %.*s\n\n", number, (int)text.size,
                      (const char *)text.data);
    }
    buffer_free(&text);
    return true;
}

static void close_live(struct http_stream *s)
{
    sampler_leave(s->request->sampler);
    free(s->context);
}

void http_live(struct http_request *r)
{
    struct live *live = calloc(1, sizeof *live);
    if (!live)
        return;
    if (stream_start(r, next, close_live, live))
        sampler_enter(r->sampler);
    else
        free(live);
}
