#include "http/stream.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define STOP_WAIT_S 1

void streams_init(struct streams *s)
{
    *s = (struct streams){.count = 0};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
}

void streams_free(struct streams *s)
{
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

void streams_stop(struct streams *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_WAIT_S;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    while (s->count > 0 && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&s->lock);
}

bool streams_stopping(struct streams *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static bool enter(struct streams *s)
{
    pthread_mutex_lock(&s->lock);
    bool enters = !s->stopping && s->count < STREAMS;
    s->count += enters;
    pthread_mutex_unlock(&s->lock);
    return enters;
}

static void leave(struct streams *s)
{
    pthread_mutex_lock(&s->lock);
    s->count--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

bool stream_start(struct http_request *r, bool (*next)(struct http_stream *s),
                  void (*close)(struct http_stream *s), void *context)
{
    if (!enter(r->streams)) {
        http_fail(r, 429, "TOO_MANY_STREAMS", "there are %d streams already, as many as there may be",
                  STREAMS);
        return false;
    }
    struct http_stream *s = calloc(1, sizeof *s);
    if (!s) {
        leave(r->streams);
        return false;
    }
    *s = (struct http_stream){.request = r, .next = next, .close = close, .context = context};
    s->given_ms = clock_monotonic_ms();
    buffer_text(&s->out, "retry: 1000\n\n");
    r->stream = s;
    r->status = 200;
    return true;
}

void stream_free(struct http_stream *s)
{
    s->close(s);
    buffer_free(&s->out);
    leave(s->request->streams);
    free(s);
}

void stream_event(struct http_stream *s, const char *name, json_t *data)
{
    char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
    json_decref(data);
    if (text)
        buffer_printf(&s->out, "event: %s\ndata: ", name);
    if (text)
        buffer_text(&s->out, text); // without line ends: JSON escapes them
    if (text)
        buffer_text(&s->out, "\n\n");
    free(text);
}

void stream_end(struct http_stream *s, const char *reason, const char *message)
{
    stream_event(s, "end",
                 json_pack("{s:s, s:o}", "reason", reason, "message", http_text(str_from(message))));
}

static void fill(struct http_stream *s)
{
    buffer_clear(&s->out);
    s->sent = 0;
    if (streams_stopping(s->request->streams)) {
        stream_end(s, "stopping", "the broker stops");
        s->ended = true;
    } else if (s->slow) {
        stream_end(s, "slow", "what was sent was not read in time");
        s->ended = true;
    } else {
        s->ended = !s->next(s);
    }
    if (s->out.size == 0 && clock_monotonic_ms() - s->given_ms > STREAM_IDLE_MS)
        buffer_text(&s->out, ":\n\n");
}

// libmicrohttpd asks again when the socket has taken what it was given: a long time between means that nobody
// reads.
int64_t stream_read(struct http_stream *s, char *into, size_t size)
{
    int64_t asked_ms = clock_monotonic_ms();
    s->slow |= s->gave && asked_ms - s->given_ms > STREAM_SLOW_MS;
    s->gave = false;
    if (s->sent == s->out.size && !s->ended)
        fill(s);
    if (s->out.failed)
        return -1;
    size_t left = s->out.size - s->sent;
    if (left == 0)
        return s->ended ? -1 : 0;
    size_t n = left < size ? left : size;
    memcpy(into, s->out.data + s->sent, n);
    s->sent += n;
    s->given_ms = clock_monotonic_ms();
    s->gave = true;
    return (int64_t)n;
}
