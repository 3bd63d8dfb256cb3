"""How often a new fact supersedes the right stored one, on the dialogues in `bench/updates`.

    python -m bench.supersession                          # supersede="similar"
    python -m bench.supersession --wrong                  # also what it gets wrong and misses
    python -m bench.supersession --mode model --model NAME [--base-url URL]
    python -m bench.supersession --mode model --scripted  # a model that knows the answers
    python -m bench.supersession --facts DATA_DIR         # what is superseded among LoCoMo's facts

The facts of each step are the reply of the extraction. With `--mode model`, the model named is only
asked which memories are stale. `--scripted` replays the right answers: it shows that they arrive,
and says nothing about a model.

Precision is the share of superseded memories that should be, recall the share of those that should
be and are. Pairs that can be judged both ways count for neither. `bench/locomo.py` says what
DATA_DIR has.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from isomem import Memory
from isomem.testing import ConstantEmbedder
from isomem.text.superseding import NewFact

DIALOGUES = Path(__file__).parent / "updates" / "dialogues.jsonl"
PARTS = ("tuning", "held-out")
USER = {"user_id": "u"}

Json = dict[str, Any]
Pair = tuple[str, str]
"""A new fact and a stored one, as `1.0` and `0.0`."""
Answer = Callable[[list[Json]], Any]
"""What a model says about messages that ask which memories are stale."""


class Dialogue:
    """One line of the file.

    Attributes:
        facts: all facts by their names.
        expected: the pairs in which the new fact supersedes the stored one.
        either: those that may be judged both ways.
    """

    def __init__(self, line: Json) -> None:
        self.id: str = line["id"]
        self.part: str = line["part"]
        self.steps: list[Json] = line["steps"]
        self.facts = {
            f"{step}.{number}": fact
            for step, each in enumerate(self.steps)
            for number, fact in enumerate(each["facts"])
        }
        self.expected: set[Pair] = {(each["new"], each["old"]) for each in line["superseded"]}
        self.either: set[Pair] = {(each["new"], each["old"]) for each in line["either"]}

    def name_of(self, fact: str) -> str:
        """The name of a fact."""
        return next(name for name, text in self.facts.items() if text == fact)


class Extraction:
    """A model that extracts the facts of a step, and leaves other questions to another one."""

    def __init__(self, answer: Answer) -> None:
        self.facts: list[str] | None = None
        self._answer = answer

    def generate_response(self, messages: list[Json], **_: Any) -> Any:
        """The reply to one call."""
        if self.facts is None:
            return self._answer(messages)
        facts, self.facts = self.facts, None
        return json.dumps({"memory": [{"text": fact} for fact in facts]})


def read_dialogues(path: Path = DIALOGUES) -> list[Dialogue]:
    """The dialogues in a file."""
    lines = path.read_text("utf-8").splitlines()
    return [Dialogue(json.loads(line)) for line in lines]


def superseded_in(
    dialogue: Dialogue, mode: str, embedder: Any = None, answer: Answer | None = None
) -> set[Pair]:
    """What is superseded when the steps of a dialogue are added one after another."""
    extraction = Extraction(answer or knowing(dialogue))
    config = {
        "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
        "embedder": {"provider": "mock"} if embedder else {"provider": "local"},
        "llm": {"provider": "mock"},
    }
    found: set[Pair] = set()
    with Memory.from_config({**config, "supersede": mode}) as memory:
        memory.llm = extraction
        memory.embedding_model = embedder or memory.embedding_model
        for step in dialogue.steps:
            extraction.facts = step["facts"]
            added = memory.add(step["said"], **USER, timestamp=step["date"])
            for new in added["results"]:
                name = dialogue.name_of(new["memory"])
                found |= {(name, dialogue.name_of(old["memory"])) for old in new["supersedes"]}
    return found


# --- Models ----------------------------------------------------------------------------------


def knowing(dialogue: Dialogue) -> Answer:
    """A model that gives the right answers to one dialogue."""

    def answer(messages: list[Json]) -> str:
        new, stored = (rows_of(part) for part in messages[1]["content"].split("## Stored memories"))
        return json.dumps(
            {
                "superseded": [
                    {"fact": fact, "memory": memory, "why": "contradicts"}
                    for fact, one in enumerate(new)
                    for memory, other in enumerate(stored)
                    if (dialogue.name_of(one), dialogue.name_of(other)) in dialogue.expected
                ]
            }
        )

    return answer


def rows_of(shown: str) -> list[str]:
    """The texts in a part of a question."""
    return [json.loads(line)["text"] for line in shown.splitlines() if line.startswith("{")]


def model_named(name: str, base_url: str | None) -> Answer:
    """A model on an OpenAI-compatible server."""
    from isomem.providers.registry import create_llm

    options = {"model": name, **({"openai_base_url": base_url} if base_url else {})}
    llm = create_llm("openai", options)
    return lambda messages: llm.generate_response(messages, response_format={"type": "json_object"})


# --- The report ------------------------------------------------------------------------------


class Counts:
    """What was right, wrong and missed."""

    def __init__(self) -> None:
        self.right = self.wrong = self.missed = 0
        self.mistakes: list[str] = []

    def add(self, dialogue: Dialogue, found: set[Pair]) -> None:
        """Counts one dialogue."""
        wrong = found - dialogue.expected - dialogue.either
        missed = dialogue.expected - found
        self.right += len(found & dialogue.expected)
        self.wrong += len(wrong)
        self.missed += len(missed)
        for what, pairs in (("wrong", wrong), ("missed", missed)):
            self.mistakes += [
                f"{what:6} {dialogue.id}  {dialogue.facts[new]!r} over {dialogue.facts[old]!r}"
                for new, old in sorted(pairs)
            ]

    @property
    def precision(self) -> float:
        """The share of superseded memories that should be; 1 if there are none."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """The share of memories that should be superseded and are."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def measure(
    dialogues: list[Dialogue], mode: str, embedder: Any = None, answer: Answer | None = None
) -> dict[str, Counts]:
    """The counts of each part."""
    counts = {part: Counts() for part in PARTS}
    for dialogue in dialogues:
        counts[dialogue.part].add(dialogue, superseded_in(dialogue, mode, embedder, answer))
    return counts


def lines_of(counts: dict[str, Counts], *, wrong: bool) -> Iterator[str]:
    """The report as text."""
    yield "part       right  wrong  missed  precision  recall"
    for part, each in counts.items():
        shares = f"{each.precision:9.3f}  {each.recall:6.3f}"
        yield f"{part:9}  {each.right:5}  {each.wrong:5}  {each.missed:6}  {shares}"
    for each in counts.values() if wrong else ():
        yield from each.mistakes


def superseded_facts(folder: Path) -> Iterator[str]:
    """What the rules of "similar" would supersede among the facts of real conversations.

    Each fact is compared with all that its speaker had said in earlier sessions, however far apart
    their vectors are.
    """
    pairs = found = 0
    for path in sorted(folder.rglob("*.json")):
        known: dict[str, list[str]] = {}
        for session in json.loads(path.read_text("utf-8")).get("sessions", ()):
            for speaker, facts in session["facts"].items():
                texts, old = [fact[0] for fact in facts], known.setdefault(speaker, [])
                for new, stored in product(map(NewFact, texts), old):
                    pairs += 1
                    if why := new.supersedes(stored):
                        found += 1
                        yield f"{path.name}: {speaker}: {stored!r}, {why}"
                old += texts
    yield f"{found} of {pairs} pairs"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mode", choices=("similar", "model"), default="similar")
    parser.add_argument("--model", help="which model is asked with --mode model")
    parser.add_argument("--base-url", help="the address of its server")
    parser.add_argument("--scripted", action="store_true", help="the right answers as a model")
    parser.add_argument("--any-vectors", action="store_true", help="every memory is near")
    parser.add_argument("--wrong", action="store_true", help="list what is wrong or missed")
    parser.add_argument("--facts", type=Path, metavar="DATA_DIR", help="facts of LoCoMo instead")
    options = parser.parse_args()
    if options.facts:
        print("\n".join(superseded_facts(options.facts)))
        return
    if options.mode == "model" and not (options.model or options.scripted):
        parser.error("--mode model needs --model NAME, or --scripted")
    answer = model_named(options.model, options.base_url) if options.model else None
    embedder = ConstantEmbedder() if options.any_vectors else None
    counts = measure(read_dialogues(), options.mode, embedder, answer)
    print("\n".join(lines_of(counts, wrong=options.wrong)))


if __name__ == "__main__":
    main()
