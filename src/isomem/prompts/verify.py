"""Compares the texts on disk, and those of an installed mem0ai, with the manifest."""

from __future__ import annotations

import os
from importlib.metadata import distributions
from typing import NamedTuple

from isomem.prompts import loader
from isomem.prompts.extract import extract
from isomem.prompts.manifest import UPSTREAM, Pin, sha256_hex

OK = "ok"
MISSING = "missing"
MISMATCH = "mismatch"


class PromptStatus(NamedTuple):
    """One pinned text, and what was found of it.

    Attributes:
        name: of the text.
        status: of our file: "ok", "missing" or "mismatch".
        length: pinned, in bytes.
        sha256: pinned, in hex.
        found_length: of our file, in bytes; None if it is missing.
        found_sha256: of our file, in hex; None if it is missing.
        installed: "ok" if an installed mem0ai has the text, "mismatch" if its module does not have
            it, "missing" if it has no such module; None if no mem0ai is installed.
        installed_version: of that mem0ai, or None.
    """

    name: str
    status: str
    length: int
    sha256: str
    found_length: int | None
    found_sha256: str | None
    installed: str | None
    installed_version: str | None

    @property
    def ok(self) -> bool:
        """Whether the text may be used. It does not depend on an installed mem0ai."""
        return self.status == OK


def verify(directory: str | None = None) -> list[PromptStatus]:
    """The status of every pinned text, in the manifest's order. A bad text does not raise.

    Args:
        directory: where the texts are; None means the package's own folder.
    """
    folder = loader.DIRECTORY if directory is None else directory
    version, sources = _installed_sources({pin.path for pin in UPSTREAM.texts})
    return [
        _status(
            pin,
            _read(os.path.join(folder, pin.name)),
            _installed_status(pin, sources) if version else None,
            version,
        )
        for pin in UPSTREAM.texts
    ]


def _status(
    pin: Pin, found: bytes | None, installed: str | None, version: str | None
) -> PromptStatus:
    return PromptStatus(
        pin.name,
        MISSING if found is None else OK if pin.matches(found) else MISMATCH,
        pin.length,
        pin.sha256,
        None if found is None else len(found),
        None if found is None else sha256_hex(found),
        installed,
        version,
    )


def _installed_status(pin: Pin, sources: dict[str, bytes]) -> str:
    source = sources.get(pin.path)
    if source is None:
        return MISSING
    try:
        return OK if extract(source, [pin]) else MISMATCH
    except (SyntaxError, ValueError):  # not Python, or has NUL bytes
        return MISMATCH


def _installed_sources(paths: set[str]) -> tuple[str | None, dict[str, bytes]]:
    """The version of the installed mem0ai, and those modules of `paths` that it has.

    Nothing is run. The distribution is asked, not the import system: `isomem.compat` may stand in
    for "mem0" there. Its own answer to who has mem0ai does not count.
    """
    installed = (each for each in distributions(name="mem0ai") if not hasattr(each, "stands_in"))
    package = next(installed, None)
    if package is None:
        return None, {}
    found = {path: _read(str(package.locate_file(path))) for path in paths}
    return package.version, {path: data for path, data in found.items() if data is not None}


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
