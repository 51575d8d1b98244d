// What a handler sees of a request, and how it answers. One thread: the connection's.
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <jansson.h>

#include "base/arena.h"
#include "client/client.h"
#include "http/http.h"

#define HTTP_PATH_PARAMS 3

enum http_method { HTTP_GET, HTTP_POST, HTTP_PATCH, HTTP_DELETE, HTTP_METHODS };

struct http_request {
    const struct http_params *broker;
    enum http_method method;
    const char *path;
    struct str params[HTTP_PATH_PARAMS]; // what the path has for the route's {names}, percent-decoded
    json_t *body;                        // an object; NULL: none was sent
    struct arena arena;                  // of this request
    struct client client;                // made by the first http_call
    void *connection;                    // libmicrohttpd's, for http_query

    // The answer.
    int status;                  // 0: none yet
    const struct web_file *file; // one of the dashboard's is the answer; NULL: what follows
    const char *content_type;
    char *content; // owned, malloc
    size_t content_bytes;
};

// A parameter behind the '?', or NULL.
const char *http_query(const struct http_request *r, const char *name);

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

// JSON of a protocol string; null for null.
json_t *http_text(struct str s);
json_t *http_uuid(const struct uuid *id);

// Fields of the body. False when it is answered: a field is missing, of another type, or out of range.
struct http_field {
    const char *name;
    enum { HTTP_STRING, HTTP_INTEGER, HTTP_OBJECT } type;
    bool required;
    void *into; // struct str *, int64_t *, json_t **; stays as it is when the field is missing
    int64_t low, high;
};
bool http_read_body(struct http_request *r, const struct http_field *fields, size_t count);

#endif
