// What storage needs to know of a topic's configuration: numbers and flags, no text. "config" fills it from
// Kafka's names; the comment on each field gives the topic's setting. A plain value: copy it.
#ifndef STORAGE_LOG_CONFIG_H
#define STORAGE_LOG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

// Kafka's numbers of the codecs in a batch's attributes; LOG_COMPRESSION_PRODUCER keeps what the producer
// chose.
enum log_compression {
    LOG_COMPRESSION_PRODUCER = -1,
    LOG_COMPRESSION_NONE = 0,
    LOG_COMPRESSION_GZIP = 1,
    LOG_COMPRESSION_SNAPPY = 2,
    LOG_COMPRESSION_LZ4 = 3,
    LOG_COMPRESSION_ZSTD = 4,
};

struct log_config {
    // Segments and indexes.
    int32_t segment_bytes; // segment.bytes (or internal.segment.bytes in tests): a roll keeps a file below it
    int64_t segment_ms;    // segment.ms
    int64_t segment_jitter_ms;    // segment.jitter.ms: at most this much is taken off segment_ms, at random
    int32_t segment_index_bytes;  // segment.index.bytes: the most an offset or time index may hold
    int32_t index_interval_bytes; // index.interval.bytes
    int64_t file_delete_delay_ms; // file.delete.delay.ms
    bool preallocate;             // preallocate: a new segment takes its room on the disk at once

    // What a produced batch may be.
    int32_t max_message_bytes;           // max.message.bytes
    enum log_compression compression;    // compression.type
    int32_t gzip_level;                  // compression.gzip.level
    int32_t lz4_level;                   // compression.lz4.level
    int32_t zstd_level;                  // compression.zstd.level
    bool timestamp_log_append;           // message.timestamp.type=LogAppendTime
    int64_t timestamp_before_max_ms;     // message.timestamp.before.max.ms
    int64_t timestamp_after_max_ms;      // message.timestamp.after.max.ms
    int32_t min_insync_replicas;         // min.insync.replicas
    bool unclean_leader_election_enable; // unclean.leader.election.enable

    // What is removed, and when.
    bool cleanup_delete, cleanup_compact; // cleanup.policy; both false is the empty policy
    int64_t retention_ms;                 // retention.ms; -1: for ever
    int64_t retention_bytes;              // retention.bytes; -1: no limit
    int64_t delete_retention_ms;          // delete.retention.ms
    int64_t min_compaction_lag_ms;        // min.compaction.lag.ms
    int64_t max_compaction_lag_ms;        // max.compaction.lag.ms
    double min_cleanable_dirty_ratio;     // min.cleanable.dirty.ratio

    // What is flushed, and when. INT64_MAX: left to the kernel.
    int64_t flush_messages; // flush.messages
    int64_t flush_ms;       // flush.ms

    // Of the broker, the same for every topic.
    int64_t producer_id_expiration_ms; // producer.id.expiration.ms
    bool verify_transactions;          // transaction.partition.verification.enable
};

// Kafka 4.3's defaults.
static inline struct log_config log_config_default(void)
{
    return (struct log_config){
        .segment_bytes = 1 << 30,
        .segment_ms = INT64_C(7) * 24 * 3600 * 1000,
        .segment_jitter_ms = 0,
        .segment_index_bytes = 10 << 20,
        .index_interval_bytes = 4096,
        .file_delete_delay_ms = 60000,
        .max_message_bytes = 1048588,
        .compression = LOG_COMPRESSION_PRODUCER,
        .gzip_level = -1,
        .lz4_level = 9,
        .zstd_level = 3,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = 3600000,
        .min_insync_replicas = 1,
        .cleanup_delete = true,
        .retention_ms = INT64_C(7) * 24 * 3600 * 1000,
        .retention_bytes = -1,
        .delete_retention_ms = 86400000,
        .min_compaction_lag_ms = 0,
        .max_compaction_lag_ms = INT64_MAX,
        .min_cleanable_dirty_ratio = 0.5,
        .flush_messages = INT64_MAX,
        .flush_ms = INT64_MAX,
        .producer_id_expiration_ms = 86400000,
        .verify_transactions = true,
    };
}

// After how long a segment is sealed: where the log is compacted, in time for max.compaction.lag.ms.
static inline int64_t log_config_roll_ms(const struct log_config *c)
{
    bool sooner =
        c->cleanup_compact && c->max_compaction_lag_ms > 0 && c->max_compaction_lag_ms < c->segment_ms;
    return sooner ? c->max_compaction_lag_ms : c->segment_ms;
}

#endif
