// What a start finds on disk: formatted directories, or empty ones that may be formatted; then snapshot and
// log.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "controller/bootstrap.h"
#include "raft/control.h"
#include "raft/format.h"
#include "raft/quorum_state.h"
#include "server/quorum_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static const char *metadata_dir(const struct quorum *q)
{
    return q->params.dirs[q->params.metadata_dir]->path;
}

// --- directories ---

static int fresh_cluster(struct quorum *q, char *message, size_t message_size)
{
    const struct quorum_params *p = &q->params;
    char cluster_id[UUID_TEXT_BYTES];
    struct uuid id = uuid_random();
    struct raft_endpoint endpoints[8];
    uint32_t n = p->controller_endpoints_count < 8 ? p->controller_endpoints_count : 8;
    struct arena arena;
    struct bytes *bootstrap;
    size_t bootstrap_count;
    uuid_text(&id, cluster_id);
    for (uint32_t i = 0; i < n; i++)
        endpoints[i] =
            (struct raft_endpoint){p->controller_endpoints[i].name, p->controller_endpoints[i].host,
                                   p->controller_endpoints[i].port};
    arena_init(&arena, 0);
    int rc = bootstrap_records(NULL, &arena, &bootstrap, &bootstrap_count);
    if (rc == 0) {
        struct format_params format = {.dirs = p->dirs,
                                       .dirs_count = p->dirs_count,
                                       .metadata_dir = p->metadata_dir,
                                       .node_id = p->config->node_id,
                                       .cluster_id = cluster_id,
                                       .bootstrap = bootstrap,
                                       .bootstrap_count = bootstrap_count,
                                       .endpoints = p->config->voter_count ? NULL : endpoints,
                                       .endpoints_count = n,
                                       .now_ms = clock_wall_ms()};
        rc = format_directories(&format, message, message_size);
    }
    arena_free(&arena);
    if (rc == 0)
        log_info("quorum", "formatted %zu log directories for the new cluster %s", p->dirs_count, cluster_id);
    return rc;
}

// DESIGN: a node formats itself only when it is the sole voter and every directory is empty; a wiped disk
// must never vote.
static int maybe_format(struct quorum *q, char *message, size_t message_size)
{
    const struct quorum_params *p = &q->params;
    const char *unformatted = NULL, *used = NULL;
    for (size_t i = 0; i < p->dirs_count; i++) {
        if (dir_health_failed(&p->dirs[i]->health))
            continue; // nobody knows what is there, so that no cluster is made beside it: see below
        int empty = log_dir_is_empty(p->dirs[i]);
        if (empty < 0) {
            snprintf(message, message_size, "cannot read %s: %s", p->dirs[i]->path, err_text(empty));
            return empty;
        }
        if (!p->dirs[i]->has_meta)
            unformatted = p->dirs[i]->path;
        if (!empty)
            used = p->dirs[i]->path;
    }
    if (!unformatted)
        return 0;
    for (size_t i = 0; i < p->dirs_count; i++)
        if (dir_health_failed(&p->dirs[i]->health))
            used = p->dirs[i]->path;
    if (used) {
        snprintf(message, message_size,
                 "%s has no meta.properties, but %s is not empty (or cannot be read): format it with the "
                 "cluster's id, or remove "
                 "it from "
                 "log.dirs",
                 unformatted, used);
        return ERR_NOT_FOUND;
    }
    if (!p->config->sole_voter) {
        snprintf(
            message, message_size,
            "%s has no meta.properties, and this node is not the only voter (%s names others): format it "
            "with the cluster's id, odradek format --cluster-id ID",
            unformatted,
            p->config->voter_count ? "controller.quorum.voters" : "controller.quorum.bootstrap.servers");
        return ERR_NOT_FOUND;
    }
    return fresh_cluster(q, message, message_size);
}

static int check_meta(struct quorum *q, char *message, size_t message_size)
{
    const struct quorum_params *p = &q->params;
    const struct meta_properties *first = &p->dirs[p->metadata_dir]->meta;
    for (size_t i = 0; i < p->dirs_count; i++) {
        struct log_dir *dir = p->dirs[i];
        if (dir_health_failed(&dir->health))
            continue;
        for (size_t k = 0; k < i; k++) {
            if (uuid_is_zero(&dir->meta.directory_id) || dir_health_failed(&p->dirs[k]->health) ||
                !uuid_equal(&dir->meta.directory_id, &p->dirs[k]->meta.directory_id))
                continue;
            snprintf(message, message_size,
                     "%s and %s have the same directory.id: one is a copy of the other", p->dirs[k]->path,
                     dir->path);
            return ERR_INVALID;
        }
        if (dir->meta.node_id != p->config->node_id) {
            snprintf(message, message_size, "%s belongs to node %d, but node.id is %d", dir->path,
                     dir->meta.node_id, p->config->node_id);
            return ERR_INVALID;
        }
        if (strcmp(dir->meta.cluster_id, first->cluster_id) != 0) {
            snprintf(message, message_size, "%s belongs to cluster %s, but %s to cluster %s", dir->path,
                     dir->meta.cluster_id, p->dirs[p->metadata_dir]->path, first->cluster_id);
            return ERR_INVALID;
        }
        if (uuid_is_zero(&dir->meta.directory_id)) { // formatted before Kafka 3.7
            struct meta_properties meta = dir->meta;
            meta.directory_id = uuid_random();
            int rc = log_dir_write_meta(dir, &meta);
            if (rc) {
                snprintf(message, message_size, "%s: cannot write meta.properties: %s", dir->path,
                         err_text(rc));
                return rc;
            }
        }
    }
    snprintf(q->cluster_id, sizeof q->cluster_id, "%s", first->cluster_id);
    return 0;
}

// --- the log ---

struct loading {
    struct quorum *q;
    struct image_loader loader;
};

static int load_control(void *context, int64_t offset, int16_t type, struct bytes value)
{
    struct loading *l = context;
    struct quorum *q = l->q;
    if (type == CONTROL_KRAFT_VERSION)
        return control_kraft_version(value, &q->kraft_version);
    if (type != CONTROL_KRAFT_VOTERS)
        return 0;
    q->voters_in_log = offset >= 0; // the format's checkpoint ends at 0: its records lie at -1
    return raft_voters_decode(&q->voters, value);
}

static int load_record(void *context, const struct image_record *record)
{
    struct loading *l = context;
    return image_loader_add(&l->loader, record);
}

static int load_log(struct quorum *q, bool *in_transaction, char *message, size_t message_size)
{
    struct loading l = {.q = q};
    struct metadata_visitor visitor = {load_control, load_record, &l};
    int rc = image_loader_init(&l.loader);
    if (rc == 0)
        rc = metadata_log_load(q->log, &visitor, message, message_size);
    if (rc == 0)
        rc = image_loader_flush(&l.loader);
    if (rc && l.loader.why.size)
        snprintf(message, message_size, "%.*s", (int)l.loader.why.size, (const char *)l.loader.why.data);
    if (rc == 0) {
        q->image = image_ref(l.loader.image);
        *in_transaction = l.loader.in_transaction;
    }
    image_loader_free(&l.loader);
    return rc;
}

static int static_voters(struct quorum *q)
{
    const struct broker_config *c = q->params.config;
    raft_voters_free(&q->voters);
    for (size_t i = 0; i < c->voter_count; i++) {
        struct raft_endpoint endpoint = {.host = c->voters[i].host, .port = (uint16_t)c->voters[i].port};
        endpoint.name =
            c->controller_listener_name_count ? c->controller_listener_names[0] : STR("CONTROLLER");
        struct raft_voter voter = {
            .replica = {.id = c->voters[i].id}, .endpoints = &endpoint, .endpoints_count = 1};
        int rc = raft_voters_add(&q->voters, &voter);
        if (rc)
            return rc;
    }
    return 0;
}

static int settle_voters(struct quorum *q, char *message, size_t message_size)
{
    int rc = q->kraft_version == 0 ? static_voters(q) : 0;
    const struct raft_voter *self = raft_voters_find(&q->voters, q->params.config->node_id);
    if (rc == 0 && !self) {
        snprintf(message, message_size,
                 "node %d is no voter of the metadata quorum in %s: nothing else is supported yet",
                 q->params.config->node_id, metadata_dir(q));
        rc = ERR_UNSUPPORTED;
    } else if (rc == 0 && q->voters.count > 1) {
        snprintf(message, message_size, "the metadata quorum has %u voters: only one is supported yet",
                 q->voters.count);
        rc = ERR_UNSUPPORTED;
    }
    return rc;
}

int quorum_load(struct quorum *q, bool *in_transaction, struct raft_persistent *persistent, char *message,
                size_t message_size)
{
    const struct broker_config *c = q->params.config;
    struct metadata_log_params log = {.log_dir = metadata_dir(q),
                                      .health = &q->params.dirs[q->params.metadata_dir]->health,
                                      .segment_bytes = c->metadata_log_segment_bytes,
                                      .segment_ms = c->metadata_log_segment_ms,
                                      .retention_bytes = c->metadata_max_retention_bytes,
                                      .retention_ms = c->metadata_max_retention_ms,
                                      .now_ms = clock_wall_ms(),
                                      .clean = q->params.dirs[q->params.metadata_dir]->clean};
    struct buffer why = BUFFER_INIT;
    int rc = maybe_format(q, message, message_size);
    rc = rc ? rc : check_meta(q, message, message_size);
    rc = rc ? rc : metadata_log_open(&log, &q->log, message, message_size);
    rc = rc ? rc : load_log(q, in_transaction, message, message_size);
    rc = rc ? rc : settle_voters(q, message, message_size);
    if (rc == 0) {
        rc = quorum_state_read(q->log->dir, persistent, &why);
        if (rc)
            snprintf(message, message_size, "%s: %.*s", q->log->dir, (int)why.size, (const char *)why.data);
    }
    buffer_free(&why);
    return rc;
}

// --- bootstrap.checkpoint ---

struct collecting {
    struct arena *arena;
    struct bytes *records;
    size_t count, capacity;
};

static int collect_control(void *context, int64_t offset, int16_t type, struct bytes value)
{
    (void)context;
    (void)offset;
    (void)type;
    (void)value;
    return 0;
}

static int collect_record(void *context, const struct image_record *record)
{
    struct collecting *c = context;
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 16;
        struct bytes *grown = arena_alloc(c->arena, capacity * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        if (c->count)
            memcpy(grown, c->records, c->count * sizeof *grown);
        c->records = grown;
        c->capacity = capacity;
    }
    c->records[c->count] = arena_bytes(c->arena, record->value);
    return c->records[c->count++].data ? 0 : ERR_NOMEM;
}

int quorum_bootstrap(struct quorum *q, struct arena *arena, struct bytes **records, size_t *count,
                     char *message, size_t message_size)
{
    struct collecting c = {.arena = arena};
    struct metadata_visitor visitor = {collect_control, collect_record, &c};
    int rc = snapshot_read(metadata_dir(q), BOOTSTRAP_CHECKPOINT, &visitor);
    *records = c.records;
    *count = c.count;
    if (rc && rc != ERR_NOT_FOUND)
        snprintf(message, message_size, "%s/" BOOTSTRAP_CHECKPOINT " cannot be read: %s", metadata_dir(q),
                 err_text(rc));
    return rc == ERR_NOT_FOUND ? bootstrap_records(NULL, arena, records, count) : rc;
}
