#!/usr/bin/env python3
"""Runs the commands of the README's picture against a real broker and draws the terminal as terminal.svg.

    ./dev build && docs/images/record.py
"""

import html
import pathlib
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
COMMANDS = [
    "odradek topic create orders --partitions 2",
    "printf '1:spool\\n2:thread\\n3:spool\\n' | kcat -P -b 127.0.0.1:9092 -t orders -K: -z zstd",
    "kcat -C -q -e -b 127.0.0.1:9092 -t orders -f 'partition %p, offset %o: %k = %s\\n'",
    "odradek topic describe orders",
    "ps -o rss,nlwp,comm -p $ODRADEK    # memory in KB, threads",
]
WIDTH, LINE, FONT = 116, 19, 13


def shell(command, folder, pid):
    env = {"PATH": f"{TOP / 'build'}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "ODRADEK": str(pid)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=env, cwd=folder, timeout=60)
    text = (done.stdout + done.stderr).rstrip("\n")
    return text.split("\n") if text else []


def session():
    """Lines of the terminal: (kind, text)."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        with open(log, "wb") as out:
            server = subprocess.Popen([TOP / "build/odradek", "server"], cwd=folder, stderr=out, stdout=out)
        try:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", 9092)) == 0 and "started in" in log.read_text():
                        break
                if server.poll() is not None:
                    raise SystemExit(log.read_text())
                time.sleep(0.01)
            yield "prompt", "./dev up"
            for line in log.read_text().rstrip("\n").split("\n"):
                yield "log", line
            yield "", ""
            for command in COMMANDS:
                yield "prompt", command
                for line in shell(command, folder, server.pid):
                    yield "out", line
        finally:
            server.terminate()
            server.wait(10)


def wrapped(lines):
    for kind, text in lines:
        first = True
        while first or text:
            room = WIDTH - (2 if kind == "prompt" else 0)
            yield kind if first else kind + "-more", text[:room]
            text, first = text[room:], False


def svg(lines):
    colors = {"prompt": "#e6edf3", "prompt-more": "#e6edf3", "log": "#7d8590", "log-more": "#7d8590", "out": "#7ee787"}
    width, height = int(WIDTH * FONT * 0.602) + 40, len(lines) * LINE + 62
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
        *(f'<circle cx="{20 + 18 * i}" cy="18" r="6" fill="{c}"/>' for i, c in enumerate(("#ff5f56", "#ffbd2e", "#27c93f"))),
        f'<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="{FONT}" xml:space="preserve">',
    ]
    for i, (kind, text) in enumerate(lines):
        prompt = '<tspan fill="#58a6ff">$ </tspan>' if kind == "prompt" else ""
        color = colors.get(kind, "#7ee787")
        out.append(f'<text x="20" y="{52 + i * LINE}" fill="{color}">{prompt}{html.escape(text)}</text>')
    return "\n".join([*out, "</g>", "</svg>", ""])


if __name__ == "__main__":
    (HERE / "terminal.svg").write_text(svg(list(wrapped(session()))))
