"""PostgreSQL and MariaDB from Debian's packages, each with its data in a folder of its own, asked through its own client."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import tempfile

from harness.broker import free_port
from harness.frameworks.runner import PATIENCE_S, Runner
from harness.process import run

PASSWORD = "odradek"


class Database(Runner):
    kind = account = user = None

    def __init__(self):
        # not below a test's directory, which root alone may enter
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"odradek-{self.kind}-"))
        super().__init__(self.kind, self.directory)
        self.port = free_port()
        self.as_user = []
        if os.geteuid() == 0:  # neither serves as root
            account = pwd.getpwnam(self.account)
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            self.as_user = ["setpriv", f"--reuid={self.account}", f"--regid={account.pw_gid}", "--clear-groups", "--pdeathsig=KILL"]

    def command(self):
        """Makes the data's folder and returns the server's command line, as the user it serves as."""
        return [*self.as_user, *self.make()]

    def environment(self):
        return None  # as it is another user's

    def ready(self):
        try:
            return self.ask("SELECT 1") == [["1"]]
        except AssertionError:
            return False

    def discard(self):
        super().discard()
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- what the two differ in

    def make(self):
        raise NotImplementedError

    def ask(self, statements):
        """The rows of the answer, as lists of text."""
        raise NotImplementedError


class PostgreSQL(Database):
    kind = "postgresql"
    account = user = "postgres"

    def discard(self):
        """At once, but not by kill -9, after which its shared memory would stay."""
        if self.process is not None:
            self.process.signal(signal.SIGQUIT)
            with contextlib.suppress(TimeoutError):
                self.process.wait(PATIENCE_S)
        super().discard()

    def make(self):
        bin_folder = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        data = self.directory / "data"
        make = [bin_folder / "initdb", "-D", data, "-U", self.user, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        run([*self.as_user, *make], PATIENCE_S)
        settings = ["wal_level=logical", "fsync=off", f"port={self.port}", f"unix_socket_directories={self.directory}"]
        return [bin_folder / "postgres", "-D", data, *(word for setting in settings for word in ("-c", setting))]

    def ask(self, statements):
        command = ["psql", "-h", "127.0.0.1", "-p", self.port, "-U", self.user, "-d", "postgres", "-XqAt", "-F", "\t"]
        out = run([*command, "-v", "ON_ERROR_STOP=1", "-f", "-"], PATIENCE_S, statements.encode()).decode()
        return [line.split("\t") for line in out.splitlines()]


class MariaDB(Database):
    kind, account, user = "mariadb", "nobody", "odradek"

    def make(self):
        data = self.directory / "data"
        common = ["--no-defaults", f"--datadir={data}"]
        run([*self.as_user, "mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"], PATIENCE_S)
        more = [f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self._socket}", f"--pid-file={self.directory}/pid"]
        binlog = ["--server-id=1", "--log-bin=binlog", "--binlog-format=ROW", "--binlog-row-image=FULL"]
        quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"]
        return ["/usr/sbin/mariadbd", *common, *more, *binlog, *quick, "--character-set-server=utf8mb4"]

    def start(self):
        super().start()
        self.ask(
            "CREATE DATABASE shop;"
            f"CREATE USER '{self.user}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
            f"GRANT ALL ON *.* TO '{self.user}'@'127.0.0.1';"
        )
        return self

    @property
    def _socket(self):
        return self.directory / "socket"

    def ask(self, statements):
        command = ["mariadb", "--no-defaults", f"--socket={self._socket}", "-u", "root", "--batch", "--skip-column-names"]
        out = run([*command, "--default-character-set=utf8mb4"], PATIENCE_S, statements.encode()).decode()
        return [line.split("\t") for line in out.splitlines()]
