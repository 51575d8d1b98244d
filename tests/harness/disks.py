"""File systems of their own for a test: small ones that can be filled, and ones that break down.

Both need to mount: the tests that use them run as root (in a container: with CAP_SYS_ADMIN and, for Disk, the loop
devices), and say so where they may not.
"""

import ctypes
import errno
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess

_EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
_NO_LOG_FLUSH = 2
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def _run(what, *words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"this test {what}, which it may not do here: it needs root (CAP_SYS_ADMIN), loop devices and e2fsprogs: "
            f"{' '.join(map(str, words))}: {done.stderr.strip()}"
        )


class _Mounted:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    @property
    def free_bytes(self):
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leave_bytes=0):
        """Writes a file that leaves so much; room() removes it."""
        block = b"x" * 4096
        try:
            with open(self.path / "ballast", "ab", buffering=0) as file:
                while self.free_bytes > leave_bytes:
                    size = min(max(self.free_bytes - leave_bytes, 1), 1 << 20)
                    file.write((block * (size // len(block) + 1))[:size])
        except OSError as problem:
            if problem.errno != errno.ENOSPC:
                raise

    def room(self):
        (self.path / "ballast").unlink(missing_ok=True)

    def detach(self):
        """Takes the file system away; who has a file of it open keeps that."""
        _libc.umount2(os.fsencode(self.path), _MNT_DETACH)

    close = detach


class SmallDisk(_Mounted):
    """A tmpfs of so many bytes."""

    def __init__(self, path, size_bytes):
        super().__init__(path)
        _run("mounts a tmpfs", "mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", self.path)


class Disk(_Mounted):
    """An ext4 on a loop device, whose every read and write can be made to fail with EIO."""

    def __init__(self, path, size_bytes=256 << 20):
        super().__init__(path)
        self.image = self.path.parent / (self.path.name + ".img")
        with open(self.image, "wb") as file:
            file.truncate(size_bytes)
        mkfs = shutil.which("mkfs.ext4", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or "mkfs.ext4"
        _run("makes a file system", mkfs, "-q", "-F", "-O", "^has_journal", self.image)
        self.mount()

    def mount(self):
        _run("mounts a loop device", "mount", "-o", "loop", self.image, self.path)

    def break_down(self):
        """From now on every system call that needs the disk fails with EIO, as when a device dies that holds all that was written."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            _libc.syncfs(fd)
            fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def mend(self):
        """Mounted again, as it was on the disk. Nobody may have it open."""
        self.detach()
        self.mount()

    def close(self):
        self.detach()
        self.image.unlink(missing_ok=True)


class Disks:
    """The disks of one test, gone when it is done."""

    def __init__(self, directory):
        self.directory, self._all = pathlib.Path(directory), []

    def _add(self, disk):
        self._all.append(disk)
        return disk

    def small(self, size_bytes):
        return self._add(SmallDisk(self.directory / f"disk-{len(self._all)}", size_bytes))

    def disk(self, size_bytes=256 << 20):
        return self._add(Disk(self.directory / f"disk-{len(self._all)}", size_bytes))

    def close(self):
        for disk in self._all:
            disk.close()
