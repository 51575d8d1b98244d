// A controller in a test: what it decides is applied at once.
#ifndef UNIT_CONTROLLER_FIXTURE_H
#define UNIT_CONTROLLER_FIXTURE_H

#include "unit.h"

#include "base/error.h"
#include "controller/bootstrap.h"
#include "controller/controller.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdlib.h>
#include <string.h>

// A controller over an image of its own, as the quorum would drive it.
struct fixture {
    struct broker_config config;
    struct controller *c;
    struct controller_effects effects;
    struct image *image;
    int64_t offset, now_ms;
};

static inline void take(struct fixture *f)
{
    size_t count = f->effects.records_count;
    struct image_record *records = calloc(count + 1, sizeof *records);
    struct image *after;
    for (size_t i = 0; i < count; i++)
        records[i] = (struct image_record){f->offset++, 1, 0, f->effects.records[i]};
    assert_int_equal(image_apply(f->image, records, count, &after, NULL, NULL), 0);
    free(records);
    image_unref(f->image);
    f->image = after;
    controller_replay(f->c, after);
    controller_effects_reset(&f->effects);
}

static inline void ask(struct fixture *f, struct controller_event *e, int16_t key, int16_t version,
                       const void *message)
{
    assert_int_equal(controller_event_init(e, key, version, message), 0);
    assert_int_equal(controller_step(f->c, e, f->offset, f->now_ms, &f->effects), 0);
    assert_int_equal(e->error, E_NONE);
    take(f);
}

static inline int64_t join(struct fixture *f, int32_t id, int64_t previous_epoch, uint8_t incarnation,
                           int16_t *error)
{
    struct controller_event e;
    struct broker_registration_request r = broker_registration_request_default;
    struct broker_registration_request_feature features[8];
    struct uuid dir = {{7, (uint8_t)id}};
    r.broker_id = id;
    r.incarnation_id = (struct uuid){{incarnation, (uint8_t)id}};
    r.log_dirs = &dir;
    r.log_dirs_count = 1;
    r.previous_broker_epoch = previous_epoch;
    r.features = features;
    for (uint32_t i = 0; i < f->image->features_count; i++)
        features[r.features_count++] =
            (struct broker_registration_request_feature){f->image->features[i].name, 0, 30};
    ask(f, &e, 62, 4, &r);
    const struct broker_registration_response *a = e.response;
    int64_t epoch = a->broker_epoch;
    *error = a->error_code;
    controller_event_free(&e);
    return epoch;
}

static inline struct broker_heartbeat_response beat(struct fixture *f, int32_t id, int64_t epoch,
                                                    bool shutdown)
{
    struct controller_event e;
    struct broker_heartbeat_request r = broker_heartbeat_request_default;
    r.broker_id = id;
    r.broker_epoch = epoch;
    r.current_metadata_offset = f->offset - 1;
    r.want_shut_down = shutdown;
    ask(f, &e, 63, 1, &r);
    struct broker_heartbeat_response a = *(const struct broker_heartbeat_response *)e.response;
    controller_event_free(&e);
    return a;
}

static inline void setup(struct fixture *f)
{
    struct str message;
    struct arena arena;
    struct bytes *bootstrap;
    size_t count;
    *f = (struct fixture){.image = image_new()};
    assert_int_equal(broker_config_from(&f->config, STR(""), true, NULL, 0, &message), 0);
    struct controller_config config = {.config = &f->config, .seed = 5};
    controller_effects_init(&f->effects);
    f->c = controller_new(&config, f->image);
    arena_init(&arena, 0);
    assert_int_equal(bootstrap_records(NULL, &arena, &bootstrap, &count), 0);
    assert_int_equal(controller_activate(f->c, 1, 0, bootstrap, count, false, 0, &f->effects), 0);
    take(f);
    arena_free(&arena);
    assert_int_equal(f->image->metadata_version, 30);
}

static inline void teardown(struct fixture *f)
{
    controller_free(f->c);
    controller_effects_free(&f->effects);
    image_unref(f->image);
    broker_config_free(&f->config);
}

static inline void create(struct fixture *f, const char *name, int32_t partitions, int16_t factor)
{
    struct controller_event e;
    struct create_topics_request r = create_topics_request_default;
    struct create_topics_request_creatable_topic t = create_topics_request_creatable_topic_default;
    t.name = str_from(name);
    t.num_partitions = partitions;
    t.replication_factor = factor;
    r.topics = &t;
    r.topics_count = 1;
    ask(f, &e, 19, 7, &r);
    assert_int_equal(((const struct create_topics_response *)e.response)->topics[0].error_code, E_NONE);
    controller_event_free(&e);
}

#endif
