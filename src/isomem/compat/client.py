"""`mem0.client`: classes that talk to a service which speaks the dialect of mem0's platform.

isomem's own service speaks it, and so does mem0's. Which one it is has to be named: by default
nothing is called.
"""

from __future__ import annotations

from isomem.compat.hosted import (
    PING,
    TIMEOUT_S,
    Ask,
    Hosted,
    blocking,
    given,
    in_path,
    later,
    made_of,
)
from isomem.compat.projects import AsyncProject, Project

TYPE_CHECKING = False
if TYPE_CHECKING:
    import httpx

    from isomem.compat.hosted import Steps
    from isomem.compat.records import Record

ENTITY_PARAMS = frozenset({"user_id", "agent_id", "app_id", "run_id"})
"""What names a scope in mem0's service."""

_FEEDBACK = ("POSITIVE", "NEGATIVE", "VERY_NEGATIVE")


def _with(options: Record | None, kwargs: dict[str, object]) -> dict[str, object]:
    """Arguments, and those of an object of options."""
    return {**(options.model_dump(exclude_unset=True) if options else {}), **kwargs}


def _refuse_ids(kwargs: dict[str, object], call: str) -> None:
    misplaced = ENTITY_PARAMS & set(kwargs.keys())
    if misplaced:
        raise ValueError(
            f"Top-level entity parameters {misplaced} are not supported in {call}(). "
            f"Use filters={{'user_id': '...'}} instead."
        )


def _project_path(client: Hosted, purpose: str) -> str:
    """The path of the project that the key belongs to.

    Raises:
        ValueError: the service did not name one.
    """
    if not (client.org_id and client.project_id):
        raise ValueError(
            f"org_id and project_id must be set to {purpose} instructions or categories"
        )
    return f"/api/v1/orgs/organizations/{client.org_id}/projects/{client.project_id}/"


def _warn(old: str, new: str) -> None:
    import logging

    logging.getLogger("mem0.client.main").warning("%s() is deprecated; use project.%s()", old, new)


class _Calls(Hosted):
    """What each call sends; its arguments, checks and result are mem0's."""

    # --- Memories ---

    def add(self, messages: object, options: Record | None = None, **kwargs: object) -> Steps:
        """Adds messages: a text, a message, or a list of messages."""
        kwargs = _with(options, kwargs)
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        elif isinstance(messages, dict):
            messages = [messages]
        elif not isinstance(messages, list):
            raise ValueError(
                f"messages must be str, dict, or list[dict], got {type(messages).__name__}"
            )
        payload = {"messages": messages, **given(kwargs)}
        return (yield Ask("post", "/v3/memories/add/", json=payload))

    def get(self, memory_id: str) -> Steps:
        """One memory."""
        return (yield Ask("get", f"/v1/memories/{in_path(memory_id)}/", params={}))

    def get_all(self, options: Record | None = None, **kwargs: object) -> Steps:
        """The memories that pass the filters, page by page."""
        _refuse_ids(kwargs, "get_all")
        body = given(_with(options, kwargs))
        if "page" in body and "page_size" in body:
            query = {name: body.pop(name) for name in ("page", "page_size")}
            return (yield Ask("post", "/v3/memories/", json=body, params=query))
        return (yield Ask("post", "/v3/memories/", json=body))

    def search(self, query: str, options: Record | None = None, **kwargs: object) -> Steps:
        """The memories that answer a query."""
        _refuse_ids(kwargs, "search")
        body = {"query": query, **given(_with(options, kwargs))}
        return (yield Ask("post", "/v3/memories/search/", json=body))

    def update(self, memory_id: str, options: Record | None = None, **kwargs: object) -> Steps:
        """Changes the text, the metadata or the time of a memory."""
        body = given(_with(options, kwargs))
        if not body:
            raise ValueError(
                "At least one of text, metadata, or timestamp must be provided for update."
            )
        return (yield Ask("put", f"/v1/memories/{in_path(memory_id)}/", json=body, params={}))

    def delete(self, memory_id: str, delete_linked: bool = False) -> Steps:
        """Removes a memory."""
        params = given({"delete_linked": delete_linked or None})
        return (yield Ask("delete", f"/v1/memories/{in_path(memory_id)}/", params=params))

    def delete_all(self, options: Record | None = None, **kwargs: object) -> Steps:
        """Removes the memories of a scope."""
        return (yield Ask("delete", "/v1/memories/", params=given(_with(options, kwargs))))

    def history(self, memory_id: str) -> Steps:
        """What happened to a memory."""
        return (yield Ask("get", f"/v1/memories/{in_path(memory_id)}/history/", params={}))

    def batch_update(self, memories: list[dict[str, object]]) -> Steps:
        """Changes several memories."""
        return (yield Ask("put", "/v1/batch/", json={"memories": memories}))

    def batch_delete(self, memories: list[dict[str, object]]) -> Steps:
        """Removes several memories."""
        return (yield Ask("delete", "/v1/batch/", json={"memories": memories}))

    def feedback(
        self,
        memory_id: str,
        feedback: str | None = None,
        feedback_reason: str | None = None,
    ) -> Steps:
        """Says whether a memory was useful."""
        feedback = feedback.upper() if feedback else None
        if feedback is not None and feedback not in _FEEDBACK:
            raise ValueError(f"feedback must be one of {', '.join(_FEEDBACK)} or None")
        body = {"memory_id": memory_id, "feedback": feedback, "feedback_reason": feedback_reason}
        return (yield Ask("post", "/v1/feedback/", json=body))

    # --- Whose memories there are ---

    def users(self) -> Steps:
        """The users, agents and runs that have memories."""
        return (yield Ask("get", "/v1/entities/", params={}))

    def delete_users(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        app_id: str | None = None,
        run_id: str | None = None,
    ) -> Steps:
        """Removes one of them with its memories, or all."""
        named = {"user": user_id, "agent": agent_id, "app": app_id, "run": run_id}
        doomed = [(kind, name) for kind, name in named.items() if name][:1]
        if not doomed:
            found = yield Ask("get", "/v1/entities/", params={})
            doomed = [(each["type"], each["name"]) for each in found["results"]]
        if not doomed:
            raise ValueError("No entities to delete")
        for kind, name in doomed:
            path = f"/v2/entities/{in_path(kind)}/{in_path(name)}/"
            yield Ask("delete", path, is_read=False, params={})
        if any(named.values()):
            return {"message": "Entity deleted successfully."}
        return {"message": "All users, agents, apps and runs deleted."}

    def reset(self) -> Steps:
        """Removes everything."""
        yield from _Calls.delete_users(self)
        return {"message": "Client reset successful. All users and memories deleted."}

    # --- Exports ---

    def create_memory_export(self, schema: str, **kwargs: object) -> Steps:
        """Begins an export."""
        return (yield Ask("post", "/v1/exports/", json={"schema": schema, **given(kwargs)}))

    def get_memory_export(self, **kwargs: object) -> Steps:
        """An export."""
        return (yield Ask("post", "/v1/exports/get/", json=given(kwargs)))

    def get_summary(self, filters: dict[str, object] | None = None) -> Steps:
        """The summary of an export."""
        return (yield Ask("post", "/v1/summary/", json=given({"filters": filters})))

    # --- The project ---

    def get_project(self, fields: list[str] | None = None) -> Steps:
        """The settings of the project."""
        _warn("get_project", "get")
        path = _project_path(self, "access")
        return (yield Ask("get", path, params=given({"fields": fields})))

    def update_project(
        self,
        options: Record | None = None,
        custom_instructions: str | None = None,
        custom_categories: list[str] | None = None,
        retrieval_criteria: list[dict[str, object]] | None = None,
        memory_depth: str | None = None,
        usecase_setting: str | None = None,
        multilingual: bool | None = None,
    ) -> Steps:
        """Changes the settings of the project."""
        _warn("update_project", "update")
        path = _project_path(self, "update")
        own = {
            "custom_instructions": custom_instructions,
            "custom_categories": custom_categories,
            "retrieval_criteria": retrieval_criteria,
            "memory_depth": memory_depth,
            "usecase_setting": usecase_setting,
            "multilingual": multilingual,
        }
        changes = _with(options, given(own))
        if not changes:
            raise ValueError(
                "Currently we only support updating custom_instructions or custom_categories or "
                "retrieval_criteria, so you must provide at least one of them"
            )
        return (yield Ask("patch", path, json=given(changes)))

    # --- Webhooks ---

    def get_webhooks(self, project_id: str) -> Steps:
        """The webhooks of a project."""
        return (yield Ask("get", f"api/v1/webhooks/projects/{in_path(project_id)}/"))

    def create_webhook(self, url: str, name: str, project_id: str, event_types: list[str]) -> Steps:
        """Adds a webhook."""
        body = {"url": url, "name": name, "event_types": event_types}
        return (yield Ask("post", f"api/v1/webhooks/projects/{in_path(project_id)}/", json=body))

    def update_webhook(
        self,
        webhook_id: int,
        name: str | None = None,
        url: str | None = None,
        event_types: list[str] | None = None,
    ) -> Steps:
        """Changes a webhook."""
        body = given({"name": name, "url": url, "event_types": event_types})
        return (yield Ask("put", f"api/v1/webhooks/{in_path(webhook_id)}/", json=body))

    def delete_webhook(self, webhook_id: int) -> Steps:
        """Removes a webhook."""
        return (yield Ask("delete", f"api/v1/webhooks/{in_path(webhook_id)}/"))


@made_of(_Calls, blocking, "client")
class MemoryClient(Hosted):
    """A memory that a service keeps, with mem0's calls.

    Args:
        api_key: for the service; by default `MEM0_API_KEY` in the environment.
        host: its address. There is no default.
        client: an `httpx.Client` to use; it gets the address and the headers.

    Raises:
        ConfigurationError: no host is named.
        ValueError: there is no key, or the service refuses it.
    """

    def __init__(
        self,
        api_key: str | None = None,
        host: str | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        import httpx

        super().__init__(api_key, host)
        self.client: httpx.Client = self._connected(httpx.Client, client)
        self.user_email = self._validate_api_key()
        self.project: Project = self._project(Project, self.client)

    def _validate_api_key(self) -> str | None:
        return self._asked(self.client.get, PING)

    def chat(self) -> None:
        """Raises NotImplementedError, as mem0's does."""
        raise NotImplementedError("Chat is not implemented yet")


@made_of(_Calls, later, "async_client")
class AsyncMemoryClient(Hosted):
    """`MemoryClient` for event loops. Making one waits for the service, as in mem0."""

    def __init__(
        self,
        api_key: str | None = None,
        host: str | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        import httpx

        super().__init__(api_key, host)
        self.async_client: httpx.AsyncClient = self._connected(httpx.AsyncClient, client)
        self.user_email = self._validate_api_key()
        self.project: AsyncProject = self._project(AsyncProject, self.async_client)

    def _validate_api_key(self) -> str | None:
        import httpx

        url = f"{self.host}{PING}"
        return self._asked(httpx.get, url, headers=self._headers(), timeout=TIMEOUT_S)

    async def chat(self) -> None:
        """Raises NotImplementedError, as mem0's does."""
        raise NotImplementedError("Chat is not implemented yet")

    async def __aenter__(self) -> AsyncMemoryClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.async_client.aclose()
