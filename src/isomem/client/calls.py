"""Calls of a memory as calls of a client.

A method of a client has the signature, the types and the documentation of the method of `Memory`
that it stands for: they are that method's, and written nowhere else.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

from isomem.client.arguments import to_send
from isomem.client.exchange import asked
from isomem.contract.arguments import check_other
from isomem.contract.context import check_count_tokens, check_max_tokens, context_of
from isomem.contract.pages import PAGE_SIZE, check_order, check_page_size
from isomem.memory import Memory
from isomem.pipeline.manage import LISTING
from isomem.pipeline.search import ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from isomem.client.exchange import Asked

    Method = Callable[..., object]

Given = dict[str, object]
"""The arguments that a caller has passed, by name."""

KNOWN = {"search": ARGUMENTS, "get_all": LISTING}
"""What the calls take that ignore other arguments."""

_MAX_TOKENS = inspect.signature(Memory.context).parameters["max_tokens"].default

READING = frozenset(("search", "context", "get", "get_all", "count", "scopes", "history"))
"""The calls that change nothing."""

ADDING = frozenset(("add",))
"""The calls that a service makes once for one key, however often they are sent."""

SETTLING = frozenset(("delete_all", "purge", "compact", "reset"))
"""The calls that come to the same, whether they are made once or twice."""


def bound(
    method: Callable[..., Callable[..., object]], stands_for: Callable[..., object], body: Any
) -> Any:
    """A method that gets the arguments of `body` by name, and looks like `stands_for`.

    Args:
        method: makes the method, given a function from positional and named arguments to `Given`.
    """
    signature = inspect.signature(stands_for)

    def given(*args: object, **kwargs: object) -> Given:
        passed = dict(signature.bind(None, *args, **kwargs).arguments)
        passed.pop("self")
        return passed

    made: Any = wraps(stands_for)(method(body, given))
    made.__qualname__ = stands_for.__name__
    return made


def request_of(call: str, given: Mapping[str, object]) -> Asked:
    """The request for a call.

    Raises:
        ValidationError, ValueError: an argument cannot be sent, as in `arguments.to_send`.
    """
    named = dict(given)
    if named.pop("llm", None) is not None:
        raise ValueError("llm= cannot be sent: the model of the service writes the summary.")
    if call in KNOWN:
        other = named.pop("kwargs", None)
        check_other(other if isinstance(other, dict) else {}, call, KNOWN[call])
    return asked(
        call,
        to_send(call, named),
        has_key=call in ADDING,
        may_repeat=call in READING | SETTLING | ADDING,
    )


def counted(given: Given) -> tuple[Given, Callable[[Sequence[Given]], str]]:
    """A `context` whose tokens the caller counts: the search for it, and what makes its text.

    Raises:
        ValueError: as `context`.
    """
    search = dict(given)
    counter: Any = search.pop("count_tokens")
    count = check_count_tokens(counter)
    most = check_max_tokens(search.pop("max_tokens", _MAX_TOKENS))
    return search, lambda found: context_of(found, most, count)


class Pages:
    """The pages of an `iter_all`.

    Raises:
        ValueError: the order or the size of a page is not valid.
    """

    def __init__(self, given: Given) -> None:
        order = check_order(given.get("order"))
        size = check_page_size(given.get("page_size", PAGE_SIZE))
        self._given = {**given, "order": order, "page_size": size}
        self._cursor: str | None = None

    def arguments(self) -> Given:
        """Of the `get_all` for the next page."""
        return self._given if self._cursor is None else {**self._given, "cursor": self._cursor}

    def has_more(self, page: Given) -> bool:
        """Whether there is a page after this one; it becomes the next one."""
        cursor = page["next_cursor"]
        self._cursor = None if cursor is None else str(cursor)
        return self._cursor is not None
