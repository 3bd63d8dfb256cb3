"""Runs published programs that use mem0, unchanged, on isomem and on mem0 2.0.4.

`python -m scripts.clients [NAME ...]` makes an environment for each client of
tests/clients/clients.toml, from its pins, and runs its program twice: with `isomem.compat`
imported first, and on the mem0 of the environment. Both must come to the same: the same texts
stored, the same found, the same errors. `--docs` writes the table in docs/clients.md instead.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "tests/clients"
TABLE = HERE / "clients.toml"
PAGE = ROOT / "docs/clients.md"
START = "<!-- Clients: written by `python -m scripts.clients --docs`. -->"
END = "<!-- The clients end. -->"
FOUND = "found"
MARK = "outcome: "
LONGEST_S = 300
STORED = 2
"""How many memories each program stores."""


@dataclass(frozen=True)
class Client:
    """One row of the table."""

    name: str
    version: str
    program: str
    calls: str
    search: str
    package: str = ""

    @property
    def published(self) -> str:
        """The name on PyPI, if a row for another way of using it has another one."""
        return self.package or self.name

    @property
    def pins(self) -> Path:
        """What its environment consists of."""
        return HERE / "pins" / f"{self.name}.txt"

    @property
    def result(self) -> str:
        """What a reader is told."""
        if self.search == FOUND:
            return "stored and found"
        return f"stored; the search fails as it does on mem0 2.0.4: it {self.search}"


def clients() -> dict[str, Client]:
    """The table, by name."""
    rows: dict[str, dict[str, Any]] = tomllib.loads(TABLE.read_text("utf-8"))
    return {name: Client(name=name, **row) for name, row in sorted(rows.items())}


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; 0 if all is as the table says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="clients of the table; all by default")
    parser.add_argument("--docs", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--venvs", type=Path, default=ROOT / ".venvs", help="where they are made")
    given = parser.parse_args(arguments)
    known = clients()
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(known)}")
    if given.docs:
        PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
        return 0
    chosen = [known[name] for name in given.names or known]
    return 1 if sum(not tried(client, given.venvs) for client in chosen) else 0


def tried(client: Client, venvs: Path) -> bool:
    """Whether a client does what the table says; prints how it went."""
    python = environment(client, venvs)
    outcomes = {side: outcome(client, python, side) for side in ("isomem", "mem0")}
    wrong = faults(client, outcomes["isomem"], outcomes["mem0"])
    print(f"{client.name} {client.version}: {'; '.join(wrong) or client.result}", flush=True)
    return not wrong


# --- Environments ----------------------------------------------------------------------------


def environment(client: Client, venvs: Path) -> Path:
    """The Python of a client's environment, which is made when its pins have changed."""
    folder = venvs / f"clients-{client.name}"
    made = folder / "pins.sha256"
    digest = hashlib.sha256(client.pins.read_bytes() + sys.version.encode()).hexdigest()
    python = folder / "bin/python"
    if not made.exists() or made.read_text() != digest:
        print(f"{client.name}: making its environment", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        quiet = ("--quiet", "--disable-pip-version-check")
        # Pins are whole: what a client asks of mem0 may be another version than the one compared.
        install = ("-m", "pip", "install", *quiet, "--no-deps", "--requirement", str(client.pins))
        subprocess.run([str(python), *install], check=True)
        made.write_text(digest)
    return python


def outcome(client: Client, python: Path, side: str) -> dict[str, Any]:
    """What a client did on one side; {"failed": text} if its program did not end well."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MEM0_", "ISOMEM_"))}
    # Errors name sets; with a seed they come in the same order on both sides.
    environment.update(PYTHONPATH=str(ROOT / "src"), PYTHONHASHSEED="0")
    command = [str(python), str(HERE / "drive.py"), side, client.program]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"{client.program} did not end within {LONGEST_S} seconds"}
    for line in done.stdout.splitlines() if not done.returncode else ():
        if line.startswith(MARK):
            told: dict[str, Any] = json.loads(line.removeprefix(MARK))
            return {**told, "stored": sorted(told["stored"])}
    said = (done.stderr.strip() or done.stdout.strip())[-2000:]
    return {"failed": f"exit status {done.returncode}: {said}"}


def faults(client: Client, ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """What is not as the table says, and where the two sides differ."""
    failed = [str(side["failed"]) for side in (ours, theirs) if "failed" in side]
    if failed:
        return failed
    wrong = []
    if ours != theirs:
        wrong.append(f"isomem: {ours}, mem0: {theirs}")
    if len(ours["stored"]) != STORED:
        wrong.append(f"stored {ours['stored']}, and not {STORED} memories")
    if bool(ours["found"]) != (client.search == FOUND):
        wrong.append(f"found {ours['found']}, although its search {client.search}")
    return wrong


# --- Documentation ---------------------------------------------------------------------------


def with_table(page: str) -> str:
    """The page with the table written anew between its markers.

    Raises:
        ValueError: it lacks one of them.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{PAGE.name} lacks one of the lines {START!r} and {END!r}")
    head = "| client | version | what its test calls | result |\n| --- | --- | --- | --- |"
    rows = [f"| {c.published} | {c.version} | {c.calls} | {c.result} |" for c in clients().values()]
    table = "\n".join([head, *rows])
    return f"{before}{START}\n{table}\n{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
