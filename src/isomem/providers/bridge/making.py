"""Makes a part by mem0's own factory, from its name and its options."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

from isomem import log
from isomem.errors import DependencyError, InvalidConfigError, MemoryError
from isomem.options import split_known, unknown
from isomem.providers.bridge import copy
from isomem.providers.bridge.failures import Failures
from isomem.providers.bridge.parts import Bridged, BridgedEmbedder, BridgedStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
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
    return Bridged(made(failures, lambda mem0: _create(mem0, failures, options)), failures)


def make_embedder(provider: str, options: Options) -> BridgedEmbedder:
    """The embedder of that name. Raises as `make_llm`, and EmbeddingError."""
    failures = Failures("embedder", provider, options)
    part = made(failures, lambda mem0: _create(mem0, failures, options, None))
    return BridgedEmbedder(part, failures)


def make_reranker(provider: str, options: Options) -> Bridged:
    """The reranker of that name. Raises as `make_llm`, and RerankError."""
    failures = Failures("reranker", provider, options)
    return Bridged(made(failures, lambda mem0: _create(mem0, failures, options)), failures)


def make_vector_store(provider: str, options: Options, dims: int | None = None) -> BridgedStore:
    """The vector store of that name. Raises as `make_llm`, and VectorStoreError.

    Args:
        provider: its name.
        options: its `config`. Without `path`, a local store is where mem0 puts it, in `/tmp`.
        dims: the length of the vectors, where the options do not say. mem0 assumes 1536.
    """
    failures = Failures("vector_store", provider, options)
    config = made(failures, lambda mem0: _store_config(mem0, failures, options, dims))
    return _open(failures, config, {}, owns_client="client" not in options)


def _create(mem0: Any, failures: Failures, options: Options, *more: object) -> Any:
    _check_names(mem0, failures, options)
    factory = getattr(mem0, _FACTORIES[failures.section])
    return factory.create(failures.provider, dict(options), *more)


def _open(
    failures: Failures, config: Mapping[str, Any], shared: Options, *, owns_client: bool
) -> BridgedStore:
    provider, named = failures.provider, "collection_name"
    if named not in config:
        named = "table_name"  # As Baidu's is called.
    part = made(failures, lambda mem0: mem0.VectorStoreFactory.create(provider, dict(config)))
    # A local folder of Qdrant can only be open once.
    common = {"client": part.client} if provider == "qdrant" else shared

    def beside(name: str) -> BridgedStore:
        return _open(failures, {**config, **common, named: name}, common, owns_client=not common)

    return BridgedStore(part, failures, beside, str(config[named]), owns_client=owns_client)


def _store_config(
    mem0: Any, failures: Failures, options: Options, dims: int | None
) -> Mapping[str, Any]:
    """All options of a store: what is configured, and mem0's defaults."""
    _check_names(mem0, failures, options)
    _, kind = classes(mem0, failures)
    known = {_DIMS: dims} if dims and _DIMS in names_of(kind) else {}
    values: Mapping[str, Any] = read_options(failures, kind, {**known, **options}).model_dump()
    return values


# --- With mem0's modules ---------------------------------------------------------------------


def made(failures: Failures, make: Callable[[Any], T]) -> T:
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


_FACTORIES = {
    "llm": "LlmFactory",
    "embedder": "EmbedderFactory",
    "reranker": "RerankerFactory",
    "vector_store": "VectorStoreFactory",
}


def classes(mem0: Any, failures: Failures) -> tuple[str, Any]:
    """The path of a provider's class, and mem0's class for its options.

    Raises:
        DependencyError: the installed mem0 does not have the provider, or lacks a package.
    """
    section, provider = failures.section, failures.provider
    known = getattr(mem0, _FACTORIES[section]).provider_to_class
    if provider not in known:
        raise DependencyError(
            f"the installed mem0ai has no {section} {provider!r}",
            details={"package": "mem0ai"},
            suggestion="pip install --upgrade mem0ai",
        )
    if section == "embedder":
        return known[provider], mem0.BaseEmbedderConfig
    if section == "vector_store":
        names = _store_section().__private_attributes__["_provider_configs"].get_default()
        module = import_module(f"mem0.configs.vector_stores.{provider}")
        return known[provider], getattr(module, names[provider])
    path, config = known[provider]
    return path, config


def _store_section() -> Any:
    return import_module("mem0.vector_stores.configs").VectorStoreConfig


def names_of(config: Any) -> Sequence[str]:
    """The options that one of mem0's classes for options has."""
    if hasattr(config, "model_fields"):
        return list(config.model_fields)
    names: dict[str, None] = {}
    for kind in config.__mro__:
        parameters = inspect.signature(kind.__init__).parameters.values()
        named = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        names |= dict.fromkeys(named[1:])
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break  # It passes nothing on to the class that it extends.
    return list(names)


def refuses_unknown(config: Any) -> bool:
    """Whether such a class refuses other options; if not, it passes over them."""
    if not hasattr(config, "model_fields"):
        return True
    return hasattr(config, "validate_extra_fields") or config.model_config.get("extra") == "forbid"


def read_options(failures: Failures, config: Any, options: Options) -> Any:
    """The options as mem0 reads them.

    Raises:
        InvalidConfigError: mem0 refuses them; its `details` have the `faults` by option.
    """
    try:
        if failures.section == "vector_store":
            return _store_section()(provider=failures.provider, config=dict(options)).config
        return config(**options)
    except ValueError as error:
        raise _refused(failures, error) from None


def _check_names(mem0: Any, failures: Failures, options: Options) -> None:
    """Refuses options that mem0 refuses, and names those that it ignores.

    Raises:
        InvalidConfigError: an option is unknown, and mem0 does not ignore it.
    """
    _, config = classes(mem0, failures)
    names, where = names_of(config), f"{failures.section}.config"
    _, others = split_known(options, names, where)
    if others and refuses_unknown(config):
        raise unknown(f"key in {where}", next(key for key in options if key not in names), names)
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
    named = re.search(r"pip install [\w\[\],.-]*\w\]?", str(error))
    module = getattr(error, "name", None)
    return DependencyError(
        f"the {failures.section} {failures.provider} of mem0 needs a package that is not "
        f"installed: {error}",
        details={"package": module, "given": failures.provider},
        suggestion=named[0] if named else f"pip install {module}" if module else None,
    )


def _refused(failures: Failures, error: ValueError) -> InvalidConfigError:
    """From an error of pydantic's, whose own text would show the values."""
    faults = _faults(error) if hasattr(error, "errors") else {"": failures.shown(error)}
    text = "; ".join(f"{where}: {fault}" if where else fault for where, fault in faults.items())
    return InvalidConfigError(
        f"{failures.section}.config ({failures.provider}): mem0 refuses it: {text}",
        error_code="CONFIG_002",
        details={"given": failures.provider, "faults": faults},
    )


def _faults(error: Any) -> dict[str, str]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return {
        ".".join(map(str, each["loc"])): each["msg"].removeprefix("Value error, ") for each in found
    }
