// One directory of log.dirs: its lock, meta.properties, the clean-stop marker and the checkpoint files at its
// root, all in Apache Kafka's formats.
#ifndef STORAGE_LOG_DIR_H
#define STORAGE_LOG_DIR_H

#include "base/bytes.h"
#include "base/uuid.h"
#include "storage/dir_health.h"

#include <stdatomic.h>

#define LOG_DIR_CLUSTER_ID_BYTES 64

// meta.properties, version 1.
struct meta_properties {
    char cluster_id[LOG_DIR_CLUSTER_ID_BYTES]; // as text: clusters formatted long ago have ids that are no
                                               // uuid
    int32_t node_id;
    struct uuid directory_id; // zero: the file names none
};

struct log_dir {
    char *path;                  // absolute or as configured; owned
    int lock_fd;                 // of .lock; -1 when not locked
    bool has_meta;               // meta.properties was there
    struct meta_properties meta; // valid when has_meta
    bool clean;                  // .kafka_cleanshutdown was there
    int64_t broker_epoch;        // from it, or -1
    atomic_bool cordoned;        // takes no new logs (cordoned.log.dirs, KIP-1066); any thread
    struct dir_health health;
};

// Makes the directory when it is missing, locks it (flock and fcntl on .lock, so that a running Java broker
// and another Odradek are kept out and kept out by us), reads meta.properties and the clean-stop marker.
// Changes nothing else. ERR_AGAIN: another process holds the lock; ERR_CORRUPT: meta.properties is no such
// file; ERR_IO. `message` (may be NULL) receives one line for a person.
int log_dir_open(const char *path, struct log_dir **out, char *message, size_t message_size);

// A directory that cannot be opened and is off line from the beginning (health.failed). NULL: out of memory.
struct log_dir *log_dir_absent(const char *path);

// Reads meta.properties alone. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO.
int log_dir_read_meta(const char *dir, struct meta_properties *out);

// Unlocks and frees. NULL is fine.
void log_dir_close(struct log_dir *dir);

// Whether the directory holds nothing but .lock and what file systems put there (lost+found).
// 1, 0 or a negative error.
int log_dir_is_empty(const struct log_dir *dir);

// Writes meta.properties (temporary name, fsync, rename, fsync of the directory) and dir->meta.
int log_dir_write_meta(struct log_dir *dir, const struct meta_properties *meta);

// The marker of a clean stop. Removed (durably) before the first write after a start, written last at a stop.
// broker_epoch -1 is Kafka's "unknown".
int log_dir_write_clean_marker(struct log_dir *dir, int64_t broker_epoch);
int log_dir_remove_clean_marker(struct log_dir *dir);

// Whether its data was written under the running kernel's boot, whose page cache then has all of it; notes
// that it is from now on.
bool log_dir_is_of_this_boot(const char *dir);
int log_dir_note_boot(const char *dir);

#endif
