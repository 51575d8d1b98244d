#include "storage/record_source.h"

#include "base/error.h"

static bool source_varlong(const uint8_t **at, const uint8_t *end, int64_t *out)
{
    size_t n = varlong_read(*at, end, out);
    *at += n;
    return n != 0;
}

// Steps over a length and as many bytes.
static bool source_skip(const uint8_t **at, const uint8_t *end, int32_t *size)
{
    if (!source_varint(at, end, size))
        return false;
    if (*size > end - *at)
        return false;
    *at += *size > 0 ? *size : 0;
    return true;
}

static bool source_skip_headers(const uint8_t **at, const uint8_t *end)
{
    int32_t count, key_size, value_size;
    if (!source_varint(at, end, &count) || count < 0)
        return false;
    for (; count > 0; count--)
        if (!source_skip(at, end, &key_size) || key_size < 0 || !source_skip(at, end, &value_size))
            return false;
    return true;
}

bool source_fields(const uint8_t *at, const uint8_t *end, struct record_fields *out)
{
    if (at == end)
        return false;
    at++; // attributes: none are defined, and Kafka takes any
    return source_varlong(&at, end, &out->timestamp_delta_ms) &&
           source_varint(&at, end, &out->offset_delta) && source_skip(&at, end, &out->key_size) &&
           source_skip(&at, end, &out->value_size) && source_skip_headers(&at, end) && at == end;
}

static size_t at_hand(const struct record_source *s)
{
    return (size_t)(s->end - s->at);
}

// Moves what is at hand to the window's start and fills the rest from the stream.
static void fill(struct record_source *s)
{
    if (!s->stream)
        return;
    size_t kept = at_hand(s), got;
    memmove(s->window, s->at, kept);
    s->stream_error = decompress_read(s->stream, s->window + kept, RECORD_WINDOW_BYTES - kept, &got);
    s->at = s->window;
    s->end = s->window + kept + got;
    if (!s->stream_error && s->stream->produced_bytes > s->limit_bytes)
        s->stream_error = ERR_LIMIT;
    if (s->stream_error || kept + got < RECORD_WINDOW_BYTES)
        s->stream = NULL;
}

static enum record_step ran_out(const struct record_source *s)
{
    return s->stream_error ? RECORD_STREAM : RECORD_SHORT;
}

// A record that is larger than the window: `left` bytes of it are still to come.
struct large_record {
    struct record_source *source;
    size_t left;
};

static enum record_step large_skip(struct large_record *r, int32_t size)
{
    if (size <= 0)
        return RECORD_OK;
    size_t n = (size_t)size;
    if (n > r->left)
        return RECORD_BAD;
    r->left -= n;
    while (n > 0) {
        if (at_hand(r->source) == 0)
            fill(r->source);
        size_t step = at_hand(r->source) < n ? at_hand(r->source) : n;
        if (step == 0)
            return ran_out(r->source);
        r->source->at += step;
        n -= step;
    }
    return RECORD_OK;
}

static enum record_step large_varlong(struct large_record *r, int64_t *out)
{
    struct record_source *s = r->source;
    if (at_hand(s) < VARLONG_MAX_BYTES)
        fill(s);
    size_t n = varlong_read(s->at, s->end, out);
    if (n == 0)
        return at_hand(s) < VARLONG_MAX_BYTES ? ran_out(s) : RECORD_BAD;
    if (n > r->left)
        return RECORD_BAD;
    s->at += n;
    r->left -= n;
    return RECORD_OK;
}

static enum record_step large_varint(struct large_record *r, int32_t *out)
{
    int64_t wide;
    enum record_step step = large_varlong(r, &wide);
    *out = (int32_t)wide;
    return step == RECORD_OK && wide != *out ? RECORD_BAD : step;
}

static enum record_step large_view(struct large_record *r, int32_t *size)
{
    enum record_step step = large_varint(r, size);
    return step == RECORD_OK ? large_skip(r, *size) : step;
}

static enum record_step large_headers(struct large_record *r)
{
    int32_t count, size;
    enum record_step step = large_varint(r, &count);
    if (step == RECORD_OK && count < 0)
        return RECORD_BAD;
    for (; step == RECORD_OK && count > 0; count--) {
        step = large_view(r, &size);
        if (step == RECORD_OK && size < 0)
            return RECORD_BAD;
        if (step == RECORD_OK)
            step = large_view(r, &size);
    }
    return step;
}

static enum record_step large_fields(struct large_record *r, struct record_fields *out)
{
    enum record_step step = large_skip(r, 1);
    if (step == RECORD_OK)
        step = large_varlong(r, &out->timestamp_delta_ms);
    if (step == RECORD_OK)
        step = large_varint(r, &out->offset_delta);
    if (step == RECORD_OK)
        step = large_view(r, &out->key_size);
    if (step == RECORD_OK)
        step = large_view(r, &out->value_size);
    if (step == RECORD_OK)
        step = large_headers(r);
    return step == RECORD_OK && r->left != 0 ? RECORD_BAD : step;
}

enum record_step record_source_next_slowly(struct record_source *s, struct record_fields *out)
{
    fill(s);
    int32_t size;
    size_t n = varint_read(s->at, s->end, &size);
    if (n == 0)
        return at_hand(s) < VARINT_MAX_BYTES ? ran_out(s) : RECORD_BAD_LENGTH;
    if (size < 0)
        return RECORD_BAD;
    if ((size_t)size > at_hand(s) - n) {
        if (!s->stream)
            return ran_out(s);
        s->at += n;
        return large_fields(&(struct large_record){s, (size_t)size}, out);
    }
    if (!source_fields(s->at + n, s->at + n + size, out))
        return RECORD_BAD;
    s->at += n + (size_t)size;
    return RECORD_OK;
}

enum record_step record_source_finish(struct record_source *s)
{
    if (at_hand(s) == 0)
        fill(s);
    if (at_hand(s) != 0)
        return RECORD_BAD;
    return s->stream_error ? RECORD_STREAM : RECORD_OK;
}
