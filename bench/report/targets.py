"""The targets that were set for speed and memory, each with what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.plan import Sizes, of_memories, of_scopes, of_vectors
from bench.report.figures import Figures, Key, Summary
from bench.report.tables import Table, number

SMALL, LARGE = 2_000, 20_000

RUST_MEASURED = {SMALL: (12.3, 3.6, 15.1), LARGE: (12.3, 76.0, 84.0)}
"""mem0-rs, release build, measured earlier on a machine with two cores: add in µs, search in ms,
peak memory in MB. It is not measured here."""

RUST_OF_STUB = (0.65, 0.9)
"""An add of mem0-rs took this much of an add of mem0 on a bare stub store, measured beside it.
At the sitting of `RUST_MEASURED` the stub's add took 20 µs."""

RUST_ALLOWED = 1.3


class Target(NamedTuple):
    """One claim: what it asks for, what was measured, and whether it is met (None: not known)."""

    claim: str
    measured: str
    met: bool | None


def targets(figures: Figures) -> list[Target]:
    """All of them, in the order in which they were set."""
    checks = (_adds, _searches, _scopes, _memory, _imports)
    return [target for check in checks for target in check(figures)]


def rust_scaled(stub_us: float) -> tuple[float, float]:
    """An add of mem0-rs on this machine, in µs: from, to; estimated from the stub beside it."""
    low, high = RUST_OF_STUB
    return low * stub_us, high * stub_us


# --- The checks ---------------------------------------------------------------------------


def _adds(figures: Figures) -> Iterator[Target]:
    case = of_memories(SMALL)
    ours = figures.get("article", case, "isomem-memory", "add_us")
    yield _fraction(
        figures, "add in memory: at most 1/3 of mem0 in memory", 3, "article", case, "add_us"
    )
    stub = figures.get("article", case, "mem0-stub", "add_us")
    for at, word in enumerate(("lower", "higher")):
        claim = f"add in memory: at most {RUST_ALLOWED} times mem0-rs by the {word} estimate"
        if ours and stub:
            rust = rust_scaled(stub.median)[at]
            told = (
                f"{number(ours.median)} µs against {number(rust)} µs "
                f"({RUST_OF_STUB[at]} of the stub's {number(stub.median)} µs)"
            )
            yield Target(claim, told, ours.median <= RUST_ALLOWED * rust)
        else:
            yield _unknown(claim)
    yield _fraction(
        figures,
        "durable add: at most 1/6 of mem0 on disk",
        6,
        "article",
        case,
        "add_us",
        place="disk",
    )
    inferred = _only_case(figures, "inferred")
    for place, where in (("disk", "on disk"), ("memory", "in memory")):
        yield _fraction(
            figures,
            f"inferred add of 10 facts, {where}: at most 1/10 of mem0 per fact",
            10,
            "inferred",
            inferred,
            "fact_us",
            place=place,
        )


def _searches(figures: Figures) -> Iterator[Target]:
    wanted = (
        ("article", of_memories(SMALL), 0.3, 50),
        ("article", of_memories(LARGE), 1.5, 100),
        ("dimensions", of_vectors(384, LARGE), 1.5, 100),
    )
    for workload, case, limit_ms, parts in wanted:
        ours = figures.get(workload, case, "isomem-memory", "search_ms")
        yield _below(f"search, {case}: at most {limit_ms} ms", ours, limit_ms, "ms")
        claim = f"search, {case}: at most 1/{parts} of mem0 in memory"
        yield _fraction(figures, claim, parts, workload, case, "search_ms")


def _scopes(figures: Figures) -> Iterator[Target]:
    sizes = Sizes()
    small, *_, large = (of_scopes(users, sizes) for users in sizes.users)
    ways = {
        "random": "random scopes of the whole store",
        "first": "scopes not searched before",
        "again": "scopes searched before",
    }
    for way, words in ways.items():
        key = Key("many_scopes", large, "isomem-disk", f"{way}_p95_ms")
        ratio = figures.ratio(key, key._replace(case=small))
        claim = f"p95 search in a million memories: at most 1.3 times ten thousand's, {words}"
        yield _below(claim, ratio, 1.3, "times")
    opened = figures.get("many_scopes", large, "isomem-disk", "open_ms")
    yield _below("a million memories: the file opens in under 100 ms", opened, 100, "ms")


def _memory(figures: Figures) -> Iterator[Target]:
    for count, limit, words in (
        (SMALL, 15.4, "15.4 MB"),
        (LARGE, RUST_MEASURED[LARGE][2] / 2, "half of mem0-rs as measured earlier (84 MB)"),
    ):
        for system, where in (("isomem-memory", "in memory"), ("isomem-disk", "on disk")):
            peak = figures.get("article", of_memories(count), system, "peak_mb")
            claim = f"peak memory, {of_memories(count)}, {where}: at most {words}"
            yield _below(claim, peak, limit, "MB")


def _imports(figures: Figures) -> Iterator[Target]:
    for figure, limit, unit in (("import_ms", 40, "ms"), ("resident_mb", 15, "MB")):
        cost = figures.get("imports", "a new process", "isomem", figure)
        yield _below(f"import: at most {limit} {unit}", cost, limit, unit)


# --- What they have in common -------------------------------------------------------------


def _only_case(figures: Figures, workload: str) -> str:
    rows = figures.rows(workload)
    return rows[0][0] if rows else ""


def _unknown(claim: str) -> Target:
    return Target(claim, "not measured", None)


def _below(claim: str, summary: Summary | None, limit: float, unit: str) -> Target:
    if summary is None:
        return _unknown(claim)
    return Target(claim, f"{number(summary.median)} {unit}", summary.median <= limit)


def _fraction(
    figures: Figures,
    claim: str,
    parts: int,
    workload: str,
    case: str,
    figure: str,
    place: str = "memory",
) -> Target:
    keys = [Key(workload, case, f"{name}-{place}", figure) for name in ("mem0", "isomem")]
    ratio = figures.ratio(*keys)
    if ratio is None:
        return _unknown(claim)
    theirs, ours = (figures.get(*key) for key in keys)
    assert theirs
    assert ours
    unit = "ms" if figure.endswith("_ms") else "µs"
    told = f"{number(ours.median)} against {number(theirs.median)} {unit}"
    share = f"1/{number(ratio.median)}"
    if ratio.median < 1:
        share = f"{number(1 / ratio.median)} times as much"
    return Target(claim, f"{share} ({told})", ratio.median >= parts)


VERDICTS = {True: "met", False: "not met", None: "not known"}


def as_table(found: list[Target]) -> Table:
    """The targets as a table."""
    rows = [[target.claim, VERDICTS[target.met], target.measured] for target in found]
    return Table(["target", "", "measured"], rows)


def rust_table() -> Table:
    """The figures of mem0-rs that are quoted."""
    rows = [
        [of_memories(count), "mem0-rs, release build", *map(number, row)]
        for count, row in RUST_MEASURED.items()
    ]
    return Table(["", "", "add, µs", "search, ms", "peak memory, MB"], rows)
