"""The built-in text tier against upstream's full system, from the terms to what is found.

    python -m bench.keyword_entity_report FOLDER [--embedder NAME] [--json FILE]

FOLDER is as for `bench/text_quality.py`; facts also name the turns they were taken from, and
questions the turns that answer them. Needs upstream's full system (mem0ai, fastembed, spaCy and
the model that `isomem_parity.tiers` names); nothing is downloaded. It takes some
minutes, almost all of them in upstream.

Each session is added once, with its facts as the model's reply. Every system is asked each
question; all share the embedder. The systems:

    semantic  isomem, `nlp.provider` "none", keyword search off
    builtin   isomem by default
    spacy     isomem, `nlp.provider` "spacy"
    full      upstream itself, with all its optional parts
    ordered   the same, asked again with ties in insertion order

Many facts have equal keyword scores. Of those at the cut of the keyword search, upstream takes the
ones that numpy's unstable sort happens to put first, which differs between processors. The system
"ordered" has a stable sort instead; comparing "full" with it shows what chance alone changes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.text_quality import REPEATS, cost, jaccard, mean, read_texts
from isomem import Memory
from isomem.providers.registry import create_embedder
from isomem.testing import ScriptedLLM
from isomem.text import compounds, lemma
from isomem.text.terms import TermEncoder
from isomem.text.tiers import load_tier
from isomem_parity import tiers

KINDS = ("PROPER", "QUOTED", "COMPOUND", "NOUN")
TOP = 10
DEPTHS = (1, 5, 10)
ADVERSARIAL = 5
"""The category of questions that the conversation does not answer."""

Hits = list[tuple[str, float]]
"""Memories with their scores, best first."""

Figures = dict[str, Any]
"""What goes into the JSON file: numbers, and dicts of them."""


@dataclass
class Question:
    user: str
    text: str
    category: int
    evidence: set[str]


@dataclass
class Conversation:
    user: str
    sessions: list[tuple[list[dict[str, str]], list[str]]] = field(default_factory=list)
    """The messages of each and the facts in it."""

    sources: dict[str, set[str]] = field(default_factory=dict)
    """The turns that each fact was taken from."""

    questions: list[Question] = field(default_factory=list)


# --- The data -----------------------------------------------------------------------------


def read_conversations(folder: Path) -> list[Conversation]:
    """The conversations of a folder, in the order of their file names."""
    return [_conversation(path) for path in sorted(folder.glob("*.json"))]


def _conversation(path: Path) -> Conversation:
    data = json.loads(path.read_text(encoding="utf-8"))
    made = Conversation(path.stem)
    for session in data["sessions"]:
        turns = [
            {"role": "user", "content": f"{turn['speaker']}: {turn['text']}"}
            for turn in session["turns"]
        ]
        facts = [fact for of_speaker in session["facts"].values() for fact in of_speaker]
        made.sessions.append((turns, [text for text, _ in facts]))
        for text, source in facts:
            turns_of_fact = [source] if isinstance(source, str) else source
            made.sources.setdefault(text, set()).update(turns_of_fact)
    made.questions = [
        Question(made.user, row["question"], row["category"], set(row["evidence"]))
        for row in data["qa"]
    ]
    return made


# --- The systems --------------------------------------------------------------------------


def build_isomem(folder: Path, provider: str, *, keywords: bool = True) -> Any:
    """isomem in one of its tiers."""
    nlp: Figures = {"provider": provider}
    if provider == "spacy":
        nlp["config"] = {"model": tiers.SPACY_MODEL}
    store = {"path": str(folder / f"{provider}.db"), "keyword_search": keywords}
    return Memory.from_config(
        {
            "vector_store": {"provider": "embedded", "config": store},
            "embedder": {"provider": "local"},
            "llm": {"provider": "mock"},
            "nlp": nlp,
        }
    )


def build_upstream(folder: Path, dims: int) -> Any:
    """Upstream with its keyword encoder and its spaCy model."""
    import mem0

    tiers.enter("C")
    store = {"path": str(folder / "qdrant"), "embedding_model_dims": dims}
    unused = {"provider": "openai", "config": {"api_key": "unused"}}
    return mem0.Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "embedder": unused,
            "llm": unused,
            "history_db_path": str(folder / "history.db"),
        }
    )


def remember(memory: Any, conversations: Iterable[Conversation]) -> None:
    """Adds every session, with its facts as the model's reply."""
    for conversation in conversations:
        for messages, facts in conversation.sessions:
            reply = {"memory": [{"id": str(at), "text": fact} for at, fact in enumerate(facts)]}
            memory.llm = ScriptedLLM([reply])
            memory.add(messages, user_id=conversation.user)


def ask(memory: Any, questions: Iterable[Question]) -> list[Hits]:
    """The first hits of each question in its conversation."""
    found = []
    for question in questions:
        reply = memory.search(question.text, filters={"user_id": question.user}, top_k=TOP)
        found.append([(hit["memory"], hit["score"]) for hit in reply["results"]])
    return found


class _StableNumpy:
    """numpy, but equal values keep their order when sorted."""

    def __getattr__(self, name: str) -> Any:
        import numpy as np

        return getattr(np, name)

    def argsort(self, values: Any) -> Any:
        import numpy as np

        return np.argsort(values, kind="stable")


@contextmanager
def ordered_ties() -> Iterator[None]:
    """Upstream's store takes the later one of two equal points."""
    from qdrant_client.local import local_collection

    kept = local_collection.np
    local_collection.np = _StableNumpy()
    try:
        yield
    finally:
        local_collection.np = kept


def run_systems(conversations: list[Conversation], embedder: Any) -> dict[str, list[Hits]]:
    """What each system finds for all questions, in their order."""
    questions = [question for talk in conversations for question in talk.questions]
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        builders: dict[str, Callable[[], Any]] = {
            "semantic": lambda: build_isomem(folder, "none", keywords=False),
            "builtin": lambda: build_isomem(folder, "builtin"),
            "spacy": lambda: build_isomem(folder, "spacy"),
            "full": lambda: build_upstream(folder, embedder.dims),
        }
        for system, build in builders.items():
            memory = build()
            memory.embedding_model = embedder
            remember(memory, conversations)
            found[system] = ask(memory, questions)
            if system == "full":
                with ordered_ties():
                    found["ordered"] = ask(memory, questions)
                memory.vector_store.client.close()
            memory.close()
    return found


# --- The text tier by itself --------------------------------------------------------------


def compare_terms(texts: Sequence[str], full: Callable[[str], str]) -> Figures:
    """Agreement of the keyword terms, text by text."""
    encode = TermEncoder().encode
    shares = sorted(jaccard(encode(lemma.lemmatize(text)), encode(full(text))) for text in texts)
    return {
        "texts": len(texts),
        "mean": mean(shares),
        "p5": shares[len(shares) // 20],
        "equal": mean([share == 1 for share in shares]),
    }


def compare_entities(texts: Sequence[str], full: Callable[[str], Any]) -> Figures:
    """Precision and recall of each kind of entity; a kind that neither finds has 1 and 1."""
    tier = load_tier("builtin")
    right, found, wanted = Counter[str](), Counter[str](), Counter[str]()
    for text in texts:
        ours = {(kind, name.lower()) for kind, name in tier.entities(text)}
        theirs = {(kind, name.lower()) for kind, name in full(text)}
        for count, those in ((right, ours & theirs), (found, ours), (wanted, theirs)):
            count.update(kind for kind, _ in those)
            count["BY RULE"] += sum(kind in {"PROPER", "QUOTED"} for kind, _ in those)
    return {
        kind.lower(): {
            "wanted": wanted[kind],
            "found": found[kind],
            "precision": right[kind] / found[kind] if found[kind] else float(not wanted[kind]),
            "recall": right[kind] / wanted[kind] if wanted[kind] else float(not found[kind]),
        }
        for kind in ("BY RULE", *KINDS)
    }


def measure_cost(texts: Iterable[str]) -> Figures:
    """Microseconds for lemmas and entities of a text of ten words, its words seen and unseen."""
    ten = [text for text in texts if len(text.split()) == 10]
    tier = load_tier("builtin")
    caches = (lemma._known, lemma._by_use, compounds.tokenize)

    def both(text: str) -> None:
        tier.lemmatize(text)
        tier.entities(text)

    seen = min(cost(both, ten, ()) for _ in range(REPEATS))
    unseen = min(cost(both, ten, caches) for _ in range(REPEATS))
    return {"texts": len(ten), "seen": seen, "unseen": unseen}


# --- What is found ------------------------------------------------------------------------


def compare_hits(ours: list[Hits], theirs: list[Hits]) -> Figures:
    """Agreement of two systems on the first hits, averaged over the questions."""
    pairs = [
        ([memory for memory, _ in one], [memory for memory, _ in other])
        for one, other in zip(ours, theirs, strict=True)
    ]
    return {
        "overlap": mean([_shared(one, other) for one, other in pairs]),
        "same_first": mean([one[:1] == other[:1] for one, other in pairs]),
        "same_order": mean([one == other for one, other in pairs]),
        "tau_union": mean([tau_b(one, other) for one, other in pairs]),
        "score_gap": max(map(_score_gap, ours, theirs), default=0.0),
    }


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    """The share of the longer list that the other one has, too."""
    return len(set(one) & set(other)) / max(len(one), len(other), 1) if one or other else 1.0


def _score_gap(ours: Hits, theirs: Hits) -> float:
    """How far the scores of one memory are apart at most."""
    other = dict(theirs)
    return max((abs(score - other[text]) for text, score in ours if text in other), default=0.0)


def tau_b(one: Sequence[str], other: Sequence[str]) -> float:
    """Kendall's tau-b of two rankings over the union of their items.

    Items missing from a ranking are tied after all that it has. 1 if two rankings cannot disagree.
    """
    items = sorted(set(one) | set(other))
    ranks = [
        [ranking.index(item) if item in ranking else len(ranking) for item in items]
        for ranking in (one, other)
    ]
    agreed, untied = 0, [0, 0]
    for i in range(len(items)):
        for j in range(i):
            signs = [(side[i] > side[j]) - (side[i] < side[j]) for side in ranks]
            agreed += signs[0] * signs[1]
            untied = [count + abs(sign) for count, sign in zip(untied, signs, strict=True)]
    return float(agreed / (untied[0] * untied[1]) ** 0.5) if all(untied) else 1.0


def measure_recall(conversations: list[Conversation], found: list[Hits]) -> Figures:
    """The share of questions for which one of the first hits comes from an evidence turn.

    Under "answered" those that have evidence and an answer, under "all" those with evidence.
    """
    sources = {talk.user: talk.sources for talk in conversations}
    questions = [question for talk in conversations for question in talk.questions]
    first: dict[str, list[int]] = {"answered": [], "all": []}
    for question, hits in zip(questions, found, strict=True):
        if question.evidence:
            at = _first_right(question, [sources[question.user][memory] for memory, _ in hits])
            first["all"].append(at)
            if question.category != ADVERSARIAL:
                first["answered"].append(at)
    return {
        group: {"questions": len(ats)} | {str(k): mean([at < k for at in ats]) for k in DEPTHS}
        for group, ats in first.items()
    }


def _first_right(question: Question, turns: Sequence[set[str]]) -> int:
    """The rank of the first hit that has evidence, from 0; `TOP` if there is none."""
    return next((at for at, of_hit in enumerate(turns) if of_hit & question.evidence), TOP)


# --- The report ---------------------------------------------------------------------------


def measure(folder: Path, embedder: str) -> Figures:
    """All figures for the conversations in a folder."""
    conversations = read_conversations(folder)
    found = run_systems(conversations, create_embedder(embedder))
    from mem0.utils.entity_extraction import extract_entities
    from mem0.utils.lemmatization import lemmatize_for_bm25

    texts = read_texts(folder)
    kinds = {name: texts[name] for name in ("facts", "questions")}
    kinds["both"] = kinds["facts"] + kinds["questions"]
    return {
        "terms": {kind: compare_terms(of, lemmatize_for_bm25) for kind, of in kinds.items()},
        "entities": {
            f"{name}, {kind}": row
            for name, of in kinds.items()
            for kind, row in compare_entities(of, extract_entities).items()
        },
        "hits": {
            f"{system}, {reference}": compare_hits(found[system], found[reference])
            for reference in ("full", "ordered")
            for system in ("semantic", "builtin", "spacy", "full")
            if system != reference
        },
        "recall": {system: measure_recall(conversations, hits) for system, hits in found.items()},
        "cost": {"builtin": measure_cost(kinds["both"])},
    }


LABEL = 20
TITLES = {
    "terms": "keyword terms, built-in against full (Jaccard by text)",
    "entities": "entities, built-in against full",
    "hits": f"first {TOP} hits: a system, and the one that it is held against",
    "recall": "evidence recall",
    "cost": "microseconds for lemmas and entities of a text of ten words",
}


def show(figures: Figures) -> str:
    """The figures as tables of text."""
    lines: list[str] = []
    for section, rows in figures.items():
        flat = {name: dict(_flat(row)) for name, row in rows.items()}
        head = list(next(iter(flat.values())))
        widths = [max(len(title), 9) for title in head]
        lines += [TITLES[section], " " * LABEL + _row(head, widths)]
        lines += [f"{name:{LABEL}}{_row(map(row.get, head), widths)}" for name, row in flat.items()]
        lines.append("")
    return "\n".join(lines)


def _flat(row: Figures) -> Iterable[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", number) for inner, number in value.items())
        else:
            yield name, value


def _row(values: Iterable[Any], widths: Iterable[int]) -> str:
    cells = (f"{value:.4f}" if isinstance(value, float) else str(value) for value in values)
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--embedder", metavar="NAME", default="local", help="of all systems")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as home:
        os.environ.update({"MEM0_TELEMETRY": "False", "MEM0_DIR": home})
        figures = measure(arguments.folder, arguments.embedder)
    print(show(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
