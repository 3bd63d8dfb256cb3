"""The configuration of a running service: shown without secrets, changed, and kept.

What an administrator changes is kept in the file of keys, and applied on top of the configuration
that the service is started with. The models, their options and the instructions can be changed;
where memories are stored cannot, since nobody may point a running service at another file.
"""

from __future__ import annotations

import json
import re
import threading
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from isomem.causes import message_of
from isomem.config import MCP, SERVICE
from isomem.errors import DatabaseError, InvalidConfigError
from isomem.serve.keys import open_file
from isomem.serve.problems import BAD_INPUT, CONFLICT, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.config import MemoryConfig

    Configuration = dict[str, Any]

HIDDEN = "[redacted]"
FIXED = ("vector_store", "history_db_path", "profile", "nlp")
"""What cannot be changed while the service runs: where memories are, and how they are indexed."""

_TABLE = "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
_NAME = "configuration"
_SERVED = "memory "
"""What the names of rows begin with that say whose service has the file: a memory's, each."""

_BEGIN = "UPDATE settings SET value = value WHERE name = ''"
"""Takes the lock to write, before something is read."""

_SECRET = re.compile(
    r"(^|_)(key|secret|token|password|passwd|credential|authorization|hash|dsn)s?($|_)|headers$"
    r"|connection_string",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(
    r"(?<=://)\S+(?=@)"
    r"|(?<=[?&])[^=&\s]*(?:key|token|sig|passw|pwd|secret|credential)[^=&\s]*=[^&\s]+",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(^|_)(url|uri|host|endpoint|address)$|proxies$", re.IGNORECASE)


class Changes:
    """What administrators have changed, in the file of keys, which several processes may use.

    Args:
        path: the file.

    Raises:
        DatabaseError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._connection = open_file(path)
        self._connection.execute(_TABLE)
        self._version: int | None = None
        self._text: str | None = None

    def read(self) -> Configuration:
        """All of them, as one configuration.

        Raises:
            DatabaseError: the file has something else.
        """
        with self._lock:
            version, text = self._connection.pragma("data_version"), self._stored()
            self._version, self._text = version, text
            return _parsed(text)

    def add(self, changed: Configuration) -> None:
        """Keeps some more, beside what other processes keep at the same time."""
        sql = "INSERT OR REPLACE INTO settings VALUES (?, ?)"
        with self._lock, self._connection:
            self._connection.execute(_BEGIN)
            before = self._stored()
            text = json.dumps(merged(_parsed(before), changed))
            self._connection.execute(sql, (_NAME, text))
            if before == self._text:  # Otherwise another process has changed something as well.
                self._text = text

    def note_memory(self, name: str) -> None:
        """Notes that a service of this memory has the file; see `settings.memory_name`."""
        with self._lock:
            sql = "INSERT OR IGNORE INTO settings VALUES (?, NULL)"
            self._connection.execute(sql, (f"{_SERVED}{name}",))

    def is_for(self, name: str) -> bool:
        """Whether a service of this memory has the file, or none has said whose it is."""
        sql = "SELECT name FROM settings WHERE substr(name, 1, ?) = ?"
        with self._lock:
            rows = self._connection.execute(sql, (len(_SERVED), _SERVED)).fetchall()
        return not rows or (f"{_SERVED}{name}",) in rows

    def discard(self) -> None:
        """Keeps none any more."""
        with self._lock:
            self._connection.execute("DELETE FROM settings WHERE name = ?", (_NAME,))

    def may_differ(self) -> bool:
        """Whether another process has changed something since they were last read.

        Most of what is written to the file is something else. It never waits: as long as another
        thread adds a change, they may differ.
        """
        if not self._lock.acquire(blocking=False):
            return True
        try:
            version = self._connection.pragma("data_version")
            if version == self._version or self._stored() == self._text:
                self._version = version
                return False
            return True
        finally:
            self._lock.release()

    def _stored(self) -> str | None:
        sql = "SELECT value FROM settings WHERE name = ?"
        rows: list[Any] = self._connection.execute(sql, (_NAME,)).fetchall()
        return rows[0][0] if rows else None

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()


def _parsed(text: str | None) -> Configuration:
    try:
        return {} if text is None else dict(json.loads(text))
    except ValueError as error:
        raise DatabaseError("the changed configuration cannot be read") from error


def merged(base: Mapping[str, Any], changed: Mapping[str, Any]) -> Configuration:
    """A configuration with the keys of another one; dicts in it are merged in the same way."""
    result = deepcopy(dict(base))
    for key, value in changed.items():
        own = result.get(key)
        if isinstance(own, dict) and isinstance(value, dict):
            result[key] = merged(own, value)
        else:
            result[key] = deepcopy(value)
    return result


def shown(value: Any, name: str = "") -> Any:
    """A configuration without secrets."""
    if _SECRET.search(name) and value and not isinstance(value, (bool, int, float)):
        return HIDDEN
    if isinstance(value, dict):
        return {str(key): shown(item, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item, name) for item in value]
    if isinstance(value, str):
        return _IN_ADDRESS.sub(HIDDEN, value)
    return value if isinstance(value, (bool, int, float, type(None))) else str(type(value).__name__)


def without_hidden(value: Configuration) -> Configuration:
    """What was changed, without what was sent back as it was shown: a hidden secret stays.

    Raises:
        Problem: 400, a text hides only a part of itself, and so cannot be what is meant.
    """
    kept = {
        key: without_hidden(item) if isinstance(item, dict) else item
        for key, item in value.items()
        if item != HIDDEN
    }
    for key, item in kept.items():
        if not isinstance(item, dict) and HIDDEN in str(item):
            raise Problem(
                BAD_INPUT, "CONFIG_011", f"{key!r} has a hidden part.",
                "Send the whole value, or leave it out to keep it.",
            )  # fmt: skip
    return kept


def without_secrets_for_others(own: Mapping[str, Any], changed: Configuration) -> Configuration:
    """What is changed; where it names another provider or address, no known secret goes there.

    Args:
        own: the configuration as it is.
    """
    result = dict(changed)
    for name, section in changed.items():
        known = own.get(name)
        if isinstance(section, dict) and isinstance(known, dict) and _leads_away(known, section):
            dropped = {"config": _secrets_of(known.get("config") or {})}
            given = {**section, "config": section.get("config") or {}}
            result[name] = merged(dropped, given)
    return result


def _secrets_of(known: Mapping[str, Any]) -> Configuration:
    """The secrets of a section, each as None, where they are in it."""
    secrets: Configuration = {key: None for key in known if _SECRET.search(key)}
    inside = {key: _secrets_of(item) for key, item in known.items() if isinstance(item, dict)}
    return {**{key: item for key, item in inside.items() if item}, **secrets}


def _leads_away(known: Mapping[str, Any], section: Mapping[str, Any]) -> bool:
    if section.get("provider", known.get("provider")) != known.get("provider"):
        return True
    return _names_another(known.get("config") or {}, section.get("config") or {})


def _names_another(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether an address in a section, however deep, is another one."""
    for key, item in new.items():
        if isinstance(item, dict):
            before = old.get(key)
            if _names_another(before if isinstance(before, dict) else {}, item):
                return True
        if _ADDRESS.search(key) and item != old.get(key):
            return True
    return False


def check_changeable(changed: Mapping[str, Any]) -> None:
    """Raises Problem, 409, if an option of the service itself is among the changes."""
    for name in (SERVICE, MCP):
        if name in changed:
            raise _fixed(name)


def check_fixed(old: MemoryConfig, new: MemoryConfig) -> None:
    """Raises Problem, 409, if the new configuration has its memories somewhere else."""
    for name in FIXED:
        if _plain(getattr(old, name)) != _plain(getattr(new, name)):
            raise _fixed(name)


def _fixed(name: str) -> Problem:
    return Problem(
        CONFLICT, "CONFIG_010", f"{name!r} cannot be changed while the service runs.",
        "Change it in the configuration that the service is started with.",
    )  # fmt: skip


def other_embedder(error: InvalidConfigError) -> Problem:
    """The problem of an embedder that the vectors in the store are not of."""
    return Problem(
        CONFLICT, error.error_code, message_of(error),
        "Stop the service, name the embedder in its configuration, run `isomem reembed`, which "
        "makes all vectors anew, and start it again.",
    )  # fmt: skip


def _plain(part: Any) -> Any:
    return (part.provider, part.config.model_dump()) if hasattr(part, "provider") else part
