"""The options of models, embedders and rerankers as mem0's classes: `mem0.configs.llms` and so on.

Each class is a row: which options it has beside those of its base, and their defaults.
"""

from __future__ import annotations

import os
from abc import ABC

from isomem.compat.records import Record
from isomem.compat.sections import AzureConfig
from isomem.providers.tables import LMSTUDIO_URL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inspect import Signature
    from typing import Any, ClassVar


class _Signed:
    """The signature of a class, made when it is asked for: `inspect` is expensive to import."""

    def __get__(self, _made: object, kind: type[_Keyed]) -> Signature:
        if kind.__init__.__module__ != __name__:
            raise AttributeError("a class with a constructor of its own has its signature")
        from inspect import Parameter, Signature

        return Signature(
            [
                Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)
                for name, default in kind.defaults.items()
            ]
        )


class _Keyed(ABC):  # noqa: B024 - as in mem0, where programs use the metaclass
    """An object with one attribute for each option.

    Args:
        *values: in the order of `defaults`.
        **options: by name.

    Raises:
        TypeError: an option is unknown, or given twice.
    """

    defaults: ClassVar[dict[str, Any]] = {}
    always: ClassVar[dict[str, Any]] = {}
    """Attributes of objects whose class does not take them as options."""

    __signature__ = _Signed()

    def __init__(self, *values: object, **options: object) -> None:
        title = f"{type(self).__name__}.__init__()"
        names = [*self.defaults]
        if len(values) > len(names):
            raise TypeError(f"{title} takes at most {len(names)} options, not {len(values)}")
        for name, value in zip(names, values, strict=False):
            if name in options:
                raise TypeError(f"{title} got multiple values for argument {name!r}")
            options[name] = value
        for name in options:
            if name not in self.defaults:
                raise TypeError(f"{title} got an unexpected keyword argument {name!r}")
        self.__dict__.update({**self.always, **self.defaults, **options})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(vars(self))})"  # Values can be keys.


class _Proxied(_Keyed):
    """Options of what goes over the network, perhaps through a proxy."""

    http_client_proxies: Any

    @property
    def http_client(self) -> object:
        """The `httpx.Client` for the proxies, or None if there are none."""
        if not self.http_client_proxies:
            return None
        import httpx

        given = self.http_client_proxies
        if not isinstance(given, dict):
            return httpx.Client(proxy=given)
        mounts = {pattern: httpx.HTTPTransport(proxy=proxy) for pattern, proxy in given.items()}
        return httpx.Client(mounts=mounts)


def _azure(given: object) -> AzureConfig:
    return given if isinstance(given, AzureConfig) else AzureConfig.model_validate(given or {})


# --- Models ----------------------------------------------------------------------------------

_SHARED: dict[str, Any] = {
    "model": None,
    "temperature": 0.1,
    "api_key": None,
    "max_tokens": 2000,
    "top_p": 0.1,
    "top_k": 1,
    "enable_vision": False,
    "vision_details": "auto",
    "http_client_proxies": None,
}


def _and_effort(own: dict[str, Any]) -> dict[str, Any]:
    *first, last = _SHARED.items()
    return {**dict(first), "reasoning_effort": None, **dict([last]), **own}


class BaseLlmConfig(_Proxied):
    """The options of every model."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    defaults = _and_effort({})
    always: ClassVar[dict[str, Any]] = {"reasoning_effort": None}

    def __init__(self, *values: object, **options: object) -> None:
        super().__init__(*values, **options)
        if "azure_kwargs" in self.defaults:
            self.azure_kwargs: Any = _azure(vars(self)["azure_kwargs"])


_LLMS: dict[str, dict[str, Any]] = {
    "AnthropicConfig": {**_SHARED, "top_p": None, "anthropic_base_url": None},
    "AzureOpenAIConfig": _and_effort({"azure_kwargs": None}),
    "DeepSeekConfig": {**_SHARED, "deepseek_base_url": None},
    "LMStudioConfig": {**_SHARED, "lmstudio_base_url": None, "lmstudio_response_format": None},
    "MinimaxConfig": {**_SHARED, "minimax_base_url": None},
    "OllamaConfig": {**_SHARED, "ollama_base_url": None},
    "OpenAIConfig": _and_effort(
        {
            "openai_base_url": None,
            "models": None,
            "route": "fallback",
            "openrouter_base_url": None,
            "site_url": None,
            "app_name": None,
            "store": None,
            "response_callback": None,
        }
    ),
    "VllmConfig": {**_SHARED, "vllm_base_url": None},
}


class AWSBedrockConfig(BaseLlmConfig):
    """The options of models on Amazon Bedrock; those of `BaseLlmConfig` are accepted, too."""

    defaults: ClassVar[dict[str, Any]] = {
        "model": None,
        "temperature": 0.1,
        "max_tokens": 2000,
        "top_p": None,
        "top_k": 1,
        "aws_access_key_id": None,
        "aws_secret_access_key": None,
        "aws_region": "",
        "aws_session_token": None,
        "aws_profile": None,
        "model_kwargs": None,
        "api_key": None,
        "enable_vision": False,
        "vision_details": "auto",
        "reasoning_effort": None,
        "http_client_proxies": None,
    }

    def __init__(self, *values: object, **options: object) -> None:
        super().__init__(*values, **options)
        given = vars(self)
        self.model: str = given["model"] or "anthropic.claude-3-5-sonnet-20240620-v1:0"
        self.aws_region: str = given["aws_region"] or os.environ.get("AWS_REGION", "us-west-2")
        self.model_kwargs: dict[str, Any] = given["model_kwargs"] or {}

    @property
    def provider(self) -> str:
        """The maker of the model: what stands before the first dot of its name."""
        return self.model.split(".")[0] if "." in self.model else "unknown"

    @property
    def model_name(self) -> str:
        """The model without its maker."""
        return self.model.partition(".")[2] or self.model

    def get_model_config(self) -> dict[str, Any]:
        """What is sent with each request."""
        names = ("temperature", "max_tokens", "top_k", "top_p")
        sent = {
            name: vars(self)[name] for name in names if name != "top_p" or self.top_p is not None
        }
        return {**sent, **self.model_kwargs}

    def get_aws_config(self) -> dict[str, Any]:
        """Region and credentials, under the names of boto3."""
        names = {
            "aws_access_key_id": "aws_access_key_id",
            "aws_secret_access_key": "aws_secret_access_key",
            "aws_session_token": "aws_session_token",
            "aws_profile": "profile_name",
        }
        given = {boto: vars(self)[name] for name, boto in names.items() if vars(self)[name]}
        return {"region_name": self.aws_region, **given}


# --- Embedders -------------------------------------------------------------------------------


class BaseEmbedderConfig(_Proxied):
    """The options of every embedder."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    defaults: ClassVar[dict[str, Any]] = {
        "model": None,
        "api_key": None,
        "embedding_dims": None,
        "ollama_base_url": None,
        "openai_base_url": None,
        "model_kwargs": None,
        "huggingface_base_url": None,
        "azure_kwargs": {},
        "http_client_proxies": None,
        "vertex_credentials_json": None,
        "memory_add_embedding_type": None,
        "memory_update_embedding_type": None,
        "memory_search_embedding_type": None,
        "output_dimensionality": None,
        "lmstudio_base_url": LMSTUDIO_URL,
        "aws_access_key_id": None,
        "aws_secret_access_key": None,
        "aws_region": None,
    }

    def __init__(self, *values: object, **options: object) -> None:
        super().__init__(*values, **options)
        given = vars(self)
        region = given["aws_region"] or os.environ.get("AWS_REGION") or "us-west-2"
        self.model_kwargs: dict[str, Any] = given["model_kwargs"] or {}
        self.azure_kwargs: AzureConfig = _azure(given["azure_kwargs"])
        self.aws_region: str = region


# --- Rerankers -------------------------------------------------------------------------------


class BaseRerankerConfig(Record):
    """The options of every reranker."""

    provider: str | None = None
    model: str | None = None
    api_key: str | None = None
    top_k: int | None = None


class CohereRerankerConfig(BaseRerankerConfig):
    """The options of Cohere's rerankers."""

    model: str | None = "rerank-english-v3.0"
    return_documents: bool = False
    max_chunks_per_doc: int | None = None


class HuggingFaceRerankerConfig(BaseRerankerConfig):
    """The options of a reranker from Hugging Face."""

    model: str | None = "BAAI/bge-reranker-base"
    device: str | None = None
    batch_size: int = 32
    max_length: int = 512
    normalize: bool = True


class LLMRerankerConfig(BaseRerankerConfig):
    """The options of a reranker that asks a model."""

    model: str = "gpt-4o-mini"
    provider: str = "openai"
    temperature: float = 0.0
    max_tokens: int = 100
    scoring_prompt: str | None = None
    llm: dict[str, Any] | None = None


class SentenceTransformerRerankerConfig(BaseRerankerConfig):
    """The options of a cross-encoder of sentence-transformers."""

    model: str | None = "cross-encoder/ms-marco-MiniLM-L-6-v2"
    device: str | None = None
    batch_size: int = 32
    show_progress_bar: bool = False


class ZeroEntropyRerankerConfig(BaseRerankerConfig):
    """The options of ZeroEntropy's rerankers."""

    model: str = "zerank-1"


for _title, _defaults in _LLMS.items():
    globals()[_title] = type(
        _title,
        (BaseLlmConfig,),
        {"defaults": _defaults, "__module__": __name__, "__doc__": "Options of one kind of model."},
    )
