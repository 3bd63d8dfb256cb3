"""Kills a service under load: `python -m tests.torture.service_kills FOLDER ROUNDS SEED`.

A warm process that has opened nothing forks services, one or two on the same files. Clients add to
them in every way (now, later, with a key to send it again, by way of a model) and note what was
acknowledged. At random moments, `kill -9`. In the end a last service finishes the jobs; then each
text that was acknowledged is there once, and no text twice. It prints what it did as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from isomem.serve import app, run, worker  # noqa: F401  warm: what a service imports late
from tests.unit.providers.servers import Seen, serving

CLIENTS = 6
MOST_ANSWERS, LONGEST_S = 40, 0.02
"""Until the kill: answers that all clients get together, and the time after the last one."""

KINDS = ("now", "now", "now once", "now once", "later", "later", "later once")
PATIENCE_S = 600

Call = dict[str, Any]


def config(folder: Path, model: str) -> dict[str, Any]:
    """That of each service. A job whose process was killed is taken over soon."""
    store = {"path": str(folder / "memory.db"), "synchronous": "off", "busy_timeout_s": 30}
    options = {"model": "m", "api_key": "k", "openai_base_url": f"{model}/v1"}
    return {
        "vector_store": {"provider": "embedded", "config": store},
        "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
        "llm": {"provider": "openai", "config": options},
        "nlp": {"provider": "none"},
        "serve": {"port": 0, "job_lease_s": 0.5, "grace_s": 5, "log_level": "error"},
    }


# --- Services --------------------------------------------------------------------------------


class Zygote:
    """A process with everything imported and nothing opened, which forks services."""

    def __init__(self) -> None:
        self._commands, commands = self._pipe()
        answers, self._answers = self._pipe(turned=True)
        self._pid = os.fork()
        if not self._pid:
            self._commands.close()
            answers.close()
            _fork_services(commands, self._answers)
        commands.close()
        self._answers.close()
        self._replies = answers

    @staticmethod
    def _pipe(*, turned: bool = False) -> Any:
        reader, writer = os.pipe()
        ends = os.fdopen(writer, "w", buffering=1), os.fdopen(reader)
        return ends[::-1] if turned else ends

    def start(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Starts a service. What it is reached by, and its `pid`."""
        self._commands.write(json.dumps(settings) + "\n")
        found: dict[str, Any] = json.loads(self._replies.readline())
        assert "url" in found, found
        return found

    def end(self) -> None:
        self._commands.close()
        self._replies.close()
        os.waitpid(self._pid, 0)


def _fork_services(commands: Any, answers: Any) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    worker.LOOKED_EVERY_S = 0.05
    for line in commands:
        if not os.fork():
            _serve(json.loads(line), answers)
    os._exit(0)


def _serve(settings: dict[str, Any], answers: Any) -> None:
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

        def started(service: run.Started) -> None:
            answers.write(json.dumps({**service.shown(), "pid": os.getpid()}) + "\n")

        run.run(settings, started)
    except BaseException:
        answers.write(json.dumps({"error": traceback.format_exc()}) + "\n")
    finally:
        os._exit(0)


# --- The model -------------------------------------------------------------------------------


def answer(seen: Seen) -> Any:
    """One fact, of what is new."""
    said = seen.body["messages"][-1]["content"].split("## New Messages\n")[1]
    [serial] = re.findall(r"said (\S+)", said)[:1]
    fact = json.dumps({"memory": [{"text": f"learned {serial}"}]})
    return {"choices": [{"message": {"role": "assistant", "content": fact}}]}


# --- Clients ---------------------------------------------------------------------------------


class Client:
    """Adds to the memories of one user, a call at a time, and notes what becomes of each."""

    def __init__(self, number: int, seed: int) -> None:
        self.user = f"u{number}"
        self._rng = random.Random(f"{seed} {number}")
        self._calls = 0
        self.unanswered: Call | None = None
        self.stored: set[str] = set()
        self.perhaps: set[str] = set()
        self.jobs: dict[str, str] = {}
        self.repeated = 0
        self.error: str | None = None

    def work(self, url: str, key: str, answered: threading.Semaphore) -> None:
        """Calls until the service is gone."""
        try:
            with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=30) as http:
                while True:
                    call = self.unanswered or self._drawn()
                    self.repeated += self.unanswered is not None
                    self.unanswered = call if call["once"] else None
                    if not call["once"]:
                        self.perhaps.add(call["text"])
                    self._note(call, self._send(http, call))
                    answered.release()
        except httpx.TransportError:
            pass  # Killed.
        except Exception:
            self.error = traceback.format_exc()
        finally:
            answered.release()

    def _drawn(self) -> Call:
        self._calls += 1
        serial = f"{self.user}-{self._calls}"
        when, *once = self._rng.choice(KINDS).split()
        infer = self._rng.random() < 0.4
        text = f"learned {serial}" if infer else f"said {serial}"
        return {"serial": serial, "when": when, "once": bool(once), "infer": infer, "text": text}

    def _send(self, http: httpx.Client, call: Call) -> httpx.Response:
        headers = {"Idempotency-Key": call["serial"]} if call["once"] else {}
        if call["when"] == "later":
            headers["Prefer"] = "respond-async"
        said = {"role": "user", "content": f"said {call['serial']}"}
        body = {"messages": [said], "user_id": self.user, "infer": call["infer"]}
        return http.post("/api/add", json=body, headers=headers)

    def _note(self, call: Call, got: httpx.Response) -> None:
        self.unanswered = None
        self.perhaps.discard(call["text"])
        assert got.status_code == (202 if call["when"] == "later" else 200), got.text
        if call["when"] == "later":
            self.jobs[got.json()["id"]] = call["text"]
        else:
            assert [each["memory"] for each in got.json()["results"]] == [call["text"]], got.text
            self.stored.add(call["text"])


# --- The loop --------------------------------------------------------------------------------


class Loop:
    """Rounds of killing on the same files."""

    def __init__(self, zygote: Zygote, folder: Path, seed: int, model: str) -> None:
        self._zygote = zygote
        self._settings = config(folder, model)
        self._rng = random.Random(seed)
        self._key = ""
        self._started: list[int] = []
        self.clients = [Client(number, seed) for number in range(CLIENTS)]
        self.tally = Counter[str]()

    def start(self) -> dict[str, Any]:
        started = self._zygote.start(self._settings)
        self._started.append(started["pid"])
        self._key = self._key or started["key"]
        return started

    def round(self) -> None:
        services = [self.start() for _ in range(self._rng.choice((1, 1, 2)))]
        answered = threading.Semaphore(0)
        threads = [
            threading.Thread(
                target=client.work, args=(services[at % len(services)]["url"], self._key, answered)
            )
            for at, client in enumerate(self.clients)
        ]
        for thread in threads:
            thread.start()
        for _ in range(self._rng.randrange(MOST_ANSWERS)):
            assert answered.acquire(timeout=PATIENCE_S)
        time.sleep(self._rng.uniform(0, LONGEST_S))
        for service in services:
            os.kill(service["pid"], signal.SIGKILL)
            self.tally["kills"] += 1
        for thread in threads:
            thread.join(PATIENCE_S)
        for client in self.clients:
            assert client.error is None, client.error

    def judge(self) -> None:
        """Lets a last service finish, and compares what is there with what was acknowledged."""
        last = self.start()
        with httpx.Client(base_url=last["url"], headers={"X-API-Key": self._key}) as http:
            self._finish(http)
            for client in self.clients:
                self._compare(client, http)
        os.kill(last["pid"], signal.SIGTERM)

    def end(self) -> None:
        """Leaves no service of a failed round behind."""
        for pid in self._started[-2:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _finish(self, http: httpx.Client) -> None:
        deadline = time.monotonic() + PATIENCE_S
        for status in ("running", "waiting", "running"):
            while (left := http.get("/api/jobs", params={"status": status}).json())["total"]:
                assert time.monotonic() < deadline, left
                time.sleep(0.05)

    def _compare(self, client: Client, http: httpx.Client) -> None:
        asked = {"filters": {"user_id": client.user}, "top_k": 1_000_000}
        found = http.post("/api/get_all", json=asked, timeout=60).json()["results"]
        times = Counter(each["memory"] for each in found)
        sure = client.stored | set(client.jobs.values())
        lost = sorted(sure - times.keys())
        twice = sorted(text for text, count in times.items() if count > 1)
        perhaps = set(client.perhaps)
        if client.unanswered is not None:
            perhaps.add(client.unanswered["text"])
        assert not lost, f"acknowledged and lost: {lost}"
        assert not twice, f"stored twice: {twice}"
        assert times.keys() <= sure | perhaps, times.keys() - sure - perhaps
        for job_id, text in client.jobs.items():
            job = http.get(f"/api/jobs/{job_id}").json()
            assert job["status"] == "done", job
            assert [each["memory"] for each in job["result"]["results"]] == [text], job
        self.tally["acknowledged"] += len(client.stored)
        self.tally["jobs"] += len(client.jobs)
        self.tally["repeated"] += client.repeated
        self.tally["cut off and there"] += len(perhaps & times.keys())
        self.tally["cut off and not there"] += len(perhaps - times.keys())


def check_file(folder: Path) -> None:
    """`isomem check` finds nothing wrong."""
    words = [sys.executable, "-m", "isomem", "check", "--path", str(folder / "memory.db")]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def main(folder: str, rounds: str, seed: str) -> None:
    zygote = Zygote()  # Before there is any thread.
    with serving(answer) as model:
        loop = Loop(zygote, Path(folder), int(seed), model.url)
        try:
            for _ in range(int(rounds)):
                loop.round()
            loop.judge()
        finally:
            loop.end()
    zygote.end()
    check_file(Path(folder))
    sys.stdout.write(json.dumps(loop.tally))


if __name__ == "__main__":
    main(*sys.argv[1:])
