"""Loads the pinned texts. Each is read on first use and checked against its digest."""

from __future__ import annotations

import os

from isomem.prompts.manifest import UPSTREAM, Pin

# Filled by the build; git-ignored. A plain path: pathlib is too expensive to import for one join.
DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pinned")

_checked: dict[str, str] = {}


def text(name: str) -> str:
    """The pinned text of that name.

    Raises:
        KeyError: no text of that name is pinned.
        PromptIntegrityError: its file is missing, or does not have the pinned text.
    """
    known = _checked.get(name)
    if known is None:
        known = _checked[name] = load(_pin(name), DIRECTORY)
    return known


def load(pin: Pin, directory: str) -> str:
    """The text of `pin` in `directory`, checked.

    Raises:
        PromptIntegrityError: as `text`.
    """
    path = os.path.join(directory, pin.name)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise _refusal(pin, path, f"cannot be read ({error.strerror})") from error
    if not pin.matches(data):
        raise _refusal(pin, path, "is not the pinned text")
    return data.decode("utf-8")


def _pin(name: str) -> Pin:
    for pin in UPSTREAM.texts:
        if pin.name == name:
            return pin
    raise KeyError(name)


def _refusal(pin: Pin, path: str, fault: str) -> Exception:
    from isomem.errors import PromptIntegrityError

    return PromptIntegrityError(
        f"Prompt {pin.name} {fault}: {path}. Nothing was sent to a model. The build writes this "
        f"file from {UPSTREAM.requirement}: reinstall isomem (in a checkout: pip install -e .).",
        details={"name": pin.name, "path": path, "bytes": pin.length, "sha256": pin.sha256},
    )
