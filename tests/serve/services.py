"""A service in a process of its own, started by the command, on files in a folder of the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

SOURCE = Path(__file__).resolve().parents[2] / "src"
CONFIG = {
    "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
    "llm": {"provider": "mock"},
    "nlp": {"provider": "none"},
}
"""Needs no package, no key and no time."""

LONGEST_S = 60


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """That of someone with no settings but those in a folder."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ISOMEM_")}
    path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": path, "ISOMEM_DIR": str(folder / "memory")}
    return {**kept, **own, "ISOMEM_CONFIG": str(folder / "config.json"), **variables}


def isomem(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command that comes to an end."""
    return subprocess.run(
        [sys.executable, "-m", "isomem", *words], env=environment(folder),
        capture_output=True, text=True, check=False, timeout=LONGEST_S,
    )  # fmt: skip


class Running:
    """`isomem serve` at a free port, in a `with` block.

    Args:
        folder: where the configuration and the files are.
        words: further arguments.
        key: shown by `call`; the service's first key by default.
        config: written to the folder's configuration file.

    Attributes:
        started: what the command printed: `url`, `key`, `memories`, `keys`, `workers`.
    """

    def __init__(
        self, folder: Path, *words: str, key: str | None = None, config: Any = None
    ) -> None:
        path = folder / "config.json"
        if config is not None or not path.exists():
            path.write_text(json.dumps(CONFIG if config is None else config))
        # In a file: a pipe that nobody reads would be full one day, and the service wait for it.
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - `__exit__` closes it
        self.process = subprocess.Popen(
            [sys.executable, "-m", "isomem", "serve", "--json", "--port", "0", *words],
            env=environment(folder), stdout=subprocess.PIPE, stderr=self._log, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.started = self._read()
        self.url: str = self.started["url"]
        self.key: str | None = key or self.started["key"]
        self.http = httpx.Client(base_url=self.url, timeout=LONGEST_S)

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line == "}\n":
                found: dict[str, Any] = json.loads("".join(lines))
                return found
        self.process.wait(LONGEST_S)
        raise AssertionError(f"it did not start: {self._logged()}")

    def _logged(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def call(self, name: str, *, key: str | None = None, **arguments: Any) -> httpx.Response:
        """One call of the native dialect."""
        headers = {"X-API-Key": key or self.key or ""}
        return self.http.post(f"/api/{name}", json=arguments, headers=headers)

    def texts(self, **filters: Any) -> list[str]:
        """The memories of a scope."""
        done = self.call("get_all", filters=filters, top_k=100_000)
        assert done.status_code == 200, done.text
        return sorted(each["memory"] for each in done.json()["results"])

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Sends a signal to the process that was started. Its exit code, and its log."""
        self.process.send_signal(number)
        self.process.communicate(timeout=LONGEST_S)
        return self.process.returncode, self._logged()

    def kill(self) -> None:
        """`kill -9` for it and its workers."""
        self.http.close()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=LONGEST_S)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.stop()
        self._log.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
