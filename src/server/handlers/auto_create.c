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
    const char *name, *partitions, *replication_factor;
    struct {
        const char *name, *value; // value NULL: that of the broker's `setting`
        const char *setting;
    } configs[5];
};

static const struct internal_topic internal_topics[] = {
    {GROUP_TOPIC,
     "offsets.topic.num.partitions",
     "offsets.topic.replication.factor",
     {{"cleanup.policy", "compact", NULL},
      {"compression.type", "producer", NULL},
      {"segment.bytes", NULL, "offsets.topic.segment.bytes"}}},
    {TRANSACTION_TOPIC,
     "transaction.state.log.num.partitions",
     "transaction.state.log.replication.factor",
     {{"cleanup.policy", "compact", NULL},
      {"compression.type", "uncompressed", NULL},
      {"min.insync.replicas", NULL, "transaction.state.log.min.isr"},
      {"segment.bytes", NULL, "transaction.state.log.segment.bytes"},
      {"unclean.leader.election.enable", "false", NULL}}},
};

static int fill_internal(const struct broker_config *config, const struct internal_topic *internal,
                         struct arena *arena, struct create_topics_request_creatable_topic *out)
{
    const size_t most = sizeof internal->configs / sizeof internal->configs[0];
    struct setting_value partitions, factor, value = {0};
    if (broker_config_value(config, str_from(internal->partitions), arena, &partitions) ||
        broker_config_value(config, str_from(internal->replication_factor), arena, &factor))
        return ERR_NOMEM;
    out->num_partitions = (int32_t)partitions.integer;
    out->replication_factor = (int16_t)factor.integer;
    out->configs = create_topics_request_creatable_topic_config_new(arena, (int32_t)most);
    for (size_t i = 0; out->configs && i < most && internal->configs[i].name; i++) {
        struct create_topics_request_creatable_topic_config *c = &out->configs[out->configs_count++];
        c->name = str_from(internal->configs[i].name);
        c->value = str_from(internal->configs[i].value);
        if (internal->configs[i].value)
            continue;
        if (broker_config_value(config, str_from(internal->configs[i].setting), arena, &value))
            return ERR_NOMEM;
        c->value = arena_printf(arena, "%lld", (long long)value.integer);
    }
    return out->configs ? 0 : ERR_NOMEM;
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
