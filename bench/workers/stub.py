"""A bare vector store in this process, for mem0: what mem0 costs when its store costs little.

A dict of points. A search looks at every payload: filter, cosine by plain Python, best first. A
keyword search does the same with BM25 over the words of `text_lemmatized`. Nothing is copied.
"""

from __future__ import annotations

from heapq import nlargest
from math import hypot, log
from operator import itemgetter, mul
from typing import Any

K1 = 1.2
B = 0.75


class Point:
    __slots__ = ("id", "length", "payload", "score", "vector")

    def __init__(self, point_id: str, vector: Any, payload: dict[str, Any]) -> None:
        self.id = point_id
        self.payload = payload
        self.score = 0.0
        self.move(vector)

    def move(self, vector: Any) -> None:
        self.vector = vector
        self.length = hypot(*vector) or 1.0


class StubStore:
    """The methods of a vector store that mem0 calls."""

    def __init__(self) -> None:
        self._points: dict[str, Point] = {}

    def insert(self, vectors: Any, payloads: Any, ids: Any) -> None:
        for point_id, vector, payload in zip(ids, vectors, payloads, strict=True):
            self._points[point_id] = Point(point_id, vector, payload)

    def search(self, query: str, vectors: Any, top_k: int = 5, filters: Any = None) -> list[Point]:
        del query
        length = hypot(*vectors) or 1.0
        found = self._matching(filters)
        scored = [
            (sum(map(mul, point.vector, vectors)) / (point.length * length), point)
            for point in found
        ]
        return _best(scored, top_k)

    def search_batch(
        self, queries: Any, vectors_list: Any, top_k: int = 1, filters: Any = None
    ) -> list[list[Point]]:
        pairs = zip(queries, vectors_list, strict=True)
        return [self.search(query, vector, top_k, filters) for query, vector in pairs]

    def keyword_search(self, query: str, top_k: int = 5, filters: Any = None) -> list[Point]:
        found = self._matching(filters)
        texts = [point.payload["text_lemmatized"].split() for point in found]
        usual = sum(map(len, texts)) / (len(texts) or 1)
        scores = [0.0] * len(texts)
        for term in set(query.split()):
            counts = [text.count(term) for text in texts]
            holders = sum(map(bool, counts))
            weight = log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
            for at, count in enumerate(counts):
                if count:
                    norm = K1 * (1 - B + B * len(texts[at]) / usual)
                    scores[at] += weight * count * (K1 + 1) / (count + norm)
        return _best([pair for pair in zip(scores, found, strict=True) if pair[0] > 0], top_k)

    def get(self, vector_id: str) -> Point | None:
        return self._points.get(vector_id)

    def list(self, filters: Any = None, top_k: int | None = 100) -> Any:
        return [self._matching(filters)[:top_k]]

    def update(self, vector_id: str, vector: Any = None, payload: Any = None) -> None:
        point = self._points[vector_id]
        if vector is not None:
            point.move(vector)
        if payload is not None:
            point.payload = payload

    def delete(self, vector_id: str) -> None:
        self._points.pop(vector_id, None)

    def reset(self) -> None:
        self._points.clear()

    def _matching(self, filters: Any) -> Any:
        wanted = list((filters or {}).items())
        return [
            point
            for point in self._points.values()
            if all(point.payload.get(key) == value for key, value in wanted)
        ]


def _best(scored: Any, top_k: int) -> list[Point]:
    best = nlargest(top_k, scored, key=itemgetter(0))
    for score, point in best:
        point.score = score
    return [point for _, point in best]
