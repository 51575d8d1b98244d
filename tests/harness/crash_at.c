// Loaded into a broker (LD_PRELOAD): ends it, as kill -9 would, at its n-th write to a file whose path holds
// one of the words in CRASH_IN and ends with CRASH_SUFFIX. CRASH_AT is n, from 1 on; CRASH_HOW is what
// becomes of that append: "before" it, "after" it, or "torn", with half of it written. The file CRASH_LOG
// gets a line for each append, and so tells a run without CRASH_AT how many there are. With
// CRASH_CALLS=rename it is the n-th rename of such a path, in place of the writes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long count;

static void note(const char *path)
{
    const char *log = getenv("CRASH_LOG");
    int fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (fd < 0)
        return;
    dprintf(fd, "%s\n", path);
    close(fd);
}

static int renames(void)
{
    const char *calls = getenv("CRASH_CALLS");
    return calls && strcmp(calls, "rename") == 0;
}

// Whether this is a path that counts.
static int counts_path(const char *path)
{
    char words[1024];
    const char *wanted = getenv("CRASH_IN"), *suffix = getenv("CRASH_SUFFIX");
    size_t size = strlen(path), tail = suffix ? strlen(suffix) : 0;
    if (!wanted || size < tail)
        return 0;
    if (suffix && strcmp(path + size - tail, suffix) != 0)
        return 0;
    snprintf(words, sizeof words, "%s", wanted);
    for (char *save, *word = strtok_r(words, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        if (strstr(path, word)) {
            note(path);
            return 1;
        }
    }
    return 0;
}

static int counts(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = renames() ? -1 : readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return counts_path(path);
}

static void end(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int is_the_one(int is_counted)
{
    const char *at = getenv("CRASH_AT");
    return is_counted && at && atomic_fetch_add(&count, 1) + 1 == strtol(at, NULL, 10);
}

static int is_how(const char *word)
{
    const char *how = getenv("CRASH_HOW");
    return how && strcmp(how, word) == 0;
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real)
        real = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    if (!is_the_one(counts(fd)))
        return real(fd, from, size, offset);
    if (!is_how("before"))
        real(fd, from, is_how("torn") ? size / 2 : size, offset);
    end();
    return -1;
}

ssize_t pwritev(int fd, const struct iovec *parts, int parts_count, off_t offset)
{
    static ssize_t (*real)(int, const struct iovec *, int, off_t);
    if (!real)
        real = (ssize_t(*)(int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "pwritev");
    if (!is_the_one(counts(fd)))
        return real(fd, parts, parts_count, offset);
    if (is_how("torn")) {
        struct iovec half = {parts[0].iov_base, parts[0].iov_len / 2};
        real(fd, &half, 1, offset);
    } else if (!is_how("before")) {
        real(fd, parts, parts_count, offset);
    }
    end();
    return -1;
}

int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (!real)
        real = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    if (!is_the_one(renames() && counts_path(from)))
        return real(from, to);
    if (!is_how("before"))
        real(from, to);
    end();
    return -1;
}

ssize_t pwrite64(int fd, const void *from, size_t size, off_t offset)
{
    return pwrite(fd, from, size, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int parts_count, off_t offset)
{
    return pwritev(fd, parts, parts_count, offset);
}
