"""ACLs of a broker without an authorizer: refused, or not even read."""


def acl(**more):
    return {"ResourceType": 2, "ResourceName": "t", "Principal": "User:a", "Host": "*", "Operation": 3, "PermissionType": 3, **more}


def acl_filter(**more):
    return {"ResourceTypeFilter": 1, "PatternTypeFilter": 1, "Operation": 1, "PermissionType": 1, **more}


def describe_acls(step, version, prefix):
    step("DescribeAcls", version, acl_filter())
    step("DescribeAcls", version, acl_filter(ResourceTypeFilter=2, ResourceNameFilter=prefix, PrincipalFilter="User:a", HostFilter="*"))
    step("DescribeAcls", version, acl_filter(ResourceTypeFilter=100, Operation=-1))
    for name in ("ResourceTypeFilter", "PatternTypeFilter", "Operation", "PermissionType"):
        step("DescribeAcls", version, acl_filter(**{name: 0}))


def create_acls(step, version, prefix):
    step("CreateAcls", version, {"Creations": []})
    step("CreateAcls", version, {"Creations": [acl(), acl(ResourceName=""), acl(ResourceType=4, ResourceName="no such cluster")]})
    for name in ("ResourceType", "ResourcePatternType", "Operation", "PermissionType"):
        step("CreateAcls", version, {"Creations": [acl(), acl(**{name: 0})]})


def delete_acls(step, version, prefix):
    step("DeleteAcls", version, {"Filters": []})
    step("DeleteAcls", version, {"Filters": [acl_filter(), acl_filter(ResourceNameFilter="")]})
    for name in ("ResourceTypeFilter", "PatternTypeFilter", "Operation", "PermissionType"):
        step("DeleteAcls", version, {"Filters": [acl_filter(), acl_filter(**{name: 0})]})


SCENARIOS = [
    ("ACLs are described", "DescribeAcls", describe_acls),
    ("ACLs are created", "CreateAcls", create_acls),
    ("ACLs are deleted", "DeleteAcls", delete_acls),
]
