"""A memory with the models and rules of another configuration, over the same stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.config import from_dict
from isomem.errors import ConfigurationError, InvalidConfigError
from isomem.testing import ScriptedLLM

MOCK: dict[str, Any] = {"provider": "mock", "config": {"embedding_dims": 16}}
BASE: dict[str, Any] = {"embedder": MOCK, "nlp": {"provider": "none"}}


def config(**changed: Any) -> Any:
    """A configuration of a memory that is nowhere else."""
    store = {"provider": "embedded", "config": {"path": ":memory:"}}
    return from_dict({**BASE, "vector_store": store, **changed})


def test_what_one_stores_the_other_finds() -> None:
    with Memory(config()) as memory:
        other = memory.with_config(config(custom_instructions="Only food."))
        memory.add("I like tea", user_id="ana", infer=False)
        other.add("I like rye bread", user_id="ana", infer=False)
        for each in (memory, other):
            found = each.get_all(filters={"user_id": "ana"})["results"]
            assert {item["memory"] for item in found} == {"I like tea", "I like rye bread"}
        assert (
            other.search("tea", filters={"user_id": "ana"})["results"][0]["memory"] == "I like tea"
        )


def test_each_has_its_own_models_and_rules() -> None:
    with Memory(config()) as memory:
        other = memory.with_config(
            config(custom_instructions="Only food.", raise_on_llm_error=True, ranking="fused")
        )
        assert (memory.custom_instructions, other.custom_instructions) == (None, "Only food.")
        assert (memory.raise_on_llm_error, other.raise_on_llm_error) == (False, True)
        assert (memory.ranking, other.ranking) == ("contract", "fused")
        assert other.config is not memory.config
        llm = ScriptedLLM([{"memory": [{"text": "Eats rye bread"}]}])
        other.llm = llm
        assert other.add("I eat rye bread", user_id="ana")["results"]
        assert "Only food." in str(llm.calls[0]["messages"])
        with pytest.raises(ConfigurationError):
            memory.with_config(config(raise_on_llm_error=True)).add("tea", user_id="ana")


def test_a_configuration_that_cannot_work_leaves_the_memory_as_it_is() -> None:
    with Memory(config()) as memory:
        llm = memory.llm
        with pytest.raises(InvalidConfigError):
            memory.with_config(config(llm={"provider": "openai", "config": {"temprature": 1}}))
        assert memory.llm is llm
        memory.add("I like tea", user_id="ana", infer=False)


def test_it_can_be_done_again_and_again(tmp_path: Path) -> None:
    store = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
    memory = Memory(config(vector_store=store))
    for number in range(5):
        memory = memory.with_config(config(vector_store=store, custom_instructions=str(number)))
        memory.add(f"note {number}", user_id="ana", infer=False)
    assert memory.count({"user_id": "ana"}) == 5
    memory.close()
    with Memory(config(vector_store=store)) as again:
        assert again.count({"user_id": "ana"}) == 5
