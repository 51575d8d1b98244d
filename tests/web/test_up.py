"""./dev up as a newcomer meets it: a pipeline at work on the dashboard; and what is left when it ends."""

import json
import pathlib
import signal
import time

import pytest

from harness.broker import answers, free_port, listens
from harness.process import Process, wait_until
from harness.topics import read_topic

pytestmark = pytest.mark.ours
TOP = pathlib.Path(__file__).resolve().parents[2]
SOON_S = 120
FOOT = "[...document.querySelectorAll('.chart')].find((one) => one.querySelector('h2').textContent === '{}').querySelector('.insight-foot strong').textContent"


class Up(Process):
    """./dev up of a broker that nobody has started."""

    def __init__(self, brokers, *words):
        self.http_port = free_port()
        self.broker = brokers.new(settings={"http.listeners": f"http://127.0.0.1:{self.http_port}"})
        self.broker.properties_path.write_text("".join(f"{name}={value}\n" for name, value in self.broker.settings.items()))
        super().__init__("up", ["bash", TOP / "dev", "up", *words, self.broker.properties_path], self.broker.directory / "up.log")
        brokers.add(self)
        wait_until(lambda: self.returncode is not None or answers(self.broker.port) and listens(self.http_port), SOON_S, "the broker to answer")
        assert self.returncode is None, self.log_text()

    def demos(self):
        """The processes of its demo."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:  # it has just ended
                continue
            if words[1:2] == ["demo"] and self.broker.bootstrap in words:
                found.append(int(entry.name))
        return found

    def discard(self):
        if self.returncode is None:
            self.kill()
        wait_until(lambda: not self.demos(), SOON_S, "the demo to end")


@pytest.fixture(scope="module")
def up(module_brokers):
    return Up(module_brokers)


def ordered(up):
    """How many orders the demo's group has counted in the hour that the board shows."""
    minute = int(time.time() - 30) // 60
    latest = {record.key(): record for record in read_topic(up.broker.bootstrap, "shop.minutes")}
    return sum(json.loads(record.value())["orders"] for record in latest.values() if minute - 60 <= record.timestamp()[1] // 60_000 <= minute)


def number(text):
    return int(text.replace(",", "")) if text not in ("–", "") else 0


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_demo_is_on_the_dashboard(browser, up, size):
    browser.open(up.http_port, size=size)
    browser.see("th:has-text('shop.views')")  # the busiest topics
    browser.screenshot(f"demo-overview-{size}-light")
    browser.click("nav a:has-text('Insights')")
    browser.see("h2:text-is('Orders')")
    wait_until(lambda: 0 < number(browser.value(FOOT.format("Orders"))) == ordered(up), SOON_S, "the board to show what was counted")
    before = number(browser.value(FOOT.format("Pages viewed")))
    assert before > 0
    wait_until(lambda: number(browser.value(FOOT.format("Pages viewed"))) != before, SOON_S, "pages to be viewed")
    browser.until_text(".top tbody", "DE")
    of = [FOOT.format(title) for title in ("Revenue, EUR", "Revenue by country, EUR")]
    browser.until(f"{of[0]} === {of[1]} && !['–', '0'].includes({of[0]})")  # the countries' revenue is the whole
    browser.see("section:has(h2:text-is('Revenue by country, EUR')) .top th:text-is('DE')")
    browser.see("section:has(h2:text-is('Ordered by product, EUR')) .top tbody tr >> nth=5")
    browser.screenshot(f"demo-board-{size}-light", full=True)
    assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.axe() == []
    browser.go("/groups", "Groups")
    browser.see("th:has-text('shop-minutes')")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_ends(brokers, end):
    up = Up(brokers)
    wait_until(up.demos, SOON_S, "the demo to start")
    up.signal(end)
    up.wait(SOON_S)
    wait_until(lambda: not up.demos(), SOON_S, "the demo to end")
    assert not answers(up.broker.port)


def test_it_goes_without_the_demo(brokers):
    up = Up(brokers, "--no-demo")
    assert not up.demos()
    up.terminate_and_wait(SOON_S)
