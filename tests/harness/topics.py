"""Topics that a test needs, made with librdkafka's admin client."""

from confluent_kafka.admin import AdminClient, NewTopic


def create_topics(bootstrap, names, partitions=1, configs=None):
    """Creates the topics and returns when the broker has answered for each."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 20000})
    wanted = [NewTopic(name, num_partitions=partitions, replication_factor=1, config=configs or {}) for name in names]
    for future in admin.create_topics(wanted, operation_timeout=20, request_timeout=20).values():
        future.result(30)
