#include "base/logger.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define RATE_WINDOW_MS 10000

static atomic_int minimum = LOG_LEVEL_INFO;
static int output_fd = 2;
static pthread_mutex_t rate_lock = PTHREAD_MUTEX_INITIALIZER;

void logger_set_level(enum log_level level)
{
    atomic_store_explicit(&minimum, (int)level, memory_order_relaxed);
}

enum log_level logger_level(void)
{
    return (enum log_level)atomic_load_explicit(&minimum, memory_order_relaxed);
}

const char *logger_level_name(enum log_level level)
{
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"};
    return names[level];
}

void logger_set_fd(int fd)
{
    output_fd = fd;
}

static size_t line_start(char *out, enum log_level level, const char *room)
{
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm t;
    gmtime_r(&seconds, &t);
    size_t n = strftime(out, LINE_MAX_BYTES, "%Y-%m-%dT%H:%M:%S", &t);
    n += (size_t)snprintf(out + n, LINE_MAX_BYTES - n, ".%03dZ %-5s %s: ", (int)(now_ms % 1000),
                          logger_level_name(level), room);
    return n;
}

void logger_write(enum log_level level, const char *room, const char *format, ...)
{
    if (level < logger_level())
        return;
    char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES / 4];
    size_t n = line_start(line, level, room);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = strlen(text);
    bool plain = utf8_valid((const uint8_t *)text, size);
    for (size_t i = 0; i < size; i++) { // an escape takes 4 bytes, so a whole text fits
        uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !plain))
            n += (size_t)snprintf(line + n, LINE_MAX_BYTES - n, "\\x%02x", c);
        else if (n < LINE_MAX_BYTES - 1)
            line[n++] = (char)c;
    }
    if (n > LINE_MAX_BYTES - 1)
        n = LINE_MAX_BYTES - 1;
    line[n++] = '\n';
    ssize_t written = write(output_fd, line, n); // one write a line: lines of several threads do not mix
    (void)written;                               // nowhere to report that the log cannot be written
}

int logger_rate_allows(struct logger_rate *rate, uint32_t *dropped)
{
    int64_t now_ms = clock_monotonic_ms();
    int allowed = 0;
    pthread_mutex_lock(&rate_lock);
    if (rate->written == 0 || now_ms - rate->window_start_ms >= RATE_WINDOW_MS) {
        rate->window_start_ms = now_ms;
        rate->written = 0;
    }
    *dropped = 0;
    if (rate->written < LOGGER_BURST) {
        rate->written++;
        *dropped = rate->dropped;
        rate->dropped = 0;
        allowed = 1;
    } else {
        rate->dropped++;
    }
    pthread_mutex_unlock(&rate_lock);
    return allowed;
}
