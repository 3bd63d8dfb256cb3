"""OpenAI's chat completions, and every service that speaks the same protocol."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from isomem.options import (
    CALLABLE,
    SWITCH,
    TEXT,
    TEXTS,
    Option,
    idle,
    merged,
    optional,
    or_empty,
)
from isomem.providers.answers import (
    MissingError,
    arguments,
    calls_in,
    complaint,
    ended,
    member,
    text_of,
)
from isomem.providers.base import NetworkLLM, required_key
from isomem.providers.settings import Settings, environment, first_of, read_settings
from isomem.providers.tables import OPENAI_URL, address_option, key_option, llm_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar

    import httpx

    from isomem.options import Table
    from isomem.ports.shapes import Message
    from isomem.providers.answers import JsonObject
    from isomem.providers.base import Parameters, Reply, ResponseFormat, Tools
    from isomem.providers.http import Request

# Models that refuse temperature, max_tokens and top_p. This is exactly upstream's list.
_REASONING = frozenset(
    ("o1", "o1-preview", "o3-mini", "o3", "gpt-5", "gpt-5o", "gpt-5o-mini", "gpt-5o-micro")
)
_REASONING_FAMILIES = ("o1-", "o1.", "o3-", "o3.")

_CHAT = "/chat/completions"

OPENROUTER_URL = "https://openrouter.ai/api/v1"


def is_reasoning_model(model: str) -> bool:
    """Whether `model`, with or without a "vendor/" before it, takes only the reduced parameters."""
    base = model.lower().rsplit("/", 1)[-1]
    return base in _REASONING or base.startswith(_REASONING_FAMILIES)


class ChatProtocol(NetworkLLM):
    """OpenAI's chat completions, wherever they are. A subclass states what differs.

    Attributes:
        path: of the chat endpoint, below the address.
        query: what is appended to the address of every request.
        takes_extra: whether further arguments of a call are sent, and reasoning models get the
            reduced parameters.
        table: every option that it takes.
    """

    path: ClassVar[str] = _CHAT
    query: Mapping[str, str] = MappingProxyType({})
    takes_extra: ClassVar[bool] = True
    table: ClassVar[Table]

    def request(
        self,
        messages: list[Message],
        response_format: ResponseFormat,
        tools: Tools,
        tool_choice: str,
        extra: Parameters,
    ) -> Request:
        from isomem.providers.http import Request

        parameters = self._parameters(extra)
        timeout = parameters.pop("timeout", None)
        body, own, query = self.extras(parameters)
        parameters.update(model=self.config.model, messages=self._messages(messages))
        headers = self._customize(parameters)
        parameters.update(self._format(response_format))
        if tools:
            parameters.update(tools=tools, tool_choice=tool_choice)
        content = {**_ordered(parameters), **body}
        return Request(self.path, content, {**headers, **own}, {**self.query, **query}, timeout)

    def answer(self, body: Parameters) -> object:
        """The JSON of the answer to a request of the protocol that is sent as it is.

        Args:
            body: of the request; the configured model answers if it names none.

        Raises:
            AuthenticationError, RateLimitError, NetworkError, LLMError: as `generate_response`.
        """
        return self._connection().send(self._forwarded(body))

    def events(self, body: Parameters) -> Iterator[object]:
        """The same for a request that asks for a stream: the JSON of its events, one by one.

        Nothing is sent again.
        """
        response = self._connection().open("POST", self._forwarded(body))
        try:
            if not response.is_success:
                from isomem.providers.http import Reply, refused

                reply = Reply(response.status_code, response.headers, response.read())
                raise refused(self._connection().endpoint, reply)
            for line in response.iter_lines():
                event = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if event and event != "[DONE]":
                    import json

                    yield json.loads(event)
        finally:
            response.close()

    async def aopen(self, body: Parameters) -> httpx.Response:
        """The answer to a request that is sent as it is, once, whatever its status.

        The caller reads and closes it.

        Raises:
            NetworkError: nothing answers.
        """
        return await self._connection().aopen("POST", self._forwarded(body))

    def without_secrets(self, content: bytes) -> bytes:
        """What a server answers, without what it may echo of its key."""
        from isomem.providers.settings import redact

        said = content.decode("utf-8", "replace")
        hidden = redact(said, self._connection().endpoint.secrets())
        return content if hidden == said else hidden.encode()

    async def amodels(self) -> httpx.Response:
        """The answer to the question which models there are, as `aopen` gives it."""
        from isomem.providers.http import Request

        path = self.path.removesuffix(_CHAT) + "/models"
        return await self._connection().aopen("GET", Request(path, {}, query=self.query))

    def _forwarded(self, body: Parameters) -> Request:
        from isomem.providers.http import Request

        return Request(self.path, {"model": self.config.model, **body}, query=self.query)

    def _messages(self, messages: list[Message]) -> list[Message]:
        """The messages as this service gets them."""
        return messages

    def _parameters(self, extra: Parameters) -> Parameters:
        config = self.config
        if self.takes_extra and is_reasoning_model(config.model):
            effort = config.reasoning_effort
            return {"reasoning_effort": effort} if effort else {}
        return {**self._sampling(), **(extra if self.takes_extra else {})}

    def _sampling(self) -> Parameters:
        names = ("temperature", "max_tokens", "top_p")
        common = {name: getattr(self.config, name) for name in names}
        return {name: value for name, value in common.items() if value is not None}

    def _customize(self, parameters: Parameters) -> dict[str, str]:  # noqa: ARG002
        """Adapts `parameters` to this service, and returns its extra headers."""
        return {}

    def _format(self, response_format: ResponseFormat) -> Parameters:
        return {"response_format": response_format} if response_format else {}

    def parse(self, answer: object, tools: Tools) -> Reply:
        message = member(answer, "choices", 0, "message")
        if not isinstance(message, dict):
            raise MissingError("choices[0].message")
        content = text_of(message.get("content"))
        if not tools:
            choice = member(answer, "choices", 0)
            said = message.get("refusal") or complaint(choice.get("error"))
            text: Reply = ended(content, choice.get("finish_reason"), said)
            return text
        return {"content": content, "tool_calls": [_tool_call(each) for each in calls_in(message)]}


def _ordered(parameters: Parameters) -> Parameters:
    """The parameters in the order of OpenAI's SDK, so that even the bytes are equal."""
    first = [name for name in ("model", "stream", "messages") if name in parameters]
    return {name: parameters[name] for name in [*first, *sorted(parameters.keys() - set(first))]}


def _tool_call(call: JsonObject) -> JsonObject:
    return {
        "name": member(call, "function", "name"),
        "arguments": arguments(member(call, "function", "arguments")),
    }


class ChatLLM(ChatProtocol):
    """A service with OpenAI's protocol and a key, at an address of its own or at yours.

    Attributes:
        default_model: used if the configuration does not name one.
        default_url: where the service is.
        url_option: the option for another address.
        url_variable: the environment variable for another address.
        key_variable: the environment variable for the key.
        fallback_key: sent if there is no other key; None if a key is required.
        own_options: options that only this service takes.
    """

    default_model: ClassVar[str]
    url_option: ClassVar[str]
    url_variable: ClassVar[str]
    key_variable: ClassVar[str]
    fallback_key: ClassVar[str | None] = None
    own_options: ClassVar[Table] = ()

    def __init_subclass__(cls) -> None:
        cls.table = merged(
            llm_options(cls.default_model, cls.default_timeout_s),
            (
                key_option(cls.key_variable, unset=cls.fallback_key or ""),
                address_option(cls.url_option, cls.default_url, cls.url_variable),
            ),
            cls.own_options,
        )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"llm.config ({self.name})")
        settings.model = settings.model or self.default_model
        super().__init__(settings, *self._access(settings))

    def _access(self, settings: Settings) -> tuple[str, str | None]:
        """Address and key."""
        url = first_of(
            vars(settings)[self.url_option], environment(self.url_variable), self.default_url
        )
        key = first_of(settings.api_key, environment(self.key_variable), self.fallback_key)
        needed = url == self.default_url
        return str(url), required_key(self.name, key, self.key_variable, needed)


_ROUTING = (
    Option("models", None, or_empty(TEXTS), "OpenRouter: models to try in turn"),
    Option("route", "fallback", or_empty(TEXT), "OpenRouter: how to go through `models`"),
    Option("site_url", None, or_empty(TEXT), "OpenRouter: identifies your app, with `app_name`"),
    Option("app_name", None, or_empty(TEXT), "OpenRouter: identifies your app, with `site_url`"),
    Option(
        "response_callback",
        None,
        or_empty(CALLABLE),
        "called as `callback(llm, answer, parameters)` after each answer",
    ),
)
_OTHERS = (
    address_option("openrouter_base_url", OPENROUTER_URL, "OPENROUTER_API_BASE"),
    Option("store", None, optional(SWITCH), "whether OpenAI keeps the answer; sent when given"),
)


class OpenAILLM(ChatLLM):
    """OpenAI, OpenRouter when its key is in the environment, or any server of the protocol.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key for api.openai.com.
    """

    name = "openai"
    default_model = "gpt-5-mini"
    default_url = OPENAI_URL
    url_option = "openai_base_url"
    url_variable = "OPENAI_BASE_URL"
    key_variable = "OPENAI_API_KEY"
    own_options: ClassVar[Table] = (*_ROUTING, *_OTHERS)

    def _access(self, settings: Settings) -> tuple[str, str | None]:
        # A configured address takes precedence over the environment: prompts go nowhere else.
        own = settings.openai_base_url is not None
        key = None if own else environment("OPENROUTER_API_KEY")
        self._routes = bool(key)
        if not key:
            return super()._access(settings)
        variable = environment("OPENROUTER_API_BASE")
        url = first_of(settings.openrouter_base_url, variable, OPENROUTER_URL)
        return str(url), key

    def _customize(self, parameters: Parameters) -> dict[str, str]:
        config = self.config
        if not self._routes:
            if config.store is not None:
                parameters["store"] = config.store
            return {}
        if config.models:
            del parameters["model"]
            parameters.update(models=config.models, route=config.route)
        if config.site_url and config.app_name:
            return {"HTTP-Referer": config.site_url, "X-Title": config.app_name}
        return {}

    def _result(self, request: Request, answer: object, tools: Tools) -> Reply:
        result = super()._result(request, answer, tools)
        self._call_back(request.body, answer)
        return result

    def _call_back(self, body: dict[str, object], answer: object) -> None:
        callback = self.config.response_callback
        if not callback:
            return
        try:
            callback(self, with_attributes(answer), body)
        except Exception as error:  # noqa: BLE001  (a monitor must not break what it monitors)
            from isomem import log

            log.error("The response_callback of the llm failed: %s", error)


class OpenRouterLLM(OpenAILLM):
    """OpenRouter by its own name: `openai` goes there only if the environment has its key.

    Args:
        config: options; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key for openrouter.ai.
    """

    name = "openrouter"
    default_model = "openai/gpt-5-mini"
    default_url = OPENROUTER_URL
    url_option = "openrouter_base_url"
    url_variable = "OPENROUTER_API_BASE"
    key_variable = "OPENROUTER_API_KEY"
    own_options = _ROUTING
    _routes = True

    def _access(self, settings: Settings) -> tuple[str, str | None]:
        return ChatLLM._access(self, settings)


class OpenAIStructuredLLM(ChatLLM):
    """OpenAI as mem0's `openai_structured` calls it: the temperature is all of the sampling.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key for api.openai.com.
    """

    name = "openai_structured"
    default_model = "gpt-5-mini"
    default_url = OPENAI_URL
    url_option = "openai_base_url"
    url_variable = "OPENAI_API_BASE"
    key_variable = "OPENAI_API_KEY"
    takes_extra = False
    own_options = tuple(map(idle, (*_ROUTING, *_OTHERS)))

    def _sampling(self) -> Parameters:
        given = super()._sampling()
        return {"stream": False, **{key: given[key] for key in ("temperature",) if key in given}}

    def parse(self, answer: object, tools: Tools) -> Reply:  # noqa: ARG002  (as in mem0)
        """The text, even if the model was given tools, as in mem0."""
        return super().parse(answer, None)


class Attributes(dict):  # type: ignore[type-arg]
    """A JSON object whose members are also attributes, like those of the SDK's objects."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def model_dump(self) -> JsonObject:
        """The object as a plain dict."""
        return dict(self)


def with_attributes(value: object) -> object:
    """JSON whose objects have their values as attributes, too."""
    if isinstance(value, dict):
        return Attributes({key: with_attributes(item) for key, item in value.items()})
    return [with_attributes(item) for item in value] if isinstance(value, list) else value
