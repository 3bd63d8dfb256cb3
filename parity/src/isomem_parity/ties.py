"""Ties in upstream's default store, decided by insertion order and nothing else.

Qdrant local has no rule for equal scores. Two equal vectors score differently in the last bits,
depending on their rows (BLAS takes rows in blocks). numpy then sorts with an unstable algorithm
that differs between processors. A restart reverses the rows. An inferred add links to whichever
entity comes first, so this noise would become stored data.

For the comparison the noise is removed. What is left is the order that small collections have on
most processors: of scores within `TIE` the later insertion comes first, over the whole collection,
whatever the scope. Scores themselves are not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from qdrant_client.local import local_collection
from qdrant_client.local.persistence import CollectionPersistence

TIE = 2e-7
"""More than the rounding of one float32 vector and its scores, less than any real difference."""

_inserted: dict[tuple[str, Any], int] = {}


class _Scores(np.ndarray[Any, Any]):
    """Scores of all points of a collection; sorting keeps the order of those that are tied."""

    def argsort(self, *args: Any, **kwargs: Any) -> Any:
        scores = np.asarray(self)
        order = np.argsort(scores, kind="stable")
        if len(order) < 2:
            return order
        with np.errstate(invalid="ignore"):  # The distance of -inf to -inf is a tie, too.
            apart = np.diff(scores[order]) > TIE
        groups = np.concatenate(([0], np.cumsum(apart)))
        return order[np.lexsort((order, groups))]


def settle() -> None:
    """Settle ties from now on, in this process."""
    if hasattr(local_collection.calculate_distance, "settled"):
        return
    for name in ("calculate_distance", "calculate_distance_sparse"):
        setattr(local_collection, name, _settled(getattr(local_collection, name)))
    CollectionPersistence.persist = _noting(CollectionPersistence.persist)
    CollectionPersistence.load = _ordered(CollectionPersistence.load)


def _settled(measure: Callable[..., Any]) -> Callable[..., Any]:
    def settled(*args: Any) -> Any:
        return measure(*args).view(_Scores)

    settled.settled = True  # type: ignore[attr-defined]
    return settled


def _noting(persist: Callable[..., None]) -> Callable[..., None]:
    """Remembers which point was inserted when: the file does not, once it was updated."""

    def noting(self: Any, point: Any) -> None:
        _inserted.setdefault((str(self.location), str(point.id)), len(_inserted))
        persist(self, point)

    return noting


def _ordered(load: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """After a restart the points have the order that they had before it."""

    def ordered(self: Any) -> Iterator[Any]:
        place = str(self.location)
        last = len(_inserted)
        points = list(load(self))
        return iter(sorted(points, key=lambda one: _inserted.get((place, str(one.id)), last)))

    return ordered
