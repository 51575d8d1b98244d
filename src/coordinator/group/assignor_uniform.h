// Private to the assignors.
#ifndef COORDINATOR_GROUP_ASSIGNOR_UNIFORM_H
#define COORDINATOR_GROUP_ASSIGNOR_UNIFORM_H

#include "coordinator/group/assignor.h"

int assign_uniform(struct assignor_problem *problem, struct arena *arena);

#endif
