"""`isomem serve`: how it starts, how it ends, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from isomem.cli import main
from isomem.errors import InvalidConfigError
from isomem.serve.settings import Settings
from tests.serve.services import CONFIG, Running, environment, isomem
from tests.unit.providers.servers import Seen, Server, serving

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_start_shows_a_key_for_everything_and_later_ones_none(tmp_path: Path) -> None:
    with Running(tmp_path) as first:
        assert first.key is not None
        assert first.call("add", messages="Ana likes tea", user_id="ana", infer=False).is_success
        assert first.call("scopes").json()[0]["user_id"] == "ana"
        assert first.call("add", key="iso_none_x", messages="x").status_code == 401
        assert first.stop()[0] == 0
    with Running(tmp_path, key=first.key) as again:
        assert again.started["key"] is None
        assert again.texts(user_id="ana") == ["Ana likes tea"]


def test_a_person_gets_lines_and_a_key_to_paste(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    process = subprocess.Popen(
        [sys.executable, "-m", "isomem", "serve", "--port", "0"],
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(8)]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert said[0].startswith("isomem is listening at http://127.0.0.1:")
    assert any(line.strip().startswith("iso_") for line in said)
    assert process.returncode == 0
    assert errors == "Stopped.\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", ""])
def test_beyond_loopback_it_needs_keys(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidConfigError, match="only listen on loopback"):
        Settings({"host": host, "auth": False}).check_address()
    Settings({"host": host}).check_address()


@pytest.fixture
def fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command in this process. Returns what it printed on standard error."""
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path / "memory"))

    def run(*words: str, **serve: Any) -> str:
        assert main([*words, "--config", config(tmp_path, **serve)]) == 4
        out, err = capsys.readouterr()
        assert not out
        return err

    return run


def test_an_open_service_is_refused_and_leaves_nothing_behind(fails: Any, tmp_path: Path) -> None:
    assert "only listen on loopback" in fails("serve", "--no-auth", host="0.0.0.0")
    assert "only listen on loopback" in fails("serve", "--host", "0.0.0.0", auth=False)
    assert not (tmp_path / "memory").exists()


def config(folder: Path, **serve: Any) -> str:
    path = folder / "config.json"
    path.write_text(json.dumps({**CONFIG, "serve": serve}))
    return str(path)


def test_an_address_that_is_taken_is_named(fails: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = fails("serve", "--json", port=port)
    error = json.loads(said.splitlines()[-1])["error"]
    assert error["code"] == "SERVE_001"
    assert str(port) in error["message"]


def test_flags_go_before_variables_and_those_before_the_file(tmp_path: Path) -> None:
    from argparse import Namespace

    from isomem.cli.parser import parse
    from isomem.cli.service import read_service

    path = config(tmp_path, port=1, workers=2, max_messages=3)
    environ = {"ISOMEM_SERVE_PORT": "4", "ISOMEM_SERVE_WORKERS": "5", "ISOMEM_SERVE_AUTH": "true"}
    with pytest.MonkeyPatch.context() as patched:
        for name, text in environ.items():
            patched.setenv(name, text)
        options: Namespace = parse(["serve", "--config", path, "--port", "6", "--no-auth"])
        section = read_service(options)["serve"]
    assert section == {"port": 6, "workers": 5, "max_messages": 3, "auth": False}


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        ({"prot": 1}, "Did you mean 'port'"),
        ({"port": "high"}, "port must be a whole number"),
        ({"log_format": "xml"}, "log_format must be one of"),
    ],
)
def test_a_wrong_option_is_named(
    fails: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], serve: Any, said: str
) -> None:
    assert said in fails("serve", **serve)
    assert main(["check-config", config(tmp_path, **serve)]) == 4
    assert f"serve.{next(iter(serve))}" in capsys.readouterr().out


def test_several_workers_need_a_file(fails: Any) -> None:
    said = fails("serve", "--path", ":memory:", workers=2)
    assert "cannot be served by several workers" in said


# --- Ending ----------------------------------------------------------------------------------


@pytest.fixture
def slow_model() -> Iterator[tuple[Server, threading.Event, threading.Event]]:
    """A model that answers when it may; whether it was asked; whether it may."""
    asked, may = threading.Event(), threading.Event()

    def answer(seen: Seen) -> Any:
        asked.set()
        may.wait(30)
        fact = json.dumps({"memory": [{"id": "0", "text": "Ana moved to Lisbon"}]})
        return {"choices": [{"message": {"role": "assistant", "content": fact}}]}

    with serving(answer) as server:
        yield server, asked, may
        may.set()


def with_model(url: str) -> dict[str, Any]:
    options = {"model": "m", "api_key": "k", "openai_base_url": f"{url}/v1"}
    return {**CONFIG, "llm": {"provider": "openai", "config": options}}


def until_refused(service: Running) -> None:
    """Waits until the service takes no more calls."""
    port, deadline = int(service.url.rpartition(":")[2]), time.monotonic() + 30
    with suppress(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(("127.0.0.1", port), 5).close()
            time.sleep(0.01)
        raise AssertionError("it goes on")


def test_a_call_under_way_finishes_before_the_service_ends(tmp_path: Path, slow_model: Any) -> None:
    server, asked, may = slow_model
    with Running(tmp_path, config=with_model(server.url)) as service:
        answers: list[Any] = []
        caller = threading.Thread(
            target=lambda: answers.append(service.call("add", messages="I moved", user_id="ana"))
        )
        caller.start()
        assert asked.wait(30)
        service.process.send_signal(signal.SIGTERM)
        until_refused(service)
        may.set()
        caller.join(30)
        assert answers[0].status_code == 200
        assert [each["memory"] for each in answers[0].json()["results"]] == ["Ana moved to Lisbon"]
        assert service.process.wait(30) == 0
    with Running(tmp_path, key=service.key) as again:
        assert again.texts(user_id="ana") == ["Ana moved to Lisbon"]


def test_a_call_that_takes_too_long_at_the_end_is_not_acknowledged(
    tmp_path: Path, slow_model: Any
) -> None:
    server, asked, may = slow_model
    with Running(tmp_path, "--grace-s", "0", config=with_model(server.url)) as service:
        answers: list[Any] = []

        def call() -> None:
            try:
                answers.append(service.call("add", messages="I moved", user_id="ana").status_code)
            except OSError:
                answers.append(None)
            except Exception as error:
                answers.append(type(error).__name__)

        caller = threading.Thread(target=call)
        caller.start()
        assert asked.wait(30)
        service.process.send_signal(signal.SIGTERM)
        until_refused(service)
        time.sleep(0.5)
        may.set()
        caller.join(30)
        assert answers != [200]
        assert service.process.wait(30) == 0


# --- Backup ----------------------------------------------------------------------------------


def test_a_backup_of_a_service_at_work_is_whole(tmp_path: Path) -> None:
    with Running(tmp_path) as service:
        for number in range(5):
            assert service.call("add", messages=f"m{number}", user_id="a", infer=False).is_success
        goes_on, added = threading.Event(), []

        def add_more() -> None:
            while not goes_on.is_set():
                text = f"more {len(added)}"
                assert service.call("add", messages=text, user_id="a", infer=False).is_success
                added.append(text)

        adding = threading.Thread(target=add_more)
        adding.start()
        done = isomem(tmp_path, "backup", str(tmp_path / "copy.db"))
        goes_on.set()
        adding.join(60)
        assert done.returncode == 0, done.stderr
        assert len(service.texts(user_id="a")) == 5 + len(added)
    assert isomem(tmp_path, "check", "--path", str(tmp_path / "copy.db")).returncode == 0
    words = ("--path", str(tmp_path / "copy.db"), "--user", "a", "--top-k", "100000", "--json")
    listed = isomem(tmp_path, "list", *words)
    copied = {each["memory"] for each in json.loads(listed.stdout)["results"]}
    assert {f"m{number}" for number in range(5)} <= copied


# --- Several workers -------------------------------------------------------------------------


def children(pid: int) -> set[int]:
    """The workers of a service."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
            command = entry.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and b"spawn_main" in command:
            found.add(int(entry.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_workers_share_a_file_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    with Running(tmp_path, "--workers", "2") as service:
        for number in range(6):
            assert service.call("add", messages=f"m{number}", user_id="a", infer=False).is_success
        first = children(service.process.pid)
        assert len(first) == 2
        os.kill(min(first), signal.SIGSTOP)  # So that its parent is waiting for it when it dies.
        time.sleep(2)
        os.kill(min(first), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while len(children(service.process.pid) - {min(first)}) < 2:
            assert time.monotonic() < deadline, "the worker was not replaced"
            time.sleep(0.1)
        assert service.texts(user_id="a") == [f"m{number}" for number in range(6)]
        workers = children(service.process.pid)
        service.process.kill()  # The parent alone: nobody tells the workers.
        service.process.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline, "a worker outlived its parent"
            time.sleep(0.1)


def statuses(service: Running, times: int, key: str) -> list[int]:
    """The answers to searches that come over as many connections, and so to any worker."""
    found = []
    for _ in range(times):
        service.http.close()
        service.http = type(service.http)(base_url=service.url, timeout=60)
        found.append(service.call("search", key=key, query="tea").status_code)
    return found


def recorded(service: Running, times: int) -> set[int]:
    """How many adds the workers show, asked over as many connections."""
    found = set()
    for _ in range(times):
        service.http.close()
        service.http = type(service.http)(base_url=service.url, timeout=60)
        answer = service.http.get("/ui/api/exchanges", headers={"X-API-Key": service.key or ""})
        found.add(len(answer.json()["exchanges"]))
    return found


def test_workers_share_their_limits_counts_recordings_and_what_they_know_of_keys(
    tmp_path: Path,
) -> None:
    with Running(tmp_path, "--workers", "2", "--record") as service:
        assert service.call("add", messages="tea", user_id="b", infer=False).is_success
        assert recorded(service, 6) == {1}
        created = isomem(tmp_path, "keys", "create", "b", "--user", "b", "--rate", "15", "--json")
        limited, began = json.loads(created.stdout)["key"], time.monotonic()
        answers = statuses(service, 40, limited)
        filled = 15 * (time.monotonic() - began) / 60
        assert answers.count(200) + answers.count(429) == 40
        assert 15 <= answers.count(200) <= 15 + filled
        for _ in range(4):
            service.http.close()
            service.http = type(service.http)(base_url=service.url, timeout=60)
            text = service.http.get("/metrics", headers={"X-API-Key": service.key or ""}).text
            counted = [
                line.split()
                for line in text.splitlines()
                if line.startswith("isomem_requests_total")
            ]
            searches = [float(n) for name, n in counted if 'route="/api/search"' in name]
            assert sum(searches) == 40
            assert "isomem_requests_running 1.0" in text
        assert [*tmp_path.rglob("*-workers-*")]
        made = isomem(tmp_path, "keys", "create", "ana", "--user", "ana", "--json")
        key = json.loads(made.stdout)
        assert statuses(service, 6, key["key"]) == [200] * 6
        assert isomem(tmp_path, "keys", "revoke", key["id"]).returncode == 0
        assert statuses(service, 6, key["key"]) == [401] * 6
    assert not [*tmp_path.rglob("*-workers-*")]


# --- The log ---------------------------------------------------------------------------------


def test_the_log_is_json_where_that_is_asked_for_and_keys_are_off_where_that_is(
    tmp_path: Path,
) -> None:
    words = ("--log-format", "json", "--log-level", "info", "--no-auth")
    with Running(tmp_path, *words) as service:
        assert service.started["key"] is None
        assert service.call("scopes").json() == []
        code, log = service.stop()
    assert code == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines
    assert all({"time", "level", "message"} <= line.keys() for line in lines)


# --- Trying it out ---------------------------------------------------------------------------


def test_the_trial_remembers_recalls_and_stops(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.serve", "--once", "--port", "0"],
        cwd=ROOT, env=environment(tmp_path, ISOMEM_CONFIG=""), capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Recalled: Ana moved to Lisbon in May" in done.stdout
    assert "The page: http://127.0.0.1:" in done.stdout
    assert "iso_" in done.stdout
    assert "has stopped" in done.stdout
