"""Anthropic's messages API."""

from __future__ import annotations

from isomem.options import Option, merged, number, optional
from isomem.providers.answers import MissingError, ended, member
from isomem.providers.base import NetworkLLM, required_key
from isomem.providers.headers import sendable
from isomem.providers.refusals import SAMPLING
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

VERSION = "2023-06-01"
_KEY, _ADDRESS = "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"


class AnthropicLLM(NetworkLLM):
    """Claude, or a gateway that speaks Anthropic's protocol.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key for api.anthropic.com.
    """

    name = "anthropic"
    default_url = "https://api.anthropic.com"
    default_model = "claude-3-5-sonnet-20240620"
    refusable = SAMPLING
    table = merged(
        llm_options(default_model, NetworkLLM.default_timeout_s),
        (
            Option(
                "top_p",
                None,
                optional(number(0, 1)),
                "sent only if `temperature` is None: Anthropic refuses both together",
            ),
            key_option(_KEY),
            address_option("anthropic_base_url", default_url, _ADDRESS),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, "llm.config (anthropic)")
        settings.model = settings.model or self.default_model
        url = first_of(settings.anthropic_base_url, environment(_ADDRESS), self.default_url)
        key = first_of(settings.api_key, environment(_KEY))
        needed = url == self.default_url
        super().__init__(settings, str(url), required_key(self.name, key, _KEY, needed))

    def _all_headers(self, api_key: str | None) -> dict[str, str]:
        own = {"anthropic-version": VERSION}
        if api_key:
            own["x-api-key"] = sendable(api_key, f"{self.name}: api_key")
        given = super()._all_headers(None)
        return {**{key: item for key, item in given.items() if key.lower() not in own}, **own}

    def request(
        self,
        messages: list[Message],
        response_format: ResponseFormat,  # noqa: ARG002  (upstream sends none either)
        tools: Tools,
        tool_choice: str,
        extra: Parameters,
    ) -> Request:
        from isomem.providers.http import Request

        parameters = {**self._sampling(), **extra}
        timeout = parameters.pop("timeout", None)
        body, headers, query = self.extras(parameters)
        self.check_messages(messages)
        system, others = split_system(messages)
        parameters.update(model=self.config.model, messages=others, system=system)
        if tools:
            parameters.update(tools=[_tool(each) for each in tools])
            parameters.update(tool_choice=_choice(tool_choice))
        return Request("/v1/messages", {**parameters, **body}, headers, query, timeout)

    def _sampling(self) -> Parameters:
        config = self.config
        sampling = {"temperature": config.temperature}
        if config.temperature is None:
            sampling = {"top_p": config.top_p}
        common = {"max_tokens": config.max_tokens, **sampling}
        return {name: value for name, value in common.items() if value is not None}

    def parse(self, answer: object, tools: Tools) -> Reply:
        blocks = member(answer, "content")
        if not isinstance(blocks, list):
            raise MissingError("content")
        text = joined(blocks)
        if not tools:
            reply: Reply = ended(text, member(answer).get("stop_reason"))
            return reply
        calls = [each for each in blocks if _type(each) == "tool_use"]
        return {"content": text, "tool_calls": [_tool_call(each) for each in calls]}


def split_system(messages: list[Message]) -> tuple[Any, list[Message]]:
    """The content of the last system message, "" if there is none, and all other messages."""
    system: Any = ""
    others = []
    for each in messages:
        if each.get("role") == "system":
            system = each.get("content")
        else:
            others.append(each)
    return system, others


def joined(blocks: list[object]) -> str | None:
    """The text of all blocks that are text; None if there is none."""
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and _is_text(block)]
    return "".join(text for text in texts if isinstance(text, str)) if texts else None


def _is_text(block: JsonObject) -> bool:
    return block.get("type", "text") == "text" and isinstance(block.get("text"), str)


def _type(block: object) -> object:
    return block.get("type") if isinstance(block, dict) else None


def _tool(tool: Any) -> Any:
    """A tool in Anthropic's form; one that is not in OpenAI's is sent as it is."""
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        return tool
    described = {key: function[key] for key in ("name", "description") if key in function}
    return {**described, "input_schema": function.get("parameters") or {"type": "object"}}


def _choice(choice: object) -> object:
    """OpenAI's `tool_choice` in Anthropic's form."""
    if isinstance(choice, str):
        return {"type": "any" if choice == "required" else choice}
    function = choice.get("function") if isinstance(choice, dict) else None
    return {"type": "tool", "name": function.get("name")} if isinstance(function, dict) else choice


def _tool_call(block: object) -> JsonObject:
    return {"name": member(block, "name"), "arguments": member(block, "input")}
