#include "server/authorized_operations.h"

static int32_t authorized(const struct request *r, const enum acl_operation *operations, size_t count,
                          enum resource_type type, struct str name)
{
    int32_t bits = 0;
    for (size_t i = 0; i < count; i++)
        if (request_authorize(r, operations[i], type, name))
            bits |= 1 << operations[i];
    return bits;
}

int32_t authorized_cluster_operations(const struct request *r)
{
    static const enum acl_operation operations[] = {
        ACL_CREATE,           ACL_CLUSTER_ACTION, ACL_DESCRIBE_CONFIGS, ACL_ALTER_CONFIGS,
        ACL_IDEMPOTENT_WRITE, ACL_ALTER,          ACL_DESCRIBE};
    return authorized(r, operations, sizeof operations / sizeof *operations, RESOURCE_CLUSTER,
                      CLUSTER_RESOURCE_NAME);
}

int32_t authorized_topic_operations(const struct request *r, struct str topic)
{
    static const enum acl_operation operations[] = {
        ACL_READ,   ACL_WRITE, ACL_CREATE,           ACL_DESCRIBE,
        ACL_DELETE, ACL_ALTER, ACL_DESCRIBE_CONFIGS, ACL_ALTER_CONFIGS};
    return authorized(r, operations, sizeof operations / sizeof *operations, RESOURCE_TOPIC, topic);
}

int32_t authorized_group_operations(const struct request *r, struct str group)
{
    static const enum acl_operation operations[] = {ACL_READ, ACL_DELETE, ACL_DESCRIBE, ACL_DESCRIBE_CONFIGS,
                                                    ACL_ALTER_CONFIGS};
    return authorized(r, operations, sizeof operations / sizeof *operations, RESOURCE_GROUP, group);
}
