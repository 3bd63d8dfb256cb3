"""Writes the tables of options, and that of the tools for models, into the pages of docs/.

`python -m scripts.options` writes them between the markers of each page, from the same rows that
check a configuration. A test fails when a page is not what the rows say.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from isomem.config import EMBEDDED_OPTIONS, MCP, SERVICE, TOP, store_table
from isomem.options import Option, merged
from isomem.providers import registry
from isomem.providers.tables import EMBEDDER_OPTIONS, LLM_OPTIONS, RERANKER_OPTIONS
from isomem.reference import KINDS, has_variable, table_in, variable
from isomem.serve.mcp.settings import TABLE as MCP_OPTIONS
from isomem.serve.mcp.tools import TOOLS
from isomem.serve.settings import TABLE as SERVICE_OPTIONS
from isomem.stores.pgvector import PGVECTOR_OPTIONS
from isomem.text.tables import SPACY_OPTIONS

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = (
    "configuration.md", "engines.md", "mcp.md", "postgres.md", "providers.md", "serve.md",
    "switching.md",
)  # fmt: skip
BLOCK = re.compile(
    r"(<!-- options: (\S+), written by `python -m scripts\.options` -->\n).*?(<!-- end -->)",
    re.DOTALL,
)
PAGE = re.compile(r"docs/(\w+\.md)")

KEYS = {"aws_bedrock": "aws_access_key_id", "vertexai": "vertex_credentials_json"}
"""The option that holds the credentials of a provider, if it is not `api_key`."""

NETWORK = ("http_client_proxies", "timeout_s", "max_retries", "retry_within_s", "headers")
"""What the providers have that use the network."""


OF_MEM0 = {
    "llm": "anthropic aws_bedrock azure_openai azure_openai_structured deepseek gemini groq "
    "langchain litellm lmstudio minimax ollama openai openai_structured sarvam together vllm xai",
    "embedder": "aws_bedrock azure_openai fastembed gemini huggingface langchain lmstudio ollama "
    "openai together vertexai",
    "reranker": "cohere huggingface llm_reranker sentence_transformer zero_entropy",
    "vector_store": "azure_ai_search azure_mysql baidu cassandra chroma databricks elasticsearch "
    "faiss langchain milvus mongodb neptune opensearch pgvector pinecone qdrant redis s3_vectors "
    "supabase turbopuffer upstash_vector valkey vertex_ai_vector_search weaviate",
}
"""The names of mem0 2.0.4 in each section."""


def main() -> int:
    """Write the tables into the pages; 0."""
    for name in PAGES:
        page = DOCS / name
        page.write_text(written(page.read_text("utf-8")), "utf-8")
    return 0


def written(page: str) -> str:
    """The page with its tables rewritten."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", page)


# --- Tables ----------------------------------------------------------------------------------


def _top() -> str:
    return _rows("", TOP)


def _embedded() -> str:
    return _rows("vector_store", EMBEDDED_OPTIONS)


def _postgres() -> str:
    return _rows("vector_store", store_table("postgres"))


def _pgvector() -> str:
    return _rows("vector_store", PGVECTOR_OPTIONS)


def _qdrant() -> str:
    return _rows("vector_store", store_table("qdrant"))


def _chroma() -> str:
    return _rows("vector_store", store_table("chroma"))


def _redis() -> str:
    return _rows("vector_store", store_table("redis"))


def _nlp() -> str:
    return _rows("nlp", SPACY_OPTIONS)


def _serve() -> str:
    return _rows(SERVICE, SERVICE_OPTIONS)


def _mcp() -> str:
    return _rows(MCP, MCP_OPTIONS)


def _tools() -> str:
    """The tools for models: what each takes, answers, and may do."""
    header = ("tool", "what it does", "takes", "answers", "annotations")
    rows = []
    for tool in TOOLS.values():
        takes = [
            f"{_code(name)}*" if name in tool.required else _code(name) for name in tool.arguments
        ]
        hints = [name.removesuffix("Hint") for name, holds in tool.hints.items() if holds]
        rows.append(
            [
                _code(tool.name),
                tool.doc.partition(".")[0],
                ", ".join(takes) or "nothing",
                ", ".join(map(_code, tool.output["properties"])),
                ", ".join(hints) or "none",
            ]
        )
    return _table(header, rows)


def _rows(section: str, options: Iterable[Option]) -> str:
    """One row per option, with its environment variable on the command line."""
    header = ("key", "default", "values", "variable", "meaning")
    return _table(header, [_row(section, option) for option in options])


def _row(section: str, option: Option) -> list[str]:
    own = f"`{variable(section, option.name)}`" if has_variable(option) else ""
    return [f"`{option.name}`", default(option), words(option), own, _linked(option.doc)]


def _linked(doc: str) -> str:
    """The text for a page in docs/: what errors and the schema name by its path is a link there."""
    return PAGE.sub(r"[\1](\1)", doc)


def _names() -> str:
    """Who makes the providers that mem0 has names for."""
    header = ("section", "names", "by isomem", "by mem0's own class", "refused")
    return _table(header, [_makers(section, names.split()) for section, names in OF_MEM0.items()])


def _makers(section: str, names: list[str]) -> list[str]:
    kind = KINDS[section]
    own = [name for name in names if name in kind.builtin]
    bridged = [name for name in names if name not in own and name in kind.elsewhere]
    refused = [name for name in names if name not in own and name not in bridged]
    return [_code(section), str(len(names)), *map(_counted, (own, bridged, refused))]


def _counted(names: list[str]) -> str:
    return f"{len(names)}: {', '.join(map(_code, names))}" if names else "none"


def _models() -> str:
    """The language models: what each uses if nothing else is configured."""
    header = ("provider", "default model", "key from", "address: option, variable, default")
    return _table(header, [_service("llm", name) for name in _first(registry.LLMS, "openai")])


def _embedders() -> str:
    header = (
        "provider",
        "default model",
        "vectors",
        "key from",
        "address: option, variable, default",
    )
    rows = []
    for name in _first(registry.EMBEDDERS, "local"):
        provider, model, key, address = _service("embedder", name)
        rows.append([provider, model, _dims(name), key, address])
    return _table(header, rows)


def _first(kind: registry.Kind, name: str) -> list[str]:
    return sorted(kind.builtin, key=lambda each: (each == "mock", each != name, each))


def _service(section: str, provider: str) -> list[str]:
    by_name = {option.name: option for option in table_in(section, provider) or ()}
    model, key = by_name["model"], by_name[KEYS.get(provider, "api_key")]
    addresses = [o for o in by_name.values() if _is_address(o)]
    address = ", ".join(_address(option) for option in addresses[:1])
    keys = [*map(_code, key.variables), *([f"else {key.unset}"] if key.unset else [])]
    key_from = ", ".join(keys).removeprefix("else ")
    named = default(model).replace('"', "") or "none"
    return [_code(provider), named, key_from or "none", address or "none"]


def _is_address(option: Option) -> bool:
    return not option.idle and (option.name.endswith("_base_url") or option.name == "azure_kwargs")


def _address(option: Option) -> str:
    cells = [_code(option.name), *map(_code, option.variables), default(option).replace('"', "")]
    return ", ".join(filter(None, cells))


def _dims(provider: str) -> str:
    by_name = {option.name: option for option in table_in("embedder", provider) or ()}
    return by_name["embedding_dims"].unset or "depends on the model"


def _common_llm() -> str:
    """What every language model takes."""
    network = [option for option in table_in("llm", "openai") or () if option.name in NETWORK]
    own = [option for option in LLM_OPTIONS if option.name not in NETWORK]
    return _rows("llm", [*own, *network])


def _own_llm() -> str:
    """What only one language model takes."""
    common = {option.name for option in LLM_OPTIONS} | set(NETWORK)
    return _of_one(registry.LLMS, "llm", common, "openai")


def _of_one(kind: registry.Kind, section: str, common: set[str], first: str) -> str:
    rows = [
        [_code(name), _code(option.name), default(option), words(option), option.doc]
        for name in _first(kind, first)
        for option in table_in(section, name) or ()
        if option.name not in common and not option.idle
    ]
    return _table(("provider", "option", "default", "values", "meaning"), rows)


def _common_embedder() -> str:
    """What the embedders take, the network's included."""
    network = [option for option in table_in("embedder", "openai") or () if option.name in NETWORK]
    own = [option for option in EMBEDDER_OPTIONS if not option.idle]
    return _rows("embedder", [*own, *network])


def _own_embedder() -> str:
    """What only some embedders take."""
    common = {option.name for option in EMBEDDER_OPTIONS if not option.idle} | set(NETWORK)
    return _of_one(registry.EMBEDDERS, "embedder", common, "local")


def _rerankers() -> str:
    header = ("provider", "default model", "key from", "address: option, variable, default")
    return _table(header, [_service("reranker", name) for name in _first(registry.RERANKERS, "")])


def _common_reranker() -> str:
    """What every reranker takes."""
    shown = ("model", "api_key", "top_k", *NETWORK)
    rows = merged(table_in("reranker", "cohere") or (), RERANKER_OPTIONS[:1])
    return _rows("reranker", [option for option in rows if option.name in shown])


def _own_reranker() -> str:
    """What only some rerankers take."""
    common = {"model", "api_key", "top_k", *NETWORK}
    return _of_one(registry.RERANKERS, "reranker", common, "")


TABLES: dict[str, Callable[[], str]] = {
    "top": _top,
    "embedded": _embedded,
    "nlp": _nlp,
    "qdrant": _qdrant,
    "chroma": _chroma,
    "redis": _redis,
    "tools": _tools,
    "mcp": _mcp,
    "postgres": _postgres,
    "pgvector": _pgvector,
    "models": _models,
    "llm": _common_llm,
    "llm-own": _own_llm,
    "embedders": _embedders,
    "embedder": _common_embedder,
    "embedder-own": _own_embedder,
    "rerankers": _rerankers,
    "reranker": _common_reranker,
    "reranker-own": _own_reranker,
    "serve": _serve,
    "names": _names,
}


# --- Cells -----------------------------------------------------------------------------------


def default(option: Option) -> str:
    """The default as it is written in Python; in words where None stands for something else."""
    value = option.default
    if value is None or value == ():
        return option.unset
    if isinstance(value, str):
        return _code(f'"{value}"')
    return _code(repr(value).removesuffix(".0"))


def words(option: Option) -> str:
    """What the option may be, without the None that stands for its default."""
    return option.kind.words.removesuffix(", or None").replace("'", "`")


def _code(text: str) -> str:
    return f"`{text}`"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    sys.exit(main())
