// The handlers, one file per API family: each API in served.h has an `<api>_handler`. Private to server/.
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "server/dispatch.h"

#define SERVED(api) extern const struct api_handler api##_handler;
#include "server/handlers/served.h"
#undef SERVED

#endif
