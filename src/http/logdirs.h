#ifndef HTTP_LOGDIRS_H
#define HTTP_LOGDIRS_H

#include "http/request.h"

// Each directory with what it holds. NULL when the request is answered already.
json_t *http_logdirs_json(struct http_request *r);

#endif
