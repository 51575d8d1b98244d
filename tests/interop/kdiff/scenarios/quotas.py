"""Client quotas and SCRAM credentials: what they say, and what is refused."""

import itertools
import math

EXACT, DEFAULT, SPECIFIED = 0, 1, 2
SALT, PASSWORD = b"salt", b"p" * 32


def entity(**parts):
    return [{"EntityType": kind.replace("_", "-"), "EntityName": name} for kind, name in parts.items()]


def change(who, **values):
    """A value of None removes the key."""
    ops = [{"Key": key, "Value": value or 0.0, "Remove": value is None} for key, value in values.items()]
    return {"Entity": who, "Ops": ops}


def alter(step, version, *entries, validate_only=False):
    step("AlterClientQuotas", version, {"Entries": list(entries), "ValidateOnly": validate_only})


def component(kind, match, name=None):
    return {"EntityType": kind, "MatchType": match, "Match": name}


def describe(step, version, *components, strict=False):
    step("DescribeClientQuotas", version, {"Components": list(components), "Strict": strict})


def clear(step, prefix, entities):
    """What a scenario set is taken away: filters without an exact name find everybody's."""
    keys = ("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate")
    for who in entities:
        ip = who[0]["EntityType"] == "ip"
        values = {key: None for key in (("connection_creation_rate",) if ip else keys)}
        step("AlterClientQuotas", 1, {"Entries": [change(who, **values)], "ValidateOnly": False})


def everybody(prefix):
    users = [{}, {"user": prefix + "u"}, {"user": None}]
    clients = [{}, {"client_id": prefix + "c"}, {"client_id": None}]
    both = [entity(**user, **client) for user, client in itertools.product(users, clients) if user or client]
    return both + [entity(ip="10.1.2.3"), entity(ip=None)]


def filters(step, version, prefix):
    kinds = {"user": prefix + "u", "client-id": prefix + "c", "ip": "10.1.2.3"}
    for strict in (False, True):
        describe(step, version, strict=strict)
        one = {
            kind: [component(kind, EXACT, name), component(kind, EXACT, "nobody"), component(kind, DEFAULT), component(kind, SPECIFIED)]
            for kind, name in kinds.items()
        }
        for kind in kinds:
            for its in one[kind]:
                describe(step, version, its, strict=strict)
        for user, client in itertools.product(one["user"], one["client-id"]):
            describe(step, version, user, client, strict=strict)
            describe(step, version, client, user, strict=strict)


def describing(step, version, prefix):
    who = everybody(prefix)
    for number, its in enumerate(who):
        ip = its[0]["EntityType"] == "ip"
        values = {"connection_creation_rate": 100.0 + number} if ip else {"producer_byte_rate": 1e9 + number, "request_percentage": 200.5}
        alter(step, version, change(its, **values))
    filters(step, version, prefix)
    clear(step, prefix, who)
    filters(step, version, prefix)


def describing_wrongly(step, version, prefix):
    for components in (
        [component("", EXACT, "x")],
        [component("", 7, "x")],
        [component("group", EXACT, "x")],
        [component("user", EXACT)],
        [component("user", DEFAULT, "x")],
        [component("user", SPECIFIED, "x")],
        [component("user", DEFAULT, "")],
        [component("user", 3, "x")],
        [component("user", -1)],
        [component("user", EXACT, "x"), component("user", EXACT, "x")],
        [component("user", EXACT, "x"), component("user", SPECIFIED)],
        [component("user", SPECIFIED), component("user", 9)],
        [component("user", SPECIFIED), component("ip", SPECIFIED)],
        [component("ip", DEFAULT), component("client-id", SPECIFIED)],
        [component("ip", EXACT, "10.0.0.1"), component("user", EXACT, "x"), component("client-id", EXACT, "x")],
        [component("ip", EXACT, "10.0.0.1"), component("ip", EXACT, "10.0.0.1")],
        [component("ip", EXACT, "10.0.0.1"), component("user", EXACT)],
        [component("user", EXACT, "x"), component("", EXACT, "x")],
        [component("USER", EXACT, "x")],
    ):
        for strict in (False, True):
            describe(step, version, *components, strict=strict)


def altering(step, version, prefix):
    c, u = entity(client_id=prefix + "c"), entity(user=prefix + "u")
    both = entity(user=prefix + "u", client_id=prefix + "c")
    mine = component("client-id", EXACT, prefix + "c")
    alter(step, version)
    for validate_only in (True, False):
        alter(step, version, change(c, producer_byte_rate=1e6, consumer_byte_rate=2e6), validate_only=validate_only)
        describe(step, version, mine)
    alter(step, version, change(c, producer_byte_rate=1e6), change(u, request_percentage=12.5), change(both, controller_mutation_rate=0.25))
    describe(step, version, mine)
    describe(step, version, component("user", EXACT, prefix + "u"))
    alter(step, version, change(c, producer_byte_rate=None), change(u, request_percentage=None, consumer_byte_rate=None))
    describe(step, version, mine)
    alter(step, version, change(c, consumer_byte_rate=None), change(both, controller_mutation_rate=None))
    describe(step, version, mine)
    describe(step, version, component("user", EXACT, prefix + "u"))


def altering_ip(step, version, prefix):
    for name in ("10.9.8.7", "::1", "fe80::1", "localhost", "10.9.8.7.6", "no such host", "256.1.1.1", "1.2.3", None, ""):
        who = entity(ip=name)
        alter(step, version, change(who, connection_creation_rate=10.0))
        describe(step, version, component("ip", SPECIFIED))
        alter(step, version, change(who, connection_creation_rate=None))


def altering_values(step, version, prefix):
    who = {"client_id": prefix + "v"}
    numbers = (0.0, -1.0, 0.5, 1.0, 1.0000001, 1.5, 2.0**31 - 1, 2.0**31, 2.0**63, 2.0**64, 1e300, math.inf, -math.inf)
    keys = """producer_byte_rate consumer_byte_rate request_percentage controller_mutation_rate connection_creation_rate
        leader.replication.throttled.rate PRODUCER_BYTE_RATE""".split()
    for key, number in itertools.product([*keys, ""], numbers):
        alter(step, version, change(entity(**who), **{key: number}))
    for number in numbers:
        alter(step, version, change(entity(ip="10.1.1.1"), connection_creation_rate=number))
    for key in keys:
        alter(step, version, change(entity(ip="10.1.1.1"), **{key: 5.0}))
        alter(step, version, change(entity(ip="10.1.1.1"), **{key: None}))
        alter(step, version, change(entity(**who), **{key: None}))
    describe(step, version, component("client-id", EXACT, prefix + "v"))


def altering_wrongly(step, version, prefix):
    x = prefix + "x"
    good, many = entity(client_id=x), {"producer_byte_rate": 5.0, "nonsense": 1.0, "consumer_byte_rate": -1.0, "request_percentage": 0.0}
    for who in (
        [],
        entity(group=x),
        entity(group=x, user=x),
        entity(user=x, topic=x, group=x, client_id=x),
        entity(User=x),
        entity(user="", client_id=""),
        entity(client_id="", user=x),
        entity(user="", group=x),
        entity(user=x, ip="10.0.0.1"),
        entity(client_id=x, ip="not an address"),
        entity(ip=None, client_id=None),
        [*entity(user=x), *entity(user="")],
        [*entity(user=""), *entity(user=x)],
        [*entity(group="g"), *entity(client_id=x), *entity(client_id="")],
        [{"EntityType": "", "EntityName": x}],
        [{"EntityType": "\u00e9\U0001f600", "EntityName": "\u20ac"}, *entity(group=x)],
    ):
        alter(step, version, change(who, producer_byte_rate=5.0))
        alter(step, version, change(who, producer_byte_rate=None), change(good, consumer_byte_rate=3.0))
    alter(step, version, change(good, **many))
    alter(step, version, change(good, consumer_byte_rate=0.0, request_percentage=0.0, producer_byte_rate=0.0, controller_mutation_rate=0.0))
    alter(step, version, change(good))
    describe(step, version, component("client-id", EXACT, x))
    clear(step, prefix, [good, entity(user=x)])


def altering_twice(step, version, prefix):
    x = prefix + "tw"
    one, two = entity(client_id=x), entity(user=x, client_id=x)
    wrong = entity(client_id="")
    same_key = {"Entity": one, "Ops": [{"Key": "producer_byte_rate", "Value": 1.0 * n, "Remove": False} for n in (1, 2)]}
    again_removed = {"Entity": one, "Ops": [{"Key": "producer_byte_rate", "Value": 1.0, "Remove": r} for r in (True, False)]}
    for entries in (
        [same_key],
        [again_removed],
        [change(one, producer_byte_rate=7.0), change(one, consumer_byte_rate=8.0)],
        [change(one, producer_byte_rate=7.0), change(one, producer_byte_rate=-8.0)],
        [change(one, producer_byte_rate=-7.0), change(one, producer_byte_rate=8.0)],
        [change(two, producer_byte_rate=9.0), change(list(reversed(two)), producer_byte_rate=10.0)],
        [change(wrong, producer_byte_rate=9.0), change(wrong, producer_byte_rate=10.0)],
        [change([], producer_byte_rate=9.0), change([], producer_byte_rate=10.0)],
        [same_key, change(two, producer_byte_rate=11.0)],
        [change(entity(client_id=None), producer_byte_rate=9e8), change(entity(client_id=None), producer_byte_rate=9e8)],
    ):
        for validate_only in (True, False):
            alter(step, version, *entries, validate_only=validate_only)
            describe(step, version, component("client-id", EXACT, x))
            describe(step, version, component("client-id", DEFAULT))
    clear(step, prefix, [one, two, entity(client_id=None)])


def upsertion(name, mechanism=1, iterations=4096, salt=SALT, password=PASSWORD):
    return {"Name": name, "Mechanism": mechanism, "Iterations": iterations, "Salt": salt, "SaltedPassword": password}


def deletion(name, mechanism=1):
    return {"Name": name, "Mechanism": mechanism}


def alter_scram(step, version, deletions=(), upsertions=()):
    step("AlterUserScramCredentials", version, {"Deletions": list(deletions), "Upsertions": list(upsertions)})


def describe_scram(step, version, *users):
    step("DescribeUserScramCredentials", version, {"Users": [{"Name": name} for name in users]})


def scram(step, version, prefix):
    a, b = prefix + "alice", prefix + "bob"
    alter_scram(step, version)
    alter_scram(step, version, upsertions=[upsertion(a), upsertion(b, 2, 16384)])
    alter_scram(step, version, upsertions=[upsertion(a, 2, 8192)])
    describe_scram(step, version, a, b, prefix + "nobody")
    describe_scram(step, version, a, a, b, b, b, "")
    describe_scram(step, version)
    step("DescribeUserScramCredentials", version, {"Users": None})
    alter_scram(step, version, [deletion(a)], [upsertion(b, 2, 5000)])
    describe_scram(step, version, a, b)
    alter_scram(step, version, [deletion(a), deletion(b)])
    alter_scram(step, version, [deletion(a, 2), deletion(b, 2)])
    describe_scram(step, version, a, b)


def scram_wrongly(step, version, prefix):
    a, b = prefix + "alice", prefix + "bob"
    for mechanism in (-1, 0, 1, 2, 3, 127):
        alter_scram(step, version, [deletion(a, mechanism)])
        alter_scram(step, version, upsertions=[upsertion(a, mechanism)])
    for iterations in (-1, 0, 4095, 4096, 16384, 16385, 2**31 - 1):
        alter_scram(step, version, upsertions=[upsertion(a, 1, iterations), upsertion(b, 2, iterations)])
    alter_scram(step, version, [deletion("")], [upsertion(""), upsertion("", 9, 1)])
    alter_scram(step, version, upsertions=[upsertion("", 9, 1)])
    alter_scram(step, version, upsertions=[upsertion(a, 9, 1)])
    alter_scram(step, version, upsertions=[upsertion(b, salt=b"")])
    alter_scram(step, version, upsertions=[upsertion(a, password=b"")])
    alter_scram(step, version, upsertions=[upsertion(a, 2, password=b"x")])
    describe_scram(step, version, a, b)


def scram_twice(step, version, prefix):
    a, b = prefix + "alice", prefix + "bob"
    alter_scram(step, version, upsertions=[upsertion(a), upsertion(b)])
    for deletions, upsertions in (
        ([deletion(a), deletion(a)], []),
        ([deletion(a), deletion(a, 2)], []),
        ([deletion(a, 2), deletion(a)], []),
        ([deletion(a), deletion(a), deletion(a)], [upsertion(a)]),
        ([deletion(a)], [upsertion(a, 2)]),
        ([deletion(a, 9)], [upsertion(a)]),
        ([], [upsertion(a), upsertion(a, 2)]),
        ([], [upsertion(a), upsertion(a), upsertion(b)]),
        ([], [upsertion(a, 1, 1), upsertion(a)]),
        ([deletion(b)], [upsertion(a), upsertion(a)]),
    ):
        alter_scram(step, version, deletions, upsertions)
        describe_scram(step, version, a, b)


SCENARIOS = [
    ("quotas described", "DescribeClientQuotas", describing),
    ("quotas described wrongly", "DescribeClientQuotas", describing_wrongly),
    ("quotas altered", "AlterClientQuotas", altering),
    ("quotas of ips altered", "AlterClientQuotas", altering_ip),
    ("quotas' values", "AlterClientQuotas", altering_values),
    ("quotas altered wrongly", "AlterClientQuotas", altering_wrongly),
    ("quotas altered twice", "AlterClientQuotas", altering_twice),
    ("scram credentials", "AlterUserScramCredentials", scram),
    ("scram credentials altered wrongly", "AlterUserScramCredentials", scram_wrongly),
    ("scram credentials altered twice", "AlterUserScramCredentials", scram_twice),
]
