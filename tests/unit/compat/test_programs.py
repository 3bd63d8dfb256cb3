"""Programs that cannot be edited, mem0's loggers, and the real mem0 beside the stand-in."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.compat.children import run, told


def as_mem0(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isomem.compat", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


PROGRAM = """
import sys
from mem0 import Memory
import isomem
print(issubclass(Memory, isomem.Memory), __name__, sys.argv[1:])
sys.exit(3)
"""


@pytest.mark.parametrize("arguments", [["program.py"], ["-m", "program"], ["-c", PROGRAM]])
def test_a_program_runs_with_isomem_in_mem0s_place(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = as_mem0(*arguments, "a", "--b", folder=tmp_path)
    assert (done.stdout, done.returncode) == ("True __main__ ['a', '--b']\n", 3), done.stderr


def test_a_console_script_runs_in_the_same_way(tmp_path: Path) -> None:
    done = as_mem0("isomem", "--version", folder=tmp_path)
    assert (done.returncode, done.stdout[:7]) == (0, "isomem "), done.stderr


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = as_mem0("no-such-program", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("no-such-program: neither a file nor a console script")
    assert as_mem0(folder=tmp_path).stderr.startswith("usage: python -m isomem.compat")


def test_a_folder_of_the_name_of_a_console_script_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "isomem").mkdir()
    done = as_mem0("isomem", "--version", folder=tmp_path)
    assert (done.returncode, done.stdout[:7]) == (0, "isomem "), done.stderr


def test_a_folder_with_a_main_module_is_a_program(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__main__.py").write_text("import helper")
    (tmp_path / "app/helper.py").write_text("import mem0; print(mem0.Memory.__module__)")
    done = as_mem0("app", folder=tmp_path)
    assert done.stdout == "isomem.compat.memories\n", done.stderr


def test_a_module_that_is_not_there_is_named_and_one_that_lacks_another_fails(
    tmp_path: Path,
) -> None:
    done = as_mem0("-m", "no_such_module", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "no_such_module: there is no such module\n")
    (tmp_path / "lacking.py").write_text("import no_such_module")
    done = as_mem0("-m", "lacking", folder=tmp_path)
    assert (done.returncode, "ModuleNotFoundError" in done.stderr) == (1, True)


LATE = """
import pickle, sys, threading
from mem0.embeddings.base import EmbeddingBase
from mem0.utils.factory import EmbedderFactory
class Own(EmbeddingBase):
    def embed(self, text, memory_action=None):
        return [1.0]
EmbedderFactory.register_provider("own", "__main__.Own")
main = threading.main_thread()
def late():
    main.join()
    print(EmbedderFactory.create("own", {}).embed("x"), pickle.loads(pickle.dumps(Own)) is Own)
threading.Thread(target=late).start()
"""


@pytest.mark.parametrize("kind", ["file", "code"])
def test_a_program_is_the_main_module_for_as_long_as_its_threads_run(
    kind: str, tmp_path: Path
) -> None:
    (tmp_path / "late.py").write_text(LATE)
    done = as_mem0(*(["late.py"] if kind == "file" else ["-c", LATE]), folder=tmp_path)
    assert (done.stdout, done.returncode) == ("[1.0] True\n", 0), done.stderr


def test_a_traceback_ends_in_the_program_and_a_text_for_exit_is_printed(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text("def f():\n    1 / 0\nf()\n")
    done = as_mem0("fails.py", folder=tmp_path)
    assert done.returncode == 1
    assert 'File "fails.py", line 2, in f' in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    done = as_mem0("-c", "import sys; sys.exit('bad')", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "bad\n")


@pytest.mark.parametrize("own", ["", "import isomem.compat; "])
def test_a_process_that_the_program_starts_has_isomem_only_if_it_imports_it(
    own: str, tmp_path: Path
) -> None:
    child = f"{own}import sys; print([type(each).__name__ for each in sys.meta_path])"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    done = as_mem0("-c", code, folder=tmp_path)
    assert ("'StandIn'" in done.stdout, done.returncode) == (bool(own), 0), done.stderr


def test_threads_that_import_at_once_get_the_same_classes() -> None:
    assert told("""
        import isomem.compat, json, sys, threading
        sys.setswitchinterval(1e-6)
        names = [("mem0.llms.openai", "OpenAILLM"), ("mem0.configs.enums", "MemoryType"),
                 ("mem0.configs.vector_stores.milvus", "MetricType"), ("mem0", "Memory")]
        start, found = threading.Barrier(8), []
        def work():
            start.wait()
            for module, name in names:
                __import__(module)
                found.append(getattr(sys.modules[module], name))
        threads = [threading.Thread(target=work) for _ in range(8)]
        [each.start() for each in threads]
        [each.join() for each in threads]
        print(json.dumps([len(found), len({id(each) for each in found})]))
    """) == [32, 4]


def test_log_lines_are_those_of_mem0s_logger() -> None:
    assert told("""
        import logging
        seen = []
        class Seen(logging.Handler):
            def emit(self, record):
                seen.append([record.name, record.levelname, record.getMessage()])
        logging.getLogger("mem0").addHandler(Seen())
        import isomem.compat, json
        from mem0 import Memory
        from mem0.memory.main import logger
        logger.error("own")
        memory = Memory.from_config({
            "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
            "llm": {"provider": "mock"}, "embedder": {"provider": "mock"},
        })
        class Failing:
            def generate_response(self, messages, **options):
                raise OSError("no model")
        memory.llm = Failing()
        memory.add("x", user_id="u")
        isomem.compat.uninstall()
        memory.add("x", user_id="u")
        print(json.dumps(seen))
    """) == [
        ["mem0.memory.main", "ERROR", "own"],
        ["mem0.memory.main", "ERROR", "LLM extraction failed: no model"],
    ]


@pytest.mark.oracle
def test_the_real_mem0_can_be_used_beside_the_stand_in() -> None:
    assert told(
        """
        import isomem.compat, json, sys
        isomem.compat.install(keep_upstream=True)
        import mem0
        real = isomem.compat.upstream()
        factory = isomem.compat.upstream("mem0.utils.factory")
        import mem0.vector_stores.faiss as stand_in
        print(json.dumps([
            real.Memory is mem0.Memory, real.Memory.__module__, mem0.Memory.__module__,
            sys.modules["mem0"] is mem0, factory.LlmFactory is mem0.utils.factory.LlmFactory,
            isomem.compat.upstream("mem0.memory.main").Memory is real.Memory,
            mem0.reranker.cohere_reranker.COHERE_AVAILABLE,
        ]))
        """,
        warnings="ignore",
    ) == [
        False,
        "mem0.memory.main",
        "isomem.compat.memories",
        True,
        False,
        True,
        importlib.util.find_spec("cohere") is not None,
    ]


def test_without_an_installed_mem0ai_the_error_says_so() -> None:
    done = run("""
        import sys
        import isomem.compat
        from isomem import DependencyError
        from mem0 import Memory
        sys.path[:] = [each for each in sys.path if "site-packages" not in each]
        sys.path_importer_cache.clear()
        try:
            isomem.compat.upstream()
        except DependencyError as error:
            assert "pip install mem0ai==2.0.4" in str(error)
        else:
            raise AssertionError("no error")
        import mem0
        assert mem0.Memory is Memory
    """)
    assert done.returncode == 0, done.stderr


def test_classes_of_the_service_can_be_named_and_subclassed_without_one() -> None:
    done = run("""
        import isomem.compat, inspect, sys
        from mem0 import AsyncMemoryClient, MemoryClient
        from mem0.proxy.main import Mem0
        from typing import Optional, Union
        Optional[Union[MemoryClient, AsyncMemoryClient, Mem0]]
        assert inspect.iscoroutinefunction(AsyncMemoryClient.search)
        assert not isinstance(object(), MemoryClient)
        class Own(MemoryClient):
            def __init__(self): ...
        Own()
        assert "httpx" not in sys.modules
    """)
    assert done.returncode == 0, done.stderr


def test_telemetry_can_be_called_and_reports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEM0_DIR", str(tmp_path / "mem0"))
    done = run("""
        import isomem.compat, os, sys
        from mem0.memory.setup import get_user_id, mem0_dir, setup_config
        from mem0.memory.telemetry import (
            MEM0_TELEMETRY, AnonymousTelemetry, capture_client_event, capture_event,
            client_telemetry,
        )
        setup_config()
        assert mem0_dir == os.environ["MEM0_DIR"] and not os.path.exists(mem0_dir)
        capture_event("mem0.add", object(), {"a": 1})
        capture_client_event("x", object())
        client_telemetry.capture_event("name", {}, "distinct")
        assert client_telemetry.capture_identify("a", "b") is False
        AnonymousTelemetry().close()
        assert MEM0_TELEMETRY is False and client_telemetry.posthog is None and get_user_id()
        assert not {"posthog", "socket", "httpx"} & set(sys.modules)
    """)
    assert done.returncode == 0, done.stderr


def test_history_in_a_file_of_its_own_can_be_read_with_sql(tmp_path: Path) -> None:
    assert told(f"""
        import isomem.compat, json
        from mem0.memory.storage import SQLiteManager
        manager = SQLiteManager({str(tmp_path / "history.db")!r})
        manager.add_history("m", None, "likes tea", "ADD")
        cursor = manager.connection.cursor()
        cursor.execute("SELECT memory_id, event FROM history WHERE event = ?", ("ADD",))
        first = cursor.fetchone()
        manager.connection.execute("UPDATE history SET event = 'X'")
        manager.connection.commit()
        rows = [list(row) for row in manager.connection.execute("SELECT event FROM history")]
        try:
            manager.connection.execute("SELECT nonsense")
        except Exception as error:
            fault = type(error).__name__
        manager.close()
        print(json.dumps([first, cursor.fetchone(), rows, fault, manager.connection]))
    """) == [["m", "ADD"], None, [["X"]], "DatabaseError", None]
