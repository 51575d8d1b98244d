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

static void ip_forget(struct connection_quota *q, struct ip_count *count)
{
    map_remove(&q->ips, ip_key(count->ip));
    free(count);
}

// Every address has the common limit. Those that were kept for a limit of their own go.
static void drop_overrides(struct connection_quota *q)
{
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&q->ips, &i));) {
        struct ip_count *count = entry->value;
        count->overridden = false;
        count->limit = q->max_per_ip;
    }
}

static void drop_unused(struct connection_quota *q)
{
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&q->ips, &i));) {
        struct ip_count *count = entry->value;
        if (count->open > 0 || count->overridden)
            continue;
        ip_forget(q, count);
        i = 0; // the map has moved its entries
    }
}

static int override(struct connection_quota *q, const struct ip_override *limit)
{
    uint8_t ip[16];
    int err = socket_parse_ip(limit->address, ip);
    if (err)
        return err;
    struct ip_count *count = map_get(&q->ips, ip_key(ip));
    if (!count)
        return ip_add(q, ip, limit->max_connections, true) ? 0 : ERR_NOMEM;
    if (!count->overridden) // of an address that comes twice the first limit counts
        count->limit = limit->max_connections;
    count->overridden = true;
    return 0;
}

// Whoever waits looks again: it may have been the listener's place that was missing. Under the lock.
static bool wake_up(struct connection_quota *q)
{
    bool wake = q->somebody_waits;
    q->somebody_waits = false;
    return wake;
}

int quota_configure(struct connection_quota *q, const struct server_limits *limits, bool *wake)
{
    int err = 0;
    pthread_mutex_lock(&q->lock);
    q->max_connections = limits->max_connections;
    q->max_per_ip = limits->max_connections_per_ip;
    drop_overrides(q);
    for (size_t i = 0; i < limits->override_count; i++) {
        int one = override(q, &limits->overrides[i]);
        err = err ? err : one;
    }
    drop_unused(q);
    *wake = wake_up(q);
    pthread_mutex_unlock(&q->lock);
    return err;
}

bool quota_limit_listener(struct connection_quota *q, unsigned listener, int32_t max_connections)
{
    pthread_mutex_lock(&q->lock);
    q->listeners[listener].max_connections = max_connections;
    bool wake = wake_up(q);
    pthread_mutex_unlock(&q->lock);
    return wake;
}

int32_t quota_excess(struct connection_quota *q)
{
    pthread_mutex_lock(&q->lock);
    int32_t excess = q->open > q->max_connections ? q->open - q->max_connections : 0;
    pthread_mutex_unlock(&q->lock);
    return excess;
}

int32_t quota_open(struct connection_quota *q, unsigned listener)
{
    pthread_mutex_lock(&q->lock);
    int32_t open = q->listeners[listener].open;
    pthread_mutex_unlock(&q->lock);
    return open;
}

int quota_init(struct connection_quota *q, const struct server_limits *limits)
{
    bool wake;
    *q = (struct connection_quota){0};
    pthread_mutex_init(&q->lock, NULL);
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        q->listeners[i].max_connections = INT32_MAX;
    int err = quota_configure(q, limits, &wake);
    if (err)
        quota_free(q);
    return err;
}

void quota_free(struct connection_quota *q)
{
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&q->ips, &i));)
        free(entry->value);
    map_free(&q->ips);
    pthread_mutex_destroy(&q->lock);
}

enum quota_answer quota_reserve(struct connection_quota *q, unsigned listener, bool is_protected)
{
    pthread_mutex_lock(&q->lock);
    enum quota_answer answer = QUOTA_GRANTED;
    if (q->listeners[listener].open >= q->listeners[listener].max_connections)
        answer = QUOTA_WAIT;
    else if (q->open >= q->max_connections)
        answer = is_protected ? QUOTA_EVICT : QUOTA_WAIT;
    q->somebody_waits |= answer == QUOTA_WAIT;
    if (answer != QUOTA_WAIT) {
        q->open++;
        q->listeners[listener].open++;
    }
    pthread_mutex_unlock(&q->lock);
    return answer;
}

void quota_cancel(struct connection_quota *q, unsigned listener)
{
    pthread_mutex_lock(&q->lock);
    q->open--;
    q->listeners[listener].open--;
    pthread_mutex_unlock(&q->lock);
}

int quota_add(struct connection_quota *q, const uint8_t ip[16])
{
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
    if (count && count->open == 0 && !count->overridden)
        ip_forget(q, count);
    pthread_mutex_unlock(&q->lock);
    return err;
}

bool quota_release(struct connection_quota *q, unsigned listener, const uint8_t *ip)
{
    pthread_mutex_lock(&q->lock);
    q->open--;
    q->listeners[listener].open--;
    struct ip_count *count = ip ? map_get(&q->ips, ip_key(ip)) : NULL;
    if (count && --count->open == 0 && !count->overridden)
        ip_forget(q, count);
    bool wake = wake_up(q);
    pthread_mutex_unlock(&q->lock);
    return wake;
}
