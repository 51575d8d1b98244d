// Server-sent events: an answer that goes on. How many there are is bounded; each has one buffer and its
// connection's thread. What a stream sends is made when its reader has taken what came before: one that does
// not read costs no more memory, and is ended.
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include "base/buffer.h"
#include "http/request.h"

#include <pthread.h>

#define STREAMS        32    // at once
#define STREAM_WAIT_MS 250   // for news, before the end of the server is looked for
#define STREAM_LOST_S  40    // then its connection is closed
#define STREAM_SLOW_MS 10000 // a reader that leaves something unread for so long is slow
#define STREAM_IDLE_MS 1000  // then a comment is sent, which finds out who has gone

struct streams {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    bool stopping;
};

struct http_stream {
    struct http_request *request;
    struct buffer out;
    size_t sent; // of out
    // Waits at most STREAM_WAIT_MS for something to send, and appends it. False: the stream ends behind it.
    bool (*next)(struct http_stream *s);
    void (*close)(struct http_stream *s); // frees `context`
    void *context;
    int64_t given_ms; // when bytes were last given away
    bool gave;        // the question before was answered with bytes
    bool slow, ended;
};

void streams_init(struct streams *s);
void streams_free(struct streams *s);
// Ends all of them, and waits until they have said so, at most a second.
void streams_stop(struct streams *s);
bool streams_stopping(struct streams *s);

// Answers with a stream. False when it is answered otherwise: there are too many. `context` stays the
// caller's then.
bool stream_start(struct http_request *r, bool (*next)(struct http_stream *s),
                  void (*close)(struct http_stream *s), void *context);

// The next bytes, at most `size`: their number, 0 where there are none now, -1 at the end.
int64_t stream_read(struct http_stream *s, char *into, size_t size);
void stream_free(struct http_stream *s);

// Appends an event; the JSON is taken over.
void stream_event(struct http_stream *s, const char *name, json_t *data);
void stream_end(struct http_stream *s, const char *reason, const char *message);

#endif
