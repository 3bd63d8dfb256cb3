"""The proxy: an OpenAI-compatible chat that recalls before the model answers, and remembers after.

Everything of a request but the memories in it goes to the model server as it came, and everything
of its answer comes back as it came, while it comes. What is remembered is the turn: the last
message of the user, and the text that answers it. An answer that calls tools does not end the turn.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from isomem import log
from isomem.errors import ConfigurationError, NetworkError
from isomem.pipeline import answering
from isomem.providers.llm.openai import ChatProtocol, OpenAILLM
from isomem.providers.tables import OPENAI_URL
from isomem.serve.callers import Caller
from isomem.serve.guard import as_problem
from isomem.serve.problems import BAD_INPUT, FAILED, TOO_SLOW, Problem
from isomem.serve.replies import Reply
from isomem.types import SCOPE_KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import httpx
    from starlette.requests import Request

    from isomem.ports.shapes import Message
    from isomem.serve.service import Service

    Body = dict[str, object]

SCOPE_HEADERS = {key: f"X-Isomem-{key.replace('_', '-').title()}" for key in SCOPE_KEYS}
"""The headers that say whose memory it is."""

RECALL_TIMEOUT_S = 10.0
"""A chat does not wait longer than this for its memories."""

_NO_KEY = "none"
_PASSED = ("content-type", "retry-after", "retry-after-ms", "openai-processing-ms")
_PASSED_PREFIX = "x-ratelimit-"
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def proxy_routes() -> list[Route]:
    """`POST /v1/chat/completions` and `GET /v1/models`."""
    return [
        Route("/v1/chat/completions", _answering(_chat), methods=["POST"]),
        Route("/v1/models", _answering(_models), methods=["GET"]),
    ]


def _answering(
    answer: Callable[[Caller], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint whose errors have the form that OpenAI's have."""

    async def endpoint(request: Request) -> Response:
        request.state.route = request.url.path
        try:
            return await answer(Caller(request))
        except Exception as error:  # noqa: BLE001 - a caller gets an answer whatever happens
            return _refused(request, error)

    return endpoint


def _refused(request: Request, error: Exception) -> Response:
    problem = as_problem(error)
    if problem.status == FAILED:
        log.error("Request %s failed: %r", request.state.request_id, error)
    said = f"{problem.detail} {problem.suggestion or ''}".strip()
    kind = _TYPES.get(problem.status)
    if kind is None:
        kind = "invalid_request_error" if problem.status < FAILED else "server_error"
    body = {"message": said, "type": kind, "param": None, "code": problem.code}
    return JSONResponse({"error": body}, problem.status, problem.headers)


# --- The model server ------------------------------------------------------------------------


def model_server(service: Service) -> ChatProtocol:
    """Where chats are answered: `proxy_url`, or else the configured model.

    Raises:
        ConfigurationError: CONFIG_004, neither speaks OpenAI's protocol.
    """
    settings = service.settings
    if settings.proxy_url is not None:
        if service.model_server is None:
            service.model_server = _server_at(settings.proxy_url, settings.proxy_key)
        return service.model_server
    llm: object = service.memory.llm
    if isinstance(llm, ChatProtocol):
        return llm
    raise ConfigurationError(
        "There is no model server that speaks OpenAI's protocol",
        error_code="CONFIG_004",
        suggestion="Name one by `proxy_url` in the section `serve`.",
    )


def _server_at(url: str, key: str | None) -> ChatProtocol:
    # The key in the environment is OpenAI's: no other server gets it.
    is_openai = url.rstrip("/") == OPENAI_URL
    return OpenAILLM({"openai_base_url": url, "api_key": key or (None if is_openai else _NO_KEY)})


async def _models(caller: Caller) -> Response:
    caller.access.check_right("read")
    server = model_server(caller.service)
    response = await server.amodels()
    return _passed(response, server.without_secrets(await _whole(response)))


async def _whole(response: httpx.Response) -> bytes:
    """The body of an answer.

    Raises:
        NetworkError: it did not come whole.
    """
    import httpx

    try:
        return await response.aread()
    except httpx.RequestError as error:
        raise NetworkError("The model server broke off its answer.") from error
    finally:
        await response.aclose()


def _passed(response: httpx.Response, content: bytes) -> Response:
    return Response(content, response.status_code, _headers(response))


def _headers(response: httpx.Response) -> dict[str, str]:
    """Those of the answer that mean something to the caller."""
    return {
        name: value
        for name, value in response.headers.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIX)
    }


# --- A chat ----------------------------------------------------------------------------------


async def _chat(caller: Caller) -> Response:
    body = await caller.object()
    turn = Turn(caller, scope_of(caller, body), messages_of(body))
    server = model_server(caller.service)
    response = await server.aopen({**body, "messages": await turn.told()})
    if response.is_success and "text/event-stream" in response.headers.get("content-type", ""):
        return StreamingResponse(
            _streamed(response, turn), response.status_code, _headers(response)
        )
    content = await _whole(response)
    if not response.is_success:
        return _passed(response, server.without_secrets(content))
    turn.reply.read(content)
    turn.remember()
    return _passed(response, content)


def scope_of(caller: Caller, body: Body) -> dict[str, str]:
    """Whose memory it is: by the headers, or else by `user`; the key adds what it is bound to.

    Raises:
        ValueError: an id is not valid.
        PermissionDeniedError: it is not the key's.
        Problem: 400, nobody is named.
    """
    headers = caller.request.headers
    given: dict[str, object] = {key: headers.get(name) for key, name in SCOPE_HEADERS.items()}
    if not any(given.values()):
        given = {SCOPE_KEYS[0]: body.get("user")}
    caller.access.check_right("read")
    scope = caller.access.narrow(given)
    if not scope:
        names = ", ".join(SCOPE_HEADERS.values())
        raise Problem(
            BAD_INPUT, "VALIDATION_001", "Nobody is named whose memory it is.",
            f"Send `user`, or one of the headers {names}.",
        )  # fmt: skip
    return scope


def messages_of(body: Body) -> list[Message]:
    """The messages of a chat.

    Raises:
        Problem: 400, they are something else.
    """
    messages = body.get("messages")
    if isinstance(messages, list) and messages and all(isinstance(each, dict) for each in messages):
        return messages
    raise Problem(BAD_INPUT, "VALIDATION_003", "`messages` must be a list of objects.")


class Turn:
    """One turn of a conversation: what the user says, what is recalled, what the model replies.

    Args:
        caller: who chats.
        scope: whose memory it is.
        messages: the conversation so far.
    """

    def __init__(self, caller: Caller, scope: dict[str, str], messages: list[Message]) -> None:
        self.reply = Reply()
        self._caller = caller
        self._scope = scope
        self._messages = messages
        self._asked = answering.last_of_user(messages)
        self._said = "" if self._asked is None else answering.said_in(messages[self._asked])

    async def told(self) -> list[Message]:
        """The messages for the model.

        Raises:
            Exception: nothing can be recalled, and the chat needs that.
        """
        if self._asked is None or not self._said.strip():
            return self._messages
        memories = await self._recalled()
        messages = [*self._messages]
        messages[self._asked] = answering.told(messages[self._asked], memories)
        return answering.with_prompt(messages)

    async def _recalled(self) -> list[str]:
        settings = self._caller.service.settings
        asked = {"query": self._said, "filters": self._scope, "top_k": settings.proxy_memories}
        try:
            found = await asyncio.wait_for(self._caller.call("search", asked), RECALL_TIMEOUT_S)
        except Exception as error:
            if settings.proxy_needs_memory:
                raise _in_time(error) from error
            log.warning("A chat goes on without its memories: %s", _named(error))
            return []
        return [hit["memory"] for hit in found["results"]]

    def remember(self) -> None:
        """Remembers the turn in the background, if it is over and the key may write."""
        text, access = self.reply.text, self._caller.access
        is_over = text.strip() and not self.reply.calls_tools and self._said.strip()
        if is_over and "write" in access.key.rights:
            said = [
                {"role": "user", "content": self._said},
                {"role": "assistant", "content": text},
            ]
            self._caller.service.in_background(self._remembered({"messages": said, **self._scope}))

    async def _remembered(self, arguments: Body) -> None:
        """A durable job, or a call where the memory cannot have jobs."""
        access, jobs = self._caller.access, self._caller.service.jobs
        try:
            if access.memory.stores.receipts is None:
                await access.call("add", arguments)
            else:
                await jobs.submit(access, "add", arguments)
        except Exception as error:  # noqa: BLE001 - nobody waits for it
            log.error("A turn of a chat is not remembered: %s", _named(error))


def _in_time(error: Exception) -> Exception:
    """The error, or a problem if it says that the time is over."""
    if not isinstance(error, asyncio.TimeoutError):
        return error
    fault = f"The memories were not found within {RECALL_TIMEOUT_S:g} seconds."
    return Problem(TOO_SLOW, "TIMEOUT_001", fault)


def _named(error: Exception) -> str:
    """An error without what its text may tell of a memory."""
    return f"{type(error).__name__} ({as_problem(error).code})"


async def _streamed(response: httpx.Response, turn: Turn) -> AsyncIterator[bytes]:
    """The answer as it comes. What has come is remembered if the caller goes before its end."""
    try:
        async for part in response.aiter_bytes():
            turn.reply.feed(part)
            yield part
    except Exception as error:  # noqa: BLE001 - the status has been sent
        log.warning("The model server broke off: %r", error)
        yield turn.reply.broken_off(NetworkError("The model server broke off its answer."))
    finally:
        turn.remember()
        await asyncio.shield(response.aclose())
