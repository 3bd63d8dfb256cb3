"""Every engine can do what its row says, and refuses the rest."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from isomem import ConfigurationError
from isomem.ingest import Ingest, read_conversation
from scripts import engines
from tests.stores.adapters import ADAPTERS, COLUMNS, Abilities, Adapter
from tests.stores.conftest import Open, say, texts

ANA = {"user_id": "ana"}
pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_ranking_fused_works_or_says_what_it_needs(memory: Any, adapter: Adapter) -> None:
    say(memory, "Ana likes green tea")
    if adapter.can.fused:
        found = memory.search("green tea", filters=ANA, ranking="fused")
        assert texts(found) == ["Ana likes green tea"]
    else:
        with pytest.raises(ConfigurationError, match="fused"):
            memory.search("green tea", filters=ANA, ranking="fused")


class Together:
    """A model that answers when all calls of it are under way: with the same fact."""

    CALLS = 4
    config = None

    def __init__(self) -> None:
        self._all = threading.Barrier(self.CALLS, timeout=60)

    def generate_response(self, *_: Any, **__: Any) -> str:
        self._all.wait()
        return json.dumps({"memory": [{"text": "Ana likes tea"}]})


def test_equal_facts_at_once_are_stored_once_or_that_is_refused(
    open_memory: Open, adapter: Adapter
) -> None:
    if adapter.can.dedup:
        memory = open_memory(dedup_concurrent=True)
        for number in range(4):
            user = {"user_id": f"ana{number}"}
            memory.llm = Together()
            with ThreadPoolExecutor(Together.CALLS) as threads:
                calls = [
                    threads.submit(memory.add, f"I like tea {at}", **user)
                    for at in range(Together.CALLS)
                ]
                stored = [fact for call in calls for fact in call.result()["results"]]
            assert texts(memory.get_all(filters=user)) == ["Ana likes tea"]
            assert len(stored) == 1
    elif adapter.equip is None:
        with pytest.raises(ConfigurationError, match="dedup_concurrent"):
            open_memory(dedup_concurrent=True)


def test_an_ingest_goes_on_where_it_was(memory: Any, adapter: Adapter) -> None:
    assert (memory.stores.ingests is not None) == adapter.can.ingest
    said = ['{"role": "user", "content": "I like tea"}', '{"role": "user", "content": "And cake"}']
    for lines, expected in ((said[:1], 1), (said, 1), (said, 0)):
        ingest = Ingest(memory, read_conversation(lines), ids=ANA, infer=False, source="chat")
        assert sum(step.memories for step in ingest) == expected
    assert sorted(texts(memory.get_all(filters=ANA))) == ["And cake", "I like tea"]


def test_the_id_star_is_as_the_set_says(memory: Any, adapter: Adapter) -> None:
    assert memory.stores.takes_any_id == adapter.can.stars


def test_every_ability_is_a_column() -> None:
    assert [*COLUMNS] == [*Abilities.__dataclass_fields__]
    assert len({each.name for each in ADAPTERS}) == len(ADAPTERS)


def test_the_table_in_the_documentation_is_that_of_the_rows() -> None:
    """`python -m scripts.engines` writes it."""
    page = engines.PAGE.read_text(encoding="utf-8")
    assert page == engines.written(page)
