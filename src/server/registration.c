#include "server/registration.h"

#include "base/logger.h"
#include "metadata/features.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/directories.h"
#include "server/producer_ids.h"
#include "server/quorum.h"

#include <stdlib.h>

#define BROKER_REGISTRATION_KEY     62
#define BROKER_REGISTRATION_VERSION 4
#define BROKER_HEARTBEAT_KEY        63
#define BROKER_HEARTBEAT_VERSION    2

static int16_t fill_registration(struct registration *r, struct broker_registration_request *q,
                                 struct arena *arena)
{
    const struct broker_config *c = r->broker->config;
    message_init(&broker_registration_request_type, q);
    q->broker_id = c->node_id;
    q->cluster_id = str_from(r->broker->cluster_id);
    q->incarnation_id = r->incarnation_id;
    q->rack = c->rack;
    q->previous_broker_epoch = r->previous_epoch;
    q->listeners = broker_registration_request_listener_new(arena, (int32_t)r->endpoints_count);
    q->features = broker_registration_request_feature_new(arena, (int32_t)features_supported_count);
    if (!q->listeners || !q->features)
        return E_UNKNOWN_SERVER_ERROR;
    q->listeners_count = (int32_t)r->endpoints_count;
    for (uint32_t i = 0; i < r->endpoints_count; i++) {
        q->listeners[i].name = r->endpoints[i].name;
        q->listeners[i].host = r->endpoints[i].host;
        q->listeners[i].port = r->endpoints[i].port;
        q->listeners[i].security_protocol = r->endpoints[i].security_protocol;
    }
    q->features_count = (int32_t)features_supported_count;
    for (size_t i = 0; i < features_supported_count; i++) {
        q->features[i].name = features_supported[i].name;
        q->features[i].min_supported_version = features_supported[i].min;
        q->features[i].max_supported_version = features_supported[i].max;
    }
    q->log_dirs = arena_alloc(arena, r->broker->dirs->count * sizeof *q->log_dirs);
    if (!q->log_dirs)
        return E_UNKNOWN_SERVER_ERROR;
    q->log_dirs_count = (int32_t)directories_ids(r->broker->dirs, DIRECTORIES_WORKING, q->log_dirs);
    return E_NONE;
}

int16_t registration_register(struct registration *r)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct broker_registration_request q;
    struct quorum_request ask = {0};
    int16_t error = fill_registration(r, &q, &arena);
    if (error == E_NONE &&
        controller_event_init(&ask.event, BROKER_REGISTRATION_KEY, BROKER_REGISTRATION_VERSION, &q))
        error = E_UNKNOWN_SERVER_ERROR;
    arena_free(&arena);
    if (error != E_NONE)
        return error;
    error = quorum_call(r->broker->quorum, &ask);
    if (error == E_NONE) {
        const struct broker_registration_response *response = ask.event.response;
        error = response->error_code;
        if (error == E_NONE) {
            r->broker_epoch = response->broker_epoch;
            r->previous_epoch = response->broker_epoch; // this process has lost nothing since
            producer_ids_set_epoch(r->broker->producer_ids, response->broker_epoch);
        }
    }
    controller_event_free(&ask.event);
    return error;
}

static int16_t beat(struct registration *r, bool want_shutdown, bool *should_shutdown)
{
    struct broker_heartbeat_request q;
    size_t count = r->broker->dirs->count;
    struct uuid *offline = calloc(2 * count, sizeof *offline), *cordoned = offline + count;
    if (!offline)
        return E_UNKNOWN_SERVER_ERROR;
    message_init(&broker_heartbeat_request_type, &q);
    q.offline_log_dirs = offline; // KIP-858
    q.offline_log_dirs_count = (int32_t)directories_ids(r->broker->dirs, DIRECTORIES_FAILED, offline);
    q.cordoned_log_dirs = cordoned; // KIP-1066
    q.cordoned_log_dirs_count = (int32_t)directories_ids(r->broker->dirs, DIRECTORIES_CORDONED, cordoned);
    q.broker_id = r->broker->config->node_id;
    q.broker_epoch = r->broker_epoch;
    struct quorum_status status;
    quorum_status(r->broker->quorum, &status);
    q.current_metadata_offset = status.high_watermark - 1;
    q.want_fence = false;
    q.want_shut_down = want_shutdown;
    struct quorum_request ask = {0};
    int rc = controller_event_init(&ask.event, BROKER_HEARTBEAT_KEY, BROKER_HEARTBEAT_VERSION, &q);
    free(offline);
    if (rc)
        return E_UNKNOWN_SERVER_ERROR;
    int16_t error = quorum_call(r->broker->quorum, &ask);
    if (error == E_NONE) {
        const struct broker_heartbeat_response *response = ask.event.response;
        error = response->error_code;
        r->fenced = response->is_fenced;
        *should_shutdown = response->should_shut_down;
    }
    controller_event_free(&ask.event);
    return error;
}

int16_t registration_heartbeat(struct registration *r, bool want_shutdown, bool *should_shutdown)
{
    *should_shutdown = false;
    int16_t error = beat(r, want_shutdown, should_shutdown);
    if (error != E_STALE_BROKER_EPOCH && error != E_BROKER_ID_NOT_REGISTERED)
        return error;
    log_warn("server", "the controller does not know this broker any more (%s): registering again",
             error_code_name(error));
    r->incarnation_id = uuid_random();
    error = registration_register(r);
    return error == E_NONE ? beat(r, want_shutdown, should_shutdown) : error;
}
