"""What can be configured: the options of every provider, their variables, and the JSON schema.

Everything here is made from the tables of options. This module loads every provider. It is for
front ends and tools; the library itself does not need it.
"""

from __future__ import annotations

from isomem.config import COLLECTION, MCP, OF_MEM0, OF_MEM0_1, SERVICE, STORE_SETS, TOP, store_table
from isomem.options import EMPTY_IN_JSON, Option
from isomem.providers import registry
from isomem.text.tables import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.options import Schema, Table

KINDS = {
    "llm": registry.LLMS,
    "embedder": registry.EMBEDDERS,
    "reranker": registry.RERANKERS,
    "vector_store": registry.VECTOR_STORES,
}
SECTIONS = (*KINDS, "nlp")
"""The keys of the configuration that name a provider."""

ON_FRONT_ENDS = {"raise_on_llm_error": True}
"""What every front end sets, whatever is configured: an operator must see failed calls."""

PREFIX = "ISOMEM_"


def names_in(section: str) -> list[str]:
    """The providers that a section may name, including those of installed packages."""
    if section == "nlp":
        return sorted(TABLES)
    own = [*STORE_SETS] if section == "vector_store" else []
    return [*own, *registry.names_of(KINDS[section])]


def table_in(section: str, provider: str) -> Table | None:
    """The options of a provider; None if its package does not say.

    Raises:
        InvalidConfigError: the section cannot name that provider.
    """
    if section == "nlp":
        return TABLES.get(provider)
    if section == "vector_store" and provider in STORE_SETS:
        return store_table(provider)
    return registry.table_of(KINDS[section], provider)


def variable(section: str, name: str) -> str:
    """The environment variable of an option on a front end, such as ISOMEM_LLM_MODEL."""
    return f"{PREFIX}{f'{section}_{name}' if section else name}".upper()


def has_variable(option: Option) -> bool:
    """Whether the option can be set by an environment variable."""
    without = (*ON_FRONT_ENDS, *SECTIONS, SERVICE, MCP, "provider")
    return not option.idle and option.name not in without


# --- JSON schema -----------------------------------------------------------------------------


def schema() -> Schema:
    """The whole configuration as a JSON schema (draft 2020-12)."""
    definitions: Schema = {}
    for section in SECTIONS:
        names = names_in(section)
        definitions |= {f"{section}.{name}": _options(section, name) for name in names}
        definitions[section] = _section(section, names)
    definitions["reranker_llm"] = _model_of_reranker()
    old: Schema = {"deprecated": True, "description": "does nothing since mem0 2"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of isomem",
        **_open({**_rows(TOP), **dict.fromkeys(OF_MEM0_1, old)}),
        "$defs": definitions,
    }


def _rows(table: Sequence[Option]) -> Schema:
    return {option.name: _described(option) for option in table}


def _described(option: Option) -> Schema:
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    shown = {} if default is None else {"default": default}
    return {"description": option.doc, **shown, **option.kind.schema}


def _open(properties: Schema) -> Schema:
    """An object whose unknown keys are passed over."""
    return {"type": "object", "properties": properties}


def _closed(properties: Schema) -> Schema:
    return {**_open(properties), "additionalProperties": False}


def _options(section: str, provider: str) -> Schema:
    table = table_in(section, provider)
    if table is not None:
        return (_open if section == "reranker" else _closed)(_rows(table))
    # We know one option of another package's store, and none of its models and embedders.
    return _open(_rows((COLLECTION,)) if section == "vector_store" else {})


def _section(section: str, names: list[str]) -> Schema:
    providers: Schema = {"enum": [*names, "unset"] if section == "llm" else names}
    conditions = _by_provider(section, names, _NOTHING)
    unnamed = OF_MEM0.get(section, "builtin")
    closed: Schema = {"additionalProperties": False} if section == "reranker" else {}
    if unnamed not in names:
        return {**_parts(providers, conditions), **closed, "required": ["provider"]}
    absent: Schema = {"not": {"required": ["provider"]}}
    conditions.append(_condition(absent, section, unnamed, _NOTHING))
    return {**_parts(providers, conditions), **closed}


def _model_of_reranker() -> Schema:
    names = names_in("llm")
    return _parts({"enum": names}, _by_provider("llm", names, _EMPTY))


_NOTHING: Schema = {"type": "null"}
_EMPTY: Schema = {"enum": EMPTY_IN_JSON}


def _parts(provider: Schema, conditions: list[Schema]) -> Schema:
    """A dict of `provider` and `config`, where the provider decides what the config is."""
    return {
        "type": "object",
        "properties": {"provider": provider, "config": {}},
        "allOf": conditions,
    }


def _by_provider(section: str, names: Sequence[str], empty: Schema) -> list[Schema]:
    return [
        _condition(
            {"properties": {"provider": {"const": name}}, "required": ["provider"]},
            section,
            name,
            empty,
        )
        for name in names
    ]


def _condition(when: Schema, section: str, provider: str, empty: Schema) -> Schema:
    configs = [empty, {"$ref": f"#/$defs/{section}.{provider}"}]
    return {"if": when, "then": {"properties": {"config": {"anyOf": configs}}}}
