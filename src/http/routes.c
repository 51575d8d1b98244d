#include <string.h>

#include "http/route.h"

static const struct http_route routes[] = {
    {HTTP_GET, "/healthz", http_health},
    {HTTP_GET, "/readyz", http_ready},
    {HTTP_GET, "/metrics", http_metrics},
    {HTTP_GET, "/api/v1/cluster", http_cluster},
    {HTTP_GET, "/api/v1/topics", http_topics},
    {HTTP_POST, "/api/v1/topics", http_topic_create},
    {HTTP_GET, "/api/v1/topics/{topic}", http_topic},
    {HTTP_DELETE, "/api/v1/topics/{topic}", http_topic_delete},
    {HTTP_GET, "/api/v1/topics/{topic}/configs", http_topic_configs},
    {HTTP_PATCH, "/api/v1/topics/{topic}/configs", http_topic_alter},
    {HTTP_GET, "/api/v1/groups", http_groups},
    {HTTP_GET, "/api/v1/groups/{group}", http_group},
};

// Up to the next '/' or the end.
static size_t part_size(const char *path)
{
    return strcspn(path, "/");
}

static bool matches(const char *pattern, const char *path, struct str params[HTTP_PATH_PARAMS])
{
    for (size_t found = 0;;) {
        size_t want = part_size(pattern), have = part_size(path);
        if (pattern[0] == '{') {
            if (have == 0 || found == HTTP_PATH_PARAMS)
                return false;
            params[found++] = (struct str){path, have};
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
        if (*pattern != *path)
            return false;
        if (*pattern == 0)
            return true;
        pattern++;
        path++;
    }
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// What %XX stands for; a null view when it is malformed or a zero byte.
static struct str decode(struct arena *arena, struct str s)
{
    char *out = arena_alloc(arena, s.size + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.size; i++) {
        char c = s.data[i];
        if (c == '%') {
            int high = i + 2 < s.size ? digit(s.data[i + 1]) : -1;
            int low = i + 2 < s.size ? digit(s.data[i + 2]) : -1;
            if (high < 0 || low < 0 || high * 16 + low == 0)
                return STR_NULL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[n++] = c;
    }
    return out ? (struct str){out, n} : STR_NULL;
}

const struct http_route *http_route_find(struct http_request *r, bool *other)
{
    *other = false;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        struct str params[HTTP_PATH_PARAMS] = {{0}};
        if (!matches(routes[i].path, r->path, params))
            continue;
        if (routes[i].method != r->method) {
            *other = true;
            continue;
        }
        for (size_t p = 0; p < HTTP_PATH_PARAMS && params[p].data; p++) {
            r->params[p] = decode(&r->arena, params[p]);
            if (!r->params[p].data)
                return NULL;
        }
        return &routes[i];
    }
    return NULL;
}
