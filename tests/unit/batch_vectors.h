// Reads tests/vectors/batches.txt: batches made by Apache Kafka.
#ifndef BATCH_VECTORS_H
#define BATCH_VECTORS_H

#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>

struct batch_vector {
    char name[16], compression[16], timestamp_type[16];
    struct buffer batch;
};

static inline int hex_digit(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

// All vectors, *count of them; vectors_free them.
static inline struct batch_vector *vectors_load(size_t *count)
{
    FILE *f = fopen(BATCH_VECTORS, "r");
    assert_non_null(f);
    struct batch_vector *all = NULL;
    char *line = NULL;
    size_t capacity = 0;
    *count = 0;
    while (getline(&line, &capacity, f) > 0) {
        struct batch_vector v = {0};
        int hex = 0;
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%15s %15s %15s %n", v.name, v.compression, v.timestamp_type, &hex), 3);
        for (const char *at = line + hex; at[0] > ' '; at += 2)
            buffer_byte(&v.batch, (uint8_t)(hex_digit(at[0]) << 4 | hex_digit(at[1])));
        all = realloc(all, (*count + 1) * sizeof *all);
        all[(*count)++] = v;
    }
    free(line);
    fclose(f);
    assert_true(*count > 0);
    return all;
}

static inline void vectors_free(struct batch_vector *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_free(&all[i].batch);
    free(all);
}

#endif
