// What a principal may do with a resource, as the bits that Metadata, DescribeCluster and DescribeGroups tell
// (KIP-430): bit n stands for ACL operation n.
#ifndef SERVER_AUTHORIZED_OPERATIONS_H
#define SERVER_AUTHORIZED_OPERATIONS_H

#include "server/request.h"

int32_t authorized_cluster_operations(const struct request *request);
int32_t authorized_topic_operations(const struct request *request, struct str topic);
int32_t authorized_group_operations(const struct request *request, struct str group);

#endif
