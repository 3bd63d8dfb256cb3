"""The targets that were set for speed and memory, each with what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.plan import (
    Sizes,
    of_memories,
    of_processes,
    of_scopes,
    of_threads,
    of_vectors,
)
from bench.report.figures import Figures, Key, Summary
from bench.report.tables import MORE_IS_BETTER, Table, number

SMALL, LARGE = 2_000, 20_000

RUST_MEASURED = {SMALL: (12.3, 3.6, 15.1), LARGE: (12.3, 76.0, 84.0)}
"""mem0-rs, release build, measured earlier on a machine with two cores: add in µs, search in ms,
peak memory in MB. It is not measured here."""

RUST_OF_STUB = (0.65, 0.9)
"""An add of mem0-rs took this much of an add of mem0 on a bare stub store, measured beside it.
At the sitting of `RUST_MEASURED` the stub's add took 20 µs."""

RUST_ALLOWED = 1.3

ARTICLE = {"add_us": ("an add", 3.5), "search_ms": ("a search", 3), "peak_mb": ("memory", 6.6)}
"""How many times less mem0-rs takes than mem0, as the article about it says."""

BESIDE = "Beside the article about mem0-rs"


class Target(NamedTuple):
    """One claim: what it asks for, what was measured, and whether it is met (None: not known)."""

    claim: str
    measured: str
    met: bool | None


def targets(figures: Figures) -> list[Target]:
    """All of them: adds, changes, writers, searches, scopes, memory, the event loop, imports."""
    checks = (_adds, _changes, _writers, _searches, _scopes, _memory, _async, _imports)
    return [target for check in checks for target in check(figures)]


def rust_scaled(stub_us: float) -> tuple[float, float]:
    """An add of mem0-rs on this machine, in µs: from, to; estimated from the stub beside it."""
    low, high = RUST_OF_STUB
    return low * stub_us, high * stub_us


# --- The checks ---------------------------------------------------------------------------


def _adds(figures: Figures) -> Iterator[Target]:
    article = Key("article", of_memories(SMALL), "isomem-memory", "add_us")
    yield _part(figures, "add in memory: at most 1/3.5 of mem0 in memory", 3.5, article)
    yield from _against_rust(figures, article)
    on_disk = article._replace(system="isomem-disk")
    yield _part(figures, "durable add: at most 1/6 of mem0 on disk", 6, on_disk)
    yield _against_flush(figures, on_disk)
    inferred = Key("inferred", _only_case(figures, "inferred"), "isomem-memory", "fact_us")
    for place, where in (("disk", "on disk"), ("memory", "in memory")):
        claim = f"inferred add of 10 facts, {where}: at most 1/10 of mem0 per fact"
        yield _part(figures, claim, 10, inferred._replace(system=f"isomem-{place}"))


def _against_rust(figures: Figures, key: Key) -> Iterator[Target]:
    ours = figures.get(*key)
    stub = figures.get(*key._replace(system="mem0-stub"))
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


def _against_flush(figures: Figures, key: Key) -> Target:
    claim = "durable add: at most 1.15 times a flushed write"
    ours = figures.get(*key)
    flush = figures.get("machine", "before article", "bare", "flush_us")
    if not (ours and flush):
        return _unknown(claim)
    told = f"{number(ours.median)} against {number(flush.median)} µs"
    ratio = ours.median / flush.median
    return Target(claim, f"{number(ratio)} times ({told})", ratio <= 1.15)


def _changes(figures: Figures) -> Iterator[Target]:
    for name in ("update", "delete"):
        key = Key("manage", of_memories(SMALL), "isomem-memory", f"{name}_us")
        yield _part(figures, f"{name} in memory: no slower than mem0 in memory", 1, key)


def _writers(figures: Figures) -> Iterator[Target]:
    cases = (
        (of_threads(16), 1.8),
        (f"{of_threads(16)}, a flush of 3 ms", 6),
        (of_threads(1), 0.95),
    )
    for case, least in cases:
        together = Key("writers", case, "isomem-disk", "adds_per_s")
        ratio = figures.ratio(together, together._replace(system="isomem-disk-singly"))
        claim = f"durable adds of {case}: at least {least} times as many as one by one"
        yield _above(claim, ratio, least)
    four = Key("shared_file", of_processes(4), "isomem-disk", "adds_per_s")
    ratio = figures.ratio(four, four._replace(case=of_processes(1)))
    yield _above("durable adds of 4 processes: at least as many as one process's", ratio, 1)


def _searches(figures: Figures) -> Iterator[Target]:
    wanted = (
        ("article", of_memories(SMALL), 0.3, 50),
        ("article", of_memories(LARGE), 1.5, 100),
        ("dimensions", of_vectors(384, LARGE), 1.5, 100),
    )
    for workload, case, limit_ms, parts in wanted:
        key = Key(workload, case, "isomem-memory", "search_ms")
        yield _below(f"search, {case}: at most {limit_ms} ms", figures.get(*key), limit_ms, "ms")
        yield _part(figures, f"search, {case}: at most 1/{parts} of mem0 in memory", parts, key)
    case = of_vectors(384, 100_000)
    ours = figures.get("dimensions", case, "isomem-memory", "search_median_ms")
    yield _below(f"search, {case} in one scope, median: at most 6 ms", ours, 6, "ms")
    ours = figures.get("article", of_memories(SMALL), "isomem-memory-interpreted", "search_ms")
    claim = f"search without a compiler, {of_memories(SMALL)}: at most 1.5 ms"
    yield _below(claim, ours, 1.5, "ms")


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
    for count, limit in ((SMALL, 17.5), (LARGE, 34)):
        for system, where in (("isomem-memory", "in memory"), ("isomem-disk", "on disk")):
            peak = figures.get("article", of_memories(count), system, "peak_mb")
            claim = f"peak memory, {of_memories(count)}, {where}: at most {limit} MB"
            yield _below(claim, peak, limit, "MB")
    key = Key("article", of_memories(SMALL), "isomem-memory", "peak_mb")
    yield _part(figures, f"peak memory, {of_memories(SMALL)}: at most 1/7 of mem0", 7, key)


def _async(figures: Figures) -> Iterator[Target]:
    for system, where in (("isomem-memory", "in memory"), ("isomem-disk", "on disk")):
        case = _only_case(figures, "loop_hold")
        for figure, words in (
            ("on_loop_ms", "work of any call on the loop itself"),
            ("held_ms", "wait of the loop during any call, the interpreter lock included"),
        ):
            held = figures.get("loop_hold", case, system, figure)
            yield _below(f"event loop, {where}: {words} at most 5 ms", held, 5, "ms")
    case = _only_case(figures, "concurrent")
    for name, words in (("add", "adds"), ("search", "searches")):
        key = Key("concurrent", case, "isomem-memory-blocking", f"{name}_per_s")
        claim = f"200 {words} at once, blocking providers: at least 4 times mem0's throughput"
        yield _part(figures, claim, 4, key)


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


def _above(claim: str, ratio: Summary | None, least: float) -> Target:
    if ratio is None:
        return _unknown(claim)
    return Target(claim, f"{number(ratio.median)} times", ratio.median >= least)


UNITS = {"us": "µs", "ms": "ms", "mb": "MB", "s": "per s"}


def _part(figures: Figures, claim: str, parts: float, ours: Key) -> Target:
    """Whether a figure of isomem is that many times better than that of mem0 in the same place."""
    theirs = _beside(ours)
    pair = (ours, theirs) if ours.figure in MORE_IS_BETTER else (theirs, ours)
    ratio, both = figures.ratio(*pair), [figures.get(*key) for key in (ours, theirs)]
    if ratio is None:
        return _unknown(claim)
    first, second = (number(each.median) for each in both if each)
    told = f"{first} against {second} {UNITS[ours.figure.rpartition('_')[2]]}"
    return Target(claim, f"{_share(ours, ratio.median)} ({told})", ratio.median >= parts)


def _beside(ours: Key) -> Key:
    return ours._replace(system=f"mem0-{ours.system.split('-')[1]}")


def _share(key: Key, ratio: float) -> str:
    """How much of mem0's it is, in words."""
    if key.figure in MORE_IS_BETTER:
        return f"{number(ratio)} times"
    return f"1/{number(ratio)}" if ratio >= 1 else f"{number(1 / ratio)} times as much"


# --- Tables -------------------------------------------------------------------------------

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


PLACES = {
    "isomem-memory": "isomem, in memory",
    "isomem-disk": "isomem, on disk",
    "isomem-memory-plain": "isomem set as mem0, in memory",
}


def article_table(figures: Figures) -> Table:
    """What the article says of its Rust port, and what isomem takes, each as a part of mem0's."""
    rows = []
    for figure, (words, parts) in ARTICLE.items():
        keys = [Key("article", of_memories(SMALL), system, figure) for system in PLACES]
        ratios = [figures.ratio(_beside(key), key) for key in keys]
        cells = [_share(keys[0], ratio.median) if ratio else "" for ratio in ratios]
        rows.append([words, of_memories(SMALL), f"1/{number(parts)}", *cells])
    return Table(["of mem0's", "", "mem0-rs, as its article says", *PLACES.values()], rows)
