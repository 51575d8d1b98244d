// What odradek-load can do: each mode runs to its end and prints one JSON object to standard output.
#ifndef BENCH_MODES_H
#define BENCH_MODES_H

#include "options.h"

void mode_wait(const struct options *o);   // until ApiVersions and Metadata are answered
void mode_serve(const struct options *o);  // until its topics' partitions are served
void mode_create(const struct options *o); // a topic
void mode_produce(const struct options *o);
void mode_fetch(const struct options *o);
void mode_stream(const struct options *o);      // produce at a rate, and fetch at the end meanwhile
void mode_latency(const struct options *o);     // end to end: a produce, and a parked fetch that brings it
void mode_echo(const struct options *o);        // against mode_limit_echo
void mode_commit(const struct options *o);      // offsets, one a request
void mode_join(const struct options *o);        // members of one group, until it is stable
void mode_group_fetch(const struct options *o); // as mode_fetch, by members of a group
void mode_members(const struct options *o);     // as mode_join, and they stay until standard input ends
void mode_fill(const struct options *o);        // groups with offsets
void mode_open_transactions(const struct options *o);
void mode_transactions(const struct options *o); // one after another on each connection
void mode_idle(const struct options *o);         // holds connections open until standard input ends
void mode_limit_write(
    const struct options *o); // receive, checksum, write to FILE.0, FILE.1, ...: no broker can do less
void mode_limit_send(const struct options *o); // serve a file with sendfile
void mode_limit_echo(const struct options *o);

#endif
