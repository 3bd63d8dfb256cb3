"""The README and the guides tell the truth: their examples run, and nothing is left out."""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.cli import failures
from isomem.cli.parser import make_parser, parse
from isomem.providers.bridge import copy
from isomem.reference import SECTIONS
from tests.unit.providers.servers import KEY, Seen, clean_environment, serving

ROOT = Path(__file__).resolve().parents[2]
GUIDES = (
    "README.md", "docs/quickstart.md", "docs/cli.md", "docs/errors.md", "docs/ranking.md",
    "docs/engines.md", "docs/expiry.md", "docs/mcp.md", "docs/moving.md", "docs/providers.md",
    "docs/serve.md", "docs/superseding.md", "docs/switching.md", "examples/README.md",
)  # fmt: skip
CLI = (ROOT / "docs/cli.md").read_text("utf-8")
TABLES = CLI + (ROOT / "docs/providers.md").read_text("utf-8")
BLOCK = re.compile(
    r"(?:<!-- needs (a model|mem0|a model and mem0) -->\n)?```python\n(.*?)```", re.DOTALL
)


def guide(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def answer(seen: Seen) -> Any:
    """A model and an embedder of OpenAI's protocol."""
    if seen.path.endswith("/embeddings"):
        return {"data": [{"index": i, "embedding": [1.0] * 1536} for i in range(_texts(seen))]}
    is_extraction = "response_format" in seen.body
    fact = json.dumps({"memory": [{"id": "0", "text": "Ana goes to Porto every spring"}]})
    content = fact if is_extraction else "You told me so."
    return {"choices": [{"message": {"role": "assistant", "content": content}}]}


def _texts(seen: Seen) -> int:
    texts = seen.body["input"]
    return 1 if isinstance(texts, str) else len(texts)


@pytest.fixture
def model_variables() -> Iterator[dict[str, str]]:
    """The environment of someone who has a model."""
    with serving(answer) as server:
        yield {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{server.url}/v1"}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)
    for name in [name for name in os.environ if name.startswith("ISOMEM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path / "memory"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.chdir(tmp_path)


# --- Examples run ----------------------------------------------------------------------------


def quiet_mem0() -> None:
    """mem0 without extras, for which it would download a model, and without its warnings."""
    warnings.simplefilter("ignore")  # Until the end of the test.
    if importlib.util.find_spec("isomem_parity") is not None:
        from isomem_parity import tiers

        tiers.enter("A")


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
@pytest.mark.parametrize("name", [name for name in GUIDES if "```python" in guide(name)])
def test_the_python_examples_run(
    name: str,
    model_variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """In their order, each able to use what those before it have made."""
    names: dict[str, Any] = {}
    monkeypatch.setitem(sys.modules, "fastembed", None)  # With it, mem0's Qdrant downloads a file.
    for number, (needs, code) in enumerate(BLOCK.findall(guide(name))):
        if needs.endswith("mem0"):
            if copy.folder() is None:
                continue
            quiet_mem0()
        with monkeypatch.context() as patched, redirect_stdout(io.StringIO()):
            if needs.startswith("a model"):
                patched.setenv("ISOMEM_DIR", str(tmp_path / f"with-model-{number}"))
                for key, value in model_variables.items():
                    patched.setenv(key, value)
            exec(compile(code, name, "exec"), names)
    for value in names.values():
        if isinstance(value, Memory):
            value.close()


def command_lines() -> list[str]:
    lines = [
        line
        for name in GUIDES
        for block in re.findall(r"```console\n(.*?)```", guide(name), re.DOTALL)
        for line in block.splitlines()
    ]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ isomem ")]


@pytest.mark.parametrize("line", command_lines())
def test_the_command_lines_are_understood(line: str) -> None:
    assert callable(parse(shlex.split(line)[1:]).run)


@pytest.mark.parametrize("name", ["quickstart.py", "conversation.py", "chat.py"])
def test_the_example_scripts_run(name: str, model_variables: dict[str, str]) -> None:
    with_model = model_variables if name == "chat.py" else {}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)],
        input="I love trains\n\n",
        capture_output=True,
        text=True,
        env={**os.environ, **with_model},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {
        "quickstart.py": "I moved to Lisbon in May.",
        "conversation.py": "45 of 45 messages, 34 memories",
        "chat.py": "(remembered: Ana goes to Porto every spring)",
    }[name] in done.stdout


def test_every_example_script_is_listed_and_run() -> None:
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert scripts == set(re.findall(r"`(\w+\.py)`", guide("examples/README.md")))


# --- Nothing is left out ---------------------------------------------------------------------


def commands(parser: argparse.ArgumentParser, *before: str) -> Iterator[tuple[str, Any]]:
    """Every command with its own parser, those inside commands included."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from commands(inner, *before, name)
            if parser.get_default("run") is None:
                return
    yield " ".join(before), parser


@pytest.mark.parametrize(("name", "parser"), [*commands(make_parser())])
def test_every_command_and_option_is_documented(name: str, parser: Any) -> None:
    [section] = re.findall(
        rf"^### `isomem {name}(?= [A-Z]|`)(.*?)(?=^##)", CLI, re.DOTALL | re.MULTILINE
    )
    common = {"--help", "--config", "--path", "--json"}
    for action in parser._actions:
        for option in action.option_strings:
            if option.startswith("--") and option not in common:
                assert f"`{option}" in section, option
        if not (action.option_strings or isinstance(action, argparse._SubParsersAction)):
            assert str(action.metavar) in section.splitlines()[0]


def test_every_documented_command_exists() -> None:
    documented = re.findall(r"^### `isomem ([a-z -]+?)(?: [A-Z ]+)?`", CLI, re.MULTILINE)
    assert sorted(documented) == sorted(name for name, _ in commands(make_parser()))


def test_every_exit_code_and_variable_is_documented() -> None:
    codes = [value for name, value in vars(failures).items() if name.startswith("EXIT_")]
    table = CLI.split("## Exit codes")[1]
    for code in (0, *codes):
        assert re.search(rf"^\| {code} \|", table, re.MULTILINE), code
    sources = [path.read_text("utf-8") for path in (ROOT / "src/isomem/cli").glob("*.py")]
    for variable in set(re.findall(r"ISOMEM_[A-Z_]+", "".join(sources))):
        is_option = variable.removeprefix("ISOMEM_").lower().startswith(SECTIONS)
        assert f"| `{variable}` |" in CLI or (is_option and f"`{variable}`" in TABLES), variable


@pytest.mark.parametrize("name", GUIDES)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", guide(name)):
        if "://" not in target:
            assert (ROOT / name).parent.joinpath(target).exists(), target
