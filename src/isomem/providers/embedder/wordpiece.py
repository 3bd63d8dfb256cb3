"""Splits a text into the pieces of a `Table`, as BERT's uncased tokenizer does.

Characters first: control characters go, every kind of space becomes one, accents go, letters become
small. A punctuation mark or a Chinese character is a word of its own. Then every word is split, see
`isomem.pieces.word_pieces`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from isomem.pieces import word_pieces
from isomem.providers.embedder.table import ALONE, DROP, KEEP, REPLACE, SPACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from isomem.providers.embedder.table import Table

MOST_LETTERS = 100
"""A word that has more is unknown."""
BLOCK = 1024
"""How many characters are split at once. Where nothing is compiled, they take two milliseconds."""
_MOST_KEPT = 4096


class Characters(dict[int, "int | str | None"]):
    """What becomes of characters, by their code points, for `str.translate`."""

    __slots__ = ("_table",)

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, code: int) -> int | str | None:
        found = self._find(code)
        if len(self) < _MOST_KEPT:  # A text may have all characters that there are.
            self[code] = found
        return found

    def _find(self, code: int) -> int | str | None:
        at = bisect_right(self._table.characters, code) - 1
        rule = self._table.rules[at]
        if rule >= REPLACE:
            return self._table.replacement(rule - REPLACE + code - self._table.characters[at])
        fixed: dict[int, int | str | None] = {
            KEEP: code, DROP: None, SPACE: " ", ALONE: f" {chr(code)} "
        }  # fmt: skip
        return fixed[rule]


class WordPiece:
    """The tokenizer of a table. Any number of threads may use it at the same time.

    Args:
        table: has the pieces and the rules for characters.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._characters = Characters(table)

    def split(self, text: str) -> Iterator[array[int]]:
        """The pieces of `text` in order, in blocks, so that a long text takes little memory.

        Raises:
            UnicodeError: the text has lone surrogates.
        """
        if "[" not in text:
            yield from self._words(text)
            return
        pieces = array("I")
        for part in self._parts(text):
            for block in (array("I", [part]),) if isinstance(part, int) else self._words(part):
                pieces += block
                if len(pieces) >= BLOCK:  # A block for each special piece would take long.
                    yield pieces
                    pieces = array("I")
        yield pieces

    def _parts(self, text: str) -> Iterator[str | int]:
        """The special pieces in a text, and the texts between them."""
        start = at = 0
        while (at := text.find("[", at)) >= 0:
            end = text.find("]", at, at + self._table.longest) + 1
            special = self._table.specials.get(text[at:end])
            if special is None:
                at += 1
                continue
            yield text[start:at]
            yield special
            start = at = end
        yield text[start:]

    def _words(self, text: str) -> Iterator[array[int]]:
        if len(text) <= BLOCK:
            yield self._pieces(text.translate(self._characters))
            return
        rest = ""
        for start in range(0, len(text), BLOCK):
            block = rest + text[start : start + BLOCK].translate(self._characters)
            whole, _, rest = block.rpartition(" ")
            # If a word goes on for longer, it is unknown, however long it is.
            rest = rest[: MOST_LETTERS + 1]
            yield self._pieces(whole)
        yield self._pieces(rest)

    def _pieces(self, words: str) -> array[int]:
        table = self._table
        text = words.encode()
        pieces = array("I", bytes(4 * len(text)))
        states = array("I", bytes(4 * table.longest))
        count = word_pieces(
            text, table.slots, table.offsets, table.spelled, table.unknown, MOST_LETTERS,
            states, pieces,
        )  # fmt: skip
        del pieces[count:]
        return pieces
