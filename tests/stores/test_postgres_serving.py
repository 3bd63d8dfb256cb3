"""What a service asks of `postgres` beyond the calls: calls that are called off, another embedder,
and scores that tell nothing of other scopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from isomem import Memory
from isomem.contract.plan import Receipt
from isomem.errors import DatabaseError, InvalidConfigError
from isomem.pipeline import receipts
from isomem.ports.blocking import drive
from isomem.providers.embedder.mock import HashEmbedder
from tests.stores import server

pytestmark = pytest.mark.skipif(bool(server.without_pgvector()), reason=server.without_pgvector())

EMBEDDER = {"provider": "mock", "config": {"embedding_dims": 24}}
ANA = {"user_id": "ana"}


@pytest.fixture
def memory() -> Iterator[Memory]:
    section = server.section("")
    opened = Memory.from_config({"vector_store": section, "embedder": EMBEDDER})
    yield opened
    opened.close()


def test_a_call_that_was_called_off_stores_nothing(memory: Memory) -> None:
    ports: Any = memory._ports
    drive(receipts.settle(ports, Receipt("off", "called off")))
    for _ in range(2):
        with pytest.raises(DatabaseError) as refused:
            memory.replacing(receipt=Receipt("off", "d")).add("tea", **ANA, infer=False)
        assert refused.value.error_code == "RECEIPT_001"
    assert memory.count(filters=ANA) == 0
    memory.replacing(receipt=Receipt("made", "d")).add("tea", **ANA, infer=False)
    with pytest.raises(DatabaseError):
        drive(receipts.settle(ports, Receipt("made", "called off")))
    assert memory.count(filters=ANA) == 1


def test_an_embedder_is_taken_as_long_as_there_are_no_vectors(memory: Memory) -> None:
    stores: Any = memory.stores
    before, after = memory.embedding_model, HashEmbedder(12)
    stores.take_embedder(before, after, memory.config)
    memory.embedding_model = after
    memory.add("tea", **ANA, infer=False)
    with pytest.raises(InvalidConfigError) as refused:
        stores.take_embedder(after, before, memory.config)
    assert refused.value.error_code == "CONFIG_003"
    memory.add("coffee", **ANA, infer=False)
    assert len(memory.search("tea", filters=ANA, threshold=0)["results"]) == 2


def test_words_of_other_scopes_change_no_score_where_they_are_not_counted(memory: Memory) -> None:
    for text in ("a zebra in the garden", "tea with milk", "nothing at all"):
        memory.add(text, **ANA, infer=False)
    narrow = memory.replacing(counts_in_scope=True)
    asked: Any = {"filters": ANA, "threshold": 0, "explain": True}
    before, of_all = narrow.search("zebra", **asked), memory.search("zebra", **asked)
    assert before == of_all  # This scope is all there is.
    for number in range(40):
        memory.add(f"zebra {number}", user_id="bob", infer=False)
    assert narrow.search("zebra", **asked) == before
    assert memory.search("zebra", **asked) != of_all
