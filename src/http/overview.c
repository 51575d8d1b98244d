#include "http/overview.h"

#include "http/attention.h"
#include "protocol/api.h"

#include <stdlib.h>

#define BUSIEST_TOPICS 20
#define PRODUCE        0

static double seconds_of(const struct overview_facts *f)
{
    return f->before ? (double)(f->now->at_us - f->before->at_us) / 1e6 : 0;
}

static json_t *rate(const struct overview_facts *f, uint64_t before, uint64_t now)
{
    return f->before ? json_real((double)(now - before) / seconds_of(f)) : json_null();
}

static json_t *milliseconds(double us)
{
    return us < 0 ? json_null() : json_real(us / 1000);
}

static json_t *latency_json(const struct histogram_values *v)
{
    double most = -1;
    for (size_t i = 0; v && i < HISTOGRAM_BUCKETS; i++)
        if (v->buckets[i])
            most = (double)histogram_bound(i);
    return json_pack("{s:o, s:o, s:o, s:o}", "p50", milliseconds(v ? histogram_quantile(v, 0.5) : -1), "p95",
                     milliseconds(v ? histogram_quantile(v, 0.95) : -1), "p99",
                     milliseconds(v ? histogram_quantile(v, 0.99) : -1), "max", milliseconds(most));
}

static json_t *latency_between(const struct overview_facts *f, const struct histogram_values *before,
                               const struct histogram_values *now)
{
    struct histogram_values v;
    if (!f->before)
        return latency_json(NULL);
    histogram_between(before, now, &v);
    return latency_json(&v);
}

struct api_load {
    int16_t key;
    uint64_t count;
};

static int by_count(const void *left, const void *right)
{
    const struct api_load *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count) - (a->count > b->count) : a->key - b->key;
}

static json_t *requests_json(const struct overview_facts *f)
{
    struct api_load called[OVERVIEW_APIS];
    size_t count = 0;
    json_t *all = json_array();
    for (int16_t key = 0; f->before && key < OVERVIEW_APIS; key++) {
        uint64_t n = f->now->apis[key].count - f->before->apis[key].count;
        if (n > 0)
            called[count++] = (struct api_load){key, n};
    }
    qsort(called, count, sizeof called[0], by_count);
    for (size_t i = 0; i < count; i++) {
        int16_t key = called[i].key;
        json_array_append_new(all,
                              json_pack("{s:s, s:f, s:o}", "api", api_find(key)->name, "requestsPerSecond",
                                        (double)called[i].count / seconds_of(f), "latency",
                                        latency_between(f, &f->before->apis[key], &f->now->apis[key])));
    }
    return all;
}

static double bytes_rate(const struct topic_load *t)
{
    return t->all.bytes_in_rate + t->all.bytes_out_rate;
}

static int by_bytes(const void *left, const void *right)
{
    const struct topic_load *a = *(const struct topic_load *const *)left;
    const struct topic_load *b = *(const struct topic_load *const *)right;
    double x = bytes_rate(a), y = bytes_rate(b);
    return x != y ? (x < y) - (x > y) : str_compare(a->name, b->name);
}

static json_t *busiest_json(const struct overview_facts *f)
{
    const struct map *topics = &f->now->loads.topics;
    const struct topic_load **all = malloc((topics->count + 1) * sizeof *all);
    json_t *busiest = json_array();
    struct map_entry *e;
    size_t count = 0;
    for (size_t i = 0; all && (e = map_next(topics, &i));)
        if (bytes_rate(e->value) > 0)
            all[count++] = e->value;
    if (count)
        qsort(all, count, sizeof *all, by_bytes);
    for (size_t i = 0; i < count && i < BUSIEST_TOPICS; i++)
        json_array_append_new(busiest, json_pack("{s:o, s:f, s:f, s:f}", "name", http_text(all[i]->name),
                                                 "messagesInPerSecond", all[i]->all.messages_in_rate,
                                                 "bytesInPerSecond", all[i]->all.bytes_in_rate,
                                                 "bytesOutPerSecond", all[i]->all.bytes_out_rate));
    free(all);
    return busiest;
}

static json_t *measured(const struct overview_facts *f, double value)
{
    return f->before ? json_real(value) : json_null();
}

static json_t *kept(json_t *facts)
{
    return facts ? json_incref(facts) : json_array();
}

// What the traffic is.
static json_t *traffic_json(const struct overview_facts *f)
{
    static const struct reading none;
    const struct reading *before = f->before ? f->before : &none, *now = f->now;
    struct load_sums s = loads_sum(&now->loads);
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "messagesInPerSecond",
        measured(f, s.messages_in), "bytesInPerSecond", measured(f, s.bytes_in), "bytesOutPerSecond",
        measured(f, s.bytes_out), "messagesOutPerSecond", measured(f, s.messages_out), "networkInPerSecond",
        rate(f, before->counters.bytes_received, now->counters.bytes_received), "networkOutPerSecond",
        rate(f, before->counters.bytes_sent, now->counters.bytes_sent), "requestsPerSecond",
        rate(f, before->counters.requests, now->counters.requests), "requests", requests_json(f),
        "produceLatency", latency_between(f, &before->apis[PRODUCE], &now->apis[PRODUCE]), "deliveryLatency",
        latency_between(f, &before->delivery, &now->delivery), "busiestTopics", busiest_json(f));
}

json_t *overview_json(const struct overview_facts *f)
{
    const struct http_counters *c = &f->now->counters;
    const struct slow_facts *slow = f->slow;
    json_t *all = traffic_json(f);
    json_t *state = json_pack(
        "{s:I, s:I, s:o, s:{s:I, s:I, s:I}, s:o, s:i, s:{s:i, s:i, s:i}, s:i, s:o, s:o}", "time",
        (json_int_t)f->time_ms, "startTime", (json_int_t)f->start_time_ms, "intervalSeconds",
        measured(f, seconds_of(f)), "connections", "open", (json_int_t)c->connections_open, "acceptedTotal",
        (json_int_t)c->connections_accepted, "refusedTotal", (json_int_t)c->connections_refused, "disks",
        kept(slow->log_dirs), "topics", slow->topics, "partitions", "total", slow->partitions, "offline",
        slow->offline, "underReplicated", slow->under_replicated, "groups", slow->group_count, "groupsBehind",
        kept(slow->groups), "attention", attention_json(f));
    json_object_update_missing_new(all, state);
    return all;
}
