"""The frameworks that people run on Kafka, as tests start and stop them."""
