// Who is alive: what heartbeats tell.
#include "controller/controller_internal.h"

#include <stdlib.h>

struct broker_session *session_find(const struct controller *c, int32_t broker)
{
    for (size_t i = 0; i < c->sessions_count; i++)
        if (c->sessions[i].id == broker)
            return &c->sessions[i];
    return NULL;
}

struct broker_session *session_touch(struct controller *c, int32_t broker, int64_t epoch, int64_t now_ms)
{
    struct broker_session *s = session_find(c, broker);
    if (!s) {
        s = realloc(c->sessions, (c->sessions_count + 1) * sizeof *s);
        if (!s)
            return NULL;
        c->sessions = s;
        s = &c->sessions[c->sessions_count++];
        *s = (struct broker_session){.id = broker, .epoch = -1};
    }
    if (s->epoch != epoch)
        *s = (struct broker_session){broker, epoch, 0, -1, -1, -1};
    s->last_contact_ms = now_ms;
    return s;
}

void session_remove(struct controller *c, int32_t broker)
{
    struct broker_session *s = session_find(c, broker);
    if (s)
        *s = c->sessions[--c->sessions_count];
}

bool session_valid(const struct controller *c, int32_t broker, int64_t now_ms)
{
    const struct broker_session *s = session_find(c, broker);
    return s && now_ms - s->last_contact_ms < c->config.config->session_timeout_ms;
}

bool broker_active(const struct image *image, int32_t broker)
{
    const struct image_broker *b = image_broker(image, broker);
    return b && !b->fenced && !b->in_controlled_shutdown;
}

int16_t broker_check_epoch(const struct image *image, int32_t broker, int64_t epoch)
{
    const struct image_broker *b = image_broker(image, broker);
    return b && b->epoch == epoch ? E_NONE : E_STALE_BROKER_EPOCH;
}

int controller_tick(struct controller *c, int64_t next_offset, int64_t now_ms,
                    struct controller_effects *effects, int64_t *next_ms)
{
    struct step s = {c, NULL, effects, next_offset, now_ms};
    *next_ms = NO_TIME;
    for (uint32_t i = 0; i < c->image->brokers_count; i++) {
        const struct image_broker *b = c->image->brokers[i];
        const struct broker_session *session = session_find(c, b->id);
        if (b->fenced || !session)
            continue;
        int64_t end_ms = session->last_contact_ms + c->config.config->session_timeout_ms;
        if (end_ms <= now_ms) {
            broker_fence(&s, b);
            session_remove(c, b->id);
            break; // the others on the next call, with the image that this one gives
        }
        if (end_ms < *next_ms)
            *next_ms = end_ms;
    }
    if (effects->records_count)
        *next_ms = now_ms;
    return effects->error;
}
