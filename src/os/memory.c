#include "os/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#define LARGE_BYTES (512 * 1024) // half of an arena's largest block

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
