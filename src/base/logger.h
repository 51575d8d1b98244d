// The server's log: one line an event, on standard error. Any thread.
//
//   2026-01-31T12:00:00.123Z INFO  server: listening on 127.0.0.1:9092
//
// The part before the colon is the room, whose logger it is; then free text that names the thing and the
// reason. Control characters and bytes that are no UTF-8 are escaped, so that a client cannot forge a line.
#ifndef BASE_LOGGER_H
#define BASE_LOGGER_H

#include "base/buffer.h"

#include <stdatomic.h>
#include <stdint.h>

// Trace and fatal are levels that lines can be dropped below; no line has them.
enum log_level {
    LOG_LEVEL_TRACE,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_FATAL,
    LOG_LEVEL_OFF
};

// Rooms' lines, and whatever else has a level of its own. One that was given none has the root's.
struct logger {
    const char *name;
    _Atomic int own;   // LOGGER_INHERITS, or a level
    _Atomic int least; // lines below it are dropped
};

#define LOGGER_INHERITS (-1)

extern struct logger logger_requests; // a line for each request (server/request_log.h); at first WARN: none

// All of them; the first is the root. NULL: there are no more.
struct logger *logger_at(size_t i);
struct logger *logger_find(struct str name);

// LOGGER_INHERITS takes its level back (not the root's). Any thread.
void logger_set(struct logger *logger, int level);

static inline bool logger_wants(const struct logger *logger, enum log_level level)
{
    return (int)level >= atomic_load_explicit(&logger->least, memory_order_relaxed);
}

static inline enum log_level logger_level(const struct logger *logger)
{
    return (enum log_level)atomic_load_explicit(&logger->least, memory_order_relaxed);
}

// The root's level; default: info.
void logger_set_level(enum log_level level);
const char *logger_level_name(enum log_level level); // "INFO"

// Lines go to this descriptor (default 2). Call before threads start.
void logger_set_fd(int fd);

void logger_write(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// A long line, made in two steps, as whoever writes it may have to wait: how it begins; then, with its end of
// line, all of it at once. The text in between is the caller's, who escapes what he must.
void logger_begin(struct buffer *line, const struct logger *logger, enum log_level level);
// Whether that would not wait for who reads the log, and would leave room for short lines behind it: 1, 0
// (not now), or -1 (never: it is larger than the pipe). Of what is no pipe only whether it takes anything.
int logger_has_room(size_t size);
void logger_write_line(const struct buffer *line);

// A place that may be asked for a line very often: at most LOGGER_BURST lines in ten seconds are written; the
// next one that is allowed says how many were left out.
struct logger_rate {
    int64_t window_start_ms; // monotonic
    uint32_t written, dropped;
};

#define LOGGER_BURST 10

// Whether a line may be written now; *dropped is how many were left out since the last one. Any thread.
int logger_rate_allows(struct logger_rate *rate, uint32_t *dropped);

#define log_debug(room, ...) logger_write(LOG_LEVEL_DEBUG, room, __VA_ARGS__)
#define log_info(room, ...)  logger_write(LOG_LEVEL_INFO, room, __VA_ARGS__)
#define log_warn(room, ...)  logger_write(LOG_LEVEL_WARN, room, __VA_ARGS__)
#define log_error(room, ...) logger_write(LOG_LEVEL_ERROR, room, __VA_ARGS__)

// The same, rate-limited per call site.
#define log_limited(level, room, format, ...)                                                      \
    do {                                                                                           \
        static struct logger_rate logger_rate_here;                                                \
        uint32_t logger_dropped;                                                                   \
        if (logger_rate_allows(&logger_rate_here, &logger_dropped)) {                              \
            logger_write(level, room, format, ##__VA_ARGS__);                                      \
            if (logger_dropped)                                                                    \
                logger_write(level, room, "%u lines like this one were left out", logger_dropped); \
        }                                                                                          \
    } while (0)

#endif
