"""Runs a coroutine without an event loop."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends: all it awaits is done when it returns.

    Works inside a running event loop too, since it neither needs nor touches one.

    Raises:
        RuntimeError: it suspended, so one of the ports is not a blocking one.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine suspended where only blocking calls can be made")
