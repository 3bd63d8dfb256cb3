"""Configuration files: the dict of `Memory.from_config`, as JSON, TOML or YAML."""

from __future__ import annotations

import sys

from isomem.errors import ConfigurationError, DependencyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Config = dict[str, Any]


def read_file(path: str) -> Config:
    """The configuration in a file.

    Args:
        path: names TOML if it ends in `.toml`, in any case, and YAML if it ends in `.yaml` or
            `.yml`; else JSON.

    Raises:
        ConfigurationError: CONFIG_005, it cannot be read, or it holds something else.
        DependencyError: it is YAML, and PyYAML is not installed.
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
    config = _parser_of(path.lower())(path, data)
    if not isinstance(config, dict):
        raise _bad_file(path, "its top level is not an object")
    return config


def _parser_of(name: str) -> Callable[[str, bytes], object]:
    if name.endswith(".toml"):
        return _parse_toml
    return _parse_yaml if name.endswith((".yaml", ".yml")) else _parse_json


def _parse_yaml(path: str, data: bytes) -> object:
    try:
        import yaml
    except ImportError:
        raise DependencyError(
            f"The configuration {path} is YAML, which needs PyYAML",
            details={"package": "pyyaml"},
            suggestion="pip install pyyaml, or write it as JSON",
        ) from None
    try:
        value: object = yaml.safe_load(data)
        return value
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _bad_file(path, f"it is not YAML: {error}") from None


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
