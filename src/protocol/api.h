// The APIs of Kafka: name, versions, headers, listeners. Constant; any thread.
#ifndef PROTOCOL_API_H
#define PROTOCOL_API_H

#include "protocol/codec.h"

enum { API_ON_BROKER = 1, API_ON_CONTROLLER = 2 };

struct api {
    int16_t key;
    const char *name; // "Fetch"
    const struct message_type *request, *response;
    uint8_t listeners;       // API_ON_...
    int16_t max_stable;      // the highest version that is not marked unstable
    int16_t response_header; // a fixed version, or -1: as the flexible versions say
};

// NULL when Kafka has no such API. APIs that Kafka 4 removed are there, with no version (min_version 1, max
// 0).
const struct api *api_find(int16_t key);

// All of them, by key; *count of them.
const struct api *api_all(size_t *count);

// The version of RequestHeader that a request of this version has. Also for versions above the highest known
// one, so that an ApiVersions request from the future can be answered.
int16_t api_request_header_version(const struct api *api, int16_t version);

// The version of ResponseHeader: 0 always for ApiVersions, whose client does not know yet what the broker
// speaks.
int16_t api_response_header_version(const struct api *api, int16_t version);

#endif
