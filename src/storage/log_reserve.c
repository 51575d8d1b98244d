// Room on the disk for the active segment, asked for ahead in steps: a write into it costs the file system a
// quarter less CPU than one that it must find room for, page by page. The file's size is not touched; what
// was reserved and not used is given back when the segment is sealed or the log closed. After a crash it
// stays until then.
#include "base/error.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <fcntl.h>

// Small logs, of which a node may have tens of thousands, reserve nothing; but for the metadata log, which
// must go on when the disk is full.
#define RESERVE_FROM_BYTES (1 << 20)
#define RESERVE_STEP_BYTES (8 << 20)
#define KEPT_ROOM_BYTES    (1 << 20)

// Asks for more when less than three quarters are left.
static void keep_room(const struct log *log, struct segment_active *a, int fd, int64_t end)
{
    int64_t upto = end + KEPT_ROOM_BYTES;
    if (upto > log->config.segment_bytes)
        upto = log->config.segment_bytes;
    if (a->reserved_end - end < KEPT_ROOM_BYTES / 4 * 3 && upto > a->reserved_end &&
        file_reserve(fd, end, upto - end) == 0)
        a->reserved_end = upto;
}

void log_reserve(struct log *log, struct segment *s, int fd, int64_t end)
{
    struct segment_active *a = s->active;
    if (log->keep_room) {
        keep_room(log, a, fd, end);
        return;
    }
    if (end < RESERVE_FROM_BYTES || end <= a->reserved_end)
        return;
    int64_t from = a->reserved_end ? a->reserved_end : end, upto = end + RESERVE_STEP_BYTES;
    if (upto > log->config.segment_bytes)
        upto = log->config.segment_bytes;
    int rc = upto > from ? file_reserve(fd, from, upto - from) : 0;
    a->reserved_end = rc == ERR_UNSUPPORTED ? INT64_MAX
                      : upto > end          ? upto
                                            : end; // a full disk fails the write
}

void log_preallocate(const struct log *log, struct segment *s)
{
    int fd = segment_open(s, SEGMENT_LOG_SUFFIX, O_RDWR);
    if (fd < 0)
        return;
    if (file_reserve(fd, 0, log->config.segment_bytes) == 0)
        s->active->reserved_end = log->config.segment_bytes;
    file_close(fd);
}

void log_give_back_reserve(struct segment *s)
{
    if (s->active->reserved_end == 0)
        return;
    s->active->reserved_end = 0;
    int fd = segment_pin(s);
    if (fd < 0)
        return;
    (void)file_truncate(fd, atomic_load(&s->size_bytes));
    segment_unpin(s);
}
