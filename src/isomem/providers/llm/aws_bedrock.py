"""Language models that Amazon Bedrock serves."""

from __future__ import annotations

from isomem.options import DICT, TEXT, Option, idle, merged, number, optional, or_empty
from isomem.providers import bedrock
from isomem.providers.answers import ended, member
from isomem.providers.base import NetworkLLM
from isomem.providers.llm.anthropic import joined
from isomem.providers.llm.bedrock_families import (
    CALLING_TOOLS,
    MODEL,
    blocks_of,
    conversation,
    converses,
    family_of,
    invocation,
    text_in,
)
from isomem.providers.settings import read_settings
from isomem.providers.tables import LLM_OPTIONS, llm_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.options import Table
    from isomem.ports.shapes import Message
    from isomem.providers.base import Parameters, Reply, ResponseFormat, Tools
    from isomem.providers.http import Request

DEFAULT_MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"
_SAMPLING = ("topP", "temperature", "maxTokens")

OWN_OPTIONS: Table = (
    Option("model", None, optional(MODEL), "which model answers", unset=f"`{DEFAULT_MODEL}`"),
    Option("top_p", None, optional(number(0, 1)), "share of the likely words; sent if given"),
    *(idle(option) for option in LLM_OPTIONS if option.name == "api_key"),
    *bedrock.KEYS,
    Option("aws_session_token", None, or_empty(TEXT), "of temporary credentials", secret=True),
    Option("aws_profile", None, or_empty(TEXT), "a profile in `~/.aws`"),
    bedrock.REGION_OPTION,
    Option("model_kwargs", None, or_empty(DICT), "further parameters of the model"),
    bedrock.ADDRESS_OPTION,
)


class BedrockLLM(NetworkLLM):
    """A model that Amazon Bedrock serves.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, half of the credentials is missing, or the name
            of the model has no known maker.
        DependencyError: the extra isomem[bedrock] is not installed.
    """

    name = "aws_bedrock"
    default_url = bedrock.DEFAULT_ADDRESS
    default_model = DEFAULT_MODEL
    refusable = (
        *(("inferenceConfig", name) for name in _SAMPLING),
        *(("textGenerationConfig", name) for name in ("topP", "temperature")),
        *(("top_p",), ("top_k",), ("temperature",)),
    )
    table = merged(llm_options(DEFAULT_MODEL, NetworkLLM.default_timeout_s), OWN_OPTIONS)

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, "llm.config (aws_bedrock)")
        settings.model = settings.model or self.default_model
        url = bedrock.located(settings)
        self.authorizer = bedrock.authorizer(
            self.name,
            settings.aws_region,
            url,
            access_key_id=settings.aws_access_key_id,
            secret_access_key=settings.aws_secret_access_key,
            session_token=settings.aws_session_token,
            profile=settings.aws_profile,
        )
        super().__init__(settings, url, None)

    def request(
        self,
        messages: list[Message],
        response_format: ResponseFormat,  # noqa: ARG002  (upstream sends none either)
        tools: Tools,
        tool_choice: str,  # noqa: ARG002  (likewise)
        extra: Parameters,  # noqa: ARG002  (likewise)
    ) -> Request:
        from isomem.providers.http import Request

        self.check_messages(messages)
        model, options = str(self.config.model), self._options()
        family = family_of(model)
        calling = tools if family in CALLING_TOOLS else None
        if calling or converses(family, model):
            body = conversation(family, messages, options, calling)
            return Request(bedrock.path(model, "converse"), body)
        return Request(bedrock.path(model, "invoke"), invocation(family, model, messages, options))

    def _options(self) -> Parameters:
        config = self.config
        own = {name: getattr(config, name) for name in ("temperature", "max_tokens", "top_k")}
        if config.top_p is not None:
            own["top_p"] = config.top_p
        return {**own, **(config.model_kwargs or {})}

    def parse(self, answer: object, tools: Tools) -> Reply:
        is_calling = bool(tools) and family_of(str(self.config.model)) in CALLING_TOOLS
        blocks = blocks_of(answer)
        if blocks is None:
            text = text_in(answer)
            return {"content": text, "tool_calls": []} if is_calling else text
        said = joined(list(blocks))
        if not is_calling:
            reply: Reply = ended(said or "", member(answer).get("stopReason"))
            return reply
        uses = [each["toolUse"] for each in blocks if "toolUse" in each]
        calls = [{"name": member(use, "name"), "arguments": member(use, "input")} for use in uses]
        return {"content": said, "tool_calls": calls}
