"""A table of vectors in a file: one for each piece of a word, and how words are split into pieces.

The file has the layout of safetensors: 8 bytes with the length of the header, the header as JSON,
then the numbers, little-endian. `models/pack.py` writes it. It is mapped, not read: what a text
needs is looked up in place.

==================  ====  ==============================================================
rows                I8    one row per piece, `width` numbers each
weights             U32   what the numbers of each row are multiplied by
slots               U32   a hash table of the pieces, see `isomem.pieces.word_pieces`
offsets             U32   where each piece begins in `spelled`, and where the last one ends
spelled             U8    the pieces in UTF-8
characters          U32   the first code points of ranges, ascending, from 0
rules               U32   for each range, what becomes of its characters, see `KEEP`
replaced_offsets    U32   where each replacement begins in `replaced`, and the last one ends
replaced            U8    the replacements of single characters in UTF-8
==================  ====  ==============================================================

The metadata in the header has the `format`, the `name` of the model, the `unknown` piece, and the
`specials`: pieces that are found in a text before anything else is done to it.
"""

from __future__ import annotations

import mmap
import sys
from array import array
from zlib import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = "isomem-table-1"

KEEP, DROP, SPACE, ALONE, REPLACE = range(5)
"""Rules for a range of characters: kept, dropped, each a space, each a word of its own.

From `REPLACE` on, each has a replacement; the rule minus `REPLACE` is the number of the first one.
"""

MOST_KEPT = 3072
"""So many rows are kept in memory: 1.2 MB of 256 numbers each."""
_MAPPED_AT_ONCE = 1 << 21
"""Reading one row can make so many bytes resident: the system maps what is around it, too."""


class Table:
    """A mapped file.

    Args:
        path: of the file.
        checksum: CRC-32 of all that stands before the rows; None if it is not known. What is
            looked up there is not checked again: a damaged file without it can end the process.

    Attributes:
        name: of the model.
        width: how many numbers a row has.
        longest: bytes of the longest piece.
        unknown: the piece for a word that cannot be split.
        specials: pieces by their text.
        rows, weights, slots, offsets, spelled, characters, rules: as the file has them.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a table.
    """

    def __init__(self, path: str, checksum: int | None = None) -> None:
        self._map = _mapped(path)
        self._file = memoryview(self._map)
        self._kept: dict[int, bytes] = {}
        length = int.from_bytes(self._file[:8], "little")
        self._header = bytes(self._file[8 : 8 + length]).decode()
        self._start = 8 + length
        if self._text("format") != FORMAT:
            raise ValueError(f"it is not a file of the format {FORMAT}")
        self._first_row, end = self._bounds("rows")
        found = crc32(self._file[: self._first_row])
        if checksum not in (None, found):
            name = self._text("name")
            raise ValueError(f"it is damaged or another model: {name!r} with checksum {found:#x}")
        self.name = self._text("name")
        self.weights = self._numbers("weights")
        self.rows = self._file[self._first_row : end].cast("b")
        self.slots = self._numbers("slots")
        self.offsets = self._numbers("offsets")
        self.spelled = self._bytes("spelled")
        self.characters = self._numbers("characters")
        self.rules = self._numbers("rules")
        self._replaced_offsets = self._numbers("replaced_offsets")
        self._replaced = self._bytes("replaced")
        self._check()
        self.width = len(self.rows) // len(self.weights)
        self._release()
        self.longest = int(self._text("longest"))
        self.unknown = int(self._text("unknown"))
        self.specials = {
            self.piece(int(each)): int(each) for each in self._text("specials").split()
        }

    def _check(self) -> None:
        pieces, slots = len(self.weights), len(self.slots)
        if not (
            pieces
            and len(self.rows) % pieces == 0
            and len(self.offsets) == pieces + 1
            and self.offsets[pieces] == len(self.spelled)
            and slots > pieces
            and slots & slots - 1 == 0
            and len(self.characters) == len(self.rules)
        ):
            raise ValueError("its parts do not fit together")
        if self.weights[pieces - 1] and not any(self.rows[-len(self.rows) // pieces :]):
            raise ValueError("its end is empty")  # A crash can leave zeros at the end of a file.

    def piece(self, number: int) -> str:
        """The text of a piece."""
        return bytes(self.spelled[self.offsets[number] : self.offsets[number + 1]]).decode()

    def replacement(self, number: int) -> str:
        """A replacement for a character."""
        first, end = self._replaced_offsets[number], self._replaced_offsets[number + 1]
        return bytes(self._replaced[first:end]).decode()

    def gather(self, pieces: array[int]) -> list[bytes]:
        """The rows of pieces: as many 8-bit numbers each as the table is wide."""
        kept = self._kept
        try:
            return [kept[piece] for piece in pieces]
        except KeyError:
            return self._gather_new(pieces)

    def _gather_new(self, pieces: array[int]) -> list[bytes]:
        rows = {piece: self._kept.get(piece) for piece in pieces}
        new = sorted(piece for piece, row in rows.items() if row is None)
        around = -1
        for piece in new:
            first = piece * self.width
            if (self._first_row + first) // _MAPPED_AT_ONCE != around:
                around = (self._first_row + first) // _MAPPED_AT_ONCE
                self._release()
            rows[piece] = bytes(self.rows[first : first + self.width])
        self._release()
        if len(self._kept) + len(new) > MOST_KEPT:
            self._kept = {}  # Another one: other threads may be reading the old one.
        found = {piece: row for piece, row in rows.items() if row is not None}
        self._kept.update(found)
        return [found[piece] for piece in pieces]

    def _release(self) -> None:
        """Gives back the memory of what was read. The system still has it in its cache."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    # The header is what `models/pack.py` writes, without spaces and escapes. `json` would bring
    # `re` with it, which takes longer than everything else here.

    def _text(self, key: str) -> str:
        _, found, rest = self._header.partition(f'"{key}":"')
        if not found:
            raise ValueError(f"its header does not have {key!r}")
        return rest.partition('"')[0]

    def _bounds(self, name: str) -> tuple[int, int]:
        """Where a part begins and ends in the file."""
        tensor = self._header.partition(f'"{name}":{{')[2].partition("}")[0]
        first, _, end = tensor.partition('"data_offsets":[')[2].partition("]")[0].partition(",")
        if not end or self._start + int(end) > len(self._file):
            raise ValueError(f"it ends before {name!r}")
        return self._start + int(first), self._start + int(end)

    def _bytes(self, name: str) -> memoryview:
        first, end = self._bounds(name)
        return self._file[first:end]

    def _numbers(self, name: str) -> Sequence[int]:
        return native(self._bytes(name))


def native(numbers: memoryview) -> Sequence[int]:
    """Little-endian uint32 as numbers. They are copied only where a computer is big-endian."""
    if sys.byteorder == "little":
        return numbers.cast("I")
    turned = array("I", bytes(numbers))
    turned.byteswap()
    return turned


def _mapped(path: str) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
