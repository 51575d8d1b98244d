#include "http/static.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#define ZLIB_CONST // its input is not written
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) // zlib's word for a gzip header

static int compare(const void *path, const void *file)
{
    return strcmp(path, ((const struct web_file *)file)->path);
}

const struct web_file *web_file_find(const char *path)
{
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    return bsearch(path, web_files, web_file_count, sizeof web_files[0], compare);
}

// The next element of a header's list, without blanks around it; false at the end.
static bool next_element(const char **at, const char **element, size_t *size)
{
    *at += strspn(*at, " \t,");
    if (!**at)
        return false;
    *element = *at;
    *at += strcspn(*at, ",");
    for (*size = (size_t)(*at - *element); *size > 0 && strchr(" \t", (*element)[*size - 1]);)
        --*size;
    return true;
}

// "q=0" forbids a coding (RFC 9110, 12.5.3).
static bool forbidden(const char *parameters, size_t size)
{
    const char *q = memmem(parameters, size, "q=", 2);
    return q && strtod(q + 2, NULL) <= 0;
}

bool web_accepts_gzip(const char *accept_encoding)
{
    const char *at = accept_encoding, *element;
    size_t size;
    while (at && next_element(&at, &element, &size)) {
        size_t name = strcspn(element, " \t;,");
        if ((name == 4 && strncasecmp(element, "gzip", 4) == 0) || (name == 1 && *element == '*'))
            return !forbidden(element + name, size - name);
    }
    return false;
}

bool web_has_tag(const char *if_none_match, const char *etag)
{
    const char *at = if_none_match, *element;
    size_t size;
    while (at && next_element(&at, &element, &size)) {
        if (size > 2 && memcmp(element, "W/", 2) == 0) // the weak comparison is the one that counts here
            element += 2, size -= 2;
        if ((size == 1 && *element == '*') || (size == strlen(etag) && memcmp(element, etag, size) == 0))
            return true;
    }
    return false;
}

unsigned char *web_file_content(const struct web_file *file)
{
    unsigned char *out = malloc(file->bytes + 1);
    z_stream z = {.next_in = file->gzip,
                  .avail_in = (uInt)file->gzip_bytes,
                  .next_out = out,
                  .avail_out = (uInt)file->bytes + 1};
    if (!out || inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        free(out);
        return NULL;
    }
    int done = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (done == Z_STREAM_END && z.total_out == file->bytes)
        return out;
    free(out);
    return NULL;
}
