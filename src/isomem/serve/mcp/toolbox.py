"""The toolbox: what each tool does with a session, and what a model is told when it fails."""

from __future__ import annotations

import json

from isomem import log
from isomem.errors import (
    ConfigurationError,
    InvalidConfigError,
    MemoryNotFoundError,
    ValidationError,
)
from isomem.options import nearest
from isomem.serve.calls import CALLS, FILTERS, IDS
from isomem.serve.mcp.shown import event_shown, fitting, how_many_fit, memory_shown, most_that_fit
from isomem.serve.mcp.tools import PAGE, TOOLS
from isomem.serve.problems import (
    FAILED,
    FORBIDDEN,
    NOT_FOUND,
    TOO_SLOW,
    Problem,
    may_be_done,
    problem_of,
)
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from isomem.serve.calls import Call
    from isomem.serve.mcp.session import Session
    from isomem.serve.mcp.shown import Found, Shown
    from isomem.serve.mcp.tools import Tool

    Json = dict[str, Any]


class Outcome:
    """What a tool answers.

    Attributes:
        text: for a model to read.
        structured: the same as JSON, as the tool's output schema says; None if it failed.
    """

    __slots__ = ("structured", "text")

    def __init__(self, text: str, structured: Json | None) -> None:
        self.text = text
        self.structured = structured

    @property
    def is_error(self) -> bool:
        """Whether the call failed. The text says so if something may have changed all the same."""
        return self.structured is None


class Toolbox:
    """The tools of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._access = session.access
        self._settings = session.settings

    def listed(self) -> list[Tool]:
        """The tools that the session's key has the right to use."""
        return [tool for tool in TOOLS.values() if tool.call.right in self._access.key.rights]

    async def use(self, name: str, arguments: Mapping[str, object]) -> Outcome:
        """Uses a tool. Whatever goes wrong is said in the answer.

        Raises:
            KeyError: there is no such tool.
        """
        tool = TOOLS[name]
        try:
            self._check(tool, arguments)
            outcome: Outcome = await getattr(self, f"_{name}")(dict(arguments))
        except Exception as error:  # noqa: BLE001 - a model is told of every failure
            return self._failed(tool, error)
        return outcome

    # --- The tools ---

    async def _add_memory(self, given: Json) -> Outcome:
        text, messages = given.pop("text", None), given.pop("messages", None)
        if (text is None) == (messages is None):
            raise _invalid("Give either text or messages.")
        given.setdefault("infer", self._settings.infer)
        added = await self._call("add", {**given, "messages": messages if text is None else text})
        memories = [await self._changed(each) for each in added["results"]]
        head = "Remembered:" if memories else "There was nothing new in it worth remembering."
        return _listed(head, memories, {})

    async def _search_memories(self, given: Json) -> Outcome:
        found = [self._shown(each) for each in (await self._call("search", given))["results"]]
        kept = fitting(found, self._settings.max_tokens)
        left = len(found) - len(kept)
        head = f"{_counted(len(kept))}, best first:" if kept else "No memory answers this."
        if left:
            head = f"{head} ({self._left(left)} A more exact query, or a smaller top_k, may help.)"
        return _listed(head, kept, {"left_out": left})

    async def _get_memories(self, given: Json) -> Outcome:
        given["page_size"] = min(
            given.get("page_size", PAGE), most_that_fit(self._settings.max_tokens)
        )
        if "cursor" not in given:
            given.setdefault("order", "newest")
        page = await self._call("get_all", given)
        found = [self._shown(each) for each in page["results"]]
        fit = how_many_fit(found, self._settings.max_tokens)
        if fit < len(found):
            # Only a page that ends there has the cursor of what comes next.
            page = await self._call("get_all", {**given, "page_size": fit})
            found = [self._shown(each) for each in page["results"]]
        total, cursor = page["total"], page["next_cursor"]
        head = f"{len(found)} of {_counted(total)}:" if found else "There are no memories."
        if cursor:
            head = f"{head} (The next page has the cursor {cursor}.)"
        return _listed(head, found, {"total": total, "next_cursor": cursor})

    async def _get_memory(self, given: Json) -> Outcome:
        memory_id = given["memory_id"]
        found = await self._session.call("get", {"memory_id": memory_id})
        if found is None:
            raise _no_memory(memory_id)
        shown = self._shown(found)
        stored_with = shown.structured.get("metadata")
        more = f"\n  with {json.dumps(stored_with, ensure_ascii=False)}" if stored_with else ""
        return Outcome(shown.line + more, {"memory": shown.structured})

    async def _update_memory(self, given: Json) -> Outcome:
        await self._call("update", given)
        shown = await self._changed({"id": given["memory_id"], "memory": given["text"]})
        return Outcome(f"Updated:\n{shown.line}", {"memory": shown.structured})

    async def _delete_memory(self, given: Json) -> Outcome:
        done = await self._call("delete", given)
        return Outcome(done["message"], {**done, **given})

    async def _delete_all_memories(self, given: Json) -> Outcome:
        done = await self._call("delete_all", given)
        return Outcome(done["message"], dict(done))

    async def _memory_history(self, given: Json) -> Outcome:
        memory_id = given["memory_id"]
        rows = await self._call("history", given)
        if not rows:
            raise _no_memory(memory_id)
        events = [event_shown(each) for each in rows]
        # The last events say most: of a long history, they are shown.
        kept = fitting(events[::-1], self._settings.max_tokens)[::-1]
        left = len(events) - len(kept)
        head = f"The history of {memory_id}:" + (f" ({self._left(left)})" if left else "")
        structured = {"memory_id": memory_id, "left_out": left}
        return Outcome(
            _lines(head, kept), {**structured, "events": [each.structured for each in kept]}
        )

    # --- What they share ---

    async def _call(self, name: str, arguments: Json) -> Any:
        """Makes a call, in the session's scope unless the model named another and may do so.

        Raises:
            ValidationError: VALIDATION_008, nothing says whose memories are meant.
            Exception: as `Access.call`.
        """
        kept_by = CALLS[name].kept_by
        if kept_by not in (IDS, FILTERS):
            return await self._session.call(name, arguments)
        named = {key: arguments.pop(key) for key in SCOPE_KEYS if key in arguments}
        filters = arguments.get("filters") or {}
        ids = {**self._session.scope, **{key: filters[key] for key in SCOPE_KEYS if key in filters}}
        ids |= named
        if not ids and self._access.sees_everything:
            raise _invalid("Name whose memories are meant: a user_id, an agent_id or a run_id.")
        scoped = ids if kept_by == IDS else {"filters": {**filters, **ids}}
        return await self._session.call(name, {**arguments, **scoped})

    async def _changed(self, memory: Found) -> Shown:
        """A memory that has just been stored, as it is now if the key may read it.

        The call that stored it was successful, so nothing that fails here may say otherwise.
        """
        if "read" not in self._access.key.rights:
            return self._shown(memory)
        try:
            found = await self._session.call("get", {"memory_id": memory["id"]})
        except Exception as error:  # noqa: BLE001 - it is stored, whatever fails now
            log.warning("%s was stored, but cannot be shown: %r", memory["id"], error)
            found = None
        return self._shown(found or memory)

    def _shown(self, memory: Found) -> Shown:
        return memory_shown(memory, {} if self._settings.allow_scope else self._session.scope)

    def _left(self, count: int) -> str:
        return f"{count} more did not fit into {self._settings.max_tokens:,} tokens."

    def _check(self, tool: Tool, arguments: Mapping[str, object]) -> None:
        """Raises ValidationError unless the arguments are what the schema of the tool says."""
        schema = tool.schema(self._settings)
        for name in arguments:
            if name not in schema["properties"]:
                raise _invalid(*self._unknown(tool, name, schema["properties"]))
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        fault = best_match(Draft202012Validator(schema).iter_errors(arguments))
        if fault is not None:
            where = ".".join(map(str, fault.path))
            raise _invalid(f"{where}: {fault.message}" if where else fault.message)

    def _unknown(self, tool: Tool, name: str, known: Json) -> tuple[str, str]:
        """What is wrong with an argument that a tool does not have, and what to do."""
        fault = f"{tool.name} does not take {name!r}."
        if name in SCOPE_KEYS:
            whose = self._session.said_scope
            fixed = f"It always works with the memories of {whose}. " if whose else ""
            return fault, f"{fixed}Leave it out."
        meant = nearest(name, known)
        return fault, f"Did you mean {meant!r}?" if meant else f"It takes {', '.join(known)}."

    def _failed(self, tool: Tool, error: Exception) -> Outcome:
        problem = problem_of(error)
        if problem.status == FAILED:
            log.error("%s failed: %r", tool.name, error)
        said = [problem.detail, *_in_doubt(tool.call, error), self._advice(problem, error)]
        return Outcome(" ".join(_sentence(each) for each in said if each), None)

    def _advice(self, problem: Problem, error: Exception) -> str | None:
        """What a model, or the person who has set it up, can do about a failure."""
        if problem.status == NOT_FOUND:
            return "search_memories and get_memories show the ids of memories."
        if problem.status == FORBIDDEN and self._session.said_scope:
            return f"These tools reach the memories of {self._session.said_scope}."
        if problem.status == FAILED:
            return "The log of the memory server says what happened."
        if _lacks_model(error):
            return _NO_MODEL
        return problem.suggestion


_NO_MODEL = (
    "Nothing was stored. Call add_memory again with infer=false and one complete sentence as text, "
    "which is then stored as it is. To have facts extracted, whoever set up this server can name "
    "a model with ISOMEM_MODEL and ISOMEM_BASE_URL, or set OPENAI_API_KEY."
)

_LOOK_FIRST = "Look for it with search_memories before you add it again."


def _in_doubt(call: Call, error: Exception) -> list[str]:
    """What a model is told of a call that failed, and may have been carried out."""
    if not (call.doubt and may_be_done(error)):
        return []
    is_said = problem_of(error).status == TOO_SLOW
    said = [] if is_said else ["Whether it was carried out is not known.", call.doubt]
    return said if call.is_repeatable else [*said, _LOOK_FIRST]


def _lacks_model(error: BaseException | None) -> bool:
    """Whether no model is configured; a missing key has the same code, and says so itself."""
    while error is not None:
        if isinstance(error, ConfigurationError) and error.error_code == "CONFIG_004":
            return not isinstance(error, InvalidConfigError)
        error = error.__cause__
    return False


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _invalid(message: str, suggestion: str | None = None) -> ValidationError:
    return ValidationError(message, error_code="VALIDATION_008", suggestion=suggestion)


def _no_memory(memory_id: str) -> MemoryNotFoundError:
    return MemoryNotFoundError(
        f"Memory with id {memory_id} not found.", details={"memory_id": memory_id}
    )


def _listed(head: str, memories: list[Shown], more: Json) -> Outcome:
    structured = {"memories": [each.structured for each in memories], **more}
    return Outcome(_lines(head, memories), structured)


def _lines(head: str, items: list[Shown]) -> str:
    return "\n".join([head, *(each.line for each in items)])


def _counted(count: int) -> str:
    return f"{count:,} {'memory' if count == 1 else 'memories'}"
