// Where partitions begin and end.
#ifndef HTTP_OFFSETS_H
#define HTTP_OFFSETS_H

#include "http/request.h"

#define OFFSET_LATEST   (-1) // of ListOffsets
#define OFFSET_EARLIEST (-2)

// The offsets of the partitions 0 .. count-1, in the request's arena; -1 where the partition does not answer.
// NULL when the request is answered already.
int64_t *http_offsets(struct http_request *r, struct str topic, int32_t count, int64_t timestamp);
// The same; `committed`: the latest one is the last stable offset.
int64_t *http_offsets_committed(struct http_request *r, struct str topic, int32_t count, int64_t timestamp,
                                bool committed);

// The topic (a null view: all). The caller looks at each topic's own error. False when the request is
// answered already.
struct metadata_response;
bool http_metadata(struct http_request *r, struct str name, struct metadata_response *response);

#endif
