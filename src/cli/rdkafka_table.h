// librdkafka, loaded when it is first needed: only producing and consuming use it, and the server pays
// nothing for it. Functions are called through the table: k->rd_kafka_new(...).
#ifndef CLI_RDKAFKA_TABLE_H
#define CLI_RDKAFKA_TABLE_H

#include "cli/cli.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

#define RDKAFKA_FUNCTIONS(F)                 \
    F(rd_kafka_conf_new)                     \
    F(rd_kafka_conf_set)                     \
    F(rd_kafka_conf_destroy)                 \
    F(rd_kafka_conf_set_opaque)              \
    F(rd_kafka_conf_set_dr_msg_cb)           \
    F(rd_kafka_conf_set_error_cb)            \
    F(rd_kafka_conf_set_log_cb)              \
    F(rd_kafka_new)                          \
    F(rd_kafka_destroy)                      \
    F(rd_kafka_err2str)                      \
    F(rd_kafka_last_error)                   \
    F(rd_kafka_clusterid)                    \
    F(rd_kafka_mem_free)                     \
    F(rd_kafka_poll)                         \
    F(rd_kafka_flush)                        \
    F(rd_kafka_producev)                     \
    F(rd_kafka_topic_new)                    \
    F(rd_kafka_topic_name)                   \
    F(rd_kafka_topic_destroy)                \
    F(rd_kafka_metadata)                     \
    F(rd_kafka_metadata_destroy)             \
    F(rd_kafka_headers_new)                  \
    F(rd_kafka_headers_copy)                 \
    F(rd_kafka_headers_destroy)              \
    F(rd_kafka_header_add)                   \
    F(rd_kafka_header_get_all)               \
    F(rd_kafka_message_headers)              \
    F(rd_kafka_message_timestamp)            \
    F(rd_kafka_message_destroy)              \
    F(rd_kafka_topic_partition_list_new)     \
    F(rd_kafka_topic_partition_list_add)     \
    F(rd_kafka_topic_partition_list_destroy) \
    F(rd_kafka_query_watermark_offsets)      \
    F(rd_kafka_offsets_for_times)            \
    F(rd_kafka_queue_new)                    \
    F(rd_kafka_queue_destroy)                \
    F(rd_kafka_consume_start_queue)          \
    F(rd_kafka_consume_queue)                \
    F(rd_kafka_consume_stop)

struct rdkafka {
#define RDKAFKA_FIELD(name) __typeof__(&name) name;
    RDKAFKA_FUNCTIONS(RDKAFKA_FIELD)
#undef RDKAFKA_FIELD
};

// NULL, with a line for a person in `message`, when the library is not there or too old. Main thread.
const struct rdkafka *rdkafka_load(char *message, size_t size);

struct rdkafka_setting {
    const char *name, *value;
};

// bootstrap.servers, client.id, no chatter on standard error; then the command's own settings; then the
// user's "name=value" ones, which therefore count most. NULL, with a message, when one is refused.
rd_kafka_conf_t *rdkafka_conf(const struct rdkafka *k, const char *servers, const struct rdkafka_setting *own,
                              size_t own_count, const char *const *users, size_t user_count, char *message,
                              size_t size);

// Waits until a broker has told of its cluster; its callbacks run meanwhile. False, with a message: none did
// within the time; or, as a broker that is about to start gets a moment only, nobody was there at all.
bool rdkafka_wait_for_broker(const struct command *command, const struct rdkafka *k, rd_kafka_t *rk,
                             const char *servers, int64_t timeout_s, char *message, size_t size);

// The last error of a broker that librdkafka reported: what to tell when nothing works. Empty: none.
const char *rdkafka_last_problem(void);

#endif
