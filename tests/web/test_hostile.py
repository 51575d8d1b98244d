"""What others write is shown as text, wherever it comes to be seen: a page that ran it would do what they want, with the rights of who looks."""

import json
import urllib.parse

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from harness.broker import free_port
from harness.members import await_group
from harness.process import wait_until
from harness.requests import create_topic
from web.conftest import Shop, reports

pytestmark = pytest.mark.ours

BAD = "<img src=x onerror=hurt=1><script>hurt=1</script>"
KINDS = ["format", "cursor", "stoppedBy", "type", "source", "timestampType"]  # of answers: words that say of what kind something is
CHART = {"id": BAD, "title": BAD, "topic": "evil", "measure": "top", "field": BAD, "windowSeconds": 86400}


@pytest.fixture
def evil(brokers):
    """Everything that a client may name has a bad name."""
    port = free_port()
    broker = brokers.start(settings={"http.listeners": f"http://127.0.0.1:{port}"})
    shop = Shop(broker, port)
    create_topic(broker, "evil")
    create_topic(broker, "other")
    create_topic(broker, "__odradek_boards", cleanup_policy="compact")
    shop.api("POST", "/topics/__odradek_boards/records", {"key": BAD, "value": json.dumps({"version": 1, "name": BAD, "charts": [CHART]})})
    producer = Producer({"bootstrap.servers": broker.bootstrap, "client.id": BAD, "transactional.id": BAD})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce("evil", json.dumps({BAD: BAD, "deep": {BAD: 1}}).encode(), key=BAD.encode(), headers=[(BAD, BAD.encode())])
    producer.commit_transaction(60)
    await_group(broker.port, BAD)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "client.id": BAD, "group.id": BAD, "group.instance.id": BAD})
    consumer.subscribe(["evil"])
    wait_until(lambda: [consumer.poll(0.1), consumer.assignment()][1], 60, "the assignment")
    consumer.commit(offsets=[TopicPartition("evil", 0, 0)], asynchronous=False)
    with reports(broker, BAD, BAD) as reporter:
        shop.reporter = reporter
        yield shop
    consumer.close()


def is_text(browser, where="main"):
    browser.until_text(where, BAD)
    assert browser.value("document.querySelectorAll('img, iframe, object, embed, script:not([src])').length") == 0
    assert browser.value("window.hurt === undefined")


def test_names_and_records_are_text(browser, evil):
    group = urllib.parse.quote(BAD, safe="")
    browser.open(evil.port, "/topics/evil")
    is_text(browser, ".rows tbody")
    browser.click(".rows tbody button")
    for part in ("th", "td"):
        is_text(browser, f"dialog .headers tbody {part}")
    is_text(browser, "dialog .payload")
    browser.press("Escape")
    evil.reporter.push()
    for page in ("/groups", f"/groups/{group}", "/cluster", f"/clients/{evil.reporter.id}", "/insights"):
        browser.ask("go", hash=page)
        is_text(browser)
    for part in ("nav.pages", ".chart h2", ".chart .top tbody th"):
        is_text(browser, part)
    browser.click("button:text('New chart')")
    browser.fill(".builder .field:has-text('Topic') input", "evil")
    browser.select(".builder select >> nth=0", "sum")
    browser.until(f"[...document.querySelectorAll('.builder datalist option')].some((option) => option.value === {json.dumps(BAD)})")
    browser.fill(".builder .field:has-text('Field') input", BAD)
    is_text(browser, ".builder h2")


def test_whatever_an_answer_holds_is_text(browser, evil):
    """Also what no client can put there: a broker's host, its directories, the values of settings, errors."""
    group = urllib.parse.quote(BAD, safe="")
    browser.open(evil.port, "/cluster")
    browser.see(".badge")
    browser.spoil(BAD, [*KINDS, "evil", BAD])  # by its name a page asks for more of it
    for page, opens in (("/", None), ("/topics", None), ("/topics/evil", None), ("/topics/evil/settings", ".rows tbody button"), ("/topics/missing", None), ("/groups", None),
                        (f"/groups/{group}", "button:text('Reset offsets')"), (f"/groups/{group}/settings", None), ("/cluster", None), (f"/clients/{evil.reporter.id}", None)):
        evil.reporter.push()
        browser.ask("go", hash=page)
        browser.see(".head, .state")
        is_text(browser)
        if opens:
            browser.click(opens)
            is_text(browser, "dialog")
            browser.press("Escape")
