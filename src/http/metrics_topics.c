#include "http/metrics.h"

#include <stdlib.h>

static uint64_t sum_of(const struct load *l, enum metrics_topic_sum what)
{
    return what == TOPIC_MESSAGES_IN ? l->messages_in : what == TOPIC_BYTES_IN ? l->bytes_in : l->bytes_out;
}

void metrics_topics_free(struct metrics_topics *t)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&t->shown, &i));)
        free(e->value);
    map_free(&t->shown);
}

// One that was deleted has no series any more.
static void forget_deleted(struct metrics_topics *t, const struct loads *loads)
{
    for (bool more = true; more;) {
        struct map_entry *e;
        more = false;
        for (size_t i = 0; (e = map_next(&t->shown, &i));)
            if (!loads_topic(loads, e->key)) {
                free(map_remove(&t->shown, e->key));
                more = true; // the walk is over: the map has changed
                break;
            }
    }
}

static bool show(struct metrics_topics *t, struct str name)
{
    char *copy = malloc(name.size + 1);
    if (!copy)
        return false;
    memcpy(copy, name.data, name.size);
    copy[name.size] = 0;
    if (map_put(&t->shown, (struct str){copy, name.size}, copy) == 0)
        return true;
    free(copy);
    return false;
}

static int by_traffic(const void *left, const void *right)
{
    const struct topic_load *a = *(const struct topic_load *const *)left;
    const struct topic_load *b = *(const struct topic_load *const *)right;
    uint64_t x = a->all.bytes_in + a->all.bytes_out, y = b->all.bytes_in + b->all.bytes_out;
    return x != y ? (x < y) - (x > y) : str_compare(a->name, b->name);
}

static int by_name(const void *left, const void *right)
{
    const struct topic_load *a = *(const struct topic_load *const *)left;
    const struct topic_load *b = *(const struct topic_load *const *)right;
    return str_compare(a->name, b->name);
}

// Free places go to the busiest of those that have none.
static void fill_places(struct metrics_topics *t, const struct loads *loads)
{
    const struct topic_load **waiting = NULL;
    struct map_entry *e;
    size_t count = 0;
    if (t->shown.count >= METRICS_TOPICS || t->shown.count == loads->topics.count ||
        !(waiting = malloc(loads->topics.count * sizeof *waiting)))
        return;
    for (size_t i = 0; (e = map_next(&loads->topics, &i));)
        if (!map_get(&t->shown, e->key))
            waiting[count++] = e->value;
    qsort(waiting, count, sizeof *waiting, by_traffic);
    for (size_t i = 0; i < count && t->shown.count < METRICS_TOPICS; i++)
        if (!show(t, waiting[i]->name))
            break;
    free(waiting);
}

struct picked {
    const struct topic_load *topics[METRICS_TOPICS];
    size_t count;
    struct load others;
    size_t others_count, others_partitions;
};

static size_t partitions_of(const struct topic_load *t)
{
    size_t count = 0;
    for (int32_t i = 0; i < t->count; i++)
        count += t->partitions[i].is_here;
    return count;
}

static void pick(const struct metrics_topics *t, const struct loads *loads, struct picked *p)
{
    struct map_entry *e;
    *p = (struct picked){.count = 0};
    for (size_t i = 0; (e = map_next(&loads->topics, &i));) {
        const struct topic_load *topic = e->value;
        if (map_get(&t->shown, e->key)) {
            p->topics[p->count++] = topic;
            continue;
        }
        p->others_count++;
        p->others_partitions += partitions_of(topic);
        p->others.messages_in += topic->all.messages_in;
        p->others.bytes_in += topic->all.bytes_in;
        p->others.bytes_out += topic->all.bytes_out;
        p->others.size_bytes += topic->all.size_bytes;
    }
    qsort(p->topics, p->count, sizeof *p->topics, by_name);
}

// The others' sum falls when one of them is deleted or gets a place; what is shown of it only grows.
static void add_up_others(struct metrics_topics *t, const struct load *others)
{
    for (enum metrics_topic_sum s = 0; s < TOPIC_SUMS; s++) {
        uint64_t now = sum_of(others, s);
        if (now > t->others_seen[s])
            t->others[s] += now - t->others_seen[s];
        t->others_seen[s] = now;
    }
}

static void add_sums(struct exposition *e, const struct metrics_topics *t, const struct picked *p,
                     enum metrics_topic_sum what)
{
    for (size_t i = 0; i < p->count; i++)
        exposition_add(e, &(struct metric_label){"topic", p->topics[i]->name}, 1,
                       (double)sum_of(&p->topics[i]->all, what));
    exposition_add(e, &(struct metric_label){"topic", METRICS_OTHERS}, 1, (double)t->others[what]);
}

void metrics_add_topics(struct exposition *e, struct metrics_topics *t, struct loads *loads)
{
    struct picked p;
    forget_deleted(t, loads);
    fill_places(t, loads);
    pick(t, loads, &p);
    add_up_others(t, &p.others);
    exposition_family(e, "odradek_topic_received_records_total", "counter",
                      "Records appended to the topic's partitions on this broker.");
    add_sums(e, t, &p, TOPIC_MESSAGES_IN);
    exposition_family(e, "odradek_topic_received_bytes_total", "counter",
                      "Bytes of record batches appended to the topic's partitions on this broker.");
    add_sums(e, t, &p, TOPIC_BYTES_IN);
    exposition_family(e, "odradek_topic_sent_bytes_total", "counter",
                      "Bytes of record batches sent to clients from the topic's partitions on this broker.");
    add_sums(e, t, &p, TOPIC_BYTES_OUT);
    exposition_family(e, "odradek_topic_size_bytes", "gauge", "Size of the topic's logs on this broker.");
    for (size_t i = 0; i < p.count; i++)
        exposition_add(e, &(struct metric_label){"topic", p.topics[i]->name}, 1,
                       (double)p.topics[i]->all.size_bytes);
    exposition_add(e, &(struct metric_label){"topic", METRICS_OTHERS}, 1, (double)p.others.size_bytes);
    exposition_family(e, "odradek_topic_partitions", "gauge", "Partitions of the topic on this broker.");
    for (size_t i = 0; i < p.count; i++)
        exposition_add(e, &(struct metric_label){"topic", p.topics[i]->name}, 1,
                       (double)partitions_of(p.topics[i]));
    exposition_add(e, &(struct metric_label){"topic", METRICS_OTHERS}, 1, (double)p.others_partitions);
    exposition_one(e, "odradek_topics_summed", "gauge",
                   "Topics without series of their own, which the series of topic \"(others)\" sum up.",
                   (double)p.others_count);
}
