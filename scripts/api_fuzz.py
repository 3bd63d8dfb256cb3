"""Sends our service what schemathesis makes from its OpenAPI document, valid and not.

`python -m scripts.api_fuzz --seconds 600` starts a service on loopback in a folder of its own, with
a model and an embedder on loopback. It fails if an answer is an error of the server, or is not what
the document says. Two things are expected: what is not offered answers 501, and a schema cannot say
everything, so that what follows it may be refused.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.serve import model
from tests.serve.services import Running

SETTINGS = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501]
"""
UNCHECKED = "positive_data_acceptance"


def main(arguments: list[str] | None = None) -> int:
    """The exit status of schemathesis."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=600, help="how long")
    parser.add_argument("--seed", type=int, help="the same requests again")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, model.serving() as models:
        folder = Path(scratch)
        with Running(folder, config=configuration(folder, models)) as service:
            return fuzz(service, folder, given.seconds, given.seed)


def configuration(folder: Path, models: str) -> dict[str, Any]:
    """That of the service."""
    part = {"provider": "openai", "config": {"api_key": "sk-none", "openai_base_url": models}}
    return {
        "vector_store": {"provider": "embedded", "config": {"path": str(folder / "memory.db")}},
        "llm": part,
        "embedder": part,
        "serve": {"rate_per_minute": 100_000_000},
    }


def fuzz(service: Running, folder: Path, seconds: int, seed: int | None) -> int:
    """Runs schemathesis; its exit status."""
    settings = folder / "schemathesis.toml"
    settings.write_text(SETTINGS, "utf-8")
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(settings),
        "run", f"{service.url}/openapi.json", "--header", f"X-API-Key: {service.key}",
        "--max-time", str(seconds), "--continue-on-failure", "--no-color",
        "--exclude-checks", UNCHECKED, *(["--seed", str(seed)] if seed is not None else []),
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
