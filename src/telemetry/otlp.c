#include "telemetry/otlp.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

#define FIELD_MOST (UINT32_C(1) << 29)

// A message that is walked field by field.
struct walk {
    const uint8_t *at, *end;
    bool bad;
};

struct field {
    uint32_t number;
    enum wire wire;
    uint64_t value;    // of a number, as it lies there
    struct bytes data; // of bytes, text, a message
};

static struct walk walk_of(struct bytes b)
{
    return (struct walk){b.data, bytes_end(b), false};
}

static uint64_t load_le(const uint8_t *at, size_t size)
{
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++)
        v |= (uint64_t)at[i] << 8 * i;
    return v;
}

static bool take_fixed(struct walk *w, size_t size, struct field *out)
{
    if ((size_t)(w->end - w->at) < size)
        return false;
    out->value = load_le(w->at, size);
    w->at += size;
    return true;
}

static bool take_varint(struct walk *w, uint64_t *out)
{
    size_t n = uvarlong_read(w->at, w->end, out);
    w->at += n;
    return n > 0;
}

static bool take_bytes(struct walk *w, struct field *out)
{
    uint64_t size;
    if (!take_varint(w, &size) || size > (uint64_t)(w->end - w->at))
        return false;
    out->data = (struct bytes){w->at, (size_t)size};
    w->at += size;
    return true;
}

// The next field. False at the end, or where it is malformed (w->bad).
static bool next(struct walk *w, struct field *out)
{
    uint64_t tag;
    if (w->bad || w->at == w->end)
        return false;
    *out = (struct field){.number = 0};
    w->bad = !take_varint(w, &tag) || tag >> 3 == 0 || tag >> 3 >= FIELD_MOST;
    if (w->bad)
        return false;
    out->number = (uint32_t)(tag >> 3);
    out->wire = (enum wire)(tag & 7);
    w->bad = out->wire == WIRE_VARINT    ? !take_varint(w, &out->value)
             : out->wire == WIRE_FIXED64 ? !take_fixed(w, 8, out)
             : out->wire == WIRE_FIXED32 ? !take_fixed(w, 4, out)
             : out->wire == WIRE_BYTES   ? !take_bytes(w, out)
                                         : true; // groups were never used here
    return !w->bad;
}

static double as_double(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

// ---------------------------------------------------------------- messages, from the outermost in

struct reading {
    struct arena *arena;
    struct otlp_values *out;
    size_t text_bytes;
    bool bad, no_memory;
};

// A kind of metric: its field in Metric, and where its data points have what.
struct kind {
    uint32_t field;
    const char *type;
    uint32_t attributes, sum; // sum: of what is no number by itself; else 0
};

static const struct kind kinds[] = {{5, "gauge", 7, 0},
                                    {7, "sum", 7, 0},
                                    {9, "histogram", 9, 5},
                                    {10, "exponential histogram", 1, 5},
                                    {11, "summary", 7, 5}};

#define POINTS        1 // of each of them: data_points
#define NUMBER_DOUBLE 4 // NumberDataPoint.as_double, as_int
#define NUMBER_INT    6

// The attributes of a value as text.
struct attributes {
    char text[OTLP_ATTRIBUTES_BYTES];
    size_t size;
};

// AnyValue as text, in `number` where it is one; a null view for what is no simple one.
static struct str any_value(struct reading *r, struct bytes in, char number[32])
{
    struct walk w = walk_of(in);
    struct str text = STR_NULL;
    for (struct field f; next(&w, &f);) {
        if (f.number == 1 && f.wire == WIRE_BYTES)
            text = (struct str){(const char *)f.data.data, f.data.size};
        else if (f.number == 2 && f.wire == WIRE_VARINT)
            text = f.value ? STR("true") : STR("false");
        else if (f.number == 3 && f.wire == WIRE_VARINT)
            text = (struct str){number, (size_t)snprintf(number, 32, "%" PRId64, (int64_t)f.value)};
        else if (f.number == 4 && f.wire == WIRE_FIXED64)
            text = (struct str){number, (size_t)snprintf(number, 32, "%g", as_double(f.value))};
    }
    r->bad |= w.bad;
    return text;
}

static void append(struct attributes *a, struct str s)
{
    if (s.size)
        memcpy(a->text + a->size, s.data, s.size);
    a->size += s.size;
}

// Adds "key=value".
static void add_attribute(struct reading *r, struct attributes *a, struct bytes in)
{
    struct walk w = walk_of(in);
    struct str key = STR(""), value = STR_NULL;
    char number[32];
    for (struct field f; next(&w, &f);) {
        if (f.number == 1 && f.wire == WIRE_BYTES)
            key = (struct str){(const char *)f.data.data, f.data.size};
        else if (f.number == 2 && f.wire == WIRE_BYTES)
            value = any_value(r, f.data, number);
    }
    r->bad |= w.bad;
    size_t room = sizeof a->text - a->size;
    if (!value.data || key.size > room || value.size > room || key.size + value.size + 2 > room)
        return;
    append(a, a->size ? STR(",") : STR(""));
    append(a, key);
    append(a, STR("="));
    append(a, value);
}

static void add_value(struct reading *r, struct otlp_value v)
{
    struct otlp_values *out = r->out;
    size_t text = v.name.size + v.attributes.size;
    if (out->left_out || out->count == OTLP_VALUES_MOST || r->text_bytes + text > OTLP_TEXT_MOST_BYTES) {
        out->left_out++;
        return;
    }
    r->text_bytes += text;
    out->items[out->count++] = v;
}

static void read_point(struct reading *r, const struct kind *kind, struct str name, struct bytes in)
{
    struct walk w = walk_of(in);
    struct otlp_value v = {.name = name, .attributes = STR(""), .type = kind->type};
    struct attributes attributes;
    attributes.size = 0;
    // From the first that is left out on none is kept: they are checked all the same, but their texts are not
    // made.
    bool is_kept = !r->out->left_out;
    for (struct field f; next(&w, &f);) {
        if (f.number == kind->attributes && f.wire == WIRE_BYTES && is_kept)
            add_attribute(r, &attributes, f.data);
        else if (f.wire == WIRE_FIXED64 && f.number == (kind->sum ? kind->sum : NUMBER_DOUBLE))
            v.value = as_double(f.value);
        else if (f.wire == WIRE_FIXED64 && f.number == NUMBER_INT && !kind->sum)
            v.value = (double)(int64_t)f.value;
    }
    r->bad |= w.bad;
    if (attributes.size)
        v.attributes = arena_str(r->arena, (struct str){attributes.text, attributes.size});
    r->no_memory |= !v.attributes.data;
    add_value(r, v);
}

static void read_points(struct reading *r, const struct kind *kind, struct str name, struct bytes in)
{
    struct walk w = walk_of(in);
    for (struct field f; !r->bad && !r->no_memory && next(&w, &f);)
        if (f.number == POINTS && f.wire == WIRE_BYTES)
            read_point(r, kind, name, f.data);
    r->bad |= w.bad;
}

// The name may stand behind the values.
static void read_metric(struct reading *r, struct bytes in)
{
    struct walk w = walk_of(in);
    struct str name = STR("");
    for (struct field f; next(&w, &f);)
        if (f.number == 1 && f.wire == WIRE_BYTES)
            name = (struct str){(const char *)f.data.data, f.data.size};
    r->bad |= w.bad;
    w = walk_of(in);
    for (struct field f; !r->bad && next(&w, &f);)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (f.number == kinds[k].field && f.wire == WIRE_BYTES)
                read_points(r, &kinds[k], name, f.data);
}

// MetricsData.resource_metrics -> ResourceMetrics.scope_metrics -> ScopeMetrics.metrics.
static void read_level(struct reading *r, const uint32_t *path, size_t left, struct bytes in)
{
    struct walk w = walk_of(in);
    for (struct field f; !r->bad && !r->no_memory && next(&w, &f);) {
        if (f.number != path[0] || f.wire != WIRE_BYTES)
            continue;
        if (left == 1)
            read_metric(r, f.data);
        else
            read_level(r, path + 1, left - 1, f.data);
    }
    r->bad |= w.bad;
}

int otlp_read(struct bytes payload, struct arena *arena, struct otlp_values *out)
{
    static const uint32_t path[] = {1, 2, 2};
    struct reading r = {.arena = arena, .out = out};
    *out = (struct otlp_values){.items = arena_alloc(arena, OTLP_VALUES_MOST * sizeof *out->items)};
    if (!out->items)
        return ERR_NOMEM;
    read_level(&r, path, sizeof path / sizeof *path, payload);
    return r.bad ? ERR_CORRUPT : r.no_memory ? ERR_NOMEM : 0;
}
