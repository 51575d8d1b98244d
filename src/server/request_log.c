#include "server/request_log.h"

#include "base/clock.h"
#include "base/error.h"
#include "config/setting.h"
#include "metadata/image.h"
#include "os/thread.h"
#include "protocol/api.h"
#include "protocol/messages.h"
#include "server/reactors.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#define ALTER_CONFIGS_KEY             33
#define INCREMENTAL_ALTER_CONFIGS_KEY 44

#define LINES_WAITING 65536
#define ROOM_WAIT_MS  10
#define HIDDEN        STR("[hidden]")

#define COPY_MOST_BYTES      (64 * 1024) // of a request in which secrets are hidden
#define CLIENT_ID_MOST_BYTES 1024

// What is known so far of a request that is logged.
struct request_log {
    struct buffer json;
    int64_t handled_us, answered_us; // monotonic; 0: not yet
};

// On its way to the log; the writer frees it.
struct line {
    struct job job;
    struct request_lines *lines;
    struct buffer text;
    unsigned gap; // so many were left out before it, and it says so
};

int request_lines_init(struct request_lines *lines)
{
    atomic_store(&lines->ending, false);
    lines->writer = workers_new("request-log", 1, LINES_WAITING);
    return lines->writer ? 0 : ERR_NOMEM;
}

void request_lines_free(struct request_lines *lines)
{
    atomic_store(&lines->ending, true);
    if (lines->writer)
        workers_free(lines->writer);
    lines->writer = NULL;
}

// --- what may be read by whoever reads the log ---

static bool is_secret(int8_t resource_type, struct str name)
{
    static const int8_t types[SETTING_SCOPES] = {[SETTING_BROKER] = IMAGE_RESOURCE_BROKER,
                                                 [SETTING_TOPIC] = IMAGE_RESOURCE_TOPIC,
                                                 [SETTING_GROUP] = IMAGE_RESOURCE_GROUP,
                                                 [SETTING_CLIENT_METRICS] = IMAGE_RESOURCE_CLIENT_METRICS};
    if (resource_type == IMAGE_RESOURCE_BROKER_LOGGER)
        return false;
    for (int scope = 0; scope < SETTING_SCOPES; scope++)
        if (types[scope] == resource_type) {
            const struct setting *s = setting_find((enum setting_scope)scope, name);
            return !s || s->type == SETTING_PASSWORD;
        }
    return true;
}

static void hide(int8_t resource_type, struct str name, struct str *value)
{
    if (value->data && is_secret(resource_type, name))
        *value = HIDDEN;
}

// The message with its secrets hidden, in the arena where it may have any; NULL: it is too large for that.
static const void *loggable(struct request *r, const struct message_type *type)
{
    bool alters = r->api->api_key == ALTER_CONFIGS_KEY;
    bool increments = r->api->api_key == INCREMENTAL_ALTER_CONFIGS_KEY;
    struct bytes raw;
    if (!alters && !increments)
        return r->message;
    void *copy = r->size_bytes > COPY_MOST_BYTES ? NULL : arena_alloc(&r->arena, type->size_bytes);
    if (!copy || message_to_bytes(type, r->version, r->message, &r->arena, &raw) ||
        message_decode(type, r->version, raw, &r->arena, copy, NULL))
        return NULL;
    struct alter_configs_request *whole = copy;
    for (int32_t i = 0; alters && i < whole->resources_count; i++)
        for (int32_t k = 0; k < whole->resources[i].configs_count; k++)
            hide(whole->resources[i].resource_type, whole->resources[i].configs[k].name,
                 &whole->resources[i].configs[k].value);
    struct incremental_alter_configs_request *parts = copy;
    for (int32_t i = 0; increments && i < parts->resources_count; i++)
        for (int32_t k = 0; k < parts->resources[i].configs_count; k++)
            hide(parts->resources[i].resource_type, parts->resources[i].configs[k].name,
                 &parts->resources[i].configs[k].value);
    return copy;
}

// --- the line ---

// Kafka's name of an API: INIT_PRODUCER_ID.
static void add_api_name(struct buffer *out, const char *name)
{
    for (const char *at = name; *at; at++) {
        if (at > name && isupper((unsigned char)*at))
            buffer_byte(out, '_');
        buffer_byte(out, (uint8_t)toupper((unsigned char)*at));
    }
}

static void add_text(struct buffer *out, const char *name, struct str text)
{
    buffer_printf(out, "\"%s\":", name);
    message_json_text(out, text);
}

static void add_ms(struct buffer *out, const char *name, int64_t us)
{
    us = us > 0 ? us : 0;
    buffer_printf(out, ",\"%s\":%" PRId64 ".%03d", name, us / 1000, (int)(us % 1000));
}

void request_log_begin(struct request *r)
{
    const struct api *api = api_find(r->api->api_key);
    struct request_log *log = calloc(1, sizeof *log);
    const void *message = loggable(r, api->request);
    if (!log)
        return;
    struct buffer *out = &log->json;
    buffer_printf(out,
                  "{\"isForwarded\":false,\"requestHeader\":{\"requestApiKey\":%d,\"requestApiVersion\":%d,"
                  "\"correlationId\":%" PRId32 ",",
                  api->key, r->version, r->correlation_id);
    if (r->client_id.size <= CLIENT_ID_MOST_BYTES)
        add_text(out, "clientId", r->client_id);
    else
        buffer_printf(out, "\"clientId\":\"(%zu bytes)\"", r->client_id.size);
    buffer_text(out, ",\"requestApiKeyName\":\"");
    add_api_name(out, api->name);
    buffer_text(out, "\"},\"request\":");
    if (message)
        message_json_brief(api->request, r->version, message, REQUEST_LOG_MESSAGE_BYTES, out);
    else
        buffer_printf(out, "\"(%zu bytes)\"", r->size_bytes);
    r->log = log;
}

void request_log_handled(struct request *r)
{
    r->log->handled_us = clock_monotonic_us();
}

void request_log_response(struct request *r, const void *response)
{
    struct request_log *log = r->log;
    log->answered_us = clock_monotonic_us();
    buffer_text(&log->json, ",\"response\":");
    message_json_brief(api_find(r->api->api_key)->response, r->version, response, REQUEST_LOG_MESSAGE_BYTES,
                       &log->json);
}

static void finish(struct request *r, struct buffer *out)
{
    const struct request_log *log = r->log;
    int64_t now_us = clock_monotonic_us();
    int64_t answered_us = log->answered_us ? log->answered_us : log->handled_us ? log->handled_us : now_us;
    int64_t local_us = log->handled_us && log->handled_us < answered_us ? log->handled_us : answered_us;
    if (!log->answered_us)
        buffer_text(out, ",\"response\":null");
    buffer_byte(out, ',');
    add_text(out, "connection", str_from(request_peer(r)));
    add_ms(out, "totalTimeMs", now_us - r->received_us);
    add_ms(out, "localTimeMs", local_us - r->received_us);
    add_ms(out, "remoteTimeMs", answered_us - local_us);
    buffer_printf(out, ",\"throttleTimeMs\":%" PRId32, r->throttle_ms);
    add_ms(out, "sendTimeMs", now_us - answered_us);
    buffer_text(out, ",\"securityProtocol\":\"PLAINTEXT\",");
    add_text(out, "principal", request_principal(r));
    buffer_byte(out, ',');
    add_text(out, "listener", str_from(request_listener(r)->name));
    buffer_text(out, ",\"clientInformation\":{");
    add_text(out, "softwareName", request_client_software_name(r));
    buffer_byte(out, ',');
    add_text(out, "softwareVersion", request_client_software_version(r));
    buffer_text(out, "}}");
}

// --- the writer ---

// Whoever else has something to say is never behind a line that waits for a slow reader.
static bool wait_for_room(struct request_lines *lines, size_t size)
{
    int room;
    while ((room = logger_has_room(size)) == 0 && !atomic_load(&lines->ending))
        thread_sleep_ms(ROOM_WAIT_MS);
    return room > 0;
}

static void write_line(struct job *job)
{
    struct line *line = container_of(job, struct line, job);
    struct request_lines *lines = line->lines;
    if (wait_for_room(lines, line->text.size))
        logger_write_line(&line->text);
    else
        atomic_fetch_add(&lines->left_out, line->gap + 1);
    atomic_fetch_sub(&lines->waiting_bytes, line->text.size);
    buffer_free(&line->text);
    free(line);
}

static void hand_over(struct request_lines *lines, struct line *line)
{
    size_t size = line->text.size;
    size_t waiting = atomic_fetch_add(&lines->waiting_bytes, size) + size;
    line->lines = lines;
    line->job = (struct job){.run = write_line, .reads_nothing = true};
    if (!line->text.failed && waiting <= REQUEST_LOG_WAITING_BYTES &&
        workers_submit(lines->writer, &line->job))
        return;
    atomic_fetch_sub(&lines->waiting_bytes, size);
    atomic_fetch_add(&lines->left_out, line->gap + 1);
    buffer_free(&line->text);
    free(line);
}

// In front of the next line that has room, so that nobody takes the log for complete.
static void tell_of_gap(struct request_lines *lines, struct line *line)
{
    if (!atomic_load(&lines->left_out) ||
        atomic_load(&lines->waiting_bytes) >= REQUEST_LOG_WAITING_BYTES / 2 ||
        !(line->gap = atomic_exchange(&lines->left_out, 0)))
        return;
    logger_begin(&line->text, &logger_requests, LOG_LEVEL_WARN);
    buffer_printf(&line->text, "%u requests are left out here: the log is written too slowly for them\n",
                  line->gap);
}

void request_log_sent(struct request *r)
{
    struct request_lines *lines = reactors_request_lines(r->reactor->group);
    struct line *line = calloc(1, sizeof *line);
    if (line) {
        tell_of_gap(lines, line);
        finish(r, &r->log->json);
        logger_begin(&line->text, &logger_requests, LOG_LEVEL_DEBUG);
        buffer_text(&line->text, "Completed request:");
        buffer_append(&line->text, r->log->json.data, r->log->json.size);
        buffer_byte(&line->text, '\n');
        line->text.failed |= r->log->json.failed;
        hand_over(lines, line);
    }
    request_log_drop(r);
}

void request_log_drop(struct request *r)
{
    buffer_free(&r->log->json);
    free(r->log);
    r->log = NULL;
}
