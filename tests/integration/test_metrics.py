"""/metrics: what docs/metrics.md lists, all of it and nothing else; the files for Grafana and Prometheus speak of what is there."""

import json
import pathlib
import re
import time

import pytest

from harness.batch import batch
from harness.broker import free_port, memory_bytes, sanitized
from harness.http import Http, Stream, port_of
from harness.members import await_group
from harness.process import cpu_s_of, takes_less, wait_until
from harness.prometheus import Prometheus, Scrape, names_in, promtool, scrape
from harness.requests import connect, create_topic, error, fetch_body, now_ms, produce
from harness.topics import create_topics
from harness.transactions import Producer

pytestmark = pytest.mark.ours

TOP = pathlib.Path(__file__).resolve().parents[2]
DOC = TOP / "docs" / "metrics.md"
ALERTS = TOP / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = TOP / "deploy" / "grafana" / "odradek.json"
MOST_TOPICS = 100
IDLE_MOST_BYTES = 15_000_000
WATCHED_CPU_MOST_S = 0.004  # of a second: a fiftieth of what a stream of 50 MB/s takes (./dev bench)
OTHERS = "(others)"


def rows_of(text):
    """{name: (type, labels, help)} of the page's tables of metrics."""
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| ([\w, ]*) \| (.*) \|$", text, re.M)
    assert len(rows) == len({name for name, *_ in rows})
    return {name: (kind, set(labels.split(", ")) if labels else set(), said) for name, kind, labels, said in rows}


@pytest.fixture(scope="module")
def busy(served):
    """A scrape of a broker that has had to do with everything."""
    from kafka import KafkaConsumer

    create_topic(served, "metrics")
    with connect(served) as connection:
        assert produce(connection, "metrics", [(None, b"x" * 100)] * 5)["ErrorCode"] == 0
        connection.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": "nowhere", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]})
    Producer(served.port, "metrics").init().close()
    consumer = KafkaConsumer("metrics", bootstrap_servers=served.bootstrap, group_id="metrics-group", auto_offset_reset="earliest", enable_auto_commit=False, max_poll_records=2)
    wait_until(lambda: consumer.poll(200), 20, "records")
    consumer.commit()
    consumer.close()
    web = Http(port_of(served))

    def look():
        """A scrape in which everything has series: groups and transactions are looked at now and then."""
        now = scrape(web)
        return {now.family_of(name) for name, _ in now.samples} == set(now.families) and now

    return wait_until(look, 60, "series of every metric")


def test_the_page_lists_what_a_scrape_has(busy):
    rows = rows_of(DOC.read_text())
    assert {name: kind for name, (kind, _, _) in rows.items()} == busy.families
    help_texts = dict(re.findall(r"^# HELP (\w+) (.*)$", busy.text, re.M))
    assert {name: said for name, (_, _, said) in rows.items()} == help_texts
    for (name, labels), _ in busy.samples.items():
        assert {label for label, _ in labels} - {"le"} == rows[busy.family_of(name)][1], (name, labels)


def test_every_metric_that_the_page_speaks_of_exists(busy):
    for name in names_in(DOC.read_text()):
        assert busy.family_of(name), name


def test_promtool_finds_nothing_wrong_with_a_scrape(busy):
    assert promtool("check", "metrics", text=busy.text).strip() == ""


def test_the_dashboard_speaks_of_metrics_that_exist(busy):
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    expressions += [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    assert len(expressions) > 30
    for expression in expressions:
        names = names_in(expression)
        assert names and all(busy.family_of(name) for name in names), expression
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_a_prometheus_has_the_numbers_the_rules_and_what_the_dashboard_shows(served, busy, brokers, tmp_path):
    prometheus = brokers.add(Prometheus(tmp_path, port_of(served), ALERTS))
    made = 'odradek_topic_received_records_total{job="odradek", topic="metrics"}'
    before = wait_until(lambda: prometheus.query(made), 60, "the first scrape")
    with connect(served) as connection:
        assert produce(connection, "metrics", [(None, b"x" * 100)] * 7)["ErrorCode"] == 0
    wait_until(lambda: prometheus.query(made) == [before[0] + 7], 60, "what was produced")

    def up():  # one scrape of a slow broker may have been too late
        target, = prometheus.ask("targets")["activeTargets"]
        return (target["health"], target["lastError"]) == ("up", "")

    wait_until(up, 60, "a scrape that succeeds")

    def rules():
        found = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return all(rule["health"] != "unknown" for rule in found) and found

    found = wait_until(rules, 60, "every rule to be evaluated")
    assert [(rule["health"], rule.get("lastError")) for rule in found] == [("ok", None)] * len(found)
    assert [rule["name"] for rule in found] == re.findall(r"alert: (\w+)", ALERTS.read_text())

    # Grafana's own variables stand for what it would put there.
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    for expression in expressions:
        asked = expression.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$instance", ".*")
        assert "$" not in asked
        wait_until(lambda asked=asked: prometheus.query(asked), 60, f"a series of {asked}")
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()
            assert prometheus.ask(f"label/{label}/values", **{"match[]": series.replace("$job", ".*")}) == [{"job": "odradek", "instance": f"127.0.0.1:{port_of(served)}"}[label]]
    prometheus.terminate_and_wait(60)


def test_the_alerts_speak_of_metrics_that_exist(busy):
    for name in names_in(ALERTS.read_text()):
        assert busy.family_of(name), name


def test_promtool_reads_the_alerts_and_each_is_raised_by_what_it_is_for():
    assert "SUCCESS" in promtool("check", "rules", ALERTS)
    assert "SUCCESS" in promtool("test", "rules", ALERTS.with_name("alerts_test.yml"))
    raised = set(re.findall(r'alertname="(\w+)"\}', ALERTS.with_name("alerts_test.yml").read_text()))
    assert raised == set(re.findall(r"alert: (\w+)", ALERTS.read_text()))


def test_the_numbers_are_those_of_what_was_done(busy):
    assert busy.value("odradek_topic_received_records_total", topic="metrics") == 5
    assert busy.value("odradek_topic_partitions", topic="metrics") == 1
    assert busy.value("odradek_errors_total", api="ListOffsets", error="UNKNOWN_TOPIC_OR_PARTITION") >= 1
    assert busy.value("odradek_request_duration_seconds_count", api="Produce") >= 1
    assert busy.value("odradek_group_lag_records", group="metrics-group") in (3, 4)
    assert busy.value("odradek_transactions", state="Empty") == 1
    assert busy.value("odradek_quorum_is_leader") == 1 and busy.value("odradek_brokers") == 1
    assert busy.value("odradek_partitions_offline") == 0
    assert 0 < busy.value("process_cpu_seconds_total") and 1e6 < busy.value("process_resident_memory_bytes")


def test_requests_in_flight_are_those_without_an_answer(served, web):
    create_topic(served, "metrics-wait")

    def counted(in_flight, waiting=0):
        """A request is counted until a moment after its answer, and waits from a moment after it was counted."""
        now = scrape(web)
        return now.value("odradek_requests_in_flight") == in_flight and now.value("odradek_requests_waiting") >= waiting

    wait_until(lambda: counted(0), 20, "those before to be over")
    with connect(served) as connection:
        connection.send("Fetch", 12, fetch_body("metrics-wait", max_wait_ms=600_000, min_bytes=1))
        wait_until(lambda: counted(1, waiting=1), 20, "the request")
    wait_until(lambda: counted(0), 20, "its end")


def test_topics_are_bounded_and_the_rest_is_summed(brokers):
    served = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    web = Http(port_of(served))
    names = [f"many-{n:03}" for n in range(MOST_TOPICS + 20)]
    create_topics(served.bootstrap, names)
    with connect(served) as connection:
        for name in names:
            wait_until(lambda name=name: produce(connection, name, [(None, b"x")])["ErrorCode"] == 0, 20, "a leader")
        now = scrape(web)
        records = now.by("odradek_topic_received_records_total", "topic")
        assert len(records) == MOST_TOPICS + 1 and sum(records.values()) == len(names)
        assert records[OTHERS] == 20 == now.value("odradek_topics_summed")
        hidden = next(name for name in names if name not in records)
        shown = next(name for name in names if name in records)
        for _ in range(5):
            produce(connection, hidden, [(None, b"x")])
        connection.call("DeleteTopics", 6, {"Topics": [{"Name": shown, "TopicId": "00" * 16}], "TimeoutMs": 20000})
        after = wait_until(lambda: shown not in (found := scrape(web).by("odradek_topic_received_records_total", "topic")) and found, 20, "the deletion")
    assert after[hidden] == 6, "the busiest of the others takes the place"
    assert after[OTHERS] >= records[OTHERS], "no counter falls"
    assert set(after) - {hidden} == set(records) - {shown}


def test_groups_with_names_that_are_no_labels_are_summed(brokers):
    served = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    web = Http(port_of(served))
    create_topic(served, "t")
    groups = [OTHERS, "a\0b", "a\0c", "\ufffd", "l" * 300, 'quoted"\\\n', ""]
    with connect(served) as connection:
        assert produce(connection, "t", [(None, b"x")] * 5)["ErrorCode"] == 0
        for n, group in enumerate(groups):
            body = {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": n % 4}]}]}
            await_group(served.port, group or "any")
            commit = lambda body=body: connection.call("OffsetCommit", 8, body)["Topics"][0]["Partitions"][0]["ErrorCode"]
            wait_until(lambda commit=commit: commit() == 0, 20, f"a commit of {group!r}")
        found = wait_until(lambda: (now := scrape(web)).value("odradek_groups") == len(groups) and now, 30, "all groups")
    lags = found.by("odradek_group_lag_records", "group")
    assert lags == {"": 3, 'quoted\\"\\\\\\n': 4, OTHERS: 5 + 4 + 3 + 2 + 5}
    assert promtool("check", "metrics", text=found.text).strip() == ""


def test_no_counter_falls_between_scrapes(served, web):
    def counters(found):
        return {key: value for key, value in found.samples.items() if found.families.get(found.family_of(key[0])) in ("counter", "histogram")}

    before = counters(scrape(web))
    create_topic(served, "metrics-grow")
    after = counters(scrape(web))
    assert not {key for key, value in before.items() if after.get(key, -1) < value}


def test_a_broker_at_rest_is_small_and_costs_little_while_it_is_watched(brokers):
    served = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    web = Http(port_of(served))
    live = Stream(web.port, "/api/v1/live")
    events = iter(live)
    for _ in range(3):
        next(events)
        scrape(web)
    assert memory_bytes(served) < IDLE_MOST_BYTES or sanitized()

    def of_a_watched_second():
        began, began_cpu_s = time.monotonic(), cpu_s_of(served.process.pid)
        for _ in range(3):
            next(events)
            scrape(web)
        return (cpu_s_of(served.process.pid) - began_cpu_s) / (time.monotonic() - began)

    takes_less(WATCHED_CPU_MOST_S * (20 if sanitized() else 1), of_a_watched_second)
    live.close()


def reads_of(broker):
    """How often its process has read from a file."""
    counts = dict(line.split(": ") for line in pathlib.Path(f"/proc/{broker.process.pid}/io").read_text().splitlines())
    return int(counts["syscr"])


def test_a_scrape_loads_no_log(brokers):
    """Logs that nobody uses after a start stay unread, though they have had producers."""
    partitions = 200
    port = free_port()
    broker = brokers.start(settings={"http.listeners": f"http://127.0.0.1:{port}"})
    create_topic(broker, "t", partitions=partitions)
    with connect(broker) as connection:
        for partition in range(partitions):
            assert error(produce(connection, "t", batch([(None, b"v")], ts=now_ms(), pid=7, epoch=0, seq=0), partition=partition)) == 0
    broker.stop()
    assert len(list(broker.data.glob("t-*/*.snapshot"))) == partitions
    broker.start()
    web = Http(port)
    before = reads_of(broker)
    assert scrape(web).value("odradek_requests_total") >= 0
    assert reads_of(broker) - before < partitions


def test_the_text_is_read_as_it_is_written():
    found = Scrape('# HELP a_total A.\n# TYPE a_total counter\na_total{x="1",y="a\\"b"} 3\n')
    assert found.value("a_total", x="1", y='a\\"b') == 3 and found.families == {"a_total": "counter"}
