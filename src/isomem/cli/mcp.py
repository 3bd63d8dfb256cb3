"""The commands of MCP: `isomem mcp` serves, `isomem mcp install` says how a client starts it."""

from __future__ import annotations

import os

from isomem.cli.failures import UsageError
from isomem.cli.settings import read_config
from isomem.cli.variables import read_texts, texts_of
from isomem.config import MCP
from isomem.options import as_dict, nearest
from isomem.serve.mcp.install import CLIENTS, Start, lines
from isomem.serve.mcp.settings import TABLE, Settings, variable_of
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from isomem.cli.screen import Screen

    Config = dict[str, Any]

_FLAGS = {"user_id": "user", "agent_id": "agent", "run_id": "run_id"}
"""The options whose flags have other names."""


def serve(options: Namespace, screen: Screen) -> None:
    """`isomem mcp`."""
    from isomem.serve.mcp import stdio

    del screen
    wire = stdio.Wire()
    config = read_config(options)
    stdio.serve(wire, config, read_settings(options, config))


def read_settings(options: Namespace, config: Config) -> Settings:
    """The settings: flags take precedence over the environment, and that over the file.

    Raises:
        InvalidConfigError: an option is unknown, or has a wrong value.
    """
    short = {key: os.environ.get(variable_of(key)) for key in SCOPE_KEYS}
    flags = {each.name: getattr(options, _FLAGS.get(each.name, each.name), None) for each in TABLE}
    given = {name: value for name, value in flags.items() if value is not None}
    named = {key: value for key, value in short.items() if value}
    return Settings({**read_section(config), **named, **given})


def read_section(config: Config) -> Config:
    """The section `mcp` of a configuration, overlaid with its variables.

    Raises:
        InvalidConfigError: a variable does not name an option, or its option does not accept it.
    """
    section = config.get(MCP)
    given = {} if section is None else as_dict(section, MCP)
    return {**given, **read_texts(MCP, TABLE, texts_of(MCP), MCP)}


def install(options: Namespace, screen: Screen) -> None:
    """`isomem mcp install`."""
    for name in options.clients:
        if name not in CLIENTS:
            meant = nearest(name, CLIENTS)
            hint = f"Did you mean {meant}?" if meant else f"There are {', '.join(CLIENTS)}."
            raise UsageError(f"There is no client {name!r}.", hint)
    config = read_config(options)
    ids = read_settings(options, config).ids
    start = Start(ids, options.config, options.path)
    chosen = options.clients or list(CLIENTS)
    screen.show({name: lines(name, start) for name in chosen}, _shown)
    if not ids:
        screen.note(f"Put your own name in place of {start.env['ISOMEM_USER_ID']!r}.")
    for name in start.secrets:
        screen.note(f"{name} is not shown here: add it to the environment of the server.")


def _shown(found: dict[str, dict[str, str]], screen: Screen) -> list[str]:
    blocks = []
    for name, client in found.items():
        blocks += [screen.bold(f"# {name}: {client['where']}"), client["text"], ""]
    return blocks[:-1]


def add_clients(parser: ArgumentParser) -> None:
    """The arguments of `install`, but for the scope's."""
    which = f"{', '.join(CLIENTS)} (default: all)"
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=which)


def add_arguments(parser: ArgumentParser) -> None:
    """The flags of the server, but for the scope's."""
    parser.add_argument(
        "--allow-scope",
        action="store_true",
        default=None,
        help="let the model name another user, agent or run",
    )
    parser.add_argument(
        "--raw",
        dest="infer",
        action="store_false",
        default=None,
        help="store what is added as it is, unless the model asks for facts",
    )
    parser.add_argument(
        "--max-tokens",
        type=int,
        metavar="N",
        help="at most about N tokens of memories in one answer (default: 2000)",
    )
