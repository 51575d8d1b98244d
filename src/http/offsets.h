// Where partitions begin and end.
#ifndef HTTP_OFFSETS_H
#define HTTP_OFFSETS_H

#include "http/request.h"

#define OFFSET_LATEST   (-1) // of ListOffsets
#define OFFSET_EARLIEST (-2)

// The offsets of the partitions 0 .. count-1, in the request's arena; -1 where the partition does not answer.
// NULL when the request is answered already.
int64_t *http_offsets(struct http_request *r, struct str topic, int32_t count, int64_t timestamp);

#endif
