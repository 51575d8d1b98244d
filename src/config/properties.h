// Java properties files, read as java.util.Properties reads them: comments, `=`, `:` or space, escapes,
// continuation lines, ISO-8859-1. Pure except properties_read. One thread at a time.
#ifndef CONFIG_PROPERTIES_H
#define CONFIG_PROPERTIES_H

#include "base/arena.h"
#include "base/bytes.h"

// A name and its text, as configuration travels everywhere: files, overrides, requests, the metadata image.
struct config_entry {
    struct str name;
    struct str value;
};

struct properties {
    struct config_entry *entries; // in the order of first appearance; each name once
    size_t count, capacity;
    struct arena *arena; // owns names and values; the caller's
};

// An empty set whose texts go to `arena`.
void properties_init(struct properties *p, struct arena *arena);

// Adds what a properties file says; later values replace earlier ones. 0; ERR_INVALID for a malformed \u
// escape, with a message that names the line; ERR_NOMEM.
int properties_parse(struct properties *p, struct str text, struct str *message);

// Reads a file of at most PROPERTIES_MAX_BYTES. 0; ERR_IO, ERR_LIMIT, ERR_INVALID with a message; ERR_NOMEM.
#define PROPERTIES_MAX_BYTES (16 << 20)
int properties_read(struct properties *p, const char *path, struct str *message);

// Sets or replaces; copies both texts. 0 or ERR_NOMEM.
int properties_set(struct properties *p, struct str name, struct str value);

// "name=value" from the command line, as kafka-server-start takes it: split at the first `=`; "name" alone
// sets the empty text. ERR_INVALID when the name is empty.
int properties_override(struct properties *p, struct str text, struct str *message);

// A null view when the name is not set.
struct str properties_get(const struct properties *p, struct str name);

// The same for an array of entries (the last one of a name counts).
const struct config_entry *config_entry_find(const struct config_entry *entries, size_t n, struct str name);

#endif
