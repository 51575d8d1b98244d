// ConsumerGroupHeartbeat: members join, tell what they own, are told what they are to own, and leave
// (KIP-848).
#include "coordinator/group/assignor.h"
#include "coordinator/group/consumer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMBER_NAMES_ITSELF_VERSION 1

// While a worker assigns, members are told to come back so soon.
#define ASSIGNING_HEARTBEAT_MS 100

// A heartbeat on its way: what the member was, and what it will be.
struct heartbeat {
    const struct consumer_group_heartbeat_request *q;
    struct coordinator_request *r;
    struct group *group;       // NULL: the first member makes it
    struct consumer_member *m; // NULL: a new member, or one that takes a static member's place
    const struct consumer_member *replaced;
    struct str member_id;
    struct consumer_subscription subscription;
    struct consumer_position at;
    struct assignment target, owned;
    bool owned_given;
    int32_t epoch, assignment_epoch;
    int64_t partitions;                    // of all topics that the group sees
    bool assigns_aside;                    // a worker is to
    const struct join_group_request *join; // of a member that uses the classic protocol; NULL: a heartbeat
    struct consumer_group_member_metadata_value_classic_member_metadata classic;
};

// Answers with an error and what it says.
__attribute__((format(printf, 4, 5))) static void reject(struct turn *t, struct coordinator_request *r,
                                                         int16_t error, const char *format, ...)
{
    coordinator_effects_reset(t->effects);
    if (r->kind == GROUP_JOIN) {
        answer(t, r, join_response(r, error, ((const struct join_group_request *)r->message)->member_id));
        return;
    }
    struct consumer_group_heartbeat_response *out = consumer_group_heartbeat_response_new(&r->arena, 1);
    if (out) {
        va_list args;
        va_start(args, format);
        out->error_code = error;
        out->error_message = arena_vprintf(&r->arena, format, args);
        va_end(args);
    }
    answer(t, r, out);
}

static bool is_blank(struct str s) // as Java trims
{
    size_t i = 0;
    while (i < s.size && (uint8_t)s.data[i] <= ' ')
        i++;
    return s.data && i == s.size;
}

// What is wrong with the request as such; NULL: nothing.
static const char *invalid(const struct consumer_group_heartbeat_request *q, int16_t version)
{
    bool joins = q->member_epoch == MEMBER_JOINS;
    bool needs_id = version >= MEMBER_NAMES_ITSELF_VERSION || q->member_epoch > MEMBER_JOINS ||
                    q->member_epoch == MEMBER_LEAVES;
    if (needs_id && is_blank(q->member_id))
        return "MemberId can't be empty.";
    if (is_blank(q->group_id))
        return "GroupId can't be empty.";
    if (is_blank(q->instance_id))
        return "InstanceId can't be empty.";
    if (is_blank(q->rack_id))
        return "RackId can't be empty.";
    if (q->member_epoch < MEMBER_LEAVES_FOR_NOW)
        return "MemberEpoch is invalid.";
    if (q->member_epoch == MEMBER_LEAVES_FOR_NOW)
        return q->instance_id.data ? NULL : "InstanceId can't be null.";
    if (!joins)
        return NULL;
    if (q->rebalance_timeout_ms == -1)
        return "RebalanceTimeoutMs must be provided in first request.";
    if (q->topic_partitions_count != 0) // null or not
        return "TopicPartitions must be empty when (re-)joining.";
    if (q->subscribed_topic_names_count < 0 && !q->subscribed_topic_regex.data)
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
    return NULL;
}

// What a member says of itself

int32_t consumer_session_timeout_ms(const struct turn *t, const struct consumer_member *m)
{
    return m->subscription.classic ? m->subscription.classic->session_timeout_ms
                                   : t->groups->config->consumer_session_timeout_ms;
}

static bool sorted_names(struct arena *arena, const struct str *names, int32_t count,
                         struct consumer_subscription *s)
{
    s->topics = arena_alloc(arena, (size_t)count * sizeof *s->topics);
    if (!s->topics)
        return false;
    if (count > 0)
        memcpy(s->topics, names, (size_t)count * sizeof *names);
    s->topics_count = consumer_sort_names(s->topics, count);
    return true;
}

static bool update_subscription(struct arena *arena, struct heartbeat *h)
{
    const struct consumer_group_heartbeat_request *q = h->q;
    struct consumer_subscription *s = &h->subscription;
    s->instance_id = q->instance_id.data ? q->instance_id : s->instance_id;
    s->rack_id = q->rack_id.data ? q->rack_id : s->rack_id;
    s->assignor = q->server_assignor.data ? q->server_assignor : s->assignor;
    s->regex = q->subscribed_topic_regex.data ? q->subscribed_topic_regex : s->regex;
    s->rebalance_timeout_ms =
        q->rebalance_timeout_ms != -1 ? q->rebalance_timeout_ms : s->rebalance_timeout_ms;
    s->client_id = h->r->client_id.data ? h->r->client_id : STR("");
    s->client_host = h->r->client_host;
    s->classic = h->join ? &h->classic : NULL;
    return q->subscribed_topic_names_count < 0 ||
           sorted_names(arena, q->subscribed_topic_names, q->subscribed_topic_names_count, s);
}

static bool same_regex(struct str a, struct str b) // none is the same as an empty one
{
    return str_equal(a, b) || (a.size == 0 && b.size == 0);
}

static bool same_names(const struct consumer_subscription *a, const struct consumer_subscription *b)
{
    bool same = a->topics_count == b->topics_count;
    for (int32_t i = 0; same && i < a->topics_count; i++)
        same = str_equal(a->topics[i], b->topics[i]);
    return same;
}

static bool same_subscription(const struct consumer_subscription *a, const struct consumer_subscription *b)
{
    return same_names(a, b) && same_regex(a->regex, b->regex) && str_equal(a->instance_id, b->instance_id) &&
           str_equal(a->rack_id, b->rack_id) && str_equal(a->client_id, b->client_id) &&
           str_equal(a->client_host, b->client_host) && str_equal(a->assignor, b->assignor) &&
           a->rebalance_timeout_ms == b->rebalance_timeout_ms && !a->classic && !b->classic;
}

static bool read_owned(struct arena *arena, struct heartbeat *h)
{
    const struct consumer_group_heartbeat_request *q = h->q;
    size_t count = 0;
    for (int32_t i = 0; i < q->topic_partitions_count; i++)
        count += (size_t)q->topic_partitions[i].partitions_count;
    struct topic_partition *items = arena_alloc(arena, count * sizeof *items);
    if (!items)
        return false;
    count = 0;
    for (int32_t i = 0; i < q->topic_partitions_count; i++)
        for (int32_t k = 0; k < q->topic_partitions[i].partitions_count; k++)
            items[count++] = (struct topic_partition){q->topic_partitions[i].topic_id,
                                                      q->topic_partitions[i].partitions[k], 0};
    h->owned = assignment_make(items, (uint32_t)count);
    h->owned_given = q->topic_partitions_count >= 0;
    return true;
}

// Who it is

// The epoch that the member says against the one that it was given last. The answer that gave it may have
// been lost: then the member is one behind, and has nothing that it should not have.
static bool epoch_is_valid(struct turn *t, const struct heartbeat *h)
{
    int32_t received = h->q->member_epoch, known = h->at.epoch;
    bool lost = received < known && received == h->at.previous_epoch && h->owned_given &&
                assignment_within(&h->owned, &h->at.assigned);
    if (received == known || received == MEMBER_JOINS || lost)
        return true;
    reject(t, h->r, E_FENCED_MEMBER_EPOCH,
           "The consumer group member has a %s member epoch (%d) than the one known by the group coordinator "
           "(%d). The member must abandon all its partitions and rejoin.",
           received > known ? "greater" : "smaller", received, known);
    return false;
}

static void be(struct heartbeat *h, const struct consumer_member *m)
{
    h->subscription = m->subscription;
    h->at = m->at;
    h->target = m->target;
}

static void reject_unknown(struct turn *t, const struct heartbeat *h)
{
    reject(t, h->r, E_UNKNOWN_MEMBER_ID, "Member %.*s is not a member of group %.*s.", STR_ARG(h->member_id),
           STR_ARG(h->q->group_id));
}

static bool find_static(struct turn *t, struct heartbeat *h)
{
    struct str instance = h->q->instance_id;
    struct consumer_member *holder = h->group ? consumer_member_static(h->group, instance) : NULL;
    if (h->q->member_epoch == MEMBER_JOINS) {
        if (holder && h->join && str_equal(holder->id, h->member_id)) {
            h->m = holder;
            be(h, holder);
            return true;
        }
        if (holder && h->join && h->join->member_id.size > 0) {
            reject(t, h->r, E_FENCED_INSTANCE_ID, "fenced");
            return false;
        }
        if (holder && !h->join && holder->at.epoch != MEMBER_LEAVES_FOR_NOW &&
            !holder->subscription.classic) {
            reject(
                t, h->r, E_UNRELEASED_INSTANCE_ID,
                "Static member %.*s with instance id %.*s cannot join the group because the instance id is "
                "owned by %.*s member.",
                STR_ARG(h->member_id), STR_ARG(instance), STR_ARG(holder->id));
            return false;
        }
        if (holder) {
            h->replaced = holder;
            be(h, holder);
            h->at.epoch = h->at.previous_epoch = 0;
            return true;
        }
        h->m = h->group ? consumer_member_find(h->group, h->member_id) : NULL;
        if (h->m) // it takes another instance id
            be(h, h->m);
        return true;
    }
    if (!holder) {
        reject(t, h->r, E_UNKNOWN_MEMBER_ID, "Instance id %.*s is unknown.", STR_ARG(instance));
        return false;
    }
    if (!str_equal(holder->id, h->member_id)) {
        reject(t, h->r, E_FENCED_INSTANCE_ID,
               "Static member %.*s with instance id %.*s was fenced by member %.*s.", STR_ARG(h->member_id),
               STR_ARG(instance), STR_ARG(holder->id));
        return false;
    }
    h->m = holder;
    be(h, holder);
    return true;
}

static bool find_member(struct turn *t, struct heartbeat *h)
{
    if (h->q->instance_id.data)
        return find_static(t, h);
    h->m = h->group ? consumer_member_find(h->group, h->member_id) : NULL;
    if (h->m)
        be(h, h->m);
    else if (h->q->member_epoch != MEMBER_JOINS)
        reject_unknown(t, h);
    return h->m || h->q->member_epoch == MEMBER_JOINS;
}

// Leaving

void consumer_members_leave(struct turn *t, const struct group *g, const struct map *gone)
{
    if (consumer_may_downgrade(t, g, gone)) {
        consumer_downgrade(t, g, gone);
        return;
    }
    const struct consumer_member *last = NULL;
    struct map_entry *e;
    consumer_regex_leave(t, g, gone);
    for (size_t i = 0; (e = map_next(gone, &i));) {
        last = e->value;
        write_consumer_member_tombstones(t, g->id, last->id);
    }
    const struct consumer_change change = {.group = g, .gone = gone, .replaced = last};
    write_consumer_group(t, g->id, g->consumer->epoch + 1, consumer_see_topics(t, &change).hash);
}

static void write_leave(struct turn *t, struct consumer_member *m)
{
    struct map gone = MAP_INIT;
    if (map_put(&gone, m->id, m))
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
    consumer_members_leave(t, m->group, &gone);
    map_free(&gone);
}

static void await_append(struct turn *t, struct coordinator_request *r, struct str group_id,
                         struct str member_id, bool moved, bool assigns)
{
    t->groups->then = THEN_HEARTBEAT;
    t->groups->then_assigns = assigns;
    t->groups->then_request = r;
    t->groups->then_group_id = group_id;
    t->groups->then_member_id = member_id;
    t->groups->then_moved = moved;
}

// What a static member had before it left for now, it had from the beginning.
static bool forget_epochs(struct arena *arena, struct assignment *a)
{
    struct topic_partition *items = arena_alloc(arena, a->count * sizeof *items);
    for (uint32_t i = 0; items && i < a->count; i++)
        items[i] = (struct topic_partition){a->items[i].topic, a->items[i].partition, 0};
    a->items = items;
    return items != NULL;
}

static void leave(struct turn *t, struct heartbeat *h)
{
    struct consumer_group_heartbeat_response *out = consumer_group_heartbeat_response_new(&h->r->arena, 1);
    if (!out) {
        answer(t, h->r, NULL);
        return;
    }
    out->member_id = arena_str(&h->r->arena, h->member_id);
    out->member_epoch = h->q->member_epoch;
    if (h->q->member_epoch == MEMBER_LEAVES_FOR_NOW) {
        h->at.epoch = MEMBER_LEAVES_FOR_NOW;
        h->at.revoking = (struct assignment){0};
        if (!forget_epochs(&t->effects->arena, &h->at.assigned)) {
            answer(t, h->r, NULL);
            return;
        }
        write_consumer_position(t, h->group->id, h->member_id, &h->at);
    } else {
        write_leave(t, h->m);
    }
    h->r->response = out;
    await_append(t, h->r, h->q->group_id, out->member_id, true, false);
}

// Staying

static struct consumer_group_heartbeat_response_assignment *tell(struct arena *arena,
                                                                 const struct assignment *a)
{
    struct consumer_group_heartbeat_response_assignment *out =
        consumer_group_heartbeat_response_assignment_new(arena, 1);
    if (!out || !(out->topic_partitions = consumer_group_heartbeat_response_topic_partitions_new(
                      arena, (int32_t)assignment_topics(a))))
        return NULL;
    for (uint32_t at = 0, end; at < a->count; at = end) {
        end = assignment_topic_end(a, at);
        struct consumer_group_heartbeat_response_topic_partitions *o =
            &out->topic_partitions[out->topic_partitions_count++];
        o->topic_id = a->items[at].topic;
        o->partitions = arena_alloc(arena, (end - at) * sizeof *o->partitions);
        for (; o->partitions && at < end; at++)
            o->partitions[o->partitions_count++] = a->items[at].partition;
        if (!o->partitions)
            return NULL;
    }
    return out;
}

static struct consumer_change change_by(const struct heartbeat *h)
{
    return (struct consumer_change){.group = h->group,
                                    .replaced = h->replaced,
                                    .id = h->member_id,
                                    .subscription = &h->subscription,
                                    .target = &h->target};
}

// The group's epoch goes up when somebody's topics change, or the topics themselves.
static void advance_group(struct turn *t, struct heartbeat *h, bool subscribes_anew)
{
    struct consumer_group *c = h->group ? consumer_of(h->group) : NULL;
    const struct group_metadata *metadata = &t->groups->config->metadata;
    int64_t version = metadata->version(metadata->context);
    h->epoch = c ? c->epoch : CONSUMER_FIRST_EPOCH;
    h->assignment_epoch = c ? c->assignment_epoch : CONSUMER_FIRST_EPOCH;
    h->partitions = c ? c->partitions : 0;
    if (!subscribes_anew && c && c->metadata_version == version)
        return;
    const struct consumer_change change = change_by(h);
    const struct consumer_topics topics = consumer_see_topics(t, &change);
    if (subscribes_anew || topics.hash != (c ? c->metadata_hash : 0))
        write_consumer_group(t, h->q->group_id, ++h->epoch, topics.hash);
    h->partitions = topics.partitions;
    if (c) {
        c->partitions = topics.partitions;
        c->metadata_version = version;
    }
}

// As the group has it set, or the broker.
static int32_t setting(struct turn *t, struct str group, struct str name, int32_t otherwise)
{
    const struct group_metadata *metadata = &t->groups->config->metadata;
    return metadata->setting ? metadata->setting(metadata->context, group, name, otherwise) : otherwise;
}

static int32_t assignment_interval_ms(struct turn *t, struct str group)
{
    return setting(t, group, STR("consumer.assignment.interval.ms"),
                   t->groups->config->consumer_assignment_interval_ms);
}

static bool advance_target(struct turn *t, struct heartbeat *h)
{
    const struct consumer_group *c = h->group ? consumer_of(h->group) : NULL;
    bool waits = c && c->assignment_ms > 0 &&
                 t->now.wall_ms - c->assignment_ms < assignment_interval_ms(t, h->q->group_id);
    if (h->epoch <= h->assignment_epoch || waits)
        return true;
    h->assigns_aside = consumer_assigns_aside(t, h->group, h->partitions + h->subscription.topics_count);
    if (h->assigns_aside)
        return true;
    const struct consumer_change change = change_by(h);
    h->assignment_epoch = h->epoch;
    return consumer_assign(t, h->q->group_id, &change, h->epoch, &h->target);
}

static void write_replacement(struct turn *t, const struct heartbeat *h)
{
    write_consumer_member_tombstones(t, h->q->group_id, h->replaced->id);
    write_consumer_member(t, h->q->group_id, h->member_id, &h->replaced->subscription);
    write_consumer_target(t, h->q->group_id, h->member_id, &h->target);
    write_consumer_position(t, h->q->group_id, h->member_id, &h->at);
}

static void respond_join(struct turn *t, struct heartbeat *h)
{
    struct join_group_response *out = join_response(h->r, E_NONE, h->member_id);
    if (!out) {
        coordinator_effects_reset(t->effects);
        answer(t, h->r, NULL);
        return;
    }
    out->generation_id = h->at.epoch;
    out->protocol_type = STR("consumer");
    out->protocol_name = arena_str(&h->r->arena, h->join->protocols[0].name);
    h->r->response = out;
    await_append(t, h->r, h->q->group_id, out->member_id, true, h->assigns_aside);
}

static void respond(struct turn *t, struct heartbeat *h, bool moved, bool assignment_changed)
{
    if (h->join) {
        respond_join(t, h);
        return;
    }
    const struct consumer_group_heartbeat_request *q = h->q;
    struct coordinator_request *r = h->r;
    struct consumer_group_heartbeat_response *out = consumer_group_heartbeat_response_new(&r->arena, 1);
    bool full = q->member_epoch == MEMBER_JOINS ||
                (q->rebalance_timeout_ms != -1 &&
                 (q->subscribed_topic_names_count >= 0 || q->subscribed_topic_regex.data) && h->owned_given);
    if (!out || ((full || assignment_changed) && !(out->assignment = tell(&r->arena, &h->at.assigned)))) {
        coordinator_effects_reset(t->effects);
        answer(t, r, NULL);
        return;
    }
    out->member_id = arena_str(&r->arena, h->member_id);
    out->member_epoch = h->at.epoch;
    out->heartbeat_interval_ms = setting(t, q->group_id, STR("consumer.heartbeat.interval.ms"),
                                         t->groups->config->consumer_heartbeat_interval_ms);
    if (h->assigns_aside && out->heartbeat_interval_ms > ASSIGNING_HEARTBEAT_MS)
        out->heartbeat_interval_ms = ASSIGNING_HEARTBEAT_MS;
    r->response = out;
    await_append(t, r, q->group_id, out->member_id, moved, h->assigns_aside);
    if (t->effects->records_count == 0)
        settle_consumer_heartbeat(t, E_NONE);
}

// What a step sees of the group and of the metadata.
struct sight {
    struct turn *t;
    const struct heartbeat *h;
};

static bool is_held(const void *context, const struct topic_partition *p)
{
    const struct sight *s = context;
    return s->h->group && consumer_is_held(s->h->group, p);
}

static bool is_subscribed(const void *context, const struct uuid *topic)
{
    const struct sight *s = context;
    const struct group_metadata *metadata = &s->t->groups->config->metadata;
    struct str name = metadata->topic_name(metadata->context, topic);
    return name.data && consumer_subscription_has(s->h->group, &s->h->subscription, name);
}

static bool regex_is_valid(struct turn *t, const struct heartbeat *h)
{
    struct str pattern = h->subscription.regex;
    const struct group_regex_verdict *known = h->r->known,
                                     verdict = known ? *known : group_regex_judge(pattern);
    if (verdict.wrong)
        reject(t, h->r, E_INVALID_REGULAR_EXPRESSION,
               "SubscribedTopicRegex `%.*s` is not a valid regular expression: %s.", STR_ARG(pattern),
               verdict.wrong);
    return !verdict.wrong;
}

static void stay(struct turn *t, struct heartbeat *h)
{
    struct arena *arena = &t->effects->arena;
    const struct consumer_subscription before = h->subscription;
    if (h->replaced)
        write_replacement(t, h);
    if (!update_subscription(arena, h)) {
        answer(t, h->r, NULL);
        return;
    }
    bool is_new = !h->m && !h->replaced;
    if (is_new || !same_subscription(&before, &h->subscription))
        write_consumer_member(t, h->q->group_id, h->member_id, &h->subscription);
    bool renames = !same_names(&before, &h->subscription), resolved;
    if (consumer_regex_change(t, h->q->group_id, h->group, before.regex, h->subscription.regex, &resolved) &&
        !regex_is_valid(t, h))
        return;
    bool subscribes_anew = renames || !same_regex(before.regex, h->subscription.regex);
    bool drops = before.regex.size > 0 && h->subscription.regex.size == 0;
    advance_group(t, h, renames || resolved || drops);
    struct consumer_position next;
    enum reconcile_result result = RECONCILE_NOMEM;
    if (advance_target(t, h)) {
        struct sight sight = {t, h};
        const struct reconcile_view view = {.epoch = h->assignment_epoch,
                                            .target = h->target,
                                            .owned = h->owned_given ? &h->owned : NULL,
                                            .subscribes_anew = subscribes_anew,
                                            .is_held = is_held,
                                            .is_subscribed = is_subscribed,
                                            .context = &sight};
        result = reconcile(&h->at, &view, arena, &next);
    }
    if (result == RECONCILE_FENCED) {
        reject(t, h->r, E_FENCED_MEMBER_EPOCH,
               "The consumer group member is in a unknown state. The member must abandon all its partitions "
               "and rejoin.");
        return;
    }
    if (result == RECONCILE_NOMEM) {
        coordinator_effects_reset(t->effects);
        answer(t, h->r, NULL);
        return;
    }
    bool changed = false;
    if (result == RECONCILE_MOVED) {
        changed = !assignment_equal(&h->at.assigned, &next.assigned);
        h->at = next;
        write_consumer_position(t, h->q->group_id, h->member_id, &h->at);
    }
    respond(t, h, result == RECONCILE_MOVED, changed);
}

// Whether the request has a group, or makes one. A classic one that is empty makes way.
static bool enter(struct turn *t, struct heartbeat *h)
{
    struct group *g = group_find(t->groups, h->q->group_id);
    bool joins = h->q->member_epoch == MEMBER_JOINS;
    if (g && consumer_of(g)) {
        h->group = g;
    } else if (g && joins && g->state != GROUP_EMPTY && consumer_may_upgrade(t, g)) {
        if (!consumer_upgrade(t, g, h->r))
            reject(t, h->r, E_GROUP_ID_NOT_FOUND,
                   "Cannot upgrade the classic group %.*s to consumer group because the embedded consumer "
                   "protocol is malformed.",
                   STR_ARG(g->id));
        return false;
    } else if (g && !(joins && g->type == GROUP_CLASSIC && g->state == GROUP_EMPTY)) {
        reject(t, h->r, E_GROUP_ID_NOT_FOUND, "Group %.*s is not a consumer group.", STR_ARG(g->id));
        return false;
    } else if (g) {
        write_group_tombstone(t, g->id);
    } else if (!joins) {
        bool leaves = h->q->member_epoch < MEMBER_JOINS;
        reject(t, h->r, E_GROUP_ID_NOT_FOUND,
               leaves ? "Group %.*s not found." : "Consumer group %.*s not found.", STR_ARG(h->q->group_id));
        return false;
    }
    if (h->q->member_epoch < MEMBER_JOINS || !h->group || consumer_member_find(h->group, h->member_id) ||
        h->group->consumer->members.count < (size_t)t->groups->config->consumer_max_size)
        return true;
    reject(t, h->r, E_GROUP_MAX_SIZE_REACHED,
           "The consumer group has reached its maximum capacity of %d members.",
           t->groups->config->consumer_max_size);
    return false;
}

static void reject_assignor(struct turn *t, const struct heartbeat *h)
{
    const struct group_config *config = t->groups->config;
    struct str names = STR("");
    for (uint32_t i = 0; i < config->consumer_assignors_count; i++)
        names = arena_printf(&h->r->arena, "%.*s%s%s", STR_ARG(names), i > 0 ? ", " : "",
                             assignor_of(config->consumer_assignors[i])->name);
    reject(t, h->r, E_UNSUPPORTED_ASSIGNOR,
           "ServerAssignor %.*s is not supported. Supported assignors: %.*s.", STR_ARG(h->q->server_assignor),
           STR_ARG(names));
}

void on_consumer_heartbeat(struct turn *t, struct coordinator_request *r)
{
    struct heartbeat h = {
        .q = r->message, .r = r, .subscription = {.regex = STR(""), .rebalance_timeout_ms = -1}};
    const char *wrong = invalid(h.q, r->version);
    if (wrong) {
        reject(t, r, E_INVALID_REQUEST, "%s", wrong);
        return;
    }
    if (h.q->server_assignor.data && !assignor_find(t->groups->config, h.q->server_assignor)) {
        reject_assignor(t, &h);
        return;
    }
    h.member_id = h.q->member_id;
    if (h.member_id.size == 0 && h.q->member_epoch == MEMBER_JOINS) {
        char text[UUID_TEXT_BYTES];
        struct uuid id = t->groups->config->new_id(t->groups->config->new_id_context);
        uuid_text(&id, text);
        h.member_id = arena_str(&r->arena, str_from(text));
    }
    if (!read_owned(&r->arena, &h) || !h.member_id.data) {
        answer(t, r, NULL);
        return;
    }
    if (!enter(t, &h) || !find_member(t, &h))
        return;
    if (h.q->member_epoch < MEMBER_JOINS)
        leave(t, &h);
    else if (h.replaced || !h.m || epoch_is_valid(t, &h))
        stay(t, &h);
}

// The same as a heartbeat that joins, by what the classic protocol says.
void consumer_classic_join(struct turn *t, struct group *g, struct coordinator_request *r,
                           struct str member_id)
{
    const struct join_group_request *j = r->message;
    struct consumer_protocol_subscription read;
    struct consumer_group_heartbeat_request q = consumer_group_heartbeat_request_default;
    struct heartbeat h = {
        .q = &q, .r = r, .group = g, .member_id = member_id, .join = j, .owned_given = true};
    h.subscription = (struct consumer_subscription){.regex = STR(""), .rebalance_timeout_ms = -1};
    h.classic.session_timeout_ms = j->session_timeout_ms;
    h.classic.supported_protocols =
        consumer_group_member_metadata_value_classic_protocol_new(&r->arena, j->protocols_count);
    if (!h.classic.supported_protocols) {
        answer(t, r, NULL);
        return;
    }
    for (int32_t i = 0; i < j->protocols_count; i++)
        h.classic.supported_protocols[h.classic.supported_protocols_count++] =
            (struct consumer_group_member_metadata_value_classic_protocol){j->protocols[i].name,
                                                                           j->protocols[i].metadata};
    if (!consumer_read_subscription(t, j->protocols[0].metadata, &r->arena, &read, &h.owned)) {
        answer(t, r, join_response(r, E_INCONSISTENT_GROUP_PROTOCOL, j->member_id));
        return;
    }
    q.group_id = j->group_id;
    q.member_id = member_id;
    q.instance_id = j->group_instance_id;
    q.rack_id = read.rack_id;
    q.rebalance_timeout_ms = j->rebalance_timeout_ms;
    q.subscribed_topic_names = read.topics;
    q.subscribed_topic_names_count = read.topics_count;
    q.subscribed_topic_regex = STR(""); // of a static member whose place it takes: it knows of none
    if (find_member(t, &h))
        stay(t, &h);
}

void settle_consumer_heartbeat(struct turn *t, int16_t error)
{
    struct groups *s = t->groups;
    struct coordinator_request *r = s->then_request;
    struct group *g = group_find(s, s->then_group_id);
    struct consumer_member *m = g ? consumer_member_find(g, s->then_member_id) : NULL;
    bool upgraded = s->then_upgraded;
    s->then = THEN_NOTHING;
    s->then_upgraded = false;
    if (error != E_NONE) {
        if (g && consumer_of(g))
            g->consumer->metadata_version = -1; // what was found has not come into the records
        refuse(t, r, error);
        return;
    }
    if (g && upgraded)
        consumer_loaded(t, g); // its members' sessions begin
    if (m)
        timer_arm(t, &m->session,
                  m->subscription.classic ? consumer_session_timeout_ms(t, m)
                                          : setting(t, g->id, STR("consumer.session.timeout.ms"),
                                                    s->config->consumer_session_timeout_ms));
    if (m && r->kind == GROUP_JOIN) // it has the rebalance timeout to sync
        timer_arm(t, &m->rebalance, m->subscription.rebalance_timeout_ms);
    else if (m && s->then_moved && m->at.state == CONSUMER_UNREVOKED)
        timer_arm(t, &m->rebalance, m->subscription.rebalance_timeout_ms);
    else if (m && s->then_moved)
        timer_cancel(s, &m->rebalance);
    answer(t, r, r->response);
    if (m)
        consumer_regex_refresh(t, g, m);
    if (m && s->then_assigns)
        consumer_assign_aside(t, g);
}

// Who is silent, or does not give up what it is to give up, is out. When that cannot be written, the same
// timer tries again.

static void fence(struct turn *t, struct consumer_member *m, struct timer *timer)
{
    timer_arm(t, timer, t->groups->config->consumer_heartbeat_interval_ms);
    write_leave(t, m);
}

void on_consumer_session_timer(struct turn *t, struct consumer_member *m)
{
    fence(t, m, &m->session);
}

void on_consumer_rebalance_timer(struct turn *t, struct consumer_member *m)
{
    fence(t, m, &m->rebalance);
}

// Offsets

#define MEMBER_EPOCH_VERSION 9 // of OffsetCommit; older clients know no member epochs

// A member may lag behind in what it says: what it has had since that epoch it may commit (KIP-1251).
static bool had_since(const struct consumer_member *m, const struct offset_commit_request *q, int32_t epoch)
{
    for (int32_t i = 0; i < q->topics_count; i++)
        for (int32_t k = 0; k < q->topics[i].partitions_count; k++) {
            const struct topic_partition p = {q->topics[i].topic_id,
                                              q->topics[i].partitions[k].partition_index, 0};
            const struct topic_partition *has = assignment_find(&m->at.assigned, &p);
            has = has ? has : assignment_find(&m->at.revoking, &p);
            if (!has || epoch < has->epoch)
                return false;
        }
    return true;
}

int16_t consumer_check_commit(const struct group *g, const struct coordinator_request *r,
                              const struct offset_commit_request *q)
{
    int32_t epoch = q->generation_id_or_member_epoch;
    if (epoch < 0 && g->consumer->members.count == 0)
        return E_NONE; // an administrator, or a consumer without a group
    const struct consumer_member *m = consumer_member_find(g, q->member_id);
    if (!m)
        return E_UNKNOWN_MEMBER_ID;
    if (m->subscription.classic)
        return epoch == m->at.epoch || (epoch < m->at.epoch && had_since(m, q, epoch)) ? E_NONE
                                                                                       : E_ILLEGAL_GENERATION;
    if (r->version < MEMBER_EPOCH_VERSION)
        return E_UNSUPPORTED_VERSION;
    return epoch == m->at.epoch || (epoch < m->at.epoch && had_since(m, q, epoch)) ? E_NONE
                                                                                   : E_STALE_MEMBER_EPOCH;
}

int16_t consumer_check_txn_commit(const struct group *g, const struct offset_commit_request *q)
{
    int32_t epoch = q->generation_id_or_member_epoch;
    if (epoch < 0 && g->consumer->members.count == 0)
        return E_NONE;
    const struct consumer_member *m = consumer_member_find(g, q->member_id);
    return !m ? E_UNKNOWN_MEMBER_ID : epoch == m->at.epoch ? E_NONE : E_ILLEGAL_GENERATION;
}

int16_t consumer_check_fetch(const struct group *g, const struct group_fetch *q)
{
    if (!q->member_id.data && q->member_epoch < 0)
        return E_NONE;
    if (!q->member_id.data)
        return E_UNKNOWN_SERVER_ERROR; // as Kafka stumbles
    const struct consumer_member *m = consumer_member_find(g, q->member_id);
    if (!m)
        return E_UNKNOWN_MEMBER_ID;
    if (q->member_epoch == m->at.epoch)
        return E_NONE;
    return m->subscription.classic ? E_ILLEGAL_GENERATION : E_STALE_MEMBER_EPOCH;
}
