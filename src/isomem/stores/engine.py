"""What the stores over foreign engines have in common.

A store of an engine says how points are written, read and searched there; the rest is here: opening
and closing, collections beside each other, checks, parts, and that no engine is trusted with who
may see a point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right

from isomem.contract.filters import Condition, Group, compile_filters, matches
from isomem.errors import VectorStoreError
from isomem.pattern import Pattern
from isomem.store.codec import canonical_id, unit_vector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, ClassVar, TypeGuard, TypeVar

    from isomem.options import Table
    from isomem.ports.shapes import Filters, Hit, Payload, Vector
    from isomem.stores.engine_calls import Options

    H = TypeVar("H", bound=Hit)
    T = TypeVar("T")
    Self = TypeVar("Self", bound="EngineStore")
    Hits = list[Hit]
    Whole = tuple[str, Payload, Vector]
    """Of a point: its id, its payload and its vector."""
    Points = list[Whole]
    Numbers = list[float]
    Vectors = list[Numbers]
    Passes = Callable[[Payload], bool]

WIDER = 4
"""How many times as many points are asked for if too few of those that were found pass."""

MOST_ASKED = 1_000_000_000
"""No engine is asked for more points: some refuse a larger number, and none has so many."""

_FIRST_FETCHED = 64

_UUID = Pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class EngineHit:
    """A point that was found or listed. `score` is None if nothing was compared."""

    __slots__ = ("id", "payload", "score")

    def __init__(self, point_id: str, payload: Payload, score: float | None = None) -> None:
        self.id = point_id
        self.payload = payload
        self.score: Any = score


class EngineStore(ABC):
    """One collection of an engine, behind upstream's methods.

    Args:
        config: see `table`.
        dims: the length of the vectors, if the options do not say.
        encoder: makes the terms for keyword search, if the engine does not make them itself.

    Attributes:
        table: the options.
        takes_any_id: the id "*" is an ordinary id, and does not mean every id.
        batches: several changes, or several searches, are one request.
        lists_all: `list` has no limit if `top_k` is None, and filters look into lists.
        collection_name: of the collection.
        embedding_model_dims: the length of its vectors; None if it is not known yet.

    Raises:
        DependencyError: the engine's package is not installed.
        InvalidConfigError: an option is unknown or wrong.
        VectorStoreError: the engine cannot be opened or reached.
    """

    table: ClassVar[Table]
    takes_any_id = True
    lists_all = True
    dims: ClassVar[int | None] = 1536
    """The length of vectors that nobody names."""

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        *,
        dims: int | None = None,
        encoder: Any = None,
    ) -> None:
        self._options = type(self).check(config)
        self._encoder: Any = encoder if self._options.get("keyword_search") else None
        self.collection_name: str = self._options["collection_name"]
        self._named_dims: int | None = self._options.get("embedding_model_dims") or dims
        self.embedding_model_dims: int | None = self._named_dims or self.dims
        self._connection: Any = self._opened()
        self._owns_connection = True
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    @staticmethod
    @abstractmethod
    def check(config: Mapping[str, object] | None) -> Options:
        """The options, checked."""

    @property
    def batches(self) -> bool:
        """Whether several changes, or several searches, are one request."""
        return True

    @abstractmethod
    def _opened(self) -> Any:
        """What the options describe, opened; it has `close`."""

    @abstractmethod
    def _prepare(self) -> None:
        """Makes the collection if it does not exist, and learns what it is like."""

    def beside(self: Self, name: str) -> Self:
        """Another collection over the same client."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__, collection_name=name, _owns_connection=False)
        made._prepare()
        return made

    def close(self) -> None:
        """Closes the client, unless it belongs to the caller or to another collection."""
        if self._owns_connection:
            self._connection.close()

    @abstractmethod
    def delete_col(self) -> None:
        """Removes the collection."""

    def reset(self) -> None:
        """Removes every point, by making the collection anew.

        Its vectors are as long as somebody says, or else as they were.
        """
        self.delete_col()
        self.embedding_model_dims = self._named_dims or self.embedding_model_dims
        self._prepare()

    # --- Writing ---

    def insert(
        self,
        vectors: list[Vector],
        payloads: Sequence[Payload | None] | None = None,
        ids: list[str] | None = None,
    ) -> None:
        """Adds points. A point with a known id replaces the old one. A payload of None is empty.

        They are checked before any is sent. More than the engine takes at once are sent in parts.

        Raises:
            VectorValueError: a vector has the wrong length, or contains NaN or infinity; or the
                engine refuses something.
            ValidationError: a payload cannot be stored.
            VectorStoreError: the lists differ in length, or the engine fails.
        """
        given = payloads if payloads is not None else [None] * len(vectors)
        filled: list[Payload] = [{} if each is None else each for each in given]
        names = ids if ids is not None else self._unnamed(len(vectors))
        if names is None or not len(vectors) == len(filled) == len(names):
            raise VectorStoreError("vectors, payloads and ids must be lists of one length")
        points = [*map(self._point, names, vectors, filled)]
        for part in in_parts(points, self._written_at_once(len(points))):
            self._put(part)

    def _unnamed(self, count: int) -> Sequence[Any] | None:
        """The ids of points that have none; None if they have to have some."""
        del count
        return None

    @abstractmethod
    def _point(self, point_id: Any, vector: Vector, payload: Payload) -> Any:
        """A point, checked, as `_put` takes it."""

    @abstractmethod
    def _put(self, points: Sequence[Any]) -> None:
        """Writes whole points in place of what there may be under their ids."""

    def _written_at_once(self, count: int) -> int:
        """How many of some points may be written at once."""
        del count
        at_once: int = self._options["batch_size"]
        return at_once

    def _checked(self, vector: Vector) -> list[float]:
        """A vector as a list of floats, whatever numbers an embedder has put into it.

        Raises:
            VectorValueError: it has the wrong length, NaN or infinity, or is not a list of numbers.
        """
        unit_vector(vector, self.embedding_model_dims)
        return [*map(float, vector)]

    # --- Reading ---

    def get(self, vector_id: str) -> Hit | None:
        """The point with that id, or None."""
        found = self._read([vector_id])
        return found[0] if found else None

    def payloads_of(self, ids: Sequence[str]) -> dict[str, Payload]:
        """The payloads of the points that are there, by id."""
        return {str(hit.id): hit.payload or {} for hit in self._read(ids)}

    @abstractmethod
    def _read(self, ids: Sequence[str]) -> Sequence[Hit]:
        """The points that are there."""

    @abstractmethod
    def points(self, after: str, limit: int) -> Sequence[Whole]:
        """The next points behind an id, ordered by id, with their vectors; "" begins."""

    def list(
        self, filters: Filters | None = None, top_k: int | None = 100
    ) -> tuple[Sequence[Hit], None]:
        """The first `top_k` points that pass, in the engine's order; None lists all.

        Raises:
            ValueError: `top_k` is below 1, or the filters are refused.
        """
        group, asked = self._compiled(filters)
        if top_k is not None and top_k < 1:
            raise ValueError(f"limit value {top_k} is invalid. Must be 1 or larger.")
        return self._listed(group, asked, None if top_k is None else min(top_k, MOST_ASKED)), None

    def _compiled(self, filters: Filters | None) -> tuple[Group | None, Any]:
        """Filters, and what the engine is asked for: points that pass, and perhaps others."""
        group = compile_filters(filters)
        return group, self._asked(group)

    @abstractmethod
    def _asked(self, group: Group | None) -> Any:
        """What the engine is asked for; every point that passes is among it."""

    @abstractmethod
    def _listed(self, group: Group | None, asked: Any, top_k: int | None) -> Sequence[Hit]:
        """The first `top_k` points that pass."""

    def search(
        self, query: str, vectors: Vector, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Hit]:
        """The `top_k` points nearest to a vector among those that pass, nearest first.

        No points if `top_k` is below 1, as in the embedded store. `query`, the text, is not used
        here; other vector stores use it.
        """
        del query
        return self._found_near([vectors], top_k, filters)[0]

    def search_batch(
        self,
        queries: Sequence[str],
        vectors_list: Sequence[Vector],
        top_k: int = 1,
        filters: Filters | None = None,
    ) -> Sequence[Sequence[Hit]]:
        """One `search` for each vector, in one request if the engine can."""
        del queries
        return self._found_near(vectors_list, top_k, filters)

    def _found_near(
        self, vectors: Sequence[Vector], top_k: int, filters: Filters | None
    ) -> Sequence[Sequence[Hit]]:
        checked, compiled = [*map(self._checked, vectors)], self._compiled(filters)
        if top_k < 1:
            return [[] for _ in checked]
        return self._nearest(checked, min(top_k, MOST_ASKED), *compiled) if checked else []

    def keyword_search(
        self, query: str, top_k: int = 5, filters: Filters | None = None
    ) -> Sequence[Hit] | None:
        """The `top_k` points that pass and the engine finds by words of a query, best first.

        None if there is no keyword search.
        """
        if not self.finds_words:
            return None
        compiled = self._compiled(filters)
        return self._matching(query, min(top_k, MOST_ASKED), *compiled) if top_k >= 1 else []

    def both(
        self, vector: Vector, lemmas: str, top_k: int, filters: Filters | None
    ) -> tuple[Sequence[Hit], Sequence[Hit] | None]:
        """What `search` and `keyword_search` find, in one request if the engine can."""
        checked, compiled = self._checked(vector), self._compiled(filters)
        if top_k < 1:
            return [], [] if self.finds_words else None
        return self._both(checked, lemmas, min(top_k, MOST_ASKED), *compiled)

    # --- Searching, for at least one point ---

    @abstractmethod
    def _nearest(
        self, vectors: Vectors, top_k: int, group: Group | None, asked: Any
    ) -> Sequence[Sequence[Hit]]:
        """The `top_k` points nearest to each vector, at least one, among those that pass."""

    @property
    @abstractmethod
    def finds_words(self) -> bool:
        """Whether there is a keyword search."""

    def _matching(self, query: str, top_k: int, group: Group | None, asked: Any) -> Sequence[Hit]:
        """The first `top_k` points by words of a query among those that pass."""
        raise NotImplementedError

    def _both(
        self, vector: Numbers, lemmas: str, top_k: int, group: Group | None, asked: Any
    ) -> tuple[Sequence[Hit], Sequence[Hit] | None]:
        nearest = self._nearest([vector], top_k, group, asked)[0]
        words = self._matching(lemmas, top_k, group, asked) if self.finds_words else None
        return nearest, words


class IdOrder:
    """All points of a collection by their ids, for an engine that has no such order.

    Which points there are is looked up where a listing begins, or where another one goes on.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._last = ""

    def after(
        self,
        last: str,
        limit: int,
        every_id: Callable[[], Iterable[str]],
        read: Callable[[Sequence[str]], Points],
    ) -> Points:
        """The next points behind an id; "" begins.

        Args:
            last: the id.
            limit: how many at the most.
            every_id: looks up which there are; one may come twice.
            read: reads points, those that are still there, in the order of their ids.
        """
        if not last or last != self._last:
            self._ids = sorted({*every_id()})
        found: Points = []
        for part in in_parts(self._ids[bisect_right(self._ids, last) :], limit):
            found = read(part)
            if found:  # All of a part may have been removed meanwhile.
                break
        self._last = found[-1][0] if found else ""
        return found


# --- What passes -----------------------------------------------------------------------------


def decider(group: Group | None) -> Passes:
    """What says whether a payload passes.

    Most filters ask for texts alone, such as ids, and most hits have them as they are asked for:
    that is seen at once.
    """
    if group is None:
        return lambda _: True
    texts = {each.key: each for each in group.conditions if _is_of_a_text(each)}
    wanted = {key: each.operand[0] for key, each in texts.items()}.items()
    others = [each for each in group.conditions if each not in texts.values()]
    if not (others or group.alternatives or group.exclusions):
        return lambda payload: wanted <= payload.items() or matches(group, payload)
    rest = Group(others, group.alternatives, group.exclusions)
    return lambda payload: matches(rest if wanted <= payload.items() else group, payload)


def _is_of_a_text(condition: Group | Condition) -> TypeGuard[Condition]:
    """Whether it asks for a text under a key."""
    return (
        isinstance(condition, Condition)
        and condition.kind == "any"
        and condition.path == (condition.key,)
        and len(condition.operand) == 1
        and type(condition.operand[0]) is str
    )


def passing(hits: list[H], group: Group | None) -> list[H]:
    """The hits that pass. Whatever an engine finds, nothing of another scope comes through."""
    if group is None:
        return hits
    passes = decider(group)
    return [hit for hit in hits if passes(hit.payload or {})]


def first_asked(top_k: int, *, is_exact: bool) -> int:
    """How many points are asked for at first, if `top_k` are wanted.

    Args:
        is_exact: whether all that are found pass.
    """
    return top_k if is_exact else max(top_k, _FIRST_FETCHED)


def first_passing(
    ask: Callable[[int], list[H]], group: Group | None, top_k: int, *, is_exact: bool
) -> list[H]:
    """The first `top_k` hits that pass: more and more are asked for until they are found, or all
    have been looked at.
    """
    limit = first_asked(top_k, is_exact=is_exact)
    while True:
        hits = ask(limit)
        found = passing(hits, group)
        if len(found) >= top_k or len(hits) < limit or is_exact:
            return found[:top_k]
        limit *= WIDER


def uuid_of(point_id: object) -> str | None:
    """An id as a UUID in lower case with hyphens; None if it is not a UUID.

    `uuid.UUID` would take more than engines do: hyphens anywhere, underscores, digits of other
    scripts.
    """
    name = canonical_id(point_id)
    return name if _UUID.fullmatch(name) else None


def in_parts(items: list[T], size: int) -> Iterator[list[T]]:
    """A list, in parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), max(size, 1)))
