"""Batches against a plain model: ids that are there, that come twice, that detached points have;
blocks that are undone and come again; and the count of insertions that is crossed by all of these.

The model is a dict of points and a number for each, which is its place in the insertion order.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.store import keywords
from isomem.store.check import Finding, check
from isomem.text.terms import TermEncoder
from tests.unit.store import reference
from tests.unit.store.conftest import Opened
from tests.unit.store.fuzz import examples

LINKS = "linked_memory_ids"
UPPER, LOWER = "6F9619FF8B86D011B42D00C04FC964FF", "6f9619ff-8b86-d011-b42d-00c04fc964ff"
NAMES = ["a", "b", "c", "d", "e", UPPER, LOWER]
SCOPES: list[dict[str, str]] = [
    {}, {"user_id": "u"}, {"user_id": "v"}, {"user_id": "u", "run_id": "r"}, {"agent_id": "u"},
]  # fmt: skip
VECTORS = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.0, 0.0]]
QUERY, WORDS = [0.8, 0.6], "tea green house"

names = st.sampled_from(NAMES)
payloads = st.builds(
    lambda scope, text, number: {**scope, "data": text, "n": number},
    st.sampled_from(SCOPES),
    st.lists(st.sampled_from(("tea", "teas", "green", "the", "house")), max_size=3).map(" ".join),
    st.integers(0, 9),
)
batches = st.lists(st.tuples(names, st.sampled_from(VECTORS), payloads), min_size=1, max_size=8)
links = st.lists(st.sampled_from(NAMES[:5]), max_size=3)
entities = st.lists(st.tuples(names, st.sampled_from(SCOPES), links), min_size=1, max_size=5)
ids = st.sampled_from(SCOPES[1:])

steps = st.one_of(
    st.tuples(st.just("insert"), batches),
    st.tuples(st.just("undone, then again"), batches, st.booleans()),
    st.tuples(st.just("in one block"), batches, batches, st.booleans()),
    st.tuples(st.just("put"), batches.map(lambda batch: batch[:1])),
    st.tuples(st.just("overlay"), names, payloads),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("detach"), ids),
    st.tuples(st.just("detach, then insert"), ids, batches),
    st.tuples(st.just("sweep"), st.integers(1, 3)),
    st.tuples(st.just("link"), entities),
    st.tuples(st.just("unlink"), st.lists(names, min_size=1, max_size=2)),
    st.tuples(st.just("reset")),
    st.tuples(st.just("reopen")),
)


class Known(NamedTuple):
    order: int
    vector: list[float]
    payload: dict[str, Any]
    text: str | None
    """What keywords are taken from: that of the last full write."""


class Undo(Exception):  # noqa: N818
    """Ends a block that is to be undone."""


def spelt(name: str) -> str:
    return LOWER if name == UPPER else name


class Model:
    """The points of one collection."""

    def __init__(self) -> None:
        self.points: dict[str, Known] = {}
        self._order = 0

    def insert(self, batch: list[Any]) -> None:
        for name, vector, payload in batch:
            self._order += 1
            old = self.points.get(spelt(name))
            order = self._order if old is None else old.order
            self.points[spelt(name)] = Known(order, vector, payload, payload.get("data") or None)

    def overlay(self, name: str, payload: dict[str, Any]) -> bool:
        old = self.points.get(spelt(name))
        if old is not None:
            self.points[spelt(name)] = old._replace(payload={**old.payload, **payload})
        return old is not None

    def remove_scope(self, scope: dict[str, str]) -> None:
        self.points = {name: known for name, known in self.points.items()
                       if not reference.in_scope(known.payload, scope)}  # fmt: skip

    def nearest(self, scope: dict[str, str]) -> list[str]:
        """Best first; of equals, what was inserted last."""
        members = {name: known for name, known in self.points.items()
                   if reference.in_scope(known.payload, scope)}  # fmt: skip
        return sorted(members, key=lambda name: (
            -round(reference.cosine(members[name].vector, QUERY), 4), -members[name].order,
        ))  # fmt: skip


class Pair:
    """A file and the model of it."""

    def __init__(self, path: Path, cache_bytes: int) -> None:
        self._path, self._cache_bytes = path, cache_bytes
        self.one = self._open()
        self.memories, self.entities = Model(), Model()

    def _open(self) -> Opened:
        return Opened(self._path, cache_bytes=self._cache_bytes, dims=2, synchronous="off")

    def _store(self, batch: list[Any]) -> None:
        points = self.one.points
        points.insert([each[1] for each in batch], [each[2] for each in batch],
                      [each[0] for each in batch])  # fmt: skip

    def step(self, kind: str, *given: Any) -> None:
        getattr(self, f"_{kind.replace(', then ', '_').replace(' ', '_')}")(*given)

    def _insert(self, batch: list[Any]) -> None:
        self._store(batch)
        self.memories.insert(batch)

    def _undone_again(self, batch: list[Any], inner: bool) -> None:
        database = self.one.database
        if inner:
            with database.writing():
                self._undone(batch)
                self._store(batch)
        else:
            self._undone(batch)
            self.compare()
            self._store(batch)
        self.memories.insert(batch)

    def _undone(self, batch: list[Any]) -> None:
        with pytest.raises(Undo), self.one.database.atomic():
            self._store(batch)
            raise Undo

    def _in_one_block(self, first: list[Any], second: list[Any], kept: bool) -> None:
        with self.one.database.writing():
            self._store(first)
            if kept:
                self._store(second)
            else:
                self._undone(second)
        self.memories.insert(first)
        if kept:
            self.memories.insert(second)

    def _put(self, batch: list[Any]) -> None:
        ((name, vector, payload),) = batch
        self.one.points.update(name, vector, payload)
        self.memories.insert(batch)

    def _overlay(self, name: str, payload: dict[str, Any]) -> None:
        if self.memories.overlay(name, payload):
            self.one.points.update(name, payload=payload)

    def _delete(self, name: str) -> None:
        self.memories.points.pop(spelt(name), None)
        self.one.points.delete(name)

    def _detach(self, scope: dict[str, str]) -> None:
        self.one.points.detach(scope)
        self.memories.remove_scope(scope)

    def _detach_insert(self, scope: dict[str, str], batch: list[Any]) -> None:
        self._detach(scope)
        self._insert(batch)

    def _sweep(self, limit: int) -> None:
        self.one.points.sweep(limit)

    def _link(self, some: list[Any]) -> None:
        batch = [(name, VECTORS[0], {**scope, "data": name, LINKS: linked})
                 for name, scope, linked in some]  # fmt: skip
        self.one.entities.insert([each[1] for each in batch], [each[2] for each in batch],
                                 [each[0] for each in batch])  # fmt: skip
        self.entities.insert(batch)

    def _unlink(self, memory_ids: list[str]) -> None:
        self.one.entities.unlink_all(memory_ids, {})
        for name, known in [*self.entities.points.items()]:
            linked = known.payload[LINKS]
            left = [each for each in linked if each not in memory_ids]
            if left != linked:
                self.entities.overlay(name, {LINKS: left})
                if not left:
                    del self.entities.points[name]

    def _reset(self) -> None:
        self.one.points.reset()
        self.memories.points.clear()

    def _reopen(self) -> None:
        self.one.close()
        self.one = self._open()

    # --- What always holds ---

    def compare(self) -> None:
        """Everything that the file says of its points is what the model says."""
        memories, points = self.memories.points, self.one.points
        listed = [(point.id, point.payload) for point in points.list(None, None)[0]]
        assert listed == [(name, memories[name].payload) for name in sorted(memories)]
        for scope in SCOPES:
            found = [hit.id for hit in points.search("", QUERY, 50, scope)]
            assert found == self.memories.nearest(scope)
            worded = {hit.id: hit.score for hit in points.keyword_search(WORDS, 50, scope) or ()}
            texts = {name: known.text for name, known in memories.items()}
            assert worded.keys() <= set(found)
            if not points.has_detached():  # Those count until they are swept.
                scores = reference.bm25(texts, WORDS, set(found))
                assert worded == pytest.approx(scores, rel=1e-9)
        self._compare_entities()

    def _compare_entities(self) -> None:
        known = self.entities.points
        listed = [(each.id, each.payload) for each in self.one.entities.list(None, None)[0]]
        assert listed == [(name, known[name].payload) for name in sorted(known)]
        for memory_id in NAMES[:5]:
            linked = [name for name, each in known.items() if memory_id in each.payload[LINKS]]
            found = [each.id for each in self.one.entities.linked_to(memory_id)]
            assert found == sorted(linked, key=lambda name: known[name].order)

    def is_sound(self) -> None:
        """Nothing is wrong with the file but what was written into it on purpose."""
        findings = check(self.one.database, TermEncoder())
        assert [each for each in findings if not _is_meant(each)] == []


def _is_meant(finding: Finding) -> bool:
    """An overlay leaves the terms of the old text; links lead to memories that never were."""
    dangling = finding.kind == "links" and (
        ", which " in finding.message or finding.message.endswith(" to no memory")
    )
    return dangling or finding.message == "its terms are not those of its text"


@examples(60)
@given(
    some=st.lists(steps, max_size=14),
    every=st.sampled_from((3, 4, 7)),
    cache_bytes=st.sampled_from((0, 1_700, 10**6)),
)
def test_whatever_comes_in_batches_a_file_is_as_its_model(
    some: list[Any], every: int, cache_bytes: int
) -> None:
    folder = tempfile.mkdtemp()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keywords, "COUNTED_EVERY", every)
            pair = Pair(Path(folder, "memory.db"), cache_bytes)
            for kind, *given_ in some:
                pair.step(kind, *given_)
                pair.compare()
            pair.is_sound()
            pair.one.close()
    finally:
        shutil.rmtree(folder)
