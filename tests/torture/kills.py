"""The kill loop: `python -m tests.torture.kills FOLDER ROUNDS SEED` prints what it did as JSON.

A warm process that has opened nothing forks workers onto one file. Each notes what it is about to
do and what was acknowledged, and is killed at a random moment. A fresh process then computes the
file again from its points and compares what is there with the notes: what was acknowledged is
there whole; of each worker's last call all or nothing is.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any

from isomem import Memory
from isomem.contract.limits import KEPT_MESSAGES
from isomem.ingest import Ingest, read_conversation
from isomem.providers.llm.mock import ScriptedLLM
from isomem.store import keywords
from isomem.store.check import check, check_history
from isomem.stores import embedded
from isomem.text.terms import TermEncoder
from tests.torture.storage import open_memory

NAMES = ("Great Gatsby", "Blue Moon", "Moby Dick", "Green Mile")
RUNS = (None, None, "r")
KINDS = (
    "raw raw infer infer infer infer update update update delete delete delete_all delete_all"
    " ingest ingest reset"
).split()
ROUNDS_PER_FILE = 15
LONGEST_S = 0.006
CHUNK = 2

Call = dict[str, Any]
Step = Callable[[Memory, Call], Any]


# --- What should be there --------------------------------------------------------------------


class Model:
    """What the calls of one worker leave in the file.

    Attributes:
        memories: by text, which no two memories share: user, run, and id once it is known.
        messages: by session the last ones, those of one call together.
        pending: an ingest that was cut off.
    """

    def __init__(self) -> None:
        self.memories: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, list[list[str]]] = {}
        self.pending: Call | None = None

    def add(self, call: Call, facts: list[str], messages: list[str]) -> None:
        for text in facts:
            self.memories[text] = {"user": call["user"], "run": call["run"], "id": None}
        if messages:
            session = _session(call)
            self.messages[session] = kept([*self.messages.get(session, ()), messages])

    def apply(self, call: Call) -> None:
        """What is there after a whole call."""
        kind = call["kind"]
        if kind in ("raw", "infer"):
            self.add(call, call["facts"], call.get("messages", []))
        elif kind == "ingest":
            *_, last = (self, *self.after_chunks(call))
            self.memories, self.messages, self.pending = last.memories, last.messages, None
        elif kind == "update":
            self.memories[call["text"]] = self.memories.pop(call["old"])
        elif kind == "delete":
            del self.memories[call["old"]]
        elif kind == "delete_all":
            self._forget(call)
        else:
            self.__init__()  # type: ignore[misc]

    def after_chunks(self, call: Call) -> Iterator[Model]:
        """What is there after each chunk of an ingest that was not in yet."""
        state = deepcopy(self)
        for number, fact in enumerate(call["facts"]):
            if fact in state.memories:
                continue
            state.add(call, [fact], call["messages"][CHUNK * number : CHUNK * (number + 1)])
            yield deepcopy(state)

    def _forget(self, call: Call) -> None:
        def meant(user: str, run: str | None) -> bool:
            return user == call["user"] and call["run"] in (None, run)

        self.memories = {
            text: each for text, each in self.memories.items()
            if not meant(each["user"], each["run"])
        }  # fmt: skip
        for session in list(self.messages):
            user, run = json.loads(session)
            if meant(user, run):
                del self.messages[session]

    def outcomes(self, call: Call | None) -> Iterator[Model]:
        """What may be there if the last call was cut off."""
        yield self
        if call is None:
            return
        if call["kind"] == "ingest":
            for state in self.after_chunks(call):
                state.pending = call
                yield state
        else:
            whole = deepcopy(self)
            whole.apply(call)
            yield whole

    def agrees(self, found: dict[str, Any]) -> bool:
        """Whether exactly this is in the file; takes over ids that were not known yet."""
        messages = {session: [*chain(*said)] for session, said in self.messages.items()}
        if self.memories.keys() != found["memories"].keys() or messages != found["messages"]:
            return False
        for text, known in self.memories.items():
            there = found["memories"][text]
            known["id"] = known["id"] or there["id"]
            if known != there:
                return False
        return True


def kept(calls: list[list[str]]) -> list[list[str]]:
    """The messages that stay in a buffer: of the last calls, and the first of the one at the cut,
    since those of one call have one time."""
    room, last = KEPT_MESSAGES, []
    for messages in reversed(calls):
        last.insert(0, messages[:room])
        room -= len(last[0])
    return [messages for messages in last if messages]


def _session(call: Call) -> str:
    return json.dumps([call["user"], call["run"]])


# --- What a worker does ----------------------------------------------------------------------


def draw(rng: random.Random, worker: int, model: Model, serial: str, *, alone: bool) -> Call:
    """One call, from what is there before it."""
    kind = rng.choice(KINDS)
    known = [text for text, each in model.memories.items() if each["id"]]
    if (kind in ("update", "delete") and not known) or (kind == "reset" and not alone):
        kind = "infer"
    call: Call = {"kind": kind, "user": f"w{worker}u{rng.randrange(2)}", "run": rng.choice(RUNS)}
    if kind in ("update", "delete"):
        call["old"] = rng.choice(known)
        call["id"] = model.memories[call["old"]]["id"]
        call["text"] = f'changed {serial} "{rng.choice(NAMES)}"'
    elif kind == "raw":
        call["facts"] = [f"plain {serial} {number}" for number in range(rng.choice((1, 1, 2, 12)))]
    elif kind in ("infer", "ingest"):
        count = rng.randrange(1, 4)
        call["facts"] = [f'fact {serial} {n} "{rng.choice(NAMES)}"' for n in range(count)]
        call["messages"] = [f"said {serial} {n} {_session(call)}" for n in range(count * CHUNK)]
    return call


def perform(memory: Memory, call: Call) -> None:
    """The call itself."""
    ids = {"user_id": call["user"], **({"run_id": call["run"]} if call["run"] else {})}
    _STEPS[call["kind"]](memory, call, ids)


def _raw(memory: Memory, call: Call, ids: dict[str, str]) -> None:
    memory.add([{"role": "user", "content": text} for text in call["facts"]], infer=False, **ids)


def _infer(memory: Memory, call: Call, ids: dict[str, str]) -> None:
    said = [{"role": "user", "content": text} for text in call["messages"]]
    llm = ScriptedLLM([{"memory": [{"text": text} for text in call["facts"]]}])
    memory.replacing(llm=llm).add(said, **ids)


def _ingest(memory: Memory, call: Call, ids: dict[str, str]) -> None:
    lines = [json.dumps({"role": "user", "content": text}) for text in call["messages"]]
    replies = [{"memory": [{"text": text}]} for text in call["facts"]]
    for step in Ingest(
        memory, read_conversation(lines), ids=ids, chunk=CHUNK, replies=replies, source="talk"
    ):
        assert step.failure is None


_STEPS: dict[str, Callable[[Memory, Call, dict[str, str]], Any]] = {
    "raw": _raw,
    "infer": _infer,
    "ingest": _ingest,
    "update": lambda memory, call, ids: memory.update(call["id"], call["text"]),
    "delete": lambda memory, call, ids: memory.delete(call["id"]),
    "delete_all": lambda memory, call, ids: memory.delete_all(**ids),
    "reset": lambda memory, call, ids: memory.reset(),
}


def work(path: Path, log: Path, worker: int, model: Model, seed: int, *, alone: bool) -> None:
    """Calls one after the other until the process is killed; each is noted before and after."""
    rng = random.Random(seed)
    notes = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    memory = open_memory(path, synchronous="off")
    for number in range(1000):
        call = model.pending or draw(rng, worker, model, f"{seed}x{number}", alone=alone)
        os.write(notes, json.dumps({"invoked": call}).encode() + b"\n")
        perform(memory, call)
        os.write(notes, b'{"completed": true}\n')
        model.apply(call)
        model.agrees(contents(memory, worker))  # For the ids.
    signal.pause()


# --- What is there ---------------------------------------------------------------------------

_MEMORIES = """
    SELECT json_extract(p.payload, '$.data'), p.id, s.user_id, s.run_id
    FROM points AS p JOIN scopes AS s ON s.number = p.row_key >> 36
    WHERE s.collection = (SELECT number FROM collections WHERE name = 'mem0')
        AND s.user_id GLOB ?
"""
_LINKED = """
    SELECT l.memory_id, count(*) FROM linked_memories AS l JOIN points AS p ON p.row_key = l.entity
    GROUP BY l.memory_id
"""


def contents(memory: Memory, worker: int) -> dict[str, Any]:
    """The memories and messages of one worker's users."""
    mine = f"w{worker}u*"
    with memory.vector_store.database.reading() as database:
        rows = database.rows(_MEMORIES, (mine,))
        said = database.rows("SELECT content FROM messages ORDER BY created_at, rowid")
    messages: dict[str, list[str]] = {}
    for (text,) in said:
        session = text.split(" ", 3)[3]
        if session.startswith(f'["w{worker}u'):
            messages.setdefault(session, []).append(text)
    return {
        "memories": {text: {"user": u, "run": r, "id": given} for text, given, u, r in rows},
        "messages": messages,
    }


def inspect(path: Path, workers: int) -> dict[str, Any]:
    """What a fresh process finds; what is damaged; and the same after a call that tidies up."""
    memory = open_memory(path, synchronous="off")
    before = _look(memory, workers)
    memory.delete_all(user_id="nobody")
    after = _look(memory, workers)
    assert before["workers"] == after["workers"], "finishing what was cut off changed something"
    with memory.vector_store.database.reading() as database:
        assert not database.rows("SELECT 1 FROM scopes WHERE collection < 0")
        assert not database.rows("SELECT 1 FROM terms WHERE documents <= 0")
    memory.close()
    return after


def _look(memory: Memory, workers: int) -> dict[str, Any]:
    database = memory.vector_store.database
    findings = [*check(database, TermEncoder()), *check_history(database)]
    assert not findings, findings
    found = {str(worker): contents(memory, worker) for worker in range(workers)}
    with database.reading():
        linked = dict(database.rows(_LINKED))
    for each in found.values():
        for text, there in each["memories"].items():
            wanted = 1 if '"' in text else 0
            assert linked.get(there["id"], 0) == wanted, (text, linked.get(there["id"]))
        for user in {there["user"] for there in each["memories"].values()}:
            listed = memory.get_all(filters={"user_id": user}, top_k=10_000)["results"]
            assert {one["memory"] for one in listed} == {
                text for text, there in each["memories"].items() if there["user"] == user
            }
    return {"workers": found}


# --- The loop --------------------------------------------------------------------------------


def in_child(work: Callable[[], Any]) -> tuple[int, int]:
    """Runs `work` in a child; its process id, and a pipe on which its result or error comes."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    status = 1
    try:
        os.close(reader)
        result = json.dumps({"result": work()})
        status = 0
    except BaseException:
        result = json.dumps({"error": traceback.format_exc()})
    try:
        with os.fdopen(writer, "w") as pipe:
            pipe.write(result)
    finally:
        os._exit(status)


def outcome(pid: int, reader: int) -> Any:
    """What a child gave; None when it was killed before."""
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    if not text:
        return None
    given = json.loads(text)
    if "error" in given:
        raise RuntimeError(given["error"])
    return given["result"]


def replay(log: Path, model: Model) -> Call | None:
    """Applies what was acknowledged; the call that was cut off, if one was."""
    under_way: Call | None = None
    for line in log.read_text().splitlines() if log.exists() else ():
        note = json.loads(line)
        if "invoked" in note:
            under_way = note["invoked"]
        elif under_way is not None:
            model.apply(under_way)
            under_way = None
    return under_way


class Loop:
    """Rounds of killing on one file after the other."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.models: list[Model] = []
        self.tally = Counter[str]()

    def run(self, rounds: int) -> None:
        for number in range(rounds):
            if number % ROUNDS_PER_FILE == 0:
                self.models = [Model() for _ in range(1 + self.rng.randrange(2))]
            self.round(self.folder / f"file{number // ROUNDS_PER_FILE}.db", number)

    def round(self, path: Path, number: int) -> None:
        logs = [self.folder / f"log{number}-{worker}" for worker in range(len(self.models))]
        children = [self._start(path, log, worker) for worker, log in enumerate(logs)]
        for (pid, _), log in zip(children, logs, strict=True):
            self._wait(log)
            os.kill(pid, signal.SIGKILL)
        for child in children:
            outcome(*child)
        self.tally["kills"] += len(children)
        found = outcome(*in_child(lambda: inspect(path, len(self.models))))
        for worker, log in enumerate(logs):
            self._judge(worker, log, found["workers"][str(worker)])
            log.unlink(missing_ok=True)

    def _wait(self, log: Path) -> None:
        """Until a random moment: sometimes of the opening, mostly of some call.

        It is found by the notes, because a busy machine may take long to get there.
        """
        notes = self.rng.choice((0, *range(1, 16)))
        for _ in range(10_000):
            if not notes or (log.exists() and log.read_bytes().count(b"\n") >= notes):
                break
            time.sleep(0.001)
        time.sleep(self.rng.uniform(0, LONGEST_S))

    def _start(self, path: Path, log: Path, worker: int) -> tuple[int, int]:
        seed, model = self.rng.getrandbits(40), deepcopy(self.models[worker])
        alone = len(self.models) == 1
        return in_child(lambda: work(path, log, worker, model, seed, alone=alone))

    def _judge(self, worker: int, log: Path, found: dict[str, Any]) -> None:
        model = self.models[worker]
        calls = log.read_text().count("completed") if log.exists() else 0
        cut_off = replay(log, model)
        self.tally["acknowledged"] += calls
        for at, state in enumerate(model.outcomes(cut_off)):
            if state.agrees(found):
                self.models[worker] = state
                if cut_off is not None:
                    self.tally[f"{cut_off['kind']}: {'not there' if not at else 'there'}"] += 1
                return
        raise AssertionError(
            f"after {cut_off}:\nexpected {model.memories} {model.messages}\nfound {found}"
        )


def main(folder: str, rounds: str, seed: str) -> None:
    embedded.REMOVED_AT_ONCE = 3  # What is removed in parts is so in many.
    keywords.COUNTED_EVERY = 16
    loop = Loop(Path(folder), int(seed))
    loop.run(int(rounds))
    sys.stdout.write(json.dumps(loop.tally))


if __name__ == "__main__":
    main(*sys.argv[1:])
