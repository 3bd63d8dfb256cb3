"""Every option of upstream's configuration classes is one of ours, with the same default."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from isomem.reference import table_in

factory = pytest.importorskip("mem0.utils.factory")
pytestmark = pytest.mark.oracle

CLASSES: dict[str, Any] = {
    name: kind for name, (_, kind) in factory.LlmFactory.provider_to_class.items()
}


def parameters(kind: Any) -> dict[str, Any]:
    """The options that a configuration class names, with their defaults."""
    named = list(inspect.signature(kind.__init__).parameters.values())[1:]
    return {each.name: each.default for each in named if each.kind is not each.VAR_KEYWORD}


def test_the_classes_are_read() -> None:
    assert parameters(CLASSES["openai"])["temperature"] == 0.1
    assert "api_key" in parameters(CLASSES["groq"])


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_options_and_their_defaults_are_upstreams(name: str) -> None:
    ours = {option.name: option.default for option in table_in("llm", name) or ()}
    upstreams = parameters(CLASSES[name])
    assert upstreams.keys() <= ours.keys()
    differing = {
        key for key, default in upstreams.items() if (ours[key] or None) != (default or None)
    }
    assert not differing
