// ApiVersions (KIP-511, KIP-482, KIP-584): what this listener serves, and the features.
#ifndef SERVER_HANDLERS_API_VERSIONS_H
#define SERVER_HANDLERS_API_VERSIONS_H

#include "server/dispatch.h"

extern const struct api_handler api_versions_handler;

#endif
