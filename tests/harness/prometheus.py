"""Prometheus' text format, as a scrape of /metrics has it; promtool, which checks it; and a Prometheus that scrapes."""

import http.client
import json
import os
import re
import shutil
import subprocess
import urllib.parse

from harness.broker import free_port
from harness.process import Process

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
PARTS = ("_bucket", "_sum", "_count")  # of a histogram
NAME = re.compile(r"\b(?:odradek|process)_[a-z_]+\b")


class Scrape:
    """families: {name: type}; samples: {(name, ((label, value), ...)): number}."""

    def __init__(self, text):
        self.text, self.families, self.samples = text, {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                assert name not in self.families, f"{name} is there twice"
                self.families[name] = kind
            elif not line.startswith("# HELP "):
                name, labels, value = SAMPLE.match(line).groups()
                key = name, tuple(sorted(LABEL.findall(labels or "")))
                assert key not in self.samples, f"{line} is there twice"
                self.samples[key] = float(value)

    def family_of(self, name):
        """The family that a series of this name is of, or None."""
        if name in self.families:
            return name
        stem = re.sub(r"_(bucket|sum|count)$", "", name)
        return stem if self.families.get(stem) == "histogram" else None

    def value(self, name, **labels):
        return self.samples.get((name, tuple(sorted(labels.items()))))

    def by(self, name, label):
        """{the label's value: number} of a family with one label."""
        return {dict(labels)[label]: value for (of, labels), value in self.samples.items() if of == name}


def scrape(web):
    status, text, headers = web.ask("GET", "/metrics")
    assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(text.decode())


def names_in(text):
    """The metrics that an expression, or a page, speaks of."""
    return set(NAME.findall(text))


def tool(name):
    """Of Debian's package prometheus."""
    folder = os.environ.get("ODRADEK_PROMETHEUS")
    found = f"{folder}/{name}" if folder else shutil.which(name)
    assert found, f"{name} is missing: Debian's package prometheus has it (./dev test fetches it)"
    return found


class Prometheus(Process):
    """A real one, which scrapes an HTTP port of 127.0.0.1 each second as the job odradek, and evaluates a file of rules."""

    def __init__(self, folder, port, rules):
        self.port = free_port()
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(rules)],
                  "scrape_configs": [{"job_name": "odradek", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]}
        (folder / "prometheus.yml").write_text(json.dumps(config))
        words = {"config.file": folder / "prometheus.yml", "storage.tsdb.path": folder / "data", "web.listen-address": f"127.0.0.1:{self.port}"}
        super().__init__("prometheus", [tool("prometheus"), *(f"--{name}={value}" for name, value in words.items())], folder / "prometheus.log")

    def ask(self, path, **query):
        """What its API answers; None where it does not answer yet."""
        assert self.returncode is None, self.log_text()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
            response = connection.getresponse()
            answer = json.loads(response.read()) if response.status != 503 else None
        except ConnectionError:
            return None
        finally:
            connection.close()
        assert answer is None or answer["status"] == "success", (path, query, answer)
        return answer and answer["data"]

    def query(self, expression):
        """The numbers that it has now, by series."""
        data = self.ask("query", query=expression)
        return [float(one["value"][1]) for one in data["result"]] if data else []

    def discard(self):
        if self.returncode is None:
            self.kill()


def promtool(*args, text=None):
    """Runs promtool; what it complains of fails the test."""
    done = subprocess.run([tool("promtool"), *map(str, args)], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"promtool {' '.join(map(str, args))}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
