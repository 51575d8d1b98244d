"""The dashboard in a browser: every page, with numbers that are those of the broker."""

import json

import pytest
from confluent_kafka import Consumer, Producer

from harness.broker import cli_binary, free_port
from harness.process import run, wait_until
from harness.requests import create_topic
from web.conftest import COUNTRIES, ORDERS, reports

pytestmark = pytest.mark.ours
FIRST_LOAD_MOST_BYTES = 300_000  # over the wire, headers included

PAGES = [
    ("overview", "/", "Overview", ".chart canvas"),
    ("topics", "/topics", "Topics", "th:has-text('orders')"),
    ("topic", "/topics/orders", "orders", ".rows tbody button"),
    ("partitions", "/topics/orders/partitions", "orders", "tbody th:text-is('2')"),
    ("settings", "/topics/orders/settings", "orders", "button:text('retention.ms')"),
    ("groups", "/groups", "Groups", "th:has-text('billing')"),
    ("group", "/groups/billing", "billing", "td:text-is('50')"),
    ("group-settings", "/groups/billing/settings", "billing", "button:text('consumer.session.timeout.ms')"),
    ("insights", "/insights", "Insights", ".builder"),
    ("cluster", "/cluster", "Cluster", ".badge:text-is('serves')"),
    ("client", "/clients/{client}", "till-1", "th:text-is('org.apache.kafka.producer.queue')"),
]


@pytest.fixture
def transaction(shop):
    """One that is under way."""
    producer = Producer({"bootstrap.servers": shop.broker.bootstrap, "transactional.id": "payments-1", "transaction.timeout.ms": 600000})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce("page-views", b"{}")
    assert producer.flush(60) == 0
    yield "payments-1"
    producer.abort_transaction(60)


@pytest.fixture
def reporter(shop):
    with reports(shop.broker, "till-1", "org.apache.kafka.producer.queue") as reporter:
        yield reporter


NAMED = {"button", "link", "image", "table", "region", "navigation", "dialog", "group", "searchbox", "textbox", "combobox", "checkbox", "heading", "columnheader", "rowheader", "Iframe"}


def unspoken(speech):
    """What a screen reader could say nothing of: things without a name, tables without heads for their columns and rows."""
    nameless = [one["role"] for one in speech if one["role"] in NAMED and not one["name"].strip()]
    return nameless + [one["name"] for one in speech if one["role"] == "table" and not {"columnheader", "rowheader"} <= set(one["within"])]


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_at_each_width(browser, shop, transaction, reporter, size, scheme):
    browser.open(shop.port, size=size, scheme=scheme)
    for name, where, title, there in PAGES:
        reporter.push()
        browser.go(where.format(client=reporter.id), title)
        browser.see(there)
        browser.screenshot(f"{name}-{size}-{scheme}")
        browser.until("document.documentElement.scrollWidth <= document.documentElement.clientWidth")  # none is wider than the screen
        assert browser.axe() == [], name
        assert unspoken(browser.speech()) == [], name


@pytest.mark.parametrize("size", ["laptop", "tablet"])
def test_tables_between_a_desk_and_a_phone(browser, shop, size):
    """They are no wider than the page, and what a row is called can be read."""
    browser.open(shop.port, size=size)
    for name, where, title, there in PAGES:
        if name in ("topics", "partitions", "groups", "group", "cluster"):
            browser.go(where, title)
            browser.see(there)
            browser.until("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            assert browser.value("Math.min(...[...document.querySelectorAll('.rows tbody th')].map((one) => one.clientWidth))") >= 60, name


def test_the_first_load_is_small(browser, shop):
    browser.open(shop.port)
    browser.until_text("#link-state", "Live")
    browser.see(".chart canvas")
    assert 20_000 < browser.transferred() < FIRST_LOAD_MOST_BYTES


def test_the_overview_counts_what_is_produced(browser, shop):
    browser.open(shop.port)
    measured = "import('/js/live.js').then(({ history }) => history.reduce((sum, s) => sum + (s.messagesInPerSecond ?? 0) * (s.intervalSeconds ?? 0), 0))"
    browser.until("import('/js/live.js').then(({ history }) => history.filter((s) => s.intervalSeconds).length >= 2)")
    before = round(browser.value(measured))
    shop.produce("page-views", [{"path": "/"}] * 500)
    browser.until(f"{measured}.then((sum) => Math.round(sum) >= {before + 500})")
    assert round(browser.value(measured)) == before + 500
    overview = shop.api("GET", "/overview")
    browser.until_text(".figures", f"{overview['topics']} topics, {overview['partitions']['total']} partitions")
    browser.until_text("main", f"Cluster {shop.api('GET', '/cluster')['clusterId']}")
    browser.click("text=Messages: as a table")
    browser.until("document.querySelectorAll('.chart .data tbody tr').length > 1")


def test_the_charts_begin_with_the_past(browser, shop):
    before = shop.api("GET", "/overview")["startTime"]  # the broker itself has no points from before it was there
    none = {"intervalSeconds": 5, "messagesOutPerSecond": 0, "bytesInPerSecond": 0, "bytesOutPerSecond": 0, "requestsPerSecond": 1, "connections": 2, "produceP99": None, "deliveryP99": None}
    browser.open(shop.port)
    browser.answer("/api/v1/history", {"points": [{**none, "time": before - 5000 * n, "messagesInPerSecond": 1000 + n} for n in range(60, 0, -1)]})
    browser.until("import('/js/live.js').then(({ history }) => history.some((s) => s.attention))")
    browser.value("import('/js/live.js').then(({ retryNow }) => retryNow())")
    browser.until("import('/js/live.js').then(({ history }) => history.filter((s) => s.messagesInPerSecond > 1000).length >= 60 && history.every((s, n) => n === 0 || history[n - 1].time <= s.time))")
    browser.click("button:text-is('15 min')")
    browser.click("text=Messages: as a table")
    browser.until("document.querySelectorAll('.chart .data tbody tr').length === 30")
    past = "import('/js/live.js').then(({ history }) => history.filter((s) => s.messagesInPerSecond > 1000).map((s) => s.messagesInPerSecond))"
    assert browser.value(past) == [1000 + n for n in range(60, 0, -1)]
    assert browser.axe() == []


def test_a_topic_from_its_creation_to_its_end(browser, shop):
    browser.open(shop.port, "/topics")
    browser.click("text=Create a topic")
    browser.fill("dialog input[maxlength]", "made here")
    browser.click("dialog button[type=submit]")
    browser.until_text("dialog [role=alert]", "made here")
    browser.fill("dialog input[maxlength]", "made-here")
    browser.fill("dialog input[min='1']", "2")
    browser.click("dialog button[type=submit]")
    browser.see("h1:text-is('made-here')")
    browser.see("text=Records appear here as they are produced.")

    browser.click("main button:text('Produce')")
    browser.fill("dialog .field:has-text('Key') input", "k1")
    browser.fill("dialog textarea", '{"amount": 12}')
    browser.click("text=Add a header")
    browser.fill("[aria-label=\"Header's name\"]", "source")
    browser.fill("[aria-label=\"Header's value\"]", "dashboard")
    browser.click("dialog button[type=submit]")
    browser.see(".toast:has-text('at offset 0')")
    browser.press("Escape")
    browser.click(".rows tbody button")
    browser.see("dialog .payload:has-text('\"amount\": 12')")
    assert "source" in browser.text("dialog .headers") and "dashboard" in browser.text("dialog .headers")
    browser.press("Escape")
    browser.until_text(".head", "2 partitions, 1 record")

    browser.go("/topics/made-here/settings", "made-here")
    browser.click(".rows th[title='retention.ms'] button")
    browser.fill("dialog input", "soon")
    browser.until_text("dialog .wrong:not([hidden])", "retention.ms")
    assert {one["name"]: one for one in shop.api("GET", "/topics/made-here/configs")["configs"]}["retention.ms"]["source"] == "default"
    browser.fill("dialog input", "3600000")
    browser.until_text("dialog", "1 h")
    browser.click("dialog button[type=submit]")
    browser.see(".toast:has-text('retention.ms is 3600000 now.')")
    browser.see("td:text('3600000 (1 h)')")
    settings = {one["name"]: one for one in shop.api("GET", "/topics/made-here/configs")["configs"]}
    assert settings["retention.ms"]["value"] == "3600000"

    browser.click("main button:text('Delete')")
    browser.fill("dialog input", "made-there")
    browser.click("dialog button[type=submit]")
    browser.see("text=This is not made-here.")
    browser.fill("dialog input", "made-here")
    browser.click("dialog button[type=submit]")
    browser.see("h1:text-is('Topics')")
    assert "made-here" not in [topic["name"] for topic in shop.api("GET", "/topics")["topics"]]


def test_the_tail_filters_and_pauses(browser, shop):
    rows = "document.querySelectorAll('.rows tbody tr').length"
    browser.open(shop.port, "/topics/orders")
    browser.until_text(".head", f"3 partitions, {ORDERS} records")
    browser.until(f"{rows} === 50")
    browser.fill("input[placeholder^='any text']", "o-123\"")
    browser.until(f"{rows} === 1")
    browser.until_text(".rows tbody", "o-123")
    browser.fill("input[placeholder^='any text']", "tail-")
    browser.see("text=No record yet")
    shop.produce("orders", [{"order": "tail-1"}, {"order": "left out"}])
    browser.until_text(".rows tbody", "tail-1")
    browser.click("button:text('Pause')")
    shop.produce("orders", [{"order": "tail-2"}])
    browser.until_text("main", "Paused; 1 new record waiting")
    assert browser.value(rows) == 1
    browser.click("button:text('Go on')")
    browser.until(f"{rows} === 2")
    browser.click("button:text('Browse')")
    browser.fill("input[placeholder^='any text']", "")
    browser.fill("input[placeholder='customer.country']", "customer.country")
    browser.fill("input[placeholder='DE']", "FR")
    browser.until_text("main", f"{ORDERS // 6} records found in")
    browser.until_text("main", "that is all")


def test_offsets_are_reset_after_a_preview(browser, shop):
    browser.open(shop.port, "/groups/billing")
    browser.click("text=Reset offsets")
    browser.until_text("dialog [role=status]", "1 partition of 1 would change")
    browser.until_text("dialog tbody", "30")
    browser.select("dialog select", "shift")
    browser.fill("dialog input[type=number]", "-10")
    browser.until("document.querySelector('dialog tbody').innerText.split(/\\s+/).includes('20')")
    assert shop.api("GET", "/groups/billing")["partitions"][0]["committedOffset"] == 30
    browser.until("!document.querySelector('dialog button[type=submit]').disabled")
    browser.click("dialog button[type=submit]")
    browser.see("td:text-is('20')")
    assert shop.api("GET", "/groups/billing")["partitions"][0]["committedOffset"] == 20
    shop.api("POST", "/groups/billing/offsets", {"to": "offset", "offset": 30, "topic": "orders", "partitions": [0]})


def test_a_reset_of_many_partitions_is_previewed_in_whole(browser, shop):
    """On a phone: what changes comes first, with what it is now, and the last one can be scrolled to."""
    many = [{"topic": "orders", "partition": n, "before": 30, "after": 20 if n == 400 else 30, "lagAfter": 0} for n in range(500)]
    browser.open(shop.port, "/groups/billing", size="phone")
    browser.see("th a:text-is('orders')")
    browser.answer("/api/v1/groups/billing/offsets?**", {"applicable": True, "partitions": many})
    browser.click("text=Reset offsets")
    browser.until_text("dialog [role=status]", "1 partition of 500 would change")
    browser.until("document.querySelector('dialog tbody tr:not(.gap)').innerText.split(/\\s+/).join(' ') === 'orders 400 30 20'")
    browser.until("document.elementFromPoint(...(({ left, top, width, height }) => [left + width / 2, top + height / 2])(document.querySelector('dialog [type=submit]').getBoundingClientRect())).innerText === 'Reset'")
    browser.until("((cell, table) => Math.abs(cell.right - table.right) < 2)(...['tbody tr:not(.gap) td:nth-child(4)', 'table'].map((one) => document.querySelector(`dialog ${one}`).getBoundingClientRect()))")  # no empty column
    assert browser.axe() == []
    browser.screenshot("reset-phone-light")
    assert browser.value("document.querySelectorAll('dialog tbody tr:not(.gap)').length") < 80
    browser.value("document.querySelector('dialog form').scrollTo(0, 1e6)")
    browser.see("dialog td:text-is('499')")


def test_what_is_off_line_is_said(browser, shop):
    group, topic = shop.api("GET", "/groups/billing"), shop.api("GET", "/topics/orders")
    gone = {"endOffset": None, "lag": None, "lagSeconds": None, "error": "KAFKA_STORAGE_ERROR"}
    browser.open(shop.port)
    browser.answer("/api/v1/groups/billing", {**group, "lag": None, "partitionsOffline": 1, "partitions": [{**group["partitions"][0], **gone}]})
    browser.go("/groups/billing", "billing")
    browser.until_text(".head", "how far behind is not known (1 partition off line)")
    browser.see(".head .badge.bad:text-is('off line')")
    browser.see("td .badge.bad:text-is('off line')")
    assert browser.axe() == []
    first, *others = topic["partitions"]
    browser.answer("/api/v1/topics/orders", {**topic, "partitions": [{**first, "startOffset": None, "endOffset": None}, *others]})
    browser.go("/topics/orders/partitions", "orders")
    browser.until_text(".head", f"3 partitions (1 off line), {ORDERS * 2 // 3} records")
    browser.see("td .badge.bad:text-is('off line')")


def test_records_of_a_topic_that_is_in_part_off_line(browser, shop):
    """The others are shown, and what is missing is said."""
    lost = [{"partition": n, "error": "KAFKA_STORAGE_ERROR", "message": f"orders-{n} is off line: Disk error."} for n in (0, 2)]
    shown = shop.api("GET", "/topics/orders/records?partition=1&limit=5")
    browser.open(shop.port)
    browser.answer("/api/v1/topics/orders/records?**", {**shown, "partitionsMissing": lost})
    browser.go("/topics/orders", "orders")
    browser.until_text("main", "The partitions 0, 2 are off line: their records are missing here.")
    browser.until("document.querySelectorAll('.rows tbody tr').length === 5")
    assert browser.axe() == []
    browser.answer("/api/v1/topics/orders/records?**", {**shown, "partitionsMissing": lost[:1]})
    browser.click("button:text-is('Browse')")
    browser.until_text("main", "Partition 0 is off line: its records are missing here.")
    browser.screenshot("off-line-desktop-light")
    browser.go("/insights", "Insights")
    browser.fill(".builder .field:has-text('Topic') input", "orders")
    browser.until_text(".builder .insight-foot", "without 1 partition that is off line: 0")


def test_a_group_that_has_only_settings(browser, shop):
    shop.api("PATCH", "/groups/planned/configs", {"consumer.session.timeout.ms": 50000})
    browser.open(shop.port, "/groups", size="phone")
    browser.see("tr:has-text('planned') .badge:text-is('only settings')")
    browser.click("a:text-is('planned')")
    browser.until_text(".head", "Nobody has come yet, and nothing is committed")
    assert browser.value("[...document.querySelectorAll('.head .button')].every((button) => button.hidden)")
    assert browser.axe() == []
    browser.click("nav.pages a:text-is('Settings')")
    browser.see("td:text('50000 (50 s)')")
    browser.until("[...document.querySelectorAll('.rows .wrap')].every((cell) => cell.scrollWidth <= cell.clientWidth)")  # long names are shown whole
    browser.screenshot("group-only-settings-phone-light")
    shop.api("PATCH", "/groups/planned/configs", {"consumer.session.timeout.ms": None})
    browser.go("/groups", "Groups")
    browser.see("th:has-text('billing')")
    browser.until("!document.querySelector('main').innerText.includes('planned')")


def test_a_groups_chart_begins_with_the_past(browser, shop):
    now = shop.api("GET", "/overview")["time"]
    browser.open(shop.port)
    browser.answer("/api/v1/groups/billing/history", {"points": [{"time": now - 10_000 * n, "lag": 1000 + n if n != 5 else None} for n in range(60, 0, -1)]})
    browser.go("/groups/billing", "billing")
    browser.click("text=Lag: as a table")
    browser.until_text(".chart .data", "1,001")
    browser.until("document.querySelectorAll('.chart .data tbody tr').length === 30")
    assert browser.axe() == []


def test_a_groups_settings_are_changed(browser, shop):
    name = "consumer.session.timeout.ms"

    def setting():
        return {one["name"]: one for one in shop.api("GET", "/groups/billing/configs")["configs"]}[name]

    browser.open(shop.port, "/groups/billing")
    browser.click("nav.pages a:text-is('Settings')")
    browser.click(f".rows th[title='{name}'] button")
    browser.fill("dialog input", "soon")
    browser.until_text("dialog .wrong:not([hidden])", name)
    assert setting()["source"] == "default"
    browser.fill("dialog input", "50000")
    browser.until_text("dialog", "50 s")
    browser.click("dialog button[type=submit]")
    browser.see("td:text('50000 (50 s)')")
    browser.see("td .badge.accent:text-is('this group')")
    assert (setting()["value"], setting()["source"]) == ("50000", "group")
    browser.click(f".rows th[title='{name}'] button")
    browser.click("dialog button:text('Back to the default')")
    browser.see(".toast:has-text('is back at its default')")
    assert setting()["source"] == "default"


TOP = [
    # field, weight, records, the top two, all, distinct, without
    ("c", None, [{"c": "a"}, {"c": "b"}, {"c": "b"}, {}, "no JSON"], [["b", 2], ["a", 1]], 3, 2, 2),
    ("c", "w", [{"c": "a", "w": 5}, {"c": "b", "w": 1.5}, {"c": "b", "w": "2"}], [["a", 5], ["b", 3.5]], 8.5, 2, 0),
    ("c", "w", [{"c": "a", "w": 5}, {"c": "b"}, {"c": "b", "w": "x"}, {"w": 7}], [["a", 5]], 5, 1, 3),
    ("c", "in.w", [{"c": 1, "in": {"w": -2}}, {"c": True, "in": {"w": 0}}], [["true", 0], ["1", -2]], -2, 2, 0),
    ("by", None, [{"by": {"DE": 2, "US": 3.5}}, {"by": {"DE": 4, "FR": 0}}], [["DE", 6], ["US", 3.5]], 9.5, 3, 0),
    ("by", None, [{"by": {"DE": "2"}}, {"by": [1, 2]}, {"by": {}}, {"by": None}], [["[1,2]", 1], ["null", 1]], 4, 4, 0),
]


def test_top_values_and_their_weights(browser, shop):
    browser.open(shop.port)
    for field, weight, records, top, everything, distinct, without in TOP:
        chart = {"measure": "top", "field": field, "windowSeconds": 60, **({"weight": weight} if weight else {})}
        adds = "".join(f"s.add(1000, {json.dumps(one if isinstance(one, str) else json.dumps(one))});" for one in records)
        found = browser.value(f"import('/js/insights/measure.js').then(({{ Series }}) => {{ const s = new Series({json.dumps(chart)}); {adds} return {{ ...s.top(2000, 2), without: s.without }}; }})")
        weighed = weight is not None or everything == 9.5
        assert found == {"top": top, "all": everything, "distinct": distinct, "without": without, "weighed": weighed}, (field, weight, records)


MEASURED = {  # in all, and each second, of what is below
    "count": (5, 2, 3), "sum": (15, 5, 10), "average": (5, 2.5, 10), "min": (1, 1, 10), "max": (10, 4, 10), "p50": (4, 1, 10), "p95": (10, 4, 10), "p99": (10, 4, 10),
}


def test_each_measure(browser, shop):
    browser.open(shop.port)
    records = [(1000, '{"v": 4}'), (1500, '{"v": "1"}'), (2000, '{"v": 10}'), (2100, "{}"), (2999, "no JSON")]
    for measure, (total, first, second) in MEASURED.items():
        adds = "".join(f"s.add({at}, {json.dumps(text)});" for at, text in records)
        make = f"const s = new Series({json.dumps({'measure': measure, 'field': 'v', 'windowSeconds': 60})}); {adds}"
        found = browser.value(f"import('/js/insights/measure.js').then(({{ Series }}) => {{ {make} return [s.total(3000), s.points(3000).slice(-3).map((point) => point[1]), s.without]; }})")
        nothing = 0 if measure in ("count", "sum") else None
        assert found == [total, [nothing, first, second], 0 if measure == "count" else 2], measure


def test_insights_measure_what_records_say_and_are_kept(browser, shop):
    field = ".builder .field:has-text('Field') input"
    browser.open(shop.port, "/insights")
    browser.fill(".builder .field:has-text('Topic') input", "orders")
    browser.select(".builder select >> nth=0", "sum")
    browser.select(".builder select >> nth=1", "86400")
    browser.until("[...document.querySelectorAll('.builder datalist option')].some((option) => option.value === 'customer.country')")
    browser.fill(field, "amount")
    amounts = sorted(n % 50 for n in range(ORDERS))
    browser.until_text(".builder .insight-foot", f"{sum(amounts):,} in all")
    browser.select(".builder select >> nth=0", "p95")
    browser.until_text(".builder .insight-foot", f"{amounts[95 * ORDERS // 100 - 1]} in all")
    browser.select(".builder select >> nth=0", "top")
    browser.fill(field, "customer.country")
    share = ORDERS * COUNTRIES.count("DE") // len(COUNTRIES)
    browser.until_text(".builder .top tbody", f"{share} (50 %)")
    spent = {country: sum(n % 50 for n in range(ORDERS) if COUNTRIES[n % len(COUNTRIES)] == country) for country in COUNTRIES}
    browser.fill(".builder .field:has-text('By the sum of') input", "amount")
    browser.until_text(".builder .insight-foot", f"{sum(amounts):,} in all")
    for country, revenue in spent.items():
        browser.until_text(".builder .top tbody", f"{revenue:,} ({round(100 * revenue / sum(amounts))} %)")
        browser.until_text(".builder .top tbody", country)
    browser.until_text(".builder h2", "Top values of customer.country by the sum of amount in orders")
    browser.fill(".builder .field:has-text('By the sum of') input", "")
    browser.until_text(".builder .top tbody", f"{share} (50 %)")
    browser.fill(".builder .field:has-text('Title') input", "Countries")
    browser.see(".builder h2:text-is('Countries')")
    browser.click("text=Keep on the board")
    browser.see(".grid-2 h2:text-is('Countries')")

    # It is a record of the cluster's own topic, and there for the next browser.
    consumer = Consumer({"bootstrap.servers": shop.broker.bootstrap, "group.id": "reads-boards", "auto.offset.reset": "earliest"})
    consumer.subscribe(["__odradek_boards"])
    record = wait_until(lambda: consumer.poll(0.5), 60, "the board's record")
    consumer.close()
    board = json.loads(record.value())
    assert record.key() == b"main" and [(chart["title"], chart["field"]) for chart in board["charts"]] == [("Countries", "customer.country")]
    assert "compact" in {one["name"]: one["value"] for one in shop.api("GET", "/topics/__odradek_boards/configs")["configs"]}["cleanup.policy"]
    browser.open(shop.port, "/insights")
    browser.until_text(".grid-2 .top tbody", f"{share} (50 %)")
    browser.screenshot("board-desktop-light")
    browser.click("text=Remove Countries")
    browser.see("text=Nothing is on this board yet")


def test_it_comes_back_by_itself_when_the_broker_does(browser, shop):
    browser.open(shop.port, "/topics/idle")
    browser.see("text=Records appear here as they are produced.")
    browser.until_text("#link-state", "Live")
    shop.broker.stop()
    browser.see("#notice:has-text('does not answer')")
    browser.until_text("#link-state", "Not connected")
    browser.screenshot("away-desktop-light")
    browser.ask("go", hash="/groups")  # a page that was not seen before
    browser.see("h1:text-is('The broker does not answer')")
    assert browser.axe() == []
    shop.broker.start()
    browser.see(".toast:has-text('The broker is back')")
    browser.see("th:has-text('billing')")
    browser.go("/topics/idle", "idle")
    browser.see("text=Records appear here as they are produced.")
    browser.until("document.getElementById('notice').hidden")
    shop.produce("idle", [{"after": "the restart"}])
    browser.until_text(".rows tbody", "the restart")
    browser.until_text(".head", "1 partition, 1 record")
    browser.go("/", "Overview")
    browser.until_text("#link-state", "Live")
    browser.until_text(".figures", "topics")


def test_a_page_whose_code_could_not_be_had(browser, shop):
    """The broker went away before it was asked for: told as that, and there when one asks again, or when it is back."""

    def lose():
        browser.ask("refuse", path="/js/pages/insights.js")
        browser.ask("go", hash="/topics")
        browser.see("th:has-text('orders')")
        browser.ask("reload")
        browser.until_text("#link-state", "Live")
        browser.ask("go", hash="/insights")
        browser.see("h1:text-is('The broker does not answer')")
        browser.until_text("main", "This page goes on by itself as soon as the broker is back.")

    browser.open(shop.port, "/topics")
    lose()
    browser.ask("refuse", path="/api/v1/cluster")
    browser.click("button:text-is('Try again')")
    browser.see(".toast:has-text('The broker does not answer')")  # and not the browser's own page of an error
    browser.ask("allow", path="/api/v1/cluster")
    browser.ask("allow", path="/js/pages/insights.js")
    browser.click("button:text-is('Try again')")
    browser.see(".builder")
    lose()
    browser.ask("allow", path="/js/pages/insights.js")
    shop.broker.stop()
    browser.see("#notice:has-text('does not answer')")
    shop.broker.start()
    browser.see(".builder")


def test_nothing_is_there_yet(browser, brokers):
    """A newcomer's first look: each page says how it comes to have something."""
    port = free_port()
    broker = brokers.start(settings={"http.listeners": f"http://127.0.0.1:{port}"})
    browser.open(port, size="phone")
    for page, title, words in (("/", "Overview", f"echo hello | kcat -P -b {broker.bootstrap} -t greetings"), ("/topics", "Topics", f"kcat -P -b {broker.bootstrap}"),
                               ("/groups", "Groups", f"kcat -b {broker.bootstrap} -G my-group greetings"), ("/insights", "Insights", "Pick a topic"), ("/cluster", "Cluster", "odradek config set client-metrics/all metrics=* interval.ms=10000")):
        browser.go(page, title)
        browser.until_text("main", words)
        browser.screenshot(f"empty-{title.lower()}-phone-light")
        assert browser.axe() == [], page
    run([cli_binary(), "config", "set", "client-metrics/all", "metrics=*", "interval.ms=10000", "-b", broker.bootstrap])


def test_it_is_used_without_a_mouse(browser, shop):
    browser.open(shop.port)
    browser.press("Tab")
    browser.until("document.activeElement.className === 'skip'")
    browser.press("Enter")
    browser.until("document.activeElement.id === 'main'")
    browser.go("/topics", "Topics")
    browser.until("document.activeElement === document.querySelector('h1')")
    browser.click("#theme")
    browser.until("document.documentElement.style.colorScheme === 'light'")
    browser.click("#theme")
    browser.until("getComputedStyle(document.body.parentElement).backgroundColor === 'rgb(13, 17, 23)'")
    browser.see("th:has-text('orders')")
    browser.click("button.sort:text('Partitions')")
    browser.until("document.querySelector('.rows tbody th').innerText === 'page-views'")
    browser.until("document.querySelector('.rows thead [aria-sort]').getAttribute('aria-sort') === 'descending'")
    where = "document.activeElement"

    def tab_to(what):
        for _ in range(40):
            if browser.value(f"{where}.matches({json.dumps(what)})"):
                return
            browser.press("Tab")
        raise AssertionError(f"no Tab leads to {what}")

    tab_to("a[href='#/topics/orders']")
    browser.press("Enter")
    browser.until(f"{where}.matches('h1') && {where}.innerText === 'orders'")
    browser.see(".rows tbody button")
    tab_to(".rows tbody button")
    browser.value(f"{where}.setAttribute('data-was', '')")
    shop.produce("orders", [{"order": "o-keys"}])
    browser.until_text(".rows tbody", "o-keys")
    assert browser.value(f"{where}.matches('[data-was]')")  # though another row has come before it
    browser.press("Enter")
    browser.see("dialog .payload")
    browser.until(f"document.querySelector('dialog').contains({where})")
    browser.press("Escape")
    browser.until(f"!document.querySelector('dialog') && {where}.matches('[data-was]')")


HEAR = """
window.heard = [];
new MutationObserver((changes) => changes.forEach(({ target }) => {
  const told = (target.nodeType === Node.TEXT_NODE ? target.parentElement : target)?.closest("[role=status], [role=alert], [role=log], [aria-live]");
  if (told?.innerText) window.heard.push(told.innerText);
})).observe(document.body, { subtree: true, childList: true, characterData: true })
"""


def test_figures_that_change_are_not_read_out(browser, shop):
    """A screen reader says what comes of what one does, and not each new number."""
    samples = "import('/js/live.js').then(({ history }) => history.filter((s) => s.intervalSeconds).length)"
    browser.open(shop.port)
    browser.see(".chart canvas")
    browser.value(f"{{ {HEAR} }} null")
    seen = browser.value(samples)
    create_topic(shop.broker, "heard")
    shop.produce("heard", [{"n": n} for n in range(10)])
    browser.until(f"{samples}.then((now) => now > {seen} + 2)")
    browser.see("[role=img][aria-label^='Messages. in: now']")
    browser.go("/topics/heard", "heard")
    browser.until("document.querySelectorAll('.rows tbody tr').length >= 10")
    browser.click("button:text('Pause')")
    for n in (1, 2):
        shop.produce("heard", [{"more": n}])
        browser.until_text("main", f"Paused; {n} new record")
    assert browser.value("window.heard") == []
    browser.click("button:text-is('Browse')")
    browser.until("window.heard.some((words) => /records found in .* that is all/.test(words))")


def test_a_client_shows_what_it_reports(browser, shop, reporter):
    browser.open(shop.port, "/cluster")
    browser.click(f"a[href$='{reporter.id}']")
    browser.see("h1:text-is('till-1')")
    browser.see("td:text-is('42.5')")
    browser.until_text("main", "topic=orders")
    browser.until_text(".head", "– at 127.0.0.1:")  # it has not said what software it is
    browser.fill("input[type=search]", "no such metric")
    browser.see("text=No metric here")


def test_what_is_not_there_is_said(browser, shop):
    browser.open(shop.port, "/topics/no-such-topic")
    browser.see("h1:text-is('That is not here')")
    assert browser.axe() == []
    for page in ("/no/such/page", "/topics/%", "/groups/%ff"):
        browser.ask("go", hash=page)
        browser.until_text("main", "There is no such page")
        browser.go("/topics", "Topics")
    browser.fill("input[type=search]", "zzz")
    browser.see("text=No topic here")


def test_thousands_of_topics_are_a_few_rows_of_the_page(browser, shop):
    rows = "document.querySelectorAll('.rows tbody tr:not(.gap)').length"
    one = next(topic for topic in shop.api("GET", "/topics")["topics"] if topic["name"] == "orders")
    browser.open(shop.port)
    browser.answer("/api/v1/topics", {"topics": [{**one, "name": f"many-{n:04}"} for n in range(5000)]})
    browser.go("/topics", "Topics")
    browser.until_text(".head", "5,000 topics, 15,000 partitions")
    browser.see("th:has-text('many-0000')")
    assert browser.value(rows) < 80
    browser.value("scrollTo(0, document.documentElement.scrollHeight)")
    browser.see("th:has-text('many-4999')")
    assert browser.value(rows) < 80
    browser.until("document.querySelector('.rows tbody tr:nth-last-child(2)').getAttribute('aria-rowindex') === '5001'")
    browser.fill("input[type=search]", "many-1234")
    browser.until_text("[role=status].hint", "1 topic found")
    browser.until(f"{rows} === 1")
