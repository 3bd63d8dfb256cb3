"""The scenarios once more, with isomem over Redis, and mem0 over its default store: not one
difference, where the two engines are asked for the same.

Redis ranks words by rules of its own, so neither side looks for words, and tier B is tier A then.
It lists the newest first, where the default store goes by ids; the listing is put into that order
here. What mem0 makes of its own class for Redis is compared in `tests/stores/test_redis.py`.
`make engines` runs all scenarios; here are those of a few areas.
"""

from __future__ import annotations

from typing import Any

import pytest

from isomem_parity import tiers
from isomem_parity.ours import Ours
from isomem_parity.script import Script
from isomem_parity.side import COLLECTION
from isomem_parity.trace import (
    HISTORY_COLUMNS,
    MESSAGE_COLUMNS,
    Point,
    State,
    direction,
    payload_text,
)
from tests.parity.engines import OF_MAKE_ENGINES, check, run, scenarios
from tests.stores import redis_server

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(redis_server.missing()), reason=redis_server.missing()),
    OF_MAKE_ENGINES,
]

TIERS = ("A", "C")
ZEROS = ("bad_vectors", "zero_vector")
"""Scenarios with a vector of zeros, which is not found by what it means."""

TIES = ("ties_across_scopes", "ties_after_reopening")
"""Scenarios with entities that are equally near: each engine has an order of its own for them."""


class OverRedis(Ours):
    """isomem over its own store for Redis."""

    label = "isomem over Redis"

    def _config(self) -> dict[str, Any]:
        place = self.folder if self.script.on_disk else self.folder / str(id(object()))
        store = {
            "redis_url": redis_server.shared(place),
            "collection_name": COLLECTION,
            "embedding_model_dims": self.dims,
            "scores": "similarity",
            "keyword_search": False,
        }
        section = {"provider": "redis", "config": store}
        history = str(self.folder / "history.db") if self.script.on_disk else ":memory:"
        return {**super()._config(), "vector_store": section, "history_db_path": history}

    def build(self) -> Any:
        memory = super().build()
        store = memory.vector_store
        newest_first = store.list

        def in_order(filters: Any = None, top_k: int | None = 100) -> Any:
            newest_first(filters=filters, top_k=top_k)  # It raises for what is refused.
            hits, _ = newest_first(filters=filters, top_k=None)
            return sorted(hits, key=lambda hit: str(hit.id))[:top_k], None

        store.list = in_order
        return memory

    def state(self) -> State:
        return State(
            memories=_points(self.memory.vector_store),
            entities=_points(self.memory.entity_store),
            history=self._rows("history", HISTORY_COLUMNS),
            messages=self._rows("messages", MESSAGE_COLUMNS),
        )


def _points(store: Any) -> dict[str, Point]:
    return {
        name: Point(payload_text(payload), direction(vector))
        for name, payload, vector in store.points("", 100_000)
    }


@pytest.fixture
def _without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    hide = tiers._show_fastembed
    monkeypatch.setattr(tiers, "_show_fastembed", lambda there: hide(False))
    monkeypatch.setattr(tiers, "KEYWORDS", dict.fromkeys(tiers.KEYWORDS, False))


@pytest.mark.usefixtures("oracle", "_without_words")
@scenarios(in_tiers=TIERS)
def test_over_redis_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    outcome = run(script, kind, tier, make_ours=OverRedis)
    check(outcome, lambda found: found.title in ZEROS + TIES)
