"""Lists that come in the order of Kafka's hash tables, which is the same on any node: what is compared here is not sorted before."""

import time

from harness.batch import batch
from interop.kdiff.scenarios.parts import produce, topic
from interop.kdiff.scenarios.transactions import add, end, init, ready

IDS = [4000, 21, 1 << 33 | 5, 1, 18, 3, 36, 6, 9, 28, 8, 30, 47]  # of producers, each in a slot of its own; with the last the table grows


def same(step, answers, listed):
    """Reports a difference where two answers list the same things in another order."""
    ours, kafka = map(listed, answers)
    if ours != kafka:
        step.run.report(f"{step.varied} v{step.version} [{step.title}] order", None, [("", ours, kafka)])


def producers(step, version, prefix):
    name = prefix + "p"
    topic(step, name, 2)
    now = int(time.time() * 1000)

    def known(answer):
        return [[one["ProducerId"] for one in part["ActiveProducers"]] for part in answer["Topics"][0]["Partitions"]]

    for number, producer in enumerate(IDS):
        for partition in (0, 1) if number < len(IDS) - 1 else (1,):
            step("Produce", 9, produce(name, batch([(b"k", b"v")], ts=now, pid=producer, epoch=0, seq=0), partition=partition))
    same(step, step("DescribeProducers", version, {"Topics": [{"Name": name, "PartitionIndexes": [0, 1]}]}), known)


def quotas(step, version, prefix):
    """The entities of an answer are those of the request; of all that there are, the prefix picks this scenario's."""
    users = [[{"EntityType": "user", "EntityName": f"{prefix}{number}"}] for number in range(20)]
    pairs = [[*user, {"EntityType": "client-id", "EntityName": client}] for user in users[:4] for client in ("a", None)]
    rate = [{"Key": "producer_byte_rate", "Value": 1e9, "Remove": False}]

    def altered(answer):
        return [[part["EntityName"] for part in entry["Entity"]] for entry in answer["Entries"]]

    for some in (users[:3], pairs, users[3:], [[], users[0], [{"EntityType": "x", "EntityName": None}], users[5], users[0]]):
        wanted = {"Entries": [{"Entity": one, "Ops": rate} for one in some], "ValidateOnly": True}
        same(step, step("AlterClientQuotas", version, wanted), altered)

    def known(answer):
        names = ([part["EntityName"] for part in entry["Entity"]] for entry in answer["Entries"])
        return [its for its in names if its[-1].startswith(prefix)]

    everybody = {"Components": [{"EntityType": "user", "MatchType": 2, "Match": None}], "Strict": True}
    for who in users[:9]:  # one after the other
        step("AlterClientQuotas", version, {"Entries": [{"Entity": who, "Ops": rate}], "ValidateOnly": False})
    same(step, step("DescribeClientQuotas", version, everybody), known)
    for who in users[:9]:
        gone = [{**rate[0], "Remove": True}]
        step("AlterClientQuotas", version, {"Entries": [{"Entity": who, "Ops": gone}], "ValidateOnly": False})


def transactions(step, version, prefix):
    names = [prefix + name for name in ("b", "a", "c")]
    for name in names:
        topic(step, name, 14)
    ready(step, prefix + "x")
    init(step, 4, prefix + "x", keep="producer")

    def covered(answer):
        return [(one["Topic"], one["Partitions"]) for one in answer["TransactionStates"][0]["Topics"]]

    for some in ([(names[0], [2, 0, 1])], [(names[1], [7, 3]), (names[2], [5])], [(names[2], [0])], [(names[0], list(range(3, 14)))]):
        add(step, 3, prefix + "x", "producer", some)
        same(step, step("DescribeTransactions", version, {"TransactionalIds": [prefix + "x"]}), covered)
    end(step, 4, prefix + "x", "producer", commit=False)


SCENARIOS = [
    ("order of producers", "DescribeProducers", producers),
    ("order of entities", "AlterClientQuotas", quotas),
    ("order of partitions", "DescribeTransactions", transactions),
]
