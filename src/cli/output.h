// What commands print: JSON for programs, aligned columns for people, a progress line on a terminal. One
// thread.
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>

// A JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD; look before with utf8_valid where
// that matters.
void json_text(struct buffer *out, struct str text);

// "name": text, or null for a null view.
void json_member(struct buffer *out, const char *name, struct str text);

// "name": text, or "nameBase64" where the bytes are no UTF-8, or null.
void json_bytes_member(struct buffer *out, const char *name, struct bytes bytes);

// Writes and clears the buffer. False when standard output cannot be written.
bool cli_flush(struct buffer *out);

// A name that a client chose, for a terminal: what would move its cursor or change it is '?' from now on.
void text_make_plain(char *text);

// A table for people: the first row is the heading; columns are as wide as they need to be, and cells plain.
struct table {
    struct buffer cells; // each terminated by a zero
    size_t columns, count;
};

void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *t, struct buffer *out);
void table_free(struct table *t);

// "2026-01-31T12:00:00.123Z"; out has TIME_TEXT_BYTES.
#define TIME_TEXT_BYTES 40
void time_text(int64_t ms, char *out);

// A line on standard error that is written over itself, at most five times a second, where that is a
// terminal.
struct progress {
    bool shown, terminal;
    int64_t started_ms, last_ms;
};

struct progress progress_start(void);
void progress_update(struct progress *p, uint64_t records, uint64_t bytes);
void progress_end(struct progress *p); // takes the line away

#endif
