"""A memory of either implementation and class, for claims that need one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem_parity.script import CLASSES, Script, Step
from isomem_parity.trace import Trace
from tests.claims.sides import ON_MEM0


class Called:
    """One memory, driven as the parity harness drives it: own clock, embedder and replies."""

    def __init__(
        self, name: str, kind: str, folder: Path, tier: str, config: dict[str, Any]
    ) -> None:
        if name == "isomem":
            from isomem_parity.ours import Ours as Driver
        else:
            from isomem_parity.upstream import Upstream as Driver
        self.name, self.kind = name, kind
        self.is_isomem = name == "isomem"
        self.driver = Driver(Script("claims", name, (), config=config), tier, kind, folder)
        self.steps = 0

    def __call__(self, method: str, *replies: Any, **arguments: Any) -> Trace:
        """What a call did and what is stored after it; an error is in the trace."""
        self.steps += 1
        return self.driver.run(Step(method, arguments, replies=replies), self.steps)

    def result(self, method: str, *replies: Any, **arguments: Any) -> Any:
        """The result of a call that must not fail."""
        trace = self(method, *replies, **arguments)
        assert trace.error is None, trace.error
        return trace.result

    def texts(self, user: str) -> list[str]:
        """The texts of all memories of a user."""
        listed = self.result("get_all", filters={"user_id": user}, top_k=1000)["results"]
        return [memory["memory"] for memory in listed]


Make = Callable[..., Called]


@pytest.fixture(
    params=[
        pytest.param((name, kind), id=f"{name}-{kind}", marks=marks)
        for name, marks in (("isomem", ()), ("mem0", ON_MEM0))
        for kind in CLASSES
    ]
)
def make_memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes an empty memory of a tier (A: no extras) from the `config` of a scenario."""
    name, kind = request.param
    if name == "mem0":
        request.getfixturevalue("oracle")
    made = []

    def make(tier: str = "A", **config: Any) -> Called:
        made.append(Called(name, kind, tmp_path, tier, config))
        return made[-1]

    yield make
    for called in made:
        called.driver.dispose()


@pytest.fixture
def memory(make_memory: Make) -> Called:
    """An empty memory without extras."""
    return make_memory()
