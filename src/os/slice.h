// A range of an open file that is promised to somebody (a fetch response) and stays readable until it is
// released.
#ifndef OS_SLICE_H
#define OS_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    int fd;           // stays open until release
    int64_t position; // in the file
    size_t size;      // bytes
    // Not of the recent tail: whoever sends it asks the page cache first and has it read ahead elsewhere
    // (os/readahead) rather than wait for a disk. False: sent straight away.
    bool may_be_cold;
    // Called exactly once, on the thread that used the slice, when its bytes were sent or will not be any
    // more. NULL: nothing to release. The struct itself may be freed by it.
    void (*release)(struct slice *slice);
    // Called before release, on the same thread, when the file cannot be read (EIO). NULL: nobody asks.
    void (*failed)(struct slice *slice);
    void *context; // for these two
};

static inline void slice_release(struct slice *slice)
{
    if (slice->release)
        slice->release(slice);
}

#endif
