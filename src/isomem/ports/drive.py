"""Runs the coroutine of one call: without an event loop, or in one."""

from __future__ import annotations

from isomem.ports.guard import PartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends: all it awaits is done when it returns.

    Works inside a running event loop too, since it neither needs nor touches one.

    Raises:
        Exception: what a part raised that the call cannot do without.
        RuntimeError: it suspended, so one of the ports is not a blocking one.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    except PartFailure as failure:
        error = failure.error
    else:
        coroutine.close()
        raise RuntimeError("a coroutine suspended where only blocking calls can be made")
    raise error  # Out here, so that the part's error has no context but its own.


async def adrive(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, awaited.

    Raises:
        Exception: what a part raised that the call cannot do without.
    """
    try:
        return await coroutine
    except PartFailure as failure:
        error = failure.error
    raise error
