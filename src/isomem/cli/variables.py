"""Options from the environment: `ISOMEM_<SECTION>_<OPTION>`, such as ISOMEM_LLM_MODEL."""

from __future__ import annotations

import json
import os

from isomem.config import OF_MEM0, TOP, default_provider, section_of
from isomem.errors import InvalidConfigError
from isomem.options import as_dict, check_option, unknown
from isomem.reference import SECTIONS, has_variable, table_in, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isomem.options import Option

    Config = dict[str, object]


def overlay_variables(config: Config) -> None:
    """Overlays `config` with the options that the environment sets.

    Raises:
        InvalidConfigError: a variable does not name an option, or its option does not accept the
            value.
    """
    for option in filter(has_variable, TOP):
        name = variable("", option.name)
        if text := os.environ.get(name):
            config[option.name] = read_text(option, text, name)
    for section in SECTIONS:
        if given := texts_of(section):
            config[section] = _overlaid(section, config.get(section), given)


def _overlaid(section: str, configured: object, given: Mapping[str, str]) -> Config:
    """A section, overlaid with options given as text. Another provider starts without options."""
    present: Config = {} if configured is None else section_of(section, configured, [])
    unnamed = default_provider(section).replace("unset", "openai")
    if configured is not None:
        unnamed = OF_MEM0.get(section, unnamed)
    before = str(present.get("provider") or unnamed)
    provider = given.get("provider") or before
    if not provider:
        raise InvalidConfigError(
            f"{variable(section, min(given))} is set, but no {section} is configured",
            error_code="CONFIG_002",
            suggestion=f"Name it: {variable(section, 'provider')}.",
        )
    kept = present.get("config") if provider == before else None
    options = as_dict(kept or {}, f"{section}.config")
    return {"provider": provider, "config": {**options, **_read(section, provider, given)}}


def _read(section: str, provider: str, given: Mapping[str, str]) -> Config:
    table = table_in(section, provider)
    values = {name: text for name, text in given.items() if name != "provider"}
    if table is None:
        return dict(values)
    return read_texts(section, table, values, f"{section} {provider}")


def read_texts(
    section: str, table: Sequence[Option], given: Mapping[str, str], what: str
) -> Config:
    """The values of options of a table that are given as text.

    Args:
        section: names their variables.
        given: texts by the names of options.
        what: whose options they are, for errors.

    Raises:
        InvalidConfigError: an option is unknown, or does not accept its value.
    """
    rows = {option.name: option for option in table if has_variable(option)}
    for name in given:
        if name not in rows:
            known = [variable(section, each) for each in rows]
            raise unknown(f"variable for {what}", variable(section, name), known)
    return {
        name: read_text(rows[name], text, variable(section, name)) for name, text in given.items()
    }


def texts_of(section: str) -> dict[str, str]:
    """The texts of the variables of a section, by the names of its options."""
    prefix = variable(section, "")
    return {
        name.removeprefix(prefix).lower(): text
        for name, text in os.environ.items()
        if name.startswith(prefix) and text
    }


def read_text(option: Option, text: str, name: str) -> object:
    """The value of an option that is given as text: the text itself, or the JSON in it.

    Args:
        option: which one.
        text: a word, a number, `true`, or a list or dict as JSON.
        name: of the variable, for errors.

    Raises:
        InvalidConfigError: the option does not accept it.
    """
    value = _from_json(text)
    is_structure = isinstance(value, (dict, list))
    readings = (value, text) if is_structure else (text, value)
    for reading in readings:
        if option.kind.accepts(reading):
            return reading
    check_option(option, text, name)
    return text


def _from_json(text: str) -> object:
    try:
        value: object = json.loads(text.lower() if text in {"True", "False"} else text)
    except (ValueError, RecursionError):
        return text
    return value
