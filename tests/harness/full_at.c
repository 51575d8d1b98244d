// Loaded into a broker (LD_PRELOAD): as long as the file FULL_WHILE exists, no file has room whose path is
// like the pattern in it (fnmatch): writing to it, or making it, fails with ENOSPC. With a '+' before the
// pattern only making it does. The file FULL_LOG gets a line for each refusal.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

typedef int open_fn(const char *, int, ...);
typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
typedef ssize_t pwritev_fn(int, const struct iovec *, int, off_t);
typedef int fallocate_fn(int, int, off_t, off_t);
typedef int mkdir_fn(const char *, mode_t);

static int real_open(const char *path, int flags, mode_t mode)
{
    static open_fn *real;
    if (!real)
        real = (open_fn *)dlsym(RTLD_NEXT, "open");
    return real(path, flags, mode);
}

static int refused(const char *path, int making)
{
    char pattern[512];
    const char *obstacle = getenv("FULL_WHILE"), *log = getenv("FULL_LOG");
    int fd = obstacle ? real_open(obstacle, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, pattern, sizeof pattern - 1);
    close(fd);
    pattern[size < 0 ? 0 : size] = 0;
    int only_making = pattern[0] == '+';
    if ((only_making && !making) || fnmatch(pattern + only_making, path, 0) != 0)
        return 0;
    fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    dprintf(fd, "%s\n", path);
    close(fd);
    errno = ENOSPC;
    return 1;
}

static int refused_fd(int fd)
{
    char link[64], path[4096];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    if (size >= 0 && refused(path, 0))
        return 1;
    errno = kept;
    return 0;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
        if (access(path, F_OK) != 0 && refused(path, 1))
            return -1;
    }
    return real_open(path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    static mkdir_fn *real;
    if (!real)
        real = (mkdir_fn *)dlsym(RTLD_NEXT, "mkdir");
    return refused(path, 1) ? -1 : real(path, mode);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t offset)
{
    static pwrite_fn *real;
    if (!real)
        real = (pwrite_fn *)dlsym(RTLD_NEXT, "pwrite");
    return refused_fd(fd) ? -1 : real(fd, from, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    static pwritev_fn *real;
    if (!real)
        real = (pwritev_fn *)dlsym(RTLD_NEXT, "pwritev");
    return refused_fd(fd) ? -1 : real(fd, parts, count, offset);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    static fallocate_fn *real;
    if (!real)
        real = (fallocate_fn *)dlsym(RTLD_NEXT, "fallocate");
    return refused_fd(fd) ? -1 : real(fd, mode, at, size);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
ssize_t pwritev64(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev")));
int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));
