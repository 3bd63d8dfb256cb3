"""A coroutine that never suspends needs no event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isomem.ports.blocking import drive


async def _value(value: Any) -> Any:
    return value


async def _sum() -> int:
    return await _value(1) + await _value(2)


def test_the_value_of_a_coroutine_comes_back() -> None:
    assert drive(_sum()) == 3


def test_an_error_comes_out_as_it_is() -> None:
    async def fail() -> None:
        await _value(1)
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        drive(fail())


def test_a_coroutine_that_suspends_is_refused_and_closed() -> None:
    closed = []

    async def suspend() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append(True)

    with pytest.raises(RuntimeError, match="suspended"):
        drive(suspend())
    assert closed == [True]


def test_it_works_inside_a_running_loop() -> None:
    async def main() -> int:
        return drive(_sum())

    assert asyncio.run(main()) == 3


def test_no_event_loop_is_loaded() -> None:
    code = (
        "import sys; from isomem.ports.blocking import drive\n"
        "async def f(): return 5\n"
        "assert drive(f()) == 5 and 'asyncio' not in sys.modules"
    )
    source = Path(__file__).resolve().parents[3] / "src"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(source)})
