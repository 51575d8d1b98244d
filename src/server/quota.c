#include "server/quota.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "os/socket.h"

// One address and its open connections.
struct ip_count {
    uint8_t ip[16];
    int32_t open, limit;
    bool overridden; // stays in the map for its limit
};

static struct str ip_key(const uint8_t ip[16])
{
    return (struct str){(const char *)ip, 16};
}

static struct ip_count *ip_add(struct connection_quota *q, const uint8_t ip[16], int32_t limit,
                               bool overridden)
{
    struct ip_count *count = calloc(1, sizeof *count);
    if (!count)
        return NULL;
    memcpy(count->ip, ip, 16);
    count->limit = limit;
    count->overridden = overridden;
    if (map_put(&q->ips, ip_key(count->ip), count)) {
        free(count);
        return NULL;
    }
    return count;
}

int quota_init(struct connection_quota *q, const struct server_limits *limits)
{
    *q = (struct connection_quota){.max_connections = limits->max_connections,
                                   .max_per_ip = limits->max_connections_per_ip};
    pthread_mutex_init(&q->lock, NULL);
    q->counts_ips = limits->max_connections_per_ip < INT32_MAX || limits->override_count > 0;
    for (size_t i = 0; i < limits->override_count; i++) {
        const struct ip_override *override = &limits->overrides[i];
        uint8_t ip[16];
        int err = socket_parse_ip(override->address, ip);
        if (!err && !map_get(&q->ips, ip_key(ip)))
            err = ip_add(q, ip, override->max_connections, true) ? 0 : ERR_NOMEM;
        if (err) {
            quota_free(q);
            return err;
        }
    }
    return 0;
}

void quota_free(struct connection_quota *q)
{
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&q->ips, &i));)
        free(entry->value);
    map_free(&q->ips);
    pthread_mutex_destroy(&q->lock);
}

enum quota_answer quota_reserve(struct connection_quota *q, bool is_protected)
{
    pthread_mutex_lock(&q->lock);
    enum quota_answer answer = QUOTA_GRANTED;
    if (q->open >= q->max_connections) {
        answer = is_protected ? QUOTA_EVICT : QUOTA_WAIT;
        q->somebody_waits |= !is_protected;
    }
    if (answer != QUOTA_WAIT)
        q->open++;
    pthread_mutex_unlock(&q->lock);
    return answer;
}

int quota_add(struct connection_quota *q, const uint8_t ip[16])
{
    if (!q->counts_ips)
        return 0;
    int err = 0;
    pthread_mutex_lock(&q->lock);
    struct ip_count *count = map_get(&q->ips, ip_key(ip));
    if (!count)
        count = ip_add(q, ip, q->max_per_ip, false);
    if (!count)
        err = ERR_NOMEM;
    else if (count->open >= count->limit)
        err = ERR_LIMIT;
    else
        count->open++;
    // An address that has no connection (max.connections.per.ip=0) is not remembered.
    if (count && count->open == 0 && !count->overridden) {
        map_remove(&q->ips, ip_key(ip));
        free(count);
    }
    pthread_mutex_unlock(&q->lock);
    return err;
}

bool quota_release(struct connection_quota *q, const uint8_t *ip)
{
    pthread_mutex_lock(&q->lock);
    q->open--;
    struct ip_count *count = ip && q->counts_ips ? map_get(&q->ips, ip_key(ip)) : NULL;
    if (count && --count->open == 0 && !count->overridden) {
        map_remove(&q->ips, ip_key(ip));
        free(count);
    }
    bool wake = q->somebody_waits && q->open < q->max_connections;
    if (wake)
        q->somebody_waits = false;
    pthread_mutex_unlock(&q->lock);
    return wake;
}
