// The dashboard's files (web/), built into the binary.
#ifndef HTTP_STATIC_H
#define HTTP_STATIC_H

#include <stdbool.h>
#include <stddef.h>

struct web_file {
    const char *path; // as it is asked for, "/index.html"
    const char *content_type;
    const char *etag;          // of the content, in its quotes
    const unsigned char *gzip; // the content, compressed
    size_t gzip_bytes, bytes;
};

// Written by web/embed.py, in the order of their paths.
extern const struct web_file web_files[];
extern const size_t web_file_count;

// The file of a path; "/" is the index. NULL: there is none.
const struct web_file *web_file_find(const char *path);

// Whether an Accept-Encoding lets gzip through (null: it does not), and whether an If-None-Match names the
// tag.
bool web_accepts_gzip(const char *accept_encoding);
bool web_has_tag(const char *if_none_match, const char *etag);

// The content, uncompressed, in memory of the caller; NULL without memory.
unsigned char *web_file_content(const struct web_file *file);

#endif
