// Assignments of large groups: computed by a worker.
#ifndef SERVER_GROUP_ASSIGNMENTS_H
#define SERVER_GROUP_ASSIGNMENTS_H

#include "coordinator/machine.h"

// group_config.assign; the request's context is the broker.
void group_assignments_compute(struct coordinator_request *due);

#endif
