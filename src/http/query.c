// What stands behind the '?' of a path.
#include "http/request.h"

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

struct str http_decode(struct arena *arena, struct str s)
{
    char *out = arena_alloc(arena, s.size + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.size; i++) {
        char c = s.data[i];
        if (c == '%') {
            int high = i + 2 < s.size ? digit(s.data[i + 1]) : -1;
            int low = i + 2 < s.size ? digit(s.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return STR_NULL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == 0)
            return STR_NULL;
        out[n++] = c;
    }
    if (!out || !utf8_valid((const uint8_t *)out, n))
        return STR_NULL;
    out[n] = 0;
    return (struct str){out, n};
}

static bool is_word_of(const char *words, struct str name)
{
    for (size_t n; words && *words; words += n + (words[n] == ' ')) {
        n = strcspn(words, " ");
        if (str_equal((struct str){words, n}, name))
            return true;
    }
    return false;
}

bool http_query_add(struct http_request *r, const char *known, struct str name, struct str value)
{
    struct http_query_value *all = arena_alloc(&r->arena, (r->query_count + 1) * sizeof *all);
    struct http_query_value one = {http_decode(&r->arena, name), http_decode(&r->arena, value)};
    if (!all || !one.name.data || !one.value.data) {
        http_fail(r, 400, "INVALID_REQUEST", "the parameter %.*s is no percent-encoded UTF-8 text",
                  (int)(name.size < 100 ? name.size : 100), name.data);
        return false;
    }
    if (!is_word_of(known, one.name)) {
        http_fail(r, 400, "INVALID_REQUEST", "%.100s is no parameter of this request", one.name.data);
        return false;
    }
    if (http_query(r, one.name.data).data) {
        http_fail(r, 400, "INVALID_REQUEST", "the parameter %s is given twice", one.name.data);
        return false;
    }
    if (r->query_count)
        memcpy(all, r->query, r->query_count * sizeof *all);
    all[r->query_count++] = one;
    r->query = all;
    return true;
}

struct str http_query(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->query_count; i++)
        if (str_is(r->query[i].name, name))
            return r->query[i].value;
    return STR_NULL;
}

bool http_query_bool(struct http_request *r, const char *name, bool *out)
{
    static const char *const words[] = {"false", "true", NULL};
    int word = *out;
    if (!http_query_word(r, name, words, &word))
        return false;
    *out = word;
    return true;
}

bool http_query_integer(struct http_request *r, const char *name, int64_t low, int64_t high, int64_t *out)
{
    struct str text = http_query(r, name);
    if (!text.data || str_to_integer(text, low, high, out))
        return true;
    http_fail(r, 400, "INVALID_REQUEST", "%s must be a whole number from %lld to %lld", name, (long long)low,
              (long long)high);
    return false;
}

bool http_query_word(struct http_request *r, const char *name, const char *const *words, int *out)
{
    struct str text = http_query(r, name);
    struct str all = STR("");
    if (!text.data)
        return true;
    for (int i = 0; words[i]; i++) {
        if (str_is(text, words[i])) {
            *out = i;
            return true;
        }
        all = arena_printf(&r->arena, "%.*s%s%s", STR_ARG(all), i ? ", " : "", words[i]);
    }
    http_fail(r, 400, "INVALID_REQUEST", "%s must be one of: %.*s", name, STR_ARG(all));
    return false;
}

static bool is_among(const int32_t *ids, int32_t count, int64_t id)
{
    for (int32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

bool http_query_partitions(struct http_request *r, const char *name, int32_t **out, int32_t *count)
{
    struct str text = http_query(r, name);
    *count = 0;
    *out = arena_alloc(&r->arena, (text.size / 2 + 1) * sizeof **out);
    if (!text.data)
        return true;
    for (size_t at = 0, n; *out && at <= text.size; at += n + 1) {
        const char *comma = memchr(text.data + at, ',', text.size - at);
        n = comma ? (size_t)(comma - text.data) - at : text.size - at;
        int64_t id;
        if (*count == HTTP_PARTITIONS ||
            !str_to_integer((struct str){text.data + at, n}, 0, INT32_MAX, &id)) {
            http_fail(r, 400, "INVALID_REQUEST", "%s must be numbers of partitions, by commas, at most %d",
                      name, HTTP_PARTITIONS);
            return false;
        }
        if (!is_among(*out, *count, id))
            (*out)[(*count)++] = (int32_t)id;
    }
    return *out != NULL;
}
