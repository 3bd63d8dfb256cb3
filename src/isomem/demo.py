"""The demonstration: ingests a conversation of several days, and answers questions from it.

The conversation was written for this purpose. So were the replies that stand in for a model if none
is configured. The embeddings are real in both cases.
"""

from __future__ import annotations

import os
import time

from isomem.ingest import Ingest, read_conversation, read_replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from isomem.ingest import Line
    from isomem.memory import Memory
    from isomem.results import HistoryRow, SearchResults

    class Screen(Protocol):
        """What the demonstration writes on."""

        def say(self, line: str = "") -> None: ...
        def progress(self, done: int, total: int, text: str) -> None: ...
        def clear_progress(self) -> None: ...
        def bold(self, text: str) -> str: ...
        def dim(self, text: str) -> str: ...
        def good(self, text: str) -> str: ...


USER = "ruth"
SHOWN_HITS = 3

QUESTIONS = (
    "Where are they going on holiday?",
    "What can't her son eat?",
    "When is her first day at the new job?",
    "Who looks after the cat?",
    "How much is the guesthouse per night?",
    "Which race is she running in May?",
    "What did the physiotherapist say about her knee?",
    "Who is her new boss?",
    "Which days does she have off?",
    "Which tram should they take in Porto?",
    "What food was planned for the picnic?",
    "What would she like to learn?",
)

CORRECTED = "How much is the bookbinding course, and when does enrolment end?"
CORRECTION = (
    "User enrolled in the Monday evening bookbinding course at the Leeds Arts Centre, which "
    "begins on May 12, 2025, and paid the 85 pounds"
)

_DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo_data")


def conversation() -> list[Line]:
    """Forty-five messages from six days in March 2025."""
    with open(os.path.join(_DATA, "conversation.jsonl"), encoding="utf-8") as file:
        return read_conversation(file)


def replies() -> list[object]:
    """What a model could extract from each day; a day is one chunk."""
    with open(os.path.join(_DATA, "replies.jsonl"), encoding="utf-8") as file:
        return read_replies(file)


def new_path() -> str:
    """The path of a memory file in a new temporary folder."""
    from tempfile import mkdtemp

    return os.path.join(mkdtemp(prefix="isomem-demo-"), "memory.db")


def config_at(path: str) -> dict[str, object]:
    """The parts of the configuration that the demonstration sets itself."""
    return {
        "embedder": {"provider": "local"},
        "vector_store": {"provider": "embedded", "config": {"path": path}},
    }


def run(memory: Memory, screen: Screen) -> dict[str, object]:
    """Shows everything, and returns it as well."""
    show = _Show(memory, screen)
    added = show.ingest()
    answers = show.answer()
    events = show.correct()
    memory.close()  # Moves what is still in SQLite's log into the file.
    return {"memories": added, "answers": answers, "history": events, **show.account()}


def _command() -> str:
    """What to type for `isomem` here, with the embedder that the file was made with."""
    import shutil
    import sys

    program = sys.argv[0] if sys.argv[0].endswith("isomem") else f"{sys.executable} -m isomem"
    choice = "ISOMEM_EMBEDDER=local " if os.environ.get("OPENAI_API_KEY") else ""
    return choice + ("isomem" if shutil.which("isomem") else program)


class _Show:
    def __init__(self, memory: Memory, screen: Screen) -> None:
        self.memory = memory
        self.screen = screen
        self.path: str = memory.config.vector_store.config["path"]
        self.has_model = memory.config.llm.provider != "unset"

    def _heading(self, text: str) -> None:
        self.screen.say()
        self.screen.say(self.screen.bold(text))

    def ingest(self) -> int:
        """Adds the conversation, day by day."""
        messages = conversation()
        self._heading("1. A conversation goes in")
        self.screen.say(self._model_line())
        self.screen.say("Embeddings: computed here, by the model that comes with isomem.")
        prepared = None if self.has_model else replies()
        started = time.perf_counter()
        steps = Ingest(self.memory, messages, ids={"user_id": USER}, replies=prepared)
        memories = 0
        for step in steps:
            memories = step.memories
            self.screen.progress(step.messages, step.total, f"{memories} memories")
        self.screen.clear_progress()
        seconds = time.perf_counter() - started
        count = self.screen.bold(f"{memories} memories")
        self.screen.say(f"{len(messages)} messages of six days: {count}, in {seconds:.2f} s.")
        return memories

    def _model_line(self) -> str:
        if self.has_model:
            model = self.memory.llm.config.model  # type: ignore[attr-defined]
            return f"Model: {model} ({self.memory.config.llm.provider})."
        return (
            "Model: none is configured, so replies that were prepared for this conversation\n"
            "stand in for one. ISOMEM_MODEL and ISOMEM_BASE_URL, or OPENAI_API_KEY, name one."
        )

    def answer(self) -> list[dict[str, object]]:
        """A dozen questions, each with the memories that answer it best."""
        self._heading(f"2. {len(QUESTIONS)} questions, each with its {SHOWN_HITS} best memories")
        answers, seconds = [], 0.0
        for question in QUESTIONS:
            started = time.perf_counter()
            found = self._search(question)
            seconds += time.perf_counter() - started
            answers.append({"question": question, **found})
            self.screen.say(question)
            for hit in found["results"]:
                score = self.screen.good(f"{hit['score']:.3f}")
                self.screen.say(f"  {score}  {hit['memory']}")
        each = 1000 * seconds / len(QUESTIONS)
        self.screen.say(self.screen.dim(f"{each:.1f} ms per question, embedding included"))
        return answers

    def _search(self, question: str) -> SearchResults:
        return self.memory.search(question, top_k=SHOWN_HITS, filters={"user_id": USER})

    def correct(self) -> list[HistoryRow]:
        """Changes one memory, and shows its history."""
        self._heading("3. A memory changes, and its history stays")
        found = self._search(CORRECTED)["results"]
        if not found:  # The caller's own model may not have kept anything about it.
            self.screen.say("The model kept nothing about the course, so there is nothing to show.")
            return []
        self.memory.update(found[0]["id"], CORRECTION)
        events = self.memory.history(found[0]["id"])
        for event in events:
            self.screen.say(f"  {self.screen.good(event['event']):<6}  {event['new_memory']}")
        return events

    def account(self) -> dict[str, object]:
        """Shows where everything is."""
        size = os.path.getsize(self.path)
        self._heading("4. One file holds it all")
        self.screen.say(f"{self.path}  ({size / 1000:.0f} kB)")
        self.screen.say("Ask it something yourself:")
        self.screen.say(f'  {_command()} --path {self.path} search "trams" --user {USER}')
        return {"path": self.path, "size_bytes": size}
