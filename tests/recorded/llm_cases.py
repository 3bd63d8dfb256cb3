"""The language models that are compared, and how ours deliberately differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.recorded.comparison import KEY, Case, Difference, Sent
from tests.recorded.failures import TIMEOUT_S, Outcome
from tests.unit.providers.servers import ollama, openai

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": 'Grüezi, "東京" 🗼\n\t\\'},
]
JSON = {"response_format": {"type": "json_object"}}
TOOL = {
    "name": "weather",
    "description": "Looks it up",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "where"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TOOLS = {"tools": [{"type": "function", "function": TOOL}]}
CALLS: list[dict[str, Any]] = [{}, JSON, TOOLS, {**TOOLS, **JSON, "tool_choice": "required"}]
EXTRA: list[dict[str, Any]] = [
    {"seed": 7, "stop": ["x"]},
    {"temperature": 0.9},
    {"extra_query": {"v": "1"}, "timeout": 30},
    {"extra_headers": {"X-Team": "blue"}, "extra_body": {"min_p": 0.1}},
]
"""Arguments that only some of upstream's classes take."""


def without_none(sent: Sent) -> Sent:
    """The request without what is null in its body."""
    return replace(sent, body={key: item for key, item in sent.body.items() if item is not None})


def without_nulls_in_options(sent: Sent) -> Sent:
    """The request without what is null in Ollama's `options`."""
    options = {key: item for key, item in sent.body["options"].items() if item is not None}
    return replace(sent, body={**sent.body, "options": options})


NONE = Difference(
    "OpenAI and the services of its protocol",
    "sends `null` for an option that is None",
    "leaves it out: many models and gateways refuse `null`",
    without_none,
)
NONE_OLLAMA = Difference(
    "`ollama`",
    "sends `null` for an option that is None",
    "leaves it out",
    without_nulls_in_options,
)

TOOL_SCHEMA = Difference(
    "`ollama` with tools",
    "the SDK drops what it does not know of a tool's schema, such as `additionalProperties`",
    "sends the schema as it is given",
    lambda sent: replace(sent, body={**sent.body, "tools": TOOLS["tools"]}),
)

UNSET = {"temperature": None, "max_tokens": None, "top_p": None}


def of_openai(name: str, **more: Any) -> Case:
    """A service of OpenAI's protocol whose address is an option."""
    options = {f"{name}_base_url": "{url}", "api_key": KEY}
    return Case(name, openai, options, same_bytes=True, **more)


OPENAI = of_openai("openai")
OPENROUTER = Case(
    "openai",
    openai,
    {"openrouter_base_url": "{url}", "store": True},
    environment={"OPENROUTER_API_KEY": "sk-or-12345678"},
)
OLLAMA = Case(
    "ollama", ollama, {"ollama_base_url": "{url}"}, needs="ollama", of_tools=(TOOL_SCHEMA,)
)
GROQ = Case("groq", openai, {"api_key": KEY}, environment={"GROQ_BASE_URL": "{url}"}, needs="groq")
TOGETHER = Case(
    "together",
    openai,
    {"api_key": KEY},
    ours={"together_base_url": "{url}/v1"},
    environment={"TOGETHER_BASE_URL": "{url}"},
    needs="together",
)

WITH_EXTRA = [
    OPENAI,
    OPENAI.with_(model="gpt-4.1-nano", temperature=0),
    OPENAI.with_(NONE, model="gpt-4.1-nano", **UNSET),
    OPENAI.with_(model="o3-mini", reasoning_effort="low"),
    OPENAI.with_(model="Openai/O1-2024-12-17", store=True),
    OPENAI.with_(model="gpt-5", store=False),
    of_openai("deepseek"),
    of_openai("minimax"),
    of_openai("vllm"),
    of_openai("lmstudio"),
]
"""Cases whose classes send any further argument of a call."""

CASES = [
    OPENAI.with_(model="gpt-5.4-mini", top_p=1.0, top_k=5),
    OPENROUTER,
    OPENROUTER.with_(site_url="https://me.example", app_name="mine"),
    of_openai("lmstudio").with_(lmstudio_response_format={"type": "text"}),
    GROQ,
    GROQ.with_(NONE, model="m-1", **UNSET),
    TOGETHER,
    OLLAMA,
    OLLAMA.with_(model="qwen3:8b", temperature=0.5, max_tokens=17),
    OLLAMA.with_(NONE_OLLAMA, top_p=None),
]
"""The other cases."""

OPENROUTER_MODELS = Difference(
    "OpenRouter with `models`",
    "fails: the SDK insists on the `model` that is left out",
    "sends `models` and `route`",
)

FAILING: list[tuple[Case, dict[str, Any], str, Difference]] = [
    (OPENROUTER.with_(models=["a/b", "c/d"]), {}, "TypeError", OPENROUTER_MODELS),
]
"""Calls that upstream's class cannot make, and its error; ours can."""


def hurried(theirs: Any) -> None:
    """Gives the client of one of the SDKs that are made alike a short timeout."""
    theirs.client = theirs.client.with_options(timeout=TIMEOUT_S)


def hurried_ollama(theirs: Any) -> None:
    """The same for Ollama's."""
    theirs.client._client.timeout = TIMEOUT_S


ONE_OF_EACH = [
    *(replace(case, prepare=hurried) for case in (OPENAI, GROQ, TOGETHER)),
    *(replace(of_openai(name), prepare=hurried) for name in ("deepseek", "minimax", "vllm")),
    replace(of_openai("lmstudio"), prepare=hurried),
    replace(OLLAMA, prepare=hurried_ollama),
]
"""One case of each provider, whose upstream's client gives up early."""

OF_SDK: dict[str, Outcome] = {
    "401": ("AuthenticationError", 1),
    "429": ("RateLimitError", 3),
    "500": ("InternalServerError", 3),
    "timeout": ("APITimeoutError", 3),
    "HTML": ("AttributeError", 1),
    "truncated JSON": ("JSONDecodeError", 1),
    "error in a 200": ("TypeError", 1),
}
"""Of OpenAI's SDK, and of those that are made like it."""

OF_OLLAMA: dict[str, Outcome] = {
    "401": ("ResponseError", 1),
    "429": ("ResponseError", 1),
    "500": ("ResponseError", 1),
    "timeout": ("ReadTimeout", 1),
    "HTML": ("JSONDecodeError", 1),
    "truncated JSON": ("JSONDecodeError", 1),
    "error in a 200": ("ValidationError", 1),
}

UPSTREAMS_FAILURES = {
    **{case.name: OF_SDK for case in ONE_OF_EACH},
    "ollama": OF_OLLAMA,
}
"""What comes of each fault in upstream's own class."""
