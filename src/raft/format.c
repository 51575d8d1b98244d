#include "raft/format.h"

#include "base/error.h"
#include "os/file.h"
#include "raft/metadata_log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define BOOTSTRAP_EPOCH 0

static int write_checkpoint(const char *dir, const char *name, int64_t last_timestamp_ms,
                            int16_t kraft_version, const struct raft_voters *voters,
                            const struct format_params *p, bool records)
{
    struct snapshot_writer *w = malloc(sizeof *w);
    if (!w)
        return ERR_NOMEM;
    int rc = snapshot_writer_start(w, dir, name, BOOTSTRAP_EPOCH, last_timestamp_ms, kraft_version, voters,
                                   p->now_ms);
    if (rc == 0) {
        for (size_t i = 0; records && rc == 0 && i < p->bootstrap_count; i++)
            rc = snapshot_writer_add(w, p->bootstrap[i]);
        if (rc)
            snapshot_writer_abandon(w);
        else // the directory is synced with meta.properties, which is renamed into it afterwards
            rc = snapshot_writer_finish(w, false);
    }
    free(w);
    return rc;
}

// __cluster_metadata-0/00000000000000000000-0000000000.checkpoint: this node is the only voter (KIP-853).
static int write_voters(const struct format_params *p, const char *dir, const struct uuid *directory_id)
{
    char path[PATH_MAX], name[SNAPSHOT_NAME_BYTES];
    struct raft_voters *voters = malloc(sizeof *voters);
    struct raft_voter self = {.replica = {p->node_id, *directory_id},
                              .endpoints = (struct raft_endpoint *)(uintptr_t)p->endpoints, // copied
                              .endpoints_count = p->endpoints_count,
                              .min_kraft_version = 0,
                              .max_kraft_version = 1};
    if (!voters)
        return ERR_NOMEM;
    raft_voters_init(voters);
    snprintf(path, sizeof path, "%s/%s", dir, METADATA_DIRECTORY);
    snapshot_name((struct snapshot_id){0, 0}, name);
    int rc = raft_voters_add(voters, &self);
    if (rc == 0)
        rc = file_make_dir(path);
    if (rc == 0)
        rc = write_checkpoint(path, name, p->now_ms, 1, voters, p, false);
    if (rc == 0)
        rc = file_sync_dir(path);
    raft_voters_free(voters);
    free(voters);
    return rc;
}

static int format_directory(const struct format_params *p, size_t i)
{
    struct log_dir *dir = p->dirs[i];
    struct meta_properties meta = {.node_id = p->node_id, .directory_id = uuid_random()};
    snprintf(meta.cluster_id, sizeof meta.cluster_id, "%s", p->cluster_id);
    int rc = write_checkpoint(dir->path, BOOTSTRAP_CHECKPOINT, 0, 0, NULL, p, true);
    if (rc == 0 && i == p->metadata_dir && p->endpoints)
        rc = write_voters(p, dir->path, &meta.directory_id);
    return rc ? rc : log_dir_write_meta(dir, &meta);
}

int format_directories(const struct format_params *params, char *message, size_t message_size)
{
    // The metadata directory last: without it the others are as good as empty.
    for (size_t k = 0; k < params->dirs_count; k++) {
        size_t i = (params->metadata_dir + 1 + k) % params->dirs_count;
        int rc = format_directory(params, i);
        if (rc) {
            snprintf(message, message_size, "cannot format %s: %s", params->dirs[i]->path, err_text(rc));
            return rc;
        }
    }
    return 0;
}
