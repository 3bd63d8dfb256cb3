"""Small things that single modules of mem0 have: constants, points of a store, a mock embedder."""

from __future__ import annotations

from isomem.clock import Clock
from isomem.compat.bases import EmbeddingBase
from isomem.compat.records import Record
from isomem.errors import DependencyError
from isomem.store.database import Database
from isomem.store.ledger import Ledger
from isomem.store.schema import prepare_ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

ENTITY_PARAMS = frozenset({"user_id", "agent_id", "run_id"})
"""What names a scope."""

SCOPE = "https://cognitiveservices.azure.com/.default"
"""What a token for Azure's models is asked for."""

EXCLUDED_KEYS = {"user_id", "agent_id", "run_id", "hash", "data", "created_at", "updated_at"}
"""The fields of a payload that some stores have columns for."""

PROVIDERS = [
    "ai21", "amazon", "anthropic", "cohere", "meta", "mistral", "stability", "writer", "deepseek",
    "gpt-oss", "perplexity", "snowflake", "titan", "command", "j2", "llama", "minimax",
]  # fmt: skip
"""The makers of models on Bedrock."""


def extract_provider(model: str) -> str:
    """The maker of a model on Bedrock.

    Raises:
        ValueError: it is not one of `PROVIDERS`.
    """
    import re

    for provider in PROVIDERS:
        if re.search(rf"\b{re.escape(provider)}\b", model):
            return provider
    raise ValueError(f"Unknown provider in model: {model}")


class OutputData(Record):
    """A point of a vector store."""

    id: str | None
    score: float | None
    payload: dict[str, Any] | None


class ScoredResult(Record):
    """The same, of stores that may leave any of it out."""

    id: str | None = None
    score: float | None = None
    payload: dict[str, Any] | None = None


class MemoryResult:
    """A point of a vector store, by position.

    Args:
        id: of the point.
        payload: of the point.
        score: how near it is, or None.
    """

    def __init__(self, id: str, payload: dict[str, Any], score: float | None = None) -> None:  # noqa: A002 - as in mem0
        self.id = id
        self.payload = payload
        self.score = score


class MockEmbeddings(EmbeddingBase):
    """The same vector of ten numbers for every text."""

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """0.1, 0.2 and so on to 1.0."""
        del text, memory_action
        return [step / 10 for step in range(1, 11)]


class SQLiteManager(Ledger):
    """History and messages in a separate file, or in ":memory:"."""

    def __init__(self, db_path: str = ":memory:") -> None:
        super().__init__(Database(db_path, prepare_ledger), Clock())

    @property
    def connection(self) -> Connection | None:
        """What runs SQL in the file, as a connection of sqlite3; None if it is closed."""
        return Connection(self.database) if self.database.closed is None else None


class Connection:
    """Runs SQL, one transaction for each statement. A connection and a cursor in one.

    Args:
        file: where.
    """

    def __init__(self, file: Database) -> None:
        self._file = file
        self._rows: list[Any] = []

    def execute(self, sql: str, parameters: Any = ()) -> Connection:
        """Runs a statement. Its rows can be fetched from what is returned.

        Raises:
            DatabaseError: it is not SQL, or the file cannot be read or written.
        """
        import apsw

        made = Connection(self._file)
        reads = sql.lstrip()[:6].upper() in ("SELECT", "PRAGMA")
        try:
            with self._file.reading() if reads else self._file.writing():
                made._rows = [*self._file.connection.execute(sql, parameters)]
        except apsw.Error as error:
            raise self._file.explain(error) from error
        self._rows = made._rows
        return made

    def cursor(self) -> Connection:
        """Another one for the same file."""
        return Connection(self._file)

    def fetchall(self) -> list[Any]:
        """The rows that have not been fetched."""
        rows, self._rows = self._rows, []
        return rows

    def fetchone(self) -> Any:
        """The next row, or None."""
        return self._rows.pop(0) if self._rows else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def commit(self) -> None:
        """Nothing: every statement is committed."""

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def get_nlp_full() -> None:
    """None: isomem finds entities without spaCy."""


def get_nlp_lemma() -> None:
    """None: isomem lemmatizes without spaCy."""


class GCPAuthenticator:
    """mem0's access to Google Cloud; isomem's providers do that themselves."""

    @staticmethod
    def get_credentials(*_args: Any, **_kwargs: Any) -> NoReturn:
        """Raises DependencyError."""
        raise _elsewhere()

    setup_vertex_ai = get_genai_client = get_credentials


def _elsewhere() -> DependencyError:
    return DependencyError(
        "GCPAuthenticator is not part of isomem",
        suggestion='isomem.compat.upstream("mem0.utils.gcp_auth") has that of an installed mem0ai.',
    )
