"""Clients' own metrics (KIP-714). Kafka advertises these APIs only where it has a receiver for them, but answers them
without one: it drops what is pushed."""

from harness.telemetry import metrics_data, subscription

NO_ID, ONE = "00" * 16, "00" * 15 + "01"
A, B, C, D = ("%032x" % (0x0123456789ABCDEF0123456789ABCDEF + n) for n in range(4))


def subscribe(step, name, **settings):
    step("IncrementalAlterConfigs", None, subscription(name, **settings))


def get(step, version, instance, **more):
    return step("GetTelemetrySubscriptions", version, {"ClientInstanceId": instance}, **more)


def push(step, instance, subscription_id, metrics=b"", terminating=False, compression=0):
    body = {"ClientInstanceId": instance, "SubscriptionId": subscription_id, "Terminating": terminating,
            "CompressionType": compression, "Metrics": metrics}
    return step("PushTelemetry", 0, body)


def asking(step, version, prefix):
    get(step, version, NO_ID, ignore=("SubscriptionId",))  # of an id that each makes up
    get(step, version, A)
    get(step, version, A)  # too early
    subscribe(step, prefix + "s", metrics="org.apache.kafka.producer.,org.apache.kafka.consumer.,a,b,c,x.y.z", interval_ms="60000")
    get(step, version, A)  # the change counts at once
    get(step, version, A)
    subscribe(step, prefix + "t", metrics="a,d,e", interval_ms="3600000")
    get(step, version, A)
    subscribe(step, prefix + "t", metrics="*")
    get(step, version, A)
    for match in ("client_id=kdiff", "client_id=kd", "client_id=.*", "client_software_name=.*", "client_source_address=127.*",
                  "client_source_port=[0-9]+", "client_id=kdiff, client_software_version=none", "client_instance_id=.*"):
        subscribe(step, prefix + "t", match=match)
        get(step, version, B)
    subscribe(step, prefix + "s", metrics=None, interval_ms=None)
    get(step, version, B)
    subscribe(step, prefix + "t", metrics=None, interval_ms=None, match=None)
    get(step, version, B)


def pushing(step, version, prefix):
    subscribe(step, prefix + "s", metrics="a,b", interval_ms="3600000")
    answers = get(step, 0, C)
    known = answers[1].get("SubscriptionId", 0)
    good = metrics_data({"a": 1.0})
    push(step, NO_ID, 0)
    push(step, ONE, 0)
    push(step, C, known, good)
    push(step, C, known, good)  # too early
    push(step, C, known, good, terminating=True)
    push(step, C, known, good)  # it said that it was the last
    push(step, C, known, good)
    get(step, 0, C)
    for wrong in ({"subscription_id": known + 1}, {"compression": 9}, {"compression": -1}, {"metrics": bytes(2 << 20)}):
        subscribe(step, prefix + "s", metrics="a,b", interval_ms="3600000")  # as new
        get(step, 0, C)
        push(step, C, **{"subscription_id": known, **wrong})
        get(step, 0, C)
    subscribe(step, prefix + "s", metrics=None, interval_ms=None)
    push(step, C, known, good)  # what it was told of is not so any more
    get(step, 0, C)
    push(step, D, 0, good)  # without a question


SCENARIOS = [
    ("telemetry asking", "GetTelemetrySubscriptions", asking),
    ("telemetry pushing", "PushTelemetry", pushing),
]
