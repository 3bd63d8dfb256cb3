"""A PostgreSQL server of our own: in a temporary folder, on a socket there, with pgvector.

The programs come with the package `pgserver`, or are Debian's. Where there are neither, the tests
that need them are skipped, and say so.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from tests.stores.processes import started

OLDEST = 14
"""The oldest release of PostgreSQL that isomem is for."""

SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "fsync": "off",  # What a killed server has written is in the system's cache all the same.
    "log_min_messages": "fatal",
    "max_wal_size": "256MB",
}


def programs() -> Path | None:
    """The folder with `postgres` and `initdb`; None if there is none."""
    found = importlib.util.find_spec("pgserver")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "pginstall" / "bin"
    releases = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
    return next((path.parent for path in releases if int(path.parts[-3]) >= OLDEST), None)


class Server:
    """One server with a folder of its own.

    Args:
        folder: of a server that another process has started; None starts one.
        settings: overlay `SETTINGS`.

    Attributes:
        folder: of the data and the socket.
    """

    def __init__(self, folder: Path | None = None, **settings: str) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if folder is not None:
            self.folder = folder
            return
        found = programs()
        assert found is not None
        self.folder = Path(tempfile.mkdtemp(prefix="isomem-pg-", dir="/tmp"))
        self._programs = found
        self._settings = {**SETTINGS, **settings, "unix_socket_directories": str(self.folder)}
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")  # PostgreSQL refuses to run as root.
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            self._programs = _readable(found, self.folder)
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "-N", "-U", "isomem")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, "-D", self.folder / "data", *arguments],
            check=True, capture_output=True, cwd=self.folder, **self._as,
        )  # fmt: skip

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        command = [f"{self._programs}/postgres", "-D", f"{self.folder}/data", *settings]
        self._process = started(command, self.folder, self.answers, **self._as)

    def answers(self) -> bool:
        """Whether it takes connections."""
        import psycopg

        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """Kills the postmaster and all its children: nothing of them is left."""
        process = self._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)  # Otherwise it could have one more child meanwhile.
        children = [*map(int, self._children().split())]
        for pid in (process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 60
        while any(map(_is_alive, children)):
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def _children(self) -> str:
        process = self._process
        assert process is not None
        return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()

    def kill_backend(self, chance: random.Random) -> bool:
        """Kills a process that serves one of isomem's connections: the server starts anew.

        Returns:
            Whether there was one.
        """
        serving = []
        for pid in self._children().split():
            with suppress(OSError):
                if b"isomem tests" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    serving.append(int(pid))
        with suppress(ProcessLookupError):
            if serving:
                os.kill(chance.choice(serving), signal.SIGKILL)
                return True
        return False

    def stop(self) -> None:
        """Stops it and removes its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def dsn(self, database: str) -> str:
        """Where a database is."""
        return f"host={self.folder} user=isomem dbname={database}"

    def make(self, database: str) -> str:
        """A new database, and where it is."""
        self.do(f'CREATE DATABASE "{database}"')
        return self.dsn(database)

    def do(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What a statement returns, if anything."""
        import psycopg

        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def _is_alive(pid: int) -> bool:
    """Whether a process is there, and not only waits for its parent to notice that it is dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _readable(programs: Path, folder: Path) -> Path:
    """The programs where another user can run them: in their folder, or else in a copy."""
    is_open = all(path.stat().st_mode & 0o001 for path in (programs, *programs.parents))
    if is_open and os.access(programs / "postgres", os.X_OK):
        return programs
    shutil.copytree(programs.parent, folder / "pginstall", symlinks=True)
    return folder / "pginstall" / "bin"


_numbers = count(1)
_VARIABLE = "POSTGRES_OF_TESTS"


@cache
def shared() -> Server:
    """The server of this test run; its child processes find the same one."""
    if _VARIABLE in os.environ:
        return Server(Path(os.environ[_VARIABLE]))
    server = Server()
    owner = os.getpid()
    atexit.register(lambda: server.stop() if os.getpid() == owner else None)
    os.environ[_VARIABLE] = str(server.folder)
    server.make("tests")
    return server


def section(schema: str = "", **more: Any) -> dict[str, Any]:
    """The `vector_store` of a memory on the shared server, in a schema of its own by default."""
    schema = schema or f"s{os.getpid()}_{next(_numbers)}"
    return {
        "provider": "postgres",
        "config": {"dsn": shared().dsn("tests"), "schema": schema, **more},
    }


def missing() -> str:
    """What is missing for the tests on a real server; empty if nothing is."""
    lacking = [
        name for name in ("psycopg", "psycopg_pool") if importlib.util.find_spec(name) is None
    ]
    if lacking:
        return f"NO POSTGRESQL TESTED: not installed: {', '.join(lacking)}"
    if programs() is None:
        return "NO POSTGRESQL TESTED: neither the package pgserver nor PostgreSQL is installed"
    return ""


def without_pgvector() -> str:
    """What is missing for the tests with pgvector; empty if nothing is."""
    found = programs()
    if missing() or found is None:
        return missing()
    share = [
        found.parent / "share" / "postgresql",
        Path("/usr/share/postgresql", found.parent.name),
    ]
    if not any((folder / "extension" / "vector.control").exists() for folder in share):
        return "NO PGVECTOR TESTED: this PostgreSQL does not have the extension"
    return ""
