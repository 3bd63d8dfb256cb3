"""`Memory` and `AsyncMemory` as mem0's: isomem's, with private methods that programs override."""

from __future__ import annotations

from functools import wraps

from isomem import memory, memory_async
from isomem.compat import hooks
from isomem.compat.bases import MemoryBase
from isomem.compat.factories import default_store, replaced_manager
from isomem.compat.records import Record
from isomem.compat.sections import MemoryConfig, completed, own_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from isomem.compat.hooks import Embeddings

    Fields = Mapping[str, object]


class _Hooked:
    """The private methods of mem0's memories that published programs override or call.

    `add`, `search` and so on go through those that a program has replaced: in a subclass, in the
    class or in an object. If it has replaced none, they are isomem's own. The others are isomem's
    calls under mem0's names.
    """

    _ports: Any
    config: Any
    db: Any

    def __init__(self, config: object = None, **options: object) -> None:
        if config is None and options.get("path") is None:
            config = MemoryConfig()
        given = own_config(config, default_store()) if isinstance(config, Record) else config
        super().__init__(given, **options)  # type: ignore[call-arg]  # of isomem's memory
        if isinstance(config, Record):
            self.config = config  # What the program reads later is what it gave.
        manager = replaced_manager()
        if manager is not None:
            self.db = manager(self.config.history_db_path)

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        hooks.warn_of_overridden(cls)

    @classmethod
    def from_config(cls, config_dict: dict[str, Any], **options: object) -> Any:
        """A memory from a dict of options.

        Raises:
            InvalidConfigError: a provider is unknown, or a value is wrong.
        """
        given = completed(cls._process_config(config_dict))
        return super().from_config(given, **options)  # type: ignore[misc]

    @staticmethod
    def _process_config(config_dict: dict[str, Any]) -> dict[str, Any]:
        return config_dict

    # --- Through the hooks -------------------------------------------------------------------

    def add(self, messages: object, **options: object) -> Any:
        own: Any = super()
        if not hooks.replaced(self, *hooks.OF_ADD):
            return own.add(messages, **options)
        return self._ports.run_here(hooks.add(self, messages, options))

    def search(self, query: str, **options: object) -> Any:
        own: Any = super()
        if not hooks.replaced(self, "_search_vector_store"):
            return own.search(query, **options)
        return self._ports.run_here(hooks.search(self, query, options))

    def get_all(self, **options: object) -> Any:
        own: Any = super()
        if not hooks.replaced(self, "_get_all_from_vector_store"):
            return own.get_all(**options)
        return self._ports.run_here(hooks.get_all(self, options))

    def update(
        self, memory_id: str, data: Any = None, metadata: Fields | None = None, **options: object
    ) -> Any:
        own: Any = super()
        if data is None or options or not hooks.replaced(self, "_update_memory"):
            return own.update(memory_id, data, metadata, **options)
        return self._ports.run_here(hooks.update(self, memory_id, data, metadata))

    def delete(self, memory_id: str) -> Any:
        own: Any = super()
        if not hooks.replaced(self, "_delete_memory"):
            return own.delete(memory_id)
        return self._ports.run_here(hooks.delete(self, own, memory_id))

    def delete_all(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        **options: object,
    ) -> Any:
        own: Any = super()
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        if not hooks.replaced(self, "_delete_memory"):
            return own.delete_all(**ids, **options)
        return self._ports.run_here(hooks.delete_all(self, own, ids, options))

    # --- The hooks ---------------------------------------------------------------------------

    def _add_to_vector_store(
        self,
        messages: object,
        metadata: Fields,
        filters: Fields,
        infer: bool,
        prompt: str | None = None,
    ) -> Any:
        own: Any = super()
        return self._ports.run_here(
            hooks.add_messages(self, own, messages, metadata, filters, infer, prompt)
        )

    def _create_memory(
        self, data: str, existing_embeddings: Embeddings, metadata: Fields | None = None
    ) -> Any:
        return self._ports.run_here(hooks.create(self._ports, data, existing_embeddings, metadata))

    def _create_procedural_memory(
        self, messages: object, metadata: Fields | None = None, prompt: str | None = None
    ) -> Any:
        own: Any = super()
        return self._ports.run_here(hooks.create_procedural(self, own, messages, metadata, prompt))

    def _update_memory(
        self,
        memory_id: str,
        data: str,
        existing_embeddings: Embeddings,
        metadata: Fields | None = None,
    ) -> Any:
        del existing_embeddings
        own: Any = super()
        return self._ports.run_here(hooks.settled(own.update(memory_id, data, metadata), memory_id))

    def _delete_memory(self, memory_id: str, existing_memory: object = None) -> Any:
        del existing_memory
        own: Any = super()
        return self._ports.run_here(hooks.settled(own.delete(memory_id), memory_id))

    def _search_vector_store(
        self, query: str, filters: Fields, limit: int, threshold: float | None = 0.1
    ) -> Any:
        own: Any = super()
        found = own.search(query, filters=filters, top_k=limit, threshold=threshold)
        return self._ports.run_here(hooks.results_of(found))

    def _get_all_from_vector_store(self, filters: Fields, limit: int) -> Any:
        own: Any = super()
        return self._ports.run_here(hooks.results_of(own.get_all(filters=filters, top_k=limit)))

    def _should_use_agent_memory_extraction(self, messages: list[Fields], metadata: Fields) -> bool:
        """Whether facts about the assistant were asked for, before mem0 2."""
        roles = [each.get("role") for each in messages]
        return metadata.get("agent_id") is not None and "assistant" in roles


class Memory(_Hooked, memory.Memory, MemoryBase):
    """isomem's `Memory`, with mem0's private methods."""


class AsyncMemory(_Hooked, memory_async.AsyncMemory, MemoryBase):
    """isomem's `AsyncMemory`, with mem0's private methods."""


def _coroutine(name: str) -> Callable[..., Any]:
    """A method of `_Hooked` as a coroutine function, which programs ask for by that property."""
    method = vars(_Hooked)[name]

    @wraps(method)
    async def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await method(self, *args, **kwargs)

    return called


for _name in hooks.CALLED:
    setattr(AsyncMemory, _name, _coroutine(_name))
for _name in hooks.PUBLIC:
    # Whoever looks at the signature sees isomem's.
    vars(_Hooked)[_name].__wrapped__ = getattr(memory.Memory, _name)
    vars(_Hooked)[_name].__doc__ = getattr(memory.Memory, _name).__doc__
    _made = _coroutine(_name)
    _made.__wrapped__ = getattr(memory_async.AsyncMemory, _name)  # type: ignore[attr-defined]
    setattr(AsyncMemory, _name, _made)
for _kind in (Memory, AsyncMemory):
    hooks.ORIGINALS[_kind] = {name: getattr(_kind, name) for name in hooks.CALLED}
