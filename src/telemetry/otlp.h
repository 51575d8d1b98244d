// What clients push: OpenTelemetry's metrics as protobuf (opentelemetry.proto.metrics.v1, MetricsData), read
// just far enough to show names and values. Pure; any thread.
#ifndef TELEMETRY_OTLP_H
#define TELEMETRY_OTLP_H

#include "base/arena.h"
#include "base/bytes.h"

#define OTLP_VALUES_MOST      512        // of a push, that are kept
#define OTLP_TEXT_MOST_BYTES  (64 << 10) // of their names and attributes
#define OTLP_ATTRIBUTES_BYTES 1024       // of one value; those that do not fit are left out

struct otlp_value {
    struct str name;
    struct str attributes; // "topic=orders,partition=0"; bytes as the client sent them
    const char *type;      // "gauge", "sum", "histogram", "exponential histogram" or "summary"; static
    double value;          // of the last three: the sum of what was observed
};

struct otlp_values {
    struct otlp_value *items; // in the arena; names are views into the payload
    size_t count;
    size_t left_out; // beyond the limits
};

// 0, ERR_CORRUPT (no protobuf message of this kind), or ERR_NOMEM.
int otlp_read(struct bytes payload, struct arena *arena, struct otlp_values *out);

#endif
