"""What a client pushes of its own metrics (KIP-714): OpenTelemetry's protobuf, as little as it takes."""

import struct


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def metrics_data(values):
    """MetricsData of gauges: {name: number}."""
    metrics = b""
    for name, value in values.items():
        point = varint(3 << 3 | 1) + bytes(8) + varint(4 << 3 | 1) + struct.pack("<d", value)
        point += field(7, field(1, b"topic") + field(2, field(1, b"orders")))
        metrics += field(2, field(1, name.encode()) + field(5, field(1, point)))
    return field(1, field(2, metrics))


def subscription(name, **settings):
    """The body of IncrementalAlterConfigs that sets one up; a value of None takes a setting away."""
    configs = [{"Name": key.replace("_", "."), "ConfigOperation": 1 if value is None else 0, "Value": value} for key, value in settings.items()]
    return {"Resources": [{"ResourceType": 16, "ResourceName": name, "Configs": configs}]}


def push(answer, values=None, **more):
    """The body of PushTelemetry that follows an answer to GetTelemetrySubscriptions."""
    return {"ClientInstanceId": answer["ClientInstanceId"], "SubscriptionId": answer["SubscriptionId"], "Terminating": False,
            "CompressionType": 0, "Metrics": metrics_data(values) if values else b"", **more}
