"""Runs one client on isomem or on mem0, and prints what came of it as JSON.

`python drive.py isomem PROGRAM` imports `isomem.compat` before everything else;
`python drive.py mem0 PROGRAM` leaves mem0 alone. PROGRAM is a file beside this one; it defines
`use(place)`, which adds and searches through the client's own classes and returns an `Outcome`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from runpy import run_path
from typing import Any

HERE = Path(__file__).resolve().parent
MARK = "outcome: "


@dataclass
class Outcome:
    """What a client did: the texts it stored and found, in order, and the errors that it met."""

    stored: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Place:
    """Where a client runs: a folder of its own, the address of a model, and the configuration."""

    folder: Path
    url: str
    config: dict[str, Any]

    def texts(self, memory: Any, user_id: str) -> list[str]:
        """What a memory holds for a user, whatever the client says."""
        return texts_of(memory.get_all(filters={"user_id": user_id}))


def texts_of(answer: Any) -> list[str]:
    """The texts of an answer of `add`, `search` or `get_all`."""
    return [each["memory"] for each in answer["results"]]


def main(side: str, program: str) -> int:
    """Run a program on a side; 0."""
    from model import serving

    with tempfile.TemporaryDirectory() as folder, serving() as url:
        place = Place(Path(folder), url, configuration(side, folder, url))
        _set_environment(folder, url)
        outcome = run_path(str(HERE / program))["use"](place)
    _check_side(side)
    sys.stdout.write(f"{MARK}{json.dumps(asdict(outcome))}\n")
    return 0


def configuration(side: str, folder: str, url: str) -> dict[str, Any]:
    """A configuration for mem0; for isomem, the same with its own store."""
    store = "embedded" if side == "isomem" else "qdrant"
    path = f"{folder}/memory.db" if side == "isomem" else f"{folder}/qdrant"
    service = {"api_key": "sk-none", "openai_base_url": url}
    return {
        "vector_store": {"provider": store, "config": {"path": path}},
        "llm": {"provider": "openai", "config": {"model": "small", **service}},
        "embedder": {"provider": "openai", "config": {"model": "words", **service}},
        "history_db_path": f"{folder}/history.db",
    }


def _set_environment(folder: str, url: str) -> None:
    """No home of a person's, no telemetry, and no service but the one on loopback."""
    os.environ.update(
        HOME=folder,
        MEM0_DIR=f"{folder}/.mem0",
        MEM0_TELEMETRY="False",
        OPENAI_API_KEY="sk-none",
        OPENAI_BASE_URL=url,
        OTEL_SDK_DISABLED="true",
    )
    os.chdir(folder)


def _check_side(side: str) -> None:
    """Nothing of an installed mem0 was loaded where isomem stands in, and the reverse."""
    loaded = {
        name: getattr(module, "__file__", None) or ""
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "mem0"
    }
    real = sorted(name for name, file in loaded.items() if "site-packages/mem0/" in file)
    if not loaded:
        raise SystemExit("the client did not import mem0")
    if bool(real) != (side == "mem0"):
        raise SystemExit(f"on {side}, these modules of mem0 were loaded: {real}")


if __name__ == "__main__":
    sys.modules["drive"] = sys.modules["__main__"]  # what the programs import
    warnings.simplefilter("ignore")
    if sys.argv[1] == "isomem":
        import isomem.compat  # noqa: F401
    sys.exit(main(*sys.argv[1:]))
