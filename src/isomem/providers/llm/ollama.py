"""Ollama's chat API."""

from __future__ import annotations

from isomem.options import merged
from isomem.providers import ollama
from isomem.providers.answers import MissingError, arguments, calls_in, ended, member
from isomem.providers.base import NetworkLLM
from isomem.providers.settings import read_settings
from isomem.providers.tables import llm_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from isomem.ports.shapes import Message
    from isomem.providers.http import Request


class OllamaLLM(NetworkLLM):
    """A model served by Ollama. The model must have been pulled.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is not known.
    """

    name = "ollama"
    default_url = ollama.DEFAULT_URL
    default_model = "llama3.1:70b"
    table = merged(llm_options(default_model, NetworkLLM.default_timeout_s), ollama.OPTIONS)

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
        response_format: Any,
        tools: list[dict[str, Any]] | None,
        tool_choice: str,  # noqa: ARG002  (Ollama has no such parameter)
        extra: dict[str, Any],  # noqa: ARG002  (upstream sends none of them to Ollama)
    ) -> Request:
        from isomem.providers.http import Request

        wants_json = response_format and response_format.get("type") == "json_object"
        config = self.config
        sampling = (config.temperature, config.max_tokens, config.top_p)
        options = dict(zip(("temperature", "num_predict", "top_p"), sampling, strict=True))
        body = {
            "model": config.model,
            "stream": False,
            "options": options,
            **({"format": "json"} if wants_json else {}),
            "messages": asking_for_json(messages) if wants_json else messages,
            "tools": tools or [],
        }
        return Request("/api/chat", body)

    def parse(self, answer: Any, tools: list[dict[str, Any]] | None) -> Any:
        content = member(answer, "message", "content")
        if not tools:
            return ended(content, answer.get("done_reason"))
        calls = [_tool_call(call) for call in calls_in(answer["message"])]
        return {"content": content, "tool_calls": calls}


def asking_for_json(messages: list[Message]) -> list[Message]:
    """A copy of `messages` whose end also asks in words for JSON, as upstream's does."""
    from isomem.prompts import text

    *earlier, last = messages or [{"role": None}]
    if last["role"] == "user":
        return [*earlier, {**last, "content": last["content"] + text("OLLAMA_JSON_SUFFIX")}]
    return [*messages, {"role": "user", "content": text("OLLAMA_JSON_MESSAGE")}]


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    if not isinstance(function, dict):
        raise MissingError("tool_calls[].function")
    return {
        "name": function.get("name", ""),
        "arguments": arguments(function.get("arguments", {})),
    }
