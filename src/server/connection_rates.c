#include "server/connection_rates.h"

#include "base/error.h"
#include "base/list.h"
#include "base/logger.h"
#include "os/socket.h"

#include <stdlib.h>
#include <string.h>

#define SWEEP_MS 5000 // addresses that are idle are forgotten at most so often

struct ip_rate {
    uint8_t ip[16];
    bool has_own;  // a limit of its own; otherwise the default's
    int32_t limit; // its own
    struct quota_rate rate;
    struct list idle; // while they are swept
};

static struct str ip_key(const uint8_t ip[16])
{
    return (struct str){(const char *)ip, 16};
}

int connection_rates_init(struct connection_rates *r, const struct server_limits *limits,
                          size_t listener_count)
{
    *r = (struct connection_rates){
        .window = {limits->quota_window_num, limits->quota_window_size_seconds * INT64_C(1000)},
        .broker = {.limit = CONNECTION_RATE_UNLIMITED},
        .listener_count = listener_count,
        .default_ip_limit = CONNECTION_RATE_UNLIMITED};
    pthread_mutex_init(&r->lock, NULL);
    r->listeners = calloc(listener_count + 1, sizeof *r->listeners);
    for (size_t i = 0; r->listeners && i < listener_count; i++)
        r->listeners[i].limit = CONNECTION_RATE_UNLIMITED;
    return r->listeners ? 0 : ERR_NOMEM;
}

static void ip_free(struct ip_rate *ip)
{
    quota_rate_free(&ip->rate);
    free(ip);
}

void connection_rates_free(struct connection_rates *r)
{
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&r->ips, &i));)
        ip_free(entry->value);
    map_free(&r->ips);
    for (size_t i = 0; r->listeners && i < r->listener_count; i++)
        quota_rate_free(&r->listeners[i].rate);
    quota_rate_free(&r->broker.rate);
    free(r->listeners);
    pthread_mutex_destroy(&r->lock);
}

void connection_rates_limit(struct connection_rates *r, int listener, int32_t limit)
{
    pthread_mutex_lock(&r->lock);
    (listener < 0 ? &r->broker : &r->listeners[listener])->limit = limit;
    pthread_mutex_unlock(&r->lock);
}

static struct ip_rate *ip_of(struct connection_rates *r, const uint8_t ip[16])
{
    struct ip_rate *found = map_get(&r->ips, ip_key(ip));
    if (found)
        return found;
    found = calloc(1, sizeof *found);
    if (!found)
        return NULL;
    memcpy(found->ip, ip, 16);
    if (map_put(&r->ips, ip_key(found->ip), found)) {
        free(found);
        return NULL;
    }
    return found;
}

// Forgets addresses without a limit of their own that have made no connection within the window.
static void sweep(struct connection_rates *r, int64_t now_ms)
{
    if (now_ms - r->swept_ms < SWEEP_MS)
        return;
    r->swept_ms = now_ms;
    struct list idle;
    list_init(&idle);
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&r->ips, &i));) {
        struct ip_rate *ip = entry->value;
        if (!ip->has_own && quota_rate_is_idle(&ip->rate, &r->window, now_ms))
            list_push_back(&idle, &ip->idle);
    }
    for (struct list *node; (node = list_pop_front(&idle));) {
        struct ip_rate *ip = container_of(node, struct ip_rate, idle);
        map_remove(&r->ips, ip_key(ip->ip));
        ip_free(ip);
    }
}

// The address of an entity's name, as text or by its host's name.
static bool resolve(struct str name, uint8_t ip[16])
{
    char text[256];
    if (name.size >= sizeof text)
        return false;
    memcpy(text, name.data, name.size);
    text[name.size] = 0;
    return socket_parse_ip(text, ip) == 0 || socket_resolve_ip(text, ip) == 0;
}

static int32_t limit_of(const struct image_quota *q)
{
    double limit = q->limits[QUOTA_CONNECTION_CREATION_RATE];
    return limit >= CONNECTION_RATE_UNLIMITED ? CONNECTION_RATE_UNLIMITED : (int32_t)limit;
}

// One address with its limit, while the names are looked up without the lock.
struct own_limit {
    uint8_t ip[16];
    int32_t limit;
};

static void apply_limits(struct connection_rates *r, const struct own_limit *own, size_t count,
                         int32_t default_limit)
{
    struct map_entry *entry;
    pthread_mutex_lock(&r->lock);
    r->default_ip_limit = default_limit;
    for (size_t i = 0; (entry = map_next(&r->ips, &i));)
        ((struct ip_rate *)entry->value)->has_own = false;
    for (size_t i = 0; i < count; i++) {
        struct ip_rate *ip = ip_of(r, own[i].ip);
        if (!ip) {
            log_error("server", "out of memory: a limit of an address's connections does not count");
            continue;
        }
        ip->has_own = true;
        ip->limit = own[i].limit;
    }
    atomic_store(&r->any_ip, count > 0 || default_limit != CONNECTION_RATE_UNLIMITED);
    pthread_mutex_unlock(&r->lock);
}

void connection_rates_follow(struct connection_rates *r, const struct image *image)
{
    size_t most = image->quota_counts[QUOTA_CONNECTION_CREATION_RATE], count = 0;
    int32_t default_limit = CONNECTION_RATE_UNLIMITED;
    struct own_limit *own = calloc(most + 1, sizeof *own);
    if (!own) {
        log_error("server", "out of memory: changed limits of addresses' connections do not count");
        return;
    }
    struct hamt_walk walk = hamt_walk(&image->quotas);
    for (const struct image_quota *q; most > 0 && (q = hamt_next(&walk));) {
        if (!(q->kinds & 1U << QUOTA_CONNECTION_CREATION_RATE) || q->entity.count != 1 ||
            !str_is(q->entity.parts[0].type, "ip"))
            continue;
        struct str name = q->entity.parts[0].name;
        if (!name.data)
            default_limit = limit_of(q);
        else if (resolve(name, own[count].ip))
            own[count++].limit = limit_of(q);
        else
            log_warn("server", "the limit of connections of %.*s does not count: no such host is known",
                     STR_ARG(name));
    }
    apply_limits(r, own, count, default_limit);
    free(own);
}

// Counts one more connection; the throttle time. Without memory nobody waits.
static int32_t record(struct connection_rates *r, struct quota_rate *rate, int32_t limit, int64_t now_ms)
{
    if (limit == CONNECTION_RATE_UNLIMITED || quota_rate_record(rate, &r->window, 1, now_ms))
        return 0;
    int32_t throttle_ms = quota_rate_throttle_ms(rate, &r->window, limit, now_ms);
    return throttle_ms < r->window.sample_ms ? throttle_ms : (int32_t)r->window.sample_ms;
}

static void take_back(struct connection_rates *r, struct quota_rate *rate, int32_t limit, int64_t now_ms)
{
    if (limit != CONNECTION_RATE_UNLIMITED)
        quota_rate_record(rate, &r->window, -1, now_ms); // without memory it counts on
}

int32_t connection_rates_accepted(struct connection_rates *r, unsigned listener, bool is_protected,
                                  int64_t now_ms)
{
    struct connection_rate *l = &r->listeners[listener];
    pthread_mutex_lock(&r->lock);
    int32_t by_broker = is_protected ? 0 : record(r, &r->broker.rate, r->broker.limit, now_ms);
    int32_t by_listener = record(r, &l->rate, l->limit, now_ms);
    pthread_mutex_unlock(&r->lock);
    return by_broker > by_listener ? by_broker : by_listener;
}

int32_t connection_rates_of_ip(struct connection_rates *r, unsigned listener, bool is_protected,
                               const uint8_t ip[16], int64_t now_ms)
{
    if (!atomic_load(&r->any_ip))
        return 0;
    int32_t throttle_ms = 0;
    pthread_mutex_lock(&r->lock);
    sweep(r, now_ms);
    struct ip_rate *known = map_get(&r->ips, ip_key(ip));
    int32_t limit = known && known->has_own ? known->limit : r->default_ip_limit;
    if (!known && limit != CONNECTION_RATE_UNLIMITED)
        known = ip_of(r, ip);
    if (known)
        throttle_ms = record(r, &known->rate, limit, now_ms);
    if (throttle_ms > 0) {
        struct connection_rate *l = &r->listeners[listener];
        take_back(r, &known->rate, limit, now_ms);
        take_back(r, &l->rate, l->limit, now_ms);
        if (!is_protected)
            take_back(r, &r->broker.rate, r->broker.limit, now_ms);
    }
    pthread_mutex_unlock(&r->lock);
    return throttle_ms;
}
