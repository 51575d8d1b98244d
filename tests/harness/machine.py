"""A Debian in a folder, run by its own systemd: with processes, mounts, network and control groups of its own. Root only."""

import os
import pathlib
import sys

from harness.process import Process, run, wait_until

_NOT_HERE = 77  # the kernel does not let us

# In its new namespaces, as process 1: what a container's manager prepares. What is the whole machine's stays as it is: /sys and
# /proc/sys are read-only, and what would load modules, set the clock or read the kernel's log may not.
_BEGIN = r"""
refused() { echo "this kernel does not let us: $1" >&2; exit 77; }
cd "$1" || exit 1
mount --bind . . && cd "$1" || refused "mount in a namespace"
mount -t proc proc proc || refused "mount proc"
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys || refused "mount proc/sys read-only"
mount -t sysfs -o ro sysfs sys || refused "mount sysfs"
mount -t cgroup2 cgroup2 sys/fs/cgroup || refused "mount control groups"
mount -t tmpfs -o mode=755 tmpfs dev && mount -t tmpfs -o mode=755 tmpfs run || refused "mount a tmpfs"
mkdir dev/pts dev/shm run/before
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts || refused "mount devpts"
mknod -m 666 dev/null c 1 3 && mknod -m 666 dev/zero c 1 5 && mknod -m 666 dev/full c 1 7 || refused "make devices"
mknod -m 666 dev/random c 1 8 && mknod -m 666 dev/urandom c 1 9 && mknod -m 666 dev/tty c 5 0
ln -s pts/ptmx dev/ptmx && ln -s /proc/self/fd dev/fd
pivot_root . run/before && cd / && umount -l run/before || refused "change the root"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=odradek-test \
    setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-syslog,-audit_read,-audit_control,-audit_write \
    /lib/systemd/systemd --system --unit=sysinit.target
"""

_OWN = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]


class NotHere(Exception):
    """The kernel does not let us do it; why."""


_ID = "0d7ade40d7ade40d7ade40d7ade40d7a"


class Machine(Process):
    """Started; it has come up when begun() returns."""

    def __init__(self, root, folder):
        self.cgroups, self.name_there = pathlib.Path(folder) / "cgroups", f"odradek-test-{os.getpid()}"
        self.cgroups.mkdir(parents=True)
        (pathlib.Path(root) / "etc/machine-id").write_text(_ID + "\n")  # none: it would set up what nobody has asked for
        try:
            run(["mount", "-t", "cgroup2", "cgroup2", self.cgroups])
        except AssertionError as refused:
            raise NotHere(str(refused)) from None
        own = self.cgroups / self.name_there
        try:
            own.mkdir()
        except OSError as refused:
            run(["umount", "--lazy", self.cgroups])
            raise NotHere(str(refused)) from None
        line = f'echo $$ >"$1" || exit {_NOT_HERE}; shift; exec unshare {" ".join(_OWN)} -- sh -c "$0" sh "$@"'
        super().__init__("systemd", ["sh", "-c", line, _BEGIN, own / "cgroup.procs", root], pathlib.Path(folder) / "systemd.log")

    def begun(self, timeout_s):
        def is_up():
            if self.returncode == _NOT_HERE or (self.returncode or 0) > 0 and "unshare" in self.log_text():
                raise NotHere(self.log_text())
            assert self.returncode is None, f"systemd ended with {self.returncode}: {self.log_text()}"
            try:
                if not self._children() or self("cat", "/etc/machine-id", ok=range(256)).strip() != _ID:
                    return False  # still where it began
                return self("systemctl", "is-active", "sysinit.target", ok=range(256)).strip() == "active"
            except IndexError:  # it has ended since
                return False
            except FileNotFoundError as unknown:  # the kernel does not tell children
                raise NotHere(str(unknown)) from None

        wait_until(is_up, timeout_s, "systemd to have started", every_s=0.1)
        return self

    def _children(self):
        return pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()

    def __call__(self, *words, ok=(0,), timeout_s=120):
        """Runs a command in it; what it wrote."""
        return run(["nsenter", "--target", self._children()[0], "--all", *words], timeout_s, ok=ok).decode()

    def beside(self, *words, input_bytes=None, timeout_s=120):
        """Runs a command of ours in its network."""
        return run(["nsenter", "--target", self._children()[0], "--net", *words], timeout_s, input_bytes).decode()

    def get(self, url):
        fetch = "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], timeout=60).read())"
        return self.beside(sys.executable, "-c", fetch, url)

    def discard(self):
        """Ends it with all that runs in it."""
        if self.returncode is None:
            self.kill()
        own = self.cgroups / self.name_there
        wait_until(lambda: not own.exists() or self._remove(own), 60, "its processes to end")
        run(["umount", "--lazy", self.cgroups])

    @staticmethod
    def _remove(own):
        """The control groups, innermost first; False while a process is in one."""
        try:
            for folder, _, _ in os.walk(own, topdown=False):
                os.rmdir(folder)
        except OSError:
            return False
        return True
