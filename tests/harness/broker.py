"""A broker under test: Odradek, or Apache Kafka 4.3.1 in its place, started from the same server.properties."""

import contextlib
import fcntl
import functools
import os
import pathlib
import random
import socket
import struct
import tempfile
import time

from harness import java
from harness.process import Process, run, wait_until
from harness.wire import Connection

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer")


def odradek_binary():
    path = pathlib.Path(os.environ.get("ODRADEK_BINARY", "build/odradek")).resolve()
    if not path.exists():
        raise RuntimeError(f"{path} does not exist; ./dev build makes it")
    return path


def cli_binary():
    """The binary for commands that load librdkafka: its C11 threads crash under clang's thread sanitizer."""
    path = os.environ.get("ODRADEK_CLI_BINARY")
    return pathlib.Path(path).resolve() if path else odradek_binary()


def sanitized():
    """True where the binary was built with a sanitizer, which costs memory and time."""
    return "ODRADEK_SANITIZED" in os.environ


FIRST_PORT, BLOCKS, BLOCK_PORTS = 10000, 22, 1000  # below the range that outgoing connections take theirs from


@functools.cache
def _ports():
    """The ports to choose from: of all tests that run on this machine, each process has a block of its own, which it has locked."""
    for block in random.sample(range(BLOCKS), BLOCKS):
        lock = os.open(f"{tempfile.gettempdir()}/odradek-test-ports-{block}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # for as long as the process lives
            break
        except BlockingIOError:
            os.close(lock)
    return range(FIRST_PORT + block * BLOCK_PORTS, FIRST_PORT + (block + 1) * BLOCK_PORTS)


_given = {}


def free_port():
    """A port nobody listens on and that was given to nobody lately, as he may listen on it only later, or again."""
    while True:
        if len(_given) > BLOCK_PORTS * 3 // 4:
            _given.pop(next(iter(_given)))
        port = random.choice(_ports())
        if port in _given:
            continue
        _given[port] = True
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(port):
    """True where a broker on this port answers ApiVersions."""
    body = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


NOT_YET = (3, 6)  # UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER


def leads_its_partitions(port):
    """True where the only broker of a cluster is unfenced and serves every partition that the metadata says it leads."""
    with Connection("127.0.0.1", port, 60) as connection:
        metadata = connection.call("Metadata", 12, {"Topics": None})
        node = [broker["NodeId"] for broker in metadata["Brokers"]]
        ends = [
            {"Name": topic["Name"], "Partitions": [{"PartitionIndex": p["PartitionIndex"], "Timestamp": -1} for p in led]}
            for topic in metadata["Topics"]
            for led in [[p for p in topic["Partitions"] if p["LeaderId"] in node]]
            if led
        ]
        answer = connection.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": ends})
    return bool(node) and not any(p["ErrorCode"] in NOT_YET for topic in answer["Topics"] for p in topic["Partitions"])


def memory_bytes(broker, which="VmRSS"):
    """Of its process; VmHWM is the most that it ever had."""
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith(which + ":")).split()[1]) * 1024


class Broker:
    """One broker with its own directory. It keeps its port and its data over stop, kill and start."""

    kind = None
    clean_exit = (0,)
    start_timeout_s = 60
    stop_timeout_s = 60
    levels = {}  # of features, that are to be others than those of a new cluster

    def __init__(self, directory, settings=None, data=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = pathlib.Path(data or self.directory / "data")
        self.port, self.controller_port = free_port(), free_port()
        self.settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "log.dirs": str(self.data),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            **(settings or {}),
        }
        self.environment = None  # of its process; None: this one's
        self.process = None
        self.away = []  # [from, until] in seconds of the epoch: when the test had ended it

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    @property
    def log_path(self):
        return self.directory / f"{self.kind}.log"

    @property
    def properties_path(self):
        return self.directory / "server.properties"

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def connect(self, timeout_s=20):
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def thread_names(self):
        """Of the process's threads, some of which may be about to end."""
        names = []
        for thread in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                names.append((thread / "comm").read_text().strip())
        return sorted(names)

    def partition_directory(self, topic, partition=0):
        return self.data / f"{topic}-{partition}"

    # -- what the two differ in

    def format(self):
        """Makes empty directories ready, where that needs a step of its own."""

    def feature_options(self):
        return [word for feature, level in self.levels.items() for word in ("--feature", f"{feature}={level}")]

    def command(self):
        raise NotImplementedError

    # -- life

    def prepare(self):
        """All that a start needs before the process."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.properties_path.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))
        if not (self.data / "meta.properties").exists():
            self.format()

    def launch(self):
        """Starts the process and returns at once."""
        assert self.process is None, f"{self.kind} runs already"
        self.prepare()
        self.process = Process(self.kind, self.command(), self.log_path, env=self.environment)

    def start(self):
        """Starts it and returns when it answers requests."""
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.returncode is not None:
                raise AssertionError(f"{self.kind} ended with {self.process.returncode} as it started:\n{self.log_text()[-3000:]}")
            return answers(self.port)

        wait_until(ready, self.start_timeout_s, f"{self.kind} to answer on {self.bootstrap}")
        if self.away:
            self.away[-1][1] = time.time()

    def stop(self):
        """SIGTERM; a broker that does not end cleanly fails the test."""
        if self.process is None:
            return
        self.away.append([time.time(), float("inf")])
        process, self.process = self.process, None
        process.terminate_and_wait(self.stop_timeout_s, self.clean_exit)
        self.check_sanitizers()

    def kill(self):
        """kill -9."""
        if self.process is not None:
            self.away.append([time.time(), float("inf")])
            process, self.process = self.process, None
            assert process.returncode is None, f"{self.kind} had ended with {process.returncode}:\n{self.log_text()[-3000:]}"
            process.kill()
            self.check_sanitizers()

    def discard(self):
        """Ends it at the end of a test, where it should still be running."""
        if self.process is not None and self.process.returncode is None:
            self.stop()
        elif self.process is not None:
            status, self.process = self.process.returncode, None
            raise AssertionError(f"{self.kind} ended with {status} on its own:\n{self.log_text()[-3000:]}")

    def check_sanitizers(self):
        text = self.log_text()
        for word in SANITIZER_WORDS:
            at = text.find(word)
            assert at < 0, f"{self.kind}: {text[max(at - 200, 0):at + 4000]}"


class Odradek(Broker):
    kind = "odradek"

    def __init__(self, directory, settings=None, data=None):
        super().__init__(directory, settings, data)
        self.settings.setdefault("http.listeners", "")  # many brokers run at once; the tests of HTTP choose a port

    def format(self):
        if self.levels:
            run([odradek_binary(), "format", "-i", CLUSTER_ID, *self.feature_options(), self.properties_path], 60)

    def command(self):
        return [odradek_binary(), "server", self.properties_path]

    def wait_ready(self):
        """It answers clients of Kafka before it serves HTTP, whose port the test may have chosen."""
        super().wait_ready()
        chosen = self.settings["http.listeners"].rpartition(":")[2]
        if chosen not in ("", "0"):
            wait_until(lambda: listens(int(chosen)), self.start_timeout_s, "HTTP to be served")


class Kafka(Broker):
    kind = "kafka"
    clean_exit = (0, 143)  # the JVM's own way of ending on SIGTERM
    start_timeout_s = 150
    stop_timeout_s = 60

    def format(self):
        words = ["format", "-t", CLUSTER_ID, "-c", self.properties_path]
        if "controller.quorum.voters" not in self.settings:
            words.append("--standalone")
        run(java.command(java.TOOLS["kafka-storage"], *words, *self.feature_options()), 60)

    def command(self):
        flags = [*java.BROKER_FLAGS, "-Dkafka.log.level=INFO"]
        return java.command("kafka.Kafka", self.properties_path, flags=flags)

    def wait_ready(self):
        """Kafka answers before it leads what it led before; then its partitions refuse whoever asks."""
        super().wait_ready()
        wait_until(lambda: leads_its_partitions(self.port), self.start_timeout_s, "Kafka to lead its partitions")


KINDS = {"odradek": Odradek, "kafka": Kafka}
