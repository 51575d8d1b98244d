// Gets ranges of files into the page cache on threads of its own, so that a loop never waits for a disk.
#ifndef OS_READAHEAD_H
#define OS_READAHEAD_H

#include "base/list.h"
#include "os/loop.h"

struct readahead;

// Embedded in its owner, who keeps it and the descriptor until `done` has run.
struct readahead_job {
    struct list node;
    int fd;
    int64_t position;
    size_t size;
    struct loop *loop;
    struct task
        done; // runs on the loop's thread, also when reading failed: who sends the bytes meets the error
};

// Whether the range is in the page cache, by samples: nothing is read from the disk, nothing waits. True also
// where the file system cannot tell.
bool readahead_is_cached(int fd, int64_t position, size_t size);

// At most `threads` threads, started when there is work. NULL when out of memory.
struct readahead *readahead_new(unsigned threads);

// Queues a job. Any thread. Returns false when no thread could be started at all (nothing is queued).
bool readahead_submit(struct readahead *r, struct readahead_job *job);

// Ends the threads. No job is under way any more.
void readahead_free(struct readahead *r);

#endif
