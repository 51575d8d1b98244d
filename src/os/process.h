// What this process uses, as the kernel counts it. Any thread.
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include <stdint.h>

struct process_usage {
    double cpu_seconds;   // of all its threads, in user and kernel mode
    double start_seconds; // since 1970
    uint64_t resident_bytes, virtual_bytes;
    uint64_t threads, open_files, open_files_most;
};

// What cannot be read stays 0.
void process_usage(struct process_usage *out);

// Reads the text of /proc/self/stat, whose ticks and pages are of these sizes (for tests). 0, or ERR_CORRUPT.
int process_stat_read(const char *text, double ticks_per_second, uint64_t page_bytes,
                      struct process_usage *out, double *start_after_boot_seconds);

#endif
