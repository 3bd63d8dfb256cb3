"""A client of Chroma's without Chroma, for what can be tested of a store without it.

It does what the tests on a real Chroma show, notes every call, refuses what is too large for Chroma
Cloud, and fails when it is told to.
"""

from __future__ import annotations

from typing import Any


class NotFoundError(Exception):
    """As chromadb's class of that name."""


class InternalError(Exception):
    """As chromadb's class of that name."""


class InvalidArgumentError(Exception):
    """As chromadb's class of that name."""


class StandIn:
    """A client with its collections.

    Args:
        most: how many records one call may be about.

    Attributes:
        calls: method and size of every call.
        failures: what the next calls raise, one after another.
    """

    def __init__(self, most: int = 300) -> None:
        self.most = most
        self.collections: dict[str, Collection] = {}
        self.calls: list[tuple[str, int]] = []
        self.failures: list[Exception] = []
        self._server = type("Server", (), {"_session": object()})()  # As of a client of a server.

    def get_collection(self, name: str, embedding_function: object) -> Collection:
        assert embedding_function is None
        if name not in self.collections:
            raise NotFoundError(name)
        return self.collections[name]

    def get_or_create_collection(
        self, name: str, embedding_function: object, configuration: Any = None
    ) -> Collection:
        assert embedding_function is None
        made = Collection(self, name, (configuration or {}).get("hnsw", {}))
        return self.collections.setdefault(name, made)

    def delete_collection(self, name: str) -> None:
        if name not in self.collections:
            raise NotFoundError(name)
        del self.collections[name]

    def list_collections(self) -> list[Any]:
        return [*self.collections.values()]

    def noted(self, method: str, size: int) -> None:
        """Notes a call, or fails."""
        self.calls.append((method, size))
        if self.failures:
            raise self.failures.pop(0)
        if size > self.most:
            raise InvalidArgumentError(f"{size} records are too many")


class Collection:
    """Records by id, in the order of insertion."""

    def __init__(self, client: StandIn, name: str, hnsw: dict[str, Any]) -> None:
        self.name = name
        self.configuration_json = {"hnsw": {"space": "l2", **hnsw}}
        self._client = client
        self.rows: dict[str, tuple[list[float], dict[str, Any]]] = {}

    def get_model(self) -> dict[str, Any]:
        vectors = [vector for vector, _ in self.rows.values()]
        return {"dimension": len(vectors[0]) if vectors else None}

    def _check(self, method: str, size: int) -> None:
        self._client.noted(method, size)
        if self._client.collections.get(self.name) is not self:
            raise NotFoundError(self.name)

    def upsert(self, ids: list[str], embeddings: list[Any], metadatas: list[Any]) -> None:
        self._check("upsert", len(ids))
        for name, vector, metadata in zip(ids, embeddings, metadatas, strict=True):
            old = self.rows.get(name, ([], {}))[1]
            self.rows[name] = (vector, _over(old, metadata))

    def update(
        self, ids: list[str], embeddings: list[Any] | None = None, metadatas: Any = None
    ) -> None:
        self._check("update", len(ids))
        for number, name in enumerate(ids):
            if name in self.rows:
                vector, metadata = self.rows[name]
                vector = embeddings[number] if embeddings else vector
                self.rows[name] = vector, _over(metadata, metadatas[number] if metadatas else None)

    def delete(self, ids: list[str]) -> None:
        self._check("delete", len(ids))
        for name in ids:
            self.rows.pop(name, None)

    def get(
        self,
        include: list[str],
        ids: list[str] | None = None,
        where: dict[str, Any] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> dict[str, Any]:
        _check_depth(where)
        found = [
            (name, *row)
            for name, row in self.rows.items()
            if (ids is None or name in ids) and passes(where, row[1])
        ]
        found = found[offset:][:limit]
        self._check("get", len(found))
        assert set(include) <= {"metadatas", "embeddings"}
        names, vectors, metadatas = map(list, zip(*found, strict=True)) if found else ([], [], [])
        return {"ids": names, "embeddings": vectors, "metadatas": metadatas}

    def query(
        self, query_embeddings: list[Any], n_results: int, where: Any, include: list[str]
    ) -> dict[str, Any]:
        self._check("query", n_results)
        _check_depth(where)
        answers = []
        for asked in query_embeddings:
            rows = [
                (sum((a - b) ** 2 for a, b in zip(asked, vector, strict=True)), name, metadata)
                for name, (vector, metadata) in self.rows.items()
                if passes(where, metadata)
            ]
            answers.append(sorted(rows, key=lambda row: row[0])[:n_results])
        return {
            "ids": [[row[1] for row in rows] for rows in answers],
            "metadatas": [[row[2] for row in rows] for rows in answers],
            "distances": [[row[0] for row in rows] for rows in answers],
        }


def _over(old: dict[str, Any], new: dict[str, Any] | None) -> dict[str, Any]:
    whole = {**old, **(new or {})}
    return {key: value for key, value in whole.items() if value is not None}


def _check_depth(where: dict[str, Any] | None) -> None:
    """Chroma makes one expression of SQL of a filter, in which each `or` is one level deeper."""
    if _depth(where) > 990:
        raise InternalError("Expression tree is too large (maximum depth 1000)")


def _depth(where: dict[str, Any] | None) -> int:
    parts = (where or {}).get("$and") or (where or {}).get("$or")
    return len(parts) + max(map(_depth, parts)) if parts else 1


def passes(where: dict[str, Any] | None, metadata: dict[str, Any]) -> bool:
    """Whether Chroma finds a record: its rules for what it is asked here."""
    if where is None:
        return True
    [(key, asked)] = where.items()
    if key in {"$and", "$or"}:
        assert len(asked) > 1
        return (all if key == "$and" else any)(passes(each, metadata) for each in asked)
    [(operator, operand)] = asked.items()
    value = metadata.get(key)
    if operator == "$contains":
        return isinstance(value, list) and any(_equals(operand, each) for each in value)
    wanted = operand if operator == "$in" else [operand]
    assert len({*map(type, wanted)}) == 1
    return not isinstance(value, list) and any(_equals(each, value) for each in wanted)


def _equals(operand: Any, value: Any) -> bool:
    """Chroma compares whole and other numbers with each other, and nothing else."""
    kinds = (int, float) if type(operand) is int else (type(operand),)
    return type(value) in kinds and bool(value == operand)
