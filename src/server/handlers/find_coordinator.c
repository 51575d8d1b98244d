// FindCoordinator: the leader of the internal topic's partition that a group or a transactional id belongs
// to. The topic is made when it is first asked for.
#include "config/setting.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/auto_create.h"
#include "server/handlers/handlers.h"

#define BATCHED_VERSION 4
#define SHARE_VERSION   6

enum coordinator_kind { KIND_GROUP, KIND_TRANSACTION, KIND_SHARE };

// The broker's endpoint on the request's listener, or NULL.
static const struct image_endpoint *alive(struct request *r, const struct image *image, int32_t id)
{
    const struct image_broker *b = id == IMAGE_NO_LEADER ? NULL : image_broker(image, id);
    return b && !b->fenced ? image_broker_endpoint(b, str_from(request_listener(r)->name)) : NULL;
}

static int16_t find_leader(struct request *r, struct coordinator *coordinator, const char *topic_name,
                           struct str key, struct find_coordinator_response_coordinator *out)
{
    const struct image *image = image_current();
    const struct str name = str_from(topic_name);
    const struct image_topic *topic = image_topic(image, name);
    if (!topic) {
        auto_create_topics(r, &name, 1);
        return E_COORDINATOR_NOT_AVAILABLE;
    }
    const struct image_partition *p = image_partition(topic, coordinator_partition(coordinator, key));
    const struct image_endpoint *e = p ? alive(r, image, p->leader) : NULL;
    if (!e)
        return E_COORDINATOR_NOT_AVAILABLE;
    out->node_id = p->leader;
    out->host = e->host;
    out->port = e->port;
    return E_NONE;
}

// "group:topic id:partition" (KIP-932).
static bool is_share_key(struct str key)
{
    const char *first = key.size ? memchr(key.data, ':', key.size) : NULL;
    const char *last = key.size ? memrchr(key.data, ':', key.size) : NULL;
    struct uuid topic_id;
    int64_t partition;
    if (!first || first == last)
        return false;
    struct str id = {first + 1, (size_t)(last - first - 1)};
    struct str number = {last + 1, (size_t)(key.data + key.size - last - 1)};
    return setting_trim((struct str){key.data, (size_t)(first - key.data)}).size > 0 &&
           uuid_parse(id, &topic_id) == 0 && str_to_integer(number, INT32_MIN, INT32_MAX, &partition);
}

static void find(struct request *r, int8_t kind, struct str key,
                 struct find_coordinator_response_coordinator *out)
{
    struct broker *b = broker_of(r);
    out->key = key;
    out->node_id = -1;
    out->port = -1;
    if (kind == KIND_GROUP && !request_authorize(r, ACL_DESCRIBE, RESOURCE_GROUP, key))
        out->error_code = E_GROUP_AUTHORIZATION_FAILED;
    else if (kind == KIND_TRANSACTION && !request_authorize(r, ACL_DESCRIBE, RESOURCE_TRANSACTIONAL_ID, key))
        out->error_code = E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    else if (kind == KIND_GROUP)
        out->error_code = find_leader(r, b->groups, GROUP_TOPIC, key, out);
    else if (kind == KIND_TRANSACTION)
        out->error_code = find_leader(r, b->transactions, TRANSACTION_TOPIC, key, out);
    else if (kind == KIND_SHARE && r->version >= SHARE_VERSION && is_share_key(key))
        out->error_code = E_COORDINATOR_NOT_AVAILABLE; // there is none in this version
    else
        out->error_code = E_INVALID_REQUEST;
    if (out->error_code == E_INVALID_REQUEST && kind != KIND_SHARE)
        out->error_message = str_from(error_code_message(out->error_code));
}

static void handle_find_coordinator(struct request *r)
{
    const struct find_coordinator_request *q = r->message;
    struct find_coordinator_response out;
    message_init(&find_coordinator_response_type, &out);
    if (r->version < BATCHED_VERSION) {
        struct find_coordinator_response_coordinator one = find_coordinator_response_coordinator_default;
        find(r, q->key_type, q->key, &one);
        out.error_code = one.error_code;
        out.error_message =
            one.error_code == E_NONE ? STR("NONE") : str_from(error_code_message(one.error_code));
        out.node_id = one.node_id;
        out.host = one.host;
        out.port = one.port;
        request_respond(r, &out);
        return;
    }
    out.coordinators = find_coordinator_response_coordinator_new(&r->arena, q->coordinator_keys_count);
    if (!out.coordinators) {
        request_close(r, "out of memory for the response to FindCoordinator");
        return;
    }
    out.coordinators_count = q->coordinator_keys_count;
    for (int32_t i = 0; i < q->coordinator_keys_count; i++)
        find(r, q->key_type, q->coordinator_keys[i], &out.coordinators[i]);
    request_respond(r, &out);
}

const struct api_handler find_coordinator_handler = {.api_key = 10,
                                                     .min_version = 0,
                                                     .max_version = 6,
                                                     .advertised_min_version = -1,
                                                     .listeners = LISTENER_BROKER,
                                                     .handle = handle_find_coordinator};
