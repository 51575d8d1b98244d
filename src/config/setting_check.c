#include "config/setting_check.h"

#include "base/error.h"

#include <math.h>
#include <strings.h>

struct str setting_message(const struct setting *s, struct str value, const char *reason, struct arena *arena)
{
    if (!value.data)
        value = STR("null");
    return arena_printf(arena, "Invalid value %.*s for configuration %s: %s", STR_ARG(value), s->name,
                        reason);
}

static int refuse(struct str *message, struct str text)
{
    *message = text;
    return text.data ? ERR_INVALID : ERR_NOMEM;
}

static int refuse_value(const struct setting *s, struct str value, const char *reason, struct arena *arena,
                        struct str *message)
{
    return refuse(message, setting_message(s, value, reason, arena));
}

// "a, b, c", upper-cased as Kafka prints them where case does not matter.
static const char *join_allowed(const struct setting *s, struct arena *arena)
{
    struct str text = STR("");
    for (size_t i = 0; s->allowed[i] && text.data; i++)
        text = arena_printf(arena, "%.*s%s%s", STR_ARG(text), i ? ", " : "", s->allowed[i]);
    return text.data;
}

static int check_range(const struct setting *s, const struct setting_value *v, struct arena *arena,
                       struct str *message)
{
    if (v->null)
        return refuse_value(s, STR_NULL, "Value must be non-null", arena, message);
    double number = s->type == SETTING_DOUBLE ? v->real : (double)v->integer;
    bool low = number<s->minimum, high = number> s->maximum;
    if (!low && !high)
        return 0;
    if (s->check == SETTING_CHECK_RANGE_OR && v->integer == s->other)
        return 0;
    struct str reason;
    if (s->check == SETTING_CHECK_RANGE_OR)
        reason = arena_printf(arena, "Value must be between %s and %s or equal to %lld", s->minimum_text,
                              s->maximum_text, (long long)s->other);
    else if (low)
        reason = arena_printf(arena, "Value must be at least %s", s->minimum_text);
    else
        reason = arena_printf(arena, "Value must be no more than %s", s->maximum_text);
    if (!reason.data)
        return ERR_NOMEM;
    return refuse_value(s, setting_format(s, v, arena), reason.data, arena, message);
}

static bool allowed(const struct setting *s, struct str text)
{
    for (size_t i = 0; s->allowed[i]; i++) {
        if (str_is(text, s->allowed[i]))
            return true;
        if (s->check == SETTING_CHECK_IN_ANY_CASE && text.size == strlen(s->allowed[i]) &&
            strncasecmp(text.data, s->allowed[i], text.size) == 0)
            return true;
    }
    return false;
}

static int check_text_in(const struct setting *s, struct str text, struct arena *arena, struct str *message)
{
    if (text.data && allowed(s, text))
        return 0;
    const char *names = join_allowed(s, arena);
    if (!names)
        return ERR_NOMEM;
    struct str reason =
        arena_printf(arena, "String must be one of%s: %s",
                     s->check == SETTING_CHECK_IN_ANY_CASE ? " (case insensitive)" : "", names);
    return reason.data ? refuse_value(s, text, reason.data, arena, message) : ERR_NOMEM;
}

// One entry after the other, as Kafka does: the first that is wrong is named.
static int check_entries(const struct setting *s, const struct setting_value *v, struct arena *arena,
                         struct str *message)
{
    int err = 0;
    for (size_t i = 0; i < v->count && !err; i++)
        if (s->unique && v->entries[i].size == 0)
            err =
                refuse(message, arena_printf(arena, "Configuration '%s' values must not be empty.", s->name));
        else if (s->allowed)
            err = check_text_in(s, v->entries[i], arena, message);
    return err;
}

static int check_list(const struct setting *s, const struct setting_value *v, struct arena *arena,
                      struct str *message)
{
    if (v->null || v->count > 0 || !s->list_not_empty)
        return check_entries(s, v, arena, message);
    const char *names = s->allowed ? join_allowed(s, arena) : "any non-empty value";
    if (!names)
        return ERR_NOMEM;
    return refuse(message,
                  arena_printf(arena,
                               s->allowed ? "Configuration '%s' must not be empty. Valid values include: [%s]"
                                          : "Configuration '%s' must not be empty. Valid values include: %s",
                               s->name, names));
}

static bool is_digits(struct str s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return s.size > 0;
}

static bool is_replica(struct str entry)
{
    const char *colon = entry.size ? memchr(entry.data, ':', entry.size) : NULL;
    if (!colon)
        return false;
    size_t before = (size_t)(colon - entry.data);
    return is_digits((struct str){entry.data, before}) &&
           is_digits((struct str){colon + 1, entry.size - before - 1});
}

static int check_replicas(const struct setting *s, const struct setting_value *v, struct arena *arena,
                          struct str *message)
{
    if (v->count == 1 && str_is(v->entries[0], "*"))
        return 0;
    for (size_t i = 0; i < v->count; i++) {
        if (v->entries[i].size == 0 || is_replica(v->entries[i]))
            continue;
        struct str list = setting_list_as_java(v, arena);
        struct str reason = arena_printf(arena,
                                         "%s must be the literal '*' or a list of replicas in the following "
                                         "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                                         s->name);
        return list.data && reason.data ? refuse_value(s, list, reason.data, arena, message) : ERR_NOMEM;
    }
    return 0;
}

bool server_address_parse(struct str text, struct str *host, int32_t *port)
{
    const char *colon = text.size ? memrchr(text.data, ':', text.size) : NULL;
    if (!colon)
        return false;
    *host = (struct str){text.data, (size_t)(colon - text.data)};
    struct str digits = {colon + 1, text.size - host->size - 1};
    if (!is_digits(digits) || digits.size > 9)
        return false;
    *port = 0;
    for (size_t i = 0; i < digits.size; i++)
        *port = *port * 10 + (digits.data[i] - '0');
    if (host->size >= 2 && host->data[0] == '[' && host->data[host->size - 1] == ']') {
        host->data++;
        host->size -= 2;
        return true;
    }
    return host->size == 0 || !memchr(host->data, ':', host->size);
}

static int check_servers(const struct setting *s, const struct setting_value *v, struct arena *arena,
                         struct str *message)
{
    for (size_t i = 0; i < v->count; i++) {
        struct str host;
        int32_t port;
        if (!server_address_parse(v->entries[i], &host, &port) || host.size == 0)
            return refuse(message, arena_printf(arena,
                                                "Failed to parse host name from entry %.*s for the "
                                                "configuration %s. Each entry should be in the form "
                                                "\"{host}:{port}\"",
                                                STR_ARG(v->entries[i]), s->name));
    }
    return 0;
}

static int check_voter(const struct setting *s, struct str entry, struct arena *arena, struct str *message)
{
    const char *at = entry.size ? memchr(entry.data, '@', entry.size) : NULL;
    if (!at)
        return refuse(message, arena_printf(arena,
                                            "Invalid value %.*s for configuration %s. Each entry should be "
                                            "in the form `{id}@{host}:{port}`.",
                                            STR_ARG(entry), s->name));
    struct str id = {entry.data, (size_t)(at - entry.data)}, host;
    int32_t port;
    if (!is_digits(id) || id.size > 9)
        return refuse(message, arena_printf(arena,
                                            "Failed to parse voter ID as an integer from entry %.*s for the "
                                            "configuration %s. Each entry should be in the form "
                                            "`{id}@{host}:{port}`.",
                                            STR_ARG(entry), s->name));
    if (!server_address_parse((struct str){at + 1, entry.size - id.size - 1}, &host, &port) || host.size == 0)
        return refuse(message, arena_printf(arena,
                                            "Failed to parse host name from entry %.*s for the configuration "
                                            "%s. Each entry should be in the form `{id}@{host}:{port}`.",
                                            STR_ARG(entry), s->name));
    return 0;
}

static int check_voters(const struct setting *s, const struct setting_value *v, struct arena *arena,
                        struct str *message)
{
    int err = 0;
    for (size_t i = 0; i < v->count && !err; i++)
        err = check_voter(s, v->entries[i], arena, message);
    return err;
}

// by_duration: an ISO-8601 duration of days, hours, minutes and seconds, each a whole number here.
static bool is_duration(struct str s)
{
    static const char units[] = "DHMS";
    size_t unit = 0, i = 1, parts = 0;
    bool time = false;
    if (s.size < 3 || s.data[0] != 'P')
        return false;
    while (i < s.size) {
        if (s.data[i] == 'T' && !time) {
            time = true;
            unit = 1;
            i++;
            continue;
        }
        size_t digits = i;
        while (i < s.size && s.data[i] >= '0' && s.data[i] <= '9')
            i++;
        if (i == digits || i == s.size)
            return false;
        const char *found = memchr(units + unit, s.data[i], sizeof units - 1 - unit);
        if (!found || time != (found > units))
            return false;
        unit = (size_t)(found - units) + 1;
        parts++;
        i++;
    }
    return parts > 0 && s.data[s.size - 1] != 'T';
}

static int check_reset(const struct setting *s, const struct setting_value *v, struct arena *arena,
                       struct str *message)
{
    static const struct str prefix = {"by_duration:", 12};
    struct str text = v->text;
    if (str_is(text, "latest") || str_is(text, "earliest"))
        return 0;
    if (text.size > prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0 &&
        is_duration((struct str){text.data + prefix.size, text.size - prefix.size}))
        return 0;
    struct str reason = arena_printf(
        arena,
        "Invalid value `%.*s` for configuration %s. The value must be either 'earliest', 'latest' "
        "or of the format 'by_duration:<PnDTnHnMn.nS>'.",
        STR_ARG(text), s->name);
    return reason.data ? refuse_value(s, text, reason.data, arena, message) : ERR_NOMEM;
}

int setting_check(const struct setting *s, const struct setting_value *v, struct arena *arena,
                  struct str *message)
{
    if (s->type == SETTING_LIST) {
        int err = check_list(s, v, arena, message);
        if (err)
            return err;
    }
    switch (s->check) {
    case SETTING_CHECK_NONE:
        return 0;
    case SETTING_CHECK_RANGE:
    case SETTING_CHECK_RANGE_OR:
        return check_range(s, v, arena, message);
    case SETTING_CHECK_IN:
    case SETTING_CHECK_IN_ANY_CASE:
        return s->type == SETTING_LIST ? 0 : check_text_in(s, v->null ? STR_NULL : v->text, arena, message);
    case SETTING_CHECK_NOT_EMPTY:
        return v->null || v->text.size > 0
                   ? 0
                   : refuse_value(s, v->text, "String must be non-empty", arena, message);
    case SETTING_CHECK_NOT_NULL:
        return v->null ? refuse_value(s, STR_NULL, "entry must be non null", arena, message) : 0;
    case SETTING_CHECK_REPLICAS:
        return check_replicas(s, v, arena, message);
    case SETTING_CHECK_VOTERS:
        return check_voters(s, v, arena, message);
    case SETTING_CHECK_SERVERS:
        return check_servers(s, v, arena, message);
    case SETTING_CHECK_RESET:
        return check_reset(s, v, arena, message);
    }
    return 0;
}
