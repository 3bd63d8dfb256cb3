"""A file under any sequence of writes and changes of the embedder, against a model of it.

At any time, all its vectors are made by one embedder, and nothing that was stored is lost: not when
others write in between, and not when a run is cut off at any of its steps.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cache
from operator import sub
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from isomem import InvalidConfigError, Memory
from isomem.reembed import reembed
from isomem.store.check import check
from isomem.store.codec import load_payload, load_vector
from isomem.store.new_vectors import NewVectors
from isomem.store.reembedding import Reembedding
from isomem.store.snapshot import snapshot
from isomem.testing import HashEmbedder, ScriptedLLM
from isomem.text.tiers import load_encoder

EMBEDDERS = (8, 16, 24)
"""The embedders differ by the length of their vectors."""

COLLECTIONS = ("mem0", "other")
WORDS = ("tea", "Lisbon", "Ana Silva", "the dog of Bruno Costa", "box 7", "Ana Silva in Porto")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" and ".join)
users = st.sampled_from(["u1", "u2"])
collections = st.sampled_from(COLLECTIONS)
numbers = st.integers(0, 1000)

STEPS = {
    "check_writable": Reembedding,
    "replace": Reembedding,
    "_replace_page": Reembedding,
    "put": NewVectors,
    "remove": NewVectors,
}
"""Where a run can be cut off: before or after one of these."""


@cache
def made(dims: int, text: str) -> list[float]:
    return HashEmbedder(dims).embed(text)


class CutOff(BaseException):
    """The run ends here, as if by a signal."""


class Store(RuleBasedStateMachine):
    """Writes to two collections of a file, and changes its embedder."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.path = str(Path(folder) / "memory.db")
        self.history = str(Path(folder) / "history.db")
        self.dims = EMBEDDERS[0]
        self.stored: dict[str, tuple[str, str, str]] = {}
        self.deleted: set[str] = set()
        self.open: dict[str, Memory] = {}

    def config(self, collection: str = "mem0", dims: int | None = None) -> dict[str, Any]:
        store = {"path": self.path, "collection_name": collection, "synchronous": "off"}
        return {
            "vector_store": {"provider": "embedded", "config": store},
            "embedder": {"provider": "mock", "config": {"embedding_dims": dims or self.dims}},
            "llm": {"provider": "mock"},
            "history_db_path": self.history,
        }

    def memory(self, collection: str) -> Memory:
        if collection not in self.open:
            self.open[collection] = Memory.from_config(self.config(collection))
        return self.open[collection]

    def close(self) -> None:
        while self.open:
            self.open.popitem()[1].close()

    def teardown(self) -> None:
        self.close()
        self.stack.close()

    # --- Writes --------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        for collection in COLLECTIONS:
            self.add(collection, "Ana Silva", "u1")

    @rule(collection=collections, text=texts, user=users)
    def add(self, collection: str, text: str, user: str) -> None:
        [new] = self.memory(collection).add(text, user_id=user, infer=False)["results"]
        self.stored[new["id"]] = (collection, text, user)

    @rule(collection=collections, text=texts, user=users)
    def add_with_entities(self, collection: str, text: str, user: str) -> None:
        memory = self.memory(collection)
        memory.llm = ScriptedLLM([{"memory": [{"text": f"{text} with Eva Novak"}]}])
        for new in memory.add(text, user_id=user)["results"]:
            self.stored[new["id"]] = (collection, new["memory"], user)

    @precondition(lambda self: self.stored)
    @rule(number=numbers, text=texts)
    def update(self, number: int, text: str) -> None:
        memory_id, (collection, _, user) = self.pick(number)
        self.memory(collection).update(memory_id, text)
        self.stored[memory_id] = (collection, text, user)

    @precondition(lambda self: len(self.stored) > 1)
    @rule(number=numbers)
    def delete(self, number: int) -> None:
        memory_id, (collection, *_) = self.pick(number)
        self.memory(collection).delete(memory_id)
        del self.stored[memory_id]
        self.deleted.add(memory_id)

    def pick(self, number: int) -> tuple[str, tuple[str, str, str]]:
        return list(self.stored.items())[number % len(self.stored)]

    # --- Another embedder ----------------------------------------------------------------

    @rule(dims=st.sampled_from(EMBEDDERS))
    def change_embedder(self, dims: int) -> None:
        changes = dims != self.dims
        points = len(self.points())
        result = reembed(self.config(dims=dims))
        assert (result["replaced"], result["without_text"]) == (points if changes else 0, 0)
        assert result["embedded"] <= result["replaced"]
        self.now(dims)

    @rule(dims=st.sampled_from(EMBEDDERS), writes=st.lists(
        st.tuples(st.sampled_from(["add", "update", "delete"]), collections, numbers, texts, users),
        max_size=4))  # fmt: skip
    def change_while_others_write(self, dims: int, writes: list[Any]) -> None:
        if dims == self.dims:
            return
        left = list(writes)

        def write(done: int, total: int) -> None:
            assert 0 <= done <= total
            if left:
                name, collection, number, text, user = left.pop()
                self.write(name, collection, number, text, user)

        reembed(self.config(dims=dims), progress=write)
        self.now(dims)

    def write(self, name: str, collection: str, number: int, text: str, user: str) -> None:
        if name == "add":
            self.add(collection, text, user)
        elif name == "update":
            self.update(number, text)
        elif len(self.stored) > 1:
            self.delete(number)

    @rule(
        dims=st.sampled_from(EMBEDDERS),
        step=st.sampled_from(sorted(STEPS)),
        after=st.booleans(),
        count=st.integers(1, 2),
    )
    def change_is_cut_off(self, dims: int, step: str, after: bool, count: int) -> None:
        owner: Any = STEPS[step]
        whole, calls = getattr(owner, step), 0

        def cut(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == count and not after:
                raise CutOff
            result = whole(*arguments)
            if calls == count:
                raise CutOff
            return result

        setattr(owner, step, cut)
        try:
            reembed(self.config(dims=dims))
        except CutOff:
            replaced = step == "remove" or (step == "replace" and after)
            self.now(dims if replaced else self.dims)
        else:
            self.now(dims)
        finally:
            setattr(owner, step, whole)

    def now(self, dims: int) -> None:
        """From now on the vectors are those of that embedder, and the former one is refused."""
        old, self.dims = self.dims, dims
        if old == dims:
            return
        in_use = {collection for collection, *_ in self.stored.values()}
        for collection, memory in self.open.items():
            try:
                found = memory.search("tea", filters={"user_id": "u1"})
            except InvalidConfigError as error:
                told = f"{error} {error.suggestion}"
            else:
                told = ""
                assert found == {"results": []}, "vectors of two embedders were compared"
            assert "isomem reembed" in told or collection not in in_use
        self.close()

    # --- What is always so ---------------------------------------------------------------

    def points(self) -> list[tuple[str, str, str, list[float]]]:
        sql = (
            "SELECT c.name, p.id, p.payload, p.vector FROM points AS p"
            " JOIN collections AS c ON c.number = p.collection"
        )
        with snapshot(self.path) as connection:
            return [
                (name, point_id, load_payload(payload)["data"], load_vector(vector))
                for name, point_id, payload, vector in connection.execute(sql)
            ]

    @invariant()
    def all_vectors_are_of_one_embedder(self) -> None:
        if not Path(self.path).exists():
            return
        for _, _, text, vector in self.points():
            assert len(vector) == self.dims
            assert max(map(abs, map(sub, vector, made(self.dims, text)))) < 1e-6, text

    @invariant()
    def nothing_is_lost(self) -> None:
        if not Path(self.path).exists():
            return
        found = {
            point_id: (name, text)
            for name, point_id, text, _ in self.points()
            if not name.endswith("_entities")
        }
        expected = {key: (name, text) for key, (name, text, _) in self.stored.items()}
        assert found == expected
        with snapshot(self.path) as connection:
            assert check(connection, load_encoder("builtin", {})) == []

    @rule(number=numbers)
    def what_is_stored_is_found(self, number: int) -> None:
        memory_id, (collection, text, user) = self.pick(number)
        memory = self.memory(collection)
        hits = memory.search(text, filters={"user_id": user}, top_k=100)["results"]
        assert text in {hit["memory"] for hit in hits}
        assert memory.history(memory_id)[0]["event"] == "ADD"
        assert all(memory.history(each)[-1]["event"] == "DELETE" for each in self.deleted)


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=15,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
