// The demo: one thread writes what happens in a shop (shop.h) into topics, another is a member of a group
// that counts it minute by minute (tally.h) and writes the figures back. Start and stop: one thread.
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include <stdbool.h>
#include <stdint.h>

struct demo;

struct demo_options {
    const char *servers; // "host:port,host:port"; stays where it is
    uint64_t seed;
    double events_per_second; // on an average over the day
    int64_t history_ms;       // where the topics are new, the shop has been open for so long
    double speed;             // how fast the history passes; 0: at once

    // One line for a person; called on either thread.
    void (*say)(const char *line);
};

// 0, or ERR_NOMEM, ERR_IO. Whether there is a broker shows later, and is said.
int demo_start(struct demo **out, const struct demo_options *options);

// Asks it to end and waits, so long at most. True: it ended, and is freed. False: it waits for a broker that
// does not answer; the process may end all the same.
bool demo_stop(struct demo *d, int wait_ms);

// What time it is in a shop that opened at start_ms, when the wall clock was at begun_ms: the history passes
// `speed` times as fast, until it has caught up. Pure.
int64_t demo_time(double speed, int64_t start_ms, int64_t begun_ms, int64_t wall_ms);

#endif
