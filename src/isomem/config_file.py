"""Configuration files: the dict of `Memory.from_config`, as JSON or TOML."""

from __future__ import annotations

import sys

from isomem.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Config = dict[str, Any]


def read_file(path: str) -> Config:
    """The configuration in a file: TOML if its name ends in `.toml`, in any case, else JSON.

    Raises:
        ConfigurationError: CONFIG_005, it cannot be read, or it holds something else.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigurationError(
            f"The configuration {path} cannot be read: {error.strerror}",
            error_code="CONFIG_005",
            suggestion="Check the path: --config, ISOMEM_CONFIG, or what from_file was given.",
        ) from None
    is_toml = path.lower().endswith(".toml")
    config = _parse_toml(path, data) if is_toml else _parse_json(path, data)
    if not isinstance(config, dict):
        raise _bad_file(path, "its top level is not an object")
    return config


def _parse_json(path: str, data: bytes) -> object:
    import json

    try:
        value: object = json.loads(data)
        return value
    except (ValueError, RecursionError) as error:
        raise _bad_file(path, f"it is not JSON: {error}") from None


if sys.version_info >= (3, 11):

    def _parse_toml(path: str, data: bytes) -> object:
        import tomllib

        try:
            return tomllib.loads(data.decode())
        except ValueError as error:
            raise _bad_file(path, f"it is not TOML: {error}") from None

else:

    def _parse_toml(path: str, data: bytes) -> object:
        del data
        raise _bad_file(path, "TOML needs Python 3.11 or newer; with this Python, use JSON")


def _bad_file(path: str, fault: str) -> ConfigurationError:
    return ConfigurationError(
        f"The configuration {path} cannot be used: {fault}",
        error_code="CONFIG_005",
        suggestion="docs/configuration.md shows what it looks like.",
    )
