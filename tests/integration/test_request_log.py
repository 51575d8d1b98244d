"""A line for each request (kafka.request.logger): what stands in it, what must not, how long it is, and that a restart switches it off."""

import base64
import json

from harness.process import wait_until
from harness.requests import BROKER, connect, create_topic, produce

LOGGER = 8  # a kind of resource that has settings
REQUESTS = "kafka.request.logger"
SET = 0
SECRETS = ("hunter-2-of-ssl", "hunter-2-of-nobody", "hunter-2-of-scram", "hunter-2-in-a-record")
MOST_BYTES = 3 * 16 * 1024  # of a line


def logged(broker, api):
    """The requests of this API that the log tells of."""
    text = broker.log_text()
    whole = text[: text.rfind("\n") + 1].splitlines()
    lines = [line.partition(" DEBUG kafka.request.logger: Completed request:")[2] for line in whole]
    assert max(map(len, lines), default=0) < MOST_BYTES
    found = [json.loads(line) for line in lines if line]
    return [one for one in found if one["requestHeader"]["requestApiKeyName"] == api]


def await_logged(broker, api, count=1):
    """The line follows the answer, from a thread of its own."""
    wait_until(lambda: len(logged(broker, api)) >= count, 30, f"a line for {api}")
    return logged(broker, api)


def changes(kind, name, **values):
    return {"ResourceType": kind, "ResourceName": name, "Configs": [{"Name": n, "ConfigOperation": SET, "Value": v} for n, v in values.items()]}


def set_level(connection, level):
    answer = connection.call("IncrementalAlterConfigs", 1, {"Resources": [changes(LOGGER, "1", **{REQUESTS: level})]})
    assert answer["Responses"][0]["ErrorCode"] == 0, answer


def level(connection):
    wanted = {"ResourceType": LOGGER, "ResourceName": "1", "ConfigurationKeys": [REQUESTS]}
    [found] = connection.call("DescribeConfigs", 4, {"Resources": [wanted]})["Results"][0]["Configs"]
    return found["Value"]


def test_requests_are_logged_without_secrets(brokers):
    broker = brokers.start()
    create_topic(broker, "told")
    assert not logged(broker, "CREATE_TOPICS")
    values = {"ssl.keystore.password": SECRETS[0], "some.name": SECRETS[1], "log.retention.ms": "86400000"}
    salted = {"Name": "ann", "Mechanism": 1, "Iterations": 4096, "Salt": b"salt", "SaltedPassword": SECRETS[2].encode()}
    with connect(broker) as connection:
        set_level(connection, "DEBUG")
        assert level(connection) == "DEBUG"
        resource = changes(BROKER, "1", **values)
        connection.call("IncrementalAlterConfigs", 1, {"Resources": [resource], "ValidateOnly": True})
        whole = {**resource, "Configs": [{"Name": n, "Value": v} for n, v in values.items()]}
        connection.call("AlterConfigs", 2, {"Resources": [whole], "ValidateOnly": True})
        connection.call("AlterUserScramCredentials", 0, {"Deletions": [], "Upsertions": [salted]})
        produce(connection, "told", [(None, SECRETS[3].encode())])
        unknown = [{"Name": f"there-is-no-such-topic-{i}"} for i in range(5000)]
        connection.call("Metadata", 12, {"Topics": unknown, "AllowAutoTopicCreation": False})
    shown = {"ssl.keystore.password": "[hidden]", "some.name": "[hidden]", "log.retention.ms": "86400000"}
    for api in ("INCREMENTAL_ALTER_CONFIGS", "ALTER_CONFIGS"):
        resource = await_logged(broker, api)[-1]["request"]["resources"][0]
        assert {c["name"]: c["value"] for c in resource["configs"]} == shown
    [scram] = await_logged(broker, "ALTER_USER_SCRAM_CREDENTIALS")
    assert scram["request"]["upsertions"][0]["saltedPasswordSizeInBytes"] == len(SECRETS[2])
    [produced] = await_logged(broker, "PRODUCE")
    assert produced["request"]["topicData"][0]["partitionData"][0]["recordsSizeInBytes"] > len(SECRETS[3])
    assert produced["response"]["responses"][0]["partitionResponses"][0]["baseOffset"] == 0
    [large] = await_logged(broker, "METADATA")
    assert large["request"]["topics"][-1].endswith(" more)") and large["response"]["topics"][-1].endswith(" more)")
    log = broker.log_text()
    for secret in SECRETS:
        assert secret not in log and base64.b64encode(secret.encode()).decode().rstrip("=") not in log


def test_a_restart_takes_the_level_back(brokers):
    broker = brokers.start()
    with connect(broker) as connection:
        assert level(connection) == "WARN"
        set_level(connection, "TRACE")
        assert level(connection) == "TRACE"
    broker.stop()
    broker.start()
    with connect(broker) as connection:
        assert level(connection) == "WARN"
