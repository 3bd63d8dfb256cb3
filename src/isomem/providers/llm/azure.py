"""Language models that Azure OpenAI serves."""

from __future__ import annotations

from isomem.options import ANYTHING, Option, merged
from isomem.providers.azure import Deployment, azure_option
from isomem.providers.llm.openai import ChatProtocol
from isomem.providers.settings import read_settings
from isomem.providers.tables import llm_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.ports.shapes import Message

_DEFAULT_MODEL = "gpt-5-mini"


class AzureOpenAILLM(ChatProtocol):
    """A deployment of Azure OpenAI. Without a key, `azure-identity` finds credentials.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or nothing names the deployment.
        DependencyError: there is no key, and the extra isomem[azure] is not installed.
    """

    name = "azure_openai"
    default_url = ""
    default_model = _DEFAULT_MODEL
    table = merged(
        llm_options(_DEFAULT_MODEL, ChatProtocol.default_timeout_s),
        (
            Option(
                "api_key",
                None,
                ANYTHING,
                "does nothing here: the key is in `azure_kwargs`",
                variables=("LLM_AZURE_OPENAI_API_KEY",),
                secret=True,
                idle=True,
            ),
            azure_option("LLM"),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"llm.config ({self.name})")
        settings.model = settings.model or self.default_model
        self._deployment = Deployment(self.name, settings.azure_kwargs, "LLM", settings.model)
        self.authorizer = self._deployment.authorizer
        self.query = self._deployment.query
        super().__init__(settings, self._deployment.base_url, None)

    def _all_headers(self, api_key: str | None) -> dict[str, str]:
        return {**super()._all_headers(api_key), **self._deployment.headers}

    def _messages(self, messages: list[Message]) -> list[Message]:
        """A copy whose last message says "ai" instead of "assistant", as upstream's does."""
        self.check_messages(messages)
        content = messages[-1].get("content") if messages else None
        if not isinstance(content, str):
            return messages
        return [*messages[:-1], {**messages[-1], "content": content.replace("assistant", "ai")}]


class AzureOpenAIStructuredLLM(AzureOpenAILLM):
    """The same as `azure_openai_structured` of mem0 calls it: every model gets all parameters."""

    name = "azure_openai_structured"
    takes_extra = False
