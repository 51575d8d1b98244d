"""Prometheus' text format, as a scrape of /metrics has it, and promtool, which checks it."""

import os
import re
import shutil
import subprocess

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


def promtool(*args, text=None):
    """Runs promtool; what it complains of fails the test."""
    tool = os.environ.get("ODRADEK_PROMTOOL") or shutil.which("promtool")
    assert tool, "promtool is missing: Debian's package prometheus has it (./dev test fetches it)"
    done = subprocess.run([tool, *map(str, args)], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"promtool {' '.join(map(str, args))}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
