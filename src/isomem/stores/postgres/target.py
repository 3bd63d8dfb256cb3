"""Which database is meant: options as what psycopg takes, and a name without a password."""

from __future__ import annotations

from contextlib import suppress

from psycopg import Error, sql
from psycopg.conninfo import conninfo_to_dict

from isomem.errors import InvalidConfigError
from isomem.pattern import Pattern
from isomem.providers.settings import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from psycopg import Connection

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

_HALF_READ = Pattern(r"postgres(ql)?://[^?]*[/@][^?]*@")
"""A URL with a `/` or `@` in the password: to libpq, the rest of the password is a name."""

_SERVER = (
    "SELECT pg_postmaster_start_time()::text || ' ' || coalesce("
    "(SELECT stats_reset::text FROM pg_stat_bgwriter), '')"
)
"""Statistics begin anew after a crash, though the process that starts the others may live on."""

_NOTICED = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""After how many seconds, and how many questions, a connection to a host that has fallen silent
counts as lost. The system would take hours."""
_ANSWERED_S = 30.0
"""The same for what was sent and not taken. The system would take a quarter of an hour."""


class Target:
    """One database.

    Args:
        options: of `vector_store.config`; a single option takes precedence over `dsn`.
        dsn_option: the name that `dsn` has there.

    Attributes:
        name: for people; it has no password.
        parameters: for `psycopg.connect`; `begin` has to follow.
        schema: where the tables are; empty where the server looks for them by itself.

    Raises:
        InvalidConfigError: `dsn` cannot be read. The error does not show it.
    """

    def __init__(self, options: Mapping[str, Any], dsn_option: str = "dsn") -> None:
        given = {_PLAIN[key]: options[key] for key in _PLAIN if options[key] is not None}
        parameters: dict[str, Any] = {**_read(options["dsn"], dsn_option), **given}
        self.schema: str = options["schema"]
        self.parameters = parameters
        self._secrets = [str(parameters[key]) for key in _SECRETS if parameters.get(key)]
        parameters.setdefault("connect_timeout", max(2, round(options["connect_timeout_s"])))
        parameters.setdefault("application_name", "isomem")
        parameters["client_encoding"] = (
            "UTF8"  # The environment and the database may say otherwise.
        )
        for parameter, value in _NOTICED.items():
            parameters.setdefault(parameter, value)
        if limit_s := options["statement_timeout_s"]:
            # A server that waits for a lock takes nothing, either, and ends that by itself.
            parameters.setdefault("tcp_user_timeout", round((limit_s + _ANSWERED_S) * 1000))
        self._settings = sql.SQL(
            "SET standard_conforming_strings = on; SET client_min_messages = warning;"
            " SET statement_timeout = {}; "
        ).format(round(options["statement_timeout_s"] * 1000))
        if self.schema:
            self._settings += sql.SQL("SET search_path = {}; ").format(sql.Identifier(self.schema))
        self._settings += sql.SQL(_SERVER)
        host, port = parameters.get("host") or "local", parameters.get("port") or 5432
        database = parameters.get("dbname") or parameters.get("user") or "postgres"
        self.name = f"postgresql://{host}:{port}/{database}"

    def __repr__(self) -> str:
        return f"Target({self.name!r})"

    def begin(self, connection: Connection[Any]) -> str:
        """Sets what all statements need, in one round trip; also what was set otherwise since.

        Poolers such as PgBouncer refuse it in the options with which a connection is made.

        Returns:
            When the server was started, and when it last came back from a crash, which may have
            cost it commits: another one, or what was restored, has another time.
        """
        cursor = connection.execute(self._settings, prepare=False)  # As one message.
        while cursor.nextset():
            pass
        (started,) = cursor.fetchall()
        return str(started[0])

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


def _read(dsn: str | None, option: str) -> dict[str, Any]:
    with suppress(Error):
        if not _HALF_READ.match(dsn or ""):
            return dict(conninfo_to_dict(dsn or ""))
    raise InvalidConfigError(
        f"vector_store.config: {option} cannot be read",
        error_code="CONFIG_003",
        details={"key": option},
        suggestion="Write it as postgresql://USER:PASSWORD@HOST:PORT/DBNAME, with reserved "
        "characters percent-encoded, or as libpq's `key=value` pairs.",
    )
