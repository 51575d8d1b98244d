#include "server/handlers/auto_create.h"

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
    for (size_t i = 0; i < count; i++) {
        q.topics[i].name = names[i];
        q.topics[i].num_partitions = -1;
        q.topics[i].replication_factor = -1;
    }
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
