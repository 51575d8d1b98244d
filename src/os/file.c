#include "os/file.h"

#include "base/error.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static file_fault_fn fault_fn;
static void *fault_arg;

void file_set_fault(file_fault_fn fn, void *arg)
{
    fault_fn = fn;
    fault_arg = arg;
}

static int error_of_errno(void)
{
    switch (errno) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOMEM:
        return ERR_NOMEM;
    case EMFILE:
    case ENFILE:
        return ERR_LIMIT;
    default:
        return ERR_IO;
    }
}

static int result(int rc)
{
    return rc == 0 ? 0 : error_of_errno();
}

// 0 when the call may go through; -1 and errno when a test wants it to fail.
static int faulted(enum file_call call, int fd, const char *path)
{
    if (__builtin_expect(fault_fn == NULL, 1))
        return 0;
    struct file_fault f = fault_fn(fault_arg, call, fd, path, 0);
    if (f.error == 0)
        return 0;
    errno = f.error;
    return -1;
}

int file_open(const char *path, int flags)
{
    int fd;
    if (faulted(FILE_CALL_OPEN, -1, path))
        return error_of_errno();
    do {
        fd = open(path, flags | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    return fd >= 0 ? fd : error_of_errno();
}

void file_close(int fd)
{
    int kept = errno;
    if (fd >= 0)
        close(fd);
    errno = kept;
}

int file_read_at(int fd, void *to, size_t size, off_t at, size_t *got)
{
    size_t done = 0;
    *got = 0;
    if (faulted(FILE_CALL_READ, fd, NULL))
        return error_of_errno();
    while (done < size) {
        ssize_t n = pread(fd, (char *)to + done, size - done, at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_of_errno();
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return 0;
}

int file_read_exactly(int fd, void *to, size_t size, off_t at)
{
    size_t got;
    int rc = file_read_at(fd, to, size, at, &got);
    return rc ? rc : got == size ? 0 : ERR_TRUNCATED;
}

static int write_fully(int fd, const void *from, size_t size, off_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(fd, (const char *)from + done, size - done, at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_of_errno();
        done += (size_t)n;
    }
    return 0;
}

int file_write_at(int fd, const void *from, size_t size, off_t at)
{
    if (__builtin_expect(fault_fn != NULL, 0)) {
        struct file_fault f = fault_fn(fault_arg, FILE_CALL_WRITE, fd, NULL, size);
        if (f.error) {
            int rc = write_fully(fd, from, f.write_bytes < size ? f.write_bytes : size, at);
            errno = f.error;
            return rc ? rc : error_of_errno();
        }
    }
    return write_fully(fd, from, size, at);
}

static size_t pieces_bytes(const struct iovec *pieces, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

// Writes the first `size` bytes of the pieces.
static int write_pieces(int fd, struct iovec *pieces, size_t count, size_t size, off_t at)
{
    size_t left = size, last = 0;
    for (; last < count && left > 0; last++) {
        if (pieces[last].iov_len > left)
            pieces[last].iov_len = left;
        left -= pieces[last].iov_len;
    }
    while (size > 0) {
        ssize_t n = pwritev(fd, pieces, (int)last, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_of_errno();
        at += n;
        size -= (size_t)n;
        for (size_t done = (size_t)n; done > 0;) {
            size_t step = done < pieces->iov_len ? done : pieces->iov_len;
            pieces->iov_base = (char *)pieces->iov_base + step;
            pieces->iov_len -= step;
            done -= step;
            if (pieces->iov_len == 0) {
                pieces++;
                last--;
            }
        }
    }
    return 0;
}

int file_write_pieces_at(int fd, struct iovec *pieces, size_t count, off_t at)
{
    size_t size = pieces_bytes(pieces, count);
    assert(count <= FILE_WRITE_PIECES);
    if (__builtin_expect(fault_fn != NULL, 0)) {
        struct file_fault f = fault_fn(fault_arg, FILE_CALL_WRITE, fd, NULL, size);
        if (f.error) {
            int rc = write_pieces(fd, pieces, count, f.write_bytes < size ? f.write_bytes : size, at);
            errno = f.error;
            return rc ? rc : error_of_errno();
        }
    }
    return write_pieces(fd, pieces, count, size, at);
}

int file_size(int fd, int64_t *out)
{
    struct stat st;
    if (faulted(FILE_CALL_STAT, fd, NULL) || fstat(fd, &st))
        return error_of_errno();
    *out = st.st_size;
    return 0;
}

int file_truncate(int fd, int64_t size)
{
    return faulted(FILE_CALL_TRUNCATE, fd, NULL) ? error_of_errno() : result(ftruncate(fd, size));
}

int file_reserve(int fd, int64_t at, int64_t size)
{
    int rc = faulted(FILE_CALL_RESERVE, fd, NULL) ? -1 : fallocate(fd, FALLOC_FL_KEEP_SIZE, at, size);
    return rc < 0 && (errno == EOPNOTSUPP || errno == ENOSYS) ? ERR_UNSUPPORTED : result(rc);
}

int file_sync(int fd)
{
    return faulted(FILE_CALL_SYNC, fd, NULL) || fsync(fd) ? ERR_IO : 0;
}

int file_sync_data(int fd)
{
    return faulted(FILE_CALL_SYNC, fd, NULL) || fdatasync(fd) ? ERR_IO : 0;
}

int file_write_back(int fd, int64_t at, int64_t size)
{
    if (faulted(FILE_CALL_SYNC, fd, NULL))
        return ERR_IO;
    int rc = sync_file_range(
        fd, at, size, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    return rc && errno == EIO ? ERR_IO : 0; // else there is none here: the sync writes it
}

int file_sync_dir(const char *path)
{
    int fd = file_open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    int rc = file_sync(fd);
    file_close(fd);
    return rc;
}

int file_sync_filesystem(const char *path)
{
    int fd = file_open(path, O_RDONLY);
    if (fd < 0)
        return fd;
    int rc = faulted(FILE_CALL_SYNC, fd, NULL) || syncfs(fd) ? ERR_IO : 0;
    file_close(fd);
    return rc;
}

int file_stat(const char *path, int64_t *size, int64_t *modified_ms)
{
    struct stat st;
    if (faulted(FILE_CALL_STAT, -1, path) || stat(path, &st))
        return error_of_errno();
    if (size)
        *size = st.st_size;
    if (modified_ms)
        *modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int file_space(const char *path, int64_t *total_bytes, int64_t *usable_bytes, bool *read_only)
{
    struct statvfs s;
    int rc;
    do {
        rc = statvfs(path, &s);
    } while (rc && errno == EINTR);
    if (rc)
        return error_of_errno();
    *total_bytes = (int64_t)s.f_blocks * (int64_t)s.f_frsize;
    *usable_bytes = (int64_t)s.f_bavail * (int64_t)s.f_frsize;
    *read_only = s.f_flag & ST_RDONLY;
    return 0;
}

int file_set_modified(int fd, int64_t modified_ms)
{
    struct timespec modified = {.tv_sec = modified_ms / 1000, .tv_nsec = modified_ms % 1000 * 1000000};
    return result(futimens(fd, (const struct timespec[2]){{.tv_nsec = UTIME_OMIT}, modified}));
}

int file_unlink(const char *path)
{
    return faulted(FILE_CALL_UNLINK, -1, path) ? error_of_errno() : result(unlink(path));
}

int file_rename(const char *from, const char *to)
{
    return faulted(FILE_CALL_RENAME, -1, from) ? error_of_errno() : result(rename(from, to));
}

int file_make_dir(const char *path)
{
    return faulted(FILE_CALL_MAKE_DIR, -1, path) ? error_of_errno() : result(mkdir(path, 0755));
}

int file_make_dirs(const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return ERR_INVALID;
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != 0)
            continue;
        char kept = part[i];
        part[i] = 0;
        int rc = file_exists(part) ? 0 : file_make_dir(part);
        if (rc && rc != ERR_EXISTS)
            return rc;
        part[i] = kept;
    }
    return 0;
}

static int remove_at(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return error_of_errno();
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int rc = error_of_errno();
        file_close(fd);
        return rc;
    }
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = remove_at(fd, e->d_name);
    closedir(dir);
    return rc ? rc : result(unlinkat(parent, name, AT_REMOVEDIR));
}

int file_remove_tree(const char *path)
{
    return faulted(FILE_CALL_UNLINK, -1, path) ? error_of_errno() : remove_at(AT_FDCWD, path);
}

int file_read_whole(const char *path, size_t limit_bytes, struct buffer *out)
{
    int fd = file_open(path, O_RDONLY);
    if (fd < 0)
        return fd;
    int64_t size;
    size_t got = 0;
    int rc = file_size(fd, &size);
    if (rc == 0 && (uint64_t)size > limit_bytes)
        rc = ERR_LIMIT;
    uint8_t *to = rc ? NULL : buffer_reserve(out, (size_t)size + 1);
    if (rc == 0 && !to)
        rc = ERR_NOMEM;
    if (rc == 0)
        rc = file_read_at(fd, to, (size_t)size, 0, &got);
    out->size += got;
    file_close(fd);
    return rc;
}

static int replace(const char *dir, const char *name, const void *data, size_t size, bool sync, bool sync_dir)
{
    char temporary[PATH_MAX], final[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s/%s.tmp", dir, name) >= (int)sizeof temporary)
        return ERR_INVALID;
    snprintf(final, sizeof final, "%s/%s", dir, name);
    int fd = file_open(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    int rc = file_write_at(fd, data, size, 0);
    if (rc == 0 && sync)
        rc = file_sync(fd);
    file_close(fd);
    if (rc == 0)
        rc = file_rename(temporary, final);
    if (rc) {
        int kept = errno;
        unlink(temporary);
        errno = kept;
        return rc;
    }
    return sync_dir ? file_sync_dir(dir) : 0;
}

int file_replace(const char *dir, const char *name, const void *data, size_t size)
{
    return replace(dir, name, data, size, true, true);
}

int file_replace_synced(const char *dir, const char *name, const void *data, size_t size)
{
    return replace(dir, name, data, size, true, false);
}

int file_replace_unsynced(const char *dir, const char *name, const void *data, size_t size)
{
    return replace(dir, name, data, size, false, false);
}

int file_list(const char *path, int (*fn)(void *arg, const char *name), void *arg)
{
    DIR *dir = faulted(FILE_CALL_LIST, -1, path) ? NULL : opendir(path);
    if (!dir)
        return error_of_errno();
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        struct dirent *e = readdir(dir);
        if (!e) {
            rc = errno ? error_of_errno() : 0;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = fn(arg, e->d_name);
    }
    closedir(dir);
    return rc;
}

int file_lock(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? ERR_AGAIN : error_of_errno();
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &whole))
        return errno == EACCES || errno == EAGAIN ? ERR_AGAIN : error_of_errno();
    return 0;
}
