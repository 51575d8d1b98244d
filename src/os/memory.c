#include "os/memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

#define VMSTAT_BYTES 16384        // it takes about 5,000
#define LARGE_BYTES  (512 * 1024) // half of an arena's largest block

void *memory_map(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void memory_unmap(void *at, size_t size)
{
    munmap(at, size);
}

void memory_give_back(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
}

// The number behind a name at the start of a line; -1: there is none.
static int64_t number_of(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return strtoll(line + length, NULL, 10);
    return -1;
}

int memory_dirty_pages_read(const char *vmstat, int64_t *dirty, int64_t *background)
{
    *dirty = number_of(vmstat, "nr_dirty");
    *background = number_of(vmstat, "nr_dirty_background_threshold");
    return *dirty < 0 || *background < 0 ? ERR_NOT_FOUND : 0;
}

int memory_dirty_pages(int64_t *dirty, int64_t *background)
{
    char text[VMSTAT_BYTES];
    size_t size = 0;
    int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_NOT_FOUND;
    for (ssize_t n; size < sizeof text - 1 && (n = read(fd, text + size, sizeof text - 1 - size)) > 0;)
        size += (size_t)n;
    close(fd);
    text[size] = 0;
    return memory_dirty_pages_read(text, dirty, background);
}
