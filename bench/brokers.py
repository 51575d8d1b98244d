"""The sides of the benchmark: Apache Kafka, Odradek, and the bare servers that show the machine's limits."""

import contextlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
ANSWER_TIMEOUT_S = 120
STOP_TIMEOUT_S = 120

# What kafka-server-start.sh gives a broker.
KAFKA_JVM_FLAGS = ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                   "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
                   "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"]


class BenchError(Exception):
    """A side could not do its work; the text says why."""


def free_port():
    """A port nobody listens on, outside the range that outgoing connections take theirs from."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Load:
    """The load generator."""

    def __init__(self, binary):
        self.binary = pathlib.Path(binary).resolve()
        if not self.binary.exists():
            raise BenchError(f"{self.binary} does not exist: ./dev build makes it")

    def command(self, mode, port, **options):
        words = [str(self.binary), mode, "--address", f"127.0.0.1:{port}"]
        for name, value in options.items():
            if value is not None and value is not False:
                words.append("--" + name.replace("_", "-"))
                if value is not True:
                    words.append(str(value))
        return words

    def run(self, mode, port, timeout=300, **options):
        """Runs a mode to its end and returns what it printed."""
        done = subprocess.run(self.command(mode, port, timeout=timeout, **options), capture_output=True, text=True,
                              timeout=timeout + 10)
        if done.returncode != 0:
            raise BenchError(done.stderr.strip() or f"odradek-load {mode} ended with {done.returncode}")
        return json.loads(done.stdout)


    @contextlib.contextmanager
    def started(self, mode, port, **options):
        """Runs a mode that goes on until its standard input ends, from when it has printed its line. Its ends() ends it."""
        process = subprocess.Popen(self.command(mode, port, **options), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)

        def ends():
            process.communicate(timeout=60)
        process.ends = ends
        try:
            if not process.stdout.readline():
                raise BenchError(process.stderr.read().strip() or f"odradek-load {mode} did not start")
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


class Server:
    """A process that is measured."""

    name = None

    def __init__(self, directory, load):
        self.directory, self.load = pathlib.Path(directory), load
        self.process, self.port = None, None

    def spawn(self, command, env=None):
        with open(self.directory / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            env=env)

    def cpu_seconds(self):
        """User and system time of all its threads, also of those that have ended."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # clock_getcpuclockid(3)

    def memory(self):
        """Resident and proportional memory in bytes, threads and open files."""
        proc = pathlib.Path(f"/proc/{self.process.pid}")
        kb = {}
        for line in (proc / "smaps_rollup").read_text().splitlines()[1:]:
            name, value = line.split(":")
            kb[name] = int(value.split()[0])
        return {"rss": kb["Rss"] * 1024, "pss": kb["Pss"] * 1024, "anonymous": kb["Anonymous"] * 1024,
                "threads": len(os.listdir(proc / "task")), "files": len(os.listdir(proc / "fd"))}

    def held_bytes(self):
        """What its objects take: without the libraries' pages, whose share depends on who else uses them."""
        return self.memory()["anonymous"]

    def check_alive(self):
        if self.process.poll() is not None:
            tail = (self.directory / "server.log").read_text(errors="replace")[-2000:]
            raise BenchError(f"{self.name} ended with status {self.process.returncode}:\n{tail}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None


class Broker(Server):
    def __init__(self, directory, load, settings=None):
        super().__init__(directory, load)
        self.port, controller_port = free_port(), free_port()
        self.data = self.directory / "data"
        self.settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller_port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
            "log.dirs": str(self.data),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            **(settings or {}),
        }
        self.properties = self.directory / "server.properties"

    def make_directory(self, more=None):
        """Fresh and, where that is a step of its own, formatted. more: settings beside its own, until the next call."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.write_settings(more)

    def write_settings(self, more=None):
        settings = {**self.settings, **(more or {})}
        self.properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def command(self):
        raise NotImplementedError

    def start(self, until="wait", **options):
        """Starts it; returns the seconds from the start of the process to its first answer, or to what the mode `until` waits for."""
        command = self.load.command(until, self.port, **{"timeout": ANSWER_TIMEOUT_S, **options})
        waiter = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            time.sleep(0.05)  # the waiter is up before the clock starts
            started_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            self.spawn(self.command())
            while waiter.poll() is None:
                self.check_alive()
                try:
                    waiter.wait(0.2)
                except subprocess.TimeoutExpired:
                    pass
            out, err = waiter.communicate()
            if waiter.returncode != 0:
                raise BenchError(f"{self.name} does not answer: {err.strip()}")
        finally:
            if waiter.poll() is None:
                waiter.kill()
                waiter.wait()
        return (json.loads(out)["answered_at_ns"] - started_ns) / 1e9

    def stop(self):
        """SIGTERM; returns the seconds to its end."""
        self.check_alive()
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BenchError(f"{self.name} did not stop within {STOP_TIMEOUT_S} s") from None
        took = time.monotonic() - started
        if status not in (0, 143):
            raise BenchError(f"{self.name} stopped with status {status}")
        self.process = None
        return took

    def advertises(self, api_key):
        """Whether ApiVersions lists this API."""
        body = struct.pack(">hhih", 18, 0, 1, -1)
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            stream = connection.makefile("rb")
            answer = stream.read(struct.unpack(">i", stream.read(4))[0])
        count = struct.unpack_from(">i", answer, 6)[0]
        return api_key in {struct.unpack_from(">h", answer, 10 + 6 * i)[0] for i in range(count)}


class Kafka(Broker):
    name = "kafka"

    def __init__(self, directory, load, libs, settings=None):
        super().__init__(directory, load, settings)
        self.libs = libs

    def make_directory(self, more=None):
        super().make_directory(more)
        subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{self.libs}/*", "kafka.tools.StorageTool", "format",
                        "-t", CLUSTER_ID, "-c", str(self.properties), "--standalone"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)

    def held_bytes(self):
        """The live part of the heap: a full collection, then what is used."""
        def ask(command):
            return subprocess.run(["jcmd", str(self.process.pid), command], capture_output=True, text=True, check=True,
                                  timeout=60).stdout
        ask("GC.run")
        return int(re.search(r"used (\d+)K", ask("GC.heap_info"))[1]) * 1024

    def command(self):
        return ["java", *KAFKA_JVM_FLAGS, "-cp", f"{self.libs}/*", "kafka.Kafka", str(self.properties)]


class Odradek(Broker):
    name = "odradek"

    def __init__(self, directory, load, binary, settings=None):
        super().__init__(directory, load, settings)
        self.binary = pathlib.Path(binary).resolve()
        if not self.binary.exists():
            raise BenchError(f"{self.binary} does not exist: ./dev build makes it")

    def command(self):
        return [str(self.binary), "server", str(self.properties)]


class Limit(Server):
    """One of the bare servers: limit-write, limit-send or limit-echo."""

    name = "limit"

    def start(self, mode, file=None):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(self.load.command(mode, 0, file=file), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.process.stdout.close()
        if not line:
            raise BenchError(f"odradek-load {mode} did not start")
        self.port = json.loads(line)["port"]


def raise_file_limit():
    """Brokers with many partitions need many files; they inherit this limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
