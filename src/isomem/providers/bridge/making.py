"""Makes a part by mem0's own factory, from its name and its options."""

from __future__ import annotations

import inspect
from importlib import import_module

from isomem import log
from isomem.errors import DependencyError, InvalidConfigError, MemoryError
from isomem.options import split_known, unknown
from isomem.providers.bridge import copy
from isomem.providers.bridge.failures import Failures
from isomem.providers.bridge.parts import Bridged, BridgedEmbedder, BridgedStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    T = TypeVar("T")
    Options = Mapping[str, object]

INSTALL = "pip install mem0ai"
_DIMS = "embedding_model_dims"


def make_llm(provider: str, options: Options) -> Bridged:
    """The language model of that name.

    Raises:
        DependencyError: mem0ai, or a package that its class needs, is not installed.
        InvalidConfigError: mem0 refuses the options.
        LLMError: the class fails in another way.
    """
    failures = Failures("llm", provider, options)

    def make(mem0: Any) -> Any:
        _, config = _entry(mem0.LlmFactory, failures)
        _refuse_unknown(failures, options, _parameters(config))
        return mem0.LlmFactory.create(provider, dict(options))

    return Bridged(_made(failures, make), failures)


def make_embedder(provider: str, options: Options) -> BridgedEmbedder:
    """The embedder of that name. Raises as `make_llm`, and EmbeddingError."""
    failures = Failures("embedder", provider, options)

    def make(mem0: Any) -> Any:
        _entry(mem0.EmbedderFactory, failures)
        _refuse_unknown(failures, options, _parameters(mem0.BaseEmbedderConfig))
        return mem0.EmbedderFactory.create(provider, dict(options), None)

    return BridgedEmbedder(_made(failures, make), failures)


def make_reranker(provider: str, options: Options) -> Bridged:
    """The reranker of that name. Raises as `make_llm`, and RerankError."""
    failures = Failures("reranker", provider, options)

    def make(mem0: Any) -> Any:
        _, config = _entry(mem0.RerankerFactory, failures)
        _check_fields(failures, options, config)
        return mem0.RerankerFactory.create(provider, dict(options))

    return Bridged(_made(failures, make), failures)


def make_vector_store(provider: str, options: Options, dims: int | None = None) -> BridgedStore:
    """The vector store of that name. Raises as `make_llm`, and VectorStoreError.

    Args:
        provider: its name.
        options: its `config`. Without `path`, a local store is where mem0 puts it, in `/tmp`.
        dims: the length of the vectors, where the options do not say. mem0 assumes 1536.
    """
    failures = Failures("vector_store", provider, options)
    config = _made(failures, lambda mem0: _store_config(mem0, failures, options, dims))
    return _open(failures, config, {}, owns_client="client" not in options)


def _open(
    failures: Failures, config: Mapping[str, Any], shared: Options, *, owns_client: bool
) -> BridgedStore:
    provider, named = failures.provider, "collection_name"
    if named not in config:
        named = "table_name"  # As Baidu's is called.
    part = _made(failures, lambda mem0: mem0.VectorStoreFactory.create(provider, dict(config)))
    # A local folder of Qdrant can only be open once.
    common = {"client": part.client} if provider == "qdrant" else shared

    def beside(name: str) -> BridgedStore:
        return _open(failures, {**config, **common, named: name}, common, owns_client=not common)

    return BridgedStore(part, failures, beside, str(config[named]), owns_client=owns_client)


def _store_config(
    mem0: Any, failures: Failures, options: Options, dims: int | None
) -> Mapping[str, Any]:
    """All options of a store: what is configured, and mem0's defaults."""
    _entry(mem0.VectorStoreFactory, failures)
    kind = store_options(failures.provider)
    _check_fields(failures, options, kind)
    known = {_DIMS: dims} if dims and _DIMS in kind.model_fields else {}
    section = import_module("mem0.vector_stores.configs").VectorStoreConfig
    read = section(provider=failures.provider, config={**known, **options})
    values: Mapping[str, Any] = read.config.model_dump()
    return values


def store_options(provider: str) -> Any:
    """mem0's class for the options of a store; to be called where the copy is imported."""
    section = import_module("mem0.vector_stores.configs").VectorStoreConfig
    names = section.__private_attributes__["_provider_configs"].get_default()
    return getattr(import_module(f"mem0.configs.vector_stores.{provider}"), names[provider])


# --- With mem0's modules ---------------------------------------------------------------------


def _made(failures: Failures, make: Callable[[Any], T]) -> T:
    """What `make` makes from mem0's module of factories, with its failures as isomem's."""
    place = copy.folder()
    if place is None:
        raise _not_installed(failures)
    try:
        with copy.imported(place):
            return make(import_module("mem0.utils.factory"))
    except MemoryError:
        raise
    except (ImportError, SystemExit) as error:  # Some of mem0's modules exit without a package.
        raise _lacks_package(failures, error) from error
    except ValueError as error:
        raise _refused(failures, error) from None
    except Exception as error:  # noqa: BLE001 - a vendor's library can raise anything
        failure = failures.of(error)
    raise failure  # Its cause is set, or left out where it would show a secret.


def _entry(factory: Any, failures: Failures) -> Any:
    """What a factory knows of a provider.

    Raises:
        DependencyError: the installed mem0 does not have it.
    """
    try:
        return factory.provider_to_class[failures.provider]
    except KeyError:
        raise DependencyError(
            f"the installed mem0ai has no {failures.section} {failures.provider!r}",
            details={"package": "mem0ai"},
            suggestion="pip install --upgrade mem0ai",
        ) from None


def _parameters(config: type) -> Iterable[str]:
    return [name for name in inspect.signature(config).parameters if name != "self"]


def _refuse_unknown(failures: Failures, options: Options, known: Iterable[str]) -> None:
    names = list(known)
    for name in options:
        if name not in names:
            raise unknown(f"key in {failures.section}.config", name, names)


def _check_fields(failures: Failures, options: Options, kind: Any) -> None:
    """Refuses options that mem0 refuses, and names those that it ignores.

    Raises:
        InvalidConfigError: an option is unknown, and mem0 does not ignore it.
    """
    names = list(kind.model_fields)
    if hasattr(kind, "validate_extra_fields") or kind.model_config.get("extra") == "forbid":
        _refuse_unknown(failures, options, names)
    _, others = split_known(options, names, f"{failures.section}.config")
    if others:
        log.warning("Options that do nothing: %s", ", ".join(others))


# --- Errors ----------------------------------------------------------------------------------


def _not_installed(failures: Failures) -> DependencyError:
    own = ""
    if failures.section == "vector_store":
        own = (
            ' Or use isomem\'s own store, {"provider": "embedded"}: `isomem import` copies the '
            "memories of a local Qdrant, which a vector_store without a provider is, too"
        )
    return DependencyError(
        f"the {failures.section} provider {failures.provider!r} is one of mem0's, which isomem "
        "uses by mem0's own class, and mem0ai is not installed",
        details={"package": "mem0ai", "given": failures.provider},
        suggestion=f"{INSTALL}.{own}",
    )


def _lacks_package(failures: Failures, error: BaseException) -> DependencyError:
    module = getattr(error, "name", None)
    return DependencyError(
        f"the {failures.section} {failures.provider} of mem0 needs a package that is not "
        f"installed: {error}",
        details={"package": module, "given": failures.provider},
        suggestion=f"pip install {module}" if module else None,
    )


def _refused(failures: Failures, error: ValueError) -> InvalidConfigError:
    """From an error of pydantic's, whose own text would show the values."""
    if hasattr(error, "errors"):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        text = "; ".join(_fault(each) for each in found)
    else:
        text = failures.shown(error)
    return InvalidConfigError(
        f"{failures.section}.config ({failures.provider}): mem0 refuses it: {text}",
        error_code="CONFIG_002",
        details={"given": failures.provider},
    )


def _fault(found: Mapping[str, Any]) -> str:
    where = ".".join(map(str, found["loc"]))
    return f"{where}: {found['msg']}" if where else str(found["msg"])
