"""Compares functions of mem0 2.0.4 with those that stand in for them, in one process.

`python -m tests.unit.compat.differential` runs every comparison on generated values and prints, as
JSON, what is wrong with each: null if nothing is. `test_differential` runs it.
"""

from __future__ import annotations

import copy
import importlib
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import isomem.compat

COMPARISONS: dict[str, Callable[[], None]] = {}
EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def compared(test: Callable[..., None]) -> Callable[..., None]:
    COMPARISONS[test.__name__] = EXAMPLES(test)
    return test


def pair(module: str, name: str) -> tuple[Any, Any]:
    """mem0's and isomem's thing of that name."""
    theirs = getattr(isomem.compat.upstream(module), name)
    ours = getattr(importlib.import_module(module), name)
    assert theirs is not ours
    return theirs, ours


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call returns, and what it did to its arguments; or the type of its error."""
    arguments = copy.deepcopy((args, kwargs))
    try:
        result = call(*arguments[0], **arguments[1])
    except Exception as error:
        return type(error).__name__
    return result, repr(arguments)


def same(module: str, name: str, *args: Any, **kwargs: Any) -> None:
    theirs, ours = pair(module, name)
    assert outcome(ours, *args, **kwargs) == outcome(theirs, *args, **kwargs), (name, args, kwargs)


# --- mem0.memory.utils -----------------------------------------------------------------------

UTILS = "mem0.memory.utils"
words = st.text(max_size=20)
fragments = st.sampled_from(
    ["```", "```json", "```json\n", "\n```", "\n", "{", "}", "<think>", "</think>", " ", '{"a": 1}',
     "text", "```py\n", "`", "json", "\t", "</think", "é"]
)  # fmt: skip
replies = st.lists(fragments | words, max_size=8).map("".join)
messages = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["system", "user", "assistant", "tool", "", None]),
            "content": words | st.none() | st.lists(words, max_size=2),
            "name": words,
        },
    ),
    max_size=5,
)


@compared
@given(messages)
def parse_messages(value: Any) -> None:
    same(UTILS, "parse_messages", value)


@compared
@given(replies)
def extract_json(value: str) -> None:
    same(UTILS, "extract_json", value)


@compared
@given(replies)
def remove_code_blocks(value: str) -> None:
    same(UTILS, "remove_code_blocks", value)


values = words | st.none() | st.integers() | st.floats(allow_nan=False) | st.booleans()
facts = values | st.dictionaries(st.sampled_from(["fact", "text", "other"]), values, max_size=2)


@compared
@given(st.none() | st.lists(facts | st.lists(facts, max_size=2), max_size=6))
def normalize_facts(value: Any) -> None:
    same(UTILS, "normalize_facts", value)


@compared
@given(*[words | st.sampled_from(["Json", "as JSON please", "js on"])] * 2)
def ensure_json_instruction(system: str, user: str) -> None:
    same(UTILS, "ensure_json_instruction", system, user)


@compared
@given(words | values, st.booleans())
def get_fact_retrieval_messages(message: Any, is_agent_memory: bool) -> None:
    same(UTILS, "get_fact_retrieval_messages", message, is_agent_memory)
    same(UTILS, "get_fact_retrieval_messages_legacy", message)


relations = st.fixed_dictionaries(
    {},
    optional={
        key: st.text("ab AB.…，'\"\\/|&=+*^%$#@!?(){}[]<>-_", max_size=12)
        for key in ("source", "relationship", "destination", "more")
    },
)


@compared
@given(st.lists(relations | values, max_size=4), st.booleans())
def remove_spaces_from_entities(value: Any, sanitize: bool) -> None:
    same(UTILS, "remove_spaces_from_entities", value, sanitize_relationship=sanitize)
    same(UTILS, "format_entities", value)


@compared
@given(st.text("ab .…。，；：！？（）【】《》'\"\\/|&=+*^%$#@!?(){}[]<>-_", max_size=30))
def sanitize_relationship_for_cypher(value: str) -> None:
    same(UTILS, "sanitize_relationship_for_cypher", value)


ids = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("user_id", "agent_id", "run_id", "category"), words)
)


@compared
@given(st.none() | ids)
def process_telemetry_filters(value: Any) -> None:
    same(UTILS, "process_telemetry_filters", value)


class Describer:
    """A model that repeats what it is asked, or fails."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def __repr__(self) -> str:
        return "Describer()"

    def generate_response(self, messages: Any) -> str:
        if self.fails:
            raise ValueError("no")
        return json.dumps(messages)


images = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["image_url", "text"]),
        "image_url": st.fixed_dictionaries({"url": words}),
    }
)


@compared
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["system", "user"]),
                "content": words | images | st.lists(images, max_size=2),
            }
        ),
        max_size=3,
    ),
    st.booleans(),
    st.sampled_from(["auto", "low", None]),
)
def parse_vision_messages(value: Any, fails: bool, details: Any) -> None:
    same(UTILS, "parse_vision_messages", value, Describer(fails), details)


# --- mem0.configs.prompts --------------------------------------------------------------------


@compared
@given(st.none() | st.lists(words, max_size=2), words | st.lists(words), st.none() | words)
def get_update_memory_messages(old: Any, new: Any, custom: Any) -> None:
    same("mem0.configs.prompts", "get_update_memory_messages", old, new, custom)


@compared
@given(st.none())
def prompts(_: None) -> None:
    theirs = isomem.compat.upstream("mem0.configs.prompts")
    ours = importlib.import_module("mem0.configs.prompts")
    names = [name for name in dir(theirs) if name.isupper()]
    assert len(names) > 8
    assert {name: getattr(ours, name) for name in names} == {
        name: getattr(theirs, name) for name in names
    }


# --- mem0.utils ------------------------------------------------------------------------------

numbers = st.floats(-2, 2) | st.integers(-2, 2)
SCORING = "mem0.utils.scoring"
identifiers = st.sampled_from(["a", "b", "c", 1, None])
scores = st.dictionaries(st.sampled_from(["a", "b", "c", "1"]), numbers, max_size=3)


@compared
@given(
    st.lists(
        st.fixed_dictionaries(
            {}, optional={"id": identifiers, "score": numbers, "payload": st.none() | ids}
        ),
        max_size=6,
    ),
    scores,
    scores,
    numbers,
    st.integers(-3, 5),
)
def score_and_rank(hits: Any, keyword: Any, entity: Any, threshold: float, top_k: int) -> None:
    same(SCORING, "score_and_rank", hits, keyword, entity, threshold, top_k)


@compared
@given(words, st.lists(st.sampled_from(["a", "bc"]), max_size=20).map(" ".join), numbers)
def bm25(query: str, lemmas: str, raw: float) -> None:
    same(SCORING, "get_bm25_params", query, lemmatized=lemmas)
    midpoint, steepness = pair(SCORING, "get_bm25_params")[1](query, lemmatized=lemmas)
    same(SCORING, "normalize_bm25", raw * 10, midpoint, steepness)


sentences = st.lists(
    st.sampled_from(
        ["Ana", "moved", "to", "Lisbon", "and", "loves", "machine learning", '"Dune"', "meetings",
         "running", "the", "red wine", "of", "Porto", ".", "Bob's", "new job", "at", "Acme Corp"]
    ),
    min_size=1,
    max_size=9,
).map(" ".join)  # fmt: skip


def with_spacy() -> bool:
    from importlib.util import find_spec

    return find_spec("spacy") is not None and find_spec("en_core_web_sm") is not None


@compared
@given(sentences)
def entities_and_lemmas(text: str) -> None:
    """mem0's functions ask `mem0.utils.spacy_models` for the model while they run."""
    if not with_spacy():
        return
    models = isomem.compat.upstream("mem0.utils.spacy_models")
    extract = isomem.compat.upstream("mem0.utils.entity_extraction")._extract_entities_from_doc
    ours = importlib.import_module("mem0.utils.entity_extraction")
    theirs = extract(models.get_nlp_full()(text))
    assert sorted(ours.extract_entities(text)) == sorted(theirs), text
    assert ours.extract_entities_batch([text, text]) == [ours.extract_entities(text)] * 2


# --- mem0.memory.main ------------------------------------------------------------------------

MAIN = "mem0.memory.main"
some_ids = st.none() | st.sampled_from(["u", " u ", "a b", "", "  ", "ü"])


@compared
@given(st.tuples(some_ids, some_ids, some_ids, some_ids, st.none() | ids, st.none() | ids))
def build_filters_and_metadata(given_values: Any) -> None:
    keys = ("user_id", "agent_id", "run_id", "actor_id", "input_metadata", "input_filters")
    same(MAIN, "_build_filters_and_metadata", **dict(zip(keys, given_values, strict=True)))


@compared
@given(
    st.dictionaries(
        st.sampled_from(["user_id", "agent_id", "run_id", "k"]), st.text("ab ", max_size=3)
    ),
    st.none() | st.text("ab \n", max_size=4),
    st.none() | values,
    st.none() | st.integers(-2, 3) | st.booleans() | words,
)
def small_rules(filters: Any, identifier: Any, threshold: Any, top_k: Any) -> None:
    same(MAIN, "_build_session_scope", filters)
    same(MAIN, "_validate_and_trim_entity_id", identifier, "user_id")
    same(MAIN, "_validate_search_params", threshold, top_k)
    same(MAIN, "_reject_top_level_entity_params", filters, "search")


@compared
@given(
    st.none()
    | words
    | st.datetimes().map(lambda moment: moment.isoformat())
    | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
)
def normalize_iso_timestamp_to_utc(value: Any) -> None:
    same(MAIN, "_normalize_iso_timestamp_to_utc", value)


# --- Errors ----------------------------------------------------------------------------------


def described(error: BaseException) -> Any:
    return type(error).__name__, str(error).split(".")[0], vars(error)


@compared
@given(st.tuples(st.integers(390, 520), words, st.none() | words, st.none() | ids, st.none() | ids))
def create_exception_from_response(asked: Any) -> None:
    theirs, ours = pair("mem0.exceptions", "create_exception_from_response")
    assert described(ours(*asked)) == described(theirs(*asked))


REQUEST = httpx.Request("GET", "http://localhost/v1")
failures = st.sampled_from(
    [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ConnectError, httpx.ReadError]
).map(lambda kind: kind("failed", request=REQUEST)) | st.builds(
    lambda status, text, headers: httpx.HTTPStatusError(
        "status", request=REQUEST, response=httpx.Response(status, text=text, headers=headers)
    ),
    st.sampled_from([400, 401, 404, 413, 429, 500, 503, 418]),
    words | st.sampled_from(['{"detail": "no", "a": 1}', "[1]", '"x"', "{"]),
    st.fixed_dictionaries(
        {},
        optional={
            "content-type": st.just("application/json; charset=utf-8"),
            "Retry-After": st.sampled_from(["7", "soon"]),
            "X-RateLimit-Limit": st.just("9"),
        },
    ),
)


@compared
@given(failures)
def api_error_handler(failure: Exception) -> None:
    def fail() -> None:
        raise failure

    caught = []
    for decorate in pair("mem0.client.utils", "api_error_handler"):
        try:
            decorate(fail)()
        except Exception as error:
            caught.append(described(error))
    assert caught[0] == caught[1], caught


# --- Base classes and options ----------------------------------------------------------------

names_of_models = st.sampled_from(
    ["o1", "o3-mini", "openai/o3", "gpt-5", "gpt-5o-mini", "gpt-5.4-mini", "O1-2024", "gpt-4o",
     "o10", "x/y/o1.5", "claude", ""]
)  # fmt: skip


@compared
@given(
    names_of_models,
    st.none() | st.sampled_from(["low", "high"]),
    st.dictionaries(
        st.sampled_from(["messages", "tools", "tool_choice", "response_format", "top_p", "x"]),
        values,
    ),
)
def base_class_of_models(name: str, effort: Any, parameters: Any) -> None:
    found = []
    for base, config in zip(
        pair("mem0.llms.base", "LLMBase"),
        pair("mem0.configs.llms.base", "BaseLlmConfig"),
        strict=True,
    ):
        made = type("Model", (base,), {"generate_response": lambda self, messages: ""})
        model = made(config(model=name, reasoning_effort=effort))
        found.append(
            [
                model._is_reasoning_model(name),
                model._get_common_params(**parameters),
                model._get_supported_params(**parameters),
                made({"model": name}).config.model,
                made().config.temperature,
            ]
        )
    assert found[0] == found[1]


OPTION_CLASSES = [
    ("mem0.configs.llms.base", "BaseLlmConfig"),
    ("mem0.configs.llms.openai", "OpenAIConfig"),
    ("mem0.configs.llms.anthropic", "AnthropicConfig"),
    ("mem0.configs.llms.ollama", "OllamaConfig"),
    ("mem0.configs.llms.azure", "AzureOpenAIConfig"),
    ("mem0.configs.llms.aws_bedrock", "AWSBedrockConfig"),
    ("mem0.configs.embeddings.base", "BaseEmbedderConfig"),
]
options = st.fixed_dictionaries(
    {},
    optional={
        "model": st.none() | words | st.just("amazon.nova"),
        "temperature": numbers,
        "top_p": st.none() | numbers,
        "api_key": words,
        "aws_region": words,
        "azure_kwargs": st.just({"azure_endpoint": "e"}),
        "openai_base_url": words,
        "model_kwargs": st.just({"a": 1}),
        "unknown": words,
    },
)


def plain(made: Any) -> Any:
    kept = {name: value for name, value in vars(made).items() if not name.startswith("http_client")}
    return {
        name: value.model_dump() if hasattr(value, "model_dump") else value
        for name, value in kept.items()
    }


@compared
@given(st.sampled_from(OPTION_CLASSES), options)
def option_classes(which: tuple[str, str], asked: Any) -> None:
    found = []
    for kind in pair(*which):
        try:
            made = kind(**asked)
        except TypeError:
            found.append("TypeError")
            continue
        extra = ()
        if hasattr(made, "get_aws_config"):
            extra = (made.provider, made.model_name, made.get_model_config(), made.get_aws_config())
        found.append((plain(made), extra))
    assert found[0] == found[1], (which, asked, found)


RECORDS = [
    ("mem0.configs.vector_stores.qdrant", "QdrantConfig"),
    ("mem0.configs.vector_stores.pgvector", "PGVectorConfig"),
    ("mem0.configs.vector_stores.pinecone", "PineconeConfig"),
    ("mem0.configs.vector_stores.elasticsearch", "ElasticsearchConfig"),
    ("mem0.configs.vector_stores.opensearch", "OpenSearchConfig"),
    ("mem0.configs.vector_stores.azure_mysql", "AzureMySQLConfig"),
    ("mem0.configs.vector_stores.neptune", "NeptuneAnalyticsConfig"),
    ("mem0.configs.vector_stores.faiss", "FAISSConfig"),
    ("mem0.configs.rerankers.cohere", "CohereRerankerConfig"),
    ("mem0.configs.rerankers.config", "RerankerConfig"),
    ("mem0.configs.base", "MemoryItem"),
    ("mem0.configs.base", "AzureConfig"),
    ("mem0.client.types", "SearchMemoryOptions"),
    ("mem0.llms.configs", "LlmConfig"),
    ("mem0.embeddings.configs", "EmbedderConfig"),
]
VALUES = st.sampled_from(
    [
        "text",
        "5432",
        "x5",
        7,
        7.0,
        7.5,
        True,
        None,
        {"a": "b"},
        ["a"],
        "true",
        "openai",
        "euclidean",
        "",
    ]
)


@compared
@given(st.data(), st.sampled_from(RECORDS))
def records(data: st.DataObject, which: tuple[str, str]) -> None:
    theirs, ours = pair(*which)
    keys = st.sampled_from([*theirs.model_fields, "unknown"])
    asked = data.draw(st.dictionaries(keys, VALUES, max_size=6))
    found = []
    for kind in (theirs, ours):
        try:
            made = kind(**copy.deepcopy(asked))
        except ValueError as error:
            found.append(type(error).__name__)  # pydantic's, since this process has imported it.
            continue
        dumps = [
            made.model_dump(),
            made.model_dump(exclude_none=True),
            made.model_dump(exclude_unset=True),
            made.model_dump(exclude_defaults=True),
            made.model_dump(exclude={"id", "api_key"}),
            made.model_copy(update={"provider": "x"}).model_dump(exclude_unset=True),
            kind.model_validate(copy.deepcopy(asked)) == made,
            sorted(made.model_fields_set),
        ]
        found.append(dumps)
    assert found[1] == found[0], (which, asked, found)


def main() -> int:
    logging.disable()
    wrong = {}
    for name, compare in COMPARISONS.items():
        try:
            compare()
        except Exception as error:
            wrong[name] = f"{type(error).__name__}: {error}"[:3000]
        else:
            wrong[name] = None
    sys.stdout.write(json.dumps(wrong))
    return 0


if __name__ == "__main__":
    sys.exit(main())
