"""How long the ids are that `postgres` stores: they are in indexes, whose entries have a limit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import DatabaseError, ValidationError, VectorStoreError
from isomem.testing import ScriptedLLM
from tests.facade.conftest import facts
from tests.stores import server
from tests.stores.conftest import texts
from tests.stores.test_postgres import REST, hidden

pytestmark = pytest.mark.skipif(bool(server.missing()), reason=server.missing())


@pytest.fixture
def memory(section: dict[str, Any]) -> Iterator[Memory]:
    with Memory.from_config({"vector_store": section, **REST}) as made:
        yield made


# What a server cannot compress, in characters that JSON escapes and in ones that it does not.
HASHED = "".join(hashlib.sha256(bytes([each])).hexdigest() for each in range(50))
ACCENTED = "".join(chr(0xC0 + int(each, 16)) for each in HASHED)


@pytest.mark.parametrize(
    ("long", "longest"), [(HASHED, 2_600 - len('["", null, null]')), (ACCENTED, 430)]
)
@pytest.mark.parametrize("infer", [False, True])
def test_ids_of_a_scope_that_no_index_holds_are_told(
    section: dict[str, Any], memory: Memory, long: str, longest: int, infer: bool
) -> None:
    user = long[:longest]
    memory.llm = ScriptedLLM([facts("Ana likes tea")] * 2)
    assert memory.add("Ana likes tea", user_id=user, infer=infer)["results"]
    refused = pytest.raises((ValidationError, VectorStoreError))
    with refused if infer else pytest.raises(ValidationError, match=r"2,?600 bytes") as told:
        memory.add("Ana likes tea", user_id=long[: longest + 4], infer=infer)
    if isinstance(told.value, ValidationError):
        assert told.value.code == "VALIDATION_005"
        assert "shorter" in str(told.value.suggestion)
    assert texts(memory.search("tea", filters={"user_id": user})) == ["Ana likes tea"]
    memory.delete_all(user_id=user)
    assert memory.get_all(filters={"user_id": user})["results"] == []
    assert hidden(section) == 0


def test_a_scope_with_long_ids_that_is_there_goes_on(
    section: dict[str, Any], memory: Memory
) -> None:
    """The server has compressed them; nobody refused them in an earlier version."""
    memory.add("Ana likes tea", user_id="short", infer=False)
    long = "a" * 2_600
    scopes = f"{section['config']['schema']}.scopes"
    server.shared().do(
        f"UPDATE {scopes} SET name = replace(name, 'short', '{long}'), user_id = '{long}'", "tests"
    )
    for number in range(3):
        memory.add(f"Ana likes tea {number}", user_id=long, infer=False)
    assert len(memory.get_all(filters={"user_id": long})["results"]) == 4
    with pytest.raises(ValidationError, match="2600 bytes"):
        memory.add("Ana likes tea", user_id=f"{long}a", infer=False)


def test_messages_of_a_scope_that_no_index_holds_are_told(memory: Memory) -> None:
    """Nothing to remember is found, so that nothing but the messages is stored."""
    memory.llm = ScriptedLLM([facts()])
    with pytest.raises(ValidationError, match="2600 bytes"):
        memory.add("Hello", user_id=HASHED)


def test_an_id_of_a_memory_that_no_index_holds_is_told(memory: Memory) -> None:
    store: Any = memory.vector_store
    vectors, payloads = [[1.0, *[0.0] * 31]], [{"data": "tea", "user_id": "u"}]
    store.insert(vectors=vectors, payloads=payloads, ids=[HASHED[:2_600]])
    with pytest.raises(ValidationError, match="2600 bytes"):
        store.insert(vectors=vectors, payloads=payloads, ids=[HASHED[:2_601]])
    assert store.get(HASHED[:2_600]).payload["data"] == "tea"


def test_another_text_that_no_index_holds_is_told(memory: Memory) -> None:
    store: Any = memory.entity_store
    payload = {"data": "Ana", "user_id": "u", "linked_memory_ids": [HASHED]}
    with pytest.raises(DatabaseError, match="too long for an index"):
        store.insert(vectors=[[1.0, *[0.0] * 31]], payloads=[payload], ids=["e"])
