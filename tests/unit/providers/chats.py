"""What Anthropic, Google and Amazon's language models answer, on the loopback interface.

Each says the last message in capitals; given tools, it also calls the first for the city of Bern.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.unit.providers.servers import KEY, Seen, Usual, ollama, openai

CITY = {"city": "Bern"}


def last_text(content: Any) -> str:
    """The text of a message, which may be in parts."""
    return content if isinstance(content, str) else "".join(each["text"] for each in content)


def anthropic(seen: Seen) -> Any:
    """Anthropic's messages API."""
    body = seen.body
    text = last_text(body["messages"][-1]["content"]).upper()
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if body.get("tools"):
        name = body["tools"][0].get("name", "weather")
        blocks.append({"type": "tool_use", "id": "1", "name": name, "input": CITY})
    usage = {"input_tokens": 11, "output_tokens": 3}
    kind = {"id": "x", "type": "message", "role": "assistant", "model": "m"}
    return {
        **kind, "content": blocks, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def gemini(seen: Seen) -> Any:
    """The Gemini API's generateContent."""
    body = seen.body
    parts: list[dict[str, Any]] = [{"text": last_text(body["contents"][-1]["parts"]).upper()}]
    if body.get("tools"):
        name = body["tools"][0]["functionDeclarations"][0]["name"]
        parts.append({"functionCall": {"name": name, "args": CITY}})
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 3, "totalTokenCount": 14}
    return {"candidates": [candidate], "usageMetadata": usage}


def bedrock(seen: Seen) -> Any:
    """Bedrock's Converse API, and the forms of some makers."""
    body = seen.body
    if not seen.path.endswith("/converse"):
        return _of_maker(body, seen.path)
    content: list[dict[str, Any]] = [{"text": last_text(body["messages"][-1]["content"]).upper()}]
    if body.get("toolConfig"):
        name = body["toolConfig"]["tools"][0]["toolSpec"]["name"]
        content.append({"toolUse": {"toolUseId": "1", "name": name, "input": CITY}})
    usage = {"inputTokens": 11, "outputTokens": 3, "totalTokens": 14}
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 1},
    }


def _of_maker(body: Any, path: str) -> Any:
    if "meta." in path:
        return {"generation": body["prompt"].upper(), "prompt_token_count": 11}
    if "titan" in path:
        return {"results": [{"outputText": body["inputText"].upper()}]}
    if "cohere" in path:
        text = body.get("message", body.get("prompt")).upper()
        return {"text": text} if "message" in body else {"generations": [{"text": text}]}
    if "ai21" in path:
        return {"completions": [{"data": {"text": body["prompt"].upper()}}]}
    return {"completion": str(body["prompt"]).upper()}


# --- What differs between the protocols, for tests that are about all of them ----------------


class Protocol(NamedTuple):
    """How a language model's server is spoken to.

    Attributes:
        usual: what it answers.
        saying: an answer with a content, which may be a list of parts, that ended for a reason.
        key: what of the headers of a request shows the key.
        empty: what comes of an answer without text.
        library: needed by the provider.
        model: the name of a model.
    """

    usual: Usual
    saying: Callable[..., Any]
    key: Callable[[dict[str, str]], str] = lambda headers: headers["authorization"]
    empty: str | None = None
    library: str = "httpx"
    model: str = "m-1"


def _openai_saying(content: Any, reason: str | None, **message: Any) -> Any:
    said = {"role": "assistant", "content": content, **message}
    return {"choices": [{"index": 0, "message": said, "finish_reason": reason}]}


def _ollama_saying(content: Any, reason: str | None, **message: Any) -> Any:
    said = {"role": "assistant", "content": content, **message}
    return {"message": said, "done_reason": reason}


def _blocks(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [] if content is None else [{"type": "text", "text": content}]


def _anthropic_saying(content: Any, reason: str | None) -> Any:
    return {"content": _blocks(content), "stop_reason": reason}


def _gemini_saying(content: Any, reason: str | None) -> Any:
    return {"candidates": [{"content": {"parts": _blocks(content)}, "finishReason": reason}]}


def _bedrock_saying(content: Any, reason: str | None) -> Any:
    return {"output": {"message": {"content": _blocks(content)}}, "stopReason": reason}


_OPENAI = Protocol(openai, _openai_saying)
_AZURE = _OPENAI._replace(key=lambda headers: f"Bearer {headers['api-key']}")
_PROTOCOLS = {
    "anthropic": Protocol(
        anthropic, _anthropic_saying, lambda headers: f"Bearer {headers['x-api-key']}"
    ),
    "aws_bedrock": Protocol(
        *(bedrock, _bedrock_saying, lambda _: f"Bearer {KEY}", "", "botocore", "anthropic.m-1")
    ),
    "azure_openai": _AZURE,
    "azure_openai_structured": _AZURE,
    "gemini": Protocol(
        gemini, _gemini_saying, lambda headers: f"Bearer {headers['x-goog-api-key']}", ""
    ),
    "ollama": Protocol(ollama, _ollama_saying),
}


def protocol(name: str) -> Protocol:
    """How the servers of a provider are spoken to."""
    return _PROTOCOLS.get(name, _OPENAI)


def access(name: str, url: str, key: str = KEY) -> dict[str, Any]:
    """The options of a provider that say where it is, and with which key."""
    if name.startswith("azure"):
        return {"azure_kwargs": {"azure_endpoint": url, "api_key": key, "api_version": "1"}}
    if name == "aws_bedrock":
        keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": key}
        return {"aws_bedrock_base_url": url, **keys}
    option = "openai_base_url" if name == "openai_structured" else f"{name}_base_url"
    return {option: url, "api_key": key}
