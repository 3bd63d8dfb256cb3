"""How often vectors alone find the right memory: evidence recall on LoCoMo.

Only vectors decide here: no keywords, no entities, no tiers. `bench/locomo.py` measures the whole
and has the format of the data, which is not part of this repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

KS = (1, 5, 10)
MEMORIES = ("facts", "turns")

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class Conversation:
    """Memories of one conversation and the questions about it.

    Attributes:
        name: of its file.
        texts: the memories.
        sources: for each memory, the turns it comes from.
        questions: those that have an answer, and their evidence in the conversation.
        evidence: for each question, the turns that answer it.
    """

    name: str
    texts: list[str]
    sources: list[set[str]]
    questions: list[str]
    evidence: list[set[str]]


def conversation(path: Path, memories: str) -> Conversation:
    """Reads a conversation; a memory that is there twice is one, with the sources of both."""
    data = json.loads(path.read_text("utf-8"))
    sources: dict[str, set[str]] = {}
    for session in data["sessions"]:
        for text, turns in _memories(session, memories):
            sources.setdefault(text, set()).update(turns)
    asked = [
        (each["question"], _turns(each["evidence"])) for each in data["qa"] if each["category"] < 5
    ]
    asked = [(question, turns) for question, turns in asked if turns]
    return Conversation(
        path.stem,
        list(sources),
        list(sources.values()),
        [question for question, _ in asked],
        [turns for _, turns in asked],
    )


def _memories(session: dict[str, Any], memories: str) -> list[tuple[str, set[str]]]:
    if memories == "turns":
        return [(f"{t['speaker']}: {t['text']}", {t["dia_id"]}) for t in session["turns"]]
    facts = [pair for pairs in session["facts"].values() for pair in pairs]
    return [(text, _turns(turns)) for text, turns in facts]


def _turns(value: Any) -> set[str]:
    """The ids in a text or a list of texts; a few entries hold several in one text."""
    return set(re.findall(r"D\d+:\d+", json.dumps(value)))


def found(one: Conversation, encode: Encode) -> npt.NDArray[np.bool_]:
    """For each question and each of `KS`, whether its evidence is among the first k memories."""
    similar = encode(one.questions) @ encode(one.texts).T
    order = np.argsort(-similar, axis=1, kind="stable")[:, : max(KS)]
    right = np.array(
        [
            [bool(one.sources[memory] & turns) for memory in row]
            for row, turns in zip(order, one.evidence, strict=True)
        ]
    )
    return np.stack([right[:, :k].any(1) for k in KS], axis=1)


def recall(folder: Path, memories: str, encode: Encode) -> dict[str, list[float]]:
    """Recall at each of `KS` for each conversation, and for ``all`` questions.

    Raises:
        SystemExit: the folder holds no conversation.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise SystemExit(f"{folder} holds no conversations")
    rows = {}
    for path in paths:
        one = conversation(path, memories)
        rows[one.name] = found(one, encode)
    rows["all"] = np.concatenate(list(rows.values()))
    return {name: [float(share) for share in each.mean(0)] for name, each in rows.items()}
