#include "raft/metadata_log.h"

#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/file_cache.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_BYTES ((size_t)1 << 20)
// Kafka's limit of a batch of metadata (KafkaRaftClient.MAX_BATCH_SIZE_BYTES); a log's segment is never
// smaller.
#define BATCH_MAX_BYTES (8 << 20)

const struct uuid metadata_topic_id = {{[15] = 1}};

static int say(char *message, size_t size, int rc, const char *what, const char *name)
{
    if (message && size && !message[0])
        snprintf(message, size, "%s: %s: %s", name, what, err_text(rc));
    return rc;
}

// --- snapshots on disk ---

static int compare_ids(const void *a, const void *b)
{
    return snapshot_id_compare(*(const struct snapshot_id *)a, *(const struct snapshot_id *)b);
}

static int add_snapshot(struct metadata_log *m, struct snapshot_id id)
{
    struct snapshot_id *grown = realloc(m->snapshots, (m->snapshots_count + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    m->snapshots = grown;
    grown[m->snapshots_count++] = id;
    qsort(grown, m->snapshots_count, sizeof *grown, compare_ids);
    return 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static int found_file(void *context, const char *name)
{
    struct metadata_log *m = context;
    struct snapshot_id id;
    if (snapshot_name_parse(name, &id))
        return add_snapshot(m, id);
    // Left over from a crash: half a snapshot, or one that was about to be removed.
    if (ends_with(name, SNAPSHOT_SUFFIX ".part") || ends_with(name, SNAPSHOT_SUFFIX ".deleted")) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", m->dir, name);
        file_unlink(path);
    }
    return 0;
}

struct snapshot_id metadata_log_latest_snapshot(const struct metadata_log *m)
{
    return m->snapshots_count ? m->snapshots[m->snapshots_count - 1] : (struct snapshot_id){-1, -1};
}

// --- open and close ---

static int open_log(struct metadata_log *m, const struct metadata_log_params *params, char *message,
                    size_t message_size)
{
    struct log_config config = log_config_default();
    config.segment_bytes = params->segment_bytes;
    config.segment_ms = params->segment_ms;
    config.max_message_bytes = BATCH_MAX_BYTES;
    config.retention_ms = -1;
    config.retention_bytes = -1;
    struct snapshot_id latest = metadata_log_latest_snapshot(m);
    struct log_params log = {.log_dir = params->log_dir,
                             .topic = METADATA_TOPIC,
                             .partition = 0,
                             .topic_id = metadata_topic_id,
                             .config = &config,
                             // What lies below the snapshot is never read again: no need to scan it.
                             .recovery_point = latest.offset > 0 ? latest.offset : 0,
                             .log_start_offset = 0,
                             .clean = false,
                             .refuse_damage = params->clean,
                             .keep_room = true,
                             .now_ms = params->now_ms,
                             .files = m->files,
                             .health = params->health};
    int rc = log_open(&log, &m->log, message, message_size);
    if (rc)
        return rc;
    // A snapshot beyond the log's end came from a leader (or the log is lost): the log starts there.
    if (latest.offset > log_end_offset(m->log)) {
        log_lock(m->log);
        rc = log_truncate_fully(m->log, latest.offset);
        log_unlock(m->log);
    }
    return rc;
}

int metadata_log_open(const struct metadata_log_params *params, struct metadata_log **out, char *message,
                      size_t message_size)
{
    char path[PATH_MAX];
    struct metadata_log *m = calloc(1, sizeof *m);
    if (message && message_size)
        message[0] = 0;
    if (!m)
        return ERR_NOMEM;
    m->retention_bytes = params->retention_bytes;
    m->retention_ms = params->retention_ms;
    snprintf(path, sizeof path, "%s/%s", params->log_dir, METADATA_DIRECTORY);
    m->dir = strdup(path);
    m->files = file_cache_new(4);
    int rc = m->dir && m->files ? file_make_dir(path) : ERR_NOMEM;
    if (rc == 0)
        rc = file_sync_dir(params->log_dir);
    else if (rc == ERR_EXISTS)
        rc = file_list(path, found_file, m);
    if (rc == 0)
        rc = open_log(m, params, message, message_size);
    if (rc) {
        metadata_log_close(m);
        return say(message, message_size, rc, "cannot open the metadata log", path);
    }
    *out = m;
    return 0;
}

void metadata_log_close(struct metadata_log *m)
{
    if (!m)
        return;
    if (m->log) {
        int rc = log_close(m->log, true);
        if (rc && rc != ERR_CLOSED)
            log_warn("raft", "%s: closing: %s", m->dir, err_text(rc));
    }
    if (m->files)
        file_cache_free(m->files);
    free(m->snapshots);
    free(m->dir);
    free(m);
}

// --- loading ---

struct loading {
    struct snapshot_id id;
    const struct metadata_visitor *visitor;
};

static int snapshot_control(void *context, int64_t offset, int16_t type, struct bytes value)
{
    (void)offset;
    const struct loading *l = context;
    return l->visitor->control(l->visitor->context, l->id.offset - 1, type, value);
}

static int snapshot_record(void *context, const struct image_record *record)
{
    const struct loading *l = context;
    struct image_record r = *record;
    r.offset = l->id.offset - 1;
    r.epoch = l->id.epoch;
    return l->visitor->record(l->visitor->context, &r);
}

// Visits the whole batches of a piece of the log; *next is where to go on.
static int walk_piece(struct bytes piece, struct buffer *scratch, const struct metadata_visitor *visitor,
                      int64_t *next)
{
    struct batch_cursor cursor = batch_cursor(piece);
    struct batch_header header;
    struct bytes batch;
    int rc;
    while ((rc = batch_cursor_next(&cursor, &header, &batch)) == 1) {
        if (batch_last_offset(&header) < *next)
            continue; // the index led to a batch before
        rc = metadata_walk_batch(&header, batch, scratch, visitor);
        if (rc)
            return rc;
        *next = batch_last_offset(&header) + 1;
    }
    return rc == ERR_TRUNCATED ? 0 : rc; // the piece ends within a batch
}

static int load_log(struct metadata_log *m, int64_t from, const struct metadata_visitor *visitor)
{
    struct buffer piece = BUFFER_INIT, scratch = BUFFER_INIT;
    int64_t next = from;
    int rc = 0;
    while (rc == 0 && next < log_end_offset(m->log)) {
        struct log_slice slice;
        int64_t before = next;
        rc = log_read(m->log, next, READ_BYTES, LOG_BOUND_END, true, &slice);
        if (rc)
            break;
        buffer_clear(&piece);
        if (!buffer_reserve(&piece, slice.size))
            rc = ERR_NOMEM;
        if (rc == 0)
            rc = log_slice_copy(&slice, 0, piece.data, slice.size);
        if (rc == 0)
            rc = walk_piece((struct bytes){piece.data, slice.size}, &scratch, visitor, &next);
        m->bytes_since_snapshot += (int64_t)slice.size;
        log_slice_release(&slice);
        if (rc == 0 && next == before)
            rc = ERR_CORRUPT;
    }
    buffer_free(&piece);
    buffer_free(&scratch);
    return rc;
}

int metadata_log_load(struct metadata_log *m, const struct metadata_visitor *visitor, char *message,
                      size_t message_size)
{
    struct snapshot_id latest = metadata_log_latest_snapshot(m);
    int64_t from = metadata_log_start(m);
    if (message && message_size)
        message[0] = 0;
    if (latest.offset >= 0) {
        char name[SNAPSHOT_NAME_BYTES];
        struct loading loading = {latest, visitor};
        struct metadata_visitor inner = {snapshot_control, snapshot_record, &loading};
        snapshot_name(latest, name);
        int rc = snapshot_read(m->dir, name, &inner);
        if (rc)
            return say(message, message_size, rc, "cannot read the snapshot", name);
        from = latest.offset > from ? latest.offset : from;
    } else if (from > 0) {
        return say(message, message_size, ERR_CORRUPT, "the log starts above 0, but there is no snapshot",
                   m->dir);
    }
    int rc = load_log(m, from, visitor);
    return rc ? say(message, message_size, rc, "cannot read the metadata log", m->dir) : 0;
}

// --- the log ---

int64_t metadata_log_end(const struct metadata_log *m)
{
    return log_end_offset(m->log);
}

int64_t metadata_log_start(const struct metadata_log *m)
{
    struct log_offsets offsets;
    log_offsets(m->log, &offsets);
    return offsets.log_start_offset;
}

int32_t metadata_log_last_epoch(const struct metadata_log *m)
{
    struct log_offsets offsets;
    struct snapshot_id latest = metadata_log_latest_snapshot(m);
    log_offsets(m->log, &offsets);
    int32_t epoch = offsets.leader_epoch == LOG_NO_EPOCH ? 0 : offsets.leader_epoch;
    return latest.epoch > epoch ? latest.epoch : epoch;
}

int metadata_log_append(struct metadata_log *m, struct bytes batch, int32_t epoch, int64_t now_ms,
                        int64_t *base_offset)
{
    struct log_append_info info;
    uint8_t *bytes = (uint8_t *)(uintptr_t)batch.data; // the builder's own, stamped with offset and epoch
    log_lock(m->log);
    int rc = log_append(m->log, bytes, batch.size, epoch, LOG_ORIGIN_RAFT, now_ms, &info);
    log_unlock(m->log);
    if (rc) {
        log_limited(LOG_LEVEL_ERROR, "raft", "%s: %s", m->dir, info.message[0] ? info.message : err_text(rc));
        return rc;
    }
    *base_offset = info.base_offset;
    m->bytes_since_snapshot += (int64_t)batch.size;
    return 0;
}

int metadata_log_flush(struct metadata_log *m)
{
    return log_flush(m->log, log_end_offset(m->log));
}

void metadata_log_set_high_watermark(struct metadata_log *m, int64_t high_watermark)
{
    log_lock(m->log);
    log_set_high_watermark(m->log, high_watermark);
    log_unlock(m->log);
}

// --- snapshots ---

static int emit(void *context, struct bytes value)
{
    return snapshot_writer_add(context, value);
}

int metadata_log_write_snapshot(const char *dir, const struct image *image, int16_t kraft_version,
                                const struct raft_voters *voters, int64_t now_ms)
{
    char name[SNAPSHOT_NAME_BYTES];
    struct snapshot_writer *w = malloc(sizeof *w);
    if (!w)
        return ERR_NOMEM;
    snapshot_name((struct snapshot_id){image->offset + 1, image->epoch}, name);
    int rc =
        snapshot_writer_start(w, dir, name, image->epoch, image->timestamp_ms, kraft_version, voters, now_ms);
    if (rc == 0) {
        rc = image_write(image, emit, w);
        if (rc == 0)
            rc = snapshot_writer_finish(w, true);
        else
            snapshot_writer_abandon(w);
    }
    free(w);
    return rc;
}

static int64_t snapshot_size(const struct metadata_log *m, struct snapshot_id id)
{
    char name[SNAPSHOT_NAME_BYTES], path[PATH_MAX];
    int64_t size = 0;
    snapshot_name(id, name);
    snprintf(path, sizeof path, "%s/%s", m->dir, name);
    file_stat(path, &size, NULL);
    return size;
}

// The log starts at `id` from now on, and the oldest snapshot goes.
static bool drop_oldest_snapshot(struct metadata_log *m, int64_t now_ms)
{
    struct snapshot_id oldest = m->snapshots[0], next = m->snapshots[1];
    char name[SNAPSHOT_NAME_BYTES], path[PATH_MAX];
    size_t removed;
    log_lock(m->log);
    int rc = log_set_start_offset(m->log, next.offset);
    if (rc == 0)
        rc = log_apply_retention(m->log, now_ms, &removed);
    log_unlock(m->log);
    if (rc) {
        log_warn("raft", "%s: cannot let the log start at %lld: %s", m->dir, (long long)next.offset,
                 err_text(rc));
        return false;
    }
    snapshot_name(oldest, name);
    snprintf(path, sizeof path, "%s/%s", m->dir, name);
    file_unlink(path);
    m->snapshots_count--;
    memmove(m->snapshots, m->snapshots + 1, m->snapshots_count * sizeof *m->snapshots);
    log_info("raft", "snapshot %s is no longer needed: the metadata log starts at %lld", name,
             (long long)next.offset);
    return true;
}

static bool oldest_is_too_much(const struct metadata_log *m, int64_t now_ms)
{
    if (m->retention_bytes >= 0) {
        int64_t total = log_size_bytes(m->log);
        for (size_t i = 0; i < m->snapshots_count; i++)
            total += snapshot_size(m, m->snapshots[i]);
        if (total > m->retention_bytes)
            return true;
    }
    char name[SNAPSHOT_NAME_BYTES];
    snapshot_name(m->snapshots[0], name);
    return m->retention_ms >= 0 && now_ms - snapshot_last_timestamp_ms(m->dir, name) > m->retention_ms;
}

void metadata_log_snapshot_done(struct metadata_log *m, struct snapshot_id id, int64_t now_ms)
{
    if (add_snapshot(m, id))
        return; // found at the next start
    while (m->snapshots_count > 1 && oldest_is_too_much(m, now_ms) && drop_oldest_snapshot(m, now_ms))
        ;
}
