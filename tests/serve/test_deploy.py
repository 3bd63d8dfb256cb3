"""The files in deploy/ name what there is, and confine the service as they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from isomem.cli.parser import parse
from isomem.reference import variable
from isomem.serve.settings import TABLE

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8").replace("\\\n", " ")
UNIT = (ROOT / "deploy/isomem.service").read_text("utf-8")
VARIABLES = {variable("serve", option.name) for option in TABLE} | {"ISOMEM_DIR", "ISOMEM_CONFIG"}


def steps(name: str) -> list[str]:
    """The arguments of the steps of one kind, of the last stage."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE.split("\nFROM ")[-1], re.MULTILINE)


def test_the_container_serves_as_somebody_who_may_do_nothing_else() -> None:
    [user] = steps("USER")
    assert user not in ("root", "0")
    assert DOCKERFILE.index("\nUSER") < DOCKERFILE.index("\nCMD")
    [command] = steps("CMD")
    name, *words = json.loads(command)
    assert name == "isomem"
    parse(words)
    for each in re.findall(r"ISOMEM_\w+", DOCKERFILE):
        assert each in VARIABLES, each
    for source in sources():
        assert (ROOT / source).exists(), source


def test_the_check_of_its_health_asks_the_service() -> None:
    [check] = steps("HEALTHCHECK")
    words = json.loads(check.partition("CMD ")[2])
    assert words[0] == "python"
    code = words[-1]
    compile(code, "health", "exec")
    [port] = steps("EXPOSE")
    assert f"http://127.0.0.1:{port}/health" in code
    assert checked(code, port, "1") != 0
    pytest.importorskip("fastapi")
    from tests.serve.service import listening, serving

    with serving() as served, listening(served) as url:
        assert checked(code, port, url.rpartition(":")[2]) == 0


def checked(code: str, port: str, asked: str) -> int:
    """How the check ends for a service at another port."""
    words = [sys.executable, "-c", code.replace(f":{port}/", f":{asked}/")]
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode


# --- What the image is built from ------------------------------------------------------------


def sources() -> list[str]:
    """What is copied into the image."""
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    return [source for each in copied for source in each.split()]


def test_only_what_is_copied_is_sent_to_be_built() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    kept = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    assert sorted(kept) == sorted(sources())
    assert {"**/*.so", "**/__pycache__"} <= {*rules}


def build(folder: Path) -> Path:
    """The environment that the image has, made by the lines that make it there."""
    context = folder / "source"
    context.mkdir()
    left_out = shutil.ignore_patterns("__pycache__", "*.pyc", "*.so", "*.egg-info")
    for source in sources():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / source, ignore=left_out)
        else:
            shutil.copy(ROOT / source, context / source)
    first = DOCKERFILE.split("\nFROM ")[1]
    [command] = [line for line in re.findall(r"^RUN (.*)$", first, re.MULTILINE) if "venv" in line]
    made = folder / "opt"
    done = subprocess.run(
        command.replace("/opt/isomem", str(made)), shell=True, cwd=context, check=False,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return made


@pytest.mark.skipif("DEPLOY" not in os.environ, reason="make deploy-check: takes minutes")
def test_the_image_would_have_a_service_that_works(tmp_path: Path) -> None:
    """All that needs no Docker: what is installed, how it is started, and how it is checked."""
    made, data = build(tmp_path), tmp_path / "data"
    data.mkdir(mode=0o700)
    [command] = steps("CMD")
    name, *words = json.loads(command)
    env = {"PATH": f"{made / 'bin'}:/usr/bin:/bin", "ISOMEM_DIR": str(data), "HOME": str(data)}
    process = subprocess.Popen(
        [made / "bin" / name, *words, "--json", "--port", "0"],
        env=env, cwd=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "}\n")
        started = json.loads("".join(lines) + "}")
        [check] = steps("HEALTHCHECK")
        [port] = steps("EXPOSE")
        code = json.loads(check.partition("CMD ")[2])[-1]
        assert checked(code, port, started["url"].rpartition(":")[2]) == 0
        assert Path(started["memories"]).parent == data
        assert {path.name for path in data.iterdir()} >= {"memory.db", "service.db"}
    finally:
        process.send_signal(signal.SIGTERM)  # STOPSIGNAL
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_the_unit_starts_the_command() -> None:
    [start] = re.findall(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    parse(shlex.split(start)[1:])
    for each in re.findall(r"ISOMEM_\w+", UNIT):
        assert each in VARIABLES, each


def analyzed(*words: str) -> str:
    """What systemd says of a unit."""
    done = subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_the_unit_is_valid_and_confined(tmp_path: Path) -> None:
    unit = tmp_path / "isomem.service"
    unit.write_text(UNIT.replace("/opt/isomem/bin/isomem", sys.executable))
    assert "isomem.service" not in analyzed("verify", str(unit))
    found = analyzed("security", "--offline=yes", str(unit))
    exposure = re.search(r"exposure level for isomem.service: ([\d.]+)", found)
    if exposure is None:
        pytest.skip("this systemd cannot judge a unit that is not loaded")
    assert float(exposure[1]) < 2
