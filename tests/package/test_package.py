"""What ./dev package makes: installed into a fresh Debian, unpacked where there is nothing but a C library, and started."""

import gzip
import json
import os
import pathlib
import re
import shutil
import tarfile
import urllib.request

import pytest

from harness.broker import answers, free_port, listens, odradek_binary
from harness.disks import SmallDisk
from harness.machine import Machine, NotHere
from harness.process import Process, run, wait_until
from harness.terminal import Terminal
from harness.topics import create_topics, read_topic, write_topic

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = pathlib.Path(os.environ["ODRADEK_PACKAGES"])
SOON_S = 120
COMMAND = re.compile(r"^([a-z]+)(?: .*)?$", re.M)  # as odradek --help lists them


def only(pattern):
    (found,) = PACKAGES.glob(pattern)
    return found


def overrides():
    """Free ports in place of the usual ones; (words, the broker's port, the port of HTTP)."""
    port, controller, http = free_port(), free_port(), free_port()
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "http.listeners": f"http://127.0.0.1:{http}",
    }
    return [word for name, value in settings.items() for word in ("--override", f"{name}={value}")], port, http


def serves(process, port, http_port):
    """It takes records and gives them back, and has its dashboard."""
    bootstrap = f"127.0.0.1:{port}"
    wait_until(lambda: process.returncode is not None or answers(port) and listens(http_port), SOON_S, "the broker to answer")
    assert process.returncode is None, process.log_text()
    create_topics(bootstrap, ["thread"])
    write_topic(bootstrap, "thread", [(b"k", b"v%d" % n, None, None) for n in range(100)])
    assert [record.value() for record in read_topic(bootstrap, "thread")] == [b"v%d" % n for n in range(100)]
    with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/", timeout=SOON_S) as page:
        assert b"<title>Odradek</title>" in page.read()


class Server(Process):
    def __init__(self, line, log_path, env=None, name="odradek"):
        super().__init__(name, line, log_path, env)

    def discard(self):
        if self.returncode is None:
            self.kill()


class Debian:
    """A fresh one, in an empty folder."""

    def __init__(self, root):
        self.root = root
        run(["cp", "-a", f"{os.environ['ODRADEK_DEBIAN']}/.", root], SOON_S)
        shutil.copy(only("*.deb"), root / "odradek.deb")

    def __call__(self, *words, ok=(0,)):
        return run(["chroot", self.root, *words], SOON_S, ok=ok).decode()

    def path(self, path):
        return self.root / path


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    disk = SmallDisk(tmp_path_factory.mktemp("debian") / "root", 1 << 30)
    yield Debian(disk.path)
    disk.close()


def test_the_debian_package_from_its_installation_to_its_purge(debian, brokers):
    settings, data, enabled = debian.path("etc/odradek/server.properties"), debian.path("var/lib/odradek"), debian.path("etc/systemd/system/multi-user.target.wants/odradek.service")
    debian("dpkg", "-i", "/odradek.deb")
    assert debian("sh", "-c", "odradek server --check /etc/odradek/server.properties 2>&1") == ""  # no warning of our own settings
    assert re.search(r"^odradek:x:\d+:\d+:.*:/var/lib/odradek:/usr/sbin/nologin$", debian.path("etc/passwd").read_text(), re.M)
    assert enabled.is_symlink()

    # Manual pages and what bash completes.
    for command in ("", "-server", "-topic", "-demo"):
        page = gzip.decompress(debian.path(f"usr/share/man/man1/odradek{command}.1.gz").read_bytes()).decode()
        assert page.startswith(f".TH ODRADEK{command.upper()} 1")
    listed = debian("odradek", "--help")
    assert {path.name for path in debian.path("usr/share/man/man1").glob("odradek-*")} == {f"odradek-{name}.1.gz" for name in COMMAND.findall(listed)}
    assert "_odradek" in debian("bash", "-c", "source /usr/share/bash-completion/completions/odradek && complete -p odradek")
    assert debian.path("usr/share/zsh/vendor-completions/_odradek").read_text().startswith("#compdef odradek\n")

    # The unit.
    assert debian("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/odradek.service") == ""
    debian("systemd-analyze", "security", "--offline=true", "--threshold=15", "odradek.service")

    # As the unit starts it: as its user, with the packaged settings.
    words, port, http = overrides()
    line = ["chroot", "--userspec=odradek:odradek", debian.root, "odradek", "server", "/etc/odradek/server.properties", *words]
    server = brokers.add(Server(line, debian.root.parent / "server.log"))
    serves(server, port, http)
    server.terminate_and_wait(SOON_S)
    assert (data / "data/meta.properties").stat().st_uid == data.stat().st_uid != 0

    # The next version keeps what somebody changed; so does a removal, and the data.
    settings.write_text(settings.read_text().replace("num.partitions=1", "num.partitions=7"))
    debian("dpkg", "-i", "/odradek.deb")
    debian("dpkg", "--remove", "odradek")
    assert "num.partitions=7" in settings.read_text() and (data / "data/meta.properties").exists()
    assert not debian.path("usr/bin/odradek").exists() and not debian.path("lib/systemd/system/odradek.service").exists()

    debian("dpkg", "--purge", "odradek")
    assert not settings.parent.exists() and not data.exists() and not enabled.is_symlink()
    assert [path for path in debian.root.rglob("*odradek*") if path != debian.path("odradek.deb") and not path.is_relative_to(debian.path("proc"))] == []


def test_systemd_runs_it(debian, brokers, capsys, tmp_path):
    """Installed on a machine that runs: its unit starts it, with all restrictions, keeps its log, starts it again when it is killed, and stops it."""
    try:
        machine = brokers.add(Machine(debian.root, tmp_path / "machine")).begun(SOON_S)
    except NotHere as reason:
        with capsys.disabled():
            print(f"the package was not started by a systemd of its own: {reason}")
        return
    binary = odradek_binary()

    def is_now(**wanted):
        """What systemd says of the unit, once it says that."""
        names = ("ActiveState", "MainPID", "NRestarts", "Result", *wanted)
        state = lambda: dict(line.split("=", 1) for line in machine("systemctl", "show", "odradek", "--property", ",".join(names)).splitlines())
        last = {}

        def is_so():
            last.update(state())
            return last if all(last[name] == value for name, value in wanted.items()) else None

        try:
            return wait_until(is_so, SOON_S, "the unit", every_s=0.1)
        except TimeoutError:
            raise AssertionError(f"{last} instead of {wanted}: {machine('journalctl', '--no-pager', '-n', '40')}") from None

    def journal():
        return machine("journalctl", "--no-pager", "--output=cat", "--unit=odradek")

    def told(words):
        """What a process wrote comes into the journal a moment later."""
        wait_until(lambda: words in journal(), SOON_S, words, every_s=0.1)

    def started(times):
        wait_until(lambda: journal().count("started in ") == times, SOON_S, "the broker to start", every_s=0.1)

    machine("dpkg", "--install", "/odradek.deb")
    process = is_now(ActiveState="active", NRestarts="0")["MainPID"]
    started(1)
    machine("odradek", "topic", "create", "thread", "--partitions", "3")
    machine.beside(binary, "produce", "thread", input_bytes=b"one\ntwo\nthree\n")
    assert sorted(machine.beside(binary, "consume", "thread").split()) == ["one", "three", "two"]
    assert "<title>Odradek</title>" in machine.get("http://127.0.0.1:8080/")
    told("listening on 127.0.0.1:9092")

    # What it is held in.
    status = dict(line.split(":", 1) for line in machine("cat", f"/proc/{process}/status").splitlines())
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip(), int(status["CapEff"], 16), int(status["CapBnd"], 16)) == ("1", "2", 0, 0)
    assert machine("stat", "--format=%U", f"/proc/{process}").strip() == "odradek"
    mounts = {line.split()[4]: line.split()[5].split(",")[0] for line in machine("cat", f"/proc/{process}/mountinfo").splitlines()}
    assert (mounts["/"], mounts["/var/lib/odradek"]) == ("ro", "rw"), mounts

    # Killed, it comes back with what it had.
    machine("systemctl", "kill", "--signal=KILL", "odradek")
    after = is_now(ActiveState="active", NRestarts="1")
    assert after["MainPID"] != process
    started(2)
    assert sorted(machine.beside(binary, "consume", "thread").split()) == ["one", "three", "two"]

    # A setting that cannot be leaves a line that says so; mended, it starts.
    settings = debian.path("etc/odradek/server.properties")
    good = settings.read_text()
    settings.write_text(good + "num.partitions=0\n")
    machine("systemctl", "restart", "odradek", ok=(1,))
    told("num.partitions: Value must be at least 1")
    machine("systemctl", "stop", "odradek")  # which is tried again each second, but not for ever
    settings.write_text(good)
    machine("systemctl", "reset-failed", "odradek")
    machine("systemctl", "start", "odradek")
    started(3)
    machine("odradek", "topic", "describe", "thread")

    machine("systemctl", "stop", "odradek")
    assert is_now(ActiveState="inactive")["Result"] == "success"
    told("stopping: SIGTERM")
    assert debian.path("var/lib/odradek/data/.kafka_cleanshutdown").exists()
    machine("systemctl", "start", "odradek")
    started(4)
    machine("dpkg", "--purge", "odradek")
    assert is_now(ActiveState="inactive", LoadState="not-found")["MainPID"] == "0"


def test_top_over_ssh(debian, brokers):
    """In a terminal of 80 columns and 24 lines: it draws, follows, waits for the broker, and ends with q."""
    debian("dpkg", "-i", "/odradek.deb")
    broker = brokers.start()
    create_topics(broker.bootstrap, ["thread"], partitions=3)
    port, pts, keys = free_port(), debian.path("dev/pts"), "etc/ssh/test"
    for folder in (keys, "run/sshd", "dev/pts"):
        debian.path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    debian("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"/{keys}/key")
    run(["mount", "-t", "devpts", "-o", "newinstance,ptmxmode=666", "devpts", pts])
    try:
        options = [f"Port={port}", "ListenAddress=127.0.0.1", "UsePAM=no", "PidFile=none", "PermitRootLogin=yes", f"AuthorizedKeysFile=/{keys}/key.pub"]
        line = ["chroot", debian.root, "/usr/sbin/sshd", "-D", "-e", *(word for option in options for word in ("-o", option))]
        server = brokers.add(Server(line, debian.root.parent / "sshd.log", name="sshd"))
        wait_until(lambda: server.returncode is not None or "Server listening" in server.log_text(), SOON_S, "sshd to listen")
        assert server.returncode is None, server.log_text()
        unknown = ["-i", f"/{keys}/key", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        terminal = Terminal(["chroot", debian.root, "ssh", "-q", "-tt", "-p", port, *unknown, "root@127.0.0.1", f"odradek top -b {broker.bootstrap}"])
        place = terminal.until("3 partitions")
        assert "\033[?1049h" in terminal.written
        write_topic(broker.bootstrap, "thread", [(b"k", b"v", None, None)] * 1234)
        place = terminal.until("1.2k", place)
        broker.stop()
        place = terminal.until("odradek top - no answer, trying again: ", place)
        broker.start()
        place = terminal.until("odradek top - 1 broker, ", place)
        terminal.until("1.2k", place)
        terminal.type("q")
        shown, status = terminal.end()
        assert status == 0 and shown.endswith("\033[?1049l")
        for frame in shown.split("\033[H")[1:]:
            lines = re.sub(r"\033\[[\d;?]*[A-Za-z]", "", frame).split("\r\n")
            assert len(lines) <= 24 and all(len(one) <= 80 for one in lines), frame
        server.terminate_and_wait(SOON_S, ok=(0, 255, -15))
    finally:
        run(["umount", "--lazy", pts])


def test_the_tarball_runs_where_there_is_only_a_c_library(tmp_path, brokers):
    root = tmp_path / "root"
    for folder in ("opt", "tmp", "data"):
        (root / folder).mkdir(parents=True)
    with tarfile.open(only("*.tar.gz")) as packed:
        packed.extractall(root / "opt")
    (home,) = (root / "opt").iterdir()
    inside = pathlib.Path("/opt") / home.name
    for line in run(["ldd", home / "bin/odradek"]).decode().splitlines():
        name, path = line.split()[0], re.search(r"(/\S+) \(0x", line)
        assert "not found" not in line, line
        if path and not str(path[1]).startswith(str(home)):  # of the system: to where the binary looks for it
            assert re.match(r"lib(c|m|pthread|dl|rt)\.so|/lib64/ld-linux|/lib/ld-linux", name), line
            into = root / (path[1].lstrip("/") if name.startswith("/") else f"lib/{name}")
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path[1], into)
    words, port, http = overrides()
    line = ["chroot", root, inside / "bin/odradek", "server", "--override", "log.dirs=/data", *words]
    where = {**os.environ, "LD_ORIGIN_PATH": str(inside / "bin")}  # which the loader reads from /proc, where there is one
    server = brokers.add(Server(line, tmp_path / "server.log", where))
    serves(server, port, http)
    run(["chroot", root, inside / "bin/odradek", "topic", "describe", "thread", "-b", f"127.0.0.1:{port}"], env=where)
    server.terminate_and_wait(SOON_S)


def test_the_containerfiles_image_serves(debian, brokers):
    """Its second half by hand: the package, what it changes of the settings, and what it runs, as which user."""
    text = (TOP / "packaging/Containerfile").read_text().replace("\\\n", " ")
    for source in re.findall(r"\./dev (\w+)", text):
        assert f"\n{source}() {{" in (TOP / "dev").read_text()
    debian("dpkg", "-i", "/odradek.deb")
    image = text.rsplit("\nFROM ", 1)[1]
    changes = re.findall(r"^RUN (sed .*)", image, re.M)
    assert len(changes) == 1
    debian("sh", "-c", changes[0])
    said = debian.path("etc/odradek/server.properties").read_text().splitlines()
    assert {"listeners=PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093", "advertised.listeners=PLAINTEXT://127.0.0.1:9092", "http.listeners=http://:8080"} <= set(said)
    command = json.loads(re.search(r"^ENTRYPOINT (.*)", image, re.M)[1]) + json.loads(re.search(r"^CMD (.*)", image, re.M)[1])
    user = re.search(r"^USER (.*)", image, re.M)[1]
    debian(*command, "--check")
    words, port, http = overrides()
    line = ["chroot", f"--userspec={user}:{user}", debian.root, *command, *words, "--override", f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}"]
    server = brokers.add(Server(line, debian.root.parent / "container.log"))
    serves(server, port, http)
    server.terminate_and_wait(SOON_S)
