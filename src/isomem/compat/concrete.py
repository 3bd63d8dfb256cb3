"""mem0's classes of single providers, such as `mem0.llms.openai.OpenAILLM`.

If isomem carries a model, an embedder or a reranker, the class is isomem's with mem0's base class
beside it, so that programs can subclass it as they do mem0's. Otherwise, an object of the class is
what isomem's tables have for the name: a vector store of isomem's, a plug-in, or mem0ai's own class
if that is installed.
"""

from __future__ import annotations

from isomem.compat.bases import BaseReranker, EmbeddingBase, LLMBase, VectorStoreBase
from isomem.compat.paths import EMBEDDER_CLASSES, LLM_CLASSES, RERANKER_CLASSES, STORE_CLASSES
from isomem.compat.sections import options_of
from isomem.errors import InvalidConfigError
from isomem.providers import registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_KINDS: tuple[tuple[registry.Kind, dict[str, str], type], ...] = (
    (registry.LLMS, LLM_CLASSES, LLMBase),
    (registry.EMBEDDERS, EMBEDDER_CLASSES, EmbeddingBase),
    (registry.VECTOR_STORES, STORE_CLASSES, VectorStoreBase),
    (registry.RERANKERS, RERANKER_CLASSES, BaseReranker),
)


def __getattr__(name: str) -> object:
    """The class of that name, made when it is asked for."""
    for kind, paths, base in _KINDS:
        for provider, path in paths.items():
            module, _, title = path.rpartition(".")
            if title == name:
                # Two threads that ask at once are given the same class.
                return globals().setdefault(name, _class(kind, provider, base, module, title))
    raise AttributeError(name)


def is_own(made: object) -> bool:
    """Whether it is one of the classes of this module, which take every option of isomem's."""
    return getattr(made, "carried_by_isomem", False) is made


def _class(kind: registry.Kind, provider: str, base: type, module: str, title: str) -> type:
    native = registry.builtin(kind, provider) if provider in kind.builtin else None
    own = {"__module__": module, "provider_name": provider, "__doc__": f"{title} of mem0."}
    if isinstance(native, type) and kind is not registry.VECTOR_STORES:
        bases: tuple[type, ...] = (_Carried, native, base)
        own |= _guards(kind, provider, native)  # type: ignore[arg-type]
    else:
        bases = (Delegated, base)
        own["_kind"] = kind  # type: ignore[assignment]
    made = type(base)(title, bases, own)
    made.carried_by_isomem = made  # type: ignore[attr-defined]
    # What is abstract is in the native class, or in the object that stands in for this one.
    made.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
    return made


class Delegated:
    """A provider that isomem does not carry: its objects are what the tables have for the name.

    Raises:
        InvalidConfigError: the tables have nothing for it. The error says what there is instead.
    """

    _kind: registry.Kind
    provider_name: str

    def __new__(cls, config: Any = None, **options: Any) -> Any:
        if "_kind" not in vars(cls):
            raise InvalidConfigError(
                f"{cls.__name__} is made from mem0's class for {cls.provider_name!r}, which isomem "
                "does not carry: subclass the base class, or that of `isomem.compat.upstream()`",
                error_code="CONFIG_001",
                details={"class": cls.__name__, "provider": cls.provider_name},
            )
        return registry.builtin(cls._kind, cls.provider_name)({**options_of(config), **options})

    def __init__(self, *_given: object, **_options: object) -> None:
        """Nothing: what `__new__` returns is ready."""


_BATCHES_BY_ITSELF = ("openai", "azure_openai")
"""The embedders whose `embed_batch` does not call `embed` in mem0."""


class _Unless:
    """A method of a native class, unless a program has replaced another one that does its work.

    A program's subclass that defines `generate_response` means every call to the model, and knows
    nothing of `agenerate_response`. So an object of it has no such method, and `AsyncMemory` calls
    the program's in a thread.

    Args:
        name: of the method.
        *others: the methods in whose place it works.
    """

    def __init__(self, name: str, *others: str) -> None:
        self._name = name
        self._others = others

    def __get__(self, made: Any, kind: type) -> Any:
        native = super(_carried(kind), kind if made is None else made)
        if made is not None and any(_replaced(kind, each) for each in self._others):
            if self._name == "embed_batch":
                return EmbeddingBase.embed_batch.__get__(made)
            raise AttributeError(f"{kind.__name__} has no {self._name} of its own")
        return getattr(native, self._name)


def _carried(kind: type) -> type:
    """The class of this module that a program's class is made from."""
    return next(each for each in kind.__mro__ if is_own(each))


def _replaced(kind: type, name: str) -> bool:
    """Whether a program has defined a method in its subclass, or put it into our class."""
    order = kind.__mro__
    until = order.index(_carried(kind)) + 1
    found = next((vars(each)[name] for each in order[:until] if name in vars(each)), None)
    return found is not None and not isinstance(found, _Unless)


def _guards(kind: registry.Kind, provider: str, native: type) -> dict[str, _Unless]:
    """The methods of a native class that give way to what a program replaces."""
    embed = () if provider in _BATCHES_BY_ITSELF else ("embed",)
    guards = {
        registry.LLMS: [_Unless("agenerate_response", "generate_response")],
        registry.EMBEDDERS: [
            _Unless("aembed", "embed"),
            _Unless("embed_batch", *embed),
            _Unless("aembed_batch", "embed_batch", *embed),
        ],
        registry.RERANKERS: [_Unless("arerank", "rerank")],
    }.get(kind, [])
    return {each._name: each for each in guards if hasattr(native, each._name)}


class _Carried:
    """What makes a class of isomem's take mem0's arguments.

    Args:
        config: an object with the options as attributes, a dict of them, or None.
    """

    provider_name: str
    table: Any

    def __init__(self, config: Any = None) -> None:
        given = options_of(config)
        known = {row.name for row in self.table}
        plain = config is None or isinstance(config, dict)
        # Of an object, only those are options that the provider knows; the rest is the program's.
        taken = given if plain else {name: given[name] for name in given if name in known}
        super().__init__(_plain(taken))  # type: ignore[call-arg]
        for name in given:
            if name not in known:
                setattr(self.config, name, given[name])  # type: ignore[attr-defined]


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as isomem's tables take them: inner objects as dicts, empty ones left out."""
    plain = {}
    for name, value in given.items():
        inner = options_of(value) if hasattr(value, "model_dump") else value
        if inner or not hasattr(value, "model_dump"):
            plain[name] = inner
    return plain
