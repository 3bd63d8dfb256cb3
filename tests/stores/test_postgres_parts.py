"""Parts of the store set `postgres` that need no server: addresses, texts, and what errors mean."""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

psycopg = pytest.importorskip("psycopg")
psycopg_pool = pytest.importorskip("psycopg_pool")

from isomem.config import MemoryConfig, store_table  # noqa: E402
from isomem.errors import DatabaseError, InvalidConfigError  # noqa: E402
from isomem.options import defaults_of  # noqa: E402
from isomem.stores.postgres.connections import Connections  # noqa: E402
from isomem.stores.postgres.escaped import (  # noqa: E402
    escaped,
    is_storable_id,
    restored,
    restored_all,
)
from isomem.stores.postgres.meanings import UnfinishedError, is_lost, meaning  # noqa: E402
from isomem.stores.postgres.target import Target  # noqa: E402

SECRET = "p4ss/w0rd@!"
DSN = "postgresql://ana:p4ss%2Fw0rd%40!@db.example.com:6543/memories?sslmode=require"


def target(**options: Any) -> Target:
    return Target({**defaults_of(store_table("postgres")), **options})


# --- Addresses -------------------------------------------------------------------------------


def test_a_dsn_is_read() -> None:
    made = target(dsn=DSN).parameters
    assert made["host"] == "db.example.com"
    assert (made["port"], made["dbname"], made["user"]) == ("6543", "memories", "ana")
    assert (made["password"], made["sslmode"]) == (SECRET, "require")


@pytest.mark.parametrize(
    "dsn", ["host=h port=6543 dbname=d user=u", "postgresql://u@h:6543/d", "postgres://u@h:6543/d"]
)
def test_both_forms_of_a_dsn_mean_the_same(dsn: str) -> None:
    made = target(dsn=dsn)
    assert made.name == "postgresql://h:6543/d"
    assert made.parameters["user"] == "u"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("host", "other"), ("port", 1234), ("user", "bob"), ("password", "x"), ("dbname", "d2"),
        ("sslmode", "disable"),
    ],
)  # fmt: skip
def test_a_single_option_takes_precedence(option: str, value: object) -> None:
    made = target(dsn=DSN, **{option: value}).parameters
    assert made[option] == value
    assert {"host", "port", "user", "password", "dbname", "sslmode"} <= set(made)


def test_without_anything_it_is_the_local_server() -> None:
    assert target().name == "postgresql://local:5432/postgres"


def test_nothing_that_is_shown_has_the_password() -> None:
    for made in (target(dsn=DSN), target(host="h", password=SECRET)):
        shown = (repr(made), str(made), made.name)
        assert not [text for text in shown if SECRET in text or "p4ss" in text]
        said = f'connection to "h" failed: password={SECRET} is wrong for {SECRET}'
        assert SECRET not in made.without_secret(said)


@pytest.mark.parametrize("key", ["password", "sslpassword"])
@pytest.mark.parametrize("spelled", [SECRET, "p4ss%2Fw0rd%40%21", SECRET.upper()])
def test_no_spelling_of_a_password_is_shown(key: str, spelled: str) -> None:
    made = target(dsn=f"host=h {key}={SECRET}")
    assert made.without_secret(f"error: {spelled} is wrong") == "error: *** is wrong"


def test_a_password_of_one_letter_leaves_the_text_readable() -> None:
    assert target(password="a").without_secret("a database") == "a database"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:a%2Fb%40c@db/app", "postgresql:///app?host=/tmp&user=a@b",
        "password='postgres://x/y@z' host=db", "postgresql://me@%2Ftmp/app",
    ],
)  # fmt: skip
def test_a_dsn_with_such_characters_in_their_places_is_read(dsn: str) -> None:
    assert target(dsn=dsn).parameters


def test_the_configuration_does_not_show_the_password() -> None:
    section = {"provider": "postgres", "config": {"dsn": DSN, "password": SECRET}}
    assert "p4ss" not in repr(MemoryConfig(vector_store=section).vector_store)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://[::1", "host", f"secret={SECRET}", "=", "http://x",
        f"postgresql://me:hunter2/{SECRET}@db/app", f"postgres://me:hun@{SECRET}@db/app?a=b",
    ],
)  # fmt: skip
def test_a_dsn_that_cannot_be_read_is_not_shown(dsn: str) -> None:
    with pytest.raises(InvalidConfigError, match="dsn cannot be read") as refused:
        target(dsn=dsn)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(("seconds", "wait"), [(0.1, 2), (10.0, 10), (59.6, 60)])
def test_the_time_to_connect_is_what_libpq_takes(seconds: float, wait: int) -> None:
    """Whole seconds, at least two."""
    assert target(connect_timeout_s=seconds).parameters["connect_timeout"] == wait


def test_what_a_dsn_says_itself_stays() -> None:
    dsn = (
        "host=h connect_timeout=7 application_name=mine options='-c work_mem=8MB'"
        " keepalives_idle=9 tcp_user_timeout=0"
    )
    made = target(dsn=dsn).parameters
    assert (made["connect_timeout"], made["application_name"]) == ("7", "mine")
    assert (made["keepalives_idle"], made["tcp_user_timeout"]) == ("9", "0")
    assert made["options"] == "-c work_mem=8MB"


def test_nothing_is_sent_at_the_start_that_poolers_refuse() -> None:
    assert "options" not in target(dsn=DSN).parameters


def test_a_host_that_falls_silent_is_noticed() -> None:
    """Within a minute or two: libpq leaves it to the system, which takes two hours."""
    made = target(dsn=DSN).parameters
    idle, between, count, unanswered = (
        made[name]
        for name in (
            "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"
        )
    )  # fmt: skip
    assert idle + between * count <= 60
    assert unanswered <= 90_000


def test_a_server_that_waits_longer_than_that_for_a_lock_is_not_taken_for_silent() -> None:
    """While it does, it takes nothing of what is sent."""
    assert target(dsn=DSN, statement_timeout_s=300).parameters["tcp_user_timeout"] > 300_000
    assert "tcp_user_timeout" not in target(dsn=DSN, statement_timeout_s=0).parameters


# --- Texts -----------------------------------------------------------------------------------

TEXTS = st.text(st.sampled_from("a\0\ue000NE🗼") | st.characters(exclude_categories=["Cs"]))


@given(text=TEXTS)
def test_every_text_comes_back(text: str) -> None:
    assert restored(escaped(text)) == text
    assert "\0" not in escaped(text)


@given(texts=st.lists(TEXTS, min_size=2, max_size=2, unique=True))
def test_no_two_texts_are_stored_alike(texts: list[str]) -> None:
    assert escaped(texts[0]) != escaped(texts[1])


@given(text=st.text(st.characters(exclude_categories=["Cs", "Co", "Cc"])))
def test_ordinary_text_is_stored_as_it_is(text: str) -> None:
    assert escaped(text) is text
    assert restored(text) is text


def test_only_the_texts_of_a_row_are_restored() -> None:
    row = (1, None, b"\xee\x80\x80N", escaped("a\0b"), 0.5, True)
    assert restored_all(row) == (1, None, b"\xee\x80\x80N", "a\0b", 0.5, True)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("", True), ("é", True), ("\ue000", True), ("a\0", False), ("\ud800", False)],
)
def test_which_texts_can_be_ids(text: str, is_one: bool) -> None:
    assert is_storable_id(text) == is_one


# --- Connections -----------------------------------------------------------------------------


def test_a_pool_that_is_made_while_others_close_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Connections(target(), pool_min=0, pool_max=1, connect_timeout_s=1, retry_s=0)
    begun, goes_on = threading.Event(), threading.Event()
    faults: list[str] = []

    def wait(_: float) -> None:
        threads[1].join(10)
        raise psycopg_pool.PoolClosed

    pool = Mock(getconn=wait)

    def slow() -> Mock:
        begun.set()
        goes_on.wait(10)
        return pool

    def take() -> None:
        try:
            made.take()
        except DatabaseError as error:
            faults.append(error.message)

    monkeypatch.setattr(made, "_new_pool", slow)
    threads = [threading.Thread(target=take), threading.Thread(target=made.close)]
    threads[0].start()
    begun.wait(10)
    threads[1].start()
    threads[1].join(0.2)
    goes_on.set()
    for thread in threads:
        thread.join(10)
    pool.close.assert_called_once()
    with pytest.raises(DatabaseError, match="is closed"):
        made.take()
    assert faults == [f"{made.target.name} is closed"]


def test_a_connection_that_rests_while_others_close_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Connections(target(), pool_min=0, pool_max=1, connect_timeout_s=1, retry_s=0)
    resting: list[Any] = []

    def put(connection: Any) -> None:
        made.close()
        resting.append(connection)

    def take() -> Any:
        return resting.pop() if resting else None

    monkeypatch.setattr(made, "_pool", Mock())
    monkeypatch.setattr(made, "_resting", Mock(put=put, take=take))
    connection = Mock()
    made.rest(connection)
    connection.close.assert_called_once()


# --- What errors mean ------------------------------------------------------------------------

ERRORS = psycopg.errors
LOST = [
    ERRORS.ConnectionFailure, ERRORS.ConnectionException,
    ERRORS.AdminShutdown, ERRORS.CrashShutdown, ERRORS.CannotConnectNow, psycopg.OperationalError,
    psycopg.InterfaceError,
]  # fmt: skip
TOLD = {
    ERRORS.QueryCanceled: "statement_timeout_s", ERRORS.DiskFull: "space",
    ERRORS.TooManyConnections: "pool_max", ERRORS.ReadOnlySqlTransaction: "primary",
    ERRORS.InsufficientPrivilege: "CREATE", ERRORS.UndefinedTable: "tables",
    psycopg_pool.PoolTimeout: "server runs",
}  # fmt: skip


@pytest.mark.parametrize("kind", LOST, ids=lambda kind: kind.__name__)
def test_a_lost_connection_can_be_tried_again(kind: type[Exception]) -> None:
    error: Any = kind("server closed the connection unexpectedly")
    assert is_lost(error)
    before = meaning(error, target())
    during = meaning(error, target(), committing=True)
    assert isinstance(before, UnfinishedError)
    assert isinstance(during, UnfinishedError)
    assert (before.in_doubt, during.in_doubt) == (False, True)
    assert "nothing of this call was stored" in str(before)
    assert "as a whole or not at all" in str(during)


@pytest.mark.parametrize("kind", [ERRORS.DeadlockDetected, ERRORS.SerializationFailure])
def test_a_call_that_was_in_the_way_can_be_made_again(kind: type[Exception]) -> None:
    found = meaning(kind("x"), target())  # type: ignore[arg-type]
    assert isinstance(found, UnfinishedError)
    assert not found.in_doubt


@pytest.mark.parametrize(
    ("kind", "word"), TOLD.items(), ids=lambda each: getattr(each, "__name__", "")
)
def test_other_errors_say_what_to_do(kind: type[Exception], word: str) -> None:
    found = meaning(kind("x"), target(host="db"))  # type: ignore[arg-type]
    assert type(found) is DatabaseError
    assert word in str(found.suggestion)
    assert "postgresql://db:5432/postgres" in str(found)


@pytest.mark.parametrize(
    "kind",
    [ERRORS.UniqueViolation, ERRORS.NumericValueOutOfRange, ERRORS.SyntaxError],
)
def test_what_it_does_not_know_it_passes_on(kind: type[Exception]) -> None:
    error: Any = kind("duplicate key value")
    assert not is_lost(error)
    assert "duplicate key value" in str(meaning(error, target()))


@pytest.mark.parametrize("kind", [*LOST, *TOLD, ERRORS.UniqueViolation])
def test_no_error_has_the_password(kind: type[Exception]) -> None:
    found = meaning(kind(f'FATAL: user "ana" with {SECRET}'), target(dsn=DSN))  # type: ignore[arg-type]
    assert SECRET not in repr(found)
