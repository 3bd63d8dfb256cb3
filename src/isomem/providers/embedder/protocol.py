"""OpenAI's protocol for vectors, which several services speak."""

from __future__ import annotations

from isomem.providers.answers import MissingError, member, vector


def vectors_in(answer: object) -> list[list[float]]:
    """The vectors of an answer in the order of the texts, as numbers or in base 64.

    Raises:
        MissingError: the answer does not have the agreed shape.
    """
    items = member(answer, "data")
    if not isinstance(items, list):
        raise MissingError("data")
    return [_vector(member(item, "embedding")) for item in sorted(items, key=_index)]


def _vector(value: object) -> list[float]:
    return vector(_decoded(value) if isinstance(value, str) else value)


def _decoded(text: str) -> list[float]:
    """The numbers of single precision in base 64, lowest byte first."""
    import binascii
    from struct import error, iter_unpack

    try:
        return [number for (number,) in iter_unpack("<f", binascii.a2b_base64(text))]
    except (ValueError, error):  # what binascii raises is a ValueError
        raise MissingError("a vector in base 64") from None


def _index(item: object) -> int:
    # Some servers omit it and keep the order; sorting by equal keys keeps the order, too.
    index = item.get("index", 0) if isinstance(item, dict) else 0
    if not isinstance(index, int):
        raise MissingError("data[].index")
    return index
