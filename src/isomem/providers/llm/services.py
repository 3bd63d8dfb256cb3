"""Services that speak OpenAI's protocol: each has its address, key, model and differences."""

from __future__ import annotations

from collections.abc import Mapping

from isomem.options import DICT, TEXT, Kind, Option, is_dict, or_empty
from isomem.providers.llm.openai import ChatLLM
from isomem.providers.tables import LMSTUDIO_URL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.providers.base import Parameters, ResponseFormat


class DeepSeekLLM(ChatLLM):
    name = "deepseek"
    default_model = "deepseek-chat"
    default_url = "https://api.deepseek.com"
    url_option = "deepseek_base_url"
    url_variable = "DEEPSEEK_API_BASE"
    key_variable = "DEEPSEEK_API_KEY"


class MiniMaxLLM(ChatLLM):
    name = "minimax"
    default_model = "MiniMax-M2.7"
    default_url = "https://api.minimax.io/v1"
    url_option = "minimax_base_url"
    url_variable = "MINIMAX_API_BASE"
    key_variable = "MINIMAX_API_KEY"


class GroqLLM(ChatLLM):
    name = "groq"
    default_model = "llama-3.3-70b-versatile"
    default_url = "https://api.groq.com"
    path = "/openai/v1/chat/completions"
    url_option = "groq_base_url"
    url_variable = "GROQ_BASE_URL"
    key_variable = "GROQ_API_KEY"
    takes_extra = False


class TogetherLLM(ChatLLM):
    name = "together"
    default_model = "mistralai/Mixtral-8x7B-Instruct-v0.1"
    default_url = "https://api.together.xyz/v1"
    url_option = "together_base_url"
    url_variable = "TOGETHER_BASE_URL"
    key_variable = "TOGETHER_API_KEY"
    takes_extra = False


_OF_A_MODEL = ("reasoning_effort", "frequency_penalty", "presence_penalty", "seed", "stop", "n")


def _is_model(value: object) -> bool:
    return TEXT.accepts(value) or (
        is_dict(value) and all(name in {"name", *_OF_A_MODEL} for name in dict(value))
    )


_MODEL = Kind(
    f"text, or a dict of name, {', '.join(_OF_A_MODEL)}",
    _is_model,
    {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": dict.fromkeys(("name", *_OF_A_MODEL), True),
                "additionalProperties": False,
            },
        ]
    },
)


class SarvamLLM(ChatLLM):
    name = "sarvam"
    default_model = "sarvam-m"
    default_url = "https://api.sarvam.ai/v1"
    default_timeout_s = 30.0
    url_option = "sarvam_base_url"
    url_variable = "SARVAM_API_BASE"
    key_variable = "SARVAM_API_KEY"
    takes_extra = False
    own_options = (
        Option(
            "model",
            None,
            or_empty(_MODEL),
            "which model answers, or a dict of its `name` and of its own parameters",
            unset="`sarvam-m`",
        ),
    )

    def _customize(self, parameters: Parameters) -> dict[str, str]:
        model = self.config.model
        if isinstance(model, Mapping):
            parameters.update({name: model[name] for name in _OF_A_MODEL if name in model})
            parameters["model"] = model.get("name", self.default_model)
        return {}

    def _format(self, response_format: ResponseFormat) -> Parameters:  # noqa: ARG002
        """None: mem0 sends none to Sarvam."""
        return {}


class XaiLLM(ChatLLM):
    name = "xai"
    default_model = "grok-2-latest"
    default_url = "https://api.x.ai/v1"
    url_option = "xai_base_url"
    url_variable = "XAI_API_BASE"
    key_variable = "XAI_API_KEY"
    takes_extra = False


class VllmLLM(ChatLLM):
    name = "vllm"
    default_model = "Qwen/Qwen2.5-32B-Instruct"
    default_url = "http://localhost:8000/v1"
    url_option = "vllm_base_url"
    url_variable = "VLLM_BASE_URL"
    key_variable = "VLLM_API_KEY"
    fallback_key = "vllm-api-key"


class LMStudioLLM(ChatLLM):
    name = "lmstudio"
    default_model = (
        "lmstudio-community/Meta-Llama-3.1-70B-Instruct-GGUF/Meta-Llama-3.1-70B-Instruct-IQ2_M.gguf"
    )
    default_url = LMSTUDIO_URL
    url_option = "lmstudio_base_url"
    url_variable = "LMSTUDIO_BASE_URL"
    key_variable = "LMSTUDIO_API_KEY"
    fallback_key = "lm-studio"
    own_options = (
        Option(
            "lmstudio_response_format",
            None,
            or_empty(DICT),
            "sent instead of what the call asks for",
        ),
    )

    def _format(self, response_format: ResponseFormat) -> Parameters:
        """Always one: the configured one, the call's, or JSON."""
        configured = self.config.lmstudio_response_format
        return {"response_format": configured or response_format or {"type": "json_object"}}
