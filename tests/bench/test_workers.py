"""Every workload runs, on every system that it names, at a tiny size. Nothing is timed here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import rounds
from bench.plan import SYSTEMS, VARIANTS, WORKLOADS, Run, Sizes, chosen, peer
from bench.workers import kit, stub

TINY = Sizes(
    article=((30, 2),),
    hashed=((384, 30, 2),),
    hashed_alone=((1_536, 30, 2),),
    hashed_once=((384, 30, 2),),
    users=(2, 3),
    users_mem0=2,
    each=5,
    scopes=2,
    anywhere=3,
    one_scope=((20, 2), (30, 2)),
    inferred=(2, 10),
    managed=(2, 5),
    concurrent=(20, 1),
    shared=40,
    written=(64, 16),
    held=(40, 1),
    cold=25,
    durable=10,
    resident=(10, 20),
    flushes=5,
    largest=((800, 200, 4),),
)

ISOMEM_ALONE = [
    pytest.param(name, [run for run in workload.runs(TINY) if not run.system.startswith("mem0")])
    for name, workload in WORKLOADS.items()
]
MEM0_ALONE = [
    pytest.param(name, runs)
    for name, workload in WORKLOADS.items()
    if (runs := [run for run in workload.runs(TINY) if run.system.startswith("mem0")])
]


CONVERSATION = {
    "speaker_a": "Ana",
    "speaker_b": "Ben",
    "sessions": [
        {
            "session": 1,
            "date_time": "1:56 pm on 8 May, 2023",
            "turns": [
                {"speaker": "Ana", "dia_id": "D1:1", "text": "I moved to Lisbon."},
                {"speaker": "Ben", "dia_id": "D1:2", "text": "I bought a red bicycle."},
            ],
            "facts": {
                "Ana": [["Ana lives in Lisbon.", "D1:1"]],
                "Ben": [["Ben has a red bicycle.", "D1:2"]],
            },
        }
    ],
    "qa": [
        {"question": "Ana lives in Lisbon.", "answer": "yes", "evidence": ["D1:1"], "category": 4},
        {
            "question": "Ben has a red bicycle.",
            "answer": "yes",
            "evidence": ["D1:2"],
            "category": 1,
        },
        {"question": "Who is Eva?", "answer": "", "evidence": ["D1:1"], "category": 5},
    ],
}
"""A file in the form of LoCoMo's. Two of its questions are equal to the facts that answer them."""


def _with_data(run: Run, folder: Path) -> Run:
    if "data" not in run.options:
        return run
    return replace(run, options={**run.options, "data": str(folder)})


def check(name: str, runs: list[Run], folder: Path) -> None:
    """Every run gives the figures that the workload shows, and loses nothing."""
    given: set[str] = set()
    (folder / "conversation.json").write_text(json.dumps(CONVERSATION), "utf-8")
    for number, run in rounds.in_turn([_with_data(run, folder) for run in runs], 1):
        figures = rounds.start(run, folder)
        if number:
            given |= figures.keys()
        assert figures["peak_mb"] > 5
        assert figures.get("stored", 20) == 20
        assert figures.get("left") == figures.get("wanted") or "stored" in figures
        assert not figures.get("lost")
        assert not figures.get("add_failed")
        assert not figures.get("search_failed")
        assert figures.get("recall_1", 100) == 100
        assert figures.get("questions", 2) == 2
    assert set(WORKLOADS[name].shows) <= given


@pytest.mark.parametrize(("name", "runs"), ISOMEM_ALONE)
@pytest.mark.slow
def test_isomem_runs_every_workload(name: str, runs: list[Run], tmp_path: Path) -> None:
    check(name, runs, tmp_path)


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "runs"), MEM0_ALONE)
def test_mem0_runs_every_workload_that_names_it(name: str, runs: list[Run], tmp_path: Path) -> None:
    pytest.importorskip("mem0")
    check(name, runs, tmp_path)


# --- The runner ---------------------------------------------------------------------------


def test_systems_take_turns_and_what_prepares_runs_once() -> None:
    fill = Run("case", "isomem-disk", "fill", first=True)
    ours, theirs = Run("case", "isomem-disk", "cold", times=2), Run("case", "mem0-disk", "cold")
    long = Run("case", "mem0-memory", "article", once=True)
    turns = [(at, run.system) for at, run in rounds.in_turn([ours, theirs, long, fill], 2)]
    pair = ["isomem-disk", "isomem-disk", "mem0-disk"]
    assert turns == [
        (0, "isomem-disk"),
        *((1, system) for system in pair),
        (1, "mem0-memory"),
        *((2, system) for system in pair),
    ]


def test_a_worker_that_fails_is_told_of_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "WORKERS", tmp_path)
    monkeypatch.setattr(rounds, "compile_everything", lambda: None)
    (tmp_path / "article.py").write_text("import sys; sys.exit('boom')", encoding="utf-8")
    said: list[str] = []
    results = rounds.measure(chosen(["article"]), TINY, 1, tmp_path, said.append)
    of_article = [result["error"] for result in results if result["workload"] == "article"]
    assert of_article == ["exit status 1: boom"] * 7
    assert sum("boom" in line for line in said) == 7


@pytest.mark.slow
def test_stores_are_removed(tmp_path: Path) -> None:
    rounds.measure(chosen(["shared_file"]), TINY, 1, tmp_path, lambda _: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_machine_is_measured_before_each_workload(tmp_path: Path) -> None:
    results = rounds.measure(chosen(["shared_file"]), TINY, 1, tmp_path, lambda _: None)
    assert [(result["workload"], result["case"]) for result in results] == [
        ("machine", "before shared_file"),
        ("shared_file", "1 process"),
        ("shared_file", "4 processes"),
    ]
    assert results[0]["figures"]["flush_us"] > 0


def test_a_worker_sees_no_key_and_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = rounds.environment(tmp_path)
    assert environment["HOME"] == str(tmp_path)
    assert environment["MEM0_TELEMETRY"] == "False"
    assert not {"OPENAI_API_KEY", "PYTHONDONTWRITEBYTECODE"} & environment.keys()


# --- The plan -----------------------------------------------------------------------------


def test_every_run_names_a_system_and_a_worker_that_exist() -> None:
    for workload in WORKLOADS.values():
        for run in workload.runs(Sizes()):
            assert run.system in SYSTEMS
            assert (rounds.WORKERS / f"{run.script}.py").is_file()
            assert run.system.count("-") < 2 or run.system.rpartition("-")[2] in VARIANTS


def test_a_variant_is_options_for_its_system() -> None:
    assert Run("", "isomem-disk-uncached", "article").arguments == {
        "system": "isomem-disk",
        "cache_mb": 0,
    }
    assert Run("", "mem0-stub", "article").arguments == {"system": "mem0-stub"}


def test_peers_are_systems_of_the_plan() -> None:
    for system in SYSTEMS:
        assert peer(system) in {None, *SYSTEMS}
    assert peer("isomem-disk-plain") == "mem0-disk"
    assert peer("mem0-disk") is None


def test_an_unknown_workload_is_an_error() -> None:
    with pytest.raises(KeyError):
        chosen(["nothing"])


def test_what_takes_hours_runs_only_if_it_is_named() -> None:
    assert [workload.name for workload in chosen(["largest"])] == ["largest"]
    assert "largest" not in {workload.name for workload in chosen([])}


def test_every_workload_says_what_it_does() -> None:
    assert all(workload.about for workload in WORKLOADS.values())


# --- What workers measure with ------------------------------------------------------------


def test_measuring_costs_little_memory_of_its_own() -> None:
    """What a worker imports before the system that it measures."""
    code = "import sys; before = set(sys.modules); import kit; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=rounds.WORKERS, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"__future__", "kit", "time"}


def test_time_of_the_embedder_is_subtracted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 4.0, 10.0])  # begun, embedding from 1 to 4, done
    monkeypatch.setattr(kit, "perf_counter", lambda: next(clock))
    embedder = kit.Hashed(8)
    assert kit.seconds(lambda: embedder.embed("text"), embedder) == 7.0


def test_facts_are_new_in_every_reply() -> None:
    import json

    model = kit.Facts(10)
    texts = [fact["text"] for _ in range(20) for fact in json.loads(model.reply())["memory"]]
    assert len(set(texts)) == 200


@pytest.fixture
def store() -> stub.StubStore:
    made = stub.StubStore()
    texts = {"a": "red tea", "b": "red red wine", "c": "green tea", "d": "red tea"}
    for at, (point_id, text) in enumerate(texts.items()):
        user = "other" if point_id == "d" else "ana"
        payload: dict[str, Any] = {"user_id": user, "text_lemmatized": text}
        made.insert([[1.0, float(at)]], [payload], [point_id])
    return made


def test_the_stub_finds_what_is_nearest_in_the_scope(store: stub.StubStore) -> None:
    found = store.search("", [1.0, 0.0], 2, {"user_id": "ana"})
    assert [(point.id, round(point.score, 4)) for point in found] == [("a", 1.0), ("b", 0.7071)]


def test_the_stub_ranks_by_words(store: stub.StubStore) -> None:
    found = store.keyword_search("red", 5, {"user_id": "ana"})
    assert [point.id for point in found] == ["b", "a"]
    assert not store.keyword_search("blue", 5, {"user_id": "ana"})


def test_the_stub_updates_and_deletes(store: stub.StubStore) -> None:
    store.update("a", [0.0, 1.0], {"user_id": "other", "text_lemmatized": ""})
    store.delete("b")
    assert [point.id for point in store.list({"user_id": "ana"})[0]] == ["c"]
    assert store.get("b") is None
    store.reset()
    assert store.list({}) == [[]]
