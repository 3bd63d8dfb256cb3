"""What mem0 thinks of the options of a provider, without making it."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from isomem.errors import InvalidConfigError
from isomem.providers.bridge import making
from isomem.providers.bridge.failures import Failures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class Seen(NamedTuple):
    """What there is to say about the options of a provider.

    Attributes:
        known: the options that it has.
        unknown: those of the given ones that it does not have.
        refuses_unknown: whether mem0 refuses these, or passes over them.
        faults: what is wrong, by option; under "" what is wrong with several.
    """

    known: Sequence[str]
    unknown: Sequence[str]
    refuses_unknown: bool
    faults: Mapping[str, str]


def look(section: str, provider: str, options: Mapping[str, object]) -> Seen:
    """Reads the options as mem0 does, and imports the class.

    Raises:
        DependencyError: mem0ai, or a package that the class needs, is not installed.
    """
    failures = Failures(section, provider, options)
    return making.made(failures, lambda mem0: _looked(mem0, failures, options))


def _looked(mem0: Any, failures: Failures, options: Mapping[str, object]) -> Seen:
    path, config = making.classes(mem0, failures)
    known = making.names_of(config)
    unknown = [name for name in options if name not in known]
    kept = {name: value for name, value in options.items() if name in known}
    faults: dict[str, str] = {}
    try:
        making.read_options(failures, config, kept)
    except InvalidConfigError as error:
        faults = error.details.get("faults") or {"": error.message}
    import_module(path.rpartition(".")[0])
    return Seen(known, unknown, making.refuses_unknown(config), faults)
