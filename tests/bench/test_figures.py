"""Medians, spread and ratios of the benchmark."""

from __future__ import annotations

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from bench.report.figures import Figures, Key, failures, summarise
from tests.bench.conftest import Made

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=20)


def key(system: str, figure: str = "add_us") -> Key:
    return Key("article", "2,000 memories", system, figure)


@given(VALUES)
def test_a_summary_is_the_median_between_the_least_and_the_greatest(values: list[float]) -> None:
    found = summarise(values)
    assert (found.low, found.high, found.processes) == (min(values), max(values), len(values))
    assert found.median == median(values)


@given(st.permutations([1.0, 2.0, 5.0, 9.0]))
def test_the_order_of_values_does_not_matter(values: list[float]) -> None:
    assert summarise(values) == (3.5, 1.0, 9.0, 4)


def test_all_processes_of_all_rounds_count(made: Made) -> None:
    for number, value in ((1, 10), (1, 30), (2, 20)):
        made.add(number, "isomem-memory", add_us=value)
    assert Figures(made.results).get(*key("isomem-memory")) == (20, 10, 30, 3)


def test_what_only_prepares_does_not_count(made: Made) -> None:
    made.add(0, "isomem-memory", add_us=1_000)
    made.add(1, "isomem-memory", add_us=10)
    assert Figures(made.results).get(*key("isomem-memory")) == (10, 10, 10, 1)


def test_a_process_that_failed_has_no_figures_and_is_told_of(made: Made) -> None:
    made.add(1, "isomem-memory", add_us=10)
    failed = {**made.results[0], "round": 2, "error": "exit status 1"}
    del failed["figures"]
    made.results.append(failed)
    assert Figures(made.results).get(*key("isomem-memory")) == (10, 10, 10, 1)
    assert failures(made.results) == [failed]


@given(
    st.lists(st.tuples(st.floats(1, 100), st.floats(1, 100)), min_size=1, max_size=5),
    st.lists(st.sampled_from([1.0, 2.0, 8.0, 16.0]), min_size=5, max_size=5),
)
def test_a_machine_that_is_slow_for_a_round_changes_no_ratio(
    rounds: list[tuple[float, float]], slowness: list[float]
) -> None:
    """Powers of two, so that the quotients are equal to the last bit."""
    even, uneven = Made(), Made()
    for number, (ours, theirs) in enumerate(rounds, 1):
        for made, slow in ((even, 1.0), (uneven, slowness[number - 1])):
            made.add(number, "isomem-memory", add_us=ours * slow)
            made.add(number, "mem0-memory", add_us=theirs * slow)
    pair = key("mem0-memory"), key("isomem-memory")
    assert Figures(even.results).ratio(*pair) == Figures(uneven.results).ratio(*pair)


def test_a_ratio_is_of_rounds_that_have_both(made: Made) -> None:
    made.add(1, "isomem-memory", add_us=2)
    made.add(1, "mem0-memory", add_us=6)
    made.add(2, "isomem-memory", add_us=1)
    figures = Figures(made.results)
    assert figures.ratio(key("mem0-memory"), key("isomem-memory")) == (3, 3, 3, 1)
    assert figures.ratio(key("mem0-disk"), key("isomem-memory")) is None


def test_there_is_no_ratio_to_nothing(made: Made) -> None:
    made.add(1, "isomem-memory", add_us=0)
    made.add(1, "mem0-memory", add_us=6)
    assert Figures(made.results).ratio(key("mem0-memory"), key("isomem-memory")) is None


def test_isomem_is_held_against_mem0_in_the_same_place(made: Made) -> None:
    for system in ("mem0-stub", "mem0-disk", "isomem-disk-plain", "isomem-memory", "isomem-disk"):
        made.add(1, system, add_us=1)
    assert [pair[1:] for pair in Figures(made.results).pairs("article")] == [
        ("isomem-disk", "mem0-disk"),
        ("isomem-disk-plain", "mem0-disk"),
    ]
