// Makes the n-th call to the file system fail. A test runs what it is about for n = 1, 2, ... until there is
// no such call any more, and looks each time at what is left:
//
//     for (struct nth_call c = {.n = 1, .fault = EVERY_KIND}; c.n == 1 || c.hit; c.n++) { ...
//         nth_call_arm(&c);
//         ...
//         nth_call_disarm(&c);
#ifndef NTH_CALL_H
#define NTH_CALL_H

#include "unit.h"

#include "os/file.h"

#include <errno.h>

#define CALL(kind)         (1U << FILE_CALL_##kind)
#define CALLS_ALL          (~0U)
#define CALLS_THAT_CHANGE  (CALLS_ALL & ~CALL(READ) & ~CALL(LIST) & ~CALL(STAT))
#define CALLS_WANTING_ROOM (CALL(OPEN) | CALL(WRITE) | CALL(RESERVE) | CALL(MAKE_DIR) | CALL(RENAME))
#define NTH_CALL_MAX       5000

struct nth_fault {
    const char *name;
    unsigned calls;     // those that are counted, by CALL()
    int error;          // errno
    size_t write_bytes; // of a failing write: so many bytes are written first
    bool onwards;       // every counted call behind it fails, too: the process is dying
};

// What disks and processes do.
static const struct nth_fault nth_faults[] = {
    {"one I/O error", CALLS_ALL, EIO, 0, false},
    {"I/O errors from there on", CALLS_ALL, EIO, 0, true},
    {"an I/O error in the middle of a write", CALL(WRITE), EIO, 30, false},
    {"an I/O error behind a whole write", CALL(WRITE), EIO, SIZE_MAX, false},
    {"no room, once", CALLS_WANTING_ROOM, ENOSPC, 30, false},
    {"no room from there on", CALLS_WANTING_ROOM, ENOSPC, 30, true},
    {"no descriptor", CALL(OPEN) | CALL(LIST), EMFILE, 0, false},
    {"death", CALLS_THAT_CHANGE, EIO, 0, true},
    {"death in the middle of a write", CALLS_THAT_CHANGE, EIO, 30, true},
};
#define NTH_FAULTS (sizeof nth_faults / sizeof *nth_faults)

struct nth_call {
    int n; // from 1 on
    const struct nth_fault *fault;
    int seen;
    bool hit;
};

static struct file_fault nth_call_decide(void *arg, enum file_call call, int fd, const char *path,
                                         size_t size)
{
    struct nth_call *c = arg;
    (void)fd, (void)path, (void)size;
    if (!(c->fault->calls & 1U << call) || ++c->seen < c->n || (c->hit && !c->fault->onwards))
        return (struct file_fault){0};
    size_t written = c->hit ? 0 : c->fault->write_bytes;
    c->hit = true;
    return (struct file_fault){c->fault->error, written};
}

static inline void nth_call_arm(struct nth_call *c)
{
    c->seen = 0;
    c->hit = false;
    file_set_fault(nth_call_decide, c);
}

static inline void nth_call_disarm(const struct nth_call *c)
{
    file_set_fault(NULL, NULL);
    assert_true(c->n < NTH_CALL_MAX);
}

#endif
