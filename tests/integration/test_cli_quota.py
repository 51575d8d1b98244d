"""odradek quota against a running broker."""

import json
import subprocess

import pytest

from harness.broker import cli_binary
from harness.process import die_with_parent


@pytest.fixture(scope="module")
def quota(module_brokers):
    broker = module_brokers.start()

    def quota(command, *words, status=0):
        line = [cli_binary(), "quota", command, "-b", broker.bootstrap, *words]
        done = subprocess.run(line, capture_output=True, timeout=120, preexec_fn=die_with_parent)
        assert done.returncode == status, done
        return done.stderr.decode() if status else done.stdout.decode()

    return quota


def test_quotas_are_listed_as_they_are_set(quota):
    assert quota("list") == ""
    assert quota("list", "--json") == "[]\n"
    assert quota("set", "--client-id", "reports", "consumer_byte_rate=1000000", "request_percentage=12.5") == "set 2\n"
    assert json.loads(quota("set", "--user", "ann", "--default-client-id", "producer_byte_rate=5e6", "--json")) == {"set": 1}
    quota("set", "--default-ip", "connection_creation_rate=20")
    assert [line.split() for line in quota("list").splitlines()] == [
        ["USER", "CLIENT", "ID", "IP", "QUOTA", "VALUE"],
        ["-", "-", "<default>", "connection_creation_rate", "20"],
        ["-", "reports", "-", "consumer_byte_rate", "1000000"],
        ["-", "reports", "-", "request_percentage", "12.5"],
        ["ann", "<default>", "-", "producer_byte_rate", "5000000"],
    ]
    assert json.loads(quota("list", "--json")) == [
        {"ip": None, "quotas": {"connection_creation_rate": 20}},
        {"clientId": "reports", "quotas": {"consumer_byte_rate": 1000000, "request_percentage": 12.5}},
        {"user": "ann", "clientId": None, "quotas": {"producer_byte_rate": 5000000}},
    ]
    assert json.loads(quota("list", "--user", "ann", "--json"))[0]["user"] == "ann"
    assert len(json.loads(quota("list", "-c", "reports", "--json"))) == 1
    assert quota("unset", "--client-id", "reports", "request_percentage") == "unset 1\n"
    assert json.loads(quota("list", "-c", "reports", "--json"))[0]["quotas"] == {"consumer_byte_rate": 1000000}
    assert json.loads(quota("unset", "--client-id", "reports", "--json")) == {"unset": 1}
    assert quota("unset", "--user", "ann", "--default-client-id") == "unset 1\n"
    quota("unset", "--default-ip")
    assert quota("list") == ""


@pytest.mark.parametrize(
    "words, status, line",
    [
        (["set", "x=1"], 2, "quota set: whose quota? --user, --client-id, --ip or a --default-... is missing"),
        (["set", "-c", "a"], 2, "quota set: no NAME=VALUE is given"),
        (["set", "-c", "a", "x"], 2, "quota set: x is not NAME=VALUE"),
        (["set", "-c", "a", "x=many"], 2, "quota set: many is no number"),
        (["set", "-c", "a", "--default-client-id", "x=1"], 2, "quota set: --default-client-id comes twice"),
        (["set", "-c", "a", "x=1"], 1, "quota set: quota: Invalid configuration key x (INVALID_REQUEST)"),
        (["set", "-c", "a", "producer_byte_rate=0"], 1, "quota set: quota: Quota producer_byte_rate must be greater than 0"),
        (["unset", "-c", "a"], 1, "quota unset: there is no quota of this; `odradek quota list`"),
        (["list", "all"], 2, "quota list: all is too much"),
    ],
)
def test_what_is_wrong_is_told(quota, words, status, line):
    assert quota(*words, status=status).startswith(f"odradek {line}")
