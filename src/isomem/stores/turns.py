"""Turns: what the threads of one process must not do at the same time, in the order of arrival.

As in `store/turn.py`, an exception from a signal handler can end a block at any bytecode, so being
inside is an object that lives exactly as long as the `with` statement. There is no other state: a
block that was cut off is over, and nobody has to recover anything.

`SetTurns` has those of a composed set. They are those of the whole process: the same data may be
open several times, and a part may be in several memories.
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from _weakref import ref
from functools import partial
from os import getpid

from isomem.config import COLLECTION
from isomem.contract.arguments import ANY_VALUE
from isomem.store.codec import canonical_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Any

    Written = tuple[frozenset[object], frozenset[str] | None]
    """What a step writes to, and the ids of the memories that it writes; None means all."""
    Linked = tuple[str, Mapping[str, object]]
    """The collection of some entities, and their scope."""

PATIENCE_S = 0.05
"""How long a thread waits before it looks whether what it waits for was cut off."""


class Turns:
    """Blocks, each of which waits for those before it that it collides with.

    A block inside another one of the same thread is a part of that one, and waits for nobody. In
    the child of a fork, the blocks of its parent are over: their threads are not there.

    Args:
        collide: whether two blocks must not run at the same time, by what each is about.
    """

    def __init__(self, collide: Callable[[Any, Any], bool]) -> None:
        self.collide = collide
        self.places: dict[Place, None] = {}

    def block(self, about: object, *, to_the_end: bool = False) -> Block:
        """A block, to be made where it is entered.

        Args:
            about: what it is about, as `collide` takes it.
            to_the_end: whether an exception that comes while it waits is raised when it is over.
        """
        return Block(Place(self, about, to_the_end=to_the_end))

    def abouts(self) -> list[Any]:
        """What the blocks are about that are entered, or wait to be, in the order of arrival."""
        return [each.about for each in [*self.places] if not each.is_over()]

    def mine(self) -> Place | None:
        """The outermost block that this thread is inside of."""
        return next((each for each in [*self.places] if each.is_mine()), None)


class Block:
    """A `with` block; its methods are attributes for the reason that `Transaction` has."""

    __slots__ = ("__enter__", "__exit__")

    def __init__(self, place: Place) -> None:
        self.__enter__ = place.enter
        self.__exit__ = place.leave
        place.alive = ref(self.__exit__)


class Place:
    """The place of a block among the others.

    Attributes:
        about: what the block is about.
        alive: returns an object until the block is over, then None.
        afterwards: what its thread does as soon as it has left the block.
    """

    __slots__ = (
        "_came", "_over", "_process", "_thread", "_to_the_end", "_turns", "about", "afterwards",
        "alive",
    )  # fmt: skip

    alive: Callable[[], object | None]

    def __init__(self, turns: Turns, about: object, *, to_the_end: bool) -> None:
        self._turns = turns
        self.about = about
        self._to_the_end = to_the_end
        self._came: BaseException | None = None
        self.afterwards: list[Callable[[], object]] = []
        self._thread = get_ident()
        self._process = getpid()
        self._over = allocate_lock()
        self._over.acquire()

    def enter(self) -> None:
        """Waits until no block before it collides with it."""
        while True:
            try:
                self._wait()
            except BaseException as error:
                if not self._to_the_end:
                    self.leave()
                    raise
                self._came = self._came or error
            else:
                return

    def _wait(self) -> None:
        places = self._turns.places
        if self not in places:
            if self._turns.mine() is not None:
                return
            places[self] = None
        while (earlier := self._earlier()) is not None:
            earlier.wait()

    def _earlier(self) -> Place | None:
        """The first block before this one that it collides with."""
        places = self._turns.places
        for each in [*places]:
            if each is self:
                break
            if each.is_over():
                places.pop(each, None)
            elif self._turns.collide(self.about, each.about):
                return each
        return None

    def wait(self) -> None:
        """Waits until the block is over, but not for long."""
        if self._over.acquire(timeout=PATIENCE_S):
            self._over.release()  # Others wait for it, too.

    def is_over(self) -> bool:
        """Whether it was cut off, or is another process'."""
        return self.alive() is None or self._process != getpid()

    def is_mine(self) -> bool:
        """Whether this thread is inside it."""
        return self._thread == get_ident() and not self.is_over()

    def leave(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Lets those go on that wait for it."""
        del kind, error, trace
        if self._turns.places.pop(self, self) is None:
            self._over.release()
        came, self._came = self._came, None
        for work in self.afterwards:
            work()
        if came is not None:
            raise came


# --- Of composed sets ------------------------------------------------------------------------


class SetTurns:
    """The turns of the steps of a set. A step that needs both kinds takes them in this order.

    Args:
        vectors, entities, ledger: its parts, as they were given.
    """

    def __init__(self, vectors: Any, entities: Any, ledger: Any) -> None:
        parts = map(id, (vectors, entities, ledger))
        self._stores: frozenset[object] = frozenset((_name_of(vectors), *parts))
        self._entities = _name_of(entities)

    def writing(self, memory_ids: Iterable[str] | None) -> Block:
        """A block that writes some memories; None means all.

        No other one writes them meanwhile, and no part is closed.
        """
        ids = None if memory_ids is None else frozenset(map(canonical_id, memory_ids))
        return WRITING.block((self._stores, ids))

    def linking(self, scope: Mapping[str, object]) -> Block:
        """A block that changes links of a scope; no other one changes the same entities."""
        return LINKING.block((self._entities, scope))

    def when_written(self, parts: Sequence[object], close: Callable[[], object]) -> None:
        """Closes parts when what is being written to them is written; later steps come after it.

        An exception that comes meanwhile is raised at the end. Whoever is writing, and closes them
        from there, such as in a signal handler, does it at the end of that step.
        """
        step = WRITING.mine()
        if step is not None:
            step.afterwards.append(partial(self.when_written, parts, close))
            return
        with WRITING.block((frozenset(map(id, parts)), None), to_the_end=True):
            close()


def write_the_same(one: Written, other: Written) -> bool:
    """Whether two steps write the same memory, or one of them all of the other's stores."""
    (stores, ids), (others, other_ids) = one, other
    if ids is None or other_ids is None:
        return not stores.isdisjoint(others)
    return not ids.isdisjoint(other_ids)


def may_share_entities(one: Linked, other: Linked) -> bool:
    """Whether an entity can have the ids of both scopes: the two differ in no id that both have."""
    (name, scope), (other_name, ids) = one, other
    return name == other_name and all(
        value == ids.get(key, value) or ANY_VALUE in (value, ids[key])
        for key, value in scope.items()
    )


WRITING, LINKING = Turns(write_the_same), Turns(may_share_entities)


def _name_of(store: Any) -> str:
    """The collection's, if it has one: the same collection may be behind several objects."""
    return str(getattr(store, COLLECTION.name, ""))
