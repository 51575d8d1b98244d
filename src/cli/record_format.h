// How consume prints a record: a format for people, or JSON. One thread.
#ifndef CLI_RECORD_FORMAT_H
#define CLI_RECORD_FORMAT_H

#include "base/buffer.h"
#include "cli/rdkafka_table.h"

// Whether a format has only what the list knows: %t topic, %p partition, %o offset, %T time in ms, %D time,
// %k key, %v value, %h headers, %s the value's size, %%, and \n, \t, \0, \\. *at gets the first place that is
// not understood.
bool record_format_valid(const char *format, const char **at);

// Appends the record in a valid format.
void record_format(const struct rdkafka *k, const char *format, const rd_kafka_message_t *m,
                   struct buffer *out);

// Appends the record as one line of JSON.
void record_json(const struct rdkafka *k, const rd_kafka_message_t *m, struct buffer *out);

#endif
