"""Contexts: memories as text for a prompt, within a budget of tokens.

Memories are chosen by relevance and shown in the order of their times, so that a model reads what
happened in the order in which it did: what changed later comes later. Each day is named once::

    2025-03-05:
    - Ana moved to Lisbon.
    - She is looking for a flat.
    2025-03-11:
    - Ana found a flat in Alfama.
"""

from __future__ import annotations

from itertools import groupby

from isomem.contract.arguments import shown
from isomem.contract.moments import EVENT_TIME
from isomem.contract.pages import moment_of, rank_of
from isomem.pattern import Pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Found = Mapping[str, object]
    """A result of a search."""

_LETTERS_PER_TOKEN = 3
_WORD = Pattern(r" ?[A-Za-z]+")
_UNDATED = "undated"


def check_max_tokens(max_tokens: object) -> int:
    """`max_tokens`, if it is an int above 0.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(max_tokens, int) and not isinstance(max_tokens, bool) and max_tokens > 0:
        return max_tokens
    raise ValueError(f"Invalid max_tokens: {shown(max_tokens)}. Must be a positive whole number.")


def check_count_tokens(count_tokens: Callable[[str], int] | None) -> Callable[[str], int]:
    """`count_tokens`, if it can be called; None means `estimate_tokens`.

    Raises:
        ValueError: it cannot be called.
    """
    if count_tokens is None:
        return estimate_tokens
    if callable(count_tokens):
        return count_tokens
    raise ValueError(
        f"Invalid count_tokens: {shown(count_tokens):.80}. Must be a function of a text."
    )


def estimate_tokens(text: str) -> int:
    """How many tokens a text has, rather too many than too few.

    A word of ASCII letters, with a space before it, counts 1 for every 3 letters or part of them,
    and 1 more if one is a capital: names are rare words. Every other ASCII character counts 1:
    digits, punctuation, line ends, further spaces. Other characters count 1, 2 or 4 if they take 2,
    3 or 4 bytes in UTF-8. That is a quarter more than the tokenizer of Llama 2 makes of English
    prose, which in turn makes more tokens than those of newer models. It is no upper bound: random
    letters may have more tokens.
    """
    words = [word.lstrip() for word in _WORD.findall(text)]
    in_words = sum(-(-len(word) // _LETTERS_PER_TOKEN) + (not word.islower()) for word in words)
    return in_words + sum(map(_weight, _WORD.sub("", text)))


def _weight(character: str) -> int:
    """The tokens of a character that is not part of a word of ASCII letters."""
    code = ord(character)
    return 1 if code < 0x800 else 2 if code < 0x10000 else 4


def context_of(found: Sequence[Found], max_tokens: int, count_tokens: Callable[[str], int]) -> str:
    """The memories that fit, as text; empty if none does.

    Args:
        found: the results of a search, best first. One that does not fit is left out, and those
            after it are still considered.
        count_tokens: how many tokens a text has. It is called with whole contexts.

    Raises:
        ValueError: `count_tokens` does not return a number.
    """
    text = _text(found)
    if _count(count_tokens, text) <= max_tokens:
        return text
    chosen: list[Found] = []
    text = ""
    for each in found:
        longer = _text([*chosen, each])
        if _count(count_tokens, longer) <= max_tokens:
            chosen.append(each)
            text = longer
    return text


def _count(count_tokens: Callable[[str], int], text: str) -> int:
    count: object = count_tokens(text)
    if isinstance(count, int):
        return count
    raise ValueError(f"count_tokens must return a whole number, not {shown(count):.80}")


def _text(found: Sequence[Found]) -> str:
    lines = []
    for day, memories in groupby(sorted(found, key=_key), _day):
        lines.append(f"{day}:")
        lines += [_line(str(each.get("memory", ""))) for each in memories]
    return "\n".join(lines)


def _line(memory: str) -> str:
    """A memory as an item of a list; its further lines are indented, so that it stays one item."""
    return "- " + "\n  ".join(memory.splitlines())


def _times(found: Found) -> tuple[object, object]:
    metadata = found.get("metadata")
    said = metadata.get(EVENT_TIME) if isinstance(metadata, dict) else None
    return said, found.get("created_at")


def _key(found: Found) -> tuple[int, str]:
    return rank_of("oldest", *_times(found)), str(found.get("id", ""))


def _day(found: Found) -> str:
    moment = moment_of(*_times(found))
    return _UNDATED if moment is None else moment.date().isoformat()
