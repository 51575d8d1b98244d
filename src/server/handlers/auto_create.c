#include "server/handlers/auto_create.h"

#include "base/error.h"
#include "base/logger.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/mutation_quota.h"
#include "server/quorum.h"

#include <stdlib.h>

#define CREATE_TOPICS_KEY 19
#define CREATE_VERSION    7
#define CREATE_TIMEOUT_MS 30000

struct creation {
    struct quorum_request ask;
    struct mutation_quota mutations;
};

static void complete(struct quorum_request *ask)
{
    const struct create_topics_response *response = ask->event.response;
    for (int32_t i = 0; ask->event.error == E_NONE && i < response->topics_count; i++) {
        const struct create_topics_response_creatable_topic_result *t = &response->topics[i];
        if (t->error_code == E_NONE)
            log_info("server", "created topic %.*s on first use", STR_ARG(t->name));
        else if (t->error_code != E_TOPIC_ALREADY_EXISTS) // two clients asked at once
            log_limited(LOG_LEVEL_WARN, "server", "cannot create topic %.*s on first use: %.*s",
                        STR_ARG(t->name), STR_ARG(t->error_message));
    }
    controller_event_free(&ask->event);
    free(container_of(ask, struct creation, ask));
}

// The broker's own topics have settings of their own.
struct internal_topic {
    const char *name, *partitions, *replication_factor, *segment_bytes;
};

static const struct internal_topic internal_topics[] = {
    {GROUP_TOPIC, "offsets.topic.num.partitions", "offsets.topic.replication.factor",
     "offsets.topic.segment.bytes"},
};

static int fill_internal(const struct broker_config *config, const struct internal_topic *internal,
                         struct arena *arena, struct create_topics_request_creatable_topic *out)
{
    struct setting_value partitions, factor, segment;
    if (broker_config_value(config, str_from(internal->partitions), arena, &partitions) ||
        broker_config_value(config, str_from(internal->replication_factor), arena, &factor) ||
        broker_config_value(config, str_from(internal->segment_bytes), arena, &segment))
        return ERR_NOMEM;
    out->num_partitions = (int32_t)partitions.integer;
    out->replication_factor = (int16_t)factor.integer;
    out->configs = create_topics_request_creatable_topic_config_new(arena, 3);
    if (!out->configs)
        return ERR_NOMEM;
    out->configs_count = 3;
    out->configs[0].name = STR("cleanup.policy");
    out->configs[0].value = STR("compact");
    out->configs[1].name = STR("compression.type");
    out->configs[1].value = STR("producer");
    out->configs[2].name = STR("segment.bytes");
    out->configs[2].value = arena_printf(arena, "%lld", (long long)segment.integer);
    return 0;
}

static int fill(const struct broker_config *config, struct str name, struct arena *arena,
                struct create_topics_request_creatable_topic *out)
{
    out->name = name;
    out->num_partitions = -1;
    out->replication_factor = -1;
    for (size_t i = 0; i < sizeof internal_topics / sizeof *internal_topics; i++)
        if (str_is(name, internal_topics[i].name))
            return fill_internal(config, &internal_topics[i], arena, out);
    return 0;
}

void auto_create_topics(const struct request *r, const struct str *names, size_t count)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct create_topics_request q;
    message_init(&create_topics_request_type, &q);
    q.timeout_ms = CREATE_TIMEOUT_MS;
    q.topics = create_topics_request_creatable_topic_new(&arena, (int32_t)count);
    struct creation *creation = calloc(1, sizeof *creation);
    if (!q.topics || !creation)
        goto fail;
    q.topics_count = (int32_t)count;
    for (size_t i = 0; i < count; i++)
        if (fill(broker_of(r)->config, names[i], &arena, &q.topics[i]))
            goto fail;
    if (controller_event_init(&creation->ask.event, CREATE_TOPICS_KEY, CREATE_VERSION, &q))
        goto fail;
    mutation_quota_attach(&creation->mutations, r, &creation->ask.event);
    creation->ask.complete = complete;
    quorum_submit(broker_of(r)->quorum, &creation->ask);
    arena_free(&arena);
    return;
fail:
    log_limited(LOG_LEVEL_ERROR, "server", "out of memory: cannot create a topic on first use");
    free(creation);
    arena_free(&arena);
}
