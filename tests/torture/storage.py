"""What the torture tests of the store share: their scale, a memory on a file, a look from outside.

`ISOMEM_TORTURE` scales them: unset is the short form of `make test`, 1 the long one, and a larger
number multiplies the long one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from isomem import Memory

SOURCE = Path(__file__).resolve().parents[2] / "src"
SCALE = int(os.environ.get("ISOMEM_TORTURE") or 0)


def scaled(short: int, long: int) -> int:
    """How many rounds to go."""
    return long * SCALE if SCALE else short


def open_memory(path: Path | str, **store: Any) -> Memory:
    return Memory.from_config(
        {
            "vector_store": {"provider": "embedded", "config": {"path": str(path), **store}},
            "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
            "llm": {"provider": "mock"},
        }
    )


def python(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Another process, which can import isomem."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


# The checks open the file in a process of their own: a second SQLite in this one would drop the
# locks of the first when it closes the file.
LOOK = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
query = lambda sql: connection.execute(sql).fetchall()
points = query("SELECT json_extract(payload, '$.data'), id FROM points WHERE collection ="
               " (SELECT number FROM collections WHERE name = 'mem0')")
history = sqlite3.connect(sys.argv[2]).execute(
    "SELECT new_memory, memory_id, event FROM history").fetchall()
print(json.dumps({"check": query("PRAGMA integrity_check"), "points": points, "history": history}))
"""


def look(path: Path | str, history: Path | str | None = None) -> dict[str, Any]:
    """What another process finds in the file: `points` as [text, id], `history`, `check`."""
    output, errors = python(LOOK, str(path), str(history or path)).communicate(timeout=120)
    assert output, errors
    found: dict[str, Any] = json.loads(output)
    assert found["check"] == [["ok"]]
    return found
