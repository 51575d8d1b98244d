"""A headless Chromium that a test steers: tests/web/driver.js behind Python calls."""

import json
import os
import pathlib
import select
import subprocess

from harness.process import die_with_parent

_HERE = pathlib.Path(__file__).resolve().parent
SCREENSHOTS = _HERE.parents[1] / "build/screenshots"
ANSWER_S = 120  # of one command, whose own limit in the driver is shorter
SIZES = {"desktop": (1440, 900), "phone": (390, 844), "laptop": (1024, 768), "tablet": (768, 1024)}


class Browser:
    """One browser; open() gives a fresh window, in which the other calls are made."""

    def __init__(self, chromium, packages, log_path):
        self._log = open(log_path, "ab")
        self._popen = subprocess.Popen(
            ["node", _HERE / "driver.js", chromium],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "NODE_PATH": str(pathlib.Path(packages) / "node_modules")},
            preexec_fn=die_with_parent,
        )
        self._port = None

    def ask(self, name, **given):
        self._popen.stdin.write(json.dumps({"do": name, **given}).encode() + b"\n")
        self._popen.stdin.flush()
        assert select.select([self._popen.stdout], [], [], ANSWER_S)[0], f"the browser does not answer to {name} {given}"
        answer = json.loads(self._popen.stdout.readline() or '{"error": "the browser has ended"}')
        assert "error" not in answer, f"{name} {given}: {answer['error']}"
        return answer["value"]

    def open(self, port, page="/", size="desktop", scheme="light"):
        self._port = port
        width, height = SIZES[size]
        self.ask("open", url=f"http://127.0.0.1:{port}/#{page}", width=width, height=height, scheme=scheme)
        self.see("h1")

    def go(self, page, title):
        """To another page, until its title is there."""
        self.ask("go", hash=page)
        self.see(f"h1:text-is('{title}')")

    def see(self, selector):
        self.ask("see", selector=selector)

    def click(self, selector):
        self.ask("click", selector=selector)

    def fill(self, selector, value):
        self.ask("fill", selector=selector, value=value)

    def select(self, selector, value):
        self.ask("select", selector=selector, value=value)

    def text(self, selector):
        return self.ask("text", selector=selector)

    def press(self, key):
        self.ask("press", key=key)

    def value(self, expression):
        return self.ask("value", expression=expression)

    def until(self, expression):
        return self.ask("until", expression=expression)

    def until_text(self, selector, words):
        """Until the element (of CSS) has the words in its text."""
        return self.until(f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(words)})")

    def answer(self, path, json):
        """From now on the window gets this for a path, whatever the broker would say."""
        self.ask("answer", path=path, json=json)

    def spoil(self, text, but=()):
        """From now on every text that the broker answers with has this behind it; not these, nor those of these names."""
        self.ask("spoil", text=text, **{"except": list(but)})

    def speech(self):
        """What a screen reader is given: role, name, and the roles within."""
        return self.ask("speech")

    def screenshot(self, name, full=False):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.ask("screenshot", path=str(SCREENSHOTS / f"{name}.png"), full=full)

    def axe(self):
        return self.ask("axe")

    def problems(self):
        return self.ask("problems")

    def transferred(self):
        return self.ask("transferred")

    def close(self):
        self._popen.stdin.close()
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(20)
        self._log.close()
