"""The files in deploy/ name what there is, and confine the service as they say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
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
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source


def test_the_check_of_its_health_asks_the_service() -> None:
    [check] = steps("HEALTHCHECK")
    words = json.loads(check.partition("CMD ")[2])
    assert words[0] == "python"
    code = words[-1]
    compile(code, "health", "exec")
    [port] = steps("EXPOSE")
    assert f"http://127.0.0.1:{port}/health" in code
    nobody = code.replace(port, "1")
    refused = subprocess.run(
        [sys.executable, "-c", nobody], capture_output=True, check=False, timeout=60
    )
    assert refused.returncode != 0


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
