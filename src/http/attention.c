#include "http/attention.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define DISK_LOW_SHARE      0.10 // of a volume that is left
#define DISK_CRITICAL_SHARE 0.02
#define BEHIND_SECONDS      60
#define REFUSED_MS          60000 // for so long a refused connection is told of

enum severity { CRITICAL, WARNING, NOTICE };
static const char *const severities[] = {"critical", "warning", "notice"};

struct about {
    json_t *all;
    const char *topic, *group; // NULL: none
};

static void say(struct about *a, enum severity severity, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct about *a, enum severity severity, const char *code, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    json_array_append_new(a->all, json_pack("{s:s, s:s, s:o, s:s?, s:s?}", "severity", severities[severity],
                                            "code", code, "message", http_text(str_from(message)), "topic",
                                            a->topic, "group", a->group));
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : -1;
}

static void about_disks(struct about *a, const struct slow_facts *slow)
{
    size_t i;
    json_t *d;
    json_array_foreach(slow->log_dirs, i, d)
    {
        const char *path = text_of(d, "path");
        double total = number_of(d, "totalBytes"), left = number_of(d, "usableBytes");
        if (json_is_string(json_object_get(d, "error")))
            say(a, CRITICAL, "LOG_DIR_OFFLINE",
                "The log directory %s is off line: its partitions are not served.", path);
        else if (total > 0 && left < DISK_LOW_SHARE * total)
            say(a, left < DISK_CRITICAL_SHARE * total ? CRITICAL : WARNING, "DISK_LOW",
                "The disk of %s has %.1f GB left, %.0f %% of it.", path, left / 1e9, 100 * left / total);
        if (json_is_true(json_object_get(d, "cordoned")))
            say(a, NOTICE, "LOG_DIR_CORDONED",
                "The log directory %s is cordoned: no new partition comes there.", path);
    }
}

static void about_cluster(struct about *a, const struct overview_facts *f)
{
    const struct slow_facts *slow = f->slow;
    size_t i;
    json_t *b;
    if (slow->offline)
        say(a, CRITICAL, "PARTITIONS_OFFLINE",
            "%d of %d partitions have no leader: they can be neither read nor written.", slow->offline,
            slow->partitions);
    if (slow->under_replicated)
        say(a, WARNING, "PARTITIONS_UNDER_REPLICATED",
            "%d of %d partitions have a replica that is not in sync.", slow->under_replicated,
            slow->partitions);
    json_array_foreach(slow->brokers, i, b) if (json_is_true(json_object_get(b, "fenced")))
        say(a, WARNING, "BROKER_FENCED", "Broker %.0f is fenced: clients are not sent to it.",
            number_of(b, "id"));
    if (f->refused_ms && f->time_ms - f->refused_ms < REFUSED_MS)
        say(a, WARNING, "CONNECTIONS_REFUSED",
            "Connections are refused, %" PRIu64
            " since the start: a limit is reached (max.connections and its kin).",
            f->now->counters.connections_refused);
}

static void about_groups(struct about *a, const struct slow_facts *slow)
{
    size_t i;
    json_t *g;
    json_array_foreach(slow->groups, i, g)
    {
        double lag = number_of(g, "lag"), seconds = number_of(g, "lagSeconds");
        a->group = text_of(g, "id");
        if (lag > 0 && number_of(g, "members") == 0)
            say(a, NOTICE, "GROUP_NOT_CONSUMING", "Group %s has no members, and %.0f records wait for it.",
                a->group, lag);
        else if (lag > 0 && seconds > BEHIND_SECONDS)
            say(a, WARNING, "GROUP_BEHIND", "Group %s is %.0f seconds and %.0f records behind.", a->group,
                seconds, lag);
        a->group = NULL;
    }
    json_array_foreach(slow->transactions, i, g)
        say(a, WARNING, "TRANSACTION_OPEN_LONG",
            "The transaction of %s is open for more than a minute: readers of committed records wait for it.",
            text_of(g, "id"));
}

json_t *attention_json(const struct overview_facts *f)
{
    struct about a = {.all = json_array()};
    about_disks(&a, f->slow);
    about_cluster(&a, f);
    about_groups(&a, f->slow);
    return a.all;
}
