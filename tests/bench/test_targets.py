"""The targets: met, not met or not known, as the figures say."""

from __future__ import annotations

import pytest

from bench.plan import WORKLOADS, Sizes, of_scopes
from bench.report.figures import Figures
from bench.report.targets import RUST_ALLOWED, RUST_OF_STUB, Target, targets
from tests.bench.conftest import Made


def found(made: Made, words: str) -> Target:
    [one] = [target for target in targets(Figures(made.results)) if words in target.claim]
    return one


def test_without_figures_nothing_is_known() -> None:
    assert {target.met for target in targets(Figures([]))} == {None}


def moved(made: Made, workload: str) -> None:
    """Makes what was added so far a part of another workload."""
    for result in made.results:
        result["workload"] = workload


@pytest.mark.parametrize(("ours", "met"), [(28.5, True), (28.6, False)])
def test_an_add_is_held_against_a_part_of_mem0s(made: Made, ours: float, met: bool) -> None:
    made.add(1, "isomem-memory", add_us=ours)
    made.add(1, "mem0-memory", add_us=100.0)
    target = found(made, "1/3.5 of mem0")
    assert target.met is met
    assert f"({ours} against 100 µs)" in target.measured


@pytest.mark.parametrize(("ours", "met"), [(229.0, True), (231.0, False)])
def test_a_durable_add_is_held_against_a_flushed_write(made: Made, ours: float, met: bool) -> None:
    made.add(1, "bare", case="before article", flush_us=200.0)
    moved(made, "machine")
    assert found(made, "a flushed write").met is None
    made.add(1, "isomem-disk", add_us=ours)
    assert found(made, "a flushed write").met is met


@pytest.mark.parametrize("name", ["update", "delete"])
@pytest.mark.parametrize(("ours", "met"), [(70.0, True), (71.0, False)])
def test_changes_are_no_slower_than_mem0s(made: Made, name: str, ours: float, met: bool) -> None:
    made.add(1, "isomem-memory", **{f"{name}_us": ours})
    made.add(1, "mem0-memory", **{f"{name}_us": 70.0})
    moved(made, "manage")
    assert found(made, f"{name} in memory").met is met


@pytest.mark.parametrize(
    ("case", "least"), [("16 threads", 1.8), ("16 threads, a flush of 3 ms", 6)]
)
@pytest.mark.parametrize(("off", "met"), [(0.01, True), (-0.01, False)])
def test_threads_together_are_held_against_one_by_one(
    made: Made, case: str, least: float, off: float, met: bool
) -> None:
    made.add(1, "isomem-disk-singly", case=case, adds_per_s=100.0)
    made.add(1, "isomem-disk", case=case, adds_per_s=100.0 * (least + off))
    moved(made, "writers")
    assert found(made, f"of {case}:").met is met


@pytest.mark.parametrize(("four", "met"), [(101.0, True), (99.0, False)])
def test_four_processes_are_held_against_one(made: Made, four: float, met: bool) -> None:
    made.add(1, "isomem-disk", case="1 process", adds_per_s=100.0)
    made.add(1, "isomem-disk", case="4 processes", adds_per_s=four)
    moved(made, "shared_file")
    assert found(made, "4 processes").met is met


@pytest.mark.parametrize(("ours", "met"), [(400.0, True), (399.0, False)])
def test_throughput_is_held_against_mem0s(made: Made, ours: float, met: bool) -> None:
    """More is better here, so the parts are the other way round."""
    made.add(1, "isomem-memory-blocking", case="200 calls at once", add_per_s=ours)
    made.add(1, "mem0-memory", case="200 calls at once", add_per_s=100.0)
    moved(made, "concurrent")
    target = found(made, "200 adds at once")
    assert target.met is met
    assert target.measured.endswith(" per s)")
    assert found(made, "200 searches at once").met is None


@pytest.mark.parametrize(("figure", "words"), [("on_loop_ms", "itself"), ("held_ms", "lock")])
@pytest.mark.parametrize(("held", "met"), [(5.0, True), (5.1, False)])
def test_the_loop_is_held_for_5_ms_at_most(
    made: Made, figure: str, words: str, held: float, met: bool
) -> None:
    made.add(1, "isomem-disk", case="20,000 memories", **{figure: held})
    moved(made, "loop_hold")
    [one] = [
        target
        for target in targets(Figures(made.results))
        if "event loop, on disk" in target.claim and words in target.claim
    ]
    assert one.met is met


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


@pytest.mark.parametrize(("peak", "met"), [(17.5, True), (17.6, False)])
def test_memory_has_a_limit(made: Made, peak: float, met: bool) -> None:
    made.add(1, "isomem-memory", peak_mb=peak)
    assert found(made, "peak memory, 2,000 memories, in memory").met is met


@pytest.mark.parametrize(("peak", "met"), [(16.0, True), (17.0, False)])
def test_memory_is_held_against_mem0s(made: Made, peak: float, met: bool) -> None:
    made.add(1, "isomem-memory", peak_mb=peak)
    made.add(1, "mem0-memory", peak_mb=112.0)
    assert found(made, "at most 1/7 of mem0").met is met


def test_every_target_names_a_figure_that_the_plan_measures() -> None:
    """With every case of every workload measured, no target is left unknown."""
    made = Made()
    for name, workload in WORKLOADS.items():
        for run in workload.runs(Sizes()):
            figures = dict.fromkeys(workload.shows, 1.0)
            row = {"workload": name, "case": run.case, "system": run.system, "round": 1}
            made.results.append({**row, "figures": figures})
    made.results.append(
        {
            "workload": "machine",
            "case": "before article",
            "system": "bare",
            "round": 1,
            "figures": {"flush_us": 1.0},
        }
    )
    assert [one.claim for one in targets(Figures(made.results)) if one.met is None] == []
