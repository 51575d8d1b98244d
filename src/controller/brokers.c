// Registration of brokers, their heartbeats, and what these lead to (KIP-631, KIP-841, KIP-858, KIP-966).
#include "base/error.h"
#include "base/logger.h"
#include "controller/controller_internal.h"

#include <stdlib.h>

// --- changes of a registration ---

static void emit_change(struct step *s, const struct image_broker *b, int16_t version,
                        struct broker_registration_change_record *r)
{
    r->broker_id = b->id;
    r->broker_epoch = b->epoch;
    step_emit(s, &broker_registration_change_record_type, version, r);
}

void broker_fence(struct step *s, const struct image_broker *broker)
{
    struct broker_change change = {.remove = broker->id, .add = NO_BROKER, .unclean = NO_BROKER};
    struct broker_registration_change_record r = broker_registration_change_record_default;
    partitions_follow(s, &change, PARTITIONS_IN_ISR, broker->id);
    r.fenced = 1;
    emit_change(s, broker, 0, &r);
}

static void broker_unfence(struct step *s, const struct image_broker *broker)
{
    struct broker_change change = {.remove = NO_BROKER, .add = broker->id, .unclean = NO_BROKER};
    struct broker_registration_change_record r = broker_registration_change_record_default;
    r.fenced = -1;
    emit_change(s, broker, 0, &r);
    partitions_follow(s, &change, PARTITIONS_WITHOUT_LEADER, NO_BROKER);
}

static void broker_begin_shutdown(struct step *s, const struct image_broker *broker)
{
    struct broker_change change = {.remove = broker->id, .add = NO_BROKER, .unclean = NO_BROKER};
    if (!broker->in_controlled_shutdown) {
        struct broker_registration_change_record r = broker_registration_change_record_default;
        r.in_controlled_shutdown = 1;
        emit_change(s, broker, 1, &r);
    }
    partitions_follow(s, &change, PARTITIONS_IN_ISR, broker->id);
}

// --- registration ---

static bool is_reserved(const struct uuid *id)
{
    static const uint8_t zero[14];
    return memcmp(id->bytes, zero, sizeof zero) == 0 && id->bytes[14] == 0 && id->bytes[15] < 100;
}

// KIP-858: the directories of a broker are its own, each named once.
static const char *directories_problem(const struct image *image, const struct broker_registration_request *q)
{
    if (q->log_dirs_count <= 0)
        return "No directories specified in request";
    for (int32_t i = 0; i < q->log_dirs_count; i++) {
        if (is_reserved(&q->log_dirs[i]))
            return "Reserved directory ID in request";
        for (int32_t k = 0; k < i; k++)
            if (uuid_equal(&q->log_dirs[i], &q->log_dirs[k]))
                return "Duplicate directory ID in request";
        for (uint32_t b = 0; b < image->brokers_count; b++)
            for (uint32_t d = 0; d < image->brokers[b]->log_dirs_count; d++)
                if (image->brokers[b]->id != q->broker_id &&
                    uuid_equal(&q->log_dirs[i], &image->brokers[b]->log_dirs[d]))
                    return "Another broker is already registered with one of the directories";
    }
    return NULL;
}

// Each finalized feature's level must be within what the broker supports.
static bool features_fit(const struct image *image, const struct broker_registration_request *q)
{
    for (uint32_t i = 0; i < image->features_count; i++) {
        const struct image_feature *f = &image->features[i];
        bool fits = false;
        for (int32_t k = 0; k < q->features_count && !fits; k++)
            fits = str_equal(q->features[k].name, f->name) &&
                   q->features[k].min_supported_version <= f->level &&
                   f->level <= q->features[k].max_supported_version;
        if (!fits)
            return false;
    }
    return true;
}

static int16_t check_registration(const struct step *s, const struct broker_registration_request *q,
                                  const struct image_broker *existing)
{
    const struct image *image = s->c->image;
    bool same = existing && uuid_equal(&existing->incarnation_id, &q->incarnation_id);
    if (existing && !same && session_valid(s->c, q->broker_id, s->now_ms))
        return E_DUPLICATE_BROKER_REGISTRATION;
    if (q->is_migrating_zk_broker)
        return E_BROKER_ID_NOT_REGISTERED;
    if (image->metadata_version >= METADATA_VERSION_DIRECTORIES) {
        const char *problem = directories_problem(image, q);
        if (problem) {
            log_warn("controller", "broker %d cannot register: %s", q->broker_id, problem);
            return E_INVALID_REGISTRATION;
        }
    }
    if (!features_fit(image, q)) {
        log_warn("controller", "broker %d cannot register: it does not support a finalized feature",
                 q->broker_id);
        return E_UNSUPPORTED_VERSION;
    }
    return E_NONE;
}

static int emit_registration(struct step *s, const struct broker_registration_request *q,
                             const struct image_broker *same, int64_t epoch)
{
    struct register_broker_record r = register_broker_record_default;
    struct arena *arena = &s->event->arena;
    r.broker_id = q->broker_id;
    r.incarnation_id = q->incarnation_id;
    r.broker_epoch = epoch;
    r.rack = q->rack;
    r.fenced = same ? same->fenced : true;
    r.in_controlled_shutdown = same && same->in_controlled_shutdown;
    r.end_points = register_broker_record_broker_endpoint_new(arena, q->listeners_count);
    r.features = register_broker_record_broker_feature_new(arena, q->features_count);
    if (!r.end_points || !r.features)
        return ERR_NOMEM;
    r.end_points_count = q->listeners_count;
    r.features_count = q->features_count;
    for (int32_t i = 0; i < q->listeners_count; i++)
        r.end_points[i] = (struct register_broker_record_broker_endpoint){
            q->listeners[i].name, q->listeners[i].host, q->listeners[i].port,
            q->listeners[i].security_protocol};
    for (int32_t i = 0; i < q->features_count; i++)
        r.features[i] = (struct register_broker_record_broker_feature){
            q->features[i].name, q->features[i].min_supported_version, q->features[i].max_supported_version};
    if (s->c->image->metadata_version >= METADATA_VERSION_DIRECTORIES) {
        r.log_dirs = q->log_dirs;
        r.log_dirs_count = q->log_dirs_count;
    }
    step_emit(s, &register_broker_record_type,
              metadata_register_broker_version(s->c->image->metadata_version), &r);
    return 0;
}

// A new incarnation has forgotten its sessions. After a clean stop it still has all its data; after another
// end it may have lost some (KIP-966): the broker proves the clean stop by the epoch that it wrote down then.
static void forget_former_incarnation(struct step *s, const struct broker_registration_request *q,
                                      const struct image_broker *existing)
{
    bool clean = existing && q->previous_broker_epoch == existing->epoch;
    int32_t id = q->broker_id;
    struct broker_change change = {.remove = clean ? id : NO_BROKER, .add = NO_BROKER, .unclean = NO_BROKER};
    if (!clean)
        change.unclean = id;
    if (clean || s->c->image->metadata_version >= METADATA_VERSION_ELR)
        partitions_follow(s, &change, PARTITIONS_IN_ISR, id);
    if (!clean && s->c->image->metadata_version >= METADATA_VERSION_ELR)
        partitions_follow(s, &change, PARTITIONS_IN_ELR, id);
    session_remove(s->c, id);
}

int on_broker_registration(struct step *s)
{
    const struct broker_registration_request *q = s->event->request;
    struct broker_registration_response *response = step_respond(s, &broker_registration_response_type);
    if (!response)
        return ERR_NOMEM;
    const struct image_broker *existing = image_broker(s->c->image, q->broker_id);
    response->error_code = check_registration(s, q, existing);
    if (response->error_code != E_NONE)
        return 0;
    bool same = existing && uuid_equal(&existing->incarnation_id, &q->incarnation_id);
    int64_t epoch = same ? existing->epoch : s->next_offset; // as Kafka: of the first record of this change
    if (!same)
        forget_former_incarnation(s, q, existing);
    int rc = emit_registration(s, q, same ? existing : NULL, epoch);
    if (rc)
        return rc;
    struct broker_session *session = session_touch(s->c, q->broker_id, epoch, s->now_ms);
    if (!session)
        return ERR_NOMEM;
    session->registration_offset = step_offset(s) - 1;
    response->broker_epoch = epoch;
    return 0;
}

// --- heartbeats ---

enum broker_state { BROKER_FENCED, BROKER_UNFENCED, BROKER_CONTROLLED_SHUTDOWN, BROKER_SHUTDOWN_NOW };

// Whether every active broker has seen that this one is leaving.
static bool all_saw_shutdown(const struct controller *c, const struct broker_session *leaving)
{
    for (size_t i = 0; i < c->sessions_count; i++)
        if (broker_active(c->image, c->sessions[i].id) &&
            c->sessions[i].metadata_offset < leaving->shutdown_offset)
            return false;
    return true;
}

static enum broker_state next_state(const struct step *s, const struct broker_heartbeat_request *q,
                                    const struct image_broker *b, const struct broker_session *session)
{
    if (b->fenced) {
        if (q->want_shut_down)
            return BROKER_SHUTDOWN_NOW;
        bool caught_up = q->current_metadata_offset >= session->registration_offset;
        return !q->want_fence && caught_up ? BROKER_UNFENCED : BROKER_FENCED;
    }
    bool leads = broker_has_leaderships(s->c->image, b->id);
    if (b->in_controlled_shutdown)
        return leads || !all_saw_shutdown(s->c, session) ? BROKER_CONTROLLED_SHUTDOWN : BROKER_SHUTDOWN_NOW;
    if (q->want_fence)
        return q->want_shut_down ? BROKER_SHUTDOWN_NOW : BROKER_FENCED;
    if (!q->want_shut_down)
        return BROKER_UNFENCED;
    return leads ? BROKER_CONTROLLED_SHUTDOWN : BROKER_SHUTDOWN_NOW;
}

static void enter_state(struct step *s, const struct image_broker *b, struct broker_session *session,
                        enum broker_state next)
{
    switch (next) {
    case BROKER_FENCED:
    case BROKER_SHUTDOWN_NOW:
        if (!b->fenced)
            broker_fence(s, b);
        break;
    case BROKER_UNFENCED:
        if (b->fenced)
            broker_unfence(s, b);
        break;
    case BROKER_CONTROLLED_SHUTDOWN:
        if (!b->in_controlled_shutdown) {
            broker_begin_shutdown(s, b);
            session->shutdown_offset = step_offset(s) - 1;
        }
        break;
    }
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct uuid));
}

// KIP-1066: the directories that take no new partitions, when they differ from what is registered.
static void follow_cordoned(struct step *s, const struct broker_heartbeat_request *q,
                            const struct image_broker *b)
{
    if (q->cordoned_log_dirs_count < 0 || s->c->image->metadata_version < METADATA_VERSION_CORDONED)
        return;
    size_t count = (size_t)q->cordoned_log_dirs_count;
    if (count > 1)
        qsort(q->cordoned_log_dirs, count, sizeof *q->cordoned_log_dirs, compare_ids);
    if (b->has_cordoned_log_dirs && b->cordoned_log_dirs_count == count &&
        (count == 0 ||
         memcmp(b->cordoned_log_dirs, q->cordoned_log_dirs, count * sizeof *b->cordoned_log_dirs) == 0))
        return;
    struct broker_registration_change_record r = broker_registration_change_record_default;
    r.cordoned_log_dirs = q->cordoned_log_dirs;
    r.cordoned_log_dirs_count = q->cordoned_log_dirs_count;
    emit_change(s, b, 3, &r);
}

int on_broker_heartbeat(struct step *s)
{
    const struct broker_heartbeat_request *q = s->event->request;
    struct broker_heartbeat_response *response = step_respond(s, &broker_heartbeat_response_type);
    if (!response)
        return ERR_NOMEM;
    response->error_code = broker_check_epoch(s->c->image, q->broker_id, q->broker_epoch);
    if (response->error_code != E_NONE)
        return 0;
    const struct image_broker *b = image_broker(s->c->image, q->broker_id);
    struct broker_session *session = session_touch(s->c, b->id, b->epoch, s->now_ms);
    if (!session)
        return ERR_NOMEM;
    enum broker_state next = next_state(s, q, b, session);
    enter_state(s, b, session, next);
    directories_offline(s, q, b);
    follow_cordoned(s, q, b);
    session->metadata_offset = q->current_metadata_offset;
    response->is_caught_up = q->current_metadata_offset >= session->registration_offset;
    response->is_fenced = next == BROKER_FENCED || next == BROKER_SHUTDOWN_NOW;
    response->should_shut_down = next == BROKER_SHUTDOWN_NOW;
    return 0;
}

int on_unregister_broker(struct step *s)
{
    const struct unregister_broker_request *q = s->event->request;
    struct unregister_broker_response *response = step_respond(s, &unregister_broker_response_type);
    const struct image_broker *b = image_broker(s->c->image, q->broker_id);
    if (!response)
        return ERR_NOMEM;
    if (!b) {
        response->error_code = E_BROKER_ID_NOT_REGISTERED;
        response->error_message =
            arena_printf(&s->event->arena, "Broker ID %d is not currently registered", q->broker_id);
        return 0;
    }
    struct broker_change change = {.remove = b->id, .add = NO_BROKER, .unclean = NO_BROKER};
    struct unregister_broker_record r = {.broker_id = b->id, .broker_epoch = b->epoch};
    partitions_follow(s, &change, PARTITIONS_IN_ISR, b->id);
    partitions_follow(s, &change, PARTITIONS_IN_ELR, b->id);
    step_emit(s, &unregister_broker_record_type, 0, &r);
    session_remove(s->c, b->id);
    return 0;
}
