// Loaded into a broker (LD_PRELOAD): a read of at least SLOW_BYTES of a log whose path holds the word in
// SLOW_IN waits as long as the file SLOW_WHILE exists. SLOW_WHILE.waits has the path of each, a line.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *obstacle, const char *path)
{
    char line[5000];
    snprintf(line, sizeof line, "%s.waits", obstacle);
    int fd = open(line, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    int size = snprintf(line, sizeof line, "%s\n", path);
    (void)!write(fd, line, (size_t)size);
    close(fd);
}

static void be_slow(int fd, size_t bytes)
{
    char link[64], path[4096];
    const char *word = getenv("SLOW_IN"), *obstacle = getenv("SLOW_WHILE"), *least = getenv("SLOW_BYTES");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    bool is_meant = word && obstacle && (!least || bytes >= strtoul(least, NULL, 10));
    ssize_t size = is_meant ? readlink(link, path, sizeof path - 1) : -1;
    if (size < 4)
        return;
    path[size] = 0;
    if (!strstr(path, word) || strcmp(path + size - 4, ".log") != 0)
        return;
    struct timespec pause = {0, 10 * 1000 * 1000};
    if (access(obstacle, F_OK) == 0)
        tell(obstacle, path);
    while (access(obstacle, F_OK) == 0)
        nanosleep(&pause, NULL);
}

ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (!real)
        real = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    be_slow(fd, size);
    return real(fd, to, size, offset);
}

ssize_t pread64(int fd, void *to, size_t size, off_t offset)
{
    return pread(fd, to, size, offset);
}
