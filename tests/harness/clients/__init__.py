"""The clients that people use, each behind the same calls:

produce(bootstrap, writes)  sends each Write's records in order, and returns when all are acknowledged; an AssertionError where the
                            client complained of anything, unless it may_complain
consume(bootstrap, reads)   a list of records for each Read, from assigned partitions
do(bootstrap, jobs)         administration, and consuming in groups (see program.py)
prepare()                   gets it ready where it is a program of ours, in another language
"""

from harness.clients.aio import AioKafka
from harness.clients.confluent import Confluent
from harness.clients.console import Console
from harness.clients.kafka_python import KafkaPython
from harness.clients.kcat import Kcat
from harness.clients.programs import PROGRAMS

CLIENTS = {client.name: client for client in (Kcat(), Console(), Confluent(), KafkaPython(), AioKafka(), *PROGRAMS)}
