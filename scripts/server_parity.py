"""Runs mem0's self-hosted server beside ours, with the same requests, and compares the answers.

`python -m scripts.server_parity FOLDER` takes the folder `server` of mem0's repository at v2.0.4.
The files are not ours to carry, so you bring them. Both servers listen on loopback, with the same
model and embedder, which are on loopback, too. mem0's has a PostgreSQL of its own, from the package
`pgserver`. Its scores depend on the store, and isomem has those that mem0 has over Qdrant, its
default without a server: so it runs a second time over Qdrant, and searches are compared with that.
`--record` writes its answers to tests/serve/recorded, from where `make test` compares.

It needs mem0ai==2.0.4, isomem[serve], and what the server imports, as `make server-parity` has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.serve import model
from tests.serve.selfhosted_requests import Step, steps
from tests.serve.selfhosted_rules import NLP, STORE, Ids, Seen, differences

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "tests/serve/recorded/selfhosted.json"
LONGEST_START_S = 120


def main(arguments: list[str] | None = None) -> int:
    """0 if every difference is explained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="`server` of mem0's repository at v2.0.4")
    parser.add_argument("--record", action="store_true", help=f"write {RECORDED.relative_to(ROOT)}")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, model.serving() as models:
        place = Path(scratch)
        theirs = answers_of_upstream(given.folder, place, models)
        with ours(place, models) as server:
            own = [seen for _, seen in answers(server.url)]
    compared = list(zip(steps(), theirs, own, strict=True))
    if given.record:
        record(theirs)
    counts, unexplained = differences(iter(compared))
    print(f"{len(compared)} requests; {sum(t == o for _, t, o in compared)} answers are equal")
    print("\n".join(f"{name}: {count}" for name, count in counts.items()))
    print("\n".join(unexplained) or "Every difference is explained.")
    return 1 if unexplained else 0


def answers_of_upstream(folder: Path, place: Path, models: str) -> list[Seen]:
    """What mem0's server answers: to searches over Qdrant, to everything else as it is."""
    with upstream(folder, place, models) as server:
        over_postgres = [seen for _, seen in answers(server.url)]
    with upstream(folder, place, models) as server:
        use_qdrant(server.url, place)
        over_qdrant = [seen for _, seen in answers(server.url)]
    return [
        qdrant if step.path == "/search" else postgres
        for step, postgres, qdrant in zip(steps(), over_postgres, over_qdrant, strict=True)
    ]


def record(theirs: list[Seen]) -> None:
    """Writes mem0's answers."""
    lines = (
        json.dumps([step.name, *seen], ensure_ascii=False)
        for step, seen in zip(steps(), theirs, strict=True)
    )
    RECORDED.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


def answers(url: str) -> Iterator[tuple[Step, Seen]]:
    """What a server answers to each step."""
    ids = Ids()
    with httpx.Client(base_url=url, timeout=60) as client:
        for step in steps():
            body = None if step.json is None else json.dumps(step.json).encode()
            content = step.content if body is None else ids.filled(body.decode()).encode()
            headers = {"Connection": "close"}  # mem0's server closes it after a 500, anyway.
            if content is not None:
                headers["Content-Type"] = "application/json"
            answer = client.request(
                step.method, ids.filled(step.path), content=content, headers=headers
            )
            yield step, seen_of(step, answer, ids)


def seen_of(step: Step, answer: httpx.Response, ids: Ids) -> Seen:
    """An answer without what is different each time."""
    try:
        body = answer.json()
    except ValueError:
        body = answer.text
    if answer.status_code == 200:
        ids.save(step, body)
    return Seen(answer.status_code, ids.plain(body))


class Server(NamedTuple):
    """A server that runs.

    Attributes:
        pid: of its process.
    """

    url: str
    pid: int


# --- The two servers -------------------------------------------------------------------------


@contextmanager
def upstream(
    folder: Path, place: Path, models: str, app: str = "main:app", path: str = ""
) -> Iterator[Server]:
    """mem0's server.

    Args:
        folder: its files.
        place: where it may write.
        models: the address of the model and the embedder.
        app: the application that is run, as uvicorn names it.
        path: where its modules are looked for in addition.
    """
    with postgres(place) as database:
        environment = {
            **database, "AUTH_DISABLED": "true", "MEM0_TELEMETRY": "false",
            "OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": models,
            "HISTORY_DB_PATH": str(place / "history.db"), "MEM0_DIR": str(place / "mem0"),
            "HOME": str(place), "PYTHONPATH": path,
        }  # fmt: skip
        with process(app, folder.resolve(), environment) as server:
            yield server


def use_qdrant(url: str, place: Path) -> None:
    """Moves mem0's server to Qdrant. A section has to be removed before it can be replaced."""
    store = {"collection_name": "memories", "path": str(place / "qdrant")}
    section = {"provider": "qdrant", "config": store}
    for value in (None, section):
        answer = httpx.post(f"{url}/configure", json={"vector_store": value}, timeout=60)
    answer.raise_for_status()


@contextmanager
def ours(place: Path, models: str) -> Iterator[Server]:
    """Our server."""
    service = {"api_key": "sk-none", "openai_base_url": models}
    config = {
        "vector_store": {
            "provider": "embedded",
            "config": {**STORE, "path": str(place / "ours.db")},
        },
        "llm": {"provider": "openai", "config": service},
        "embedder": {"provider": "openai", "config": service},
        "nlp": NLP,
        "serve": {"auth": False, "rate_per_minute": 1_000_000},
    }
    environment = {"SERVER_PARITY": json.dumps(config), "PYTHONPATH": f"{ROOT}/src:{ROOT}"}
    with process("scripts.server_parity:our_app", ROOT, environment, "--factory") as server:
        yield server


def our_app() -> Any:
    """Our application, for a process of its own."""
    from isomem.serve.app import make_app
    from isomem.serve.service import Service

    return make_app(Service(json.loads(os.environ["SERVER_PARITY"])))


@contextmanager
def process(app: str, folder: Path, environment: dict[str, str], *options: str) -> Iterator[Server]:
    """A server that uvicorn runs in a process of its own, once it answers."""
    port = free_port()
    at = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    with program(["uvicorn", app, *at, *options], port, folder, environment) as server:
        yield server


@contextmanager
def program(
    module: list[str], port: int, folder: Path, environment: dict[str, str]
) -> Iterator[Server]:
    """A server in a process of its own, once it answers.

    Args:
        module: what is run, with its arguments.
        port: at which it listens.
        folder: where it is run.
        environment: its variables, beside those of this process.
    """
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=folder, stdout=log, stderr=log, env={**os.environ, **environment},
        )  # fmt: skip
        server = Server(f"http://127.0.0.1:{port}", running.pid)
        try:
            _wait(running, server.url, log)
            yield server
        finally:
            running.terminate()
            running.wait(30)


def _wait(running: subprocess.Popen[bytes], url: str, log: Any) -> None:
    until = time.monotonic() + LONGEST_START_S
    while running.poll() is None and time.monotonic() < until:
        try:
            httpx.get(f"{url}/openapi.json", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    log.seek(0)
    raise SystemExit(f"the server did not start:\n{log.read().decode(errors='replace')[-4000:]}")


def free_port() -> int:
    """A port on which nothing listens."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def postgres(place: Path) -> Iterator[dict[str, str]]:
    """The variables that say where a PostgreSQL with pgvector is, for mem0's server."""
    import pgserver

    data, port = Path(tempfile.mkdtemp(dir=place)), free_port()
    server = pgserver.get_server(data, cleanup_mode=None)
    server.psql("CREATE EXTENSION IF NOT EXISTS vector; CREATE DATABASE mem0_app;")
    owner = {"pgdata": data, "user": server.system_user}
    # It listens on a socket only, which mem0's server cannot be told of.
    pgserver.pg_ctl(["-w", "-o", f"-h 127.0.0.1 -p {port} -k {data}", "restart"], **owner)
    try:
        yield {
            "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(port),
            "POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "none", "POSTGRES_DB": "postgres",
        }  # fmt: skip
    finally:
        pgserver.pg_ctl(["-w", "-m", "fast", "stop"], **owner)


if __name__ == "__main__":
    sys.exit(main())
