#include "cli/waiting.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WAITING_QUIET_MS 2000

static struct {
    const struct command *command;
    char what[400];
    int64_t since_ms, give_up_ms;
    bool said;
} now;

void waiting_for(const struct command *self, int64_t give_up_ms, const char *format, ...)
{
    char what[sizeof now.what];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (now.command == self && strcmp(what, now.what) == 0)
        return;
    now.command = self;
    memcpy(now.what, what, sizeof what);
    now.since_ms = clock_monotonic_ms();
    now.give_up_ms = give_up_ms;
    now.said = false;
}

bool waiting_look(void)
{
    int64_t now_ms = clock_monotonic_ms(), left_ms = now.give_up_ms - now_ms;
    if (!now.command || now.said || now_ms - now.since_ms < WAITING_QUIET_MS)
        return false;
    now.said = true;
    fflush(stdout);
    fprintf(stderr, "odradek %s: waiting for %s", now.command->name, now.what);
    if (left_ms > 0)
        fprintf(stderr, ", for %" PRId64 " s more at most (--timeout)", (left_ms + 999) / 1000);
    fputc('\n', stderr);
    return false;
}
