// Which topics match the regular expressions of a group: looked for by a worker, among all there are.
#ifndef SERVER_GROUP_REGEXES_H
#define SERVER_GROUP_REGEXES_H

#include "coordinator/machine.h"

// group_config.resolve; the request's context is the broker.
void group_regexes_resolve(struct coordinator_request *regexes);

#endif
