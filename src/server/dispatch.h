// The table of APIs that are served: api key and version -> handler. An API is advertised (ApiVersions)
// exactly when it is registered here.
#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H

#include "server/listener.h"

struct request;
struct cold_logs;

struct api_handler {
    int16_t api_key;
    int16_t min_version, max_version; // served
    int16_t advertised_min_version;   // -1: min_version. Produce says 0 though 3 is the first that works
    unsigned listeners;               // enum listener_kind, or-ed
    // Serves request->message; answers, parks or closes (server/request.h). On the connection's reactor.
    void (*handle)(struct request *request);
    // It leaves what it does to reactor_collect. A request of any other kind is handled only after what was
    // collected before it is done.
    bool collects;
    // A request of so many bytes or more is handled on a worker's thread, while its connection stalls: there
    // the handler asks only what any thread may (the image, logs, coordinators), calls of request.h those
    // that say so, and decides before it returns. 0: none is.
    size_t worker_bytes;
    // The same, where something else than the size says so; may be NULL.
    bool (*is_costly)(const struct request *request);
    // Says which partitions it names (cold_logs_add), when their logs are to be loaded before it is handled;
    // may be NULL.
    void (*cold_logs)(const struct request *request, struct cold_logs *cold);
};

// Lists of a few hundred things to look up.
#define HEAVY_REQUEST_BYTES 4096

#define API_KEY_LIMIT 128 // api keys are below it

// The features that ApiVersions tells of: what this node supports, and what the cluster has finalized.
struct feature {
    struct str name;
    int16_t min_version, max_version; // supported
    int16_t finalized_version;        // 0: not finalized
};

struct features {
    const struct feature *items;
    size_t count;
    int64_t finalized_epoch; // offset of the metadata that says so; -1: unknown
};

struct api_table {
    const struct api_handler *handlers[API_KEY_LIMIT]; // NULL: not served
    // Fills *out; what it points to lives as long as the request (its arena, or static). NULL: no features.
    void (*features)(const struct request *request, struct features *out);
};

// Adds a handler (static memory). Asserts that the codec knows its versions and that the key is free.
void api_table_add(struct api_table *table, const struct api_handler *handler);

// The handler of an API on a kind of listener, or NULL.
const struct api_handler *api_table_find(const struct api_table *table, int16_t api_key,
                                         enum listener_kind kind);

#endif
