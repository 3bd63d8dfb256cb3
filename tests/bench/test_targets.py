"""The targets: met, not met or not known, as the figures say."""

from __future__ import annotations

import pytest

from bench.plan import Sizes, of_scopes
from bench.report.figures import Figures
from bench.report.targets import RUST_ALLOWED, RUST_OF_STUB, Target, targets
from tests.bench.conftest import Made


def found(made: Made, words: str) -> Target:
    [one] = [target for target in targets(Figures(made.results)) if words in target.claim]
    return one


def test_without_figures_nothing_is_known() -> None:
    assert {target.met for target in targets(Figures([]))} == {None}


@pytest.mark.parametrize(("ours", "met"), [(33.0, True), (34.0, False)])
def test_an_add_is_held_against_a_third_of_mem0s(made: Made, ours: float, met: bool) -> None:
    made.add(1, "isomem-memory", add_us=ours)
    made.add(1, "mem0-memory", add_us=100.0)
    assert found(made, "1/3 of mem0").met is met


@pytest.mark.parametrize(
    ("word", "part"), [("lower", RUST_OF_STUB[0]), ("higher", RUST_OF_STUB[1])]
)
@pytest.mark.parametrize(("off", "met"), [(-0.1, True), (0.1, False)])
def test_the_rust_figure_is_scaled_by_the_stub_beside_it(
    made: Made, word: str, part: float, off: float, met: bool
) -> None:
    made.add(1, "mem0-stub", add_us=40.0)
    made.add(1, "isomem-memory", add_us=40.0 * part * RUST_ALLOWED + off)
    assert found(made, f"{word} estimate").met is met


@pytest.mark.parametrize(("milliseconds", "met"), [(0.3, True), (0.31, False)])
def test_a_search_has_a_limit(made: Made, milliseconds: float, met: bool) -> None:
    made.add(1, "isomem-memory", search_ms=milliseconds)
    assert found(made, "search, 2,000 memories: at most 0.3 ms").met is met


@pytest.mark.parametrize(("large", "met"), [(1.29, True), (1.31, False)])
def test_a_million_memories_are_held_against_ten_thousand(
    made: Made, large: float, met: bool
) -> None:
    sizes = Sizes()
    for users, value in ((sizes.users[0], 1.0), (sizes.users[-1], large)):
        case = of_scopes(users, sizes)
        made.add(1, "isomem-disk", case=case, random_p95_ms=value)
    for result in made.results:
        result["workload"] = "many_scopes"
    assert found(made, "random scopes").met is met
    assert found(made, "scopes not searched before").met is None


@pytest.mark.parametrize(("peak", "met"), [(15.4, True), (15.5, False)])
def test_memory_has_a_limit(made: Made, peak: float, met: bool) -> None:
    made.add(1, "isomem-memory", peak_mb=peak)
    assert found(made, "peak memory, 2,000 memories, in memory").met is met
