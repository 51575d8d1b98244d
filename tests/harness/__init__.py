"""Runs brokers (Odradek, or Apache Kafka in its place) and the clients that talk to them."""
