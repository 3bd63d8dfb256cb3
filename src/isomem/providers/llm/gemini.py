"""Google's language models, through the Gemini API."""

from __future__ import annotations

from isomem.options import merged
from isomem.providers import google
from isomem.providers.answers import MissingError, ended, member
from isomem.providers.base import NetworkLLM, required_key
from isomem.providers.settings import environment, first_of, read_settings
from isomem.providers.tables import address_option, key_option, llm_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from isomem.ports.shapes import Message
    from isomem.providers.answers import JsonObject
    from isomem.providers.base import Parameters, Reply, ResponseFormat, Tools
    from isomem.providers.http import Request

ADDRESS_VARIABLE = "GOOGLE_GEMINI_BASE_URL"
_CONFIG = "generationConfig"
_SAMPLING = ("topP", "temperature", "maxOutputTokens", "responseMimeType")
_MODES = {"auto": "AUTO", "any": "ANY"}
"""Any other choice is NONE, as in mem0."""
_ROLES = {"assistant": "model"}


class GeminiLLM(NetworkLLM):
    """A model of the Gemini API.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key.
    """

    name = "gemini"
    default_url = google.GEMINI_URL
    default_model = "gemini-2.0-flash"
    refusable = tuple((_CONFIG, name) for name in _SAMPLING)
    table = merged(
        llm_options(default_model, NetworkLLM.default_timeout_s),
        (
            key_option(*google.GEMINI_KEYS),
            address_option("gemini_base_url", default_url, ADDRESS_VARIABLE),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, "llm.config (gemini)")
        settings.model = settings.model or self.default_model
        url = first_of(settings.gemini_base_url, environment(ADDRESS_VARIABLE), self.default_url)
        key = first_of(settings.api_key, *map(environment, google.GEMINI_KEYS))
        needed = url == self.default_url
        self._key = required_key(self.name, key, google.GEMINI_KEYS[0], needed)
        super().__init__(settings, str(url), None)

    def _all_headers(self, api_key: str | None) -> dict[str, str]:
        return {**super()._all_headers(api_key), **google.key_header(self.name, self._key)}

    def request(
        self,
        messages: list[Message],
        response_format: ResponseFormat,
        tools: Tools,
        tool_choice: str,
        extra: Parameters,  # noqa: ARG002  (upstream takes none)
    ) -> Request:
        from isomem.providers.http import Request

        self.check_messages(messages)
        others = [each for each in messages if each.get("role") != "system"]
        body: dict[str, Any] = {"contents": [_content(each) for each in others]}
        systems = [each for each in messages if each.get("role") == "system"]
        if systems and systems[-1].get("content"):
            body["systemInstruction"] = _content({**systems[-1], "role": "user"})
        if tools:
            body["tools"] = [{"functionDeclarations": [_declared(each) for each in tools]}]
            if tool_choice:
                body["toolConfig"] = {"functionCallingConfig": _calling(tools, tool_choice)}
        body[_CONFIG] = self._generation(response_format)
        path = f"/{google.GEMINI_VERSION}/{google.model_path(self.config.model)}:generateContent"
        return Request(path, body)

    def _generation(self, response_format: ResponseFormat) -> Parameters:
        config = self.config
        given = {
            "temperature": config.temperature,
            "topP": config.top_p,
            "maxOutputTokens": config.max_tokens,
        }
        wanted = response_format if isinstance(response_format, dict) else {}
        if wanted.get("type") == "json_object":
            given["responseMimeType"] = "application/json"
            given["responseSchema"] = _schema(wanted["schema"]) if "schema" in wanted else None
        return {name: value for name, value in given.items() if value is not None}

    def parse(self, answer: object, tools: Tools) -> Reply:
        """The text of the first candidate; "" if a filter left none, as in mem0."""
        blocked = answer.get("promptFeedback") if isinstance(answer, dict) else None
        candidates = answer.get("candidates") if isinstance(answer, dict) else None
        if not isinstance(candidates, list) and (candidates or not blocked):
            raise MissingError("candidates")
        candidate = candidates[0] if candidates else {}
        content = member(candidate).get("content") if isinstance(candidate, dict) else None
        parts = _parts(content)
        if tools:
            calls = [each["functionCall"] for each in parts if "functionCall" in each]
            return {"content": _text(parts) or None, "tool_calls": [_tool_call(c) for c in calls]}
        reason = candidate.get("finishReason") if isinstance(candidate, dict) else None
        if isinstance(blocked, dict) and blocked.get("blockReason"):
            reason = blocked["blockReason"]
        reply: Reply = ended(_text(parts), None if reason == "STOP" else reason)
        return reply


def _content(message: Message) -> JsonObject:
    content = message.get("content")
    texts = content if isinstance(content, list) else [content]
    parts = [{"text": each.get("text") if isinstance(each, dict) else each} for each in texts]
    role = message.get("role")
    return {"parts": parts, "role": _ROLES.get(str(role), role)}


def _declared(tool: Any) -> JsonObject:
    """A tool of OpenAI's form as a function declaration."""
    function = tool.get("function") if isinstance(tool, dict) else None
    function = function if isinstance(function, dict) else {}
    described = {"name": function.get("name"), "description": function.get("description", "")}
    return {**described, "parameters": _schema(function.get("parameters", {}))}


def _schema(schema: Any) -> Any:
    """A JSON schema as Google writes it: types in capitals, no `additionalProperties`."""
    if isinstance(schema, list):
        return [_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.upper() if name == "type" and isinstance(value, str) else _schema(value)
        for name, value in schema.items()
        if name != "additionalProperties"
    }


def _calling(tools: list[dict[str, Any]], choice: object) -> JsonObject:
    mode = _MODES.get(choice, "NONE") if isinstance(choice, str) else "NONE"
    if mode != "ANY":
        return {"mode": mode}
    return {"allowedFunctionNames": [_declared(each)["name"] for each in tools], "mode": mode}


def _parts(content: object) -> list[JsonObject]:
    parts = content.get("parts") if isinstance(content, dict) else None
    given = parts if isinstance(parts, list) else []
    return [each for each in given if isinstance(each, dict) and not each.get("thought")]


def _text(parts: list[JsonObject]) -> str:
    return "".join(each["text"] for each in parts if isinstance(each.get("text"), str))


def _tool_call(call: object) -> JsonObject:
    return {"name": member(call, "name"), "arguments": member(call).get("args") or {}}
