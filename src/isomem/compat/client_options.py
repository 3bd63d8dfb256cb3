"""`mem0.client.types`: the options of the calls of `MemoryClient`."""

from __future__ import annotations

from isomem.compat.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class AddMemoryOptions(Record):
    """Options of `add`."""

    filters: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    infer: bool | None = None
    custom_categories: list[dict[str, Any]] | None = None
    custom_instructions: str | None = None
    timestamp: int | None = None
    structured_data_schema: dict[str, Any] | None = None


class SearchMemoryOptions(Record):
    """Options of `search`."""

    filters: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    top_k: int | None = None
    rerank: bool | None = None
    threshold: float | None = None
    fields: list[str] | None = None
    categories: list[str] | None = None


class GetAllMemoryOptions(Record):
    """Options of `get_all`."""

    filters: dict[str, Any] | None = None
    page: int | None = None
    page_size: int | None = None
    start_date: str | None = None
    end_date: str | None = None
    categories: list[str] | None = None


class DeleteAllMemoryOptions(Record):
    """Options of `delete_all`."""

    filters: dict[str, Any] | None = None


class UpdateMemoryOptions(Record):
    """Options of `update`."""

    text: str | None = None
    metadata: dict[str, Any] | None = None
    timestamp: Any = None


class ProjectUpdateOptions(Record):
    """Options of a project's `update`."""

    custom_instructions: str | None = None
    custom_categories: list[dict[str, Any]] | None = None
    memory_depth: str | None = None
    usecase_setting: Any = None
    multilingual: bool | None = None
    retrieval_criteria: list[Any] | None = None
