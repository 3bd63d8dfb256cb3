"""Stand-ins that make a run repeatable: clock, ids, reranker, faults; embedder and model that can
fail, made from those of `isomem.testing`.

Both sides get their own set, made from the same script, so that neither can see the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from isomem.testing import ConstantEmbedder, HashEmbedder, ScriptedLLM

LEAN = 0.6  # common to all vectors: real embeddings of one language lean one way, too
TEXT_WEIGHT = 0.1  # of the whole text, beside 1 of its words
ACTION_WEIGHT = 0.01  # of the memory action


class StepClock:
    """A clock that stands still within a step, and ids that follow from the step's number.

    The ids of a step do not depend on how many ids earlier steps drew, so one divergence cannot
    shift every later id. They look random: `get_all` sorts by id, and if that happened to be the
    insertion order, it would prove little.
    """

    def __init__(self, start: str, step_s: float) -> None:
        self._time = datetime.fromisoformat(start)
        self._step_s = timedelta(seconds=step_s)
        self._step = 0
        self._drawn = {"id": 0, "row": 0}

    def begin(self, step: int) -> None:
        """Move to a step: later in time, and with its own ids."""
        if step > 0:
            self._time += self._step_s
        self.replay(step)

    def replay(self, step: int) -> None:
        """The same step once more: same time, same ids."""
        self._step = step
        self._drawn = {"id": 0, "row": 0}

    def advance(self, seconds: float) -> None:
        self._time += timedelta(seconds=seconds)

    def set(self, iso: str) -> None:
        self._time = datetime.fromisoformat(iso)

    def time(self) -> datetime:
        return self._time.astimezone(timezone.utc)

    def now(self) -> str:
        return self.time().isoformat()

    def today(self) -> str:
        return self.time().date().isoformat()

    def new_id(self) -> str:
        return self._draw("id")

    def new_row_id(self) -> str:
        return self._draw("row")

    def _draw(self, kind: str) -> str:
        self._drawn[kind] += 1
        seed = f"{kind}:{self._step}:{self._drawn[kind]}".encode()
        digits = hashlib.blake2b(seed, digest_size=16).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (RuntimeError, ValueError, KeyError, TimeoutError, ConnectionError, OSError)
}


@dataclass
class Fault:
    """One thing that goes wrong within a step.

    `on` names the call ("embed", "embed_batch", "llm", "rerank", "store.insert", "entities.search",
    "db.add_history", ...). It strikes `times` times (None: always) after `skip` calls that
    matched, when the call's text contains `match`. An "embed" fault with `vector` returns a bad
    vector instead of raising.
    """

    on: str
    match: str = ""
    times: int | None = None
    skip: int = 0
    error: str = "RuntimeError"
    message: str = "planted fault"
    vector: str = ""

    def strikes(self, call: str, text: str) -> bool:
        if call != self.on or self.match not in text or self.times == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def exception(self) -> Exception:
        return ERRORS[self.error](self.message)


@dataclass
class Faults:
    """The faults that are armed now; empty between steps."""

    armed: list[Fault] = field(default_factory=list)

    def arm(self, specs: Sequence[dict[str, Any]]) -> None:
        self.armed = [Fault(**spec) for spec in specs]

    def check(self, call: str, text: str = "") -> Fault | None:
        """Raise the fault that strikes here, if any; return it when it spoils a vector."""
        for fault in self.armed:
            if fault.strikes(call, text):
                if fault.vector:
                    return fault
                raise fault.exception()
        return None


@lru_cache(maxsize=20_000)
def hash_vector(text: str, action: str | None, dims: int) -> tuple[float, ...]:
    """The vector of the kit's embedder, plus a little of what it leaves out.

    The kit's embedder only sees words, not actions. Here no two texts share a vector, an embed call
    with a wrong action is noticed, and all vectors lean one way.
    """
    embed = HashEmbedder(dims).embed
    whole = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    lean = LEAN / dims**0.5
    parts = zip(embed(text), embed(whole), embed(f"action {action}"), strict=True)
    return tuple(
        round(lean + words + TEXT_WEIGHT * own + ACTION_WEIGHT * acting, 6)
        for words, own, acting in parts
    )


def _spoiled(kind: str, vector: list[float]) -> list[float]:
    if kind == "short":
        return vector[:-1]
    if kind == "zero":
        return [0.0] * len(vector)
    return [float(kind), *vector[1:]]  # "nan" or "inf"


class FallibleEmbedder:
    """Embeds by hashing; `fixed` pins the vectors of chosen texts, for exact scores.

    Args:
        dims: length of the vectors; None is the kit's constant for every text.
    """

    def __init__(
        self, dims: int | None, faults: Faults, fixed: dict[str, list[float]] | None = None
    ) -> None:
        self.constant = ConstantEmbedder() if dims is None else None
        self.dims = ConstantEmbedder().dims if dims is None else dims
        self.faults = faults
        self.fixed = fixed or {}

    def vector(self, text: str, action: str | None) -> list[float]:
        """What `embed` answers when nothing goes wrong."""
        if text in self.fixed:
            return list(self.fixed[text])
        if self.constant is not None:
            return self.constant.embed(text)
        return list(hash_vector(text, action, self.dims))

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        text.encode()  # as every provider does, to send it: refuses lone surrogates
        fault = self.faults.check("embed", text)
        vector = self.vector(text, memory_action)
        return _spoiled(fault.vector, vector) if fault else vector

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        self.faults.check("embed_batch", "\n".join(texts))
        return [self.embed(each, memory_action) for each in texts]


class FallibleLLM(ScriptedLLM):
    """Answers with the step's replies, one after the other, and then with no facts."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(default={"memory": []})
        self.faults = faults
        self.replies: list[Any] = []

    def begin(self, replies: Sequence[Any]) -> None:
        self.replies = list(replies)
        self.calls = []

    def generate_response(self, messages: list[dict[str, Any]], *args: Any, **options: Any) -> Any:
        # Deep: both sides go on with the lists of parts in a message.
        no_facts = super().generate_response(deepcopy(messages), *args, **options)
        self.faults.check("llm")
        return reply_text(self.replies.pop(0)) if self.replies else no_facts


def reply_text(reply: Any) -> Any:
    """A reply as the script writes it, as the text a model would send.

    A string is sent as it is; a list of strings are facts; {"raw": x} sends x, whatever it is;
    any other value is sent as JSON.
    """
    if isinstance(reply, str):
        return reply
    if isinstance(reply, dict) and set(reply) == {"raw"}:
        return reply["raw"]
    if isinstance(reply, list):
        reply = {"memory": [{"text": text} if isinstance(text, str) else text for text in reply]}
    return json.dumps(reply, ensure_ascii=False)


class StubReranker:
    """Reranks by rule: "reverse", "length" (of the memory), "first" (keeps one)."""

    def __init__(self, rule: str, faults: Faults) -> None:
        self.rule = rule
        self.faults = faults

    def rerank(
        self, query: str, documents: list[dict[str, Any]], top_k: int | None = None
    ) -> list[dict[str, Any]]:
        self.faults.check("rerank", query)
        scored = [{**doc, "rerank_score": 1 / (1 + len(doc["memory"]))} for doc in documents]
        if self.rule == "reverse":
            return scored[::-1]
        if self.rule == "first":
            return scored[:1]
        return sorted(scored, key=lambda doc: (doc["rerank_score"], doc["memory"], doc["id"]))


_OF_OURS = ("both", "batch", "batches")


class Flaky:
    """A store or a ledger whose methods can fail; everything else passes through.

    It has none of the methods by which a store of isomem's does several things at once: a fault is
    planted in one of mem0's.
    """

    def __init__(self, inner: Any, name: str, faults: Faults) -> None:
        self.inner = inner
        self._name = name
        self._faults = faults

    def __getattr__(self, attribute: str) -> Any:
        if attribute in _OF_OURS:
            raise AttributeError(attribute)
        value = getattr(self.inner, attribute)
        return self._guarded(attribute, value) if callable(value) else value

    def _guarded(self, attribute: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            told = json.dumps([args, kwargs], default=str, ensure_ascii=False)
            self._faults.check(f"{self._name}.{attribute}", told)
            return method(*args, **kwargs)

        return call
