"""What the calls of a memory return, as types: dicts at run time, whose keys a checker knows.

    from isomem.results import Hit

    def lines(hits: list[Hit]) -> list[str]:
        return [hit["memory"] for hit in hits]

A key that only some results have is in a class with `total=False`: look it up with `get`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypedDict

__all__ = [
    "AddOptions", "AddResults", "AddedMemory", "Done", "GotMemory", "HistoryRow", "Hit",
    "MemoryItem", "MemoryList", "MemoryPage", "Scope", "ScopePage", "SearchResults",
    "Superseded",
]  # fmt: skip


class _Ids(TypedDict, total=False):
    user_id: str
    agent_id: str
    run_id: str


class _Speaker(TypedDict, total=False):
    actor_id: str | None
    role: str


class _Hidden(TypedDict, total=False):
    expiration_date: str | None
    superseded_by: str
    superseded_at: str


class _Attribution(TypedDict, total=False):
    attributed_to: str


class MemoryItem(_Ids, _Speaker, _Hidden, _Attribution):
    """A memory as `get_all` shows it.

    The ids, `actor_id`, `role`, `expiration_date`, `superseded_by` and `superseded_at` are there if
    the memory has them, and `attributed_to` is, too, in the profile "2.2.1". Times are in ISO 8601.
    """

    id: str
    memory: str
    hash: str | None
    metadata: dict[str, Any] | None
    created_at: str | None
    updated_at: str | None


class GotMemory(MemoryItem):
    """A memory as `get` shows it; its score is always None."""

    score: None


class _HitDetails(TypedDict, total=False):
    score_details: dict[str, float]
    rerank_score: float


class Hit(MemoryItem, _HitDetails):
    """A memory that `search` found.

    `score_details` is there with `explain=True`, and `rerank_score` if a reranker ordered it.
    """

    score: float


class SearchResults(TypedDict):
    """What `search` returns, best first."""

    results: list[Hit]


class MemoryList(TypedDict):
    """What `get_all` returns."""

    results: list[MemoryItem]


class MemoryPage(MemoryList):
    """What `get_all` returns with `page_size` or `cursor`.

    `next_cursor` is None on the last page. `total` is how many memories pass at that moment.
    """

    next_cursor: str | None
    total: int


class AddOptions(TypedDict, total=False):
    """The arguments of `add` besides the messages, which `remember` takes, too."""

    user_id: str | None
    agent_id: str | None
    run_id: str | None
    metadata: dict[str, Any] | None
    infer: bool
    memory_type: str | None
    prompt: str | None
    timestamp: datetime | date | float | str | None
    expiration_date: date | str | None
    supersede: str | None


class Superseded(TypedDict):
    """A memory that a new one has superseded; `why` is "contradicts" or "repeats"."""

    id: str
    memory: str
    why: str


class _Supersedes(TypedDict, total=False):
    supersedes: list[Superseded]


class AddedMemory(_Speaker, _Supersedes):
    """A new memory.

    `actor_id` and `role` are there if it was added as it was said, and `supersedes` if new facts
    may supersede others.
    """

    id: str
    memory: str
    event: str


class AddResults(TypedDict):
    """What `add` and `remember` return."""

    results: list[AddedMemory]


class Done(TypedDict):
    """What `update`, `restore`, `delete`, `delete_all` and `purge` return."""

    message: str


class HistoryRow(TypedDict):
    """An event in the history of a memory.

    It is "ADD", "UPDATE", "SUPERSEDE", "RESTORE" or "DELETE".
    """

    id: str
    memory_id: str
    old_memory: str | None
    new_memory: str | None
    event: str
    created_at: str | None
    updated_at: str | None
    is_deleted: bool
    actor_id: str | None
    role: str | None


class Scope(_Ids):
    """Whose memories there are, as `scopes` shows it, with the ids that they have.

    `first` and `last` are when the oldest and the newest of them were stored, in ISO 8601 in UTC.
    """

    memories: int
    first: str | None
    last: str | None


class ScopePage(TypedDict):
    """What the service's `scopes` returns with `page_size` or `cursor`.

    `next_cursor` is None on the last page; a page before it may have fewer than `page_size`.
    `total` is how many scopes have memories at that moment, also if none of them is shown.
    """

    results: list[Scope]
    next_cursor: str | None
    total: int
