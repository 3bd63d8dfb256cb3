"""The store as it should be, in the plainest words: a dict of points, scored one by one."""

from __future__ import annotations

import math
from typing import Any

from isomem.store.codec import load_terms
from isomem.store.database import Database
from isomem.text.terms import TermEncoder

ENCODER = TermEncoder()


def cosine(one: list[float], other: list[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return math.fsum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


def in_scope(payload: dict[str, Any], scope: dict[str, Any]) -> bool:
    return all(payload.get(key) == value for key, value in scope.items())


def nearest(
    points: dict[str, tuple[list[float], dict[str, Any]]], query: list[float], scope: dict[str, Any]
) -> dict[str, float]:
    """The similarity of every point of a scope, by id."""
    return {
        name: cosine(vector, query)
        for name, (vector, payload) in points.items()
        if in_scope(payload, scope)
    }


def bm25(texts: dict[str, str | None], query: str, members: set[str]) -> dict[str, float]:
    """The keyword score of every member that has a term of the query; N and n are over all."""
    encoded = {name: ENCODER.encode(text) for name, text in texts.items() if text is not None}
    total = len(encoded)
    scores: dict[str, float] = {}
    for term, factor in ENCODER.encode(query).items():
        holders = [name for name, weights in encoded.items() if term in weights]
        frequency = math.log((total - len(holders) + 0.5) / (len(holders) + 0.5) + 1)
        for name in holders:
            if name in members:
                scores[name] = scores.get(name, 0.0) + factor * frequency * encoded[name][term]
    return scores


def counts(texts: dict[str, str | None]) -> tuple[int, dict[int, int]]:
    """How many texts there are, and how many have each term."""
    encoded = [ENCODER.encode(text) for text in texts.values() if text is not None]
    found: dict[int, int] = {}
    for weights in encoded:
        for term in weights:
            found[term] = found.get(term, 0) + 1
    return len(encoded), found


def stored_counts(database: Database, collection: str) -> tuple[int, dict[int, int]]:
    """What the file says about the same: what was counted, and the insertions that were not yet."""
    with database.reading():
        number, documents = database.rows(
            "SELECT number, documents FROM collections WHERE name = ?", (collection,)
        )[0]
        rows = database.rows(
            "SELECT number & 0xFFFFFFFF, documents FROM terms WHERE number >> 32 = ?",
            (number,),
        )
        arrived = database.rows(
            "SELECT p.terms FROM insertions i JOIN points p ON p.row_key = (i.scope << 36 | i.seq)"
            " WHERE p.collection = ? AND p.terms IS NOT NULL",
            (number,),
        )
    found: dict[int, int] = dict(rows)  # type: ignore[arg-type]
    for (terms,) in arrived:
        for term in set(load_terms(terms)):
            found[term] = found.get(term, 0) + 1
    return documents + len(arrived), found
