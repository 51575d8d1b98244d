// Requests that name a partition whose log nobody has used since the start: reading what such a log left on
// disk may take long, so that a loader does it.
#ifndef SERVER_HANDLERS_COLD_LOGS_H
#define SERVER_HANDLERS_COLD_LOGS_H

#include "metadata/image.h"
#include "server/request.h"

// Whether the partition (of a topic of the image, or NULL) is here and its log is cold. For
// api_handler.uses_cold_log.
bool is_cold_log(const struct request *request, const struct image_topic *topic, int32_t partition);

#endif
