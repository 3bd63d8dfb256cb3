"""Every engine can do what its row says, and refuses the rest."""

from __future__ import annotations

from typing import Any

import pytest

from isomem import ConfigurationError
from isomem.ingest import Ingest, read_conversation
from isomem.testing import ScriptedLLM
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


def test_equal_facts_at_once_are_stored_once_or_that_is_refused(
    open_memory: Open, adapter: Adapter
) -> None:
    if adapter.can.dedup:
        memory = open_memory(dedup_concurrent=True)
        memory.llm = ScriptedLLM([{"memory": [{"text": "Ana likes tea"}]}] * 2)
        memory.add("one", **ANA)
        memory.add("two", **ANA)
        assert texts(memory.get_all(filters=ANA)) == ["Ana likes tea"]
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
