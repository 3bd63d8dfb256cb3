"""Providers that an installed mem0 makes: its classes, isomem's errors, and nothing else of it."""

from __future__ import annotations

import ast
import copy as copying
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from isomem import (
    AuthenticationError,
    DependencyError,
    EmbeddingError,
    InvalidConfigError,
    LLMError,
    NetworkError,
    RateLimitError,
    RerankError,
    VectorStoreError,
    VectorValueError,
)
from isomem.providers.bridge import copy, making
from isomem.providers.bridge.failures import Failures
from isomem.providers.bridge.parts import Bridged, BridgedStore
from isomem.providers.registry import create_vector_store
from isomem.reference import KINDS
from scripts.options import OF_MEM0
from tests.unit.providers.servers import (
    KEY,
    Answer,
    Server,
    clean_environment,
    openai,
    serving,
)

needs_mem0 = pytest.mark.skipif(copy.folder() is None, reason="mem0ai is not installed")
oracle = [needs_mem0, pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

LATER = {"oracledb"}
"""What mem0 2.2.1 has, and 2.0.4 does not."""

MESSAGES = [{"role": "user", "content": "I moved to Lisbon."}]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fastembed, with which mem0's Qdrant downloads a file."""
    clean_environment(monkeypatch)
    monkeypatch.setitem(sys.modules, "fastembed", None)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(openai) as running:
        yield running


def options(server: Server, **other: Any) -> dict[str, Any]:
    return {"api_key": KEY, "openai_base_url": f"{server.url}/v1", **other}


# --- The copy --------------------------------------------------------------------------------


def python(code: str, home: Path, **environment: str) -> str:
    """What a fresh process prints."""
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEM0_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={**kept, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


USE = """
import sys
sys.modules["fastembed"] = None  # With it, mem0's Qdrant downloads a file.
from isomem import Memory
from isomem.providers.bridge.making import make_vector_store
memory = Memory.from_config({
    "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
    "history_db_path": "store/history.db",
    "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
    "llm": {"provider": "mock"},
})
memory.vector_store = make_vector_store("qdrant", {"path": "store/qdrant"}, 32)
memory.entity_store = memory.vector_store.beside("mem0_entities")
memory.add("Ana lives in Lisbon", user_id="ana", infer=False)
[hit] = memory.search("Where does Ana live?", filters={"user_id": "ana"}, threshold=0.0)["results"]
assert hit["memory"] == "Ana lives in Lisbon"
"""


class TestNothingElseOfMem0:
    """A process of its own, with mem0's telemetry asked for and with a home to write into."""

    pytestmark = oracle

    def test_no_module_of_it_stays_and_nothing_is_written_elsewhere(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        (home / "store").mkdir(parents=True)
        code = f"""{USE}
memory.close()
import os, sys
print([name for name in sys.modules if name.split(".")[0] in {{"mem0", "posthog"}}])
print(sorted(os.listdir(".")), sorted(os.listdir("store")))
"""
        shown = python(code, home, MEM0_TELEMETRY="True")
        assert shown.splitlines() == ["[]", "['store'] ['history.db', 'qdrant']"]

    def test_it_works_beside_the_stand_in_for_mem0(self, tmp_path: Path) -> None:
        code = f"""
import isomem.compat
import sys, mem0
from isomem.compat.modules import MARK
{USE}
assert issubclass(mem0.Memory, Memory)
memory.close()
again = mem0.Memory.from_config({{
    "vector_store": {{"config": {{"path": "store/qdrant", "embedding_model_dims": 32}}}},
    "embedder": {{"provider": "mock", "config": {{"embedding_dims": 32}}}},
    "llm": {{"provider": "mock"}},
}})
assert again.get_all(filters={{"user_id": "ana"}})["results"][0]["memory"] == hit["memory"]
assert type(again.vector_store).__module__ == "isomem.stores.qdrant"
again.close()
print(all(hasattr(sys.modules[name], MARK) for name in sys.modules if name.startswith("mem0")))
"""
        assert python(code, tmp_path / "home", MEM0_TELEMETRY="True") == "True"


@needs_mem0
@pytest.mark.oracle
@pytest.mark.parametrize("first", [True, False])
def test_it_works_beside_the_real_mem0(tmp_path: Path, first: bool) -> None:
    use = f"import mem0\n{USE}" if first else f"{USE}\nimport mem0"
    code = f"""{use}
assert mem0.Memory.__module__ == "mem0.memory.main" and mem0.Memory is not Memory
from mem0.vector_stores.qdrant import Qdrant
print(type(memory.vector_store.part).__qualname__, type(memory.vector_store.part) is Qdrant)
"""
    shown = python(code, tmp_path / "home", MEM0_TELEMETRY="False", MEM0_DIR=str(tmp_path))
    assert shown == "Qdrant False"


@needs_mem0
@pytest.mark.oracle
def test_what_reports_and_writes_into_the_home_cannot_be_imported() -> None:
    place = copy.folder()
    assert place is not None
    for name in copy.LEFT_OUT:
        with copy.imported(place), pytest.raises(ImportError, match="is left out"):
            importlib.import_module(name)


def imports_of(place: str, name: str) -> set[str]:
    """The modules of mem0 that one of them imports, anywhere in it."""
    path = Path(place, *name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return set()
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mem0"):
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names if each.name.startswith("mem0.")}
    return found


@needs_mem0
@pytest.mark.oracle
def test_no_provider_needs_what_is_left_out() -> None:
    place = copy.folder()
    assert place is not None
    folders = ("llms", "embeddings", "reranker", "vector_stores", "configs", "utils")
    left = {
        ".".join(("mem0", *path.relative_to(place).with_suffix("").parts))
        for folder in folders
        for path in Path(place, folder).rglob("*.py")
    }
    seen: set[str] = set()
    while left:
        name = left.pop()
        seen.add(name)
        left |= imports_of(place, name) - seen
    assert len(seen) > 100
    assert not seen & copy.LEFT_OUT


def test_mem0_is_found_past_what_stands_in_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in = tmp_path / "stand_in"
    package = tmp_path / "real" / "mem0" / "utils"
    package.mkdir(parents=True)
    (package / "factory.py").write_text("")
    stand_in.mkdir()

    class Finder:
        def __init__(self, place: Path) -> None:
            self.place = place

        def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
            from importlib.machinery import ModuleSpec

            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(self.place)]
            return spec

    monkeypatch.setattr(sys, "meta_path", [Finder(stand_in), Finder(package.parent)])
    assert copy.folder() == str(package.parent)
    monkeypatch.setattr(sys, "meta_path", [Finder(stand_in)])
    assert copy.folder() is None


def test_a_failed_import_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "_copied", {})
    monkeypatch.setitem(sys.modules, "mem0", ModuleType("mem0"))
    before, finders = sys.modules["mem0"], list(sys.meta_path)
    with pytest.raises(KeyError), copy.imported("/nowhere"):
        assert sys.modules["mem0"] is not before
        raise KeyError
    assert sys.modules["mem0"] is before
    assert sys.meta_path == finders


# --- Models ----------------------------------------------------------------------------------


@needs_mem0
@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
class TestModels:
    """mem0's own classes over a server; which names isomem carries itself makes no difference."""

    @pytest.fixture(autouse=True)
    def _closing(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Closes the clients of OpenAI's SDK, which mem0 leaves to the garbage collector.

        That may find a socket before the client that would close it, in a later test.
        """
        sdk: Any = importlib.import_module("openai")
        opens, opened = sdk.OpenAI.__init__, []

        def opening(client: Any, *args: Any, **options: Any) -> None:
            opens(client, *args, **options)
            opened.append(client)

        monkeypatch.setattr(sdk.OpenAI, "__init__", opening)
        yield
        for client in opened:
            client.close()

    def test_a_model_answers_by_mem0s_own_class(self, server: Server) -> None:
        llm: Any = making.make_llm("openai", options(server, model="gpt-4.1-mini"))
        reply = llm.generate_response(messages=MESSAGES, response_format={"type": "json_object"})
        assert isinstance(reply, str)
        assert server.seen[0].body["model"] == llm.config.model == "gpt-4.1-mini"
        assert server.seen[0].body["max_tokens"] == 2000
        assert type(llm.part).__module__ == "mem0.llms.openai"
        assert KEY not in repr(llm)

    def test_a_model_closes_the_connections_that_it_has_opened(self, server: Server) -> None:
        for make in (making.make_llm, making.make_embedder):
            part: Any = make("openai", options(server))
            assert not part.client.is_closed()
            part.close()
            assert part.client.is_closed()
            part.close()

    def test_an_embedder_makes_vectors_and_says_which_it_is(self, server: Server) -> None:
        embedder: Any = making.make_embedder("openai", options(server, embedding_dims=3))
        vector = embedder.embed("one", "add")
        assert embedder.embed_batch(["one", "two"], "add")[0] == vector
        assert embedder.identity == "openai/text-embedding-3-small"
        assert embedder.dims == embedder.config.embedding_dims == 3

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(401, AuthenticationError), (403, AuthenticationError), (429, RateLimitError)],
    )
    @pytest.mark.parametrize("section", ["llm", "embedder"])
    def test_a_status_decides_the_error(
        self, server: Server, section: str, status: int, kind: Any
    ) -> None:
        headers = {"Retry-After": "7", "x-should-retry": "false"}
        server.always = Answer(status, {"error": {"message": f"bad key {KEY}"}}, headers)
        make, call = {
            "llm": (making.make_llm, lambda part: part.generate_response(messages=MESSAGES)),
            "embedder": (making.make_embedder, lambda part: part.embed("one", "add")),
        }[section]
        with pytest.raises(kind) as caught:
            call(make("openai", options(server)))
        assert (caught.value.provider, caught.value.status) == ("openai", status)
        assert caught.value.retry_after == 7
        assert KEY not in f"{caught.value!r}{caught.value}{caught.value.__cause__!r}"
        assert "***" in str(caught.value)

    @pytest.mark.parametrize("status", [400, 404])
    def test_other_failures_are_those_of_the_section(self, server: Server, status: int) -> None:
        server.always = Answer(status, {"error": {"message": "no such model"}})
        with pytest.raises(LLMError, match="no such model") as caught:
            making.make_llm("openai", options(server)).generate_response(messages=MESSAGES)
        assert type(caught.value.__cause__).__module__.startswith("openai")
        with pytest.raises(EmbeddingError, match="no such model"):
            making.make_embedder("openai", options(server)).embed("one", "add")

    def test_a_server_that_is_not_there_is_a_network_error(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        llm: Any = making.make_llm("openai", options(server, openai_base_url="http://127.0.0.1:1"))
        monkeypatch.setattr(llm.part.client, "max_retries", 0)
        with pytest.raises(NetworkError, match="openai"):
            llm.generate_response(messages=MESSAGES)

    def test_a_reranker_is_made_with_a_model_of_mem0s(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        reranker: Any = making.make_reranker("llm_reranker", {"api_key": KEY, "topk": 1})
        documents = [{"memory": "Ana lives in Lisbon"}]
        [ranked] = reranker.rerank("Where?", documents, 1)
        assert "rerank_score" in ranked
        assert server.seen
        assert "reranker.config.topk (did you mean reranker.config.top_k?)" in caplog.text

    @pytest.mark.parametrize(
        ("make", "provider", "known"),
        [
            (making.make_llm, "openai", "model"),
            (making.make_llm, "anthropic", "model"),
            (making.make_embedder, "huggingface", "model"),
            (making.make_vector_store, "qdrant", "path"),
        ],
    )
    def test_an_unknown_option_is_refused_and_the_nearest_suggested(
        self, make: Any, provider: str, known: str
    ) -> None:
        with pytest.raises(InvalidConfigError, match=f"Did you mean '{known}'"):
            make(provider, {f"{known}x": 1})

    def test_options_that_a_class_passes_on_to_another_are_known(self) -> None:
        place = copy.folder()
        assert place is not None
        with copy.imported(place):
            module: Any = importlib.import_module("mem0.configs.llms.aws_bedrock")
        names = making.names_of(module.AWSBedrockConfig)
        assert {"aws_region", "model", "enable_vision", "api_key"} <= set(names)
        assert not {"kwargs", "self"} & set(names)

    def test_a_class_without_a_key_is_refused_without_a_call(self) -> None:
        with pytest.raises(LLMError, match="api_key"):
            making.make_llm("openai", {})

    @pytest.mark.parametrize("options", [{}, {"user": "u", "password": KEY}, {"port": "no port"}])
    def test_what_mem0_refuses_is_said_without_the_values(self, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidConfigError, match="mem0 refuses it") as caught:
            making.make_vector_store("pgvector", options)
        assert KEY not in str(caught.value)
        assert "no port" not in str(caught.value)

    def test_a_package_that_a_class_needs_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pymilvus", None)
        with pytest.raises(DependencyError, match="pymilvus") as caught:
            making.make_vector_store("milvus", {})
        assert caught.value.details["given"] == "milvus"

    def test_a_name_that_the_installed_mem0_lacks_says_to_upgrade(self) -> None:
        with pytest.raises(DependencyError, match="has no llm 'from_the_future'") as caught:
            making.make_llm("from_the_future", {})
        assert caught.value.suggestion == "pip install --upgrade mem0ai"

    def test_every_name_that_is_left_to_mem0_is_one_that_it_has(self) -> None:
        """So that none is refused: by the factories of the installed release."""
        place = copy.folder()
        assert place is not None
        with copy.imported(place):
            mem0: Any = importlib.import_module("mem0.utils.factory")
        factories = {
            "llm": mem0.LlmFactory,
            "embedder": mem0.EmbedderFactory,
            "reranker": mem0.RerankerFactory,
            "vector_store": mem0.VectorStoreFactory,
        }
        for kind in KINDS.values():
            theirs = set(factories[kind.section].provider_to_class)
            assert theirs <= kind.elsewhere | kind.builtin.keys()
            assert kind.elsewhere - LATER <= theirs
            assert theirs - LATER == set(OF_MEM0[kind.section].split())


# --- What a part raises ----------------------------------------------------------------------


class Broken:
    """A part that raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.client = self

    def rerank(self, *_: Any) -> None:
        raise self.error

    search = close = other = rerank


class RefusedError(Exception):
    """As vendors' libraries raise."""

    status_code = 401


@pytest.mark.parametrize(
    ("section", "error", "kind"),
    [
        ("reranker", RuntimeError("broken"), RerankError),
        ("reranker", RefusedError("broken"), AuthenticationError),
        ("reranker", TimeoutError("broken"), NetworkError),
        ("vector_store", RuntimeError("broken"), VectorStoreError),
        ("vector_store", ValueError("broken"), VectorValueError),
    ],
)
def test_what_a_part_raises_becomes_ours(section: str, error: Exception, kind: Any) -> None:
    part = Bridged(Broken(error), Failures(section, "p", {}))
    call = part.rerank if section == "reranker" else part.search
    with pytest.raises(kind, match="broken") as caught:
        call()
    assert caught.value.__cause__ is error
    with pytest.raises(type(error)):
        part.other()  # No method that isomem calls.


def test_who_interrupts_a_part_is_not_a_failure() -> None:
    part = Bridged(Broken(KeyboardInterrupt()), Failures("reranker", "p", {}))
    with pytest.raises(KeyboardInterrupt):
        part.rerank()


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": KEY},
        {"nested": {"client_secret": KEY}},
        {"connection_string": f"postgresql://ana:{KEY}@host/db"},
        {"url": f"https://ana:{KEY}@host"},
    ],
)
def test_no_secret_of_the_options_is_shown(options: dict[str, Any]) -> None:
    part = Bridged(Broken(RuntimeError(f"refused {KEY}")), Failures("vector_store", "p", options))
    with pytest.raises(VectorStoreError) as caught:
        part.search()
    assert KEY not in f"{caught.value}{caught.value!r}{caught.value.__cause__!r}"
    assert "refused ***" in str(caught.value)


def test_no_secret_of_the_environment_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    part = Bridged(Broken(RuntimeError(f"refused {KEY}")), Failures("reranker", "p", {}))
    with pytest.raises(RerankError, match=r"refused \*\*\*"):
        part.rerank()


def test_a_word_of_the_environment_is_not_taken_for_a_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    part = Bridged(Broken(RuntimeError("it is false")), Failures("reranker", "p", {}))
    with pytest.raises(RerankError, match="it is false"):
        part.rerank()


def test_a_part_can_be_copied() -> None:
    part = Bridged(Broken(RuntimeError()), Failures("reranker", "p", {}))
    assert copying.copy(part).part is part.part
    assert repr(part) == "<p: tests.unit.providers.test_bridge.Broken>" or "Broken>" in repr(part)


@pytest.mark.parametrize("owns", [True, False])
def test_a_store_closes_the_connection_that_it_has_opened(owns: bool) -> None:
    closed: list[str] = []
    client = type("Client", (), {"close": lambda self: closed.append("client")})()
    part = type("Store", (), {"client": client})()
    store = BridgedStore(
        part, Failures("vector_store", "p", {}), lambda name: store, "c", owns_client=owns
    )
    store.close()
    assert closed == (["client"] if owns else [])
    assert store.collection_name == "c"


# --- Stores ----------------------------------------------------------------------------------

FILTERS = {"user_id": "ana"}


def local_stores() -> list[Any]:
    """Those that need no server, each with the package that has it."""
    given = [
        ("qdrant", "qdrant_client", {"on_disk": True}),
        ("faiss", "faiss", {"distance_strategy": "cosine"}),
        ("chroma", "chromadb", {}),
    ]
    return [pytest.param(name, package, more, id=name) for name, package, more in given]


@needs_mem0
@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("provider", "package", "more"), local_stores())
class TestStores:
    def test_a_store_keeps_points_in_its_own_folder(
        self, tmp_path: Path, provider: str, package: str, more: dict[str, Any]
    ) -> None:
        pytest.importorskip(package)
        given = {"path": str(tmp_path / "store"), **more}
        store: Any = making.make_vector_store(provider, given, 2)
        ids = ["7d8c1a44-0000-4000-8000-000000000001", "7d8c1a44-0000-4000-8000-000000000002"]
        payloads = [{"data": "one", **FILTERS}, {"data": "two", "user_id": "eva"}]
        store.insert(vectors=[[1.0, 0.0], [0.0, 1.0]], ids=ids, payloads=payloads)
        assert store.collection_name == "mem0"
        entities = store.beside("mem0_entities")
        entities.insert(vectors=[[1.0, 0.0]], ids=ids[:1], payloads=[{"data": "Ana"}])
        entities.close()
        store.close()
        again: Any = making.make_vector_store(provider, given, 2)
        [hit] = again.search(query="", vectors=[1.0, 0.0], top_k=5, filters=FILTERS)
        assert (str(hit.id), hit.payload["data"]) == (ids[0], "one")
        assert again.get(vector_id=ids[1]).payload["data"] == "two"
        again.close()

    def test_what_the_store_refuses_is_an_error_of_ours(
        self, tmp_path: Path, provider: str, package: str, more: dict[str, Any]
    ) -> None:
        pytest.importorskip(package)
        store: Any = making.make_vector_store(provider, {"path": str(tmp_path / "s"), **more}, 2)
        store.insert(vectors=[[1.0, 0.0]], ids=["7d8c1a44-0000-4000-8000-000000000001"],
                     payloads=[{"data": "one"}])  # fmt: skip
        with pytest.raises(VectorStoreError, match=f"vector_store {provider}"):
            store.insert(vectors=[[1.0]], ids=["7d8c1a44-0000-4000-8000-000000000002"],
                         payloads=[{"data": "two"}])  # fmt: skip
        store.close()


@needs_mem0
@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_a_client_of_the_callers_is_used_and_stays_open() -> None:
    qdrant_client = pytest.importorskip("qdrant_client")
    client = qdrant_client.QdrantClient(":memory:")
    store: Any = making.make_vector_store("qdrant", {"client": client}, 2)
    assert store.client is client
    assert store.embedding_model_dims == 2
    store.close()
    assert [each.name for each in client.get_collections().collections] == ["mem0"]
    client.close()


@needs_mem0
@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_the_length_that_is_configured_counts(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    given = {"path": str(tmp_path / "q"), "embedding_model_dims": 3}
    store: Any = create_vector_store("qdrant", given, 2)
    assert store.embedding_model_dims == 3
    store.close()
    store = create_vector_store("qdrant", {"path": str(tmp_path / "r")}, None)
    assert store.embedding_model_dims == 1536  # As mem0 assumes.
    store.close()
