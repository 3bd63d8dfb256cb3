"""A prompt is the pinned one, or nothing is sent."""

from __future__ import annotations

import subprocess
import sys

import pytest

import isomem.prompts
from isomem.errors import PromptIntegrityError
from isomem.prompts import loader
from isomem.prompts.manifest import UPSTREAM, Pin, sha256_hex

FIVE = [
    "ADDITIVE_EXTRACTION_PROMPT",
    "DEFAULT_UPDATE_MEMORY_PROMPT",
    "AGENT_CONTEXT_SUFFIX",
    "PROCEDURAL_MEMORY_SYSTEM_PROMPT",
    "MEMORY_ANSWER_PROMPT",
]
GREETING = Pin("GREETING", "made/up.py", 6, sha256_hex("grüß".encode()))


@pytest.mark.parametrize("name", FIVE)
def test_upstreams_names_are_attributes(name):
    assert getattr(isomem.prompts, name) == loader.text(name)


@pytest.mark.oracle
@pytest.mark.parametrize("name", FIVE)
def test_texts_are_those_that_importing_upstream_gives(name):
    upstream = pytest.importorskip("mem0.configs.prompts")
    assert getattr(isomem.prompts, name) == getattr(upstream, name)


@pytest.mark.parametrize("pin", UPSTREAM.texts, ids=lambda pin: pin.name)
def test_every_pinned_text_loads(pin):
    assert len(loader.text(pin.name).encode()) == pin.length


def test_all_names_exist_and_are_listed():
    for name in isomem.prompts.__all__:
        assert getattr(isomem.prompts, name)
    assert dir(isomem.prompts) == sorted(isomem.prompts.__all__)


def test_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NO_SUCH_PROMPT"):
        _ = isomem.prompts.NO_SUCH_PROMPT


def test_unknown_text_is_a_key_error():
    with pytest.raises(KeyError, match="NO_SUCH_PROMPT"):
        loader.text("NO_SUCH_PROMPT")


def test_text_is_read_once(monkeypatch, tmp_path):
    first = loader.text("AGENT_CONTEXT_SUFFIX")
    monkeypatch.setattr(loader, "DIRECTORY", str(tmp_path))
    assert loader.text("AGENT_CONTEXT_SUFFIX") is first


def test_pinned_text_loads_as_unicode(tmp_path):
    (tmp_path / "GREETING").write_bytes("grüß".encode())
    assert loader.load(GREETING, str(tmp_path)) == "grüß"


@pytest.mark.parametrize("data", [b"", b"hello\n", "grüß\n".encode(), "gruß!".encode()])
def test_changed_text_is_refused(tmp_path, data):
    (tmp_path / "GREETING").write_bytes(data)
    with pytest.raises(PromptIntegrityError, match="GREETING is not the pinned text") as caught:
        loader.load(GREETING, str(tmp_path))
    assert caught.value.details["sha256"] == GREETING.sha256


def test_missing_text_is_refused_and_the_remedy_named(tmp_path):
    with pytest.raises(PromptIntegrityError, match=r"cannot be read .* reinstall isomem"):
        loader.load(GREETING, str(tmp_path))


def test_refused_text_is_not_remembered(monkeypatch, tmp_path):
    monkeypatch.setattr(loader, "_checked", {})
    monkeypatch.setattr(loader, "DIRECTORY", str(tmp_path))
    for _ in range(2):
        with pytest.raises(PromptIntegrityError):
            _ = isomem.prompts.MEMORY_ANSWER_PROMPT


def test_digest_falls_back_to_hashlib(monkeypatch):
    # None in sys.modules makes an import fail.
    monkeypatch.setitem(sys.modules, "_sha2", None)
    monkeypatch.setitem(sys.modules, "_sha256", None)
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_loading_a_prompt_imports_nothing_heavy():
    script = (
        "import sys; before = set(sys.modules)\n"
        "from isomem.prompts import loader\n"
        "loader.text('ADDITIVE_EXTRACTION_PROMPT')\n"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(loaded & {'hashlib', 'typing', 'dataclasses', 'logging', 'pathlib', 'ast'}))"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", _bare_package() + script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == ""


def _bare_package() -> str:
    """Reaches the prompts without what the rest of the package imports."""
    folder = str(loader.DIRECTORY).removesuffix("/prompts/pinned")
    return (
        "import sys; package = type(sys)('isomem')\n"
        f"package.__path__ = [{folder!r}]; sys.modules['isomem'] = package\n"
    )
