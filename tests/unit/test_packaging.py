"""What is built is complete, carries the right texts, and the repository carries none of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from build_support.prompts import PromptStepError, is_complete, prepare
from isomem import __version__
from isomem.prompts.loader import DIRECTORY
from isomem.prompts.manifest import UPSTREAM, Edition, Pin, sha256_hex

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {"HELLO": "hello, wörld", "BYE": "goodbye"}
LICENCE = "do as you like"


def pin(name: str, path: str, text: str) -> Pin:
    return Pin(name, path, len(text.encode()), sha256_hex(text.encode()))


# --- The prompt step, on an invented release -------------------------------------------------


def write_wheel(folder: Path, greeting: str = TEXTS["HELLO"]) -> Path:
    """A wheel of an invented release whose module must never run."""
    path = folder / "invented-1.0-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    module = f"import os\nHELLO = {greeting!r}\nprint(f('good' 'bye'))\nos._exit(3)\n"
    info = "invented-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("invented/texts.py", module)
        archive.writestr(f"{info}/LICENSE", LICENCE)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: invented\nVersion: 1.0")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def wheel(tmp_path) -> Path:
    return write_wheel(tmp_path / "index")


@pytest.fixture
def edition(wheel) -> Edition:
    return Edition(
        requirement="invented==1.0",
        wheel=wheel.name,
        sha256=sha256_hex(wheel.read_bytes()),
        licence=pin("LICENSE", "invented-1.0.dist-info/LICENSE", LICENCE),
        texts=[pin(name, "invented/texts.py", text) for name, text in TEXTS.items()],
    )


@pytest.fixture
def offline(monkeypatch) -> None:
    """pip sees no index."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def named(monkeypatch, path: Path) -> None:
    monkeypatch.setenv("ISOMEM_MEM0_WHEEL", str(path))


def test_named_wheel_gives_texts_and_licence(monkeypatch, tmp_path, wheel, edition):
    named(monkeypatch, wheel)
    assert prepare(tmp_path / "pinned", edition)
    found = {path.name: path.read_text("utf-8") for path in (tmp_path / "pinned").iterdir()}
    assert found == {**TEXTS, "LICENSE": LICENCE}


@pytest.mark.build
def test_pip_downloads_the_wheel_by_hash(monkeypatch, tmp_path, wheel, edition, offline):
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert prepare(tmp_path / "pinned", edition)
    assert is_complete(tmp_path / "pinned", edition)


def test_texts_that_are_there_are_reused(monkeypatch, tmp_path, wheel, edition):
    named(monkeypatch, wheel)
    prepare(tmp_path / "pinned", edition)
    wheel.unlink()
    assert not prepare(tmp_path / "pinned", edition)


@pytest.mark.parametrize("name", ["HELLO", "LICENSE"])
def test_damaged_or_missing_file_is_written_again(monkeypatch, tmp_path, wheel, edition, name):
    named(monkeypatch, wheel)
    pinned = tmp_path / "pinned"
    prepare(pinned, edition)
    (pinned / name).write_text("damaged")
    assert prepare(pinned, edition)
    (pinned / name).unlink()
    assert prepare(pinned, edition)
    assert is_complete(pinned, edition)


def test_named_wheel_of_another_digest_is_refused(monkeypatch, tmp_path, edition):
    named(monkeypatch, write_wheel(tmp_path / "other", "hello, villain"))
    with pytest.raises(PromptStepError, match=f"(?s)is not the pinned.*{edition.sha256}"):
        prepare(tmp_path / "pinned", edition)
    assert not (tmp_path / "pinned").exists()


def test_named_wheel_that_is_not_there_is_refused(monkeypatch, tmp_path, edition):
    named(monkeypatch, tmp_path / "absent.whl")
    with pytest.raises(PromptStepError, match="ISOMEM_MEM0_WHEEL names a file that is not there"):
        prepare(tmp_path / "pinned", edition)


def test_wheel_without_a_pinned_text_is_refused(monkeypatch, tmp_path, wheel, edition):
    named(monkeypatch, wheel)
    edition.texts = [*edition.texts, pin("ABSENT", "invented/texts.py", "never said")]
    with pytest.raises(PromptStepError, match=r"does not hold what the manifest pins: ABSENT\."):
        prepare(tmp_path / "pinned", edition)
    assert not (tmp_path / "pinned").exists()


@pytest.mark.build
def test_no_network_is_said_and_the_way_out_named(tmp_path, edition, offline):
    with pytest.raises(PromptStepError, match=r"(?s)could not download.*ISOMEM_MEM0_WHEEL"):
        prepare(tmp_path / "pinned", edition)


@pytest.mark.build
def test_index_that_serves_another_file_is_named(monkeypatch, tmp_path, edition, offline):
    other = write_wheel(tmp_path / "other", "hello, villain")
    monkeypatch.setenv("PIP_FIND_LINKS", str(other.parent))
    with pytest.raises(PromptStepError, match="serves another file than the pinned"):
        prepare(tmp_path / "pinned", edition)


# --- The real build ---------------------------------------------------------------------------


def copy_checkout(target: Path) -> Path:
    """What a build needs of this checkout, without what earlier builds left."""
    target.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, target)
    for name in ("src", "build_support"):
        left = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so")
        shutil.copytree(ROOT / name, target / name, ignore=left)
    left = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")
    for name in ("models", "parity"):
        shutil.copytree(ROOT / name, target / name, ignore=left, symlinks=True)
    return target


def build(checkout: Path, kind: str, home: str) -> subprocess.CompletedProcess[str]:
    """Runs one build hook in `checkout` as a front end would, without a network."""
    environment = {**os.environ, "HOME": home, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    environment.setdefault("CC", hasty_compiler(checkout.parent))
    script = f"from setuptools.build_meta import *; build_{kind}('dist')"
    (checkout / "dist").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def hasty_compiler(folder: Path) -> str:
    """One that does not optimise, which takes longest: what is built here need not be fast."""
    path = folder / "cc"
    path.write_text('#!/bin/sh\nexec cc "$@" -O0\n')
    path.chmod(0o755)
    return str(path)


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, real_home) -> Path:
    """A copy of the checkout with an sdist and a wheel of each distribution, built offline.

    They are in its `dist` and in `parity/dist`.
    """
    copy = copy_checkout(tmp_path_factory.mktemp("build") / "checkout")
    (copy / "models/build").mkdir()
    (copy / "models/build/chat.json").write_text('["what the recipe downloaded"]')
    for project in (copy, copy / "parity"):
        for kind in ("sdist", "wheel"):
            result = build(project, kind, real_home)
            assert result.returncode == 0, result.stderr
    return copy


def wheel_names(folder: Path) -> set[str]:
    with zipfile.ZipFile(only(folder, "*.whl")) as archive:
        return set(archive.namelist())


def sdist_names(folder: Path) -> set[str]:
    """Without the folder of name and version that they are all in."""
    with tarfile.open(only(folder, "*.tar.gz")) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def wheel_metadata(folder: Path) -> Message:
    with zipfile.ZipFile(only(folder, "*.whl")) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def files_of(package: Path) -> set[str]:
    """The files of a package, named as in a wheel."""
    return {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.build
def test_wheel_holds_every_module_and_text(checkout):
    expected = files_of(checkout / "src/isomem")
    assert "isomem/py.typed" in expected
    assert {f"isomem/prompts/pinned/{pin.name}" for pin in UPSTREAM.texts} < expected
    assert "isomem/prompts/pinned/LICENSE" in expected
    built = {name for name in wheel_names(checkout / "dist") if ".dist-info/" not in name}
    assert {name for name in built if not is_extension(name)} == expected


def is_extension(name: str) -> bool:
    return name.endswith(tuple(EXTENSION_SUFFIXES))


@pytest.mark.build
@pytest.mark.skipif(not shutil.which("cc"), reason="there is no compiler")
def test_wheel_holds_the_compiled_kernel_where_a_compiler_is(checkout):
    pytest.importorskip("Cython")
    names = [name for name in wheel_names(checkout / "dist") if is_extension(name)]
    assert {name.split(".")[0] for name in names} == {"isomem/kernel", "isomem/pieces"}


@pytest.mark.build
def test_wheel_is_built_without_a_compiler_all_the_same(tmp_path, real_home, monkeypatch):
    copy = copy_checkout(tmp_path / "checkout")
    monkeypatch.setenv("CC", "no-such-compiler")
    result = build(copy, "wheel", real_home)
    assert result.returncode == 0, result.stderr
    names = wheel_names(copy / "dist")
    assert "isomem/kernel.py" in names
    assert not any(map(is_extension, names))


@pytest.mark.build
def test_wheel_carries_licence_and_notice(checkout):
    names = {name.split("/", 1)[1] for name in wheel_names(checkout / "dist") if "/" in name}
    assert {"licenses/LICENSE", "licenses/NOTICE"} < names


@pytest.mark.build
def test_wheel_brings_the_table_of_the_local_embedder_and_says_where_it_is_from(checkout):
    table = "isomem/providers/embedder/english.safetensors"
    (wheel,) = (checkout / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.getinfo(table).file_size < 9_000_000
        (notice,) = (name for name in archive.namelist() if name.endswith("/licenses/NOTICE"))
        said = archive.read(notice).decode()
    for source in (table, "all-MiniLM-L6-v2", "BERT", "WordNet"):
        assert source in said
    assert wheel.stat().st_size < 12_000_000


@pytest.mark.build
def test_sdist_brings_the_recipe_of_the_table_but_nothing_that_the_recipe_downloaded(checkout):
    names = {name for name in sdist_names(checkout / "dist") if name.startswith("models/")}
    assert {"models/__main__.py", "models/README.md", "models/recorded.json"} < names
    assert not [name for name in names if name.startswith("models/build")]


@pytest.mark.build
def test_neither_wheel_nor_sdist_of_isomem_holds_anything_of_the_harness(checkout):
    wheel, sdist = wheel_names(checkout / "dist"), sdist_names(checkout / "dist")
    assert not [name for name in wheel if "parity" in name or "scenarios" in name]
    assert not [name for name in sdist if "isomem_parity" in name or name.startswith("parity")]
    parts = {name.partition("/")[0] for name in wheel}
    assert parts == {"isomem", f"isomem-{__version__}.dist-info"}


@pytest.mark.build
def test_wheel_of_the_harness_holds_its_modules_scenarios_and_divergences(checkout):
    expected = files_of(checkout / "parity/src/isomem_parity")
    assert {f"isomem_parity/{name}.py" for name in ("run", "doubles", "fuzz", "mutate")} < expected
    assert {"isomem_parity/py.typed", "isomem_parity/divergences.toml"} < expected
    assert sum(name.startswith("isomem_parity/scenarios/") for name in expected) > 150
    names = wheel_names(checkout / "parity/dist")
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.build
def test_sdist_of_the_harness_builds_the_same_wheel(checkout, tmp_path, real_home):
    with tarfile.open(only(checkout / "parity/dist", "*.tar.gz")) as archive:
        archive.extractall(tmp_path, **({"filter": "data"} if sys.version_info >= (3, 12) else {}))
    (unpacked,) = tmp_path.iterdir()
    assert (unpacked / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    result = build(unpacked, "wheel", real_home)
    assert result.returncode == 0, result.stderr
    assert wheel_names(unpacked / "dist") == wheel_names(checkout / "parity/dist")


@pytest.mark.build
def test_the_harness_asks_for_exactly_this_isomem_and_that_mem0(checkout):
    ours, harness = (wheel_metadata(checkout / name) for name in ("dist", "parity/dist"))
    assert ours["Version"] == harness["Version"] == __version__
    asked = harness.get_all("Requires-Dist")
    assert {f"isomem=={__version__}", UPSTREAM.requirement} < set(asked)


@pytest.mark.build
@pytest.mark.oracle
def test_the_harness_runs_its_scenarios_from_a_wheel(checkout, tmp_path):
    """Nothing in it looks for the checkout: it finds what the wheel brought."""
    pytest.importorskip("mem0")
    for folder in ("dist", "parity/dist"):
        with zipfile.ZipFile(only(checkout / folder, "*.whl")) as archive:
            archive.extractall(tmp_path)
    command = [sys.executable, "-m", "isomem_parity", "--match", "dedup/", "--class", "sync"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    dedup = [*(tmp_path / "isomem_parity/scenarios/dedup").glob("*.json")]
    assert re.search(rf"^dedup +{len(dedup)} ", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("same memory\n")


@pytest.mark.build
def test_wheel_asks_for_four_packages_and_no_more(checkout):
    metadata = wheel_metadata(checkout / "dist")
    always = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    names = {line.split(">")[0].split("<")[0].split("=")[0] for line in always}
    assert names == {"apsw", "simsimd", "py-rust-stemmers", "httpx"}
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"


@pytest.mark.build
def test_sdist_holds_no_upstream_text_and_builds_the_same_wheel(checkout, tmp_path, real_home):
    with tarfile.open(only(checkout / "dist", "*.tar.gz")) as archive:
        assert not [name for name in archive.getnames() if "pinned" in name]
        archive.extractall(tmp_path, **({"filter": "data"} if sys.version_info >= (3, 12) else {}))
    unpacked = tmp_path / "isomem-0.1.0"
    shutil.copytree(DIRECTORY, unpacked / "src/isomem/prompts/pinned")
    result = build(unpacked, "wheel", real_home)
    assert result.returncode == 0, result.stderr
    assert wheel_names(unpacked / "dist") == wheel_names(checkout / "dist")


@pytest.mark.build
@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_build_without_texts_and_network_fails_and_says_why(kind, tmp_path, real_home):
    copy = copy_checkout(tmp_path / "checkout")
    shutil.rmtree(copy / "src/isomem/prompts/pinned")
    result = build(copy, kind, real_home)
    assert result.returncode != 0
    assert "isomem: prompt step: could not download mem0ai==2.0.4" in result.stderr
    assert "ISOMEM_MEM0_WHEEL" in result.stderr
    assert "Traceback" not in result.stderr.split("isomem: prompt step:")[1]
    assert not list((copy / "dist").iterdir())


# --- The repository ---------------------------------------------------------------------------


def repository_files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [
        path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()
    ]


def test_repository_holds_no_line_of_the_texts():
    # Long enough to be a sentence of theirs, and not a heading or a key that is a format fact.
    lines = {
        line.strip()
        for pin in UPSTREAM.texts
        for line in (Path(DIRECTORY) / pin.name).read_bytes().splitlines()
        if len(line.strip()) >= 34
    }
    assert len(lines) > 100
    guilty = [
        f"{path.relative_to(ROOT)}: {line.decode()}"
        for path in repository_files()
        for content in [path.read_bytes()]
        for line in lines
        if line in content
    ]
    assert guilty == []
