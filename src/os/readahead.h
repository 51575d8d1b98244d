// Gets ranges of files into the page cache on a pool's threads (os/workers), so that a loop never waits for a
// disk.
#ifndef OS_READAHEAD_H
#define OS_READAHEAD_H

#include "os/workers.h"

// Embedded in its owner, who keeps it and the descriptor until job.done has run, which it does also when
// reading failed: who sends the bytes meets the error.
struct readahead_job {
    struct job job; // run is readahead_run
    int fd;
    int64_t position;
    size_t size;
};

// Whether the range is in the page cache, by samples: nothing is read from the disk, nothing waits. True also
// where the file system cannot tell.
bool readahead_is_cached(int fd, int64_t position, size_t size);

void readahead_run(struct job *job);

#endif
