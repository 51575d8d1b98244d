"""The clients that people use, each behind the same two calls:

produce(bootstrap, writes)  sends each Write's records in order, and returns when all are acknowledged
consume(bootstrap, reads)   a list of records for each Read, from assigned partitions
"""

from harness.clients.confluent import Confluent
from harness.clients.console import Console
from harness.clients.java_api import JavaApi
from harness.clients.kafka_python import KafkaPython
from harness.clients.kcat import Kcat

CLIENTS = {client.name: client for client in (Kcat(), JavaApi(), Console(), Confluent(), KafkaPython())}
