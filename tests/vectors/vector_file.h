// Files of conformance vectors, gzipped or not. A line: kind, name, API key or record type (-1: none),
// version, the body in hex (- when empty), and the message as JSON; empty lines and lines that begin with #
// are skipped.
#ifndef TESTS_VECTOR_FILE_H
#define TESTS_VECTOR_FILE_H

#include "protocol/codec.h"

struct vector {
    unsigned line; // from 1
    const struct message_type *type;
    int16_t version;
    struct bytes body;
    const char *json;
    const char *problem; // why the line could not be read (then only `line` is set), or NULL
};

// Calls `visit` for each vector; what it is given lives until it returns, the arena is reset before the next.
// 0, or an error after a line on standard error: ERR_IO (cannot open), ERR_CORRUPT (cut short or damaged).
int vector_file_each(const char *path,
                     void (*visit)(void *context, const struct vector *v, struct arena *arena),
                     void *context);

#endif
