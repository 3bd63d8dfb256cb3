"""What happens if a program overrides mem0's private methods.

Those that published programs override are called, at the places where mem0 2.0.4 calls them. A call
that goes through one of them is not one transaction, since the program's code runs in between. The
others are never called. A warning says which it is.
"""

from __future__ import annotations

import warnings

from isomem.compat.texts import parse_vision_messages, remove_code_blocks
from isomem.contract.arguments import (
    check_ids,
    check_memory_type,
    check_threshold,
    check_top_k,
    refuse_top_level_ids,
)
from isomem.contract.filters import translate
from isomem.pipeline.add import add_text
from isomem.pipeline.asked import checked_filters
from isomem.text.messages import Conversation
from isomem.types import PROCEDURAL, SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Embeddings = Mapping[str, Any]

CALLED = (
    "_add_to_vector_store",
    "_create_memory",
    "_create_procedural_memory",
    "_update_memory",
    "_delete_memory",
    "_search_vector_store",
    "_get_all_from_vector_store",
)
"""The hooks that are called."""

NEVER_CALLED = (
    "_upsert_entity",
    "_remove_memory_from_entity_store",
    "_link_entities_for_memory",
    "_compute_entity_boosts",
    "_process_metadata_filters",
    "_has_advanced_operators",
    "_should_use_agent_memory_extraction",
)
"""The other private methods of mem0's memories."""

PUBLIC = ("add", "search", "get_all", "update", "delete", "delete_all")
"""The calls that go through hooks."""

OF_ADD = ("_add_to_vector_store", "_create_memory", "_create_procedural_memory")

ORIGINALS: dict[type, dict[str, Any]] = {}
"""By class, what its hooks are if nobody replaces them."""


class HookWarning(UserWarning):
    """A program overrides a private method of mem0's memories."""


def warn_of_overridden(kind: type) -> None:
    """Warns of every hook that a subclass overrides, by its name."""
    originals = _originals(kind)
    for name in CALLED if originals else ():
        if getattr(kind, name) is not originals[name]:
            _warn(
                f"{kind.__name__} overrides {name}, a private method of mem0. It is called as in "
                "mem0 2.0.4, but a call that goes through it is not one transaction."
            )
    for name in NEVER_CALLED if originals else ():
        if any(
            name in vars(each)
            for each in kind.__mro__
            if each not in ORIGINALS and _is_foreign(each)
        ):
            _warn(
                f"{kind.__name__} overrides {name}, a private method of mem0. isomem never calls "
                "it: what it does there has to be done in a public method."
            )


def _warn(message: str) -> None:
    warnings.warn(message, HookWarning, stacklevel=5)


def _is_foreign(kind: type) -> bool:
    return not kind.__module__.startswith("isomem.")


def _originals(kind: type) -> dict[str, Any]:
    return next((ORIGINALS[each] for each in kind.__mro__ if each in ORIGINALS), {})


def replaced(memory: Any, *names: str) -> bool:
    """Whether a program has replaced one of these hooks: in a class, or in this object."""
    kind = type(memory)
    originals = _originals(kind)
    return any(name in vars(memory) or getattr(kind, name) is not originals[name] for name in names)


async def _settled(value: Any) -> Any:
    """A value, or what a coroutine returns."""
    return await value if hasattr(value, "__await__") else value


async def settled(call: Any, result: object) -> Any:
    """`result`, when a call is done."""
    await _settled(call)
    return result


async def results_of(call: Any) -> Any:
    """The list in what a call returns."""
    return (await _settled(call))["results"]


# --- The calls that go through hooks ---------------------------------------------------------


async def add(memory: Any, messages: object, options: dict[str, Any]) -> Any:
    """`add`, as mem0's calls its hooks."""
    known = (*SCOPE_KEYS, "metadata", "infer", "memory_type", "prompt")
    _refuse_others(memory, "add", options, known)
    profile = memory.profile
    scope = check_ids({key: options.get(key) for key in SCOPE_KEYS}, profile.read_id)
    fields = profile.stamp(options.get("metadata"), scope)
    kind, prompt = options.get("memory_type"), options.get("prompt")
    if kind is not None:
        check_memory_type(kind)
    said = Conversation(messages, profile).messages
    if kind == PROCEDURAL and "agent_id" in scope:
        return await _settled(
            memory._create_procedural_memory(said, metadata=fields, prompt=prompt)
        )
    if memory.enable_vision:
        said = parse_vision_messages(said, memory.llm, memory.vision_details)
    infer = options.get("infer", True)
    stored = memory._add_to_vector_store(said, fields, dict(scope), infer, prompt=prompt)
    return {"results": await _settled(stored)}


async def search(memory: Any, query: str, options: dict[str, Any]) -> Any:
    """`search`, as mem0's calls its hook."""
    _refuse_others(memory, "search", options, ("top_k", "filters", "threshold", "rerank"))
    threshold = options.get("threshold", 0.1)
    check_threshold(threshold)
    limit = check_top_k(options.get("top_k", 20))
    filters = translate(checked_filters(memory._ports, options.get("filters")))
    hits = await _settled(memory._search_vector_store(query, filters, limit, threshold))
    if options.get("rerank") and memory.reranker is not None and hits:
        hits = await memory._ports.rerank(query, hits, limit)
    return {"results": hits}


async def get_all(memory: Any, options: dict[str, Any]) -> Any:
    """`get_all`, as mem0's calls its hook."""
    _refuse_others(memory, "get_all", options, ("top_k", "filters"))
    limit = check_top_k(options.get("top_k", 20))
    filters = checked_filters(memory._ports, options.get("filters"))
    listed = memory._get_all_from_vector_store(filters, limit)
    return {"results": await _settled(listed)}


async def update(memory: Any, memory_id: str, data: str, metadata: object) -> Any:
    """`update`, as mem0's calls its hook."""
    # mem0's hook is given the vector. isomem's own, which most overrides call, makes it again.
    vectors = {data: await memory._ports.embed(data, "update")}
    await _settled(memory._update_memory(memory_id, data, vectors, metadata))
    return {"message": "Memory updated successfully!"}


async def delete(memory: Any, own: Any, memory_id: str) -> Any:
    """`delete`, as mem0's calls its hook."""
    existing = memory.vector_store.get(vector_id=memory_id)
    if existing is None:
        return await _settled(own.delete(memory_id))  # Raises: no memory has that id.
    await _settled(memory._delete_memory(memory_id, existing))
    return {"message": "Memory deleted successfully!"}


async def delete_all(memory: Any, own: Any, ids: dict[str, Any], options: dict[str, Any]) -> Any:
    """`delete_all`: each memory goes through the hook, then isomem's own call does the rest."""
    filters = {key: value for key, value in ids.items() if value}
    if filters:
        found = await _settled(own.get_all(filters=filters, top_k=_ALL, show_expired=True))
        for each in found["results"]:
            await _settled(memory._delete_memory(each["id"]))
    return await _settled(own.delete_all(**ids, **options))


_ALL = 1_000_000_000


def _refuse_others(
    memory: Any, call: str, options: Mapping[str, object], known: tuple[str, ...]
) -> None:
    """Raises ValueError for an option of isomem's, which mem0's hooks have no place for.

    The same for an id that belongs in the filters.
    """
    if "filters" in known:
        refuse_top_level_ids(options, call)
    others = [name for name, value in options.items() if name not in known and value]
    if others:
        raise ValueError(
            f"{call}({others[0]}=) does not reach the private methods of mem0 that "
            f"{type(memory).__name__} overrides: override {call} instead"
        )


# --- What the hooks do if nobody overrides them ----------------------------------------------


async def add_messages(
    memory: Any,
    own: Any,
    messages: object,
    metadata: Mapping[str, object] | None,
    filters: Mapping[str, object],
    infer: bool,
    prompt: str | None,
) -> Any:
    """`_add_to_vector_store`: adds messages to a scope. Returns the list of results."""
    if not infer and replaced(memory, "_create_memory"):
        return [each async for each in _raw(memory, messages, dict(metadata or {}))]
    ids = {key: filters[key] for key in SCOPE_KEYS if filters.get(key)}
    return await results_of(
        own.add(messages, **ids, metadata=dict(metadata or {}), infer=infer, prompt=prompt)
    )


async def _raw(memory: Any, messages: object, metadata: dict[str, Any]) -> Any:
    conversation = Conversation(messages, memory.profile)
    conversation.read()
    for said in conversation.remembered():
        named = {"actor_id": said.name} if said.name else {}
        fields = {**metadata, "role": said.role, **named}
        vectors = {said.content: await memory._ports.embed(said.content, "add")}
        memory_id = await _settled(memory._create_memory(said.content, vectors, fields))
        yield {
            "id": memory_id,
            "memory": said.content,
            "event": "ADD",
            "actor_id": said.name,
            "role": said.role,
        }


async def create(
    ports: Any, data: str, existing: Embeddings, metadata: Mapping[str, object] | None
) -> str:
    """`_create_memory`: stores one text as it is, with these fields. Returns its id."""
    return await add_text(ports, data, dict(metadata or {}), (existing or {}).get(data))


async def create_procedural(
    memory: Any,
    own: Any,
    messages: object,
    metadata: Mapping[str, object] | None,
    prompt: str | None,
) -> Any:
    """`_create_procedural_memory`: stores a summary of how an agent went about its task."""
    if metadata is None:
        raise ValueError("Metadata cannot be done for procedural memory.")
    if replaced(memory, "_create_memory"):
        return await _summarized(memory, messages, dict(metadata), prompt)
    ids = {key: metadata[key] for key in SCOPE_KEYS if metadata.get(key)}
    return await _settled(
        own.add(messages, **ids, metadata=dict(metadata), memory_type=PROCEDURAL, prompt=prompt)
    )


async def _summarized(
    memory: Any, messages: Any, metadata: dict[str, Any], prompt: str | None
) -> dict[str, Any]:
    from isomem import prompts

    system = prompt or prompts.PROCEDURAL_MEMORY_SYSTEM_PROMPT
    request = {"role": "user", "content": prompts.text("PROCEDURAL_REQUEST")}
    asked = [{"role": "system", "content": system}, *messages, request]
    text = remove_code_blocks(await memory._ports.generate(asked))
    vectors = {text: await memory._ports.embed(text, "add")}
    fields = {**metadata, "memory_type": PROCEDURAL}
    memory_id = await _settled(memory._create_memory(text, vectors, metadata=fields))
    return {"results": [{"id": memory_id, "memory": text, "event": "ADD"}]}
