// Removes files and directories that are no longer used, some time later and off the hot path. Any thread.
#ifndef STORAGE_REAPER_H
#define STORAGE_REAPER_H

#include <stddef.h>
#include <stdint.h>

struct reaper;

struct reaper *reaper_new(void);         // NULL: out of memory
void reaper_free(struct reaper *reaper); // what is still due stays on disk; a start removes it

// Removes `path` (a file, or a directory with all below it) once reaper_run sees due_ms (monotonic). With a
// NULL reaper, or no memory, it is removed at once.
void reaper_add(struct reaper *reaper, const char *path, int64_t due_ms);

// Removes what is due, at most `limit` paths; returns how many it removed. One thread.
size_t reaper_run(struct reaper *reaper, int64_t now_ms, size_t limit);

// A directory was renamed: what waits below `from` now lies below `to`.
void reaper_moved(struct reaper *reaper, const char *from, const char *to);

#endif
