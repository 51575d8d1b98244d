// Memory straight from the kernel, for large buffers that are kept and reused: it does not fragment the heap,
// and goes back when freed. Any thread.
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <stddef.h>

// Zeroed pages that cost nothing before they are touched; NULL when out of memory (or address space).
void *memory_map(size_t size);
void memory_unmap(void *at, size_t size);

// Has large blocks of malloc's given back when they are freed, by whichever thread: by default the C library
// raises what it calls large to 32 MB as it goes, and keeps the rest in a heap for each thread. For a
// server's process, before its threads start.
void memory_give_back(void);

#endif
