"""Brief steps: those that an asynchronous memory makes where its call is.

They compute for so short a time that no other call notices. An embedder says of its methods that
they do by `@brief`; one that says nothing is taken to wait. A subclass with another `embed` has to
say so again.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Method = TypeVar("Method", bound=Callable[..., object])

MOST_CHARACTERS = 10_000
"""The longest texts of a brief step: a few milliseconds for our rules and our embedder."""


def brief(method: Method) -> Method:
    """Marks a method of an embedder that computes in the thread of its caller, and never waits."""
    method.is_brief = True  # type: ignore[attr-defined]
    return method


def embeds_briefly(model: Any) -> bool:
    """Whether all that an embedder does is brief: one of its methods may call the other."""
    methods = getattr(model, "embed", None), getattr(model, "embed_batch", None)
    return all(getattr(each, "is_brief", False) is True for each in methods)


def are_short(*texts: object) -> bool:
    """Whether these are texts, or lists of texts, and short ones."""
    return sum(map(_length, texts)) <= MOST_CHARACTERS


def _length(text: object) -> int:
    if isinstance(text, str):
        return len(text)
    return sum(map(_length, text)) if isinstance(text, list) else MOST_CHARACTERS + 1
