// Which log directory each replica lies in, as its broker says, and what a directory that went off line means
// for the partitions in it (KIP-858).
#include "base/error.h"
#include "controller/controller_internal.h"

// --- directories that went off line ---

static bool listed(const struct uuid *ids, int32_t count, const struct uuid *id)
{
    for (int32_t i = 0; i < count; i++)
        if (uuid_equal(&ids[i], id))
            return true;
    return false;
}

void directories_offline(struct step *s, const struct broker_heartbeat_request *q,
                         const struct image_broker *b)
{
    struct broker_registration_change_record r = broker_registration_change_record_default;
    if (q->offline_log_dirs_count <= 0 || s->c->image->metadata_version < METADATA_VERSION_DIRECTORIES)
        return;
    struct uuid *left = arena_alloc(&s->event->arena, (b->log_dirs_count + 1) * sizeof *left);
    if (!left) {
        s->effects->error = ERR_NOMEM;
        return;
    }
    for (uint32_t i = 0; i < b->log_dirs_count; i++) {
        const struct uuid *dir = &b->log_dirs[i];
        if (!listed(q->offline_log_dirs, q->offline_log_dirs_count, dir)) {
            left[r.log_dirs_count++] = *dir;
            continue;
        }
        struct broker_change change = {
            .remove = b->id, .add = NO_BROKER, .unclean = NO_BROKER, .directory = dir};
        partitions_follow(s, &change, PARTITIONS_IN_DIRECTORY, b->id);
    }
    if ((uint32_t)r.log_dirs_count == b->log_dirs_count)
        return;
    r.broker_id = b->id;
    r.broker_epoch = b->epoch;
    r.log_dirs = left;
    step_emit(s, &broker_registration_change_record_type, 2, &r);
}

// --- assignments ---

struct assigning {
    struct step *step;
    const struct image_broker *broker;
    const struct uuid *directory;
};

static bool already_there(const struct image_partition *p, uint32_t at, const struct uuid *directory)
{
    return uuid_equal(&p->directories[at], directory);
}

// The partition with its replica there.
static struct image_partition emit_assignment(const struct assigning *a, const struct image_topic *topic,
                                              const struct image_partition *p, uint32_t at)
{
    struct image_partition moved = *p;
    struct step *s = a->step;
    struct partition_change_record r = partition_change_record_default;
    r.topic_id = topic->id;
    r.partition_id = p->id;
    r.directories = arena_alloc(&s->event->arena, p->replicas_count * sizeof *r.directories);
    if (!r.directories) {
        s->effects->error = ERR_NOMEM;
        return moved;
    }
    r.directories_count = (int32_t)p->replicas_count;
    memcpy(r.directories, p->directories, p->replicas_count * sizeof *r.directories);
    r.directories[at] = *a->directory;
    step_emit(s, &partition_change_record_type,
              metadata_partition_change_version(s->c->image->metadata_version), &r);
    moved.directories = r.directories;
    return moved;
}

static int16_t assign(const struct assigning *a, const struct image_topic *topic, int32_t index)
{
    const struct image_partition *p = topic ? image_partition(topic, index) : NULL;
    uint32_t at = 0;
    if (!topic)
        return E_UNKNOWN_TOPIC_ID;
    if (!p)
        return E_UNKNOWN_TOPIC_OR_PARTITION;
    while (at < p->replicas_count && p->replicas[at] != a->broker->id)
        at++;
    if (at == p->replicas_count)
        return E_NOT_LEADER_OR_FOLLOWER;
    struct image_partition moved = already_there(p, at, a->directory) ? *p : emit_assignment(a, topic, p, at);
    struct broker_change change = {.remove = NO_BROKER, .add = NO_BROKER, .unclean = NO_BROKER};
    bool online = image_directory_online(a->broker, a->directory);
    if (!online) // it lies where nobody reaches it
        change.remove = a->broker->id;
    // Without a leader: the directory that it left went off line before the controller heard that it had.
    // Where there are more replicas it may not be the one to lead: nobody says whether its log began anew
    // there.
    if (!online || (p->leader == IMAGE_NO_LEADER && p->replicas_count == 1))
        partition_follow(a->step, &change, topic, &moved);
    return E_NONE;
}

static int answer_topics(const struct assigning *a,
                         const struct assign_replicas_to_dirs_request_directory_data *in,
                         struct assign_replicas_to_dirs_response_directory_data *out)
{
    struct arena *arena = &a->step->event->arena;
    out->id = in->id;
    out->topics = assign_replicas_to_dirs_response_topic_data_new(arena, in->topics_count);
    if (!out->topics)
        return ERR_NOMEM;
    out->topics_count = in->topics_count;
    for (int32_t i = 0; i < in->topics_count; i++) {
        const struct assign_replicas_to_dirs_request_topic_data *t = &in->topics[i];
        struct assign_replicas_to_dirs_response_topic_data *answer = &out->topics[i];
        const struct image_topic *topic = image_topic_by_id(a->step->c->image, &t->topic_id);
        answer->topic_id = t->topic_id;
        answer->partitions = assign_replicas_to_dirs_response_partition_data_new(arena, t->partitions_count);
        if (!answer->partitions)
            return ERR_NOMEM;
        answer->partitions_count = t->partitions_count;
        for (int32_t k = 0; k < t->partitions_count; k++) {
            answer->partitions[k].partition_index = t->partitions[k].partition_index;
            answer->partitions[k].error_code = assign(a, topic, t->partitions[k].partition_index);
        }
    }
    return 0;
}

int on_assign_replicas_to_dirs(struct step *s)
{
    const struct assign_replicas_to_dirs_request *q = s->event->request;
    struct assign_replicas_to_dirs_response *response =
        step_respond(s, &assign_replicas_to_dirs_response_type);
    if (!response)
        return ERR_NOMEM;
    const struct image *image = s->c->image;
    response->error_code = image->metadata_version < METADATA_VERSION_DIRECTORIES
                               ? E_UNSUPPORTED_VERSION
                               : broker_check_epoch(image, q->broker_id, q->broker_epoch);
    if (response->error_code != E_NONE)
        return 0;
    response->directories =
        assign_replicas_to_dirs_response_directory_data_new(&s->event->arena, q->directories_count);
    if (!response->directories)
        return ERR_NOMEM;
    response->directories_count = q->directories_count;
    for (int32_t i = 0; i < q->directories_count; i++) {
        struct assigning a = {s, image_broker(image, q->broker_id), &q->directories[i].id};
        int rc = answer_topics(&a, &q->directories[i], &response->directories[i]);
        if (rc)
            return rc;
    }
    return 0;
}
