// ElectLeaders (KIP-183, KIP-460): back to the preferred leaders, or to any at all.
#include "base/error.h"
#include "controller/controller_internal.h"

enum election_type { TYPE_PREFERRED, TYPE_UNCLEAN };

struct elections {
    struct step *step;
    int8_t type;
    int16_t refused; // all of them, with `reason`
    struct str reason;
};

static void answer(struct elect_leaders_response_partition_result *out, int16_t error, struct str message)
{
    out->error_code = error;
    out->error_message = message;
}

static void elect(struct elections *e, struct str name, int32_t id,
                  struct elect_leaders_response_partition_result *out)
{
    struct arena *arena = &e->step->event->arena;
    const struct image_topic *topic = image_topic(e->step->c->image, name);
    const struct image_partition *p = topic ? image_partition(topic, id) : NULL;
    out->partition_id = id;
    if (e->refused != E_NONE) {
        answer(out, e->refused, e->reason);
        return;
    }
    if (!p) {
        answer(out, E_UNKNOWN_TOPIC_OR_PARTITION,
               topic ? arena_printf(arena, "No such partition as %.*s-%d", STR_ARG(name), id)
                     : arena_printf(arena, "No such topic as %.*s", STR_ARG(name)));
        return;
    }
    bool preferred = e->type == TYPE_PREFERRED;
    struct partition_wish wish = {.election = preferred ? ELECT_PREFERRED : ELECT_UNCLEAN};
    int16_t error = E_NONE;
    if (preferred ? p->leader == p->replicas[0] : p->leader != IMAGE_NO_LEADER)
        error = E_ELECTION_NOT_NEEDED;
    else if (!partition_change(e->step, topic, p, &wish))
        error = preferred ? E_PREFERRED_LEADER_NOT_AVAILABLE : E_ELIGIBLE_LEADERS_NOT_AVAILABLE;
    answer(out, error, error == E_NONE ? STR_NULL : str_from(error_code_message(error)));
}

static int elect_named(struct elections *e, const struct elect_leaders_request_topic_partitions *q,
                       struct elect_leaders_response_replica_election_result *out)
{
    out->topic = q->topic;
    out->partition_result =
        elect_leaders_response_partition_result_new(&e->step->event->arena, q->partitions_count);
    if (!out->partition_result)
        return ERR_NOMEM;
    out->partition_result_count = q->partitions_count;
    for (int32_t i = 0; i < q->partitions_count; i++)
        elect(e, q->topic, q->partitions[i], &out->partition_result[i]);
    return 0;
}

// Everywhere: only where something was to be done is told.
static int elect_all(struct elections *e, const struct image_topic *topic,
                     struct elect_leaders_response_replica_election_result *out)
{
    out->topic = arena_str(&e->step->event->arena, topic->name); // the answer outlives the image
    if (!out->topic.data)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        struct elect_leaders_response_partition_result one = elect_leaders_response_partition_result_default;
        elect(e, topic->name, (int32_t)i, &one);
        if (one.error_code == E_ELECTION_NOT_NEEDED)
            continue;
        if (!out->partition_result)
            out->partition_result = elect_leaders_response_partition_result_new(
                &e->step->event->arena, (int32_t)topic->partitions_count);
        if (!out->partition_result)
            return ERR_NOMEM;
        out->partition_result[out->partition_result_count++] = one;
    }
    return 0;
}

int on_elect_leaders(struct step *s)
{
    const struct elect_leaders_request *q = s->event->request;
    struct elect_leaders_response *response = step_respond(s, &elect_leaders_response_type);
    struct elections e = {.step = s, .type = s->event->version >= 1 ? q->election_type : TYPE_PREFERRED};
    bool all = q->topic_partitions_count < 0;
    if (!response)
        return ERR_NOMEM;
    if (q->topic_partitions_count == 0)
        return 0;
    if (e.type != TYPE_PREFERRED && e.type != TYPE_UNCLEAN) {
        e.refused = response->error_code = E_INVALID_REQUEST;
        e.reason = arena_printf(&s->event->arena, "Unknown election type %d", e.type);
        if (all)
            return 0;
    }
    int32_t count = all ? (int32_t)image_topics_count(s->c->image) : q->topic_partitions_count;
    response->replica_election_results =
        elect_leaders_response_replica_election_result_new(&s->event->arena, count);
    if (!response->replica_election_results)
        return ERR_NOMEM;
    response->replica_election_results_count = count;
    int rc = 0;
    struct hamt_walk w = hamt_walk(&s->c->image->topics_by_name);
    for (int32_t i = 0; i < count && rc == 0; i++) {
        struct elect_leaders_response_replica_election_result *out = &response->replica_election_results[i];
        rc = all ? elect_all(&e, hamt_next(&w), out) : elect_named(&e, &q->topic_partitions[i], out);
    }
    return rc;
}
