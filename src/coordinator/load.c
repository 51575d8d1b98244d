// Rebuilding a shard's state from its partition.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "coordinator/shard.h"
#include "protocol/errors.h"
#include "storage/batch.h"
#include "storage/compress.h"

#include <stdlib.h>

#define LOAD_BYTES     (4 << 20)
#define UNPACKED_BYTES (64 << 20) // of one batch
#define PROGRESS_MS    1000

struct loading {
    const struct coordinator_machine *machine;
    void *state;
    struct log *log;
    struct buffer scratch;
    int64_t next; // offset
    int64_t records, bytes;
    int64_t started_ms, told_ms;
};

static void replay_control(struct loading *l, const struct batch_header *h, const struct record *r)
{
    int16_t type;
    if (control_key_read(r->key, NULL, &type) == 0 && (type == CONTROL_ABORT || type == CONTROL_COMMIT))
        l->machine->replay_end(l->state, h->producer_id, type == CONTROL_COMMIT);
}

static int replay_batch(struct loading *l, const struct batch_header *h, struct bytes batch)
{
    struct bytes body;
    int rc = batch_body(h, batch, UNPACKED_BYTES, &l->scratch, &body);
    struct record_cursor records = record_cursor(body, h->count);
    struct record r;
    while (rc == 0 && (rc = record_cursor_next(&records, &r)) == 1) {
        rc = 0;
        if (batch_is_control(h)) {
            replay_control(l, h, &r);
            continue;
        }
        struct coordinator_record record = {r.key, r.value};
        l->machine->replay(l->state, &record, record_offset(h, &r),
                           batch_is_transactional(h) ? h->producer_id : -1);
        l->records++;
    }
    l->next = batch_last_offset(h) + 1;
    return rc;
}

static int replay_slice(struct loading *l, struct bytes bytes)
{
    struct batch_cursor batches = batch_cursor(bytes);
    struct batch_header h;
    struct bytes batch;
    int rc;
    while ((rc = batch_cursor_next(&batches, &h, &batch)) == 1) {
        if (batch_last_offset(&h) < l->next)
            continue;
        rc = replay_batch(l, &h, batch);
        if (rc)
            return rc;
    }
    return rc == ERR_TRUNCATED ? 0 : rc; // the next read begins with that batch
}

static void tell_progress(struct loading *l, int64_t end)
{
    int64_t now = clock_monotonic_ms();
    if (now - l->told_ms < PROGRESS_MS)
        return;
    l->told_ms = now;
    log_info("coordinator", "loading %s: %lld of %lld offsets, %lld records, %lld ms", log_name(l->log),
             (long long)l->next, (long long)end, (long long)l->records, (long long)(now - l->started_ms));
}

static int read_all(struct loading *l, struct shard *s)
{
    struct log_offsets o;
    log_offsets(l->log, &o);
    l->next = o.log_start_offset;
    uint8_t *bytes = malloc(LOAD_BYTES);
    size_t room = LOAD_BYTES;
    int rc = bytes ? 0 : ERR_NOMEM;
    while (rc == 0 && l->next < o.end_offset && !s->coordinator->stopping) {
        struct log_slice slice;
        int64_t before = l->next;
        rc = log_read(l->log, l->next, LOAD_BYTES, LOG_BOUND_END, true, &slice);
        if (rc)
            break;
        if (slice.size > room) { // one batch that is larger
            free(bytes);
            room = slice.size;
            bytes = malloc(room);
        }
        rc = bytes ? log_slice_copy(&slice, 0, bytes, slice.size) : ERR_NOMEM;
        size_t size = slice.size;
        log_slice_release(&slice);
        rc = rc ? rc : replay_slice(l, (struct bytes){bytes, size});
        l->bytes += (int64_t)size;
        if (rc == 0 && l->next == before)
            l->next = size == 0 ? o.end_offset : before + 1; // compaction left nothing here
        tell_progress(l, o.end_offset);
    }
    free(bytes);
    return rc;
}

void shard_load(struct shard *s)
{
    pthread_mutex_lock(&s->lock);
    struct partition *p = s->state == SHARD_LOADING ? partition_ref(s->partition) : NULL;
    int32_t leader_epoch = s->leader_epoch;
    pthread_mutex_unlock(&s->lock);
    if (!p)
        return;
    const struct coordinator_machine *machine = s->coordinator->params.machine;
    struct loading l = {.machine = machine,
                        .state = machine->create(s->coordinator->params.config),
                        .log = p->log,
                        .started_ms = clock_monotonic_ms()};
    l.told_ms = l.started_ms;
    int rc = read_all(&l, s);
    int64_t took_ms = clock_monotonic_ms() - l.started_ms;
    if (rc)
        log_error("coordinator",
                  "cannot load %s at offset %lld: %s; its requests are answered with NOT_COORDINATOR",
                  log_name(p->log), (long long)l.next, err_text(rc));
    else if (took_ms >= PROGRESS_MS)
        log_info("coordinator", "loaded %s: %lld records in %lld ms", log_name(p->log), (long long)l.records,
                 (long long)took_ms);
    if (rc)
        shard_lose(s, E_NOT_COORDINATOR);
    if (rc || !shard_loaded(s, leader_epoch, l.state, l.next - 1))
        machine->destroy(l.state);
    buffer_free(&l.scratch);
    partition_unref(p);
}
