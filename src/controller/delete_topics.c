// DeleteTopics by name and by id, with Kafka 4.3.1's rules for what comes twice.
#include "base/error.h"
#include "base/map.h"
#include "controller/controller_internal.h"

#define ACL_DELETE       6
#define ACL_DESCRIBE     8
#define RESOURCE_TOPIC   2
#define RESOURCE_CLUSTER 4
#define CLUSTER_NAME     STR("kafka-cluster")

// One topic that the request names.
struct wanted {
    struct str name; // null: by id
    struct uuid id;
    bool answered;
    bool again; // there are more of it, all answered with this one
};

struct deletion {
    struct step *step;
    struct delete_topics_response *response;
    struct wanted *wanted;
    int32_t count;
};

static void answer(struct deletion *d, struct str name, const struct uuid *id, int16_t error,
                   struct str message)
{
    struct delete_topics_response_deletable_topic_result *r =
        &d->response->responses[d->response->responses_count++];
    r->name = name;
    r->topic_id = *id;
    r->error_code = error;
    r->error_message = message;
}

static const struct uuid no_id;

static struct str id_bytes(const struct wanted *w)
{
    return (struct str){(const char *)w->id.bytes, sizeof w->id.bytes};
}

// Of a topic that is named several times, in the same way, only the first is left to be answered.
static int find_again(struct deletion *d)
{
    struct map names = MAP_INIT, ids = MAP_INIT;
    int rc = 0;
    for (int32_t i = 0; i < d->count && rc == 0; i++) {
        struct wanted *w = &d->wanted[i];
        if (!w->name.data == uuid_is_zero(&w->id)) // neither or both
            continue;
        struct map *seen = w->name.data ? &names : &ids;
        struct str key = w->name.data ? w->name : id_bytes(w);
        struct wanted *first = map_get(seen, key);
        if (first)
            first->again = w->answered = true;
        else
            rc = map_put(seen, key, w);
    }
    map_free(&names);
    map_free(&ids);
    return rc;
}

// What makes no sense by itself, and what is named twice (answered once).
static void answer_invalid(struct deletion *d)
{
    for (int32_t i = 0; i < d->count; i++) {
        struct wanted *w = &d->wanted[i];
        if (w->answered)
            continue;
        if (!w->name.data && uuid_is_zero(&w->id)) {
            answer(d, STR_NULL, &no_id, E_INVALID_REQUEST, STR("Neither topic name nor id were specified."));
            w->answered = true;
            continue;
        }
        if (w->name.data && !uuid_is_zero(&w->id)) {
            answer(d, w->name, &w->id, E_INVALID_REQUEST,
                   STR("You may not specify both topic name and topic id."));
            w->answered = true;
            continue;
        }
        if (!w->again)
            continue;
        w->answered = true;
        if (w->name.data)
            answer(d, w->name, &no_id, E_INVALID_REQUEST, STR("Duplicate topic name."));
        else
            answer(d, STR_NULL, &w->id, E_INVALID_REQUEST, STR("Duplicate topic id."));
    }
}

static bool may(const struct deletion *d, int8_t operation, struct str name)
{
    return step_allows(d->step, ACL_DELETE, RESOURCE_CLUSTER, CLUSTER_NAME) ||
           step_allows(d->step, operation, RESOURCE_TOPIC, name);
}

// Resolves an id to its topic; answers when there is none or it may not be deleted. The answer outlives the
// image.
static int resolve_id(struct deletion *d, struct wanted *w)
{
    const struct image_topic *t = image_topic_by_id(d->step->c->image, &w->id);
    struct str name = t ? arena_str(&d->step->event->arena, t->name) : STR_NULL;
    if (t && !name.data)
        return ERR_NOMEM;
    if (t && may(d, ACL_DELETE, t->name)) {
        w->name = name;
        return 0;
    }
    w->answered = true;
    if (!t)
        answer(d, STR_NULL, &w->id, E_UNKNOWN_TOPIC_ID, str_from(error_code_message(E_UNKNOWN_TOPIC_ID)));
    else
        answer(d, may(d, ACL_DESCRIBE, name) ? name : STR_NULL, &w->id, E_TOPIC_AUTHORIZATION_FAILED,
               str_from(error_code_message(E_TOPIC_AUTHORIZATION_FAILED)));
    return 0;
}

static void resolve_name(struct deletion *d, struct wanted *w)
{
    const struct image_topic *t = image_topic(d->step->c->image, w->name);
    bool describable = may(d, ACL_DESCRIBE, w->name);
    if (t && describable && may(d, ACL_DELETE, w->name)) {
        w->id = t->id;
        return;
    }
    w->answered = true;
    int16_t error = describable && !t ? E_UNKNOWN_TOPIC_OR_PARTITION : E_TOPIC_AUTHORIZATION_FAILED;
    answer(d, w->name, &no_id, error, str_from(error_code_message(error)));
}

// A name that leads to an id which was given too: neither is deleted, the name is answered.
static int answer_name_and_id(struct deletion *d, int32_t ids)
{
    struct map by_id = MAP_INIT;
    int rc = 0;
    for (int32_t i = 0; i < ids && rc == 0; i++)
        rc = map_put(&by_id, id_bytes(&d->wanted[i]), &d->wanted[i]);
    for (int32_t n = ids; n < d->count && rc == 0; n++) {
        struct wanted *name = &d->wanted[n];
        struct wanted *id = name->answered ? NULL : map_get(&by_id, id_bytes(name));
        if (!id)
            continue;
        name->answered = id->answered = true;
        answer(d, name->name, &name->id, E_INVALID_REQUEST,
               STR("The provided topic name maps to an ID that was already supplied."));
    }
    map_free(&by_id);
    return rc;
}

static int delete_topics(struct deletion *d)
{
    int rc = 0;
    int32_t ids = 0; // ids first, then names
    for (int32_t i = 0; i < d->count; i++) {
        if (!d->wanted[i].name.data) {
            struct wanted w = d->wanted[i];
            d->wanted[i] = d->wanted[ids];
            d->wanted[ids++] = w;
        }
    }
    for (int32_t i = 0; i < ids && rc == 0; i++)
        if (!d->wanted[i].answered)
            rc = resolve_id(d, &d->wanted[i]);
    for (int32_t i = ids; i < d->count; i++)
        if (!d->wanted[i].answered)
            resolve_name(d, &d->wanted[i]);
    if (rc == 0)
        rc = answer_name_and_id(d, ids);
    for (int32_t i = 0; i < d->count && rc == 0; i++) {
        const struct wanted *w = &d->wanted[i];
        if (w->answered)
            continue;
        const struct image_topic *t = image_topic_by_id(d->step->c->image, &w->id);
        if (!step_charge(d->step, t ? (int32_t)t->partitions_count : 0)) {
            answer(d, w->name, &w->id, E_THROTTLING_QUOTA_EXCEEDED, STR_NULL);
            continue;
        }
        struct remove_topic_record r = {.topic_id = w->id};
        step_emit(d->step, &remove_topic_record_type, 0, &r);
        answer(d, w->name, &w->id, E_NONE, STR_NULL);
    }
    return rc;
}

int on_delete_topics(struct step *s)
{
    const struct delete_topics_request *q = s->event->request;
    struct delete_topics_response *response = step_respond(s, &delete_topics_response_type);
    int32_t names = q->topic_names_count > 0 ? q->topic_names_count : 0;
    int32_t count = names + (q->topics_count > 0 ? q->topics_count : 0);
    struct deletion d = {.step = s, .response = response, .count = count};
    d.wanted = arena_zalloc(&s->event->arena, (size_t)count + 1, sizeof *d.wanted);
    if (!response || !d.wanted)
        return ERR_NOMEM;
    response->responses = delete_topics_response_deletable_topic_result_new(&s->event->arena, count);
    if (!response->responses)
        return ERR_NOMEM;
    for (int32_t i = 0; i < count; i++) {
        if (i < names)
            d.wanted[i].name = q->topic_names[i];
        else
            d.wanted[i] =
                (struct wanted){.name = q->topics[i - names].name, .id = q->topics[i - names].topic_id};
    }
    if (!s->c->config.config->delete_topics) {
        int16_t error = s->event->version < 3 ? E_INVALID_REQUEST : E_TOPIC_DELETION_DISABLED;
        struct str message =
            s->event->version < 3 ? STR("Topic deletion is disabled.") : str_from(error_code_message(error));
        for (int32_t i = 0; i < count; i++)
            answer(&d, d.wanted[i].name, &d.wanted[i].id, error, message);
        return 0;
    }
    if (find_again(&d))
        return ERR_NOMEM;
    answer_invalid(&d);
    return delete_topics(&d);
}
