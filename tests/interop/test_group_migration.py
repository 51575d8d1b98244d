"""A group of Apache Kafka's own consumers goes over from the classic protocol to the consumer protocol and back, one
member at a time, while records flow: nothing is lost, and the group goes on as one."""

import re
import threading

import confluent_kafka

from harness import java
from harness.process import Process, wait_until
from harness.topics import create_topics

TIMEOUT_S = 60
PARTITIONS = 4


class Flow:
    """Numbers into a topic, a few hundred a second, until it is stopped."""

    def __init__(self, bootstrap, topic):
        self.producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self.topic, self.sent = topic, 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(0.01):
            for _ in range(3):
                self.producer.produce(self.topic, b"%d" % self.sent, partition=self.sent % PARTITIONS)
                self.sent += 1
            self.producer.poll(0)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        assert self.producer.flush(30) == 0


class Members:
    def __init__(self, broker, topic, folder, group="g"):
        self.broker, self.topic, self.folder, self.group, self.all, self.live = broker, topic, folder, group, [], {}

    def launch(self, name, protocol, *more):
        """more: settings of the consumer."""
        args = ["--bootstrap-server", self.broker.bootstrap, "--topic", self.topic, "--group", self.group]
        for setting in (f"group.protocol={protocol}", "auto.offset.reset=earliest", f"client.id={name}", *more):
            args += ["--command-property", setting]
        command = java.command(java.TOOLS["kafka-console-consumer"], *args)
        member = self.live[name] = Process(name, command, self.folder / f"{name}-{len(self.all)}.log")
        self.all.append(member)
        return member

    def start(self, name, protocol, *more):
        """Launches it and returns when it reads."""
        member = self.launch(name, protocol, *more)
        wait_until(lambda: self.got(member), TIMEOUT_S, f"{name} to read", every_s=0.2)

    def stop(self, name):
        self.live.pop(name).terminate_and_wait(30, ok=(0, 130, 143))

    @staticmethod
    def got(member):
        return {int(line) for line in re.findall(r"^\d+$", member.log_text(), re.M)}

    def seen(self):
        return set().union(*(self.got(member) for member in self.all))


def group_type(broker):
    out = java.tool("kafka-consumer-groups", "--bootstrap-server", broker.bootstrap, "--list", "--type")
    return dict(line.split() for line in out.splitlines()[1:] if line.strip()).get("g")


def test_rolls_over_and_back(broker, tmp_path):
    create_topics(broker.bootstrap, ["t"], partitions=PARTITIONS)
    flow = Flow(broker.bootstrap, "t")
    members = Members(broker, "t", tmp_path)
    try:
        members.start("a", "classic")
        members.start("b", "classic")
        assert group_type(broker) == "Classic"
        members.start("c", "consumer")
        assert group_type(broker) == "Consumer"
        members.stop("a")
        members.start("d", "consumer")
        members.stop("b")
        assert group_type(broker) == "Consumer"
        members.start("e", "classic")
        members.stop("c")
        members.start("f", "classic")
        assert group_type(broker) == "Consumer"
        members.stop("d")
        wait_until(lambda: group_type(broker) == "Classic", TIMEOUT_S, "the group to be a classic one", every_s=0.2)
    finally:
        flow.stop()
    everything = set(range(flow.sent))
    wait_until(lambda: everything <= members.seen(), TIMEOUT_S, "every record to be read", every_s=0.2)
    for name in list(members.live):
        members.stop(name)
