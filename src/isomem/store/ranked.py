"""The scores of the fused ranking for every point of a scope.

The formulas are in `isomem.contract.ranking`.
"""

from __future__ import annotations

from isomem import kernel
from isomem.contract.periods import period_in
from isomem.contract.ranking import (
    KEYWORD_WEIGHT,
    PERIOD_WEIGHT,
    Signals,
    highest_sum,
    keyword_factors,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from typing import Any

    from isomem.store.cache import Scope
    from isomem.store.context import Context


class Scores:
    """D, W, T and B of every point of a scope, for one question.

    Args:
        scope, context: the points.
        unit: the question's vector.
        wanted: the numbers of its distinct terms.
        text: for the period that it names.

    Attributes:
        base: B.
        highest: the highest sum that the question could have.
    """

    def __init__(
        self, scope: Scope, context: Context, unit: bytes, wanted: array[int], text: str
    ) -> None:
        self._similarities = scope.products(unit)
        context.center(self._similarities, unit)
        self.base = base = _copy(self._similarities)
        self._keywords = scope.texts.shares(wanted, keyword_factors)
        if self._keywords is not None:
            kernel.add_weighted(base, self._keywords, KEYWORD_WEIGHT)
        period = period_in(text, context.latest)
        has_period = period is not None and period[0] <= context.latest
        self._periods = context.fit(period) if period and has_period else None
        if self._periods is not None:
            kernel.add_weighted(base, self._periods, PERIOD_WEIGHT)
        self.highest = highest_sum(
            has_keywords=self._keywords is not None, has_period=self._periods is not None
        )

    def signals(self, row: int, total: float) -> Signals:
        """The signals of one point; `total` is its sum with the context."""
        return Signals(
            similarity=self._similarities[row],
            keywords=self._keywords[row] if self._keywords is not None else 0.0,
            period=self._periods[row] if self._periods is not None else 0.0,
            base=self.base[row],
            total=total,
        )


def _copy(scores: Any) -> Any:
    return memoryview(bytearray(scores)).cast("d")
