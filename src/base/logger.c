#include "base/logger.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define RATE_WINDOW_MS 10000

// In a pipe that long lines are written to.
#define ROOM_FOR_OTHERS_BYTES 16384

#define ROOM(name)                            \
    {                                         \
        name, LOGGER_INHERITS, LOG_LEVEL_INFO \
    }

struct logger logger_requests = {"kafka.request.logger", LOG_LEVEL_WARN, LOG_LEVEL_WARN};

static struct logger root = {"root", LOG_LEVEL_INFO, LOG_LEVEL_INFO};
static struct logger rooms[] = {
    ROOM("config"),   ROOM("controller"), ROOM("coordinator"), ROOM("http"),
    ROOM("metadata"), ROOM("quorum"),     ROOM("raft"),        ROOM("replication"),
    ROOM("server"),   ROOM("storage"),    ROOM("telemetry"),   ROOM("transactions"),
};
static pthread_mutex_t levels_lock = PTHREAD_MUTEX_INITIALIZER;
static int output_fd = 2;
static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t rate_lock = PTHREAD_MUTEX_INITIALIZER;

struct logger *logger_at(size_t i)
{
    if (i < 2)
        return i == 0 ? &root : &logger_requests;
    return i - 2 < sizeof rooms / sizeof *rooms ? &rooms[i - 2] : NULL;
}

struct logger *logger_find(struct str name)
{
    struct logger *logger;
    for (size_t i = 0; (logger = logger_at(i)); i++)
        if (str_is(name, logger->name))
            return logger;
    return NULL;
}

void logger_set(struct logger *logger, int level)
{
    assert(level != LOGGER_INHERITS || logger != &root);
    pthread_mutex_lock(&levels_lock);
    atomic_store(&logger->own, level);
    for (size_t i = 0; (logger = logger_at(i)); i++) {
        int own = atomic_load(&logger->own);
        atomic_store(&logger->least, own == LOGGER_INHERITS ? atomic_load(&root.own) : own);
    }
    pthread_mutex_unlock(&levels_lock);
}

void logger_set_level(enum log_level level)
{
    logger_set(&root, (int)level);
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

// One write a line: lines of several threads do not mix. A pipe may take a long line in pieces.
static void put(const char *line, size_t size)
{
    pthread_mutex_lock(&output_lock);
    while (size > 0) {
        ssize_t written = write(output_fd, line, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break; // nowhere to report that the log cannot be written
        line += written;
        size -= (size_t)written;
    }
    pthread_mutex_unlock(&output_lock);
}

void logger_begin(struct buffer *line, const struct logger *logger, enum log_level level)
{
    char start[LINE_MAX_BYTES];
    buffer_append(line, start, line_start(start, level, logger->name));
}

int logger_has_room(size_t size)
{
    int held = 0, room = fcntl(output_fd, F_GETPIPE_SZ);
    if (room < 0 || ioctl(output_fd, FIONREAD, &held) != 0) {
        struct pollfd p = {.fd = output_fd, .events = POLLOUT};
        return poll(&p, 1, 0) != 0;
    }
    if (size + ROOM_FOR_OTHERS_BYTES > (size_t)room)
        return -1;
    // At worst each of the pipe's pages is half full.
    return held == 0 || ((size_t)held + size) * 2 + ROOM_FOR_OTHERS_BYTES <= (size_t)room;
}

void logger_write_line(const struct buffer *line)
{
    put((const char *)line->data, line->size);
}

void logger_write(enum log_level level, const char *room, const char *format, ...)
{
    const struct logger *logger = logger_find(str_from(room));
    if (!logger_wants(logger ? logger : &root, level))
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
    put(line, n);
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
