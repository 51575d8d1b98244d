"""The two sides, and a run that asks both the same and keeps count of the differences."""

import contextlib
import socket
import time

from harness.process import wait_until
from harness.wire import Connection, encode_request, message, requests
from interop.kdiff.apis import UNADVERTISED
from interop.kdiff.normal import Normal, differences, short, without

SETTLING_ERRORS = (3, 5, 6)  # unknown topic, leader not available, not leader: a new topic's first moments
# Changes that a broker's own picture follows a moment later.
IMAGE_CHANGES = ("AlterClientQuotas", "AlterUserScramCredentials", "IncrementalAlterConfigs", "AlterConfigs")
CLIENT_METRICS = 16
TRIES = 4  # of a scenario whose answers hang on its being asked in time
ASK_VERSIONS = {"ClientSoftwareName": "kdiff", "ClientSoftwareVersion": "1"}


def give_time(condition, timeout_s=30, every_s=0.05):
    """Waits until it is so. Where it does not come to be, the comparison says what is different."""
    with contextlib.suppress(TimeoutError):
        wait_until(condition, timeout_s, "what both are asked next", every_s)


def within(seconds):
    """A scenario whose answers hang on its being asked within that time, from pause to pause: where they differ, and it took longer, it
    is asked anew. What is wrong is wrong each time."""

    def mark(scenario):
        scenario.within_s = seconds
        return scenario

    return mark


class Side:
    """One broker. A request that ends the connection gets a new one."""

    def __init__(self, name, address, timeout_s):
        self.name, self.timeout_s = name, timeout_s
        self.host, port = address.rsplit(":", 1)
        self.port, self.connection, self.client_id = int(port), None, "kdiff"
        self.fences = 0
        self.context = {}  # what a scenario kept of this side's answers

    def api_versions(self, version):
        """ApiVersions in any version, even one that does not exist (answered in version 0)."""
        try:
            with Connection(self.host, self.port, self.timeout_s) as connection:
                raw = bytearray(encode_request("ApiVersions", min(version, 4), ASK_VERSIONS))
                raw[2:4] = version.to_bytes(2, "big")
                connection.send_frame(bytes(raw))
                answer = connection.receive_frame()
                return message("ApiVersionsResponse").decode(version if version <= 4 else 0, answer, 4)[0]
        except Exception as problem:
            return {"_": f"{type(problem).__name__} {problem}"}

    def call(self, api, version, body):
        """The response, or {'_': a word for what happened instead}."""
        try:
            if self.connection is None:
                self.connection = Connection(self.host, self.port, self.timeout_s)
            self.connection.client_id = self.client_id
            if api == "Produce" and body.get("Acks") == 0:
                self.connection.send(api, version, body)
                return {"_": "sent"}
            return self.connection.call(api, version, body)
        except socket.timeout:
            out = "timeout"
        except (EOFError, ConnectionError) as problem:
            out = "closed" if "wanted" not in str(problem) else f"undecodable: {problem}"
        except Exception as problem:
            out = f"undecodable: {type(problem).__name__} {problem}"
        if self.connection is not None:
            self.connection.close()
        self.connection = None
        return {"_": out}

    def has_partition(self, topic):
        """True while it still serves the topic's first partition, or has a log of the topic."""
        wanted = [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]
        response = self.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": wanted})
        if "_" not in response and response["Topics"][0]["Partitions"][0]["ErrorCode"] == 0:
            return True
        logs = self.call("DescribeLogDirs", 4, {"Topics": None})  # Kafka lets go of them a moment later
        return any(one["Name"] == topic for directory in logs.get("Results", ()) for one in directory["Topics"])

    def settled(self, topic, partitions):
        """True where it leads every partition of the topic, or says that it never will."""
        wanted = [{"PartitionIndex": i, "Timestamp": -1} for i in range(partitions)]
        response = self.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": wanted}]})
        return "_" in response or all(
            partition["ErrorCode"] not in SETTLING_ERRORS
            for topic in response["Topics"]
            for partition in topic["Partitions"]
        )


    def fence(self):
        """Waits until what was changed before is in the broker's own picture and has taken effect.

        Kafka answers a change before its broker has followed it. It follows in order: a later change that shows is
        a sign that the one before it is done with."""
        for _ in range(2):
            self.fences += 1
            resource = {"ResourceType": CLIENT_METRICS, "ResourceName": "kdiff-fence"}
            value = str(3_000_000 + self.fences)  # longer than what any client is asked for: it changes nothing
            change = {"Name": "interval.ms", "ConfigOperation": 0, "Value": value}
            self.call("IncrementalAlterConfigs", 1, {"Resources": [{**resource, "Configs": [change]}]})
            wanted = {"Resources": [{**resource, "ConfigurationKeys": ["interval.ms"]}]}

            def shows():
                answer = self.call("DescribeConfigs", 4, wanted)
                return "_" in answer or value in [c["Value"] for c in answer["Results"][0]["Configs"]]

            wait_until(shows, 60, f"{self.name} to follow a change")


class Run:
    def __init__(self, ours, kafka, show=40, out=print):
        self.ours, self.kafka, self.show, self.out = ours, kafka, show, out
        self.steps, self.bad, self.by, self.shown = 0, 0, {}, set()
        self.ranges = {}

    @property
    def sides(self):
        return self.ours, self.kafka

    def common(self, api):
        """Versions that Kafka offers; a version that only ours lacks is a difference."""
        low, high = self.ranges["kafka"].get(requests()[api].key) or UNADVERTISED.get(api, (0, -1))
        return range(low, high + 1)

    def compare_versions(self, complete=False, only=()):
        """ApiVersions of both: ranges, features, the answer to an unknown version. Needed before anything else."""
        for side in self.sides:
            answer = side.call("ApiVersions", 3, ASK_VERSIONS)
            if "_" in answer:
                raise ConnectionError(f"{side.name}: {answer['_']}")
            self.ranges[side.name] = {x["ApiKey"]: (x["MinVersion"], x["MaxVersion"]) for x in answer["ApiKeys"]}
        names = {request.key: name for name, request in requests().items()}
        missing = [names.get(k, str(k)) for k in sorted(self.ranges["kafka"]) if k not in self.ranges["ours"]]
        if missing:
            self.out(f"not offered: {', '.join(missing)}")
        for key, theirs in sorted(self.ranges["kafka"].items()):
            mine, name = self.ranges["ours"].get(key), names.get(key, key)
            if mine != theirs and (mine or complete or name in only):
                offered = mine and f"{mine[0]}-{mine[1]}"
                self.report(f"ApiVersions: {name}", None, [("", offered, f"{theirs[0]}-{theirs[1]}")])
        for version in (0, 1, 2, 3, 4, 99):
            answers = [side.api_versions(version) for side in self.sides]
            for answer in answers:
                answer.pop("ApiKeys", None)
            diffs = list(differences(*(Normal("\0")(answer) for answer in answers)))
            if diffs:
                self.report(f"ApiVersions v{version}: features", None, diffs)

    def report(self, title, body, diffs):
        """Counts a difference and shows it, where it is not one that was shown already."""
        self.bad += 1
        api = title.split(" ")[0]
        self.by[api] = self.by.get(api, 0) + 1
        what = (api, str(diffs) if diffs else title)
        if what in self.shown or len(self.shown) == self.show:
            return
        self.shown.add(what)
        self.out(f"\n{title}" + ("" if body is None else f"\n  request {short(body, 300)}"))
        for at, a, b in diffs[:6]:
            self.out(f"  {at or '.'}: ours {short(a)} | kafka {short(b)}")
        if len(diffs) > 6:
            self.out(f"  and {len(diffs) - 6} more")

    def step(self, api, version, body, norms, title="", ignore=(), rebind=None):
        """Asks both the same and compares. body may be a function of what a side's scenario kept."""
        self.steps += 1
        answers, asked = [], []
        for side in self.sides:
            asked.append(body(side.context) if callable(body) else rebind(body, side) if rebind else body)
            answers.append(side.call(api, version, asked[-1]))
        # A request that Kafka leaves unanswered asks nothing of us; nor do the ids count that only our answer told.
        if answers[1].get("_") != "timeout":
            normal = [without(norms[side.name](answer), ignore) for side, answer in zip(self.sides, answers)]
            diffs = list(differences(*normal))
            if diffs:
                self.report(f"{api} v{version} {title}", asked[0], diffs)
        return answers

    def settle(self, topic, partitions):
        """Waits until both brokers lead every partition of a topic just created."""
        for side in self.sides:
            give_time(lambda: side.settled(topic, partitions), 15)  # noqa: B023

    def await_image(self, api, body, answers):
        """Waits until both brokers know what this changed. What is named twice is answered once, with an error maybe, and the
        other one was carried out."""
        if api not in IMAGE_CHANGES:
            return
        if callable(body):
            body = body(self.ours.context)
        results = [a.get("Entries") or a.get("Results") or a.get("Responses") or () for a in answers]
        asked = sum(len(part) for part in body.values() if isinstance(part, list))
        refused = all(len(part) == asked and all(r["ErrorCode"] for r in part) for part in results)
        if not body.get("ValidateOnly") and not refused:
            self.fence()

    def fence(self):
        """Waits until both brokers have followed every change so far."""
        for side in self.sides:
            side.fence()

    def scenario(self, scenario, only=()):
        """A scenario is (title, varied API, function(step, version, prefix)); it runs in each version of that API."""
        title, api, function = scenario
        if only and api not in only:
            return
        for version in self.common(api):
            within_s = getattr(function, "within_s", None)
            for attempt in range(1 if within_s is None else TRIES):
                bad, by, shown = self.bad, dict(self.by), set(self.shown)
                step = Step(self, title, api, version, attempt)
                try:
                    function(step, version, step.prefix)
                except Exception as problem:
                    self.report(f"{api} v{version} [{title}] stopped: {type(problem).__name__} {problem}", None, [])
                if self.bad == bad or within_s is None or step.longest_s < within_s or attempt == TRIES - 1:
                    break
                self.out(f"once more: {api} v{version} [{title}] took {step.longest_s:.1f} s")
                self.bad, self.by, self.shown = bad, by, shown

    def summary(self):
        by = ", ".join(f"{api} {n}" for api, n in sorted(self.by.items(), key=lambda x: -x[1]))
        return f"{self.steps} requests, {self.bad} with differences" + (f" ({by})" if by else "")


class Step:
    """What a scenario calls: step(api, version or None for the latest, body, ignore=fields, keep=name)."""

    def __init__(self, run, title, api, version, attempt=0):
        self.run, self.title, self.varied, self.version = run, title, api, version
        self.prefix = f"{title.replace(' ', '-')[:24]}.{version}{f'-{attempt}' if attempt else ''}."
        self.longest_s, self.since = 0, time.monotonic()  # between two pauses
        self.norms = {side.name: Normal(self.prefix, own=True) for side in run.sides}
        for side in run.sides:
            side.context = {}

    def __call__(self, api, version, body, ignore=(), keep=None):
        offered = self.run.common(api)
        version = offered[-1] if version is None else min(max(version, offered[0]), offered[-1])
        title = f"[{self.title}, with {self.varied} v{self.version}]"
        answers = self.run.step(api, version, body, self.norms, title, ignore)
        self.run.await_image(api, body, answers)
        if keep:
            for side, answer in zip(self.run.sides, answers):
                side.context[keep] = answer
        self.longest_s = max(self.longest_s, time.monotonic() - self.since)
        return answers

    def settle(self, topic, partitions):
        self.run.settle(topic, partitions)

    def restart_clock(self):
        """What comes now is to be asked within the scenario's time."""
        self.since = time.monotonic()

    def pause(self, seconds):
        time.sleep(seconds)
        self.restart_clock()
