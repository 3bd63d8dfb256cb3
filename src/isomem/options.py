"""Reads a dict of options: fills in defaults, refuses what is not known."""

from __future__ import annotations

from isomem.errors import InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None when none is close."""
    from difflib import get_close_matches

    matches = get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(what: str, word: str, known: Iterable[str]) -> InvalidConfigError:
    """The error for a word that is not one of `known`, with the nearest one suggested."""
    names = sorted(known)
    close = nearest(word, names)
    hint = f"Did you mean {close!r}?" if close else f"Known: {', '.join(names)}."
    return InvalidConfigError(
        f"Unknown {what}: {word!r}. {hint}",
        error_code="CONFIG_001",
        details={"given": word, "known": names},
        suggestion=hint,
    )


def read_options(
    given: Mapping[str, Any] | None, defaults: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """`defaults` overlaid with `given`.

    Args:
        given: what the caller wrote; None is an empty dict.
        defaults: every key that may be written, with its default.
        where: names the dict in errors, such as "llm.config".

    Raises:
        InvalidConfigError: `given` is not a dict, or holds a key that is not in `defaults`.
    """
    if given is None:
        return dict(defaults)
    if not hasattr(given, "items"):
        raise InvalidConfigError(
            f"{where} must be a dict, got {type(given).__name__}", error_code="CONFIG_002"
        )
    for key in given:
        if key not in defaults:
            raise unknown(f"key in {where}", key, defaults)
    return {**defaults, **given}
