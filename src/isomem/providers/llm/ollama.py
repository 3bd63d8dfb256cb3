"""Ollama's chat API."""

from __future__ import annotations

from collections.abc import Mapping

from isomem.options import Kind, Option, merged, optional
from isomem.providers import ollama
from isomem.providers.answers import MissingError, arguments, calls_in, ended, member, text_of
from isomem.providers.base import NetworkLLM
from isomem.providers.settings import read_settings
from isomem.providers.tables import LENGTH, llm_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.ports.shapes import Message
    from isomem.providers.answers import JsonObject
    from isomem.providers.base import Parameters, Reply, ResponseFormat, Tools
    from isomem.providers.http import Request


_LEVELS = ("low", "medium", "high")
THINK = optional(
    Kind(
        "True, False, or one of 'low', 'medium', 'high'",
        lambda value: isinstance(value, bool) or (isinstance(value, str) and value in _LEVELS),
        {"enum": [True, False, *_LEVELS]},
        _LEVELS,
    )
)
KEEP_ALIVE = optional(
    Kind(
        "a number of seconds, or text such as '10m'",
        lambda value: isinstance(value, (int, float, str)) and not isinstance(value, bool),
        {"type": ["number", "string"]},
    )
)
OWN_OPTIONS = (
    Option(
        "num_ctx",
        None,
        LENGTH,
        "length of the context, in tokens; Ollama's default is too short for the prompt of `add`",
    ),
    Option("think", None, THINK, "whether the model reasons before it answers, or how much"),
    Option(
        "keep_alive",
        None,
        KEEP_ALIVE,
        'how long the model stays loaded: seconds, or text such as `"10m"`; -1 is forever',
    ),
)


class OllamaLLM(NetworkLLM):
    """A model served by Ollama. The model must have been pulled.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown.
    """

    name = "ollama"
    default_url = ollama.DEFAULT_URL
    default_model = "llama3.1:70b"
    table = merged(
        llm_options(default_model, NetworkLLM.default_timeout_s), ollama.OPTIONS, OWN_OPTIONS
    )
    refusable = (("think",),)

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, "llm.config (ollama)")
        settings.model = settings.model or self.default_model
        url = ollama.address(settings.ollama_base_url)
        super().__init__(settings, url, ollama.api_key(settings.api_key))

    def advice(self) -> dict[int, str]:
        return ollama.advice(self.config.model)

    def request(
        self,
        messages: list[Message],
        response_format: ResponseFormat,
        tools: Tools,
        tool_choice: str,  # noqa: ARG002  (Ollama has no such parameter)
        extra: Parameters,  # noqa: ARG002  (upstream sends none of them to Ollama)
    ) -> Request:
        from isomem.providers.http import Request

        self.check_messages(messages)
        if response_format and not isinstance(response_format, Mapping):
            raise self.refusal("cannot be sent a response_format that is not a dict")
        wants_json = (response_format or {}).get("type") == "json_object"
        config = self.config
        sampling = (config.temperature, config.max_tokens, config.top_p, config.num_ctx)
        named = zip(("temperature", "num_predict", "top_p", "num_ctx"), sampling, strict=True)
        options = {name: value for name, value in named if value is not None}
        body = {
            "model": config.model,
            "stream": False,
            "options": options,
            **({"format": "json"} if wants_json else {}),
            "messages": asking_for_json(messages) if wants_json else messages,
            "tools": tools or [],
            **({"think": config.think} if config.think is not None else {}),
            **({"keep_alive": config.keep_alive} if config.keep_alive is not None else {}),
        }
        return Request("/api/chat", body)

    def parse(self, answer: object, tools: Tools) -> Reply:
        content = text_of(member(answer, "message", "content"))
        if not tools:
            text: Reply = ended(content, member(answer).get("done_reason"))
            return text
        calls = [_tool_call(call) for call in calls_in(member(answer, "message"))]
        return {"content": content, "tool_calls": calls}


def asking_for_json(messages: list[Message]) -> list[Message]:
    """A copy of `messages` that also asks for JSON in words at its end, as upstream's does."""
    from isomem.prompts import text

    *earlier, last = messages or [{}]
    if last.get("role") == "user" and isinstance(last.get("content"), str):
        return [*earlier, {**last, "content": last["content"] + text("OLLAMA_JSON_SUFFIX")}]
    return [*messages, {"role": "user", "content": text("OLLAMA_JSON_MESSAGE")}]


def _tool_call(call: JsonObject) -> JsonObject:
    function = call.get("function") or {}
    if not isinstance(function, dict):
        raise MissingError("tool_calls[].function")
    return {
        "name": function.get("name", ""),
        "arguments": arguments(function.get("arguments", {})),
    }
