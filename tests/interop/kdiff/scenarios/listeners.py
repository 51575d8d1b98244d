"""Listeners and threads that change while the broker runs: what may change, and that it does."""

import socket

from harness.broker import free_port
from harness.process import wait_until
from interop.kdiff.run import Run, Side
from interop.kdiff.scenarios.settings import BROKER, DELETE, SET, change

MAP = "listener.security.protocol.map"
KNOWN = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
EXTRA = KNOWN + ",EXTRA:PLAINTEXT"
# What follows the broker's own listeners, and the map.
ADDED = [
    (",EXTRA://127.0.0.1:0", None),
    (",EXTRA://127.0.0.1:0", EXTRA),
    (" , extra://localhost:0", EXTRA),
    (",EXTRA://[::1]:0", EXTRA),
    (",EXTRA://:0", EXTRA),
    (",EXTRA://127.0.0.1:0", KNOWN + ",EXTRA:SSL,extra:plaintext"),
    (",EXTRA://0.0.0.0:0", EXTRA),
    (",EXTRA://127.0.0.1:x", EXTRA),
    (",EXTRA://127.0.0.1", EXTRA),
    (",EXTRA:127.0.0.1:1", EXTRA),
    (",EXTRA://no_host!:1", EXTRA),
    (",://127.0.0.1:1", EXTRA),
    (",", EXTRA),
    (",PLAINTEXT://127.0.0.1:5", None),
    (",EXTRA://127.0.0.1:77,MORE://127.0.0.1:77", EXTRA + ",MORE:PLAINTEXT"),
    (",EXTRA://127.0.0.1:77,MORE://[::1]:77", EXTRA + ",MORE:PLAINTEXT"),
    (",EXTRA://127.0.0.1:77,MORE://localhost:77", EXTRA + ",MORE:PLAINTEXT"),
    (",EXTRA://a:77,MORE://localhost:77", EXTRA + ",MORE:PLAINTEXT"),
    ("", "x"),
    ("", "x:y"),
    ("", ""),
    ("", EXTRA),
    ("", KNOWN + ",PLAINTEXT:SSL"),
    ("", "PLAINTEXT:PLAINTEXT"),
    ("", "PLAINTEXT:PLAINTEXT,CONTROLLER:SSL"),
]
OF_ONE = "listener.name.plaintext."
OTHERS = [
    *([("num.network.threads", n)] for n in ("1", "2", "6", "7", "99", "0")),
    *([("num.io.threads", n)] for n in ("3", "4", "16", "17")),
    *([(OF_ONE + "num.network.threads", n)] for n in ("1", "6", "7", "0", "x")),
    *([(f"listener.name.{name}.num.network.threads", "99")] for name in ("controller", "PLAINTEXT", "none")),
    [(OF_ONE + "num.network.threads", "6"), ("num.network.threads", "99")],
    [("num.network.threads", "99"), ("num.io.threads", "99")],
    *([(OF_ONE + "max.connections", n)] for n in ("0", "-1", "x", "5000")),
    *([(OF_ONE + "max.connection.creation.rate", n)] for n in ("0", "-1", "5000")),
    [(OF_ONE + "max.connections", "5000"), ("max.connections", "0")],
    [("max.connections", "0"), (OF_ONE + "max.connections.per.ip", "0")],
    [(OF_ONE + "foo", "1")],
    [(OF_ONE + "foo", "1"), ("max.connections", "5000")],
    [(OF_ONE + "ssl.keystore.type", "x"), ("max.connections", "5000")],
    [(OF_ONE + "connections.max.reauth.ms", "5"), ("num.network.threads", "4")],
    [(OF_ONE + "connections.max.reauth.ms", "x"), ("num.network.threads", "4")],
    [(OF_ONE + "connections.max.reauth.ms", "5"), ("log.cleaner.threads", "2")],
    [("listener.name.controller.foo", "1"), (MAP, EXTRA)],
    [("listener.name.PLAINTEXT.foo", "1"), (MAP, EXTRA)],
    [("listener.name.none.foo", "1"), (MAP, EXTRA)],
    [("listeners", "x")],
    [("listeners", "")],
    [("advertised.listeners", "PLAINTEXT://127.0.0.1:5")],
]


def listeners(step):
    """Keeps each side's own."""
    wanted = {"ResourceType": BROKER, "ResourceName": "1", "ConfigurationKeys": ["listeners"]}
    step("DescribeConfigs", 4, {"Resources": [wanted]}, keep="listeners")


def own(context):
    return context["listeners"]["Results"][0]["Configs"][0]["Value"]


def alter(step, version, settings, name="1", validate=False):
    """settings: (name, value, or a function of the side's context, or None to delete it)."""

    def body(context):
        values = [(s, v(context) if callable(v) else v) for s, v in settings]
        operations = [(s, DELETE if v is None else SET, v) for s, v in values]
        return {"Resources": [change(BROKER, name, *operations)], "ValidateOnly": validate}

    step("IncrementalAlterConfigs", version, body)


def listeners_refused(step, version, prefix):
    listeners(step)
    for added, protocols in ADDED:
        settings = [("listeners", lambda context: own(context) + added)] if added else []  # noqa: B023
        alter(step, version, settings + ([(MAP, protocols)] if protocols is not None else []), validate=True)
    for kept in (0, 1):
        alter(step, version, [("listeners", lambda context: own(context).split(",")[kept])], validate=True)  # noqa: B023
    alter(step, version, [("listeners", lambda context: own(context).replace("PLAINTEXT", "OTHER"))], validate=True)
    moved = "PLAINTEXT://127.0.0.1:5,CONTROLLER://127.0.0.1:6"
    for name in ("1", ""):
        for settings in [[("listeners", moved)], [(MAP, EXTRA)], *OTHERS]:
            alter(step, version, settings, name, validate=True)


def listener_comes_and_goes(step, version, prefix):
    """The new listener answers; it is told to nobody, and so tells of no broker; then it is gone."""
    listeners(step)
    for side in step.run.sides:
        side.context["port"] = free_port()
    more = [("listeners", lambda context: f"{own(context)},EXTRA://127.0.0.1:{context['port']}"), (MAP, EXTRA)]
    alter(step, version, more)
    through = [Side(side.name, f"127.0.0.1:{side.context['port']}", side.timeout_s) for side in step.run.sides]
    for side in through:
        wait_until(lambda: listens(side.port), 60, f"{side.name} to listen")  # noqa: B023
    extra = Run(*through, out=step.run.out)
    extra.ranges = step.run.ranges
    for api, body in (("Metadata", {"Topics": []}), ("DescribeCluster", {}), ("FindCoordinator", {"KeyType": 0})):
        extra.step(api, extra.common(api)[-1], body, step.norms, "[through a new listener]")
    step.run.bad += extra.bad
    alter(step, version, [("listeners", None), (MAP, None)])
    for side in through:
        wait_until(lambda: not listens(side.port), 60, f"{side.name} to listen no more")  # noqa: B023


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


SCENARIOS = [
    ("listeners and threads refused", "IncrementalAlterConfigs", listeners_refused),
    ("a listener comes and goes", "IncrementalAlterConfigs", listener_comes_and_goes),
]
