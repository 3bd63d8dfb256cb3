"""What of a configuration works here, key by key. Nothing is opened, sent or fetched for it."""

from __future__ import annotations

from typing import NamedTuple

from isomem.causes import message_of
from isomem.config import (
    COLLECTION,
    MCP,
    OF_MEM0,
    OF_MEM0_1,
    SECTION_KEYS,
    SERVICE,
    STORE_SETS,
    TOP,
    default_path,
    default_provider,
)
from isomem.errors import ConfigurationError, DependencyError, InvalidConfigError
from isomem.options import check_option, is_dict, nearest
from isomem.providers import registry
from isomem.reference import KINDS, SECTIONS, names_in, table_in
from isomem.text.tiers import load_tier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.options import Option

WORKS, BRIDGE, DEFAULT, IGNORED, FAILS = "works", "bridge", "default", "ignored", "fails"
"""Verdicts: done by isomem, or by a class of mem0's; not configured; without effect; refused."""

_REFUSALS = (ConfigurationError, DependencyError)
_MAKE: dict[str, Callable[[str, Mapping[str, Any]], Any]] = {
    "llm": registry.create_llm,
    "embedder": registry.create_embedder,
    "reranker": registry.create_reranker,
    "nlp": load_tier,
    "vector_store": registry.check_vector_store,
}
_OWN_STORE = (
    'or {"provider": "embedded"}, isomem\'s own store; `isomem import` copies the memories of a '
    "local Qdrant"
)
_MEM0_HISTORY = (
    "history_db_path: ~/.mem0/history.db, to go on with the history that mem0 kept there"
)


class Line(NamedTuple):
    """What there is to say about one key.

    Attributes:
        key: such as "llm.config.model".
        verdict: `WORKS`, `BRIDGE`, `DEFAULT`, `IGNORED` or `FAILS`.
        note: why.
        instead: what to write or do; "" if nothing.
    """

    key: str
    verdict: str
    note: str = ""
    instead: str = ""


def examine(config: Mapping[str, object]) -> list[Line]:
    """A line for each key of a configuration, in its order, then one for each absent section.

    No line shows a value that may be secret.
    """
    lines = [line for key, value in config.items() for line in _top(key, value, config)]
    absent = [section for section in SECTIONS if config.get(section) is None]
    lines += [_absent(section) for section in absent if section != "reranker"]
    works = any(line.key == "vector_store" and line.verdict in {WORKS, BRIDGE} for line in lines)
    if works and not _is_set(config) and config.get("history_db_path") is None:
        note = f"history and messages are in {default_path()}-history"
        lines.append(Line("history_db_path", DEFAULT, note, _MEM0_HISTORY))
    return lines


def _absent(section: str) -> Line:
    provider = default_provider(section)
    if section == "vector_store":
        note = f"isomem's own store, in {default_path()}"
        return Line(section, DEFAULT, note, "mem0's default is a Qdrant in /tmp/qdrant")
    if provider == "unset":
        note = "none, since OPENAI_API_KEY is not set here; `add` needs one for infer=True"
        return Line(section, DEFAULT, note)
    return Line(section, DEFAULT, provider)


def _top(key: object, value: object, config: Mapping[str, object]) -> Iterator[Line]:
    rows = {option.name: option for option in TOP}
    if not isinstance(key, str):
        yield Line(str(key), FAILS, f"a key must be text, got {type(key).__name__}", f'"{key}"')
    elif key == "dedup_concurrent" and value is True and not _is_own_set(config):
        yield Line(key, FAILS, "needs isomem's own store", "leave it out")
    elif key in SECTIONS:
        yield from () if value is None else _section(key, value)
    elif key in (SERVICE, MCP) and is_dict(value) and value:
        yield from _service(str(key), value)
    elif key in rows:
        yield _checked(key, rows[key], value, "the configuration")
    elif key in OF_MEM0_1:
        yield Line(key, IGNORED, "nothing since mem0 2")
    else:
        yield _unknown(key, IGNORED, list(rows), "")


def _is_set(config: Mapping[str, object]) -> bool:
    """Whether the vector store is a store set, which keeps the history, too."""
    store = config.get("vector_store")
    provider = store.get("provider") if is_dict(store) else None
    return isinstance(provider, str) and provider in STORE_SETS


def _service(section: str, given: Mapping[str, object]) -> Iterator[Line]:
    from isomem.serve.mcp.settings import TABLE as TOOLS
    from isomem.serve.settings import TABLE

    rows = {option.name: option for option in (TABLE if section == SERVICE else TOOLS)}
    for name, value in given.items():
        key = f"{section}.{name}"
        if name in rows:
            yield _checked(key, rows[name], value, section)
        else:
            yield _unknown(key, FAILS, list(rows), f"{section}.")


def _is_own_set(config: Mapping[str, object]) -> bool:
    store = config.get("vector_store")
    return store is None or (is_dict(store) and store.get("provider") in STORE_SETS)


def _unknown(key: str, verdict: str, known: Sequence[str], at: str) -> Line:
    close = nearest(key.rpartition(".")[2], known)
    return Line(key, verdict, "not known", f"{at}{close}" if close else "")


def _checked(key: str, option: Option, value: object, where: str) -> Line:
    try:
        if value is not option.default:
            check_option(option, value, where)
    except InvalidConfigError as error:
        return Line(key, FAILS, error.message.partition(": ")[2])
    return Line(key, IGNORED, "accepted, but has no effect") if option.idle else Line(key, WORKS)


# --- A section -------------------------------------------------------------------------------


def _section(section: str, given: object) -> Iterator[Line]:
    if section == "reranker" and not given:
        return
    if not is_dict(given):
        yield Line(section, FAILS, f"must be a dict, got {type(given).__name__}")
        return
    unnamed = OF_MEM0.get(section, default_provider(section))
    provider = given.get("provider", unnamed)
    maker = _provider(section, provider, is_named="provider" in given)
    if not isinstance(provider, str) or provider not in names_in(section):
        yield maker
        return
    known = [option.name for option in table_in(section, provider) or ()]
    lines = [
        *_beside(section, given, known),
        *_config(section, provider, given.get("config"), known),
    ]
    fault = next((line for line in lines if line.key == section), None)
    yield fault or maker
    yield from (line for line in lines if line is not fault)


def _config(section: str, provider: str, given: object, known: Sequence[str]) -> Iterator[Line]:
    """The lines of the options. One for the section itself says why its provider cannot be made."""
    options = {} if given is None else given
    if not is_dict(options):
        yield Line(f"{section}.config", FAILS, f"must be a dict, got {type(options).__name__}")
    elif not known:
        yield from _foreign_options(section, provider, options)
    else:
        lines = list(_own_options(section, provider, options))
        yield from lines
        if not any(line.verdict == FAILS for line in lines):
            kept = {name: value for name, value in options.items() if name in known}
            yield from _tried(section, provider, kept)


def _provider(section: str, provider: object, *, is_named: bool) -> Line:
    """How a provider is made, or why it cannot be."""
    why = "" if is_named else f"names no provider, which means {provider}, as in mem0"
    if not isinstance(provider, str) or not provider:
        return Line(section, FAILS, "names no provider")
    kind = KINDS.get(section)
    if kind is not None and registry.is_bridged(kind, provider):
        return _bridged(section, provider, why)
    if provider not in names_in(section):
        close = nearest(provider, names_in(section))
        return Line(section, FAILS, f"there is no provider {provider!r}", close or "")
    own = kind is None or provider in kind.builtin or provider in STORE_SETS
    note = f"{provider}: {'made by isomem' if own else 'made by an installed package'}"
    return Line(section, WORKS, f"{note}; {why}" if why else note)


def _bridged(section: str, provider: str, why: str) -> Line:
    from isomem.providers.bridge.copy import folder

    note = f"{provider}: made by mem0's own class"
    note = f"{note}; {why}" if why else note
    instead = _OWN_STORE if section == "vector_store" else ""
    if folder() is not None:
        return Line(section, BRIDGE, note, instead.removeprefix("or "))
    install = f"pip install mem0ai, {instead}" if instead else "pip install mem0ai"
    return Line(section, FAILS, f"{note}, and mem0ai is not installed", install)


def _beside(section: str, given: Mapping[str, object], known: Sequence[str]) -> Iterator[Line]:
    """The keys beside `provider` and `config`, where nothing else belongs."""
    verdict = FAILS if section == "reranker" else IGNORED
    for key in given:
        if key not in SECTION_KEYS:
            name = f"{section}.{key}"
            if key in known:
                yield Line(name, verdict, "belongs into config", f"{section}.config.{key}")
            else:
                yield _unknown(name, verdict, SECTION_KEYS, f"{section}.")


def _own_options(section: str, provider: str, options: Mapping[str, object]) -> Iterator[Line]:
    rows = {option.name: option for option in table_in(section, provider) or ()}
    at = f"{section}.config."
    for key, value in options.items():
        if key in rows:
            yield _checked(f"{at}{key}", rows[key], value, section)
        else:
            verdict = IGNORED if section == "reranker" else FAILS
            yield _unknown(f"{at}{key}", verdict, list(rows), at)


def _foreign_options(section: str, provider: str, options: Mapping[str, object]) -> Iterator[Line]:
    """Those of mem0's class; those of another package's, which says what it takes when made."""
    at = f"{section}.config"
    if section == "vector_store" and COLLECTION.name in options:
        named = _checked(f"{at}.{COLLECTION.name}", COLLECTION, options[COLLECTION.name], at)
        if named.verdict == FAILS:
            yield named
            return
    if not registry.is_bridged(KINDS[section], provider):
        yield from (Line(f"{at}.{key}", WORKS) for key in options)
        return
    from isomem.providers.bridge.looking import look

    try:
        seen = look(section, provider, options)
    except _REFUSALS as error:
        yield Line(section, FAILS, message_of(error), str(error.suggestion or ""))
        return
    for key in options:
        if key in seen.unknown:
            verdict = FAILS if seen.refuses_unknown else IGNORED
            yield _unknown(f"{at}.{key}", verdict, seen.known, f"{at}.")
        else:
            fault = seen.faults.get(key, "")
            yield Line(f"{at}.{key}", FAILS if fault else BRIDGE, fault)
    for key, fault in seen.faults.items():
        if key not in options:
            yield Line(f"{at}.{key}" if key else at, FAILS, fault)


def _tried(section: str, provider: str, options: Mapping[str, Any]) -> Iterator[Line]:
    """Makes a model or a tier of isomem's own, to see what else it lacks: a key, or a package.

    A vector store only looks at its options.
    """
    make = _MAKE.get(section)
    if make is None or (section in KINDS and provider not in KINDS[section].builtin):
        return
    try:
        part: Any = make(provider, options)
    except _REFUSALS as error:
        yield Line(section, FAILS, message_of(error), str(error.suggestion or ""))
    else:
        if hasattr(part, "close"):
            part.close()
