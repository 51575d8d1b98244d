// Where a consumer starts: a place that a person names. Pure; any thread.
#ifndef CLI_START_OFFSET_H
#define CLI_START_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

enum start_kind { START_BEGINNING, START_END, START_OFFSET, START_LAST, START_TIME };

struct start {
    enum start_kind kind;
    int64_t number; // START_OFFSET; START_LAST: records before the end; START_TIME: ms since 1970
};

// "beginning", "end", "42", "-10" (the last ten), "@1700000000000" (ms), "2026-01-31", "2026-01-31T12:00:00Z"
// (UTC, with or without seconds), "-90s", "-10m", "-2h", "-7d" (that long ago). False when it is none of
// them.
bool start_parse(const char *text, int64_t now_ms, struct start *out);

#endif
