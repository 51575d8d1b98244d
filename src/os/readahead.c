#include "os/readahead.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

// The kernel reads ahead in windows of about this size, so one byte of each tells enough.
#define READAHEAD_SAMPLE_BYTES (128 * 1024)

bool readahead_is_cached(int fd, int64_t position, size_t size)
{
    int64_t last = position + (int64_t)size - 1;
    for (int64_t at = position;;
         at = at + READAHEAD_SAMPLE_BYTES < last ? at + READAHEAD_SAMPLE_BYTES : last) {
        char byte;
        struct iovec part = {&byte, 1};
        if (preadv2(fd, &part, 1, at, RWF_NOWAIT) < 0 && errno == EAGAIN)
            return false;
        if (at >= last)
            return true;
    }
}

// Asks for the whole range at once, then waits for it by reading samples.
void readahead_run(struct job *job)
{
    const struct readahead_job *range = container_of(job, struct readahead_job, job);
    readahead(range->fd, range->position, range->size);
    int64_t last = range->position + (int64_t)range->size - 1;
    for (int64_t at = range->position;;
         at = at + READAHEAD_SAMPLE_BYTES < last ? at + READAHEAD_SAMPLE_BYTES : last) {
        char byte;
        ssize_t count = pread(range->fd, &byte, 1, at);
        if (count <= 0 || at >= last)
            return;
    }
}
