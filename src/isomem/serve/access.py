"""Access: what one key sees of a memory. Every call of every way in goes through here.

A key never reads, writes, filters, lists or removes its way out of its scopes: a call is narrowed
down to them before it is made, and what comes back is looked at once more.
"""

from __future__ import annotations

from math import isfinite

from isomem.contract.arguments import check_filters, check_id, check_memory_id
from isomem.contract.pages import DEFAULT_TOP_K
from isomem.errors import MemoryNotFoundError, PermissionDeniedError, ValidationError
from isomem.options import nearest
from isomem.pipeline import listing, manage
from isomem.pipeline.asked import visibility_of
from isomem.serve.calls import CALLS, EVERYTHING, FILTERS, IDS, MEMORY, REQUIRED
from isomem.serve.grants import Grant, covered, is_everything, narrow
from isomem.serve.kept import Kept
from isomem.serve.limits import check_read
from isomem.serve.noted import how_many
from isomem.serve.scopes import list_scopes
from isomem.serve.trail import Trail
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from contextlib import AbstractContextManager
    from typing import Any, TypeVar

    from isomem.contract.plan import Receipt
    from isomem.memory_async import AsyncMemory
    from isomem.results import MemoryPage
    from isomem.serve.calls import Call, Parameter
    from isomem.serve.keys import Key
    from isomem.serve.noted import Noted

    Arguments = dict[str, Any]
    T = TypeVar("T")


class Access:
    """A memory as one key sees it.

    Args:
        memory: everybody's.
        key: who calls.
        kept: makes the calls, and knows what the service holds of them; by default nothing.
        trail: where calls are noted; by default nowhere.
        most: how many memories a call may read; None sets no limit.
    """

    def __init__(
        self,
        memory: AsyncMemory,
        key: Key,
        kept: Kept | None = None,
        trail: Trail | None = None,
        most: int | None = None,
    ) -> None:
        self.memory = memory
        self.key = key
        self._kept = kept or Kept()
        self._trail = trail or Trail()
        self._most = most
        self.sees_everything = is_everything(key.grants)

    async def call(self, name: str, arguments: Mapping[str, object]) -> Any:
        """Makes one call of `calls.CALLS`; what the method of `Memory` returns.

        Args:
            arguments: by name, as JSON has them.

        Raises:
            PermissionDeniedError: the key is not for such calls, or not for this scope.
            MemoryNotFoundError: no memory that the key may touch has that id.
            ValidationError: an unknown call, or an argument that is unknown or missing.
            Exception: as the method.
        """
        with self.noted(name, arguments) as noted:
            noted.arguments = self._limited(await self.prepare(name, arguments))
            result = noted.end(await self.make(name, noted.arguments))
            call = CALLS[name]
            return self._read(result) if call.reads and not call.lists_scopes else result

    def noted(self, name: str, arguments: Mapping[str, object]) -> AbstractContextManager[Noted]:
        """A block that makes one call, which is noted however it ends."""
        return self._trail.call(self.key, name, arguments)

    async def prepare(self, name: str, arguments: Mapping[str, object]) -> Arguments:
        """The arguments of a call that this key may make, narrowed down to its scopes.

        Raises:
            Exception: as `call`, before the method is called.
        """
        call = CALLS.get(name)
        if call is None:
            raise ValidationError(f"There is no call {name!r}.", error_code="VALIDATION_008")
        self.check_right(call.right)
        if self.sees_everything:
            return _checked(call, arguments)
        if call.kept_by == FILTERS:
            arguments = {"filters": None, **arguments}  # The key says whose memories are meant.
        return await self._narrowed(call, _checked(call, arguments))

    async def make(
        self, name: str, prepared: Mapping[str, object], receipt: Receipt | None = None
    ) -> Any:
        """Makes a call whose arguments are prepared.

        Args:
            receipt: written with what the call stores; see `Memory.replacing`.

        Raises:
            Exception: as the method.
        """
        if name == "purge" and not (self.sees_everything and "admin" in self.key.rights):
            # To rewrite the store is for those who run it: `compact`.
            name, prepared = "delete_all", {**prepared, "purge_history": True}
        if CALLS[name].lists_scopes:
            return await list_scopes(self.memory, self.key.grants, prepared)
        memory = self.memory if receipt is None else self.memory.replacing(receipt=receipt)
        result = await self._kept.call(memory, name, prepared)
        return self.seen(result if self.sees_everything else self._own(result))

    def seen(self, result: Any) -> Any:
        """What was added; if the key may not read, without what it supersedes."""
        if "read" in self.key.rights or not isinstance(result, dict) or "results" not in result:
            return result
        results = [
            {key: value for key, value in each.items() if key != "supersedes"}
            for each in result["results"]
        ]
        return {**result, "results": results}

    async def everything(
        self,
        *,
        order: str | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
        show_expired: bool = False,
        show_superseded: bool = False,
    ) -> MemoryPage:
        """A page of all memories of everybody, as `get_all` shows it.

        Raises:
            PermissionDeniedError: the key may not read, or not every memory.
            ValueError: as `get_all`.
        """
        self.check_right("read")
        self.check_everything()
        visibility = visibility_of(
            self.memory._ports, show_expired=show_expired, show_superseded=show_superseded
        )
        return await self.ask(
            listing.page, {}, visibility,
            top_k=DEFAULT_TOP_K, order=order, page_size=page_size, cursor=cursor,
        )  # fmt: skip

    async def ask(
        self, question: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any
    ) -> T:
        """What a step of `isomem.pipeline` says. Its arguments have to be narrowed already."""
        with self.noted(question.__name__, kwargs):
            return await self.memory._ports.run(question(self.memory._ports, *args, **kwargs))

    def check_right(self, right: str) -> None:
        """Raises PermissionDeniedError unless the key has a right."""
        if right not in self.key.rights:
            raise PermissionDeniedError(f"This key does not have the right {right!r}.")

    def check_everything(self) -> None:
        """Raises PermissionDeniedError unless the key may touch every memory."""
        if not self.sees_everything:
            raise PermissionDeniedError("This key may only touch some memories, not all.")

    def narrow(self, ids: Mapping[str, object]) -> dict[str, str]:
        """The scope that a call with these ids has for this key.

        Raises:
            ValueError: an id is not valid.
            PermissionDeniedError: it is not the key's.
        """
        given = {key: ids[key] for key in SCOPE_KEYS if ids.get(key) is not None}
        read_id = self.memory.profile.read_id
        return narrow(
            self.key.grants, {key: check_id(each, key, read_id) for key, each in given.items()}
        )

    def within(self, ids: Mapping[str, object]) -> Access:
        """This view, of one scope alone.

        Raises:
            ValueError: an id is not valid.
            PermissionDeniedError: the scope is not the key's.
        """
        key = self.key.limited(Grant(self.narrow(ids), exact=True))
        memory = self.memory.replacing(counts_in_scope=True)
        return Access(memory, key, self._kept, self._trail, self._most)

    def filters(self, filters: Any) -> Any:
        """The filters that a call with these filters has for this key.

        Raises:
            ValueError: they are not valid.
            PermissionDeniedError: they are for memories that are not the key's.
        """
        return filters if self.sees_everything else self._filters(filters)

    async def _narrowed(self, call: Call, arguments: Arguments) -> Arguments:
        if call.kept_by == EVERYTHING:
            self.check_everything()
        if call.kept_by == IDS:
            named = {key: value for key, value in arguments.items() if key not in SCOPE_KEYS}
            return {**named, **self._ids(call, arguments)}
        if call.kept_by == FILTERS:
            return {**arguments, "filters": self._filters(arguments.get("filters"))}
        if call.kept_by == MEMORY:
            await self._find(call, arguments["memory_id"])
        return arguments

    def _ids(self, call: Call, arguments: Arguments) -> dict[str, str]:
        if call.lists_scopes and len(self.key.grants) > 1:
            return {key: arguments[key] for key in SCOPE_KEYS if arguments.get(key) is not None}
        return self.narrow(arguments)

    def _filters(self, filters: Any) -> dict[str, Any]:
        """The filters, narrowed. At the top level, an id is one string, and all conditions hold."""
        if filters is not None and not isinstance(filters, dict):
            raise ValueError(f"filters must be a dict, got {type(filters).__name__}.")
        given = filters or {}
        return check_filters({**given, **self.narrow(given)}, self.memory.profile.read_id)

    async def _find(self, call: Call, memory_id: object) -> None:
        """Raises unless the memory is there and the key may touch it.

        A memory of somebody else is treated like one that is not there.
        """
        found = await self.memory.get(check_memory_id(memory_id))
        if found is not None and covered(self.key.grants, found):
            return
        if found is None and call.name == "history" and await self._was_own(memory_id):
            return
        raise MemoryNotFoundError(
            f"Memory with id {memory_id} not found. Please provide a valid 'memory_id'",
            details={"memory_id": str(memory_id)},
        )

    async def _was_own(self, memory_id: object) -> bool:
        """Whether a removed memory was one that the key may touch."""
        ids = await manage.owner_of_removed(self.memory._ports, str(memory_id))
        return ids is not None and covered(self.key.grants, ids)

    def _limited(self, arguments: Arguments) -> Arguments:
        """The arguments of a call that reads one memory more than it may, at the most."""
        top_k = arguments.get("top_k")
        if self._most is None or type(top_k) is not int or top_k <= self._most:
            return arguments
        return {**arguments, "top_k": self._most + 1}

    def _read(self, result: T) -> T:
        """What a call has read.

        Raises:
            Problem: 413, it was more than it may.
        """
        if self._most is not None and isinstance(result, dict):
            check_read(how_many(result) or 0, self._most)
        return result

    def _own(self, result: Any) -> Any:
        """A result without what the key may not touch: scopes of others, and nothing else."""
        if isinstance(result, dict) and isinstance(result.get("results"), list):
            return {**result, "results": self._own_items(result["results"])}
        return self._own_items(result) if isinstance(result, list) else result

    def _own_items(self, items: list[Any]) -> list[Any]:
        return [item for item in items if _is_unscoped(item) or covered(self.key.grants, item)]


def _is_unscoped(item: Any) -> bool:
    """Whether a result does not say whose it is: it is new, or a row of a history."""
    return not isinstance(item, dict) or "event" in item


def _checked(call: Call, arguments: Mapping[str, object]) -> Arguments:
    """The arguments, all of which the call knows.

    Raises:
        ValidationError: VALIDATION_008, one is unknown or missing.
    """
    parameters = call.parameters
    for name in arguments:
        if name not in parameters:
            meant = nearest(str(name), list(parameters))
            raise ValidationError(
                f"{call.name} does not take {name!r}.",
                error_code="VALIDATION_008",
                suggestion=f"Did you mean {meant!r}?"
                if meant
                else f"It takes {', '.join(parameters)}.",
            )
    for name, parameter in parameters.items():
        if parameter.default is REQUIRED and name not in arguments:
            raise ValidationError(f"{call.name} needs {name!r}.", error_code="VALIDATION_008")
        if name in arguments:
            _check_type(name, parameter, arguments[name])
            _check_numbers(name, arguments[name])
    return dict(arguments)


def _check_numbers(name: str, value: object) -> None:
    """Raises ValidationError for NaN and infinity: no answer in JSON could show them again."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left += each.values()
        elif isinstance(each, (list, tuple)):
            left += each
        elif isinstance(each, float) and not isfinite(each):
            raise ValidationError(
                f"{name} has a number that JSON cannot say: {each}.", error_code="VALIDATION_008"
            )


def _check_type(name: str, parameter: Parameter, value: object) -> None:
    """Raises ValidationError for what the method would take for true or false, or for a text."""
    if parameter.schema.get("type") == "boolean" and not isinstance(value, bool):
        raise ValidationError(f"{name} must be true or false.", error_code="VALIDATION_008")
    if name == "prompt" and value is not None and not isinstance(value, str):
        raise ValidationError(f"{name} must be a text.", error_code="VALIDATION_008")
