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
    r"|occasionally|temporarily|visit(?:s|ing)|part[- ]time|would|might|maybe|perhaps"
    r"|consider(?:s|ing)|thinking|hopes|plans|wants to)\b",
    ignore_case=True,
).search
# What is neither a word nor punctuation still tells words apart: "C" and "C++", "5" and "-5", and
# the vowels of Hindi and Thai.
_signs = Pattern(r"[^\w\s.,;:!?\"'()\u2018\u2019\u201c\u201d\u2013\u2014\u2026]").findall
_also = Pattern(r"\b(?:also|too|as well)\b", ignore_case=True).sub


class NewFact:
    """A new fact, read once and compared with any number of stored ones."""

    __slots__ = ("_attribute", "_end", "_said", "_says_more", "_signs", "_switch", "_taste")

    def __init__(self, text: str) -> None:
        text = text if len(text) <= LONGEST else ""
        sentence = "" if _adds(text) else canonical(text)
        self._said = _plain(text)
        self._signs = sorted(_signs(text))
        self._attribute = attribute(sentence) if sentence else None
        self._switch = switch(sentence)
        self._end = ended(sentence)
        self._taste = taste(sentence)
        self._says_more = self._attribute or self._switch or self._end or self._taste

    def supersedes(self, old: str) -> str | None:
        """Why it makes a stored fact stale; None if it does not, or may not.

        Returns:
            "contradicts": both cannot be true now. "repeats": they say the same.
        """
        if len(old) > LONGEST or not self._said:
            return None
        if self._repeats(_plain(old)) and self._signs == sorted(_signs(old)):
            return REPEATS
        return CONTRADICTS if self._says_more and self._contradicts(canonical(old)) else None

    def _repeats(self, old: str) -> bool:
        """Whether two sentences have the same words in the same order, or around the word "is"."""
        left, middle, right = self._said.partition(" is ")
        return self._said == old or bool(middle and f"{right} is {left}" == old)

    def _contradicts(self, old: str) -> bool:
        return (
            self._has_other_value(old)
            or (self._switch is not None and has_state(old, self._switch))
            or (self._end is not None and is_instance(old, *self._end))
            or self._is_other_taste(old)
        )

    def _has_other_value(self, old: str) -> bool:
        """Whether both give one attribute a value, and the values differ.

        What else the old fact says must not be lost.
        """
        after, before = self._attribute, attribute(old) if self._attribute else None
        if after is None or before is None or after.key != before.key or before.is_event:
            return False
        return after.value != before.value and before.rest in ("", after.rest)

    def _is_other_taste(self, old: str) -> bool:
        after, before = self._taste, taste(old) if self._taste else None
        if after is None or before is None:
            return False
        return after[:2] == before[:2] and after[2] != before[2]


def _plain(text: str) -> str:
    return canonical(_also("", text)).lower()
