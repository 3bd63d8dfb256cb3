"""Whatever is called, and in which order: a client returns and raises what a memory does.

Random programs of calls, good and bad, are run on a memory that is called directly and on one that
is called by way of a service. Both have the same clock, model and embedder, so every result and
every error has to be equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

import pytest

from tests.client.conftest import Both, outcome
from tests.unit.store.fuzz import FACTOR

STEPS = max(60, int(150 * FACTOR))

WORDS = ("tea", "chess", "Lisbon", "a cello", "the sea", "Ana Silva", "rain", "東京", "naïve")
USERS = ("ana", "bob", "é", "u/1", "a b", "", " ana ", "*", "🗼", "x" * 300)
ODD = (None, 7, 0.5, True, [], {}, ["ana"], {"in": ["ana"]}, "")
MOMENTS = (
    None, 0, 1717236000, 1717236000.5, "2026-05-07", "2026-05-07T12:00:00+02:00", "soon", -1,
    10**18, True,
)  # fmt: skip
DAYS = (None, "2026-05-07", "2126-01-01", "tomorrow", 7, "2026-02-30")

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


class Programs:
    """Draws calls; some of them use ids of memories that earlier ones have returned."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.known: list[str] = []

    def draw(self) -> Call:
        """The next call."""
        kinds: tuple[Callable[[], Call], ...] = (
            self.add, self.add, self.add, self.inferred, self.remember, self.search, self.search,
            self.context, self.get_all, self.page, self.one, self.update, self.delete, self.count,
            self.scopes, self.removal,
        )  # fmt: skip
        return self.random.choice(kinds)()

    # --- Arguments ---

    def rarely(self) -> bool:
        """Once in twelve times."""
        return self.random.random() < 1 / 12

    def text(self) -> Any:
        if self.rarely():
            return self.random.choice((None, 7, "", " ", ["x"], {"role": "user"}))
        return " and ".join(self.random.sample(WORDS, self.random.choice((1, 2, 3))))

    def ids(self) -> dict[str, Any]:
        ids: dict[str, Any] = {"user_id": self.random.choice(USERS[:2])}
        if self.rarely():
            ids["user_id"] = self.random.choice((*USERS, *ODD))
        if self.random.random() < 0.3:
            ids["agent_id"] = self.random.choice(("a1", "a2"))
        if self.random.random() < 0.2:
            ids["run_id"] = "r1"
        return {} if self.rarely() else ids

    def metadata(self) -> Any:
        values = (
            None, {"kind": "note"}, {"n": 3, "deep": {"list": [1, {"x": None}]}}, {"é": "東京"},
            {"user_id": "bob"}, {"n": 1e308, "small": 5e-324, "big": 2**53}, {}, "text", [1],
        )  # fmt: skip
        return self.random.choice(values)

    def filters(self) -> Any:
        filters = self.ids()
        more = (
            {}, {"kind": "note"}, {"n": {"gte": 2}}, {"kind": {"in": ["note", "x"]}},
            {"OR": [{"kind": "note"}, {"n": 3}]}, {"NOT": [{"kind": "note"}]}, {"kind": "*"},
            {"n": {"between": 1}}, {"OR": []}, {"deep.list[0]": 1}, {"kind": {"ne": "note"}},
        )  # fmt: skip
        if self.rarely():
            return self.random.choice(("ana", [], None, 7))
        return {**filters, **self.random.choice(more)}

    def memory_id(self) -> Any:
        if self.known and self.random.random() < 0.85:
            return self.random.choice(self.known)
        return self.random.choice(("none", "", None, 7, "4be2d6a4-0000-4000-8000-000000000000"))

    def shown(self) -> dict[str, Any]:
        options = {
            "show_expired": True, "show_superseded": True, "order": self.random.choice(
                ("id", "oldest", "newest", "random", None)
            ),
        }  # fmt: skip
        return {key: value for key, value in options.items() if self.random.random() < 0.2}

    # --- Calls ---

    def add(self) -> Call:
        options: dict[str, Any] = {"infer": False, **self.ids()}
        if self.random.random() < 0.5:
            options["metadata"] = self.metadata()
        if self.random.random() < 0.2:
            options["timestamp"] = self.random.choice(MOMENTS)
        if self.random.random() < 0.2:
            options["expiration_date"] = self.random.choice(DAYS)
        said = self.text()
        messages = (
            said, {"role": "user", "content": said},
            [{"role": "user", "content": said}, {"role": "assistant", "content": "Good."}],
            [{"role": "system", "content": "Be kind."}], [],
        )  # fmt: skip
        return "add", (self.random.choice(messages),), options

    def inferred(self) -> Call:
        return "add", (self.text(),), self.ids()

    def remember(self) -> Call:
        reply = self.random.choice((None, "Good.", "", 7))
        return "remember", (self.text(), reply), {**self.ids(), "infer": False}

    def search(self) -> Call:
        options: dict[str, Any] = {"filters": self.filters()}
        more = {
            "top_k": (0, 1, 5, -1, 2**40), "threshold": (None, 0, 0.3, 1, 2, -1),
            "explain": (True, False), "ranking": ("contract", "fused", "best", None),
            "rerank": (True,), "show_superseded": (True,),
        }  # fmt: skip
        for key, values in more.items():
            if self.random.random() < 0.25:
                options[key] = self.random.choice(values)
        return "search", (self.text(),), options

    def context(self) -> Call:
        limit = self.random.choice((0, 20, 1000, -1))
        return "context", (self.text(),), {"filters": self.filters(), "max_tokens": limit}

    def get_all(self) -> Call:
        return "get_all", (), {"filters": self.filters(), **self.shown()}

    def page(self) -> Call:
        size = self.random.choice((1, 2, 1000, 0, 1001))
        return "get_all", (), {"filters": self.filters(), "page_size": size, **self.shown()}

    def one(self) -> Call:
        return self.random.choice(("get", "history", "restore")), (self.memory_id(),), {}

    def update(self) -> Call:
        options: dict[str, Any] = {}
        if self.random.random() < 0.8:
            options["data"] = self.text()
        if self.random.random() < 0.4:
            options["metadata"] = self.metadata()
        if self.random.random() < 0.2:
            options["expiration_date"] = self.random.choice(DAYS)
        return "update", (self.memory_id(),), options

    def delete(self) -> Call:
        return "delete", (self.memory_id(),), {}

    def count(self) -> Call:
        return "count", (self.filters(),), {}

    def scopes(self) -> Call:
        return "scopes", (), self.ids() if self.random.random() < 0.5 else {}

    def removal(self) -> Call:
        name = self.random.choice(("delete_all", "sweep", "sweep"))
        ids = {**self.ids(), "run_id": "r1"} if self.random.random() < 0.9 else {}
        return name, (), ids


def run(both: Both, programs: Programs, steps: int) -> Iterator[tuple[Call, Any, Any]]:
    """Makes calls on both sides; yields each with its two outcomes."""
    for _ in range(steps):
        call = name, args, options = programs.draw()
        if name == "add" and options.get("infer", True):
            both.say((programs.text(), "Ana likes rain"))
        sides = (both.direct, both.client)
        calls = [partial(getattr(side, name), *args, **options) for side in sides]
        outcomes = [outcome(each) for each in calls]
        yield call, *outcomes
        for added in _added(outcomes[0]):
            programs.known.append(added)


def _added(result: Any) -> list[str]:
    listed = result.get("results", []) if isinstance(result, dict) else []
    return [each["id"] for each in listed if each.get("event") == "ADD"]


def _is_error(result: Any) -> bool:
    return isinstance(result, tuple)


def _has_several_faults(direct: Any, client: Any) -> bool:
    """Whether both refuse the arguments of a call, but each names another one."""
    both = (direct, client)
    refusals = [each[0] for each in both if _is_error(each)]
    return len(refusals) == 2 and direct != client and {*refusals} <= REFUSALS


REFUSALS = {"ValueError", "ValidationError"}


def alike(direct: Any, client: Any) -> bool:
    """Whether two outcomes are equal. Scores have come through JSON, which keeps every bit."""
    if isinstance(direct, float) and isinstance(client, float):
        return direct == client or (math.isnan(direct) and math.isnan(client))
    if isinstance(direct, dict) and isinstance(client, dict):
        return list(direct) == list(client) and all(alike(direct[k], client[k]) for k in direct)
    if isinstance(direct, list) and isinstance(client, list):
        return len(direct) == len(client) and all(map(alike, direct, client))
    return type(direct) is type(client) and bool(direct == client)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_client_does_what_a_memory_does(both: Both, seed: int) -> None:
    refused = otherwise = 0
    for call, direct, client in run(both, Programs(seed), STEPS):
        refused += _is_error(direct)
        if _has_several_faults(direct, client):
            otherwise += 1
        else:
            assert alike(direct, client), (call, direct, client)
    assert 0 < refused < STEPS / 2
    assert otherwise <= 1 + refused / 20
