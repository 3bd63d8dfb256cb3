"""Noted: one call, as the trail will have it."""

from __future__ import annotations

from isomem.serve.problems import problem_of
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeVar

    T = TypeVar("T")

OK = 200


def how_many(result: object) -> int | None:
    """How many memories, or other things, a call has returned; None if that is not known."""
    items = result.get("results") if isinstance(result, dict) else result
    if isinstance(items, list):
        return len(items)
    return 1 if isinstance(result, dict) and "memory" in result else None


class Noted:
    """One call, as the trail will have it.

    Attributes:
        call: what was called.
        arguments: from which it takes the scope; as narrowed as they are known.
        memories: how many were added, found or changed; None if that is not known.
        status: of HTTP, whether or not the call came over HTTP.
        code: of the error; None if there was none.
        job: the id of the job that the call became, or that it was made for.
        about: the id of what else it changed, such as a key.
        lines: of a request: how many lines the audit log has of it.
    """

    __slots__ = ("about", "arguments", "call", "code", "job", "lines", "memories", "status")

    def __init__(self, call: str, arguments: Mapping[str, object]) -> None:
        self.call = call
        self.arguments = arguments
        self.memories: int | None = None
        self.status = OK
        self.code: str | None = None
        self.job: str | None = None
        self.about: str | None = None
        self.lines = 0

    def end(self, result: T) -> T:
        """Notes what a call returns. Returns it."""
        self.memories = how_many(result)
        return result

    def fail(self, error: BaseException) -> None:
        """Notes why it failed."""
        if isinstance(error, Exception):
            problem = problem_of(error)
            self.status, self.code = problem.status, problem.code
        else:
            self.status, self.code = 499, "CANCELLED"  # The caller went away, or time was over.

    @property
    def scope(self) -> dict[str, str]:
        """The ids that say whose memories it was about."""
        filters = self.arguments.get("filters")
        given = {**(filters if isinstance(filters, dict) else {}), **self.arguments}
        ids = {key: given.get(key) for key in (*SCOPE_KEYS, "memory_id")}
        return {key: value for key, value in ids.items() if isinstance(value, str)}
