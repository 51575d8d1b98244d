// The text format of Prometheus, version 0.0.4: a family (name, help, type), then its samples. One thread.
#ifndef METRICS_EXPOSITION_H
#define METRICS_EXPOSITION_H

#include "base/buffer.h"
#include "metrics/histogram.h"

struct metric_label {
    const char *name;
    struct str value; // any bytes: what is no UTF-8 in it, or a zero, is replaced
};

struct exposition {
    struct buffer *out;
    const char *family;
};

// The samples that follow are of this family. Static text; type: "counter", "gauge" or "histogram".
void exposition_family(struct exposition *e, const char *name, const char *type, const char *help);

void exposition_add(struct exposition *e, const struct metric_label *labels, size_t count, double value);

// Of a histogram whose values are in microseconds, in seconds: its buckets at powers of two.
void exposition_histogram(struct exposition *e, const struct metric_label *labels, size_t count,
                          const struct histogram_values *values);

// A family of one sample without labels.
void exposition_one(struct exposition *e, const char *name, const char *type, const char *help, double value);

#endif
