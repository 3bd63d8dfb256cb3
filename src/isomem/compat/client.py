"""`mem0.client` and `mem0.proxy`: classes that talk to a service, which isomem does not have yet.

They can be imported, named in types, subclassed and looked at. Making one raises an error that says
what to use instead.
"""

from __future__ import annotations

from abc import ABC

from isomem.compat.records import Record
from isomem.errors import InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

ENTITY_PARAMS = frozenset({"user_id", "agent_id", "app_id", "run_id"})
"""What names a scope in mem0's service."""


def _refusal(name: str) -> InvalidConfigError:
    return InvalidConfigError(
        f"{name} talks to a service, and isomem does not have one yet",
        error_code="CONFIG_001",
        details={"class": name},
        suggestion="Use Memory or AsyncMemory: they keep memories in a file.",
    )


def _refuses(name: str) -> Callable[..., NoReturn]:
    """A method that raises: a subclass with a constructor of its own can call it."""

    def refused(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise _refusal(type(self).__name__)

    refused.__name__ = name
    refused.__doc__ = "Raises ConfigurationError."
    return refused


def _refuses_later(name: str) -> Callable[..., Any]:
    async def refused(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise _refusal(type(self).__name__)

    refused.__name__ = name
    refused.__doc__ = "Raises ConfigurationError."
    return refused


def _class(name: str, methods: str, base: type = object, later: bool = False) -> type:
    """A class of these methods, none of which can work."""
    make = _refuses_later if later else _refuses
    own = {method: make(method) for method in methods.split()}
    doc = f"mem0's {name}. Making one raises ConfigurationError, since there is no service yet."
    return type(base)(
        name,
        (base,),
        {**own, "__init__": _refuses("__init__"), "__module__": __name__, "__doc__": doc},
    )


_CLIENT = (
    "add get get_all search update delete delete_all history users delete_users reset batch_update "
    "batch_delete create_memory_export get_memory_export get_summary get_project update_project "
    "chat get_webhooks create_webhook update_webhook delete_webhook feedback"
)
_PROJECT = "get create update delete get_members add_member update_member remove_member"

MemoryClient = _class("MemoryClient", _CLIENT)
AsyncMemoryClient = _class("AsyncMemoryClient", f"{_CLIENT} __aenter__ __aexit__", later=True)
BaseProject = _class("BaseProject", _PROJECT, ABC)
Project = _class("Project", _PROJECT, BaseProject)
AsyncProject = _class("AsyncProject", _PROJECT, BaseProject, later=True)
Mem0 = _class("Mem0", "")
Chat = _class("Chat", "")
Completions = _class("Completions", "create")


# --- The options of its calls ----------------------------------------------------------------


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


class ProjectConfig(Record):
    """Which project of the service."""

    extra = "forbid"
    org_id: str | None = None
    project_id: str | None = None
    user_email: str | None = None
