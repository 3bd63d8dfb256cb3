"""The commands of the service: `isomem serve`, and `isomem keys`."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from isomem.cli.failures import EXIT_FAILED, UsageError
from isomem.cli.mcp import read_section
from isomem.cli.screen import printable
from isomem.cli.settings import read_config
from isomem.cli.variables import read_text, read_texts, texts_of
from isomem.config import MCP, SERVICE
from isomem.errors import MemoryNotFoundError
from isomem.options import as_dict
from isomem.serve.settings import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from typing import Any

    from isomem.cli.screen import Screen
    from isomem.config import MemoryConfig
    from isomem.options import Option
    from isomem.serve.keys import Keys
    from isomem.serve.run import Started
    from isomem.serve.settings import Settings
    from isomem.types import Json

    Config = dict[str, Any]

DAYS = "d"
"""The unit of `--expires 30d`."""

_IDS = {"user_id": "user", "agent_id": "agent", "run_id": "run_id"}


# --- The service -----------------------------------------------------------------------------


def add_flags(parser: ArgumentParser) -> None:
    """A flag for each option of the service; a switch has one that turns it."""
    group = parser.add_argument_group("the service")
    for option in TABLE:
        name = option.name.replace("_", "-")
        text = option.doc.replace("`", "").replace("%", "%%")
        if isinstance(option.default, bool):
            flag, told = (f"--no-{name}", "false") if option.default else (f"--{name}", "true")
            text = f"turns off: {text}" if option.default else text
            group.add_argument(
                flag, dest=_dest(option), action="store_const", const=told, help=text
            )
        else:
            group.add_argument(
                f"--{name}", dest=_dest(option), metavar=name.rpartition("-")[2].upper(), help=text
            )
    group.add_argument(
        "--discard-changes",
        action="store_true",
        help="forgets what POST /configure has changed, and starts with the configuration as it is",
    )


def _dest(option: Option) -> str:
    return f"{SERVICE}_{option.name}"


def read_service(options: Namespace) -> Config:
    """The configuration with `serve` and `mcp`: flags go before variables, those before the file.

    Raises:
        ConfigurationError: as `read_config`.
    """
    config = read_config(options)
    section = config.get(SERVICE)
    variables = read_texts(SERVICE, TABLE, texts_of(SERVICE), "serve")
    flags = {
        option.name: read_text(option, text, f"--{option.name.replace('_', '-')}")
        for option in TABLE
        if (text := getattr(options, _dest(option), None)) is not None
    }
    given = {} if section is None else as_dict(section, SERVICE)
    return {**config, SERVICE: {**given, **variables, **flags}, MCP: read_section(config)}


def serve(options: Namespace, screen: Screen) -> int:
    """`isomem serve`; runs until a signal ends it."""
    from isomem.serve.run import run

    def started(service: Started) -> None:
        screen.show(service.shown(), lambda *_: _welcome(service, screen))
        sys.stdout.flush()

    if options.discard_changes:
        _discard_changes(options)
    could_start = run(read_service(options), started)
    if could_start:
        screen.note("Stopped.")
    return 0 if could_start else EXIT_FAILED


def _discard_changes(options: Namespace) -> None:
    from isomem.serve.configuration import Changes

    changes = Changes(_settings(options)[1])
    changes.discard()
    changes.close()


def _welcome(service: Started, screen: Screen) -> Iterator[str]:
    yield f"isomem is listening at {screen.bold(service.url)}"
    yield f"  memories  {printable(service.memories)}"
    yield f"  keys      {printable(service.keys)}"
    if service.workers > 1:
        yield f"  workers   {service.workers}"
    if service.key:
        yield ""
        yield "The first key, which may do everything. It is not shown again:"
        yield ""
        yield f"  {screen.bold(service.key)}"
    yield ""
    yield f"Page: {service.url}/    Calls: {service.url}/docs    Ctrl-C stops it."


# --- Keys ------------------------------------------------------------------------------------


def keys_create(options: Namespace, screen: Screen) -> None:
    """`isomem keys create NAME`."""
    grants = _grants(options)
    expires_at = None if options.expires is None else _end(options.expires)
    with _keys(options) as keys:
        text, key = keys.create(
            options.name,
            options.right or ("read", "write"),
            grants,
            rate_per_minute=options.rate,
            expires_at=expires_at,
        )
    screen.show({"key": text, **key.shown()}, _made)


def keys_list(options: Namespace, screen: Screen) -> None:
    """`isomem keys list`."""
    with _keys(options, must_exist=True) as keys:
        found = [key.shown() for key in keys.all()]
    screen.show(found, _listed)


def keys_rotate(options: Namespace, screen: Screen) -> None:
    """`isomem keys rotate ID`."""
    with _keys(options, must_exist=True) as keys:
        text, key = keys.rotate(options.id)
    screen.show({"key": text, **key.shown()}, _made)


def keys_revoke(options: Namespace, screen: Screen) -> None:
    """`isomem keys revoke ID`."""
    with _keys(options, must_exist=True) as keys:
        key = keys.revoke(options.id)
    screen.show(key.shown(), _revoked)


def _grants(options: Namespace) -> list[dict[str, str]]:
    """Whose memories the flags mean: each combination of the ids, and each `--grant`.

    Raises:
        UsageError: nobody's, or everybody's and somebody's.
    """
    grants: list[dict[str, str]] = [{}]
    for key, flag in _IDS.items():
        if values := getattr(options, flag):
            grants = [{**grant, key: value} for grant in grants for value in values]
    grants = [grant for grant in grants if grant] + list(options.grant or ())
    if options.everything and grants:
        raise UsageError("--everything and a scope do not go together.", "Leave one of them out.")
    if not options.everything and not grants:
        raise UsageError(
            "Whose memories may it touch?",
            "Name --user, --agent or --run, or --everything. A * stands for any characters.",
        )
    return grants or [{}]


def _end(text: str) -> float:
    """When a key expires, in seconds since 1970.

    Raises:
        UsageError: that is over.
        ValidationError: it is neither a moment nor a number of days.
    """
    import time

    from isomem.contract.moments import check_timestamp

    now = time.time()
    days = text.removesuffix(DAYS)
    if days != text and days.isascii() and days.isdigit():
        end = now + 86_400 * int(days)
    else:
        end = check_timestamp(text).timestamp()
    if end <= now:
        raise UsageError(f"--expires {text} is over already.")
    return end


@contextmanager
def _keys(options: Namespace, *, must_exist: bool = False) -> Iterator[Keys]:
    """The keys of the service, with what changes them noted in its audit log.

    Args:
        must_exist: a mistyped path must fail.

    Raises:
        MemoryNotFoundError: there is no such file.
    """
    from isomem.serve.keys import Keys
    from isomem.serve.trail import Trail, audit_path

    settings, path = _settings(options)
    if must_exist and not os.path.isfile(path):
        raise MemoryNotFoundError(
            f"There is no file of keys {path} yet.",
            suggestion="`isomem serve` and `isomem keys create` make it.",
        )
    trail = Trail(audit_path(settings, path))
    keys = Keys(path, trail.key_changed)
    try:
        yield keys
    finally:
        keys.close()
        trail.close()


def _settings(options: Namespace) -> tuple[Settings, str]:
    """The options of the service, and its file of keys.

    Raises:
        UsageError: it has none.
    """
    settings, path, _ = _configured(options)
    if path == ":memory:":
        raise UsageError("The keys are in one process alone, not in a file.", "Name a --path.")
    return settings, path


def service_of(options: Namespace) -> tuple[Settings, str] | None:
    """The options of the service of this memory, and its file of keys; None if there is none yet.

    A file of keys that is there may be that of a service of another memory in the same folder.

    Raises:
        ConfigurationError: as `read_config`.
        DatabaseError: the file of keys cannot be opened.
    """
    from isomem.serve.configuration import Changes
    from isomem.serve.settings import memory_name

    settings, path, config = _configured(options)
    if not os.path.isfile(path):
        return None
    changes = Changes(path)
    try:
        return (settings, path) if changes.is_for(memory_name(config)) else None
    finally:
        changes.close()


def _configured(options: Namespace) -> tuple[Settings, str, MemoryConfig]:
    from isomem.config import from_dict
    from isomem.serve.settings import Settings, state_path

    config = read_service(options)
    settings, read = Settings(config[SERVICE]), from_dict(config)
    return settings, state_path(settings, read), read


# --- Views -----------------------------------------------------------------------------------


def _made(key: Json, screen: Screen) -> Iterator[str]:
    yield f"{screen.bold(key['key'])}"
    yield screen.dim("It is not shown again.")
    yield from _described(key, screen)


def _listed(found: list[Json], screen: Screen) -> Iterator[str]:
    if not found:
        yield "No keys."
    for key in found:
        yield from _described(key, screen)


def _revoked(key: Json, screen: Screen) -> Iterator[str]:
    del screen
    yield f"The key {key['id']} ({printable(key['name'])}) has ended."


def _described(key: Json, screen: Screen) -> Iterator[str]:
    ended = "  revoked" if key["revoked_at"] else ""
    rate = f"  {key['rate_per_minute']} per minute" if key["rate_per_minute"] else ""
    yield f"{screen.bold(key['id'])}  {printable(key['name'])}{screen.bad(ended)}"
    yield f"  {', '.join(key['rights'])}  of {_whose(key['grants'])}{rate}"
    times = {name: key[f"{name}_at"] for name in ("created", "expires", "last_used", "revoked")}
    said = [f"{name.replace('_', ' ')} {_minute(at)}" for name, at in times.items() if at]
    yield f"  {screen.dim(', '.join(said))}"


def _whose(grants: list[dict[str, str]]) -> str:
    named = [
        " and ".join(f"{key[:-3]} {printable(value)}" for key, value in grant.items())
        for grant in grants
    ]
    return "everybody" if not all(named) else "; ".join(named)


def _minute(moment: float) -> str:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
