"""Whether a new fact supersedes a stored one, decided by their texts alone.

The rules are meant to be right rather than complete: they only see what is said in plain words, in
English. A repeat is also seen in other languages, if the words are the same.
"""

from __future__ import annotations

from isomem.pattern import Pattern
from isomem.text.statements import (
    LONGEST,
    attribute,
    canonical,
    ended,
    has_state,
    is_instance,
    switch,
    taste,
)

CONTRADICTS, REPEATS = "contradicts", "repeats"

# What is said with these words may be true together with what was said before.
_adds = Pattern(
    r"\b(?:also|too|another|second|additional(?:ly)?|besides|as well|in addition|sometimes"
    r"|occasionally|temporarily|visit(?:s|ing)|part[- ]time|would"
    r"|might|maybe|perhaps|consider(?:s|ing)|thinking|hopes|plans|wants to)\b",
    ignore_case=True,
).search
_also = Pattern(r"\b(?:also|too|as well)\b", ignore_case=True).sub


def supersedes(new: str, old: str) -> str | None:
    """Why the fact `new` makes the stored fact `old` stale; None if it does not, or may not.

    Returns:
        "contradicts": both cannot be true now. "repeats": they say the same.
    """
    if max(len(new), len(old)) > LONGEST:
        return None
    if _same(canonical(_also("", new)), canonical(_also("", old))):
        return REPEATS
    if not _adds(new) and _contradicts(canonical(new), canonical(old)):
        return CONTRADICTS
    return None


def _same(new: str, old: str) -> bool:
    """Whether two sentences have the same words in the same order, or around the word "is"."""
    new, old = new.lower(), old.lower()
    left, middle, right = new.partition(" is ")
    return new == old or bool(middle and f"{right} is {left}" == old)


def _contradicts(new: str, old: str) -> bool:
    return (
        _has_other_value(new, old)
        or _is_left_behind(new, old)
        or _is_over(new, old)
        or _is_other_taste(new, old)
    )


def _has_other_value(new: str, old: str) -> bool:
    """Whether both give one attribute a value, and the values differ.

    What else the old fact says must not be lost.
    """
    after, before = attribute(new), attribute(old)
    if after is None or before is None or after.key != before.key or before.is_event:
        return False
    return after.value != before.value and before.rest in ("", after.rest)


def _is_left_behind(new: str, old: str) -> bool:
    change = switch(new)
    return change is not None and has_state(old, change)


def _is_over(new: str, old: str) -> bool:
    end = ended(new)
    return end is not None and is_instance(old, *end)


def _is_other_taste(new: str, old: str) -> bool:
    after, before = taste(new), taste(old)
    if after is None or before is None:
        return False
    return after[:2] == before[:2] and after[2] != before[2]
