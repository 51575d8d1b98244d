from harness.broker import answers


def test_starts_and_stops(brokers):
    broker = brokers.start()
    assert answers(broker.port)
    broker.stop()
    broker.start()
    broker.kill()
    broker.start()
