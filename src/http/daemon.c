// libmicrohttpd behind http.h: a listening socket each, a thread a connection.
#include <microhttpd.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "http/guests.h"
#include "http/history.h"
#include "http/metrics.h"
#include "http/route.h"
#include "http/sampler.h"
#include "http/static.h"
#include "http/stream.h"
#include "os/socket.h"

#define BACKLOG        64
#define IDLE_TIMEOUT_S 60
#define BODY_SILENT_S  10         // of a client whose body has begun
#define BODY_MS        30000      // from a request's headers to the end of its body
#define THREAD_STACK   (1 << 20)  // a JSON text may be nested 2048 deep
#define MEMORY_LIMIT   (32 << 10) // a connection's headers
#define MOST_LISTENERS 8
#define HOST_BYTES     256
#define SCANS          4 // requests that browse records, at once: each may need some 50 MB

// Beyond HTTP_CONNECTIONS: those that have come just now, and those that give way but are not closed yet.
#define YOUNG_CONNECTIONS 64
#define GOING_CONNECTIONS 64

#define STREAM_BLOCK_BYTES 16384

// What a page of another origin cannot send without asking first, which we do not allow.
#define CHANGE_HEADER "X-Odradek"

// Of the dashboard: nothing from elsewhere is loaded or asked, and no page of elsewhere shows it in a frame.
#define CONTENT_POLICY                                                                                    \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct http {
    struct http_params params;
    struct sampler *sampler;
    struct history *history;
    struct metrics metrics;
    struct streams streams;
    struct guests guests;
    sem_t scans; // how many more there may be at once
    struct {
        struct MHD_Daemon *daemon;
        uint16_t port;
    } listeners[MOST_LISTENERS];
    size_t count;
};

struct pending {
    struct http_request request;
    struct guest *guest; // its connection
    int64_t since_ms;    // when its headers were there
    char *body;
    size_t body_bytes;
    bool too_large;
};

static const char *const method_names[HTTP_METHODS] = {"GET", "POST", "PATCH", "DELETE"};

static bool method_of(const char *name, enum http_method *out)
{
    if (strcmp(name, "HEAD") == 0)
        name = "GET"; // libmicrohttpd leaves the body out
    for (int i = 0; i < HTTP_METHODS; i++)
        if (strcmp(method_names[i], name) == 0) {
            *out = (enum http_method)i;
            return true;
        }
    return false;
}

// An address literal or localhost, with or without a port: nobody's name server can make a name into these.
// Or a name that somebody gave to this node.
static bool host_is_ours(const struct http_params *params, const char *host)
{
    char name[HOST_BYTES];
    uint8_t ip[16];
    if (!host)
        return true; // HTTP/1.0; a browser always sends it
    bool bracketed = *host == '[';
    const char *at = host + bracketed;
    size_t size = strcspn(at, bracketed ? "]" : ":");
    const char *rest = at + size;
    if (size >= sizeof name || (bracketed && *rest++ != ']'))
        return false;
    if (*rest == ':')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (*rest)
        return false;
    memcpy(name, at, size);
    name[size] = 0;
    if (socket_parse_ip(name, ip) == 0)
        return true;
    return !bracketed &&
           (strcasecmp(name, "localhost") == 0 || params->is_host(params->context, (struct str){name, size}));
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

// A page of our own names our own host as its origin; one from elsewhere, or from nowhere ("null"), does not.
static bool origin_is_ours(const char *origin, const char *host)
{
    const char *authority = origin ? strstr(origin, "://") : NULL;
    return !origin || (authority && host && strcasecmp(authority + 3, host) == 0);
}

// One of the dashboard's files: compressed where the client takes that, and not at all where it has it.
static enum MHD_Result send_file(struct MHD_Connection *connection, const struct web_file *file)
{
    bool has = web_has_tag(header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH), file->etag);
    bool gzip = web_accepts_gzip(header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING));
    void *content = has || gzip ? (void *)(uintptr_t)file->gzip : web_file_content(file);
    size_t size = has ? 0 : gzip ? file->gzip_bytes : file->bytes;
    struct MHD_Response *response =
        content ? MHD_create_response_from_buffer(
                      size, content, has || gzip ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE)
                : NULL;
    if (!response) {
        if (!has && !gzip)
            free(content);
        return MHD_NO;
    }
    if (gzip)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, file->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, file->etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                            "no-cache"); // asks whether the tag still holds
    MHD_add_response_header(response, "Content-Security-Policy", CONTENT_POLICY);
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result sent =
        MHD_queue_response(connection, has ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return sent;
}

static ssize_t read_stream(void *context, uint64_t position, char *into, size_t size)
{
    (void)position;
    int64_t n = stream_read(context, into, size);
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static struct MHD_Response *make_response(struct http_request *r)
{
    if (r->stream)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream, r->stream,
                                                 NULL);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->content_bytes, r->content, MHD_RESPMEM_MUST_FREE);
    if (response)
        r->content = NULL; // the response's now
    return response;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct http_request *r)
{
    if (r->file)
        return send_file(connection, r->file);
    struct MHD_Response *response = make_response(r);
    if (!response)
        return MHD_NO;
    if (r->stream)
        r->content_type = "text/event-stream";
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            r->content_type ? r->content_type : "text/plain");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; frame-ancestors 'none'");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    if (r->closes)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (r->allow.data)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, r->allow.data);
    enum MHD_Result sent = MHD_queue_response(connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return sent;
}

// Reads the body as JSON. False when it is answered.
static bool parse_body(struct pending *p)
{
    json_error_t where;
    if (p->too_large) {
        http_fail(&p->request, 413, "INVALID_REQUEST", "a body has at most %d bytes", HTTP_BODY_BYTES);
        return false;
    }
    if (p->body_bytes == 0)
        return true;
    p->request.body = json_loadb(p->body, p->body_bytes, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(p->request.body))
        return true;
    if (p->request.body)
        http_fail(&p->request, 400, "INVALID_REQUEST", "the body must be a JSON object");
    else
        http_fail(&p->request, 400, "INVALID_REQUEST", "the body is no JSON: %s, line %d, column %d",
                  where.text, where.line, where.column);
    return false;
}

// Who may ask at all. False when it is answered.
static bool may_ask(struct http_request *r, struct MHD_Connection *connection)
{
    const char *host = header(connection, MHD_HTTP_HEADER_HOST);
    const char *origin = header(connection, MHD_HTTP_HEADER_ORIGIN);
    if (!host_is_ours(r->broker, host))
        http_fail(r, 421, "INVALID_HOST",
                  "this server does not go by the name %.200s: ask for it by its address, or name it in "
                  "http.listeners or advertised.listeners",
                  host);
    else if (!origin_is_ours(origin, host))
        http_fail(r, 403, "INVALID_ORIGIN", "a page of %.200s may not ask this server", origin);
    else
        return true;
    return false;
}

static struct str allowed(struct arena *arena, unsigned methods)
{
    struct str all = STR("OPTIONS");
    for (int i = 0; i < HTTP_METHODS; i++)
        if (methods & 1u << i)
            all = arena_printf(arena, "%.*s, %s%s", STR_ARG(all), method_names[i],
                               i == HTTP_GET ? ", HEAD" : "");
    return all;
}

struct query_reader {
    struct http_request *request;
    const struct http_route *route;
};

static enum MHD_Result read_parameter(void *context, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    const struct query_reader *q = context;
    (void)kind;
    return http_query_add(q->request, q->route->query, str_from(name), str_from(value ? value : "")) ? MHD_YES
                                                                                                     : MHD_NO;
}

// The path is known, and the method is for it: the query, the body, the handler.
static void run(struct pending *p, const struct http_route *route, struct MHD_Connection *connection)
{
    struct http_request *r = &p->request;
    struct query_reader q = {r, route};
    if (r->method != HTTP_GET && !header(connection, CHANGE_HEADER)) {
        http_fail(r, 403, "INVALID_REQUEST", "what changes something needs the header %s: 1", CHANGE_HEADER);
        return;
    }
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, read_parameter, &q);
    if (!r->status && parse_body(p))
        route->run(r);
    if (!r->status)
        http_fail(r, 500, "UNKNOWN_SERVER_ERROR", "%.200s was not answered", r->path);
}

static void answer(struct pending *p, struct MHD_Connection *connection, const char *method)
{
    struct http_request *r = &p->request;
    unsigned methods;
    if (!may_ask(r, connection))
        return;
    r->last_event_id = header(connection, "Last-Event-ID");
    bool known = method_of(method, &r->method), options = strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0;
    const struct http_route *route = http_route_find(r, &methods);
    r->file = !methods && known && r->method == HTTP_GET ? web_file_find(r->path) : NULL;
    if (r->file)
        return;
    if (!methods) {
        http_fail(r, 404, "NOT_FOUND", "%.200s is no path of this server", r->path);
        return;
    }
    if (known && route) {
        run(p, route, connection);
        return;
    }
    r->allow = allowed(&r->arena, methods);
    if (options)
        http_answer_text(r, 204, "text/plain", "", 0);
    else
        http_fail(r, 405, "METHOD_NOT_ALLOWED", "%.20s is not answered for %.200s", method, r->path);
}

static struct guest *guest_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **guest,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *h = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *guest = guests_add(&h->guests, info->connect_fd, clock_monotonic_ms());
    } else {
        guests_remove(&h->guests, *guest);
        *guest = NULL;
    }
}

static struct pending *pending_new(struct http *h, const char *path)
{
    struct pending *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->request = (struct http_request){.broker = &h->params,
                                       .path = path,
                                       .client.fd = -1,
                                       .sampler = h->sampler,
                                       .history = h->history,
                                       .metrics = &h->metrics,
                                       .streams = &h->streams,
                                       .scans = &h->scans};
    arena_init(&p->request.arena, 0);
    p->since_ms = clock_monotonic_ms();
    return p;
}

static void take_body(struct pending *p, const char *data, size_t size)
{
    char *longer = p->too_large || p->body_bytes + size > HTTP_BODY_BYTES
                       ? NULL
                       : realloc(p->body, p->body_bytes + size);
    if (!longer) {
        p->too_large = true;
        return;
    }
    p->body = longer;
    memcpy(p->body + p->body_bytes, data, size);
    p->body_bytes += size;
}

struct headers {
    unsigned hosts, lengths, codings;
    bool foreign; // a coding that is not read here
};

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct headers *h = context;
    (void)kind;
    h->hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
    h->lengths += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        h->codings++;
        h->foreign |= !value || strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

// RFC 9112, 3.2 and 6: who stands between a client and us may have read it otherwise. NULL: it can be read in
// one way alone.
static const char *what_is_ambiguous(struct MHD_Connection *connection, const char *version)
{
    struct headers h = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, &h);
    if (h.hosts > 1 || (h.hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_1) == 0))
        return "a request has one Host";
    if (h.lengths + h.codings > 1)
        return "a request has one Content-Length or one Transfer-Encoding";
    return h.foreign ? "the one Transfer-Encoding is chunked" : NULL;
}

// Called when the headers are there, for each piece of the body, and at its end.
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state)
{
    struct pending *p = *state;
    if (!p) {
        const char *wrong = what_is_ambiguous(connection, version);
        *state = p = pending_new(context, path);
        MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)BODY_SILENT_S);
        if (!p || !wrong)
            return p ? MHD_YES : MHD_NO;
        http_fail(&p->request, 400, "INVALID_REQUEST", "%s", wrong);
        p->request.closes = true;
        return send_answer(connection, &p->request);
    }
    if (*size > 0) {
        take_body(p, data, *size);
        *size = 0;
        return clock_monotonic_ms() - p->since_ms < BODY_MS ? MHD_YES : MHD_NO;
    }
    struct http *h = context;
    p->guest = guest_of(connection);
    guests_serve(&h->guests, p->guest, true, clock_monotonic_ms());
    answer(p, connection, method);
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
                              (unsigned)(p->request.stream ? STREAM_LOST_S : IDLE_TIMEOUT_S));
    return send_answer(connection, &p->request);
}

static void on_done(void *context, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode why)
{
    struct pending *p = *state;
    struct http *h = context;
    (void)connection;
    (void)why;
    if (!p)
        return;
    guests_serve(&h->guests, p->guest, false, clock_monotonic_ms());
    if (p->request.stream)
        stream_free(p->request.stream);
    client_close(&p->request.client);
    json_decref(p->request.body);
    arena_free(&p->request.arena);
    free(p->request.content);
    free(p->body);
    free(p);
    *state = NULL;
}

// Paths keep their %XX until they are cut at '/'.
static size_t keep(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static void on_log(void *context, const char *format, va_list arguments)
{
    char line[512];
    (void)context;
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = 0;
    log_limited(LOG_LEVEL_INFO, "http", "%s", line);
}

static int listen_on(struct http *h, const struct http_listener *l, char *reason, size_t reason_bytes)
{
    uint16_t *port = &h->listeners[h->count].port;
    int fd = socket_listen(l->host, l->port, BACKLOG, port, reason, reason_bytes);
    if (fd < 0)
        return fd;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS + YOUNG_CONNECTIONS + GOING_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_LIMIT, MHD_OPTION_NOTIFY_COMPLETED, on_done, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_UNESCAPE_CALLBACK, keep, NULL,
        MHD_OPTION_END);
    if (!daemon) {
        socket_close(fd);
        snprintf(reason, reason_bytes, "the HTTP server cannot be started");
        return ERR_IO;
    }
    h->listeners[h->count++].daemon = daemon;
    return 0;
}

int http_start(struct http **out, const struct http_params *params, char *reason, size_t reason_bytes)
{
    *out = NULL;
    if (params->listener_count > MOST_LISTENERS) {
        snprintf(reason, reason_bytes, "at most %d are served", MOST_LISTENERS);
        return ERR_LIMIT;
    }
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return ERR_NOMEM;
    h->params = *params;
    streams_init(&h->streams);
    guests_init(&h->guests, HTTP_CONNECTIONS, HTTP_CONNECTIONS + YOUNG_CONNECTIONS);
    sem_init(&h->scans, 0, SCANS);
    metrics_init(&h->metrics);
    h->sampler = sampler_new(&h->params);
    h->history = history_new(&h->params);
    int err = h->sampler && h->history ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < params->listener_count && !err; i++)
        err = listen_on(h, &params->listeners[i], reason, reason_bytes);
    if (err) {
        http_stop(h);
        return err;
    }
    *out = h;
    return 0;
}

uint16_t http_port(const struct http *h, size_t listener)
{
    return h->listeners[listener].port;
}

void http_stop(struct http *h)
{
    if (!h)
        return;
    streams_stop(&h->streams);
    for (size_t i = 0; i < h->count; i++)
        MHD_stop_daemon(h->listeners[i].daemon); // closes the socket, too
    sampler_free(h->sampler);
    history_free(h->history);
    metrics_free(&h->metrics);
    streams_free(&h->streams);
    guests_free(&h->guests);
    sem_destroy(&h->scans);
    free(h);
}
