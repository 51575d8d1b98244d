// Looks over the files of a log directory without changing or locking anything: what is damaged, where, and
// what the broker's next start would do about it. Nobody should write to them meanwhile. One thread.
#ifndef STORAGE_VERIFY_H
#define STORAGE_VERIFY_H

#include "base/buffer.h"
#include "storage/checkpoint.h"

struct verify_finding {
    const char *file;
    int64_t position; // byte in the file; -1: the file as a whole
    int64_t offset;   // in the log; -1: none
    const char
        *kind; // "batch-crc", "batch", "record", "offset", "index", "time-index", "transaction-index",
               // "producer-snapshot", "epochs", "partition-metadata", "checkpoint", "meta.properties", ...
    const char *what;  // a phrase
    const char *start; // what a start does about it
    bool remark;       // no damage: a broker that was killed leaves it so, and nothing is lost by it
};

struct verify {
    void (*found)(void *arg, const struct verify_finding *finding);
    void (*progress)(void *arg, const struct verify *v); // after each batch; may be NULL
    void *arg;
    uint64_t partitions, segments, batches, records, bytes;
    uint64_t damages, remarks;    // found
    struct buffer batch, scratch; // verify_free
};

// What the directory's root says of one of its logs.
struct verify_log {
    const char *dir;        // the partition's
    bool clean;             // the last stop was clean: a start reads nothing
    bool same_boot;         // it was none, and since then the machine ran on: a start checks the end alone
    int64_t recovery_point; // -1: not known
    int64_t log_start;      // -1: not known
    bool metadata;          // __cluster_metadata-0: its damage stops a start
};

void verify_report(struct verify *v, const struct verify_finding *finding);

// One partition's directory. 0, or an error that kept it from being read (ERR_NOT_FOUND, ERR_IO, ERR_NOMEM).
int verify_partition(struct verify *v, const struct verify_log *log);

// A directory of log.dirs: its files, and every partition in it.
int verify_log_dir(struct verify *v, const char *dir);

void verify_free(struct verify *v);

#endif
