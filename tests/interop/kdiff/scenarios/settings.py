"""Settings of topics and brokers."""

from interop.kdiff.scenarios.parts import topic


def alter_configs(step, version, prefix):
    name = prefix + "cf"
    topic(step, name)
    set_, delete_, append, subtract = 0, 1, 2, 3
    for setting, operation, value in (
        ("retention.ms", set_, "1000"),
        ("retention.ms", set_, "-2"),
        ("cleanup.policy", append, "compact"),
        ("cleanup.policy", subtract, "delete"),
        ("retention.ms", delete_, None),
        ("what", set_, "1"),
        ("retention.ms", append, "5"),
        ("compression.type", set_, "lz4"),
    ):
        change = {"Name": setting, "ConfigOperation": operation, "Value": value}
        resource = {"ResourceType": 2, "ResourceName": name, "Configs": [change]}
        step("IncrementalAlterConfigs", version, {"Resources": [resource]})
    for kind, resource in ((2, prefix + "none"), (77, "x")):
        nothing = {"ResourceType": kind, "ResourceName": resource, "Configs": []}
        step("IncrementalAlterConfigs", version, {"Resources": [nothing]})
    keys = ["retention.ms", "cleanup.policy", "zzz"]
    wanted = {"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": keys}
    for describe_version in range(1, 5):
        step("DescribeConfigs", describe_version, {"Resources": [wanted], "IncludeSynonyms": True})


def broker_configs(step, version, prefix):
    keys = """log.retention.hours num.partitions message.max.bytes log.cleaner.threads compression.type
        min.insync.replicas auto.create.topics.enable""".split()
    wanted = {"ResourceType": 4, "ResourceName": "1", "ConfigurationKeys": keys}
    step("DescribeConfigs", version, {"Resources": [wanted], "IncludeSynonyms": True})
    for kind, name in ((4, "99"), (2, prefix + "none")):
        wanted = {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": None}
        step("DescribeConfigs", version, {"Resources": [wanted]})


SCENARIOS = [
    ("configs", "IncrementalAlterConfigs", alter_configs),
    ("broker configs", "DescribeConfigs", broker_configs),
]
