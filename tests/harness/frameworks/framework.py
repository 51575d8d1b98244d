"""What a framework is made of, fetched once by ./dev into its cache (tests/interop/frameworks/NAME)."""

import functools
import pathlib
import subprocess
from dataclasses import dataclass

from harness import java

_TOP = pathlib.Path(__file__).resolve().parents[3]
# One small heap, and no time spent on optimizing: a test runs for seconds on a machine with two cores.
_FLAGS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
# What libraries from before Java 9 reach into.
OPENS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util", "java.util.concurrent",
                    "java.util.concurrent.atomic", "sun.nio.ch", "sun.net.dns", "jdk.internal.ref")
]  # fmt: skip


@dataclass(frozen=True)
class Framework:
    name: str
    libs: str | None = None  # folder of jars
    classes: str | None = None  # folder of our programs' classes
    python: str | None = None  # a Python with the packages

    @property
    def source(self):
        return _TOP / "tests/interop/frameworks" / self.name

    def java(self, main_class, *args, heap="256m", flags=()):
        return java.command(
            main_class, *args, flags=[*_FLAGS, f"-Xmx{heap}", *flags], jars=self.libs, more_classes=self.classes
        )

    def script(self, name, *args):
        """The command line of a Python script of ours beside the lists."""
        return [self.python, self.source / name, *args]


@functools.cache
def framework(name):
    done = subprocess.run(["bash", _TOP / "dev", "--framework", name], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"./dev --framework {name} failed:\n{done.stderr[-3000:]}")
    return Framework(name, **dict(line.split("=", 1) for line in done.stdout.splitlines()))
