#include "os/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define STAT_BYTES 4096

// Field numbers of proc(5).
enum {
    FIELD_STATE = 3,
    FIELD_USER = 14,
    FIELD_SYSTEM,
    FIELD_THREADS = 20,
    FIELD_START = 22,
    FIELD_VIRTUAL,
    FIELD_RESIDENT
};

int process_stat_read(const char *text, double ticks_per_second, uint64_t page_bytes,
                      struct process_usage *out, double *start_after_boot_seconds)
{
    uint64_t fields[FIELD_RESIDENT + 1] = {0};
    const char *at = strrchr(text, ')'); // the command may have blanks and brackets of its own
    if (!at)
        return ERR_CORRUPT;
    at++;
    for (int field = FIELD_STATE; field <= FIELD_RESIDENT; field++) {
        at += strspn(at, " ");
        if (!*at)
            return ERR_CORRUPT;
        fields[field] = strtoull(at, NULL, 10);
        at += strcspn(at, " ");
    }
    out->cpu_seconds = (double)(fields[FIELD_USER] + fields[FIELD_SYSTEM]) / ticks_per_second;
    out->threads = fields[FIELD_THREADS];
    out->virtual_bytes = fields[FIELD_VIRTUAL];
    out->resident_bytes = fields[FIELD_RESIDENT] * page_bytes;
    *start_after_boot_seconds = (double)fields[FIELD_START] / ticks_per_second;
    return 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static double
    boot_seconds; // since 1970. Found out once: as the wall clock is set, its distance from the boot changes

static void find_boot(void)
{
    struct timespec wall, since_boot;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    boot_seconds =
        (double)(wall.tv_sec - since_boot.tv_sec) + (double)(wall.tv_nsec - since_boot.tv_nsec) / 1e9;
}

static void read_stat(struct process_usage *out)
{
    char text[STAT_BYTES];
    double start;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = 0;
    if (process_stat_read(text, (double)sysconf(_SC_CLK_TCK), (uint64_t)sysconf(_SC_PAGESIZE), out, &start))
        return;
    pthread_once(&once, find_boot);
    out->start_seconds = round((boot_seconds + start) * 100) / 100;
}

static uint64_t count_open_files(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    for (const struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count > 0 ? count - 1 : 0; // without the one that it is read through
}

void process_usage(struct process_usage *out)
{
    struct rlimit files;
    *out = (struct process_usage){0};
    read_stat(out);
    out->open_files = count_open_files();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        out->open_files_most = files.rlim_cur;
}
