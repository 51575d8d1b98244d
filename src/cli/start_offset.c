#include "cli/start_offset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool parse_number(const char *text, int64_t *out, const char **rest)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    *rest = end;
    return errno == 0 && end != text;
}

static int64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].ms;
    return 0;
}

static bool parse_time(const char *text, int64_t *ms)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm parts = {0};
        const char *end = strptime(text, forms[i], &parts);
        if (!end || (*end != 0 && strcmp(end, "Z") != 0))
            continue;
        *ms = (int64_t)timegm(&parts) * 1000;
        return true;
    }
    return false;
}

static bool start_at(struct start *out, enum start_kind kind, int64_t number)
{
    *out = (struct start){kind, number};
    return true;
}

bool start_parse(const char *text, int64_t now_ms, struct start *out)
{
    const char *rest;
    int64_t n;
    if (strcmp(text, "beginning") == 0)
        return start_at(out, START_BEGINNING, 0);
    if (strcmp(text, "end") == 0)
        return start_at(out, START_END, 0);
    if (text[0] == '@')
        return parse_number(text + 1, &n, &rest) && *rest == 0 && n >= 0 && start_at(out, START_TIME, n);
    if (parse_time(text, &n))
        return start_at(out, START_TIME, n);
    if (!parse_number(text, &n, &rest))
        return false;
    if (*rest == 0)
        return n < 0 || text[0] == '-' ? start_at(out, START_LAST, -n) : start_at(out, START_OFFSET, n);
    int64_t unit = unit_ms(rest);
    if (text[0] != '-' || unit == 0 || n < -now_ms / unit)
        return false;
    return start_at(out, START_TIME, now_ms + n * unit);
}
