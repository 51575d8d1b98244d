#include "quota/rate.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

void quota_rate_free(struct quota_rate *rate)
{
    free(rate->samples);
    *rate = (struct quota_rate){0};
}

static int64_t window_ms(const struct quota_window *w)
{
    return w->samples * w->sample_ms;
}

// The sample's events are all outside the window.
static bool is_obsolete(const struct quota_sample *s, const struct quota_window *w, int64_t now_ms)
{
    return now_ms - s->last_ms >= window_ms(w);
}

static struct quota_sample sample_at(int64_t now_ms)
{
    return (struct quota_sample){.start_ms = now_ms, .last_ms = now_ms};
}

// The sample after the current one: a new one, or the oldest, used again.
static int advance(struct quota_rate *r, const struct quota_window *w, int64_t now_ms)
{
    uint32_t next = r->count ? (r->current + 1) % ((uint32_t)w->samples + 1) : 0;
    if (next >= r->count) {
        struct quota_sample *grown = realloc(r->samples, (r->count + 1) * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        r->samples = grown;
        next = r->count++;
    }
    r->samples[next] = sample_at(now_ms);
    r->current = next;
    return 0;
}

int quota_rate_record(struct quota_rate *r, const struct quota_window *w, double value, int64_t now_ms)
{
    if (!r->count || now_ms - r->samples[r->current].start_ms >= w->sample_ms) {
        int rc = advance(r, w, now_ms);
        if (rc)
            return rc;
    }
    r->samples[r->current].value += value;
    r->samples[r->current].last_ms = now_ms;
    return 0;
}

double quota_rate_measure(struct quota_rate *r, const struct quota_window *w, int64_t now_ms,
                          int64_t *span_ms)
{
    double total = 0;
    int64_t oldest_ms = now_ms;
    for (uint32_t i = 0; i < r->count; i++) {
        if (is_obsolete(&r->samples[i], w, now_ms))
            r->samples[i] = sample_at(now_ms);
        total += r->samples[i].value;
        if (r->samples[i].start_ms < oldest_ms)
            oldest_ms = r->samples[i].start_ms;
    }
    // The window counts as full from the beginning: all of its samples but the last, and what of that one is
    // over.
    int64_t elapsed_ms = now_ms - oldest_ms, full = elapsed_ms / w->sample_ms;
    if (full < w->samples - 1)
        elapsed_ms += (w->samples - 1 - full) * w->sample_ms;
    if (elapsed_ms < 1)
        elapsed_ms = 1;
    if (span_ms)
        *span_ms = elapsed_ms;
    return total / ((double)elapsed_ms / 1000.0);
}

// As an int32 of milliseconds, rounded; not a number is none.
static int32_t to_ms(double ms)
{
    return ms >= INT32_MAX ? INT32_MAX : ms > 0 ? (int32_t)floor(ms + 0.5) : 0;
}

int32_t quota_rate_throttle_ms(struct quota_rate *r, const struct quota_window *w, double bound,
                               int64_t now_ms)
{
    int64_t span_ms;
    double rate = quota_rate_measure(r, w, now_ms, &span_ms);
    return rate > bound ? to_ms((rate - bound) / bound * (double)span_ms) : 0;
}

bool quota_rate_is_idle(const struct quota_rate *r, const struct quota_window *w, int64_t now_ms)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (!is_obsolete(&r->samples[i], w, now_ms))
            return false;
    return true;
}

double quota_bucket_tokens(struct quota_bucket *b, const struct quota_window *w, double rate, int64_t now_ms)
{
    double most = (double)window_ms(w) / 1000.0 * rate;
    double tokens = b->updated_ms ? b->tokens + rate * (double)(now_ms - b->updated_ms) / 1000.0 : most;
    b->tokens = tokens < most ? tokens : most;
    b->updated_ms = now_ms;
    return b->tokens;
}

void quota_bucket_take(struct quota_bucket *b, const struct quota_window *w, double rate, double tokens,
                       int64_t now_ms)
{
    b->tokens = quota_bucket_tokens(b, w, rate, now_ms) - tokens;
}

int32_t quota_bucket_throttle_ms(struct quota_bucket *b, const struct quota_window *w, double rate,
                                 int64_t now_ms)
{
    double tokens = quota_bucket_tokens(b, w, rate, now_ms);
    return tokens < 0 ? to_ms(-tokens / rate * 1000.0) : 0;
}
