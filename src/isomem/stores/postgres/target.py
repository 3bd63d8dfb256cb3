"""Which database is meant: options as what psycopg takes, and a name without a password."""

from __future__ import annotations

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict

from isomem.errors import InvalidConfigError
from isomem.providers.settings import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PLAIN = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "dbname",
    "sslmode": "sslmode",
}
"""Our options that libpq has under the same meaning."""

_SECRETS = ("password", "sslpassword", "oauth_client_secret")
"""The parameters of libpq that nobody may see."""


class Target:
    """One database.

    Args:
        options: of `vector_store.config`; a single option takes precedence over `dsn`.

    Attributes:
        name: for people; it has no password.
        parameters: for `psycopg.connect`.
        schema: where the tables are; empty where the server looks for them by itself.

    Raises:
        InvalidConfigError: `dsn` cannot be read. The error does not show it.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = {_PLAIN[key]: options[key] for key in _PLAIN if options[key] is not None}
        parameters: dict[str, Any] = {**_read(options["dsn"]), **given}
        self.schema: str = options["schema"]
        self.parameters = parameters
        self._secrets = [str(parameters[key]) for key in _SECRETS if parameters.get(key)]
        parameters.setdefault("connect_timeout", max(2, round(options["connect_timeout_s"])))
        parameters.setdefault("application_name", "isomem")
        parameters["options"] = " ".join(
            [
                str(parameters.get("options") or ""),
                f"-c search_path={_quoted(self.schema)}" if self.schema else "",
                f"-c statement_timeout={round(options['statement_timeout_s'] * 1000)}",
                "-c client_min_messages=warning",
            ]
        ).strip()
        host, port = parameters.get("host") or "local", parameters.get("port") or 5432
        database = parameters.get("dbname") or parameters.get("user") or "postgres"
        self.name = f"postgresql://{host}:{port}/{database}"

    def __repr__(self) -> str:
        return f"Target({self.name!r})"

    def without_secret(self, text: str) -> str:
        """A text of libpq's, without passwords."""
        return redact(text, self._secrets)


def check_pool(options: Mapping[str, Any], least: str, most: str) -> None:
    """Raises InvalidConfigError if a pool would have to keep more connections than it may open.

    Args:
        options: of `vector_store.config`.
        least, most: the names of the options for the two numbers.
    """
    if options[least] > options[most]:
        raise InvalidConfigError(
            f"vector_store.config: {least} is {options[least]}, and {most} is {options[most]}",
            error_code="CONFIG_003",
            details={"key": least},
            suggestion=f"Make {least} at most {most}.",
        )


def _read(dsn: str | None) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(dsn or ""))
    except Error:
        pass
    raise InvalidConfigError(
        "vector_store.config: dsn cannot be read",
        error_code="CONFIG_003",
        details={"key": "dsn"},
        suggestion="Write it as postgresql://USER:PASSWORD@HOST:PORT/DBNAME, with reserved "
        "characters percent-encoded, or as libpq's `key=value` pairs.",
    )


def _quoted(schema: str) -> str:
    """A schema as a value in libpq's `options`, where white space and backslashes are escaped."""
    name = '"' + schema.replace('"', '""') + '"'
    return "".join(f"\\{each}" if each == "\\" or each.isspace() else each for each in name)
