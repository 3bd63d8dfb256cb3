"""After any sequence of calls through two connections, with rollbacks and reopenings in between:
the statistics equal a recount, and a cached search equals one without a cache."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from isomem.store import keywords
from tests.unit.store import reference
from tests.unit.store.conftest import Opened
from tests.unit.store.fuzz import examples

WORDS = ("tea", "teas", "green", "the", "Ana", "drinking", "drinks", "house")
names = st.sampled_from([f"p{number}" for number in range(6)])
vectors = st.lists(st.integers(-4, 4).map(float), min_size=3, max_size=3)
texts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
SCOPES: list[dict[str, Any]] = [
    {}, {"user_id": "u"}, {"user_id": "u1"}, {"agent_id": "u"}, {"user_id": "u", "agent_id": "u"},
]  # fmt: skip
scopes = st.sampled_from(SCOPES)
payloads = st.builds(
    lambda scope, text, lemmas, number: {**scope, **text, **lemmas, "n": number},
    scopes,
    st.fixed_dictionaries({}, optional={"data": texts}),
    st.fixed_dictionaries({}, optional={"text_lemmatized": texts}),
    st.integers(0, 2),
)
queries = st.lists(st.sampled_from((*WORDS, "unknown")), min_size=1, max_size=3).map(" ".join)


class _UndoError(Exception):
    pass


class AnySequence(RuleBasedStateMachine):
    """Every rule goes through one of two connections to one file; a dict says what is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp()
        self.open: list[Opened] = []
        self.known: dict[str, tuple[list[float], dict[str, Any]]] = {}
        self.texts: dict[str, str | None] = {}

    @initialize(sizes=st.lists(st.sampled_from((0, 1_700, 10**6)), min_size=2, max_size=2))
    def start(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.open = [self._connect(size) for size in sizes]
        self.bare = self._connect(0)

    def _connect(self, size: int) -> Opened:
        # What is tested is which connection sees what, not the disk.
        path = Path(self.directory, "memory.db")
        return Opened(path, cache_bytes=size, dims=3, synchronous="off")

    # --- Rules ---

    def _note(self, name: str, vector: list[float], payload: dict[str, Any]) -> None:
        self.known[name] = vector, payload
        self.texts[name] = payload.get("text_lemmatized") or payload.get("data") or None

    @rule(which=st.integers(0, 1), points=st.lists(st.tuples(names, vectors, payloads), max_size=3))
    def insert(self, which: int, points: list[Any]) -> None:
        for name, vector, payload in points:
            self._note(name, vector, payload)
        ids, given, stored = map(list, zip(*points, strict=True)) if points else ([], [], [])
        self.open[which].points.insert(given, stored, ids)

    @rule(which=st.integers(0, 1), name=names, vector=vectors, payload=payloads)
    def replace(self, which: int, name: str, vector: list[float], payload: dict[str, Any]) -> None:
        self._note(name, vector, payload)
        self.open[which].points.update(name, vector, payload)

    @rule(which=st.integers(0, 1), name=names, payload=payloads)
    def overlay(self, which: int, name: str, payload: dict[str, Any]) -> None:
        if name in self.known:
            vector, old = self.known[name]
            self.known[name] = vector, {**old, **payload}
            self.open[which].points.update(name, payload=payload)

    @rule(which=st.integers(0, 1), name=names, vector=vectors)
    def move(self, which: int, name: str, vector: list[float]) -> None:
        if name in self.known:
            self.known[name] = vector, self.known[name][1]
            self.open[which].points.update(name, vector=vector)

    @rule(which=st.integers(0, 1), name=names)
    def delete(self, which: int, name: str) -> None:
        self.known.pop(name, None)
        self.texts.pop(name, None)
        self.open[which].points.delete(name)

    @rule(which=st.integers(0, 1))
    def reset(self, which: int) -> None:
        self.known.clear()
        self.texts.clear()
        self.open[which].points.reset()

    @rule(
        which=st.integers(0, 1),
        point=st.tuples(names, vectors, payloads),
        gone=names,
        scope=scopes,
        inner=st.booleans(),
    )
    def undo(self, which: int, point: Any, gone: str, scope: Any, inner: bool) -> None:
        points = self.open[which].points
        name, vector, payload = point

        def fail() -> None:
            with points.atomic():
                points.insert([vector], [payload], [name])
                points.delete(gone)
                points.search("", [1.0, 2.0, 3.0], 20, scope)
                raise _UndoError

        if inner:
            with points.atomic(), pytest.raises(_UndoError):
                fail()
        else:
            with pytest.raises(_UndoError):
                fail()

    @rule(which=st.integers(0, 1))
    def reopen(self, which: int) -> None:
        self.open[which].close()
        self.open[which] = self._connect(self.sizes[which])

    @precondition(lambda self: self.open)
    @invariant()
    def every_scope_is_searched_rightly(self) -> None:
        for scope in SCOPES:
            self._check(scope, [1.0, 2.0, -1.0], "tea drinking", None)

    @rule(scope=scopes, vector=vectors, query=queries, number=st.none() | st.integers(0, 2))
    def search(self, scope: dict[str, Any], vector: Any, query: str, number: int | None) -> None:
        self._check(scope, vector, query, number)

    def _check(self, scope: dict[str, Any], vector: Any, query: str, number: int | None) -> None:
        filters = scope if number is None else {**scope, "n": number}
        answers = [self._answers(one, vector, query, filters) for one in (*self.open, self.bare)]
        assert answers[0] == answers[1] == answers[2]
        members = {
            name
            for name, (_, payload) in self.known.items()
            if reference.in_scope(payload, filters)
        }
        near, worded, listed = answers[0]
        assert {name for name, _ in near} == members
        similar = reference.nearest(self.known, vector, filters)
        assert dict(near) == pytest.approx({name: similar[name] for name in members}, abs=1e-5)
        assert dict(worded) == pytest.approx(reference.bm25(self.texts, query, members), rel=1e-9)
        assert listed == [(name, self.known[name][1]) for name in sorted(members)]

    def _answers(self, one: Opened, vector: Any, query: str, filters: Any) -> Any:
        points = one.points
        near = [(hit.id, hit.score) for hit in points.search("", vector, 50, filters)]
        worded = [(hit.id, hit.score) for hit in points.keyword_search(query, 50, filters) or ()]
        listed = [(point.id, point.payload) for point in points.list(filters)[0]]
        return near, worded, listed

    # --- What always holds ---

    @precondition(lambda self: self.open)
    @invariant()
    def statistics_equal_a_recount(self) -> None:
        counted = reference.counts(self.texts)
        assert reference.stored_counts(self.bare.database, "mem0") == counted

    @precondition(lambda self: self.open)
    @invariant()
    def no_cache_is_larger_than_its_bound(self) -> None:
        for one, size in zip(self.open, self.sizes, strict=True):
            assert sum(scope.size_bytes for scope in one.cache._scopes.values()) <= size

    def teardown(self) -> None:
        for one in self.open:
            one.close()
        if self.open:
            self.bare.close()
        shutil.rmtree(self.directory)


@pytest.fixture(autouse=True)
def _count_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that many of the sequences go over the point where insertions are counted."""
    monkeypatch.setattr(keywords, "COUNTED_EVERY", 4)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = examples(40, steps=15)
