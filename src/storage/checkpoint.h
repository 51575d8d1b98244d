// Kafka's checkpoint files: recovery-point-offset-checkpoint, log-start-offset-checkpoint,
// replication-offset-checkpoint, cleaner-offset-checkpoint. Text: version 0, a count, then "topic partition
// offset" a line. Written whole: temporary name, fsync, rename, fsync of the directory.
#ifndef STORAGE_CHECKPOINT_H
#define STORAGE_CHECKPOINT_H

#include "base/buffer.h"
#include "base/map.h"

#define CHECKPOINT_RECOVERY_POINT "recovery-point-offset-checkpoint"
#define CHECKPOINT_LOG_START      "log-start-offset-checkpoint"
#define CHECKPOINT_HIGH_WATERMARK "replication-offset-checkpoint"
#define CHECKPOINT_CLEANER        "cleaner-offset-checkpoint"
// Ours, in the same format: the size of the active segment where everything is flushed. A file that still has
// it holds nothing behind the recovery point, whatever stopped us.
#define CHECKPOINT_FLUSHED_SIZE "odradek-flushed-size-checkpoint"

// A file's entries, as read. Lookups are by "topic-partition".
struct checkpoint {
    struct map by_name; // to struct checkpoint_entry
    struct checkpoint_entry *entries;
    char *text; // names point into it
    size_t count;
};

struct checkpoint_entry {
    int64_t offset;
};

// Reads <dir>/<name>. A missing file gives an empty checkpoint. ERR_CORRUPT (and an empty checkpoint) when
// the file is not what it must be: the caller says so and goes on as after an unclean stop.
int checkpoint_read(const char *dir, const char *name, struct checkpoint *out);

// The offset of "topic-partition", or `otherwise`.
int64_t checkpoint_get(const struct checkpoint *c, struct str topic_partition, int64_t otherwise);

void checkpoint_free(struct checkpoint *c);

// Writing: start, add, then finish writes the file and frees.
struct checkpoint_writer {
    struct buffer lines;
    size_t count;
};

void checkpoint_writer_add(struct checkpoint_writer *w, const char *topic, int32_t partition, int64_t offset);
int checkpoint_writer_finish(struct checkpoint_writer *w, const char *dir, const char *name);

#endif
