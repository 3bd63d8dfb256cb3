"""The options that many providers share: what they may be, and their rows."""

from __future__ import annotations

from isomem.options import (
    ANYTHING,
    SWITCH,
    TEXT,
    Kind,
    Option,
    is_text,
    merged,
    number,
    one_of,
    optional,
    or_empty,
    whole,
)
from isomem.providers.headers import HEADERS, KEY
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.options import Table

OPENAI_URL = "https://api.openai.com/v1"
LMSTUDIO_URL = "http://localhost:1234/v1"
LONGEST_VECTOR = 1_000_000
_MANY = 1_000_000_000

# --- What the options may be -----------------------------------------------------------------


def _is_address(value: object) -> bool:
    """Text, or an object such as `httpx.URL`, which OpenAI's library takes, too."""
    is_object = hasattr(value, "scheme") and hasattr(value, "host")
    return is_unicode(str(value)) if is_object else is_text(value) and is_unicode(value)


ADDRESS = Kind("an address", _is_address, {"type": "string"})
"""The first request shows whether a host answers there; if not, it raises a NetworkError."""


def _are_proxies(value: object) -> bool:
    return ADDRESS.accepts(value) or (
        isinstance(value, dict)
        and all(
            is_text(pattern) and "://" in pattern and _NAMED.accepts(named)
            for pattern, named in value.items()
        )
    )


_NAMED = or_empty(TEXT)
PROXIES = Kind(
    "the address of a proxy, or a dict of them by pattern",
    _are_proxies,
    {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "propertyNames": {"pattern": "://"},
                "additionalProperties": _NAMED.schema,
            },
        ]
    },
)


MODEL = optional(TEXT)
TEMPERATURE = optional(number(0, 10))
COUNT = optional(whole(0, _MANY))
LENGTH = optional(whole(1, _MANY))
DIMS = optional(whole(1, LONGEST_VECTOR))

TIMEOUT = optional(number(0.001, _MANY))

# --- The rows --------------------------------------------------------------------------------

_PROXIES_DOC = "a proxy's address, or one per pattern, such as `{'https://': 'http://proxy:3128'}`"
PROXIES_OPTION = Option("http_client_proxies", None, or_empty(PROXIES), _PROXIES_DOC, secret=True)

LLM_OPTIONS = (
    Option("model", None, MODEL, "which model answers", unset="see above"),
    Option("temperature", 0.1, TEMPERATURE, "0 is the least random"),
    Option("api_key", None, optional(TEXT), "the key of the service", secret=True),
    Option("max_tokens", 2000, LENGTH, "maximum length of the answer, in tokens"),
    Option("top_p", 0.1, optional(number(0, 1)), "share of the likely words that are considered"),
    Option("top_k", 1, COUNT, "accepted, but never sent", idle=True),
    Option("enable_vision", False, optional(SWITCH), "lets the model describe images"),
    Option(
        "vision_details", "auto", optional(one_of("low", "high", "auto")), "how closely it looks"
    ),
    Option(
        "reasoning_effort",
        None,
        optional(TEXT),
        'such as `"low"`, `"medium"` or `"high"`; for reasoning models',
    ),
    PROXIES_OPTION,
)
"""Upstream's options of every language model."""


def _idle(name: str, default: object = None, *, secret: bool = False) -> Option:
    return Option(name, default, ANYTHING, "does nothing here", secret=secret, idle=True)


EMBEDDER_OPTIONS = (
    Option("model", None, MODEL, "which model makes the vectors", unset="see above"),
    Option("api_key", None, optional(TEXT), "the key of the service", secret=True),
    Option("embedding_dims", None, DIMS, "the length of the vectors"),
    _idle("ollama_base_url"),
    _idle("openai_base_url"),
    _idle("model_kwargs", secret=True),
    _idle("huggingface_base_url"),
    _idle("azure_kwargs", secret=True),
    _idle("http_client_proxies", secret=True),
    _idle("vertex_credentials_json", secret=True),
    _idle("memory_add_embedding_type"),
    _idle("memory_update_embedding_type"),
    _idle("memory_search_embedding_type"),
    _idle("output_dimensionality"),
    _idle("lmstudio_base_url", LMSTUDIO_URL),
    _idle("aws_access_key_id", secret=True),
    _idle("aws_secret_access_key", secret=True),
    _idle("aws_region"),
)
"""Upstream's options of every embedder. It has one list for all, so each takes the others'."""

RERANKER_OPTIONS = (
    Option("model", None, MODEL, "which model ranks", unset="see above"),
    Option("provider", None, ANYTHING, "does nothing here", idle=True),
    Option("api_key", None, optional(TEXT), "does nothing here", secret=True, idle=True),
    Option(
        "top_k",
        None,
        COUNT,
        "how many results to return when the search does not say",
        unset="all",
    ),
)
"""Upstream's options of every reranker but `llm_reranker`."""


def key_option(*variables: str, unset: str = "") -> Option:
    """`api_key` of a service.

    Args:
        *variables: environment variables; the first that is set has the key if none is configured.
        unset: the key if none of them is set either.
    """
    return Option(
        "api_key",
        None,
        optional(KEY),
        "the key of the service",
        unset=unset and f"`{unset}`",
        variables=variables,
        secret=True,
    )


def address_option(name: str, unset: str, *variables: str) -> Option:
    """The address of a service. If none is configured, the first variable that is set has it."""
    doc = "the address of the service, or of a server that speaks its protocol"
    return Option(name, None, or_empty(ADDRESS), doc, unset=f"`{unset}`", variables=variables)


def llm_options(model: str, timeout_s: float) -> Table:
    """The options of every language model on the network.

    Args:
        model: the default model.
        timeout_s: the default timeout, in seconds.
    """
    return merged(LLM_OPTIONS, (named_model(model, LLM_OPTIONS),), network_options(timeout_s))


def embedder_options(model: str, timeout_s: float) -> Table:
    """As `llm_options`, for every embedder on the network."""
    return merged(EMBEDDER_OPTIONS, (named_model(model),), network_options(timeout_s))


def named_model(model: str, table: Table = EMBEDDER_OPTIONS) -> Option:
    """The first row of a table, `model`, with a provider's own default."""
    row = table[0]
    return Option(row.name, row.default, row.kind, row.doc, unset=f"`{model}`")


def network_options(timeout_s: float) -> tuple[Option, ...]:
    """What every provider that uses the network takes in addition to upstream's options."""
    return (
        PROXIES_OPTION,
        Option(
            "timeout_s",
            timeout_s,
            TIMEOUT,
            "how long to wait for an answer, in seconds; connecting takes at most 10 of them",
        ),
        Option("max_retries", 3, whole(0, 1_000), "how often a failed request is retried"),
        Option(
            "retry_within_s",
            120,
            number(0, _MANY),
            "no retry begins later than this after the start of the call, in seconds",
        ),
        Option(
            "headers",
            None,
            or_empty(HEADERS),
            "a dict of headers to send in addition to the usual ones",
            secret=True,
        ),
    )
