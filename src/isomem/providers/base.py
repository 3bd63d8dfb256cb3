"""What the providers that use the network have in common.

Such a provider is an address and two pure functions: `request` turns a call into what is sent, and
`parse` turns the JSON of the answer into what the call returns. Everything between the two is in
`http` and `sender`, which are imported with the first request.
"""

from __future__ import annotations

from isomem.errors import EmbeddingError, InvalidConfigError, LLMError
from isomem.options import is_dict
from isomem.providers.answers import MissingError
from isomem.providers.headers import sendable, sendable_headers
from isomem.providers.refusals import CHAT, Refusals
from isomem.providers.settings import Settings, refuse_unquoted
from isomem.providers.usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, ClassVar

    from isomem.errors import ProviderError
    from isomem.ports.shapes import Message
    from isomem.providers.http import Authorizer, Request
    from isomem.providers.sender import Sender

    Parameters = dict[str, Any]
    ResponseFormat = Mapping[str, Any] | None
    Tools = list[dict[str, Any]] | None
    Reply = str | dict[str, Any] | None


class Service:
    """A provider at an address.

    Attributes:
        name: its name in the configuration.
        config: its options, under upstream's names.
        base_url: what the paths of its requests are appended to.
        authorizer: makes headers for each attempt, where a fixed key does not do.
    """

    name: ClassVar[str]
    default_url: ClassVar[str]
    failure: ClassVar[type[ProviderError]]
    default_timeout_s: ClassVar[float]
    authorizer: Authorizer | None = None

    def __init__(self, config: Settings, base_url: str, api_key: str | None) -> None:
        refuse_unquoted(base_url, f"{self.name}: the address")
        self.config = config
        self.base_url = base_url
        self._headers = self._all_headers(api_key)
        self._senders: dict[str, Sender] = {}

    def _all_headers(self, api_key: str | None) -> dict[str, str]:
        headers = sendable_headers(self.config.headers, f"{self.name}: headers")
        if api_key:
            for name in [name for name in headers if name.lower() == "authorization"]:
                del headers[name]
            headers["Authorization"] = f"Bearer {sendable(api_key, f'{self.name}: api_key')}"
        return headers

    def advice(self) -> dict[int, str]:
        """What to suggest for an HTTP status; 0 stands for "cannot be reached"."""
        return {}

    def amended(self, request: Request, answer: object) -> Request | None:  # noqa: ARG002
        """The request without what the server refuses in its answer; None if there is no such."""
        return None

    def _connection(self) -> Sender:
        # No lock: in the child of a fork it might be held forever. If two threads make one at the
        # same time, both get the first, since `setdefault` is atomic.
        return self._senders.get("") or self._senders.setdefault("", self._connect())

    def _connect(self) -> Sender:
        from isomem.providers.http import Endpoint
        from isomem.providers.sender import Sender

        return Sender(
            Endpoint(
                provider=self.name,
                model=str(self.config.model),
                base_url=self.base_url,
                headers=self._headers,
                timeout_s=self.config.timeout_s or self.default_timeout_s,
                max_retries=self.config.max_retries,
                retry_within_s=self.config.retry_within_s,
                amend=self.amended,
                failure=self.failure,
                proxies=self.config.http_client_proxies,
                advice=self.advice(),
                authorize=self.authorizer,
            )
        )

    def refusal(self, fault: str) -> ProviderError:
        """The error for a request that cannot be sent."""
        return self._connection().endpoint.error(fault)

    def close(self) -> None:
        """Closes the connections of blocking calls; the next call opens new ones."""
        for sender in self._senders.values():
            sender.close()

    async def aclose(self) -> None:
        """Closes the connections of blocking calls and those of the running event loop."""
        for sender in self._senders.values():
            await sender.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config!r}>"


# Like `timeout`, these are for the vendors' SDKs themselves, which do not send them as parameters.
_EXTRAS = ("extra_body", "extra_headers", "extra_query")


class NetworkLLM(Service):
    """A language model behind HTTP.

    Attributes:
        usage: calls that were answered, and their tokens.
        refusable: the parameters that are left out if a model refuses them.
    """

    failure = LLMError
    # As long as upstream's SDKs wait: a reasoning model can take minutes, and a call that is
    # abandoned and sent again is paid for twice.
    default_timeout_s = 600.0
    refusable: ClassVar[tuple[tuple[str, ...], ...]] = CHAT

    def __init__(self, config: Settings, base_url: str, api_key: str | None) -> None:
        super().__init__(config, base_url, api_key)
        self.usage = Usage()
        self._refusals = Refusals(self.name, self.refusable)

    def generate_response(
        self,
        messages: list[Message],
        response_format: ResponseFormat = None,
        tools: Tools = None,
        tool_choice: str = "auto",
        **kwargs: object,
    ) -> Reply:
        """The model's answer to `messages`.

        Args:
            messages: dicts with "role" and "content".
            response_format: such as {"type": "json_object"}.
            tools: functions that the model may call, as OpenAI describes them.
            tool_choice: which of them it may or must call; sent only with `tools`.
            **kwargs: further parameters of the request.

        Returns:
            The text, or None if the model gave none. A text that was cut off, filtered or refused
            is a `Reply`, which is a str that says why. With `tools`, a dict
            {"content": text or None, "tool_calls": [{"name": str, "arguments": dict}]}.

        Raises:
            AuthenticationError, RateLimitError, NetworkError: as their names say.
            LLMError: the model failed otherwise, or its answer does not have the agreed shape.
        """
        request = self._adapted(messages, response_format, tools, tool_choice, kwargs)
        return self._result(request, self._connection().send(request), tools)

    async def agenerate_response(
        self,
        messages: list[Message],
        response_format: ResponseFormat = None,
        tools: Tools = None,
        tool_choice: str = "auto",
        **kwargs: object,
    ) -> Reply:
        """As `generate_response`, without blocking the event loop."""
        request = self._adapted(messages, response_format, tools, tool_choice, kwargs)
        return self._result(request, await self._connection().asend(request), tools)

    def _adapted(
        self,
        messages: list[Message],
        response_format: ResponseFormat,
        tools: Tools,
        tool_choice: str,
        extra: Parameters,
    ) -> Request:
        """The request without what the model has refused before."""
        request = self.request(messages, response_format, tools, tool_choice, extra)
        return request.with_body(self._refusals.applied(self.config.model, request.body))

    def check_messages(self, messages: object) -> None:
        """Raises LLMError unless the messages are a list of dicts."""
        if isinstance(messages, list) and all(isinstance(each, dict) for each in messages):
            return
        raise self.refusal("cannot be sent messages that are not a list of dicts")

    def extras(self, parameters: Parameters) -> tuple[dict[str, Any], ...]:
        """What a call adds to the body, the headers and the query; removed from `parameters`.

        Raises:
            LLMError: one of them is not a dict with strings as keys.
        """
        return tuple(self._extra(parameters, name) for name in _EXTRAS)

    def _extra(self, parameters: Parameters, name: str) -> dict[str, Any]:
        given = parameters.pop(name, None) or {}
        if is_dict(given) and all(isinstance(key, str) for key in given.keys()):  # noqa: SIM118
            return dict(given)
        raise self.refusal(f"cannot be sent {name} that is not a dict with strings as keys")

    def amended(self, request: Request, answer: object) -> Request | None:
        refusal = self._refusals.read(request.body, answer)
        if refusal is None:
            return None
        request.refused.append(refusal)
        return request.with_body(refusal.applied(request.body))

    def request(
        self,
        messages: list[Message],
        response_format: ResponseFormat,
        tools: Tools,
        tool_choice: str,
        extra: Parameters,
    ) -> Request:
        """What is sent for this call. It does not change `messages`."""
        raise NotImplementedError

    def parse(self, answer: object, tools: Tools) -> Reply:
        """What the call returns.

        Raises:
            MissingError: `answer` does not have the agreed shape.
        """
        raise NotImplementedError

    def _result(self, request: Request, answer: object, tools: Tools) -> Reply:
        self.usage.add(answer)
        self._refusals.remember(self.config.model, request.refused)
        try:
            return self.parse(answer, tools)
        except MissingError as missing:
            raise self._connection().endpoint.malformed(str(missing), answer) from None


class NetworkEmbedder(Service):
    """An embedder behind HTTP.

    Attributes:
        identity: provider and model; vectors of two identities cannot be compared.
        dims: length of the vectors, or None if only the server knows.
        ignores_action: a text always has the same vector, whatever the action.
        embeds_alike_in_batch: and whatever else is embedded with it.
        batch_size: how many texts one request can have.
    """

    failure = EmbeddingError
    ignores_action = True
    embeds_alike_in_batch = True
    default_timeout_s = 60.0
    batch_size: int = 100
    dims: int | None

    @property
    def identity(self) -> str:
        """Provider and model; a store records it with its vectors."""
        return f"{self.name}/{self.config.model}"

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector of `text`.

        Raises:
            AuthenticationError, RateLimitError, NetworkError: as their names say.
            EmbeddingError: the embedder failed otherwise, or its answer is malformed.
        """
        request = self.request([text], memory_action)
        return self._vectors(self._connection().send(request), 1)[0]

    async def aembed(self, text: str, memory_action: str | None = None) -> list[float]:
        """As `embed`, without blocking the event loop."""
        request = await self.arequest([text], memory_action)
        return self._vectors(await self._connection().asend(request), 1)[0]

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        """One vector per text, in their order; `batch_size` per request. Raises as `embed`."""
        vectors: list[list[float]] = []
        for part in self._parts(texts):
            request = self.request(part, memory_action)
            vectors += self._vectors(self._connection().send(request), len(part))
        return vectors

    async def aembed_batch(
        self, texts: list[str], memory_action: str | None = "add"
    ) -> list[list[float]]:
        """As `embed_batch`, without blocking the event loop."""
        vectors: list[list[float]] = []
        for part in self._parts(texts):
            request = await self.arequest(part, memory_action)
            vectors += self._vectors(await self._connection().asend(request), len(part))
        return vectors

    def _parts(self, texts: list[str]) -> Iterator[list[str]]:
        for start in range(0, len(texts), self.batch_size):
            yield texts[start : start + self.batch_size]

    def request(self, texts: list[str], action: str | None = None) -> Request:
        """What is sent for these texts. `action` is what for, if the embedder cares."""
        raise NotImplementedError

    async def arequest(self, texts: list[str], action: str | None = None) -> Request:
        """As `request`. One that has to wait for something overrides it."""
        return self.request(texts, action)

    def parse(self, answer: object) -> list[list[float]]:
        """The vectors in `answer`, in the order of the texts.

        Raises:
            MissingError: `answer` does not have the agreed shape.
        """
        raise NotImplementedError

    def _vectors(self, answer: object, count: int) -> list[list[float]]:
        try:
            vectors = self.parse(answer)
            if len(vectors) != count:
                raise MissingError(f"a vector for each text ({len(vectors)} for {count})")
        except MissingError as missing:
            raise self._connection().endpoint.malformed(str(missing), answer) from None
        return vectors


def required_key(name: str, api_key: str | None, variable: str, needed: bool) -> str | None:
    """`api_key`, if there is one or none is needed.

    Raises:
        InvalidConfigError: a key is needed and there is none.
    """
    if api_key or not needed:
        return api_key
    raise InvalidConfigError(
        f"{name} needs an API key: set {variable} in the environment, or api_key in the config",
        error_code="CONFIG_004",
        details={"provider": name, "variable": variable},
        suggestion=f"Set {variable}, or choose another provider",
    )
