#include "http/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/uuid.h"
#include "protocol/errors.h"

#define CALL_TIMEOUT_MS 30000

bool http_call(struct http_request *r, int16_t api_key, int16_t most_version, const void *request,
               void *response)
{
    int err = 0;
    if (r->client.fd < 0) {
        int fd = r->broker->connect(r->broker->context);
        err = fd < 0 ? fd : client_adopt(&r->client, fd, "this broker", CALL_TIMEOUT_MS);
        if (err) {
            http_fail(r, 503, "BROKER_NOT_AVAILABLE", "the broker cannot be asked: %s",
                      r->client.error[0] ? r->client.error : err_text(err));
            return false;
        }
    }
    int16_t version = client_version(&r->client, api_key, most_version);
    if (version >= 0 && client_call(&r->client, api_key, version, request, &r->arena, response) == 0)
        return true;
    http_fail(r, 503, "BROKER_NOT_AVAILABLE", "%s", r->client.error);
    client_close(&r->client);
    return false;
}

void http_answer_text(struct http_request *r, int status, const char *content_type, const char *text,
                      size_t size)
{
    if (r->status)
        return;
    r->content = malloc(size + 1);
    r->content_bytes = r->content ? size : 0;
    if (r->content)
        memcpy(r->content, text, size);
    r->content_type = content_type;
    r->status = r->content ? status : 500;
}

void http_answer(struct http_request *r, int status, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (text && !r->status) {
        r->content = text;
        r->content_bytes = strlen(text);
        r->content_type = "application/json";
        r->status = status;
        return;
    }
    free(text);
    http_answer_text(r, 500, "text/plain; charset=utf-8", "out of memory\n", 14);
}

void http_fail(struct http_request *r, int status, const char *code, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct str text = {message, size < (int)sizeof message ? (size_t)size : sizeof message - 1};
    http_answer(r, status, json_pack("{s:{s:s, s:o}}", "error", "code", code, "message", http_text(text)));
}

// The classes that a client treats differently; Kafka's own REST interfaces map them in the same way.
static int status_of(int16_t code)
{
    switch (code) {
    case E_UNKNOWN_TOPIC_OR_PARTITION:
    case E_UNKNOWN_TOPIC_ID:
    case E_GROUP_ID_NOT_FOUND:
    case E_TRANSACTIONAL_ID_NOT_FOUND:
        return 404;
    case E_TOPIC_ALREADY_EXISTS:
    case E_NON_EMPTY_GROUP:
    case E_GROUP_SUBSCRIBED_TO_TOPIC:
        return 409;
    case E_TOPIC_AUTHORIZATION_FAILED:
    case E_GROUP_AUTHORIZATION_FAILED:
    case E_CLUSTER_AUTHORIZATION_FAILED:
        return 403;
    case E_UNKNOWN_SERVER_ERROR:
        return 500;
    default:
        return error_code_retriable(code) ? 503 : 400;
    }
}

static json_t *error_of(int16_t code, struct str message)
{
    struct str text = message.data ? message : str_from(error_code_message(code));
    return json_pack("{s:s, s:o}", "code", error_code_name(code), "message", http_text(text));
}

bool http_fail_kafka(struct http_request *r, int16_t code, struct str message)
{
    if (code == E_NONE)
        return false;
    http_answer(r, status_of(code), json_pack("{s:o}", "error", error_of(code, message)));
    return true;
}

void http_fail_with(struct http_request *r, int16_t code, struct str message, const char *name, json_t *more)
{
    json_t *error = error_of(code, message);
    json_object_set_new(error, name, more);
    http_answer(r, status_of(code), json_pack("{s:o}", "error", error));
}

json_t *http_text(struct str s)
{
    static const char replacement[] = "\xef\xbf\xbd";
    if (!s.data)
        return json_null();
    if (utf8_valid((const uint8_t *)s.data, s.size))
        return json_stringn_nocheck(s.data, s.size);
    struct buffer out = BUFFER_INIT;
    for (size_t i = 0, n; i < s.size; i += n ? n : 1) {
        n = utf8_front((const uint8_t *)s.data + i, s.size - i);
        buffer_append(&out, n ? s.data + i : replacement, n ? n : sizeof replacement - 1);
    }
    json_t *text = out.failed ? json_null() : json_stringn_nocheck((const char *)out.data, out.size);
    buffer_free(&out);
    return text;
}

json_t *http_ids(const int32_t *ids, int32_t count)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < count; i++)
        json_array_append_new(all, json_integer(ids[i]));
    return all;
}

json_t *http_number(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

json_t *http_uuid(const struct uuid *id)
{
    char text[UUID_TEXT_BYTES];
    uuid_text(id, text);
    return json_string(text);
}

static const struct http_field *field_of(const struct http_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static bool read_field(struct http_request *r, const struct http_field *f, json_t *value)
{
    bool is_text = f->type == HTTP_STRING || f->type == HTTP_STRING_OR_NULL;
    if (is_text && json_is_string(value)) {
        *(struct str *)f->into = (struct str){json_string_value(value), json_string_length(value)};
        return true;
    }
    if (f->type == HTTP_STRING_OR_NULL && json_is_null(value))
        return true;
    if ((f->type == HTTP_OBJECT && json_is_object(value)) ||
        (f->type == HTTP_ARRAY && json_is_array(value))) {
        *(json_t **)f->into = value;
        return true;
    }
    if (f->type == HTTP_INTEGER && json_is_integer(value) && json_integer_value(value) >= f->low &&
        json_integer_value(value) <= f->high) {
        *(int64_t *)f->into = json_integer_value(value);
        return true;
    }
    if (f->type == HTTP_INTEGER)
        http_fail(r, 400, "INVALID_REQUEST", "%s must be a whole number from %lld to %lld", f->name,
                  (long long)f->low, (long long)f->high);
    else
        http_fail(r, 400, "INVALID_REQUEST", "%s must be %s", f->name,
                  f->type == HTTP_STRING           ? "a text"
                  : f->type == HTTP_STRING_OR_NULL ? "a text or null"
                  : f->type == HTTP_ARRAY          ? "an array"
                                                   : "an object");
    return false;
}

bool http_read_body(struct http_request *r, const struct http_field *fields, size_t count)
{
    const char *name;
    json_t *value;
    if (!r->body) {
        http_fail(r, 400, "INVALID_REQUEST", "a JSON object is needed as the body");
        return false;
    }
    json_object_foreach(r->body, name, value)
    {
        const struct http_field *f = field_of(fields, count, name);
        if (!f) {
            http_fail(r, 400, "INVALID_REQUEST", "%.100s is no field of this request", name);
            return false;
        }
        if (!read_field(r, f, value))
            return false;
    }
    for (size_t i = 0; i < count; i++)
        if (fields[i].required && !json_object_get(r->body, fields[i].name)) {
            http_fail(r, 400, "INVALID_REQUEST", "%s is missing", fields[i].name);
            return false;
        }
    return true;
}
