"""`isomem import`: what mem0 stored is found in isomem, with mem0's answers."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import isomem
from isomem import Memory
from isomem.errors import DatabaseError, MemoryCorruptionError
from isomem.importer import import_mem0
from isomem.testing import HashEmbedder, ScriptedLLM

DIMS = 32
TURNS = [
    "I moved to Lisbon in May and rent a flat in Alfama.",
    "My sister Inês plays the cello in an orchestra.",
    "Please book the train to Porto, window seat.",
    "I am allergic to peanuts, not to almonds.",
    "Meu irmão mora em São Paulo.",
]


@pytest.fixture
def memory() -> Any:
    config = {
        "vector_store": {
            "provider": "embedded",
            "config": {
                "path": ":memory:",
                "embedding_model_dims": DIMS,
                "keyword_search": False,
            },
        },
        "embedder": {"provider": "mock"},
        "llm": {"provider": "mock"},
        "nlp": {"provider": "none"},
    }
    with Memory.from_config(config) as made:
        made.embedding_model = HashEmbedder(dims=DIMS)
        yield made


def upstream(folder: Path) -> Any:
    """mem0 without extras, whatever is installed: it would download spaCy's model."""
    mem0 = pytest.importorskip("mem0")
    from isomem_parity import tiers

    tiers.enter("A")
    config = {
        "vector_store": {
            "provider": "qdrant",
            "config": {
                "path": str(folder / "qdrant"),
                "embedding_model_dims": DIMS,
                "on_disk": True,
            },
        },
        "history_db_path": str(folder / "history.db"),
        "llm": {"provider": "openai", "config": {"api_key": "unused"}},
        "embedder": {"provider": "openai", "config": {"api_key": "unused"}},
    }
    made = mem0.Memory.from_config(config)
    made.embedding_model = HashEmbedder(dims=DIMS)
    return made


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_every_search_over_an_imported_store_gives_upstreams_answers(
    tmp_path: Path, memory: Memory
) -> None:
    theirs = upstream(tmp_path)
    theirs.llm = ScriptedLLM([{"memory": [{"text": f"{t} ({n})"} for n in (1, 2)]} for t in TURNS])
    for number, turn in enumerate(TURNS):
        theirs.add(turn, user_id="ana", metadata={"number": number, "tags": ["a", str(number)]})
    theirs.add([{"role": "user", "content": t} for t in TURNS], agent_id="bo", infer=False)
    first = theirs.get_all(filters={"user_id": "ana"})["results"][0]["id"]
    theirs.update(first, "I left Lisbon")
    counts = import_mem0(
        memory, qdrant=str(tmp_path / "qdrant"), history=str(tmp_path / "history.db")
    )
    assert counts == {"memories": 15, "entities": 0, "history": 16, "messages": 5}
    for filters in ({"user_id": "ana"}, {"agent_id": "bo"}, {"user_id": "ana", "number": 2}):
        for query in TURNS:
            want = theirs.search(query, filters=filters, threshold=0.0)["results"]
            have = memory.search(query, filters=filters, threshold=0.0)["results"]
            scores = [hit.pop("score") for hit in want]
            assert [hit.pop("score") for hit in have] == pytest.approx(scores, abs=1e-6)
            assert sorted(have, key=str) == sorted(want, key=str)
    assert memory.history(first) == theirs.history(first)
    session = "user_id=ana"
    assert memory.db.get_last_messages(session) == theirs.db.get_last_messages(session)
    theirs.vector_store.client.close()
    theirs.close()


def write_points(folder: Path, points: list[bytes]) -> str:
    place = folder / "collection" / "mem0"
    place.mkdir(parents=True)
    with sqlite3.connect(place / "storage.sqlite") as connection:
        connection.execute("CREATE TABLE points (id TEXT PRIMARY KEY, point BLOB)")
        connection.executemany("INSERT INTO points VALUES (?, ?)", enumerate(points))
    connection.close()
    return str(folder)


class Bomb:
    """What a hostile file would hold: unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_stored_point_cannot_run_code(tmp_path: Path, memory: Memory) -> None:
    folder = write_points(tmp_path, [pickle.dumps(Bomb(tmp_path / "was_here"))])
    with pytest.raises(MemoryCorruptionError, match="cannot be read"):
        import_mem0(memory, qdrant=folder)
    assert not (tmp_path / "was_here").exists()


def test_a_damaged_point_is_named_and_nothing_is_brought(tmp_path: Path, memory: Memory) -> None:
    folder = write_points(tmp_path, [b"no pickle"])
    with pytest.raises(MemoryCorruptionError, match=r"storage\.sqlite"):
        import_mem0(memory, qdrant=folder)
    assert memory.vector_store.list()[0] == []


def stored(**fields: Any) -> bytes:
    """A point as Qdrant's local store writes it."""
    return (
        b"\x80\x02cqdrant_client.http.models\nPointStruct\n)\x81%bb."
        % (pickle.dumps(fields, 2)[2:-1])
    )


POINT = {
    "id": "p",
    "vector": [1.0] + [0.0] * (DIMS - 1),
    "payload": {"data": "tea", "user_id": "u"},
}
odd = st.one_of(
    st.none(), st.integers(), st.text(max_size=3), st.lists(st.floats(width=32), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip
whole = st.builds(
    lambda name, value: stored(**POINT | {name: value}), st.sampled_from([*POINT]), odd
)
bent = st.builds(
    lambda at, byte: bytes([*stored(**POINT)[:at], byte, *stored(**POINT)[at + 1 :]]),
    st.integers(0, len(stored(**POINT)) - 2),
    st.integers(0, 255),
)
cut = st.builds(lambda at: stored(**POINT)[:at], st.integers(0, len(stored(**POINT)) - 1))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.one_of(whole, bent, cut))
@example(data=bytes([*stored(**POINT)[:2], 125, *stored(**POINT)[3:]]))  # Needs too much memory.
def test_whatever_a_point_holds_it_comes_in_or_is_an_error_of_isomem(
    tmp_path_factory: pytest.TempPathFactory, memory: Memory, data: bytes
) -> None:
    memory.reset()
    folder = write_points(
        tmp_path_factory.mktemp("qdrant"), [stored(**POINT | {"id": "whole"}), data]
    )
    try:
        import_mem0(memory, qdrant=folder)
    except isomem.MemoryError:
        assert [point.id for point in memory.vector_store.list()[0]] in ([], ["whole"])
    else:
        assert "tea" in {point.payload.get("data") for point in memory.vector_store.list()[0]}


ODD: list[Any] = [None, 5, [1], {"a": 1}, "\ud800", float("nan"), 2**70, True]


@pytest.mark.parametrize("value", ODD, ids=ascii)
@pytest.mark.parametrize("field", ["data", "text_lemmatized", "created_at", "role", "hash"])
def test_a_payload_with_a_field_of_another_type_comes_in_and_can_be_removed(
    tmp_path: Path, field: str, value: Any
) -> None:
    """With keyword search, which is the default."""
    path = {"path": ":memory:", "embedding_model_dims": DIMS}
    embedder = {"provider": "mock", "config": {"embedding_dims": DIMS}}
    memory = Memory.from_config(
        {"vector_store": {"provider": "embedded", "config": path}, "embedder": embedder}
    )
    payload = POINT["payload"] | {field: value}  # type: ignore[operator]
    counts = import_mem0(
        memory, qdrant=write_points(tmp_path, [stored(**POINT | {"payload": payload})])
    )
    assert counts["memories"] == 1
    for ranking in ("contract", "fused"):
        memory.search("tea", filters={"user_id": "u"}, ranking=ranking)
    assert memory.count({"user_id": "u"}) == 1
    memory.delete("p")
    assert memory.history("p")[0]["event"] == "DELETE"
    memory.close()


@pytest.mark.parametrize("field", ["id", "user_id", "agent_id", "run_id"])
def test_an_id_that_is_not_valid_unicode_is_damage(
    tmp_path: Path, memory: Memory, field: str
) -> None:
    payload = POINT["payload"] | {field: "\ud800"}  # type: ignore[operator]
    point = POINT | ({"id": "\ud800"} if field == "id" else {"payload": payload})
    folder = write_points(tmp_path, [stored(**point)])
    with pytest.raises(MemoryCorruptionError, match=f"its {field} is not valid Unicode"):
        import_mem0(memory, qdrant=folder)


def test_a_folder_that_is_not_qdrants_is_refused(tmp_path: Path, memory: Memory) -> None:
    with pytest.raises(DatabaseError, match="not a folder of a local Qdrant"):
        import_mem0(memory, qdrant=str(tmp_path))


def test_a_missing_collection_is_refused_and_the_others_are_named(
    tmp_path: Path, memory: Memory
) -> None:
    folder = write_points(tmp_path, [])
    with pytest.raises(DatabaseError, match="no collection 'other'") as caught:
        import_mem0(memory, qdrant=folder, collection="other")
    assert "mem0" in str(caught.value.suggestion)


def test_a_missing_history_is_refused(tmp_path: Path, memory: Memory) -> None:
    with pytest.raises(DatabaseError, match="is not there"):
        import_mem0(memory, history=str(tmp_path / "history.db"))


@pytest.mark.oracle
def test_an_import_that_is_run_again_keeps_what_has_changed_since(
    tmp_path: Path, memory: Memory
) -> None:
    point = {"id": "1" * 32, "vector": [1.0] * DIMS, "payload": {"data": "old", "user_id": "u"}}
    models = pytest.importorskip("qdrant_client.http.models")
    folder = write_points(tmp_path, [pickle.dumps(models.PointStruct(**point))])
    assert import_mem0(memory, qdrant=folder)["memories"] == 1
    (stored,) = memory.get_all(filters={"user_id": "u"})["results"]
    memory.update(stored["id"], "new")
    assert import_mem0(memory, qdrant=folder)["memories"] == 0
    assert memory.get(stored["id"])["memory"] == "new"  # type: ignore[index]


@pytest.mark.oracle
def test_an_expiration_date_of_newer_releases_counts_if_asked_for(
    tmp_path: Path, memory: Memory
) -> None:
    models = pytest.importorskip("qdrant_client.http.models")
    dates = {"gone": "2020-01-01", "kept": "9000-01-01", "forever": None, "odd": "of the pack"}
    points = [
        pickle.dumps(
            models.PointStruct(
                id=str(number) * 32,
                vector=[1.0] * DIMS,
                payload={"data": text, "user_id": "u", "expiration_date": date, "n": number},
            )
        )
        for number, (text, date) in enumerate(dates.items())
    ]
    folder = write_points(tmp_path, points)
    assert import_mem0(memory, qdrant=folder)["memories"] == 4
    found = memory.get_all(filters={"user_id": "u"})["results"]
    assert {each["memory"]: each["metadata"]["expiration_date"] for each in found} == dates
    memory.reset()
    assert import_mem0(memory, qdrant=folder, expiry=True)["memories"] == 4
    found = memory.get_all(filters={"user_id": "u"})["results"]
    assert [each["memory"] for each in found] == ["kept", "forever", "odd"]
    assert [each.get("expiration_date") for each in found] == ["9000-01-01", None, None]
    assert found[0]["metadata"] == {"n": 1}
    assert found[2]["metadata"] == {"n": 3, "expiration_date": "of the pack"}
    assert memory.sweep() == 1
