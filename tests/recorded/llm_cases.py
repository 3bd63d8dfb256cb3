"""The language models that are compared, and how ours deliberately differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.recorded.comparison import KEY, Case, Difference, Sent
from tests.recorded.failures import TIMEOUT_S, Outcome
from tests.unit.providers.chats import CITY, anthropic, bedrock, gemini
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
OPENROUTER_BY_NAME = replace(
    OPENROUTER,
    options={"model": "a/b", "site_url": "https://me.example", "app_name": "mine"},
    theirs={"openrouter_base_url": "{url}"},
    ours={"openrouter_base_url": "{url}", "api_key": "sk-or-12345678"},
    mine="openrouter",
)

STRICT_TOOLS = Difference(
    "`openai_structured` with tools",
    "fails unless each tool is marked as `strict`, and never returns a tool call",
    "sends the tools, and returns the text",
)
STRUCTURED = Case(
    "openai_structured",
    openai,
    {"openai_base_url": "{url}", "api_key": KEY},
    same_bytes=True,
    calls=({}, JSON),
)


def azure(name: str, **kwargs: str) -> Case:
    """A deployment of Azure; the version is in the environment."""
    access = {"azure_endpoint": "{url}", "api_key": KEY, **kwargs}
    environment = {"LLM_AZURE_API_VERSION": "2024-10-21"}
    return Case(
        name,
        openai,
        {"azure_kwargs": access},
        environment=environment,
        needs="azure.identity",
        same_bytes=True,
    )


def anthropic_tools(sent: Sent) -> Sent:
    """A request with its tools in Anthropic's form."""
    tool = {key: TOOL[key] for key in ("name", "description")}
    choice = {"type": {"required": "any"}.get(sent.body["tool_choice"], sent.body["tool_choice"])}
    tools = [{**tool, "input_schema": TOOL["parameters"]}]
    return replace(sent, body={**sent.body, "tools": tools, "tool_choice": choice})


def with_calls(text: Any) -> Any:
    """The result that tells of the tool call."""
    return {"content": text, "tool_calls": [{"name": "weather", "arguments": CITY}]}


ANTHROPIC_TOOLS = Difference(
    "`anthropic` with tools",
    "sends them in OpenAI's form, which Anthropic refuses, and returns only text",
    "sends them in Anthropic's form, and returns the calls",
    anthropic_tools,
    with_calls,
)
ANTHROPIC = Case(
    "anthropic",
    anthropic,
    {"api_key": KEY},
    environment={"ANTHROPIC_BASE_URL": "{url}"},
    needs="anthropic",
    of_tools=(ANTHROPIC_TOOLS,),
)


def accepting_json(sent: Sent) -> Sent:
    """The request with the header that says that JSON is expected."""
    return replace(sent, headers={**sent.headers, "accept": "application/json"})


ACCEPT = Difference(
    "`gemini`, `sarvam`, `aws_bedrock`",
    "has `Accept: */*`, or no such header",
    "has `Accept: application/json`",
    accepting_json,
)
GEMINI = Case(
    "gemini",
    gemini,
    {"api_key": KEY},
    environment={"GOOGLE_GEMINI_BASE_URL": "{url}"},
    needs="google.genai",
    differences=(ACCEPT,),
)
SARVAM = Case(
    "sarvam",
    openai,
    {"api_key": KEY},
    environment={"SARVAM_API_BASE": "{url}"},
    differences=(ACCEPT,),
    calls=({}, JSON),
)
SARVAM_TOOLS = Difference("`sarvam` with tools", "does not take any", "sends them")


def bedrock_model(model: str, *differences: Difference, **more: Any) -> Case:
    """A model on Bedrock."""
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret-12345678"}
    return Case(
        "aws_bedrock",
        bedrock,
        {"model": model, **keys},
        environment={"AWS_ENDPOINT_URL": "{url}"},
        needs="boto3",
        differences=differences,
        **more,
    )


def with_content(result: Any) -> Any:
    """The result that also has the text."""
    return {"content": MESSAGES[-1]["content"].upper(), **result}


CONVERSE_TEXT = Difference(
    "`aws_bedrock` with tools",
    "returns the calls without the text beside them",
    "returns both, as every provider does",
    result=with_content,
)
CLAUDE = bedrock_model(
    "anthropic.claude-3-5-sonnet-20240620-v1:0", ACCEPT, of_tools=(CONVERSE_TEXT,)
)


def xai(options: dict[str, Any]) -> Any:
    """Upstream's class for xAI, with the attribute that it asks of its configuration."""
    from mem0.configs.llms.base import BaseLlmConfig
    from mem0.llms.xai import XAILLM

    config = BaseLlmConfig(**options)
    config.xai_base_url = None
    return XAILLM(config)


XAI_TOOLS = Difference(
    "`xai` with tools",
    "does not send them",
    "sends them, and returns the calls",
    lambda sent: replace(sent, body={**sent.body, **TOOLS, "tool_choice": "auto"}),
    with_calls,
)
XAI = Case(
    "xai",
    openai,
    {"api_key": KEY},
    environment={"XAI_API_BASE": "{url}"},
    make=xai,
    calls=({}, JSON, TOOLS),
    of_tools=(XAI_TOOLS,),
)
XAI_BY_NAME = Difference(
    "`xai`",
    "fails when it is made: its configuration lacks an attribute",
    "works",
)

LITELLM = Case(
    "litellm",
    openai,
    {"model": "gpt-4.1-nano"},
    environment={
        "OPENAI_BASE_URL": "{url}",
        "OPENAI_API_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    },
    needs="litellm",
)

MISTRAL = Difference(
    "`aws_bedrock` with Mistral's models",
    "sends a list as `prompt`, which takes a text, and looks for the answer where it is not",
    "uses the Converse API",
    lambda sent: replace(
        sent,
        path=sent.path.replace("/invoke", "/converse"),
        body={
            "messages": [{"role": "user", "content": [{"text": _USER}]}],
            "inferenceConfig": {"maxTokens": 2000, "temperature": 0.1},
            "system": [{"text": _SYSTEM}],
        },
    ),
    lambda _: _USER.upper(),
)
LOST_REPLIES = Difference(
    "`aws_bedrock` with models of Amazon (Titan), Cohere and AI21",
    'looks for the text elsewhere, and returns "" or "Error parsing response"',
    "returns the text",
    result=lambda _: PROMPTS_IN_CAPITALS["dialogue"],
)
LOST_REPLIES_OF_COHERE = replace(LOST_REPLIES, result=lambda _: PROMPTS_IN_CAPITALS["lines"])
_SYSTEM, _USER = (message["content"] for message in MESSAGES)
PROMPTS_IN_CAPITALS = {
    "lines": f"System: {_SYSTEM}\nUser: {_USER}".upper(),
    "dialogue": f"\n\nHuman: \n\nSystem: {_SYSTEM}\n\nUser: {_USER}\n\nAssistant:".upper(),
}

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
    azure("azure_openai", azure_deployment="d-1"),
    azure("azure_openai"),
    azure("azure_openai").with_(model="o3-mini", reasoning_effort="low"),
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
    OPENROUTER_BY_NAME,
    STRUCTURED,
    STRUCTURED.with_(model="o3-mini", temperature=0),
    SARVAM,
    SARVAM.with_(model={"name": "sarvam-2", "seed": 7, "n": 1}, **UNSET),
    LITELLM,
    azure("azure_openai_structured", azure_deployment="d-1"),
    azure("azure_openai_structured").with_(NONE, model="o3-mini", **UNSET),
    ANTHROPIC,
    ANTHROPIC.with_(model="claude-x", temperature=None, top_p=0.3),
    GEMINI,
    GEMINI.with_(model="models/gemini-2.5-pro", **UNSET),
    XAI,
    CLAUDE,
    CLAUDE.with_(top_p=0.4, model_kwargs={"max_tokens": 7}),
    replace(bedrock_model("amazon.titan-text-lite-v1", LOST_REPLIES), calls=({}, JSON)),
    bedrock_model("ai21.j2-mid", LOST_REPLIES),
    replace(
        bedrock_model("cohere.command-r-v1:0", LOST_REPLIES_OF_COHERE).with_(top_p=0.4),
        calls=({}, JSON),
    ),
    replace(bedrock_model("cohere.embed-like"), calls=({}, JSON)),
    bedrock_model("deepseek.r1-v1:0"),
    bedrock_model("mistral.mistral-7b-instruct-v0:2", MISTRAL),
    bedrock_model("minimax.minimax-m2.5", ACCEPT),
    bedrock_model("meta.llama3-8b-instruct-v1:0").with_(top_p=0.4),
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

NOVA = Difference(
    "`aws_bedrock` with Amazon's models and tools, and with Nova always",
    "fails: the SDK refuses messages whose content is text",
    "uses the Converse API as AWS documents it",
)
FAILING: list[tuple[Case, dict[str, Any], str, Difference]] = [
    (STRUCTURED, TOOLS, "ValueError", STRICT_TOOLS),
    (SARVAM, TOOLS, "TypeError", SARVAM_TOOLS),
    (bedrock_model("amazon.nova-lite-v1:0"), {}, "RuntimeError", NOVA),
    (bedrock_model("amazon.nova-lite-v1:0"), TOOLS, "RuntimeError", NOVA),
    (bedrock_model("amazon.titan-text-lite-v1"), TOOLS, "RuntimeError", NOVA),
    (OPENROUTER.with_(models=["a/b", "c/d"]), {}, "TypeError", OPENROUTER_MODELS),
]
"""Calls that upstream's class cannot make, and its error; ours can."""


def hurried(theirs: Any) -> None:
    """Gives the client of one of the SDKs that are made alike a short timeout."""
    theirs.client = theirs.client.with_options(timeout=TIMEOUT_S)


def hurried_ollama(theirs: Any) -> None:
    """The same for Ollama's."""
    theirs.client._client.timeout = TIMEOUT_S


def hurried_gemini(theirs: Any) -> None:
    """The same for Google's, in milliseconds."""
    theirs.client._api_client._http_options.timeout = int(TIMEOUT_S * 1000)


def hurried_bedrock(theirs: Any) -> None:
    """The same for Amazon's."""
    import boto3
    from botocore.config import Config

    config = Config(read_timeout=TIMEOUT_S)
    theirs.client = boto3.client("bedrock-runtime", config=config, **theirs.config.get_aws_config())


def hurried_sarvam(monkeypatch: Any) -> None:
    """The same for a class that calls `requests` itself."""
    import requests

    post = requests.post
    monkeypatch.setattr(requests, "post", lambda *a, **k: post(*a, **{**k, "timeout": TIMEOUT_S}))


def hurried_litellm(monkeypatch: Any) -> None:
    """The same for LiteLLM, which then is also ours."""
    import litellm

    monkeypatch.setattr(litellm, "request_timeout", TIMEOUT_S)


ONE_OF_EACH = [
    *(
        replace(case, prepare=hurried)
        for case in (
            *(OPENAI, OPENROUTER_BY_NAME, STRUCTURED, GROQ, TOGETHER, XAI, ANTHROPIC),
            *(of_openai(name) for name in ("deepseek", "minimax", "vllm", "lmstudio")),
            *(azure("azure_openai"), azure("azure_openai_structured")),
        )
    ),
    replace(CLAUDE, prepare=hurried_bedrock),
    replace(GEMINI, prepare=hurried_gemini),
    replace(LITELLM, patch=hurried_litellm),
    replace(OLLAMA, prepare=hurried_ollama),
    replace(SARVAM, patch=hurried_sarvam),
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

OF_BEDROCK: dict[str, Outcome] = {
    "401": ("RuntimeError", 1),
    "429": ("RuntimeError", 3),
    "500": ("RuntimeError", 3),
    "timeout": ("RuntimeError", 3),
    "HTML": ("returns a str", 1),
    "truncated JSON": ("returns a str", 1),
    "error in a 200": ("returns a str", 1),
}
"""The text is that of the answer's Python object."""

OF_GEMINI: dict[str, Outcome] = {
    "401": ("ClientError", 1),
    "429": ("ClientError", 1),
    "500": ("ServerError", 1),
    "timeout": ("ReadTimeout", 1),
    "HTML": ("JSONDecodeError", 1),
    "truncated JSON": ("JSONDecodeError", 1),
    "error in a 200": ("returns a str", 1),
}
"""The text is empty."""

OF_LITELLM: dict[str, Outcome] = {
    "401": ("AuthenticationError", 1),
    "429": ("RateLimitError", 3),
    "500": ("InternalServerError", 3),
    "timeout": ("Timeout", 3),
    "HTML": ("InternalServerError", 1),
    "truncated JSON": ("InternalServerError", 1),
    "error in a 200": ("APIError", 1),
}

OF_SARVAM: dict[str, Outcome] = {
    **dict.fromkeys(OF_SDK, ("RuntimeError", 1)),
    "error in a 200": ("ValueError", 1),
}

UPSTREAMS_FAILURES: dict[str, dict[str, Outcome]] = {
    **{case.name: OF_SDK for case in ONE_OF_EACH},
    "aws_bedrock": OF_BEDROCK,
    "gemini": OF_GEMINI,
    "litellm": OF_LITELLM,
    "ollama": OF_OLLAMA,
    "sarvam": OF_SARVAM,
}
"""What comes of each fault in upstream's own class."""


def roles_of_google(sent: Sent) -> Sent:
    """The request with Google's name for the role of the model."""
    contents = [
        {**each, "role": "model" if each["role"] == "assistant" else each["role"]}
        for each in sent.body["contents"]
    ]
    return replace(sent, body={**sent.body, "contents": contents})


GEMINI_ROLES = Difference(
    "`gemini` with an answer of the model among the messages",
    'sends its role as "assistant", which Google refuses',
    'sends it as "model"',
    roles_of_google,
)
TEXTS_OF_ANTHROPIC = Difference(
    "`anthropic` with a reply in several texts",
    "returns the first of them; fails if reasoning comes first",
    "returns all of the text, without the reasoning",
    result=lambda _: "Grüezi",
)
TEXTS_OF_GEMINI = Difference(
    "`gemini` with a reply in several parts",
    "returns the first of them",
    "returns all of the text, without the reasoning",
    result=lambda _: "Grüezi",
)
PARTS = Difference(
    "OpenAI and the services of its protocol with a reply in parts",
    "returns the list of parts, which `add` cannot read",
    "returns the text in them",
    result=lambda _: "Grüezi",
)
NO_TEXT = Difference(
    "`aws_bedrock` with an answer of another shape",
    "returns the answer itself, written as a Python object",
    "raises an `LLMError`; see below",
)
IN_PLACE = Difference(
    "`azure_openai`, `azure_openai_structured`, `ollama`",
    "change the caller's list of messages",
    "change a copy",
)
DIALOGUE = [*MESSAGES, {"role": "assistant", "content": "Hoi"}, MESSAGES[-1]]
TWO_TEXTS = [{"type": "text", "text": "Grü"}, {"type": "text", "text": "ezi"}]
REPLIES: list[tuple[Case, list[dict[str, Any]], Any, Difference]] = [
    (GEMINI, DIALOGUE, None, GEMINI_ROLES),
    (
        ANTHROPIC,
        DIALOGUE,
        {"type": "message", "content": TWO_TEXTS, "stop_reason": "end_turn"},
        TEXTS_OF_ANTHROPIC,
    ),
    (
        GEMINI,
        MESSAGES,
        {"candidates": [{"content": {"parts": [{"text": each["text"]} for each in TWO_TEXTS]}}]},
        TEXTS_OF_GEMINI,
    ),
    (
        OPENAI,
        MESSAGES,
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": TWO_TEXTS}}]},
        PARTS,
    ),
]
"""Messages and answers that are particular to one difference."""
