// What a handler sees of a request, and how it answers. One thread: the connection's.
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <jansson.h>
#include <semaphore.h>

#include "base/arena.h"
#include "client/client.h"
#include "http/http.h"

#define HTTP_PATH_PARAMS 3
#define HTTP_PARTITIONS  1000 // of one topic, that a request may read records of

enum http_method { HTTP_GET, HTTP_POST, HTTP_PATCH, HTTP_DELETE, HTTP_METHODS };

// A parameter behind the '?', percent-decoded.
struct http_query_value {
    struct str name, value;
};

struct http_request {
    const struct http_params *broker;
    enum http_method method;
    const char *path;
    struct str params[HTTP_PATH_PARAMS]; // what the path has for the route's {names}, percent-decoded
    struct http_query_value *query;
    size_t query_count;
    json_t *body;         // an object; NULL: none was sent
    struct arena arena;   // of this request
    struct client client; // made by the first http_call
    struct sampler *sampler;
    struct history *history;
    struct metrics *metrics;
    struct streams *streams;
    sem_t *scans;              // taken by who browses records
    const char *last_event_id; // the header; NULL: there is none

    // The answer.
    int status;                  // 0: none yet
    struct http_stream *stream;  // it is one that goes on
    const struct web_file *file; // one of the dashboard's is the answer; NULL: what follows
    bool closes;                 // nothing more is read from this client
    struct str allow;            // the methods that the path has, where another was asked for; terminated
    const char *content_type;
    char *content; // owned, malloc
    size_t content_bytes;
};

// What a %XX text stands for, in the arena, terminated. A null view where it is malformed, no UTF-8, or holds
// a zero byte.
struct str http_decode(struct arena *arena, struct str s);

// Takes note of a parameter behind the '?'. False when it is answered: it is malformed, or none of `known`
// (words between blanks; NULL: none is), or given twice.
bool http_query_add(struct http_request *r, const char *known, struct str name, struct str value);

// A parameter behind the '?', terminated; a null view where it is missing.
struct str http_query(const struct http_request *r, const char *name);

// The same as true or false, and as a whole number; *out stays as it is where it is missing. False when it is
// answered.
bool http_query_bool(struct http_request *r, const char *name, bool *out);
bool http_query_integer(struct http_request *r, const char *name, int64_t low, int64_t high, int64_t *out);

// The same as one of several words, terminated by NULL: its place among them.
bool http_query_word(struct http_request *r, const char *name, const char *const *words, int *out);

// Numbers of partitions, by commas, in the arena, in order and each once; *count 0: it is missing. False when
// it is answered.
bool http_query_partitions(struct http_request *r, const char *name, int32_t **out, int32_t *count);

// Asks the broker. The response lies in r->arena. False when the request is answered already: the broker
// could not be asked.
bool http_call(struct http_request *r, int16_t api_key, int16_t most_version, const void *request,
               void *response);

// Answers; the JSON is taken over. The first answer counts.
void http_answer(struct http_request *r, int status, json_t *body);
void http_answer_text(struct http_request *r, int status, const char *content_type, const char *text,
                      size_t size);

// {"error": {"code": ..., "message": ...}}.
void http_fail(struct http_request *r, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// The same for an error of the Kafka protocol, with a status that fits. `message` null: the error's own text.
// Returns false when the code is E_NONE, and nothing is answered then.
bool http_fail_kafka(struct http_request *r, int16_t code, struct str message);
// The same with something more to say; the JSON is taken over.
void http_fail_with(struct http_request *r, int16_t code, struct str message, const char *name, json_t *more);

// JSON of a text; null for null. What is no UTF-8 in it is replaced.
json_t *http_text(struct str s);
json_t *http_ids(const int32_t *ids, int32_t count);
// Null for what is below zero.
json_t *http_number(int64_t n);
json_t *http_uuid(const struct uuid *id);

// Fields of the body. False when it is answered: a field is missing, of another type, or out of range.
struct http_field {
    const char *name;
    enum { HTTP_STRING, HTTP_STRING_OR_NULL, HTTP_INTEGER, HTTP_OBJECT, HTTP_ARRAY } type;
    bool required;
    void *into; // struct str *, int64_t *, json_t **; stays as it is when the field is missing
    int64_t low, high;
};
bool http_read_body(struct http_request *r, const struct http_field *fields, size_t count);

#endif
