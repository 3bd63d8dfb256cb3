"""The surface is upstream's: names, arguments, kinds of arguments, defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import isomem

upstream = pytest.importorskip("mem0")

pytestmark = [
    pytest.mark.oracle,
    # What upstream and its dependencies deprecate or leave open is theirs.
    pytest.mark.filterwarnings("ignore"),
]

METHODS = (
    "add", "search", "get", "get_all", "update", "delete", "delete_all", "history", "reset",
    "chat", "close",
)  # fmt: skip

# What isomem has beside upstream's arguments: for those who ask for it by name.
ADDED = {
    "add": ("timestamp", "expiration_date", "supersede"),
    "delete_all": ("purge_history",),
    "get_all": ("show_expired", "show_superseded", "order", "page_size", "cursor"),
    "search": ("ranking", "explain", "show_expired", "show_superseded"),
    "update": ("text", "expiration_date"),
}
# What can be left out here, since something else can be given in its place.
OPTIONAL = {("update", "data")}


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in found]


@pytest.mark.parametrize("kind", ["Memory", "AsyncMemory"])
@pytest.mark.parametrize("method", METHODS)
def test_a_method_takes_what_upstreams_takes(kind: str, method: str) -> None:
    theirs = getattr(getattr(upstream, kind), method, None)
    if theirs is None:
        pytest.skip("not a method of this class of upstream")
    ours = getattr(getattr(isomem, kind), method)
    added = [each for each in parameters(ours) if each[0] in ADDED.get(method, ())]
    wanted = [
        (name, kind, None if (method, name) in OPTIONAL else default)
        for name, kind, default in parameters(theirs)
    ]
    assert [each for each in parameters(ours) if each not in added] == wanted
    assert all(each[1] is inspect.Parameter.KEYWORD_ONLY for each in added)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


@pytest.mark.parametrize("kind", ["Memory", "AsyncMemory"])
def test_no_public_method_of_upstream_is_missing(kind: str) -> None:
    theirs = {name for name in dir(getattr(upstream, kind)) if not name.startswith("_")}
    ours = set(dir(getattr(isomem, kind)))
    assert theirs - ours - {"entity_store"} == set()


@pytest.mark.parametrize("kind", ["Memory", "AsyncMemory"])
def test_a_memory_is_made_from_upstreams_arguments(kind: str) -> None:
    ours, theirs = getattr(isomem, kind), getattr(upstream, kind)
    for name in ("__init__", "from_config"):
        taken = [each[0] for each in parameters(getattr(ours, name))]
        assert taken[: len(parameters(getattr(theirs, name)))] == [
            each[0] for each in parameters(getattr(theirs, name))
        ]


def test_the_errors_are_upstreams_by_name_code_and_attributes() -> None:
    from mem0 import exceptions as theirs

    from isomem import errors as ours

    for name, kind in vars(theirs).items():
        if isinstance(kind, type) and issubclass(kind, theirs.MemoryError):
            if name in {"MemoryQuotaExceededError", "VectorSearchError", "CacheError"}:
                continue  # Never raised here: test_compat.py has them.
            own = getattr(ours, name)
            assert issubclass(own, ours.MemoryError)
            wanted = [each[:1] + each[2:] for each in parameters(kind.__init__)]
            if name in {
                "VectorStoreError",
                "EmbeddingError",
                "LLMError",
                "DatabaseError",
                "DependencyError",
            }:
                made, expected = own("m"), kind("m")
                assert made.error_code == expected.error_code
                assert made.suggestion == expected.suggestion
            taken = [each[:1] + each[2:] for each in parameters(own.__init__)]
            assert [each[0] for each in taken] == [each[0] for each in wanted]
