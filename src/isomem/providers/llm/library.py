"""Language models that a library calls: LiteLLM, and the chat models of LangChain."""

from __future__ import annotations

from isomem.errors import (
    AuthenticationError,
    InvalidConfigError,
    LLMError,
    NetworkError,
    ProviderError,
    RateLimitError,
)
from isomem.options import ANYTHING, Option, merged
from isomem.providers.answers import MissingError, arguments, ended, text_of
from isomem.providers.extras import require
from isomem.providers.refusals import CHAT, STATUSES, Refusal, Refusals
from isomem.providers.settings import read_settings, redact
from isomem.providers.tables import COUNT, LLM_OPTIONS, MODEL, TIMEOUT
from isomem.providers.usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar

    from isomem.options import Table
    from isomem.ports.shapes import Message
    from isomem.providers.base import Parameters, Reply, ResponseFormat, Tools

_KINDS: dict[object, type[ProviderError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    408: NetworkError,
    429: RateLimitError,
}
_NETWORK = ("Timeout", "APIConnectionError", "ConnectError", "ConnectTimeout", "ReadTimeout")


class LibraryLLM:
    """A model behind somebody else's library.

    Attributes:
        name: in the configuration.
        config: its options, under upstream's names.
        usage: calls that were answered, and their tokens.
    """

    name: ClassVar[str]
    table: ClassVar[Table]

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        self.config = read_settings(config, self.table, f"llm.config ({self.name})")
        self.usage = Usage()

    def _failed(self, error: Exception) -> ProviderError:
        """The error for what the library raises."""
        from isomem.causes import caused

        if isinstance(error, MissingError):
            return LLMError(f"{self.label} answered without {error}", details=self._facts(200))
        status = getattr(error, "status_code", None)
        status = status if isinstance(status, int) else None
        names = {kind.__name__ for kind in type(error).__mro__}
        kind = NetworkError if names & set(_NETWORK) else _KINDS.get(status, LLMError)
        said = redact(str(error), [self.config.api_key or ""])
        made = caused(kind, f"{self.label} failed: {said}", error)
        made.details = self._facts(status if kind is not NetworkError else None)
        return made

    def _facts(self, status: object) -> dict[str, Any]:
        return {"provider": self.name, "model": self.label, "status": status}

    @property
    def label(self) -> str:
        """What errors call the model."""
        return f"{self.name} (model {self.config.model!r})"

    def close(self) -> None:
        """Nothing to close: the library keeps its own connections."""

    async def aclose(self) -> None:
        """As `close`."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config!r}>"


class LiteLLM(LibraryLLM):
    """Any model that the library LiteLLM knows, by LiteLLM's name for it.

    Args:
        config: options under upstream's names. `api_key` is passed to the library if it is given;
            otherwise the library finds keys and addresses in the environment.

    Raises:
        InvalidConfigError: an option is unknown.
        DependencyError: the extra isomem[litellm] is not installed.
    """

    name = "litellm"
    default_model = "gpt-5-mini"
    table = merged(
        LLM_OPTIONS,
        (
            Option("model", None, MODEL, "which model answers", unset="`gpt-5-mini`"),
            Option("timeout_s", None, TIMEOUT, "how long to wait for an answer, in seconds"),
            Option("max_retries", None, COUNT, "how often the library sends a request again"),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        super().__init__(config)
        self.config.model = self.config.model or self.default_model
        require("litellm", "litellm", self.name)
        self._refusals = Refusals(self.name, CHAT)

    def generate_response(
        self,
        messages: list[Message],
        response_format: ResponseFormat = None,
        tools: Tools = None,
        tool_choice: str = "auto",
    ) -> Reply:
        """The model's answer, as `providers.base.NetworkLLM.generate_response` describes it.

        Raises:
            ValueError: the model cannot call functions, as the library knows it.
            AuthenticationError, RateLimitError, NetworkError: as their names say.
            LLMError: the model failed otherwise.
        """
        import litellm

        given = self._parameters(messages, response_format, tools, tool_choice)
        refused: list[Refusal] = []
        while True:
            try:
                return self._read(litellm.completion(**given), tools, refused)
            except Exception as error:  # noqa: BLE001  (those of every vendor)
                given = self._amended(given, error, refused)

    async def agenerate_response(
        self,
        messages: list[Message],
        response_format: ResponseFormat = None,
        tools: Tools = None,
        tool_choice: str = "auto",
    ) -> Reply:
        """As `generate_response`, without blocking the event loop."""
        import litellm

        given = self._parameters(messages, response_format, tools, tool_choice)
        refused: list[Refusal] = []
        while True:
            try:
                return self._read(await litellm.acompletion(**given), tools, refused)
            except Exception as error:  # noqa: BLE001  (those of every vendor)
                given = self._amended(given, error, refused)

    def _parameters(
        self,
        messages: list[Message],
        response_format: ResponseFormat,
        tools: Tools,
        tool_choice: str,
    ) -> Parameters:
        import litellm

        config = self.config
        if not litellm.supports_function_calling(config.model):
            raise InvalidConfigError(
                f"Model '{config.model}' in litellm does not support function calling.",
                error_code="CONFIG_002",
            )
        names = ("temperature", "max_tokens", "top_p", "api_key", "max_retries")
        common = {name: getattr(config, name) for name in names}
        common["timeout"] = config.timeout_s
        given = {name: value for name, value in common.items() if value is not None}
        given.update({"response_format": response_format} if response_format else {})
        given.update({"tools": tools, "tool_choice": tool_choice} if tools else {})
        return self._refusals.applied(
            config.model, {"model": config.model, "messages": messages, **given}
        )

    def _amended(self, given: Parameters, error: Exception, refused: list[Refusal]) -> Parameters:
        """The parameters without what was refused; otherwise raises our error."""
        if getattr(error, "status_code", None) in STATUSES:
            refusal = self._refusals.read(given, str(error))
            if refusal is not None:
                refused.append(refusal)
                return refusal.applied(given)
        raise self._failed(error) from error

    def _read(self, answer: Any, tools: Tools, refused: list[Refusal]) -> Reply:
        self.usage.add(answer)
        self._refusals.remember(self.config.model, refused)
        if not answer.choices:
            raise MissingError("choices")
        choice = answer.choices[0]
        content = text_of(choice.message.content)
        if not tools:
            text: Reply = ended(content, choice.finish_reason)
            return text
        calls = [
            {"name": call.function.name, "arguments": arguments(call.function.arguments)}
            for call in choice.message.tool_calls or []
        ]
        return {"content": content, "tool_calls": calls}


_ROLES = {"system": "system", "user": "human", "assistant": "ai"}


class LangchainLLM(LibraryLLM):
    """A chat model of LangChain, made by the program that configures isomem.

    Args:
        config: options under upstream's names; `model` is the object. The others do nothing: the
            object has its own.

    Raises:
        InvalidConfigError: an option is unknown, or `model` is not such an object.
    """

    name = "langchain"
    table = merged(
        LLM_OPTIONS,
        (
            Option(
                "model",
                None,
                ANYTHING,
                "a LangChain chat model",
                unset="none, you make it",
                secret=True,
            ),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        super().__init__(config)
        model = self.config.model
        if model is None:
            raise InvalidConfigError("`model` parameter is required", error_code="CONFIG_004")
        if isinstance(model, type) or not callable(getattr(model, "invoke", None)):
            raise InvalidConfigError(
                f"`model` must be an instance of BaseChatModel, got {type(model).__name__}",
                error_code="CONFIG_002",
            )
        self.langchain_model: Any = model

    @property
    def label(self) -> str:
        """What errors call the model."""
        return f"langchain ({type(self.langchain_model).__name__})"

    def generate_response(
        self,
        messages: list[Message],
        response_format: ResponseFormat = None,  # noqa: ARG002  (upstream passes none on)
        tools: Tools = None,
        tool_choice: str = "auto",
    ) -> Reply:
        """The model's answer, as `providers.base.NetworkLLM.generate_response` describes it.

        Raises:
            AuthenticationError, RateLimitError, NetworkError: as their names say.
            LLMError: the model failed otherwise, or no message has a role that it knows.
        """
        turns = self._turns(messages)
        try:
            return self._read(self._with(tools, tool_choice).invoke(turns), tools)
        except Exception as error:  # the object may raise anything
            raise self._failed(error) from error

    async def agenerate_response(
        self,
        messages: list[Message],
        response_format: ResponseFormat = None,  # noqa: ARG002  (upstream passes none on)
        tools: Tools = None,
        tool_choice: str = "auto",
    ) -> Reply:
        """As `generate_response`, without blocking the event loop."""
        turns = self._turns(messages)
        try:
            return self._read(await self._with(tools, tool_choice).ainvoke(turns), tools)
        except Exception as error:  # the object may raise anything
            raise self._failed(error) from error

    def _turns(self, messages: object) -> list[tuple[str, Any]]:
        if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
            fault = f"{self.label} cannot be sent messages that are not a list of dicts"
            raise LLMError(fault, details=self._facts(None))
        roles = [(_ROLES.get(str(each.get("role"))), each.get("content")) for each in messages]
        known = [(role, content) for role, content in roles if role]
        if known:
            return known
        raise LLMError("No valid messages found in the messages list", details=self._facts(None))

    def _with(self, tools: Tools, tool_choice: str) -> Any:
        model = self.langchain_model
        return model.bind_tools(tools=tools, tool_choice=tool_choice) if tools else model

    def _read(self, answer: Any, tools: Tools) -> Reply:
        self.usage.add({"usage": getattr(answer, "usage_metadata", None)})
        content: Any = text_of(answer.content)
        if not tools:
            return "" if content is None else content
        calls = [{"name": call["name"], "arguments": call["args"]} for call in answer.tool_calls]
        return {"content": content, "tool_calls": calls}
