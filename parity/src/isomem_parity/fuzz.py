"""Generated scripts, run on both sides in lockstep: `python -m isomem_parity.fuzz --seeds 1000`.

A script is drawn whole by Hypothesis, before anything runs, so that it can be shrunk and written
down as a scenario file. What is not drawn, and why, is in `parity/README.md`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from isomem.types import PROFILES
from isomem_parity.lockstep import MakeSide, Outcome, run_script
from isomem_parity.ours import Ours
from isomem_parity.report import Report
from isomem_parity.script import Script, Step, dump
from isomem_parity.upstream import load, quiet_and_offline, release

BLOCK = 25  # scripts that one seed of Hypothesis draws
FOUND = Path("found")  # in the current folder: an installed package is not written to

WORDS = (
    "tea coffee green black dog Rex cat Mia Berlin Paris Alice Johnson Bob Smith moved likes hates"
    " bought a an the and in to from with two three 42 v2.0 running meetings children Grüße Köln"
    " naïve Привет мир 東京 你好 مرحبا 😀 don't user-id e-mail U.S. C++ 'quoted' \"Great Gatsby\""
).split(" ")
NAMES = ("Alice Johnson", "Bob Smith", "Berlin", '"Great Gatsby"')
TAILS = ("", "", "", ".", "!", "?", " ", "\n", "\t", "\u0000", "…")
USERS = ("u", "u1", "u11", "U1", " u1 ")
AGENTS = ("a", "a1")
KEYS = ("n", "s", "tags", "o", "flag", "when", "nope", "o.x", "tags[0]", "role", "actor_id")
VALUES: tuple[Any, ...] = (
    0, 1, 2, -1, 1.5, True, False, None, "1", "red", "Red", "green", "", "b", ["a", "b"],
    ["b", 1, None], [], {"x": 1}, {"x": None}, [{"x": 1}, {"x": 2}],
    "2024-01-15", "2024-01-15T10:30:00Z", "2024-02-01T00:00:00+02:00", "not a date",
)  # fmt: skip
SCALARS = tuple(value for value in VALUES if not isinstance(value, (list, dict, float)))
DAYS = ("2025-02-28", "2025-03-01", "2025-03-02", "2025-03-04", "20250301", None, "soon", 5)
DATES = ("2024-01-15", "2024-01-15T10:30:00+00:00", "2024-01-31T22:00:00Z")


def is_later() -> bool:
    """Whether the release that is installed takes what 2.0.4 does not take."""
    return release() != PROFILES[0]


@cache
def texts() -> st.SearchStrategy[str]:
    """Short texts of several languages; sometimes nothing, something long, or a JSON look-alike."""
    words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
    plain = st.tuples(words, st.sampled_from(TAILS)).map("".join)
    odd = st.sampled_from(("", " ", "x" * 350, '{"memory": []}', "## New Messages\n", "```"))
    return st.one_of(plain, plain, plain, plain, plain, plain, plain, odd)


@st.composite
def messages(draw: Any) -> Any:
    """What `add` is given: a text, a message, a list of messages."""
    shape = draw(st.sampled_from("text text list list list dict".split()))
    if shape == "text":
        return draw(texts())
    if shape == "dict":
        return draw(message())
    return draw(st.lists(message(), min_size=1, max_size=5))


@st.composite
def message(draw: Any) -> dict[str, Any]:
    """One message: mostly of a user or an assistant, some named."""
    role = draw(st.sampled_from("user user user assistant assistant system tool".split()))
    made: dict[str, Any] = {"role": role, "content": draw(texts())}
    if draw(st.integers(0, 4)) == 0:
        made["name"] = draw(st.sampled_from(("ann", "bob", "")))
    if draw(st.integers(0, 30)) == 0:
        made["content"] = draw(
            st.sampled_from((None, [{"type": "text", "text": "part"}, {"type": "image_url"}]))
        )
    if draw(st.integers(0, 40)) == 0:
        del made["content"]
    if is_later() and draw(st.integers(0, 40)) == 0:
        made["role"] = draw(st.sampled_from((None, "")))
    return made


@cache
def scopes() -> st.SearchStrategy[dict[str, str]]:
    """Ids of a call: mostly of a user, sometimes of an agent or a run, too."""
    return st.sampled_from(
        [{"user_id": user} for user in USERS for _ in range(3)]
        + [{"user_id": "u1", "agent_id": agent} for agent in AGENTS]
        + [{"agent_id": agent} for agent in AGENTS]
        + [{"user_id": "u1", "run_id": "r1"}, {"run_id": "r1"}]
        + [{"user_id": "u1", "agent_id": "a", "run_id": "r1"}]
        + [{"user_id": 1}, {"user_id": "1"}, {"user_id": "u1", "run_id": 7}] * is_later()
    )


@cache
def nested_scopes() -> st.SearchStrategy[dict[str, str]]:
    """Ids of one user: what is asked for by the user alone spans several stored scopes."""
    user = {"user_id": "u1"}
    return st.sampled_from([
        user, user, {**user, "agent_id": "a"}, {**user, "run_id": "r1"},
        {**user, "agent_id": "a", "run_id": "r1"},
    ])  # fmt: skip


@cache
def named() -> st.SearchStrategy[str]:
    """Texts with one of a few names, so that scopes share entities."""
    return st.tuples(st.sampled_from(NAMES), st.sampled_from(WORDS)).map(" likes ".join)


@cache
def metadata() -> st.SearchStrategy[dict[str, Any]]:
    """Custom metadata; sometimes with names that the payload uses itself."""
    keys = st.sampled_from(("n", "s", "tags", "o", "flag", "when"))
    usual = st.dictionaries(keys, st.sampled_from(VALUES), max_size=4)
    odd = st.sampled_from((
        {"created_at": "2024-05-01T12:00:00+02:00"}, {"role": "boss"}, {"data": "x"},
        {"actor_id": "z", "n": 1}, {"user_id": "u2"}, {"agent_id": None}, {"id": "x", "score": 1},
        {"user_id": "u1", "n": 2}, {"attributed_to": "user"}, {"hash": "x", "n": 3},
        {"expiration_date": "2025-02-28"}, {"expiration_date": None},
    ))  # fmt: skip
    return st.one_of(usual, usual, usual, odd)


@st.composite
def reply(draw: Any) -> Any:
    """A model's reply: valid, wrapped, mangled, or of a wrong shape."""
    facts = draw(st.lists(fact(), max_size=4))
    told = dump_json({"memory": facts})
    if is_later() and draw(st.integers(0, 12)) == 0:
        half = len(told) // 2
        return {"raw": [told[:half], {"type": "text", "text": told[half:]}, {"type": "other"}]}
    shape = draw(st.integers(0, 19))
    if shape < 11:
        return told
    mangled = (
        f"```json\n{told}\n```",
        f"```\n{told}\n```",
        f"<think>hm {{}}</think>{told}",
        f"Sure: {told} Done.",
        told[: len(told) * 2 // 3],
        told.replace('"', "'"),
        told.replace(" ", "\n"),
        told[:-1] + ",}",
        "",
        "null",
        "no json",
        '{"memory": null}',
        dump_json({"memory": ["text", *facts]}),
        dump_json({"memory": "text"}),
        dump_json({"facts": facts}),
        dump_json({"memory": [*facts, {"text": None}]}),
        dump_json(facts),
    )
    return draw(st.sampled_from(mangled))


def dump_json(value: Any) -> str:
    """JSON as a model writes it."""
    import json

    return json.dumps(value, ensure_ascii=False)


@st.composite
def fact(draw: Any) -> dict[str, Any]:
    """One fact; some with keys that a model adds."""
    made: dict[str, Any] = {"text": draw(texts())}
    if draw(st.integers(0, 3)) == 0:
        made["attributed_to"] = draw(st.sampled_from(("user", "assistant", "", None)))
    if draw(st.integers(0, 9)) == 0:
        made["linked_memory_ids"] = ["0"]
    return made


@st.composite
def condition(draw: Any) -> dict[str, Any]:
    """A condition on one key: plain, or by one or several operators."""
    key = draw(st.sampled_from(KEYS))
    kind = draw(st.integers(0, 9))
    if kind < 3:
        return {key: draw(st.sampled_from((*SCALARS, "*", ["red", "green"], [1, 2])))}
    if kind < 5:
        return {key: {draw(st.sampled_from(("eq", "ne"))): draw(st.sampled_from(SCALARS))}}
    if kind < 6:
        listed = draw(st.sampled_from((["red", "b"], [1, 2], ["1"], [], "red")))
        return {key: {draw(st.sampled_from(("in", "nin"))): listed}}
    if kind < 7:
        words = st.sampled_from(("red", "RED", "re", "not date", "a", ""))
        return {key: {draw(st.sampled_from(("contains", "icontains"))): draw(words)}}
    bounds = st.sampled_from((0, 1, 1.5, -1)) if kind < 9 else st.sampled_from(DATES)
    names = st.sampled_from(("gt", "gte", "lt", "lte"))
    ranged = draw(st.dictionaries(names, bounds, min_size=1, max_size=2))
    if draw(st.integers(0, 15)) == 0:
        ranged[draw(st.sampled_from(("ne", "foo", "eq")))] = 1
    return {key: ranged}


@cache
def conditions() -> st.SearchStrategy[dict[str, Any]]:
    """Conditions by grammar: several keys, AND, OR, NOT, and those inside each other."""
    flat = st.lists(condition(), min_size=1, max_size=2).map(_merged)
    nested = st.recursive(
        flat,
        lambda inner: st.tuples(
            st.sampled_from(("AND", "OR", "NOT")), st.lists(inner, max_size=3)
        ).map(lambda made: {made[0]: made[1]}),
        max_leaves=4,
    )
    return st.one_of(st.just({}), flat, nested, st.tuples(flat, nested).map(_merged))


def _merged(parts: Any) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


@cache
def expiry() -> st.SearchStrategy[dict[str, Any]]:
    """Mostly nothing; a last day for the releases that know one."""
    given = st.sampled_from(DAYS).map(lambda day: {"expiration_date": day})
    return st.one_of(*[st.just({})] * 3, given) if is_later() else st.just({})


@cache
def shows() -> st.SearchStrategy[dict[str, Any]]:
    """Whether expired memories are shown, for the releases that can hide them."""
    return st.sampled_from(({}, {}, {"show_expired": True})) if is_later() else st.just({})


@cache
def references() -> st.SearchStrategy[str]:
    """An id: of one of the first memories, or of none."""
    known = st.integers(1, 25).map(lambda number: f"$m{number}")
    none = st.sampled_from(("00000000-0000-4000-8000-000000000000", "nobody"))
    return st.one_of(known, known, known, known, known, known, known, none)


@cache
def faults() -> st.SearchStrategy[tuple[dict[str, Any], ...]]:
    """What goes wrong in a step: mostly nothing."""
    some: st.SearchStrategy[dict[str, Any]] = st.sampled_from((
        {"on": "llm"}, {"on": "embed"}, {"on": "embed", "times": 1, "skip": 1},
        {"on": "embed_batch"}, {"on": "embed", "match": "tea"}, {"on": "store.search"},
        {"on": "embed", "match": "dog", "vector": "short"}, {"on": "store.insert"},
        {"on": "store.insert", "times": 1},
    ))  # fmt: skip
    never: tuple[dict[str, Any], ...] = ()
    return st.tuples(st.integers(0, 14), some).map(lambda drawn: never if drawn[0] else (drawn[1],))


@st.composite
def step(draw: Any, on_disk: bool) -> Step:
    """One operation."""
    kinds = "raw raw raw infer infer infer infer search search search get_all get update update"
    kinds += " delete history clock set_up delete_all procedural"
    kind = draw(st.sampled_from((kinds + (" reopen reopen reset" if on_disk else "")).split()))
    made: Step = draw(_MAKERS[kind]())
    if kind in ("raw", "infer", "procedural", "search", "update"):
        return replace(made, faults=draw(faults()))
    return made


@st.composite
def _raw(draw: Any) -> Step:
    args = {"messages": draw(messages()), **draw(scopes()), **draw(expiry()), "infer": False}
    if draw(st.booleans()):
        args["metadata"] = draw(metadata())
    return Step("add", args)


@st.composite
def _infer(draw: Any) -> Step:
    args = {"messages": draw(messages()), **draw(scopes()), **draw(expiry())}
    if draw(st.integers(0, 3)) == 0:
        args["metadata"] = draw(metadata())
    if draw(st.integers(0, 7)) == 0:
        args["prompt"] = draw(texts())
    return Step("add", args, replies=(draw(reply()),))


@st.composite
def _procedural(draw: Any) -> Step:
    args = {"messages": draw(messages()), **draw(scopes()), "memory_type": "procedural_memory"}
    return Step("add", args, replies=(draw(texts()),))


@st.composite
def _search(draw: Any) -> Step:
    filters = {**draw(scopes()), **draw(conditions())}
    args: dict[str, Any] = {"query": draw(texts()), "filters": filters, **draw(shows())}
    if draw(st.booleans()):
        args["top_k"] = draw(st.sampled_from((0, 1, 2, 3, 5, 10, 50)))
    if draw(st.booleans()):
        args["threshold"] = draw(st.sampled_from((0.0, 0.05, 0.3, 0.5, 0.7, None)))
    if draw(st.integers(0, 4)) == 0:
        args["rerank"] = True
    if is_later() and draw(st.integers(0, 3)) == 0:
        args["explain"] = True
    return Step("search", args)


@st.composite
def _get_all(draw: Any) -> Step:
    args: dict[str, Any] = {"filters": {**draw(scopes()), **draw(conditions())}, **draw(shows())}
    if draw(st.booleans()):
        args["top_k"] = draw(st.sampled_from((0, 1, 2, 5, 100)))
    return Step("get_all", args)


@st.composite
def _update(draw: Any) -> Step:
    args: dict[str, Any] = {"memory_id": draw(references()), **draw(expiry())}
    name = draw(st.sampled_from(("data", "text", "text", ""))) if is_later() else "data"
    if name:
        args[name] = draw(texts())
    if draw(st.booleans()):
        args["metadata"] = draw(metadata())
    return Step("update", args)


def _by_id(op: str) -> Any:
    return lambda: references().map(lambda given: Step(op, {"memory_id": given}))


def _set_up() -> st.SearchStrategy[Step]:
    return st.sampled_from((
        Step("reranker", "length"), Step("reranker", "reverse"), Step("reranker", None),
        Step("instructions", "Only about pets."), Step("instructions", None),
    ))  # fmt: skip


_MAKERS: dict[str, Any] = {
    "raw": _raw,
    "infer": _infer,
    "procedural": _procedural,
    "search": _search,
    "get_all": _get_all,
    "update": _update,
    "get": _by_id("get"),
    "delete": _by_id("delete"),
    "history": _by_id("history"),
    "set_up": _set_up,
    "clock": lambda: st.sampled_from((0.5, 3600, -10, 86400)).map(
        lambda seconds: Step("clock", {"advance": seconds})
    ),
    "delete_all": lambda: scopes().map(lambda ids: Step("delete_all", ids)),
    "reopen": lambda: st.just(Step("reopen", {})),
    "reset": lambda: st.just(Step("reset", {})),
}


@st.composite
def shared_step(draw: Any, on_disk: bool) -> Step:
    """One operation on one user whose scopes lie in each other and hold the same entities."""
    kind = draw(
        st.sampled_from("infer infer infer infer infer infer update delete search any".split())
    )
    if kind == "any":
        return draw(step(on_disk))
    if kind == "delete":
        return draw(_MAKERS["delete"]())
    if kind == "update":
        return Step("update", {"memory_id": draw(references()), "data": draw(named())})
    ids, text = draw(nested_scopes()), draw(named())
    if kind == "search":
        return Step("search", {"query": text, "filters": ids})
    told = dump_json({"memory": [{"text": text}]})
    return Step("add", {"messages": draw(texts()), **ids}, replies=(told,))


@st.composite
def scripts(draw: Any, steps: int) -> Script:
    """A whole script; one in five on disk, with restarts and resets, one in five of one user."""
    on_disk = draw(st.integers(0, 4)) == 4
    kind = shared_step if draw(st.integers(0, 4)) == 0 else step
    listed = draw(st.lists(kind(on_disk), min_size=steps, max_size=steps))
    config = {"store": "disk"} if on_disk else {}
    return Script("generated", "generated", tuple(listed), config=config)


@dataclass
class Tally:
    """What a number of generated scripts gave."""

    scripts: int = 0
    steps: int = 0
    uses: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.scripts += other.scripts
        self.steps += other.steps
        self.uses += other.uses
        self.failures += other.failures


class DiffersError(AssertionError):
    """A generated script showed a difference."""


def run_block(
    number: int, steps: int, kind: str, tier: str, most: int, make_ours: MakeSide = Ours
) -> Tally:
    """Draw and run up to `most` scripts of a seed; the first that differs ends it, made small."""
    tally = Tally()

    @seed(number)
    @settings(
        max_examples=most,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(scripts(steps))
    def check(script: Script) -> None:
        if tally.failures:  # Hypothesis runs a failing example again, to see if it is flaky
            raise DiffersError
        outcome = run_script(script, kind, tier, make_ours=make_ours, stop_at_first=True)
        tally.scripts += 1
        tally.steps += outcome.steps
        tally.uses += Counter(use.row for use in outcome.uses)
        if outcome.differences:
            tally.failures.append(outcome)
            raise DiffersError

    try:
        check()
    except DiffersError:
        tally.failures = [shrink(tally.failures[0], make_ours)]
    return tally


def shrink(outcome: Outcome, make_ours: MakeSide = Ours) -> Outcome:
    """The smallest script found that still differs: without steps, then with less in each.

    Hypothesis shrinks what it drew, choice by choice; a script is long, and most of it is not
    needed, so that taking out whole steps gets there in a hundredth of the time.
    """
    best = outcome
    improved = True
    while improved:
        improved = False
        for smaller in _smaller(best.script):
            tried = run_script(
                smaller, best.kind, best.tier, make_ours=make_ours, stop_at_first=True
            )
            if _kind_of(tried) == _kind_of(outcome):
                best, improved = tried, True
                break
    return best


def _kind_of(outcome: Outcome) -> tuple[str, ...]:
    """What differs, in kind: so that shrinking does not slip from one difference to another."""
    step = min((one.step for one in outcome.differences), default=0)
    found = [one for one in outcome.differences if one.step == step]
    kinds = {one.op + " " + re.sub(r"\$?[a-z]?\d+", "#", one.path) for one in found}
    errors = {str(one.ours.get("type")) for one in found if isinstance(one.ours, dict)}
    return (*sorted(kinds), *sorted(errors)) if found else ()


def _smaller(script: Script) -> Iterator[Script]:
    """Scripts with a little less in them, the boldest cuts first."""
    steps = script.steps
    size = len(steps) // 2
    while size >= 1:
        for at in range(0, len(steps), size):
            yield replace(script, steps=steps[:at] + steps[at + size :])
        size //= 2
    for at, one in enumerate(steps):
        for less in _less(one):
            yield replace(script, steps=(*steps[:at], less, *steps[at + 1 :]))


def _less(one: Step) -> Iterator[Step]:
    if one.faults:
        yield replace(one, faults=())
    if one.replies:
        yield replace(one, replies=())
    for args in _less_of(one.args):
        yield replace(one, args=args)


def _less_of(value: Any) -> Iterator[Any]:
    """The value without one of its parts, or with a smaller part, or a shorter text."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {other: kept for other, kept in value.items() if other != key}
            for less in _less_of(item):
                yield {**value, key: less}
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield value[:at] + value[at + 1 :]
            for less in _less_of(item):
                yield [*value[:at], less, *value[at + 1 :]]
    elif isinstance(value, str) and " " in value:
        yield value.split(" ")[0]


def _work(task: tuple[int, int, str, str, int]) -> tuple[int, Tally]:
    load()
    with quiet_and_offline():
        return task[0], run_block(*task)


def save(outcome: Outcome, number: int, folder: Path = FOUND) -> Path:
    """Write a failing script as a scenario file."""
    folder.mkdir(parents=True, exist_ok=True)
    first = outcome.differences[0]
    script = replace(
        outcome.script,
        about=f"Found by seed {number}: step {first.step} {first.op} differed at {first.path}.",
        tiers=(outcome.tier,),
        classes=(outcome.kind,),
    )
    path = folder / f"tier_{outcome.tier}_{outcome.kind}_seed_{number}.json"
    path.write_text(dump(script), encoding="utf-8")
    return path


def parser() -> argparse.ArgumentParser:
    """The words of this command line."""
    made = argparse.ArgumentParser(prog="python -m isomem_parity.fuzz", description=__doc__)
    made.add_argument("--seeds", type=int, default=200, help="how many scripts (default: 200)")
    made.add_argument("--steps", type=int, default=30)
    made.add_argument("--class", dest="kind", choices=("sync", "async"), default="sync")
    made.add_argument("--tier", choices=("A", "B", "C"), default="A")
    made.add_argument("--jobs", type=int, default=1)
    made.add_argument("--first", type=int, default=0, help="number of the first block")
    made.add_argument("--found", type=Path, default=FOUND, help="where failing scripts go")
    made.add_argument("--keep-going", type=int, default=5, help="failing blocks before stopping")
    return made


def main(argv: list[str] | None = None) -> int:
    """0 when no script differed."""
    options = parser().parse_args(argv)
    blocks = range(options.first, options.first + -(-options.seeds // BLOCK))
    tasks = [(n, options.steps, options.kind, options.tier, BLOCK) for n in blocks]
    began, total = time.perf_counter(), Tally()
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.jobs) as pool:
        for number, tally in pool.imap_unordered(_work, tasks):
            total.add(tally)
            _say(options, number, tally, total, began)
            if len(total.failures) >= options.keep_going:
                pool.terminate()
                break
    print(_summary(total, time.perf_counter() - began))
    return 1 if total.failures else 0


def _say(options: argparse.Namespace, number: int, tally: Tally, total: Tally, at: float) -> None:
    for outcome in tally.failures:
        report = Report()
        report.add(outcome)
        print(f"seed {number}: {save(outcome, number, options.found)}")
        print(report.as_text(6), flush=True)
    if sys.stderr.isatty() or total.scripts % 1000 < BLOCK:
        took = time.perf_counter() - at
        print(f"{total.scripts} scripts, {took:.0f} s", file=sys.stderr, flush=True)


def _summary(total: Tally, seconds: float) -> str:
    used = ", ".join(f"{row} {count}" for row, count in sorted(total.uses.items()))
    each = seconds / max(total.scripts, 1)
    return (
        f"{total.scripts} scripts, {total.steps} steps, {len(total.failures)} blocks with a "
        f"difference, {seconds:.1f} s ({each:.3f} s a script)\ndivergences: {used}"
    )


if __name__ == "__main__":
    sys.exit(main())
