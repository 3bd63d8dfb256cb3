"""The load model: what it says where the answer is known, and how it is told."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from math import log
from pathlib import Path

import pytest

from bench.load import __main__ as command
from bench.load import report
from bench.load.model import Costs, Setup, Simulation, alone_ms, bounds

ONE = Costs(client_ms=0.0, server_ms=4.0, trips=1)
"""All of it is one visit to the database: a queue whose answer is known."""


def test_a_queue_waits_as_long_as_the_theory_says() -> None:
    setup = Setup(cores=1, rtt_ms=0.0, rate=150.0, connections=10_000)
    found = Simulation(ONE, setup, seed=3).run(400)
    mean_ms = 1000 / (1000 / 4 - 150)  # In a queue with random arrivals and random service.
    assert found.per_s == pytest.approx(150, rel=0.02)
    assert found.median_ms == pytest.approx(mean_ms * log(2), rel=0.08)
    assert found.p99_ms == pytest.approx(mean_ms * log(100), rel=0.1)
    assert found.database_busy == pytest.approx(0.6, rel=0.02)


def test_nothing_exceeds_a_bound_and_the_smallest_one_is_reached() -> None:
    costs = Costs(client_ms=2.0, server_ms=1.0, trips=3)
    setup = Setup(machines=2, processes=2, threads=8, cores=2, rtt_ms=0.2)
    limits = bounds(costs, setup)
    assert min(limits, key=lambda what: limits[what]) == "the processes"
    found = Simulation(costs, setup).run(8)
    assert 0.9 * 2000 < found.per_s <= 2000 * 1.02


def test_more_cores_of_the_database_help_until_the_processes_are_the_limit() -> None:
    costs = Costs(client_ms=1.0, server_ms=4.0, trips=2)
    per_s = [
        Simulation(costs, Setup(machines=2, threads=16, cores=cores)).run(8).per_s
        for cores in (1, 2, 16)
    ]
    assert per_s[1] == pytest.approx(2 * per_s[0], rel=0.1)
    assert per_s[2] == pytest.approx(2000, rel=0.1)


def test_calls_that_wait_for_the_disk_share_its_flushes() -> None:
    costs = Costs(client_ms=0.01, server_ms=0.01, trips=1, flush_ms=5.0)
    alone = Simulation(costs, Setup(threads=1, rtt_ms=0.0)).run(20)
    many = Simulation(costs, Setup(threads=10, cores=8, rtt_ms=0.0)).run(20)
    assert alone.per_s == pytest.approx(1000 / alone_ms(costs, Setup(rtt_ms=0.0)), rel=0.05)
    assert many.per_s > 4 * alone.per_s


def test_on_one_machine_everything_shares_the_cores() -> None:
    costs, setup = Costs(2.0, 2.0, 1), Setup(threads=8, cores=2, rtt_ms=0.0)
    apart = Simulation(costs, replace(setup, machines=4)).run(8)
    together = Simulation(costs, replace(setup, machines=4, together=True)).run(8)
    slow = Simulation(costs, replace(setup, machines=4, together=True, speed=0.5)).run(8)
    assert apart.per_s == pytest.approx(1000, rel=0.1)
    assert together.per_s == pytest.approx(500, rel=0.1)
    assert slow.per_s == pytest.approx(250, rel=0.1)


def test_the_same_seed_gives_the_same() -> None:
    setup = Setup(rate=100.0)
    assert Simulation(ONE, setup, 5).run(10) == Simulation(ONE, setup, 5).run(10)
    assert Simulation(ONE, setup, 5).run(10) != Simulation(ONE, setup, 6).run(10)


def test_a_connection_is_held_for_the_whole_call() -> None:
    setup = Setup(threads=50, connections=2, cores=50, rtt_ms=10.0)
    found = Simulation(Costs(0.01, 0.01, 1), setup).run(20)
    assert found.per_s == pytest.approx(200, rel=0.05)


def test_the_page_has_constants_the_check_and_an_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "SIMULATED_S", 1)
    once = {
        "speed": 1.0, "per_s": 100.0, "model_per_s": 90.0, "median_ms": 4.0,
        "model_median_ms": 5.0, "p99_ms": 10.0, "model_p99_ms": 8.0,
    }  # fmt: skip
    file, page = tmp_path / "load.json", tmp_path / "scaling.md"
    costs = asdict(Costs(1.5, 2.5, 2))
    checks = [
        {"call": "search", "threads": 8, "rounds": [once, {**once, "model_per_s": 80.0}, once]}
    ]
    file.write_text(json.dumps({"costs": {"search": costs}, "checks": checks}))
    page.write_text((Path(__file__).parents[2] / "docs/scaling.md").read_text("utf-8"))
    assert command.main(["--write-docs", str(page), "--file", str(file)]) == 0
    text = page.read_text("utf-8")
    assert "| search | alone | 1.50 | 2.50 | 2 | 0 | 1 |" in text
    assert "| search | 8 | 100 | 90 | -10% | 4 | 5 | +25% | 10 | 8 | -20% |" in text
    assert "| search | 8 | 3,200 | the database |" in text


def test_what_the_model_says_is_called_a_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "load.json"
    file.write_text(json.dumps({"costs": {"search": asdict(ONE)}}))
    asked = "--model --machines 2 --processes 1 --cores 2 --rtt-ms 0.3 --rate 100 --threads 3"
    assert command.main([*asked.split(), "--file", str(file)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("A model's figures")
    assert "search: alone 4.30 ms" in told
    assert "what arrives 100" in told
