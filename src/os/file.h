// Files: the system calls for them, with short reads and writes, EINTR and errno dealt with in one place.
// Any thread. Errors are of base/error.h (errno is left as the call set it): ERR_NOT_FOUND, ERR_EXISTS,
// ERR_NO_SPACE, ERR_NOMEM, ERR_LIMIT (no descriptor left), else ERR_IO.
//
// Every call passes a seam through which tests make calls fail, write less than asked, or see what was
// synced.
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/buffer.h"
#include "base/bytes.h"

#include <fcntl.h>
#include <sys/types.h>
#include <sys/uio.h>

// open(2) with O_CLOEXEC; new files get mode 0644. Returns the descriptor or an error.
int file_open(const char *path, int flags);
void file_close(int fd);

// Reads up to `size` bytes at `at`; *got is less only at the end of the file.
int file_read_at(int fd, void *to, size_t size, off_t at, size_t *got);

// Reads exactly `size` bytes; ERR_TRUNCATED when the file ends before.
int file_read_exactly(int fd, void *to, size_t size, off_t at);

// Writes all bytes at `at`, or fails; after a failure some of them may have been written.
int file_write_at(int fd, const void *from, size_t size, off_t at);

// The same for pieces that follow each other, with as few calls as can be. `pieces` is used up. At most
// FILE_WRITE_PIECES of them.
#define FILE_WRITE_PIECES 64
int file_write_pieces_at(int fd, struct iovec *pieces, size_t count, off_t at);

int file_size(int fd, int64_t *out);
int file_truncate(int fd, int64_t size);

// Takes room on the disk for a range beyond the file's end, whose size stays (fallocate); file_truncate gives
// it back. ERR_UNSUPPORTED where the file system cannot.
int file_reserve(int fd, int64_t at, int64_t size);
// Syncing. A failure means that nobody knows what is on the disk: it is always ERR_IO, also for want of room.
int file_sync(int fd);      // fsync
int file_sync_data(int fd); // fdatasync
// Writes what is dirty of a range, and waits for it; nothing is durable before a sync.
int file_write_back(int fd, int64_t at, int64_t size);
int file_sync_dir(const char *path);
int file_sync_filesystem(const char *path); // everything on the file system that the path lies on (syncfs)

// Size and modification time (wall clock, ms). Either may be NULL.
int file_stat(const char *path, int64_t *size, int64_t *modified_ms);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
int file_set_modified(int fd, int64_t modified_ms);

// The file system of a path: its size, what processes without privileges may still write to it, and whether
// it is mounted read-only (statvfs).
int file_space(const char *path, int64_t *total_bytes, int64_t *usable_bytes, bool *read_only);

int file_unlink(const char *path);
int file_rename(const char *from, const char *to);
int file_make_dir(const char *path);    // ERR_EXISTS when there
int file_make_dirs(const char *path);   // with its parents; 0 when there
int file_remove_tree(const char *path); // a directory and all below it; 0 when not there

// The whole file, appended to `out`. ERR_LIMIT when it is longer than limit_bytes.
int file_read_whole(const char *path, size_t limit_bytes, struct buffer *out);

// Puts the bytes at <dir>/<name> so that a crash leaves the old file or the new one, whole: temporary name
// (<name>.tmp), fsync, rename, fsync of the directory.
int file_replace(const char *dir, const char *name, const void *data, size_t size);

// The same without the fsync of the directory, which the caller syncs later.
int file_replace_synced(const char *dir, const char *name, const void *data, size_t size);

// The same without the fsyncs, for who syncs the file system as a whole afterwards.
int file_replace_unsynced(const char *dir, const char *name, const void *data, size_t size);

// Names in a directory without "." and "..", in no order. `fn` returns 0 to go on or a code that file_list
// returns at once.
int file_list(const char *dir, int (*fn)(void *arg, const char *name), void *arg);

// Locks an open file for this process against others, by flock(2) and by fcntl(2) (as Java's FileLock does).
// ERR_AGAIN when another process holds it. Released by closing every descriptor of the file.
int file_lock(int fd);

// ---------------------------------------------------------------- for tests

enum file_call {
    FILE_CALL_OPEN,
    FILE_CALL_READ,
    FILE_CALL_WRITE,
    FILE_CALL_SYNC, // fsync, fdatasync, of directories too
    FILE_CALL_TRUNCATE,
    FILE_CALL_RENAME,
    FILE_CALL_UNLINK,
    FILE_CALL_MAKE_DIR,
    FILE_CALL_LIST,
    FILE_CALL_STAT,    // fstat, stat
    FILE_CALL_RESERVE, // fallocate
};

struct file_fault {
    int error;          // errno to fail with; 0: the call goes through
    size_t write_bytes; // of a failing write: so many bytes are written first
};

// Set before threads start; NULL (the default) lets everything through. `path` or `fd` (else -1) says what
// on.
typedef struct file_fault (*file_fault_fn)(void *arg, enum file_call call, int fd, const char *path,
                                           size_t size);
void file_set_fault(file_fault_fn fn, void *arg);

#endif
