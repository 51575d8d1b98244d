"""Sends the same requests to two brokers and reports where their answers differ.

    python -m interop.kdiff --ours 127.0.0.1:9092 --kafka 127.0.0.1:19092    every scenario, in every version
    python -m interop.kdiff ... --only CreateTopics,Metadata                  some APIs
    python -m interop.kdiff ... --random 2000 --seed 7                        random plausible requests

(with tests/ as PYTHONPATH; ./dev test kdiff starts both brokers itself). Both should be fresh, single, with the
same configuration. What differs by nature (hosts, ids, times) is normalised away; two Apache Kafka brokers give no
difference.
"""
