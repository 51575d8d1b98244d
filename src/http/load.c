#include "http/load.h"

static bool grow(struct loads *l, struct topic_load *t, int32_t count)
{
    if (count <= t->count)
        return true;
    int32_t room = count < 2 * t->count ? 2 * t->count : count;
    struct load *all = arena_zalloc(l->arena, (size_t)room, sizeof *all);
    if (!all)
        return false;
    if (t->count)
        memcpy(all, t->partitions, (size_t)t->count * sizeof *all);
    t->partitions = all;
    t->count = room;
    return true;
}

static struct topic_load *topic_of(struct loads *l, struct str name)
{
    struct topic_load *t = map_get(&l->topics, name);
    if (t)
        return t;
    t = arena_zalloc(l->arena, 1, sizeof *t);
    if (!t)
        return NULL;
    t->name = arena_str(l->arena, name);
    return t->name.data && map_put(&l->topics, t->name, t) == 0 ? t : NULL;
}

static void take(void *arg, const struct http_partition *p)
{
    struct loads *l = arg;
    struct topic_load *t = topic_of(l, p->topic);
    if (!t || !grow(l, t, p->partition + 1)) {
        l->failed = true;
        return;
    }
    t->partitions[p->partition] = (struct load){.is_here = true,
                                                .messages_in = p->messages_in,
                                                .bytes_in = p->bytes_in,
                                                .bytes_out = p->bytes_out,
                                                .size_bytes = p->size_bytes,
                                                .records = p->records};
    t->all.messages_in += p->messages_in;
    t->all.bytes_in += p->bytes_in;
    t->all.bytes_out += p->bytes_out;
    t->all.size_bytes += p->size_bytes;
    t->all.records += p->records;
}

void loads_read(struct loads *l, const struct http_params *broker, struct str topic, struct arena *arena)
{
    *l = (struct loads){.arena = arena};
    broker->partitions(broker->context, topic, take, l);
}

void loads_free(struct loads *l)
{
    map_free(&l->topics);
}

const struct topic_load *loads_topic(const struct loads *l, struct str name)
{
    return map_get(&l->topics, name);
}

const struct load *loads_partition(const struct topic_load *t, int32_t partition)
{
    return t && partition >= 0 && partition < t->count ? &t->partitions[partition] : NULL;
}

// A partition that came, or came back, in between starts from nothing.
static double rate(uint64_t now, uint64_t before, double seconds)
{
    return (double)(now >= before ? now - before : now) / seconds;
}

static void measure(struct load *now, const struct load *before, double seconds)
{
    static const struct load none;
    before = before ? before : &none;
    now->measured = true;
    now->messages_in_rate = rate(now->messages_in, before->messages_in, seconds);
    now->bytes_in_rate = rate(now->bytes_in, before->bytes_in, seconds);
    now->bytes_out_rate = rate(now->bytes_out, before->bytes_out, seconds);
}

void loads_measure(struct loads *now, const struct loads *before, double seconds)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&now->topics, &i));) {
        struct topic_load *t = e->value;
        const struct topic_load *was = loads_topic(before, t->name);
        measure(&t->all, was ? &was->all : NULL, seconds);
        for (int32_t p = 0; p < t->count; p++)
            measure(&t->partitions[p], loads_partition(was, p), seconds);
    }
}

struct load_sums loads_sum(const struct loads *loads)
{
    struct load_sums s = {0};
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&loads->topics, &i));) {
        const struct topic_load *t = e->value;
        s.messages_in += t->all.messages_in_rate;
        s.bytes_in += t->all.bytes_in_rate;
        s.bytes_out += t->all.bytes_out_rate;
        for (int32_t p = 0; p < t->count; p++) {
            const struct load *l = &t->partitions[p];
            if (l->size_bytes > 0)
                s.messages_out += l->bytes_out_rate * (double)l->records / (double)l->size_bytes;
        }
    }
    return s;
}

void load_take_rates(struct load *to, const struct load *from)
{
    to->measured = from->measured;
    to->messages_in_rate = from->messages_in_rate;
    to->bytes_in_rate = from->bytes_in_rate;
    to->bytes_out_rate = from->bytes_out_rate;
}

static json_t *rate_json(const struct load *l, double value)
{
    return l->measured ? json_real(value) : json_null();
}

json_t *load_json(const struct load *load)
{
    static const struct load none;
    const struct load *l = load ? load : &none;
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I}", "messagesInPerSecond",
                     rate_json(l, l->messages_in_rate), "bytesInPerSecond", rate_json(l, l->bytes_in_rate),
                     "bytesOutPerSecond", rate_json(l, l->bytes_out_rate), "messagesInTotal",
                     (json_int_t)l->messages_in, "bytesInTotal", (json_int_t)l->bytes_in, "bytesOutTotal",
                     (json_int_t)l->bytes_out);
}
