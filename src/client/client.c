#include "client/client.h"

#include "base/clock.h"
#include "os/stream.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RESPONSE_MAX_BYTES (256 << 20)
#define API_VERSIONS_KEY   18
#define DEFAULT_PORT       "9092"

static int fail(struct client *c, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fail(struct client *c, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->error, sizeof c->error, format, args);
    va_end(args);
    return code;
}

// The text for what a stream function returned.
static int stream_failed(struct client *c, int err)
{
    if (err == ERR_AGAIN)
        return fail(c, err, "%s: no answer within %d ms", c->address, c->timeout_ms);
    if (err == ERR_CLOSED)
        return fail(c, err, "%s: the broker closed the connection", c->address);
    if (err == ERR_STOPPED)
        return fail(c, err, "%s: nobody waits for the answer any more", c->address);
    return err ? fail(c, err, "%s: %s", c->address, strerror(errno)) : 0;
}

static int resolve_and_connect(struct client *c, const char *host, const char *port)
{
    const char *reason = "";
    snprintf(c->address, sizeof c->address, "%s:%s", host, port);
    client_close(c);
    c->fd = stream_connect(host, port, c->timeout_ms, &reason);
    if (c->fd >= 0)
        return 0;
    int err = c->fd;
    c->fd = -1;
    bool told = err == ERR_AGAIN || err == ERR_STOPPED;
    return told ? stream_failed(c, err) : fail(c, err, "%s: %s", c->address, reason);
}

// Header and body behind their length, in the arena.
static int frame(struct client *c, const struct api *api, int16_t version, const void *request,
                 struct arena *arena, struct bytes *out)
{
    struct request_header header;
    message_init(&request_header_type, &header);
    header.request_api_key = api->key;
    header.request_api_version = version;
    header.correlation_id = ++c->correlation_id;
    header.client_id = STR("odradek");
    struct bytes head, body;
    int err = message_to_bytes(&request_header_type, api_request_header_version(api, version), &header, arena,
                               &head);
    if (!err)
        err = message_to_bytes(api->request, version, request, arena, &body);
    if (err)
        return fail(c, err, "%s: version %d of %s cannot say this", c->address, version, api->name);
    uint8_t *all = arena_alloc(arena, 4 + head.size + body.size);
    if (!all)
        return fail(c, ERR_NOMEM, "out of memory");
    store_be32(all, (uint32_t)(head.size + body.size));
    memcpy(all + 4, head.data, head.size);
    if (body.size > 0)
        memcpy(all + 4 + head.size, body.data, body.size);
    *out = (struct bytes){all, 4 + head.size + body.size};
    return 0;
}

// The response without its header, in the arena.
static int receive(struct client *c, const struct api *api, int16_t version, struct arena *arena,
                   int64_t deadline, struct bytes *out)
{
    uint8_t prefix[4];
    int err = stream_failed(c, stream_receive(c->fd, prefix, sizeof prefix, deadline));
    if (err)
        return err;
    uint32_t size = load_be32(prefix);
    if (size < 4 || size > RESPONSE_MAX_BYTES)
        return fail(c, ERR_CORRUPT, "%s: a response of %u bytes; this is no Kafka broker", c->address, size);
    uint8_t *data = arena_alloc(arena, size);
    if (!data)
        return fail(c, ERR_NOMEM, "out of memory for a response of %u bytes", size);
    err = stream_failed(c, stream_receive(c->fd, data, size, deadline));
    if (err)
        return err;
    struct response_header header;
    size_t used;
    err = message_decode(&response_header_type, api_response_header_version(api, version),
                         (struct bytes){data, size}, arena, &header, &used);
    if (err || header.correlation_id != c->correlation_id)
        return fail(c, ERR_CORRUPT, "%s: the response to %s is not understood", c->address, api->name);
    *out = (struct bytes){data + used, size - used};
    return 0;
}

static int exchange(struct client *c, const struct api *api, int16_t version, const void *request,
                    struct arena *arena, struct bytes *response)
{
    int64_t deadline = clock_monotonic_ms() + c->timeout_ms;
    struct bytes out = BYTES_NULL;
    int err = frame(c, api, version, request, arena, &out);
    if (!err)
        err = stream_failed(c, stream_send(c->fd, out.data, out.size, deadline));
    return err ? err : receive(c, api, version, arena, deadline, response);
}

int client_call(struct client *c, int16_t api_key, int16_t version, const void *request, struct arena *arena,
                void *response)
{
    const struct api *api = api_find(api_key);
    struct bytes body;
    int err = exchange(c, api, version, request, arena, &body);
    if (err)
        return err;
    struct message_error where = {0};
    err = message_decode_explain(api->response, version, body, arena, response, NULL, &where);
    if (err)
        return fail(c, err, "%s: the response to %s is damaged: %s at byte %zu", c->address, api->name,
                    where.reason ? where.reason : err_text(err), where.at);
    return 0;
}

// A broker that does not know our version of ApiVersions answers in version 0 and says so.
static int negotiate(struct client *c)
{
    const struct api *api = api_find(API_VERSIONS_KEY);
    struct arena arena;
    struct api_versions_request request;
    struct api_versions_response response;
    struct bytes body;
    arena_init(&arena, 0);
    message_init(api->request, &request);
    request.client_software_name = STR("odradek");
    request.client_software_version = STR(ODRADEK_VERSION);
    int16_t version = 3;
    int err = exchange(c, api, version, &request, &arena, &body);
    if (!err && body.size >= 2 && (int16_t)load_be16(body.data) == E_UNSUPPORTED_VERSION)
        version = 0;
    if (!err && message_decode(api->response, version, body, &arena, &response, NULL) != 0)
        err = fail(c, ERR_CORRUPT, "%s: the response to ApiVersions is not understood", c->address);
    if (!err && response.error_code != E_NONE && response.error_code != E_UNSUPPORTED_VERSION)
        err = fail(c, ERR_INVALID, "%s: ApiVersions: %s", c->address, error_code_name(response.error_code));
    for (int i = 0; i < CLIENT_APIS; i++) {
        c->min_version[i] = 0;
        c->max_version[i] = -1;
    }
    for (int32_t i = 0; !err && i < response.api_keys_count; i++) {
        int16_t key = response.api_keys[i].api_key;
        if (key < 0 || key >= CLIENT_APIS)
            continue;
        c->min_version[key] = response.api_keys[i].min_version;
        c->max_version[key] = response.api_keys[i].max_version;
    }
    arena_free(&arena);
    return err;
}

int16_t client_version(struct client *c, int16_t api_key, int16_t most)
{
    const struct api *api = api_find(api_key);
    int16_t low = c->min_version[api_key], high = c->max_version[api_key];
    low = low > api->request->min_version ? low : api->request->min_version;
    high = high < api->request->max_version ? high : api->request->max_version;
    high = high < most ? high : most;
    if (low <= high)
        return high;
    fail(c, ERR_UNSUPPORTED, "%s: the broker does not offer %s in a version that is known here", c->address,
         api->name);
    return -1;
}

// One "host:port", "[host]:port" or "host".
static int open_one(struct client *c, char *server)
{
    char *colon = strrchr(server, ':'), *host = server;
    const char *port = DEFAULT_PORT;
    char *bracket = strrchr(server, ']');
    if (colon && (bracket ? colon > bracket : strchr(server, ':') == colon)) {
        *colon = 0;
        port = colon + 1;
    }
    if (*host == '[' && bracket) {
        host++;
        *bracket = 0;
    }
    int err = resolve_and_connect(c, host, port);
    return err ? err : negotiate(c);
}

int client_open(struct client *c, const char *servers, int timeout_ms)
{
    *c = (struct client){.fd = -1, .timeout_ms = timeout_ms};
    char *copy = strdup(servers), *save = NULL;
    if (!copy)
        return fail(c, ERR_NOMEM, "out of memory");
    int err = fail(c, ERR_INVALID, "no broker is named");
    for (char *one = strtok_r(copy, ", ", &save); one && err; one = strtok_r(NULL, ", ", &save))
        err = open_one(c, one);
    free(copy);
    if (err)
        client_close(c);
    return err;
}

int client_adopt(struct client *c, int fd, const char *name, int timeout_ms)
{
    *c = (struct client){.fd = fd, .timeout_ms = timeout_ms};
    snprintf(c->address, sizeof c->address, "%s", name);
    int err = stream_failed(c, stream_adopt(fd));
    err = err ? err : negotiate(c);
    if (err)
        client_close(c);
    return err;
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        stream_close(c->fd);
    c->fd = -1;
}
