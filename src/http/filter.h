// Which records a person wants to see, and how they are shown. Pure.
#ifndef HTTP_FILTER_H
#define HTTP_FILTER_H

#include "http/fetch.h"

enum payload_format { FORMAT_AUTO, FORMAT_TEXT, FORMAT_HEX };

struct record_filter {
    struct str key;      // exactly; null: any
    struct str contains; // in key or value; null: anything
    struct str field;    // of a JSON value, dots lead inwards; null: none is asked for
    struct str equals;   // what the field must be
};

struct record_view {
    enum payload_format format;
    size_t most_bytes; // of each key, value and header value
};

bool filter_matches(const struct record_filter *f, const struct found_record *record);

// {"format", "text", "sizeBytes", "truncated"}; null for null.
json_t *http_payload_json(const struct record_view *v, struct bytes payload);
json_t *http_record_json(const struct record_view *v, const struct found_record *record);

#endif
