"""Gemini's embedder: two options for one length, one of which may be text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import InvalidConfigError
from isomem.providers.embedder.gemini import GeminiEmbedder
from isomem.providers.registry import create_embedder


def made(**options: Any) -> Any:
    return create_embedder("gemini", {"api_key": "key-1234", **options})


@pytest.mark.parametrize(
    ("options", "dims"),
    [
        ({}, 768),
        ({"output_dimensionality": None}, 768),
        ({"output_dimensionality": ""}, 768),
        ({"output_dimensionality": 0}, 768),
        ({"output_dimensionality": "256"}, 256),
        ({"output_dimensionality": 256}, 256),
        ({"output_dimensionality": "0" * 5000 + "256"}, 256),
        ({"output_dimensionality": "256", "embedding_dims": 3}, 3),
        ({"embedding_dims": 3072}, 3072),
    ],
)
def test_the_length_is_asked_for(options: dict[str, Any], dims: int) -> None:
    embedder = made(**options)
    assert embedder.dims == embedder.config.embedding_dims == dims
    [request] = embedder.request(["a\nb"]).body["requests"]
    assert request["outputDimensionality"] == dims
    assert request["content"]["parts"] == [{"text": "a b"}]


@pytest.mark.parametrize(
    "value", ["0", "000", "-1", "1.5", "٣", "²", "1e3", " 1", "x", "9" * 5000, -1, True, 1.5]
)
def test_what_is_not_a_length_is_refused(value: object) -> None:
    with pytest.raises(InvalidConfigError, match="output_dimensionality"):
        made(output_dimensionality=value)


LENGTH = next(row for row in GeminiEmbedder.table if row.name == "output_dimensionality")


@given(st.text("0123456789", max_size=9) | st.text(max_size=4))
def test_the_schema_says_the_same_as_the_check(value: str) -> None:
    patterns = re.findall(r"'pattern': r?'(.*?)'", repr(LENGTH.kind.schema))
    assert patterns
    matches = value == "" or any(re.search(each.replace("\\\\", "\\"), value) for each in patterns)
    assert LENGTH.kind.accepts(value) == bool(matches)
