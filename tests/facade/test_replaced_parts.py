"""Every part can be an object that has upstream's methods and nothing else; each may fail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from isomem.errors import ConfigurationError, DatabaseError
from isomem.testing import HashEmbedder
from tests.facade.conftest import Face, facts

Make = Callable[..., Face]
U = {"user_id": "u"}


class Embedder:
    def __init__(self) -> None:
        self._inner = HashEmbedder(16)

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return self._inner.embed(text)

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        return [self.embed(text) for text in texts]


class Model:
    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def generate_response(
        self, messages: Any, response_format: Any = None, tools: Any = None,
        tool_choice: str = "auto", **kwargs: Any,
    ) -> str:  # fmt: skip
        import json

        return json.dumps(facts(*self.texts))


def similarity(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


class Store:
    """A vector store in a dict, as a plug-in for upstream would be written."""

    def __init__(self) -> None:
        self.points: dict[str, tuple[list[float], dict[str, Any]]] = {}
        self.failing: dict[str, Exception] = {}

    def _enter(self, name: str) -> None:
        if name in self.failing:
            raise self.failing[name]

    def _matching(self, filters: Any) -> dict[str, Any]:
        return {
            name: (vector, payload)
            for name, (vector, payload) in sorted(self.points.items())
            if all(payload.get(key) == value for key, value in (filters or {}).items())
        }

    def insert(self, vectors: Any, payloads: Any = None, ids: Any = None) -> None:
        self._enter("insert")
        for name, vector, payload in zip(ids, vectors, payloads, strict=True):
            if self.failing.get(f"insert {payload['data']}"):
                raise self.failing[f"insert {payload['data']}"]
            self.points[name] = (vector, dict(payload))

    def search(self, query: str, vectors: Any, top_k: int = 5, filters: Any = None) -> Any:
        self._enter("search")
        hits = [
            SimpleNamespace(id=name, score=similarity(vectors, vector), payload=dict(payload))
            for name, (vector, payload) in self._matching(filters).items()
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:top_k]

    def search_batch(
        self, queries: Any, vectors_list: Any, top_k: int = 1, filters: Any = None
    ) -> Any:
        self._enter("search_batch")
        return [self.search("", vector, top_k, filters) for vector in vectors_list]

    def keyword_search(self, query: str, top_k: int = 5, filters: Any = None) -> Any:
        self._enter("keyword_search")
        return None

    def get(self, vector_id: str) -> Any:
        self._enter("get")
        found = self.points.get(vector_id)
        return found and SimpleNamespace(id=vector_id, payload=dict(found[1]))

    def list(self, filters: Any = None, top_k: int = 100) -> Any:
        self._enter("list")
        found = self._matching(filters).items()
        return [[SimpleNamespace(id=n, payload=dict(p)) for n, (_, p) in found][:top_k]]

    def update(self, vector_id: str, vector: Any = None, payload: Any = None) -> None:
        self._enter("update")
        old = self.points[vector_id]
        self.points[vector_id] = (vector or old[0], dict(payload or old[1]))

    def delete(self, vector_id: str) -> None:
        self._enter("delete")
        del self.points[vector_id]

    def reset(self) -> None:
        self._enter("reset")
        self.points.clear()


class Iterating(Store):
    """A store that returns its hits one by one."""

    def search(self, *args: Any, **kwargs: Any) -> Any:
        return iter(super().search(*args, **kwargs))

    def list(self, *args: Any, **kwargs: Any) -> Any:
        return iter(super().list(*args, **kwargs)[0])


class Ledger:
    """A ledger in lists."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.messages: list[Any] = []
        self.failing: dict[str, Exception] = {}
        self.closed = 0

    def _enter(self, name: str) -> None:
        if name in self.failing:
            raise self.failing[name]

    def add_history(
        self, memory_id: str, old_memory: Any, new_memory: Any, event: str, *,
        created_at: Any = None, updated_at: Any = None, is_deleted: int = 0, actor_id: Any = None,
        role: Any = None,
    ) -> None:  # fmt: skip
        self._enter("add_history")
        self.rows.append({"memory_id": memory_id, "event": event})

    def batch_add_history(self, records: Any) -> None:
        self._enter("batch_add_history")
        self.rows += records

    def get_history(self, memory_id: str) -> Any:
        self._enter("get_history")
        return [row for row in self.rows if row["memory_id"] == memory_id]

    def save_messages(self, messages: Any, session_scope: str) -> None:
        self._enter("save_messages")
        self.messages += messages

    def get_last_messages(self, session_scope: str, limit: int = 10) -> Any:
        self._enter("get_last_messages")
        return self.messages[-limit:]

    def reset(self) -> None:
        self.rows, self.messages = [], []

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def foreign(make: Make) -> Face:
    """A memory in which nothing of ours is left but the pipeline."""
    memory = make()
    memory.vector_store.database.close()
    memory.embedding_model = Embedder()
    memory.llm = Model("We gave Ana Silva a cat")
    memory.vector_store, memory.entity_store = Store(), Store()
    memory.db = Ledger()
    return memory


def test_everything_works_with_parts_of_others(foreign: Face) -> None:
    (one,) = [each["id"] for each in foreign.add("hello", **U)["results"]]
    assert foreign.search("a cat for Ana Silva", filters=U)["results"][0]["id"] == one
    assert foreign.get(one)["memory"] == "We gave Ana Silva a cat"
    assert foreign.memories() == ["We gave Ana Silva a cat"]
    (entity,) = foreign.entity_store.points.values()
    assert entity[1]["linked_memory_ids"] == [one]
    foreign.llm = Model("We gave Ana Silva a dog")
    (two,) = [each["id"] for each in foreign.add("hello", **U)["results"]]
    assert foreign.add("hello", **U) == {"results": []}
    (entity,) = foreign.entity_store.points.values()
    assert entity[1]["linked_memory_ids"] == sorted([one, two])
    foreign.update(one, "We gave Bruno Costa a cat")
    assert [row["event"] for row in foreign.history(one)] == ["ADD", "UPDATE"]
    linked = {p["data"]: p["linked_memory_ids"] for _, p in foreign.entity_store.points.values()}
    assert linked == {"Ana Silva": [two], "Bruno Costa": [one]}
    foreign.add("raw", **U, infer=False)
    foreign.delete(one)
    assert len(foreign.entity_store.points) == 1
    foreign.delete_all(**U)
    assert foreign.vector_store.points == {} == foreign.entity_store.points
    foreign.reset()
    foreign.close()
    assert foreign.db.closed


@pytest.mark.parametrize("profile", ["2.0.4", "2.2.1"])
def test_a_store_may_return_its_hits_one_by_one(make: Make, profile: str) -> None:
    """mem0 only iterates over them."""
    face = make(profile=profile)
    face.vector_store = Iterating()
    for number in range(4):
        expires = "2020-01-01" if number % 2 else None
        face.add(f"tea {number}", **U, infer=False, expiration_date=expires)
    face.learn("Ana likes tea")
    shown = ["Ana likes tea", "tea 0", "tea 2"]
    found = face.search("tea 0", filters=U, threshold=0.0)["results"]
    assert "tea 0" in {each["memory"] for each in found} <= set(shown)
    assert sorted(face.memories()) == shown
    assert face.count(U) == face.get_all(filters=U, page_size=5)["total"] == 3
    assert face.sweep() == 2


def test_a_part_can_be_replaced_alone(memory: Face) -> None:
    memory.db = Ledger()
    memory.learn("Likes tea")
    assert len(memory.db.rows) == len(memory.db.messages) == 1
    assert memory.state()["history"] == []
    memory.entity_store = Store()
    (one,) = memory.learn("We gave Ana Silva a cat")
    assert len(memory.entity_store.points) == 1
    memory.delete(one)
    assert memory.entity_store.points == {}


BOOM = RuntimeError("boom")


@pytest.mark.parametrize("method", ["search", "insert"])
def test_a_store_that_fails_fails_an_add_and_nothing_else_is_stored(
    foreign: Face, method: str
) -> None:
    foreign.vector_store.failing[method] = BOOM
    with pytest.raises(RuntimeError, match="boom"):
        foreign.add("hello", **U)
    assert foreign.db.rows == []
    assert foreign.vector_store.points == foreign.entity_store.points == {}
    if method == "insert":
        with pytest.raises(RuntimeError, match="boom"):
            foreign.add("raw", **U, infer=False)
        assert foreign.db.rows == []


def test_what_was_not_stored_is_not_reported(
    foreign: Face, caplog: pytest.LogCaptureFixture
) -> None:
    foreign.llm = Model("good", "We gave bad Ana Silva a cat", "fine")
    foreign.vector_store.failing["insert We gave bad Ana Silva a cat"] = BOOM
    added = foreign.add("hello", **U)["results"]
    assert [each["memory"] for each in added] == ["good", "fine"]
    assert [row["memory_id"] for row in foreign.db.rows] == [each["id"] for each in added]
    assert foreign.entity_store.points == {}
    assert "Failed to insert memory" in caplog.text
    assert len(foreign.db.messages) == 1


@pytest.mark.parametrize("method", ["search_batch", "insert", "update"])
def test_an_entity_store_that_fails_costs_the_links_alone(
    foreign: Face, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    foreign.add("hello", **U)
    foreign.entity_store.failing[method] = BOOM
    foreign.llm = Model("We gave Ana Silva a dog", "We gave Bruno Costa a cow")
    assert len(foreign.add("hello", **U)["results"]) == 2
    assert len(foreign.vector_store.points) == 3
    assert "boom" in caplog.text
    assert len(foreign.db.messages) == 2


def test_an_entity_store_that_fails_costs_a_search_its_boosts_alone(
    foreign: Face, caplog: pytest.LogCaptureFixture
) -> None:
    foreign.add("hello", **U)
    foreign.entity_store.failing["search"] = BOOM
    assert foreign.search("a cat for Ana Silva", filters=U)["results"]
    assert "Entity boosts are incomplete: boom" in caplog.text


@pytest.mark.parametrize("method", ["list", "delete", "update", "search", "insert"])
def test_an_entity_store_that_fails_stops_no_update_and_no_delete(
    foreign: Face, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    foreign.llm = Model("We gave Ana Silva a cat", "We gave Ana Silva a dog")
    one, two = [each["id"] for each in foreign.add("hello", **U)["results"]]
    foreign.entity_store.failing[method] = BOOM
    foreign.update(one, "We gave Bruno Costa a cat")
    foreign.delete(one)
    foreign.delete(two)
    assert foreign.vector_store.points == {}
    assert "boom" in caplog.text


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("get_last_messages", lambda memory: memory.add("hello", **U)),
        ("batch_add_history", lambda memory: memory.add("hello", **U)),
        ("save_messages", lambda memory: memory.add("hello", **U)),
        ("batch_add_history", lambda memory: memory.add("raw", **U, infer=False)),
    ],
)
def test_a_ledger_that_fails_fails_the_call_and_our_store_takes_nothing(
    memory: Face, method: str, call: Any
) -> None:
    before = memory.state()
    memory.db = Ledger()
    memory.db.failing[method] = BOOM
    memory.say(facts("We gave Ana Silva a cat"))
    with pytest.raises(RuntimeError, match="boom"):
        call(memory)
    assert memory.state() == before


def test_a_ledger_that_fails_undoes_an_update_and_a_delete(memory: Face) -> None:
    (one,) = memory.learn("We gave Ana Silva a cat")
    before = memory.state()
    memory.db = Ledger()
    memory.db.failing["add_history"] = BOOM
    for call in (
        lambda: memory.update(one, "We gave Bruno Costa a dog"),
        lambda: memory.delete(one),
        lambda: memory.delete_all(**U),
    ):
        with pytest.raises(RuntimeError, match="boom"):
            call()
    assert memory.state() == before


@pytest.mark.parametrize("method", ["search", "keyword_search"])
def test_a_store_that_fails_fails_a_search(foreign: Face, method: str) -> None:
    foreign.vector_store.failing[method] = BOOM
    with pytest.raises(RuntimeError, match="boom"):
        foreign.search("x", filters=U)


def test_a_store_that_fails_a_look_up_fails_the_update_by_its_id(foreign: Face) -> None:
    foreign.vector_store.failing["get"] = BOOM
    with pytest.raises(ValueError, match="Error getting memory with ID x") as caught:
        foreign.update("x", "y")
    assert caught.value.__cause__ is BOOM
    with pytest.raises(RuntimeError, match="boom"):
        foreign.delete("x")


class FailingEmbedder(Embedder):
    def __init__(self, fails: Callable[[Any, str | None], bool], batch: bool = False) -> None:
        super().__init__()
        self.fails = fails
        self.batch = batch

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        if self.fails(text, memory_action):
            raise BOOM
        return super().embed(text)

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
        if self.batch:
            raise BOOM
        return super().embed_batch(texts)


@pytest.mark.parametrize("action", ["search", "add", "update"])
def test_an_embedder_that_fails_fails_what_needs_it_and_stores_nothing(
    foreign: Face, action: str
) -> None:
    (one,) = [each["id"] for each in foreign.add("raw", **U, infer=False)["results"]]
    rows = list(foreign.db.rows)
    foreign.embedding_model = FailingEmbedder(lambda text, asked: asked == action)
    calls = {
        "search": [
            lambda: foreign.add("hello", **U),
            lambda: foreign.search("x", filters=U),
        ],
        "add": [lambda: foreign.add("x", **U, infer=False)],
        "update": [lambda: foreign.update(one, "x")],
    }
    for call in calls[action]:
        with pytest.raises(RuntimeError, match="boom"):
            call()
    assert foreign.memories() == ["raw"]
    assert foreign.db.rows == rows
    assert foreign.db.messages == []


def test_facts_and_entities_are_embedded_one_by_one_when_together_fails(
    foreign: Face, caplog: pytest.LogCaptureFixture
) -> None:
    foreign.embedding_model = FailingEmbedder(
        lambda text, action: text == "Bruno Costa", batch=True
    )
    foreign.llm = Model("We gave Ana Silva a cat", "We gave Bruno Costa a dog")
    assert len(foreign.add("hello", **U)["results"]) == 2
    names = [payload["data"] for _, payload in foreign.entity_store.points.values()]
    assert names == ["Ana Silva"]
    assert "Failed to embed the entity 'Bruno Costa'" in caplog.text


def test_when_no_fact_can_be_embedded_the_messages_are_still_remembered(foreign: Face) -> None:
    foreign.embedding_model = FailingEmbedder(lambda text, action: action == "add", batch=True)
    assert foreign.add("hello", **U) == {"results": []}
    assert foreign.vector_store.points == {}
    assert len(foreign.db.messages) == 1


def test_a_language_model_that_fails_costs_the_entities_alone(
    memory: Face, caplog: pytest.LogCaptureFixture
) -> None:
    tier = memory.nlp

    class Tier:
        lemmatize = staticmethod(tier.lemmatize)
        entities = staticmethod(tier.entities)

        def entities_batch(self, texts: Any) -> Any:
            raise BOOM

    memory.nlp = Tier()
    memory.learn("We gave Ana Silva a cat")
    assert memory.memories() == ["We gave Ana Silva a cat"]
    assert memory.entities() == {}
    assert "boom" in caplog.text


ODD_ENTITIES: list[Any] = [None, 5, "PROPER", {"PROPER": "Ana"}, ["ab"], [("PROPER",)], [("x", 5)],
                           [None], [("a", "b", "c")], iter(())]  # fmt: skip


def odd_tier(memory: Face, **methods: Any) -> None:
    """A language tier of somebody else's, some of whose methods give what they should not."""
    names = ("lemmatize", "entities", "entities_batch")
    kept = {name: getattr(memory.nlp, name) for name in names}
    given_ = {name: lambda _, answer=answer: answer for name, answer in methods.items()}
    memory.nlp = SimpleNamespace(**{**kept, **given_})


@pytest.mark.parametrize("lemmas", [None, 5, b"tea", ["tea"]])
def test_lemmas_that_are_not_text_are_refused_by_name(memory: Face, lemmas: Any) -> None:
    (one,) = memory.learn("We gave Ana Silva a cat")
    before = memory.state()
    odd_tier(memory, lemmatize=lemmas)
    for call in (
        lambda: memory.add("tea", **U, infer=False),
        lambda: memory.learn("We gave Bruno Costa a dog"),
        lambda: memory.update(one, "tea"),
        lambda: memory.search("tea", filters=U),
    ):
        with pytest.raises(ConfigurationError, match="lemmatize of the language tier must give a"):
            call()
    assert memory.state() == before


@pytest.mark.parametrize("entities", ODD_ENTITIES, ids=repr)
def test_entities_of_an_odd_shape_are_refused_by_name(memory: Face, entities: Any) -> None:
    (one,) = memory.learn("We gave Ana Silva a cat")
    before = memory.state()
    odd_tier(memory, entities=entities)
    for call in (lambda: memory.update(one, "tea"), lambda: memory.search("tea", filters=U)):
        with pytest.raises(ConfigurationError, match="entities of the language tier must give a"):
            call()
    assert memory.state() == before


@pytest.mark.parametrize(
    "found", [*ODD_ENTITIES, [], [[], []], *([each] for each in ODD_ENTITIES)], ids=repr
)
def test_entities_of_an_odd_shape_cost_an_add_the_links_alone(
    memory: Face, found: Any, caplog: pytest.LogCaptureFixture
) -> None:
    odd_tier(memory, entities_batch=found)
    memory.learn("We gave Ana Silva a cat")
    assert memory.memories() == ["We gave Ana Silva a cat"]
    assert memory.entities() == {}
    assert "entities_batch of the language tier must give" in caplog.text


def test_entities_may_be_lists_where_pairs_are_expected(memory: Face) -> None:
    odd_tier(memory, entities_batch=([["PROPER", "Ana Silva"]],))
    memory.learn("We gave Ana Silva a cat")
    assert set(memory.entities()) == {"Ana Silva"}


def test_keyword_hits_may_be_dicts(foreign: Face) -> None:
    (one,) = [each["id"] for each in foreign.add("tea", **U, infer=False)["results"]]
    plain = foreign.search("tea", filters=U)["results"][0]["score"]
    foreign.vector_store.keyword_search = lambda **_: [
        {"id": one, "score": 8.0}, {"id": "other", "score": 0}, {"id": "none"},
    ]  # fmt: skip
    assert foreign.search("tea", filters=U)["results"][0]["score"] != plain
    foreign.vector_store.keyword_search = lambda **_: []
    assert foreign.search("tea", filters=U)["results"][0]["score"] == plain


def test_a_store_may_list_in_any_of_the_usual_shapes(foreign: Face) -> None:
    foreign.add("tea", **U, infer=False)
    points = foreign.vector_store.list()[0]
    for shape in (points, [points], (points, None), tuple(points)):
        foreign.vector_store.list = lambda shape=shape, **_: shape
        assert foreign.memories() == ["tea"]
    for shape in (None, [], [[]], ([], None)):
        foreign.vector_store.list = lambda shape=shape, **_: shape
        assert foreign.memories() == []


def test_an_entity_without_a_list_of_links_says_nothing(foreign: Face) -> None:
    foreign.add("hello", **U)
    for _, payload in foreign.entity_store.points.values():
        payload["linked_memory_ids"] = "text"
    assert foreign.search("a cat for Ana Silva", filters=U)["results"]
    for _, payload in foreign.entity_store.points.values():
        payload["linked_memory_ids"] = None
    foreign.delete_all(**U)


def test_a_part_that_logs_is_heard_under_one_name(
    foreign: Face, caplog: pytest.LogCaptureFixture
) -> None:
    foreign.llm = SimpleNamespace()  # Has none of the methods.
    with caplog.at_level(logging.ERROR, "isomem"):
        assert foreign.add("hello", **U) == {"results": []}
    assert {record.name for record in caplog.records} == {"isomem"}


def test_a_mistake_of_ours_in_linking_undoes_the_call(memory: Face, monkeypatch: Any) -> None:
    """Only what is not ours may cost links; a planted TypeError comes out, and nothing is lost."""
    (one,) = memory.learn("We gave Ana Silva a cat")
    before = memory.state()
    entities: Any = memory.entity_store
    for (where, method), calls in {
        (entities.writer, "insert"): [
            lambda: memory.add("hi", **U), lambda: memory.update(one, "We met Carla Dias"),
        ],
        (entities.reader, "nearest"): [lambda: memory.add("hi", **U)],
        (entities.reader, "scope"): [lambda: memory.update(one, "We met Carla Dias")],
        (entities.links, "merge"): [lambda: memory.add("hi", **U)],
        (entities, "unlink_all"): [lambda: memory.delete(one)],
    }.items():  # fmt: skip
        for call in calls:
            memory.say(("We gave Ana Silva a dog", "We gave Bruno Costa a cow"))
            with monkeypatch.context() as patched:
                patched.setattr(where, method, lambda: None)  # Takes no arguments.
                with pytest.raises(TypeError):
                    call()
            assert memory.state() == before, method
    memory.update(one, "We gave Carla Dias a cat")
    assert list(memory.entities()) == ["Carla Dias"]


def test_a_failed_statement_in_linking_undoes_the_call(memory: Face, monkeypatch: Any) -> None:
    (one,) = memory.learn("We gave Ana Silva a cat")
    before = memory.state()
    with memory.vector_store.database.writing() as database:
        database.execute(
            "CREATE TEMP TRIGGER refuse BEFORE DELETE ON main.linked_memories"
            " BEGIN SELECT raise(ABORT, 'refused'); END"
        )
    for call in (lambda: memory.update(one, "We met Carla Dias"), lambda: memory.delete(one)):
        with pytest.raises(DatabaseError):
            call()
        assert memory.state() == before


class InPlace(Store):
    """Hands out its own payloads, and changes them in place."""

    def get(self, vector_id: str) -> Any:
        found = self.points.get(vector_id)
        return found and SimpleNamespace(id=vector_id, payload=found[1])

    def update(self, vector_id: str, vector: Any = None, payload: Any = None) -> None:
        old = self.points[vector_id][1]
        fresh = dict(payload)
        old.clear()
        old.update(fresh)


def test_the_history_has_the_text_of_before_though_a_store_changes_it_in_place(
    foreign: Face,
) -> None:
    foreign.vector_store = InPlace()
    foreign.db = Rows()
    (one,) = [each["id"] for each in foreign.add("old", **U, infer=False)["results"]]
    foreign.update(one, "new")
    foreign.delete(one)
    events = [(row["old_memory"], row["new_memory"]) for row in foreign.db.rows]
    assert events == [(None, "old"), ("old", "new"), ("new", None)]


class Rows(Ledger):
    """A ledger that keeps what it is told."""

    def add_history(
        self, memory_id: str, old_memory: Any, new_memory: Any, event: str, **fields: Any
    ) -> None:
        self.rows.append({"old_memory": old_memory, "new_memory": new_memory, "event": event})


@pytest.mark.parametrize("call", ["update", "delete", "delete_all"])
def test_a_store_that_fails_takes_its_history_row_back(memory: Face, call: str) -> None:
    (one,) = memory.learn("We gave Ana Silva a cat")
    before = memory.history(one)
    store = memory.vector_store = Store()
    store.points[one] = ([1.0] * 64, {"data": "We gave Ana Silva a cat", **U})
    store.failing["update"] = store.failing["delete"] = BOOM
    arguments = {"update": (one, "x"), "delete": (one,), "delete_all": ("u",)}[call]
    with pytest.raises(RuntimeError, match="boom"):
        getattr(memory, call)(*arguments)
    assert memory.history(one) == before


def test_the_ledger_is_not_locked_while_a_foreign_store_is_called(
    make: Make, tmp_path: Any
) -> None:
    memory = make(tmp_path / "m.db", store={"busy_timeout_s": 0.05})
    other = make(tmp_path / "m.db", store={"busy_timeout_s": 0.05})
    memory.learn("We gave Ana Silva a cat")

    class Watching(Store):
        def _enter(self, name: str) -> None:
            other.db.add_history("other", None, name, "ADD")

    memory.vector_store, memory.entity_store = Watching(), Watching()
    one, two = memory.learn("We gave Ana Silva a dog", "We gave Bruno Costa a cow")
    memory.update(one, "We gave Carla Dias a cat")
    memory.delete(two)
    memory.delete_all(**U)
    assert len(other.history("other")) > 10


def test_every_part_is_closed_once(foreign: Face) -> None:
    closed: list[str] = []

    def closing(part: Any, name: str) -> Any:
        part.close = lambda: closed.append(name)
        return part

    for name in ("llm", "embedding_model", "vector_store", "entity_store", "db"):
        setattr(foreign, name, closing(getattr(foreign, name), name))
    foreign.reranker = closing(SimpleNamespace(), "reranker")
    foreign.close()
    assert sorted(closed) == sorted(
        ["llm", "embedding_model", "vector_store", "entity_store", "db", "reranker"]
    )


def test_a_part_that_cannot_be_closed_does_not_keep_the_others_open(foreign: Face) -> None:
    def fail() -> None:
        raise BOOM

    foreign.llm = SimpleNamespace(close=fail)
    with pytest.raises(RuntimeError, match="boom"):
        foreign.close()
    assert foreign.db.closed == 1
    foreign.llm = SimpleNamespace()
