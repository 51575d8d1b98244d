// Requests that name logs which nobody has used since the start: reading what such a log left on disk may
// take long, so that its directory's loaders do it before the request is handled. One directory after the
// other: a disk that hangs keeps its own loaders, and nobody else's.
#ifndef SERVER_COLD_LOGS_H
#define SERVER_COLD_LOGS_H

#include "metadata/image.h"
#include "server/request.h"

struct cold_logs;

// For api_handler.cold_logs: a partition (of a topic of the image, or NULL) that the request names.
void cold_logs_add(struct cold_logs *cold, const struct image_topic *topic, int32_t partition);

// Whether the request names a cold log. On the reactor, or on the worker that has the request.
bool cold_logs_any(const struct request *request);

// Has a loader read those of one directory, and then dispatches the request again; it is parked until then.
// False: it names none. On the reactor.
bool cold_logs_load(struct request *request);

#endif
