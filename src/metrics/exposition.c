#include "metrics/exposition.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

// Powers of two of a microsecond: 64 us to 34 s.
#define FIRST_POWER 6
#define LAST_POWER  25

#define REPLACEMENT "\xef\xbf\xbd" // U+FFFD

void exposition_family(struct exposition *e, const char *name, const char *type, const char *help)
{
    e->family = name;
    buffer_printf(e->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_value(struct buffer *out, struct str value)
{
    for (size_t i = 0, n; i < value.size; i += n ? n : 1) {
        n = utf8_front((const uint8_t *)value.data + i, value.size - i);
        if (n == 0 || value.data[i] == 0) {
            buffer_text(out, REPLACEMENT);
        } else if (value.data[i] == '\n') {
            buffer_text(out, "\\n");
        } else {
            if (value.data[i] == '"' || value.data[i] == '\\')
                buffer_byte(out, '\\');
            buffer_append(out, value.data + i, n);
        }
    }
}

// `bound`: of a bucket; NULL: of none.
static void put_name(struct exposition *e, const char *suffix, const struct metric_label *labels,
                     size_t count, const char *bound)
{
    buffer_printf(e->out, "%s%s", e->family, suffix);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(e->out, "%c%s=\"", i ? ',' : '{', labels[i].name);
        put_value(e->out, labels[i].value);
        buffer_byte(e->out, '"');
    }
    if (bound)
        buffer_printf(e->out, "%cle=\"%s\"", count ? ',' : '{', bound);
    if (count || bound)
        buffer_byte(e->out, '}');
    buffer_byte(e->out, ' ');
}

static void put_number(struct buffer *out, double value)
{
    bool whole = fabs(value) < 0x1p53 && floor(value) == value;
    buffer_printf(out, whole ? "%.0f\n" : "%.15g\n", value);
}

void exposition_add(struct exposition *e, const struct metric_label *labels, size_t count, double value)
{
    put_name(e, "", labels, count, NULL);
    put_number(e->out, value);
}

void exposition_histogram(struct exposition *e, const struct metric_label *labels, size_t count,
                          const struct histogram_values *values)
{
    uint64_t seen = 0;
    size_t bucket = 0;
    for (unsigned power = FIRST_POWER; power <= LAST_POWER; power++) {
        char bound[32];
        uint64_t us = UINT64_C(1) << power;
        for (; bucket < HISTOGRAM_BUCKETS && histogram_bound(bucket) <= us; bucket++)
            seen += values->buckets[bucket];
        snprintf(bound, sizeof bound, "%.9g", (double)us / 1e6);
        put_name(e, "_bucket", labels, count, bound);
        put_number(e->out, (double)seen);
    }
    put_name(e, "_bucket", labels, count, "+Inf");
    put_number(e->out, (double)values->count);
    put_name(e, "_sum", labels, count, NULL);
    put_number(e->out, (double)values->sum / 1e6);
    put_name(e, "_count", labels, count, NULL);
    put_number(e->out, (double)values->count);
}

void exposition_one(struct exposition *e, const char *name, const char *type, const char *help, double value)
{
    exposition_family(e, name, type, help);
    exposition_add(e, NULL, 0, value);
}
