"""All vectors of a memory file are replaced at once by those of another embedder.

They are made first, beside the file, while others read and write it as before. Then one
transaction replaces all of them. Nobody sees some vectors of each kind.

Where others write all the time, there is always a text whose vector has not been made yet. Such a
point gets a vector of zeros then, which nothing is similar to. From that moment on the others are
refused, so the few that are left can be filled in. The first of these zeros is negative, which
changes no score, and tells them from the zeros that an embedder has made of a text.
"""

from __future__ import annotations

from itertools import islice

from isomem.store.codec import salvaged
from isomem.store.row_keys import SEQ_BITS, SEQ_MASK, RowKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from isomem.store.database import Database
    from isomem.store.new_vectors import NewVectors

    Row = tuple[int, str, str | None]
    """Of a point: its row key, its id, and the text that its vector is made of. That is None if it
    has none, or if the point is detached or damaged."""

_AT_ONCE = 500
_FIRST = -1
"""Before the first row key."""

_BYTES_PER_NUMBER = 4
_NEGATIVE_ZERO = b"\0\0\0\x80"
_POINTS = (
    "SELECT p.row_key, p.id, p.payload, s.collection > 0,"
    " abs(coalesce(s.collection, p.collection)), p.vector = ? FROM points AS p"
    f" LEFT JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS}"
    " WHERE p.row_key > ? ORDER BY p.row_key LIMIT ?"
)
_UPDATE = "UPDATE points SET vector = ? WHERE row_key = ?"


class Reembedding:
    """The vectors of one file, and those that replace them.

    Args:
        database: the file.
        vectors: what has been made so far.
        embedder: the identity of what makes them; None if it has none.
        dims: their length.

    Attributes:
        replaced: how many points have got another vector.
        without_text: how many of them have no text, and so a vector of zeros.
        lacking: how many others were left with a vector of zeros the last time.
    """

    def __init__(
        self, database: Database, vectors: NewVectors, embedder: str | None, dims: int
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._made = (dims, embedder)
        self._epoch = -1
        self._zeros = bytes(dims * _BYTES_PER_NUMBER)
        self._lacking = _NEGATIVE_ZERO + self._zeros[_BYTES_PER_NUMBER:]
        self.replaced = self.without_text = self.lacking = 0

    def is_done(self) -> bool:
        """Whether all vectors in the file are made by this embedder already."""
        with self._database.reading():
            return not (self._to_replace() or any(self._all()))

    def check_writable(self) -> None:
        """Raises DatabaseError if the file cannot be written; nothing is written."""
        with self._database.writing():
            return

    def count(self) -> int:
        """How many points get another vector."""
        with self._database.reading():
            sql = "SELECT abs(collection), count(*), sum(vector = ?) FROM points GROUP BY 1"
            numbers, counts = self._to_replace(), self._database.rows(sql, (self._lacking,))
            return sum(every if each in numbers else lacking for each, every, lacking in counts)

    def pages(self) -> Iterator[Sequence[Row]]:
        """The points that get another vector, some at a time; in between, others may write.

        Points that are added meanwhile are left to the next time: they might never end.
        """
        with self._database.reading():
            self._epoch = self._database.epoch
            newest = RowKeys(self._database).last()
        last: int | None = _FIRST
        while last is not None:
            with self._database.reading():
                page, last = self._page(last, self._to_replace())
            yield [row for row in page if row[0] & SEQ_MASK <= newest]

    def replace(self, may_lack: int) -> bool:
        """Replaces all vectors in one transaction, unless too many have not been made yet.

        Args:
            may_lack: how many may be left with a vector of zeros.

        Returns:
            Whether it has replaced them. If not, somebody has written to the file since the last
            time that the pages were looked through.
        """
        with self._database.writing():
            changed = self._database.epoch != self._epoch
            if changed and self._lacks_more_than(may_lack):
                return False
            self.lacking = 0
            for page in self._all():
                self._replace_page(page)
            sql = "UPDATE collections SET dims = ?, embedder = ? WHERE number = ?"
            self._database.execute_many(
                sql, [(*self._made, number) for number in self._to_replace()]
            )
        return True

    # --- In the caller's transaction ---

    def _to_replace(self) -> list[int]:
        """The numbers of the collections whose vectors something else has made."""
        dims, embedder = self._made
        rows = self._database.rows("SELECT number, dims, embedder FROM collections")
        return [
            number for number, *made in rows if embedder is None or tuple(made) != (dims, embedder)
        ]

    def _all(self) -> Iterator[Sequence[Row]]:
        """All points that get another vector, page by page; none of the pages is empty."""
        numbers = self._to_replace()
        last: int | None = _FIRST
        while last is not None:
            page, last = self._page(last, numbers)
            if page:
                yield page

    def _page(self, last: int, numbers: Sequence[int]) -> tuple[Sequence[Row], int | None]:
        """Some of the points behind a row key, and the row key to go on behind.

        That is None after the last one.

        Args:
            numbers: of the collections whose points all get another vector. Of others, those do
                whose vector has not been made yet.
        """
        rows = self._database.rows(_POINTS, (self._lacking, last, _AT_ONCE))
        page = [
            (row_key, point_id, text)
            for row_key, point_id, payload, is_visible, number, is_lacking in rows
            for text in (_text_of(payload) if is_visible else None,)
            if is_lacking or number in numbers
        ]
        return page, rows[-1][0] if rows else None

    def _lacks_more_than(self, count: int) -> bool:
        texts = (text for page in self._all() for _, _, text in page)
        lacking = (text for text in texts if text is not None and self._vectors.get(text) is None)
        return sum(1 for _ in islice(lacking, count + 1)) > count

    def _replace_page(self, page: Sequence[Row]) -> None:
        made = [None if text is None else self._vectors.get(text) for _, _, text in page]
        self._database.execute_many(
            _UPDATE,
            [
                (vector or (self._zeros if text is None else self._lacking), row_key)
                for vector, (row_key, _, text) in zip(made, page, strict=True)
            ],
        )
        without_text = sum(text is None for *_, text in page)
        lacking = made.count(None) - without_text
        self.without_text += without_text
        self.lacking += lacking
        self.replaced += len(page) - lacking


def _text_of(payload: str) -> str | None:
    text = salvaged(payload).get("data")
    return text if isinstance(text, str) and text else None
