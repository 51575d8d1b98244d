#include "demo/link.h"

#include "base/error.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdarg.h>
#include <stdio.h>

#define KEY_METADATA 3

const struct str demo_topic_names[DEMO_TOPICS] = {
    {"shop.views", 10}, {"shop.orders", 11}, {"shop.payments", 13}, {"shop.minutes", 12}};

int link_fail(struct demo_link *l, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(l->error, sizeof l->error, format, args);
    va_end(args);
    return code;
}

// What became of a call or of a connection. ERR_AGAIN is for the group's "not now": who does not answer in
// time is as good as gone.
static int outcome(struct demo_link *l, const struct client *client, int err)
{
    return err ? link_fail(l, err == ERR_AGAIN ? ERR_CLOSED : err, "%s", client->error) : 0;
}

int link_reach(struct demo_link *l, struct client *client, const char *servers, int timeout_ms)
{
    return outcome(l, client, client_open(client, servers, timeout_ms));
}

int link_ask(struct demo_link *l, struct client *client, int16_t api_key, int16_t most, const void *request,
             struct arena *arena, void *response, int16_t *version)
{
    *version = client_version(client, api_key, most);
    int err =
        *version < 0 ? ERR_UNSUPPORTED : client_call(client, api_key, *version, request, arena, response);
    return outcome(l, client, err);
}

void link_close(struct demo_link *l)
{
    if (l->servers)
        client_close(&l->first);
    for (int32_t i = 0; i < l->nodes_count; i++)
        client_close(&l->nodes[i].client);
    l->servers = NULL;
    l->nodes_count = 0;
}

int link_connect(struct demo_link *l, const char *servers)
{
    link_close(l);
    l->servers = servers;
    return link_reach(l, &l->first, servers, DEMO_TIMEOUT_MS);
}

static int learn_nodes(struct demo_link *l, const struct metadata_response *m)
{
    if (m->brokers_count > DEMO_NODES_MOST)
        return link_fail(l, ERR_LIMIT, "the cluster has %d brokers; the demo knows %d", m->brokers_count,
                         DEMO_NODES_MOST);
    for (int32_t i = 0; i < m->brokers_count; i++) {
        const struct metadata_response_metadata_response_broker *b = &m->brokers[i];
        bool ipv6 = memchr(b->host.data, ':', b->host.size);
        l->nodes[i] = (struct demo_node){.id = b->node_id, .client.fd = -1};
        snprintf(l->nodes[i].address, sizeof l->nodes[i].address, ipv6 ? "[%.*s]:%d" : "%.*s:%d",
                 STR_ARG(b->host), b->port);
    }
    l->nodes_count = m->brokers_count;
    return 0;
}

static int32_t node_of(const struct demo_link *l, int32_t id)
{
    for (int32_t i = 0; i < l->nodes_count; i++)
        if (l->nodes[i].id == id)
            return i;
    return -1;
}

static int learn_topic(struct demo_link *l, int topic,
                       const struct metadata_response_metadata_response_topic *t)
{
    if (t->error_code != E_NONE)
        return link_fail(l, t->error_code == E_UNKNOWN_TOPIC_OR_PARTITION ? ERR_NOT_FOUND : ERR_CLOSED,
                         "%.*s: %s", STR_ARG(t->name), error_code_name(t->error_code));
    if (t->partitions_count < 1 || t->partitions_count > DEMO_PARTITIONS_MOST)
        return link_fail(l, ERR_LIMIT, "%.*s has %d partitions; the demo can do with 1 to %d",
                         STR_ARG(t->name), t->partitions_count, DEMO_PARTITIONS_MOST);
    if (l->partitions && l->partitions != t->partitions_count)
        return link_fail(l, ERR_INVALID,
                         "%.*s has %d partitions, another topic of the demo %d; delete the shop.* topics",
                         STR_ARG(t->name), t->partitions_count, l->partitions);
    l->partitions = t->partitions_count;
    for (int32_t i = 0; i < t->partitions_count; i++) {
        const struct metadata_response_metadata_response_partition *p = &t->partitions[i];
        int32_t node = node_of(l, p->leader_id);
        if (node < 0 || p->partition_index < 0 || p->partition_index >= t->partitions_count)
            return link_fail(l, ERR_CLOSED, "%.*s-%d has no leader", STR_ARG(t->name), p->partition_index);
        l->leaders[topic][p->partition_index] = node;
    }
    return 0;
}

static int learn(struct demo_link *l, struct arena *arena)
{
    struct metadata_request_metadata_request_topic topics[DEMO_TOPICS];
    struct metadata_request request = metadata_request_default;
    struct metadata_response m;
    int16_t version;
    for (int i = 0; i < DEMO_TOPICS; i++) {
        topics[i] = metadata_request_metadata_request_topic_default;
        topics[i].name = demo_topic_names[i];
    }
    request.topics = topics;
    request.topics_count = DEMO_TOPICS;
    request.allow_auto_topic_creation = false;
    int err = link_ask(l, &l->first, KEY_METADATA, 12, &request, arena, &m, &version);
    err = err ? err : learn_nodes(l, &m);
    l->partitions = 0;
    for (int i = 0; !err && i < DEMO_TOPICS; i++) {
        const struct metadata_response_metadata_response_topic *found = NULL;
        for (int32_t t = 0; t < m.topics_count; t++)
            if (str_equal(m.topics[t].name, demo_topic_names[i]))
                found = &m.topics[t];
        err = found ? learn_topic(l, i, found)
                    : link_fail(l, ERR_NOT_FOUND, "%.*s is missing", STR_ARG(demo_topic_names[i]));
    }
    return err;
}

int link_open(struct demo_link *l, const char *servers)
{
    struct arena arena;
    arena_init(&arena, 0);
    int err = link_connect(l, servers);
    err = err ? err : learn(l, &arena);
    arena_free(&arena);
    return err;
}

int link_node(struct demo_link *l, int32_t node, struct client **out)
{
    struct demo_node *n = &l->nodes[node];
    *out = &n->client;
    return n->client.fd >= 0 ? 0 : link_reach(l, &n->client, n->address, DEMO_TIMEOUT_MS);
}

int link_leader(struct demo_link *l, struct str topic, struct client **out)
{
    struct metadata_request_metadata_request_topic one = metadata_request_metadata_request_topic_default;
    struct metadata_request request = metadata_request_default;
    struct metadata_response m;
    struct arena arena;
    int16_t version;
    arena_init(&arena, 0);
    one.name = topic;
    request.topics = &one;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    int err = link_ask(l, &l->first, KEY_METADATA, 12, &request, &arena, &m, &version);
    bool known = !err && m.topics_count == 1 && m.topics[0].partitions_count > 0;
    int32_t node = known ? node_of(l, m.topics[0].partitions[0].leader_id) : -1;
    arena_free(&arena);
    if (!err && node < 0)
        err = link_fail(l, ERR_CLOSED, "%.*s has no leader", STR_ARG(topic));
    return err ? err : link_node(l, node, out);
}
