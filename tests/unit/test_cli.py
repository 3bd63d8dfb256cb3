"""The command line: what each command prints, and how it fails."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import __version__
from isomem.cli import main, views
from isomem.cli.screen import Screen, printable
from isomem.cli.settings import SHORT
from isomem.store import schema
from isomem.types import PROFILES
from tests.unit.providers.servers import KEY, Answer, Server, clean_environment, serving

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "isomem"]


class Outcome:
    """What one run printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err.splitlines()[-1])["error"]


class Isomem:
    """Runs the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Outcome:
        try:
            code = main(words)
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return Outcome(code, *self._capsys.readouterr())

    def add(self, text: str, *words: str) -> str:
        """The id of a new raw memory of ana's."""
        done = self("add", text, "--user", "ana", "--raw", "--json", *words)
        assert done.code == 0, done.err
        [added] = done.json["results"]
        return str(added["id"])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for each test, with a configuration that needs no package."""
    clean_environment(monkeypatch)
    for name in [name for name in os.environ if name.startswith("ISOMEM_")]:
        monkeypatch.delenv(name)
    config = {
        "embedder": {"provider": "mock", "config": {"embedding_dims": 64}},
        "nlp": {"provider": "none"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("ISOMEM_CONFIG", str(tmp_path / "config.json"))
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path / "memory"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT / "src", ROOT / "parity/src"))))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def isomem(capsys: pytest.CaptureFixture[str]) -> Isomem:
    return Isomem(capsys)


def process(*words: str, given: str | bytes = b"", **options: Any) -> Outcome:
    """Runs the command in a process of its own."""
    data = given.encode() if isinstance(given, str) else given
    done = subprocess.run(
        [*COMMAND, *words], input=data, capture_output=True, check=False, **options
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


# --- The commands ----------------------------------------------------------------------------


def test_add_prints_what_is_new(isomem: Isomem) -> None:
    done = isomem("add", "I like tea", "--user", "ana", "--raw")
    assert done.code == 0
    assert re.fullmatch(r"\+ I like tea\n  [0-9a-f-]{36}\n", done.out)


def test_add_says_when_nothing_is_new(isomem: Isomem) -> None:
    done = isomem("add", "be kind", "--user", "ana", "--raw", "--role", "system")
    assert done.out == "Nothing new to remember.\n"


def test_add_takes_the_reply_of_the_same_turn(isomem: Isomem) -> None:
    words = ("add", "I like tea", "--reply", "Noted!", "--user", "ana", "--raw", "--json")
    results = json.loads(isomem(*words).out)["results"]
    assert [(each["role"], each["memory"]) for each in results] == [
        ("user", "I like tea"),
        ("assistant", "Noted!"),
    ]


def test_add_reads_standard_input() -> None:
    done = process("add", "-", "--user", "ana", "--raw", given="Grüße\naus Bern\n")
    assert done.out.startswith("+ Grüße aus Bern\n")
    listed = process("list", "--user", "ana", "--json").json
    assert listed["results"][0]["memory"] == "Grüße\naus Bern"


def test_add_keeps_role_metadata_and_scope(isomem: Isomem) -> None:
    words = ["--agent", "bot", "--run", "r1", "--role", "assistant", "--metadata", '{"a": [1]}']
    memory_id = isomem.add("done", *words)
    found = isomem("get", memory_id, "--json").json
    assert found["metadata"] == {"a": [1]}
    assert [found[key] for key in ("user_id", "agent_id", "run_id", "role")] == [
        "ana",
        "bot",
        "r1",
        "assistant",
    ]


def test_search_shows_scores_texts_and_ids(isomem: Isomem) -> None:
    tea = isomem.add("I like green tea")
    isomem.add("The car is red")
    done = isomem("search", "green tea", "--user", "ana", "--top-k", "1")
    assert re.fullmatch(rf"\d\.\d\d\d  I like green tea\n       {tea}  .* UTC\n", done.out)


def test_search_takes_filters_and_a_threshold(isomem: Isomem) -> None:
    isomem.add("tea in London", "--metadata", '{"city": "London"}')
    isomem.add("tea in Porto", "--metadata", '{"city": "Porto"}')
    words = ["search", "tea", "--user", "ana", "--json"]
    found = isomem(*words, "--filter", '{"city": "Porto"}').json["results"]
    assert [each["memory"] for each in found] == ["tea in Porto"]
    assert isomem(*words, "--threshold", "1").json["results"] == []
    by_filter_alone = isomem("search", "tea", "--filter", '{"user_id": "ana"}', "--json").json
    assert len(by_filter_alone["results"]) == 2


def test_search_takes_a_ranking(isomem: Isomem, monkeypatch: pytest.MonkeyPatch) -> None:
    isomem.add("I like green tea")
    isomem.add("The car is red")
    words = ["search", "green tea", "--user", "ana", "--json"]
    fused = isomem(*words, "--ranking", "fused").json["results"]
    contract = isomem(*words).json["results"]
    assert len(fused) == 2
    assert fused[0]["memory"] == contract[0]["memory"] == "I like green tea"
    assert fused[0]["score"] != contract[0]["score"]
    monkeypatch.setenv("ISOMEM_RANKING", "fused")
    assert isomem(*words).json["results"] == fused
    assert isomem(*words, "--ranking", "contract").json["results"] == contract


@pytest.mark.parametrize("ranking", ["contract", "fused"])
def test_search_explains_its_scores(isomem: Isomem, ranking: str) -> None:
    isomem.add("I like green tea")
    words = ["search", "green tea", "--user", "ana", "--ranking", ranking, "--explain"]
    explained = isomem(*words).out.splitlines()[2]
    (hit,) = isomem(*words, "--json").json["results"]
    details = hit["score_details"]
    numbers = [float(number) for number in re.findall(r"-?\d\.\d{3}", explained)]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.003)
    assert numbers[-1] == pytest.approx(details["raw_score"], abs=0.001)
    assert explained.endswith(f" of {details['max_possible_score']:g}")
    assert ("(threshold 0.1)" in explained) == (ranking == "contract")


def test_search_never_shows_another_users_memories(isomem: Isomem) -> None:
    isomem.add("secret")
    assert isomem("search", "secret", "--user", "ben").out == "Nothing found.\n"


def test_list_says_when_there_may_be_more(isomem: Isomem) -> None:
    for text in ("one", "two", "three"):
        isomem.add(text)
    done = isomem("list", "--user", "ana", "--top-k", "2")
    assert len(done.out.splitlines()) == 4
    assert "--top-k" in done.err
    assert isomem("list", "--user", "ana").err == ""
    assert isomem("list", "--user", "ben").out == "No memories.\n"


def test_list_shows_pages_in_any_order(isomem: Isomem) -> None:
    for day in (2, 3, 1):
        isomem.add(f"on day {day}", "--timestamp", f"2024-01-0{day}")
    words = ["list", "--user", "ana", "--order", "newest"]
    newest = isomem(*words, "--json").json["results"]
    assert [each["memory"] for each in newest] == ["on day 3", "on day 2", "on day 1"]
    assert "on day 2" not in isomem(*words, "--top-k", "1").out
    done = isomem(*words, "--page-size", "2")
    assert done.out.splitlines()[::2] == ["on day 3", "on day 2"]
    [cursor] = re.fullmatch(
        r"2 of 3 memories\.\nThe next page: --cursor (\S+)\n", done.err
    ).groups()  # type: ignore[union-attr]
    done = isomem("list", "--user", "ana", "--cursor", cursor)
    assert done.out.splitlines()[::2] == ["on day 1"]
    assert done.err == "1 of 3 memories.\n"
    page = isomem("list", "--user", "ana", "--cursor", cursor, "--json").json
    assert page == {"results": newest[2:], "next_cursor": None, "total": 3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--page-size", "0"], "Invalid page_size: 0"),
        (["--page-size", "few"], "invalid int value: 'few'"),
        (["--cursor", ""], "Invalid cursor"),
        (["--cursor", "x"], "Invalid cursor: 'x'"),
        (["--order", "best"], "invalid choice: 'best'"),
        (["--top-k", "5", "--page-size", "5"], "either top_k, or page_size"),
    ],
)
def test_list_refuses_pages_that_do_not_exist(isomem: Isomem, words: list[str], said: str) -> None:
    isomem.add("tea")
    done = isomem("list", "--user", "ana", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_count_counts(isomem: Isomem) -> None:
    for mood in ("calm", "calm", "glad"):
        isomem.add("tea", "--metadata", json.dumps({"mood": mood}))
    assert isomem("count", "--user", "ana").out == "3 memories\n"
    calm = ["count", "--user", "ana", "--filter", '{"mood": "calm"}']
    assert isomem(*calm, "--json").json == {"memories": 2}
    assert isomem("count", "--user", "ben").out == "0 memories\n"
    assert isomem("count").code == 2


def test_scopes_shows_whose_memories_there_are(isomem: Isomem) -> None:
    assert isomem("scopes").code == 3
    isomem.add("tea")
    isomem.add("milk")
    isomem("add", "done", "--agent", "bot\x1b", "--run", "r1", "--raw")
    minute = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert re.fullmatch(
        rf"agent bot\\x1b, run r1\n  1 memory  {minute}\n"
        rf"user ana\n  2 memories  {minute}(?: to {minute})?\n",
        isomem("scopes").out,
    )
    assert isomem("scopes", "--user", "ben").out == "No memories.\n"
    [found] = isomem("scopes", "--user", "ana", "--json").json
    assert set(found) == {"user_id", "memories", "first", "last"}
    assert found["first"] <= found["last"]


def test_listings_leave_out_what_has_expired_unless_asked(isomem: Isomem) -> None:
    isomem.add("tea")
    isomem.add("milk", "--expires", "2020-01-01")
    for words in (["count"], ["scopes"], ["list", "--page-size", "5", "--order", "oldest"]):
        shown = isomem(*words, "--user", "ana", "--json").out
        everything = isomem(*words, "--user", "ana", "--show-expired", "--json").out
        assert (
            ('"memories": 1' in shown) == ('"memories": 2' in everything) == ("list" not in words)
        )
        assert ('"total": 1' in shown) == ('"total": 2' in everything) == ("list" in words)


def test_context_prints_a_text_for_a_prompt(isomem: Isomem) -> None:
    isomem.add("I like green tea", "--timestamp", "2024-01-02")
    isomem.add("I like tea with milk\nand sugar", "--timestamp", "2024-01-01")
    words = ["context", "do I like tea", "--user", "ana"]
    text = "2024-01-01:\n- I like tea with milk\n  and sugar\n2024-01-02:\n- I like green tea\n"
    assert isomem(*words).out == text
    assert isomem(*words, "--json").json == {"context": text.rstrip("\n")}
    assert len(isomem(*words, "--max-tokens", "25").out.splitlines()) == 2
    assert isomem(*words, "--max-tokens", "0").code == 2
    nothing = isomem("context", "tea", "--user", "ben")
    assert (nothing.out, nothing.err, nothing.code) == ("", "Nothing found.\n", 0)


def test_get_shows_every_field(isomem: Isomem) -> None:
    memory_id = isomem.add("I like tea", "--metadata", '{"mood": "good", "n": 1}')
    done = isomem("get", memory_id)
    assert done.out.splitlines()[0] == "I like tea"
    rows = dict(line.split(maxsplit=1) for line in done.out.splitlines()[1:])
    assert (rows["id"], rows["user_id"], rows["mood"], rows["n"]) == (memory_id, "ana", "good", "1")


def test_what_has_expired_is_hidden_until_it_is_asked_for(isomem: Isomem) -> None:
    gone = isomem.add("I like tea", "--expires", "2020-01-31")
    kept = isomem.add("I like green tea", "--expires", "9000-12-31")
    for command in (("list",), ("search", "tea", "--threshold", "0")):
        shown = isomem(*command, "--user", "ana")
        assert kept in shown.out
        assert "expires 9000-12-31" in shown.out
        assert gone not in shown.out
        assert "expires 2020-01-31" in isomem(*command, "--user", "ana", "--show-expired").out
    assert "2020-01-31" in isomem("get", gone).out


def test_update_changes_the_date_alone_or_with_the_text(isomem: Isomem) -> None:
    memory_id = isomem.add("I like tea")
    for words, shown in (
        (["--expires", "2020-01-31"], None),
        (["--expires", "never"], "I like tea"),
        (["I like coffee", "--expires", "2020-01-31"], None),
        (["I like coffee"], None),
        (["I like milk", "--expires", "9000-12-31"], "I like milk"),
    ):
        assert isomem("update", memory_id, *words).code == 0
        listed = isomem("list", "--user", "ana", "--json").json["results"]
        assert [each["memory"] for each in listed] == ([shown] if shown else [])


def test_update_changes_metadata_alone(isomem: Isomem) -> None:
    memory_id = isomem.add("I like tea")
    assert isomem("update", memory_id, "--metadata", '{"topic": "drinks"}').code == 0
    memory = isomem("get", memory_id, "--json").json
    assert (memory["memory"], memory["metadata"]) == ("I like tea", {"topic": "drinks"})


def test_a_change_of_nothing_or_to_no_date_is_refused(isomem: Isomem) -> None:
    memory_id = isomem.add("I like tea")
    for words, said in (
        ([], "nothing to change"),
        (["--metadata", "{}"], "nothing to change"),
        (["--expires", "soon"], "YYYY-MM-DD"),
        (["--expires", ""], "YYYY-MM-DD"),
    ):
        done = isomem("update", memory_id, *words)
        assert (done.code, said in done.err) == (2, True), done.err
    assert isomem("add", "x", "--user", "ana", "--raw", "--expires", "never").code == 2


def test_sweep_removes_what_has_expired(isomem: Isomem) -> None:
    isomem.add("I like tea")
    gone = isomem.add("I like cake", "--expires", "2020-01-31")
    isomem("add", "x", "--user", "bo", "--raw", "--expires", "2020-01-31")
    assert isomem("sweep", "--user", "ana").out == "1 expired memory was removed.\n"
    assert isomem("get", gone).code == 3
    assert isomem("sweep", "--json").json == {"removed": 1}
    assert isomem("sweep").out == "0 expired memories were removed.\n"
    assert "I like tea" in isomem("list", "--user", "ana").out


def test_sweep_does_not_make_a_file(isomem: Isomem, tmp_path: Path) -> None:
    assert isomem("sweep", "--path", str(tmp_path / "missing.db")).code == 3
    assert not (tmp_path / "missing.db").exists()


def test_a_stale_fact_is_hidden_until_it_is_restored(
    isomem: Isomem, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(fact: str, *words: str) -> Outcome:
        config = json.loads((home / "config.json").read_text())
        model = {"provider": "mock", "config": {"replies": [{"memory": [{"text": fact}]}]}}
        (home / "config.json").write_text(json.dumps({**config, "llm": model}))
        return isomem("add", "hello", "--user", "ana", *words)

    first = learn("Ana lives in Berlin", "--json").json["results"][0]["id"]
    shown = learn("Ana lives in Lisbon", "--supersede", "similar").out
    assert f"  - Ana lives in Berlin\n    {first}\n" in shown
    for command in (("list",), ("search", "Ana", "--threshold", "0")):
        assert first not in isomem(*command, "--user", "ana").out
        assert "superseded" in isomem(*command, "--user", "ana", "--show-superseded").out
    assert "superseded_by" in isomem("get", first).out
    assert "SUPERSEDE" in isomem("history", first).out
    assert isomem("restore", first).out == "Memory restored successfully!\n"
    assert first in isomem("list", "--user", "ana").out
    again = isomem("restore", first)
    assert (again.code, "is not superseded" in again.err) == (2, True)
    assert isomem("restore", "nowhere").code == 3
    assert isomem("add", "x", "--user", "ana", "--supersede", "always").code == 2
    monkeypatch.setenv("ISOMEM_SUPERSEDE", "similar")
    assert "- Ana lives in" in learn("Ana lives in Porto").out


def test_update_changes_text_and_history_tells(isomem: Isomem) -> None:
    memory_id = isomem.add("I like tea")
    assert isomem("update", memory_id, "I like coffee").code == 0
    events = isomem("history", memory_id)
    assert [line.split()[3:] for line in events.out.splitlines()] == [
        ["ADD", "I", "like", "tea"],
        ["UPDATE", "I", "like", "coffee"],
    ]
    assert [each["event"] for each in isomem("history", memory_id, "--json").json] == [
        "ADD",
        "UPDATE",
    ]


def test_delete_removes_the_memory_and_keeps_its_history(isomem: Isomem) -> None:
    memory_id = isomem.add("I like tea")
    assert isomem("delete", memory_id).code == 0
    assert isomem("get", memory_id).code == 3
    assert "DELETE" in isomem("history", memory_id).out


def test_delete_all_removes_one_scope(isomem: Isomem) -> None:
    isomem.add("mine")
    isomem("add", "yours", "--user", "ben", "--raw")
    assert isomem("delete-all", "--user", "ana", "--yes").code == 0
    assert isomem("list", "--user", "ana", "--json").json["results"] == []
    assert len(isomem("list", "--user", "ben", "--json").json["results"]) == 1


def test_reset_removes_everything(isomem: Isomem) -> None:
    memory_id = isomem.add("mine")
    assert isomem("reset", "--yes").out == "Everything was removed.\n"
    assert isomem("history", memory_id).code == 3


@pytest.mark.parametrize("words", [["reset"], ["delete-all", "--user", "ana"]])
def test_what_removes_much_asks_first(isomem: Isomem, words: list[str]) -> None:
    isomem.add("mine")
    refused = process(*words)
    assert refused.code == 2
    assert "--yes" in refused.err
    for answer, code, left in (("no\n", 1, 1), ("yes\n", 0, 0)):
        ours, theirs = pty.openpty()
        os.write(ours, answer.encode())
        done = subprocess.run([*COMMAND, *words], stdin=theirs, capture_output=True, check=False)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == code
        assert b"Type yes" in done.stderr
        assert len(isomem("list", "--user", "ana", "--json").json["results"]) == left


def test_stats_counts_what_is_in_the_file(isomem: Isomem, home: Path) -> None:
    isomem.add("one")
    isomem.add("two")
    found = isomem("stats", "--json").json
    assert found["path"] == str(home / "memory" / "memory.db")
    assert found["size_bytes"] > 4096
    assert (found["schema_version"], found["synchronous"]) == (schema.VERSION, "full")
    assert (found["history"], found["messages"]) == (2, 0)
    assert found["kernel"] in {"compiled", "python"}
    assert found["collections"] == [
        {"name": "mem0", "dims": 64, "embedder": found["collections"][0]["embedder"]}
        | {"memories": 2, "entities": 0}
    ]
    shown = isomem("stats").out
    for word in ("schema version", "synchronous", "memories  2", "64 dimensions"):
        assert word in shown


def test_stats_needs_no_embedder_and_makes_no_file(
    isomem: Isomem, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = isomem("stats", "--path", "other.db")
    assert (missing.code, (home / "other.db").exists()) == (3, False)
    isomem.add("one")
    monkeypatch.setenv("ISOMEM_EMBEDDER", "openai")
    assert isomem("list", "--user", "ana").code == 4
    assert isomem("stats").code == 0


def test_import_needs_something_to_import(isomem: Isomem) -> None:
    done = isomem("import", "--json")
    assert (done.code, done.error["message"]) == (2, "There is nothing to import.")


def test_import_brings_a_history(isomem: Isomem, home: Path) -> None:
    columns = "id, memory_id, old_memory, new_memory, event, created_at, updated_at"
    with sqlite3.connect(home / "history.db") as connection:
        connection.execute(f"CREATE TABLE history ({columns})")
        connection.execute(
            "INSERT INTO history VALUES ('h', 'm', NULL, 'tea', 'ADD', '2025-01-01', NULL)"
        )
    connection.close()
    done = isomem("import", "--history", "history.db", "--json")
    assert {kind: each["added"] for kind, each in done.json.items() if each["added"]} == {
        "history": 1
    }
    assert "tea" in isomem("history", "m").out


@pytest.mark.oracle
def test_parity_runs_a_scenario_of_ones_own(home: Path) -> None:
    pytest.importorskip("mem0")
    steps = [{"add": {"messages": "tea", "user_id": "u", "infer": False}}]
    (home / "mine.json").write_text(json.dumps({"about": "mine", "steps": steps}))
    done = process("parity", "mine.json")
    assert done.code == 0, done.err
    assert "same memory" in done.out


@pytest.mark.oracle
def test_parity_with_another_release_than_the_installed_one_says_so(home: Path) -> None:
    mem0 = pytest.importorskip("mem0")
    (other,) = set(PROFILES) - {mem0.__version__}
    done = process("parity", "--profile", other)
    assert done.code == 2
    assert f"pip install mem0ai=={other}" in done.err


def test_parity_without_its_package_names_it_and_the_command_that_installs_it(
    isomem: Isomem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "isomem_parity", None)
    done = isomem("parity", "mine.json")
    assert (done.code, done.out) == (4, "")
    assert f"pip install isomem-parity=={__version__}" in done.err
    assert isomem("parity", "--json").error["code"] == "DEPS_001"


def test_parity_with_a_broken_package_shows_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "isomem_parity.py").write_text("import nothing_of_that_name\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ["PYTHONPATH"])))
    done = process("parity")
    assert done.code == 1
    assert "nothing_of_that_name" in done.err


def test_prompts_verify_checks_every_prompt(
    isomem: Isomem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = isomem("prompts", "verify", "--json")
    assert good.code == 0
    assert good.json["ok"]
    assert {each["status"] for each in good.json["prompts"]} == {"ok"}
    assert "ADDITIVE_EXTRACTION_PROMPT" in isomem("prompts", "verify").out
    monkeypatch.setattr("isomem.prompts.loader.DIRECTORY", str(tmp_path))
    bad = isomem("prompts", "verify")
    assert bad.code == 1
    assert "missing" in bad.out


# --- Ingest ----------------------------------------------------------------------------------


def write_talk(count: int, name: str = "talk.jsonl") -> None:
    said = [{"role": "user", "content": f"message {i}"} for i in range(count)]
    Path(name).write_text("".join(json.dumps(each) + "\n" for each in said))


def write_replies(count: int) -> None:
    replies = [{"memory": [{"id": "0", "text": f"fact {i}"}]} for i in range(count)]
    Path("replies.jsonl").write_text("".join(json.dumps(each) + "\n" for each in replies))


INGEST = ["ingest", "talk.jsonl", "--user", "ana"]


def test_ingest_takes_a_file_in_once(isomem: Isomem) -> None:
    write_talk(5)
    write_replies(3)
    words = [*INGEST, "--chunk", "2", "--replies", "replies.jsonl"]
    first = isomem(*words)
    assert first.out.startswith("3 new memories from 5 messages, in ")
    assert [line.split("%")[0].strip() for line in first.err.splitlines()] == ["40", "80", "100"]
    again = isomem(*words)
    assert again.out == "All 5 messages were taken in before; --restart starts over.\n"
    assert isomem(*words, "--json").json["memories"] == 0
    assert isomem(*words, "--restart", "--json").json["messages_before"] == 0


def test_ingest_raw_needs_no_model(isomem: Isomem) -> None:
    write_talk(3)
    done = isomem(*INGEST, "--raw", "--metadata", '{"from": "x"}', "--json")
    assert done.json["memories"] == 3
    found = isomem("list", "--user", "ana", "--filter", '{"from": "x"}', "--json").json
    assert len(found["results"]) == 3


def test_ingest_reads_standard_input() -> None:
    said = '\ufeff{"role": "user", "content": "hello"}\n'
    done = process("ingest", "-", "--user", "ana", "--raw", "--json", given=said)
    assert done.json["memories"] == 1


def test_ingest_says_which_line_is_wrong(isomem: Isomem) -> None:
    Path("talk.jsonl").write_text('{"role": "user", "content": "x"}\n{"role": "user"}\n')
    done = isomem(*INGEST, "--json")
    assert (done.code, done.error["code"]) == (2, "INGEST_001")
    assert "line 2" in done.error["message"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_ingest_of_a_file_that_cannot_be_read(isomem: Isomem, content: bytes | None) -> None:
    if content is not None:
        Path("talk.jsonl").write_bytes(content)
    done = isomem(*INGEST, "--raw")
    assert done.code == 2
    assert "talk.jsonl" in done.err


def killed_at_the_first_sign_of_progress(*words: str) -> int:
    """The exit code of a run that is killed once it says that something is in."""
    with subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        if any("%" in line for line in child.stderr):
            child.kill()
        return child.wait()


def test_ingest_killed_goes_on_and_adds_nothing_twice(isomem: Isomem) -> None:
    write_talk(400)
    words = [*INGEST, "--raw", "--chunk", "4"]
    assert killed_at_the_first_sign_of_progress(*words) == -signal.SIGKILL
    for _ in range(2):
        killed_at_the_first_sign_of_progress(*words)
    assert isomem(*words, "--json").json["messages_before"] > 0
    found = isomem("list", "--user", "ana", "--top-k", "1000", "--json").json["results"]
    assert sorted(each["memory"] for each in found) == sorted(f"message {i}" for i in range(400))


# --- Models and configuration ----------------------------------------------------------------


def extraction(*_: Any) -> Any:
    reply = json.dumps({"memory": [{"id": "0", "text": "Ana likes tea"}]})
    return {"choices": [{"message": {"role": "assistant", "content": reply}}]}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(extraction) as server:
        yield server


def test_a_model_is_named_by_flags(isomem: Isomem, server: Server) -> None:
    words = ["--model", "m1", "--base-url", f"{server.url}/v1"]
    done = isomem("add", "I like tea", "--user", "ana", *words)
    assert done.out.startswith("+ Ana likes tea\n")
    assert server.seen[0].path == "/v1/chat/completions"
    assert server.seen[0].body["model"] == "m1"


def test_a_model_is_named_by_the_environment_and_flags_go_first(
    isomem: Isomem, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOMEM_MODEL", "m1")
    monkeypatch.setenv("ISOMEM_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("ISOMEM_API_KEY", KEY)
    isomem("add", "I like tea", "--user", "ana")
    isomem("add", "I like tea", "--user", "ana", "--model", "m2")
    assert [seen.body["model"] for seen in server.seen] == ["m1", "m2"]
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_ingest_sends_the_day_and_goes_on_after_a_failure(isomem: Isomem, server: Server) -> None:
    said = [
        {"role": "user", "content": "a", "timestamp": "2025-03-05T10:00Z"},
        {"role": "user", "content": "b", "timestamp": "2025-03-06T10:00Z"},
    ]
    Path("talk.jsonl").write_text("".join(json.dumps(each) + "\n" for each in said))
    words = [*INGEST, "--model", "m", "--base-url", f"{server.url}/v1"]
    server.answers = [Answer(body=extraction()), Answer(401, {"error": {"message": "bad key"}})]
    failed = isomem(*words)
    assert failed.code == 5
    assert "bad key" in failed.err
    assert "Stopped after 1 of 2 messages; run it again to go on." in failed.err
    done = isomem(*words)
    assert done.code == 0
    assert "Going on after 1 of 2 messages." in done.err
    days = [
        re.search(r"## Observation Date\n(.*)", seen.body["messages"][1]["content"])
        for seen in server.seen
    ]
    assert [day and day[1] for day in days] == ["2025-03-05", "2025-03-06", "2025-03-06"]


def test_a_failed_model_is_an_error_and_not_an_empty_answer(isomem: Isomem, server: Server) -> None:
    server.always = Answer(401, {"error": {"message": "bad key"}})
    words = ["--model", "m", "--base-url", f"{server.url}/v1", "--json"]
    done = isomem("add", "I like tea", "--user", "ana", *words)
    assert done.code == 5
    assert "401" in done.error["message"]
    assert done.out == ""


def test_an_error_shows_its_message_and_its_suggestion_once(isomem: Isomem, server: Server) -> None:
    server.always = Answer(401, {"error": {"message": "bad key"}})
    words = ["add", "x", "--user", "ana", "--model", "m", "--base-url", f"{server.url}/v1"]
    error = isomem(*words, "--json").error
    assert error["code"] == "AUTH_001"
    assert error["suggestion"] not in error["message"]
    shown = isomem(*words).err
    assert shown == f"isomem: {error['message']}\n  {error['suggestion']}\n"


@pytest.mark.parametrize("command", ["get", "update", "delete", "history"])
def test_an_unknown_id_has_one_code_and_one_exit_code(isomem: Isomem, command: str) -> None:
    text = ["new text"] if command == "update" else []
    done = isomem(command, "no-such-id", *text, "--json")
    assert (done.code, done.error["code"]) == (3, "MEM_404")


def test_no_model_is_explained(isomem: Isomem) -> None:
    done = isomem("add", "I like tea", "--user", "ana")
    assert done.code == 4
    for way_out in ("--model", "ISOMEM_MODEL", "OPENAI_API_KEY", "--raw"):
        assert way_out in done.err


def test_a_missing_key_is_named_and_not_a_missing_model(isomem: Isomem) -> None:
    done = isomem("add", "x", "--user", "ana", "--model", "m")
    assert done.code == 4
    assert "OPENAI_API_KEY" in done.err
    assert "--model" not in done.err


def test_a_retry_says_where_its_memories_come_from() -> None:
    result = {"messages": 4, "messages_before": 4, "memories": 2, "failed_chunks": 0, "path": None}
    lines = list(views.ingested(result, Screen(as_json=False)))
    assert lines == ["2 new memories from chunks that had failed"]


def test_path_goes_before_the_configuration(isomem: Isomem, home: Path) -> None:
    isomem.add("here", "--path", "own.db")
    assert (home / "own.db").exists()
    assert not (home / "memory").exists()
    listed = isomem("--path", "own.db", "list", "--user", "ana", "--json").json
    assert len(listed["results"]) == 1


@pytest.mark.parametrize("name", ["c.toml", "C.TOML"])
def test_a_toml_file_configures_or_says_what_it_needs(
    isomem: Isomem, home: Path, name: str
) -> None:
    (home / name).write_text(
        '[embedder]\nprovider = "mock"\n'
        '[vector_store]\nprovider = "embedded"\nconfig.path = "toml.db"\n'
    )
    done = isomem("--config", name, "add", "x", "--user", "ana", "--raw")
    if sys.version_info >= (3, 11):
        assert (done.code, (home / "toml.db").exists()) == (0, True)
    else:
        assert done.code == 4
        assert "Python 3.11" in done.err


def test_a_key_that_does_nothing_is_shown(isomem: Isomem, home: Path) -> None:
    (home / "c.json").write_text('{"llmm": {}, "embedder": {"provider": "mock"}}')
    done = isomem("--config", "c.json", "list", "--user", "ana")
    assert done.code == 0
    assert "do nothing: llmm (did you mean llm?)" in done.err


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("absent.json", None, "No such file"),
        ("c.json", "{", "not JSON"),
        ("c.json", "[]", "not an object"),
        ("c.json", '{"llm": {"provider": "opnai"}}', "Did you mean 'openai'?"),
        (
            "c.json",
            '{"vector_store": {"provider": "embedded", "config": {"pth": "x"}}}',
            "Did you mean 'path'?",
        ),
        ("c.json", '{"vector_store": "x"}', "must be a dict"),
    ],
)
def test_a_bad_configuration_is_named(
    isomem: Isomem, home: Path, name: str, content: str | None, fault: str
) -> None:
    if content is not None:
        (home / name).write_text(content)
    done = isomem("--config", name, "list", "--user", "ana")
    assert done.code == 4
    assert fault in done.err
    assert "Traceback" not in done.err


def test_path_and_another_store_do_not_go_together(isomem: Isomem, home: Path) -> None:
    (home / "c.json").write_text('{"vector_store": {"provider": "qdrant"}}')
    done = isomem("--config", "c.json", "--path", "x.db", "stats")
    assert done.code == 4
    assert "qdrant" in done.err


# --- Failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "COMMAND"),
        (["serch", "x"], 2, "Did you mean search?"),
        (["zzz"], 2, "--help"),
        (["search", "x"], 2, "--user, --agent or --run"),
        (["search", "x", "--user", "a b"], 2, "whitespace"),
        (["search", " ", "--user", "a"], 2, "query"),
        (["search", "x", "--user", "a", "--threshold", "2"], 2, "threshold"),
        (["search", "x", "--user", "a", "--top-k", "-1"], 2, "top_k"),
        (["search", "x", "--user", "a", "--top-k", "many"], 2, "--top-k"),
        (["search", "x", "--user", "a", "--filter", "{a:1}"], 2, "not JSON"),
        (["search", "x", "--user", "a", "--filter", "[]"], 2, "not an object"),
        (["search", "x", "--user", "a", "--filter", '{"k": {"zz": 1}}'], 2, "zz"),
        (["search", "x", "--user", "a", "--rerank"], 2, "reranker"),
        (["search", "x", "--user", "a", "--ranking", "fussed"], 2, "fused"),
        (["get", "nope"], 3, "No memory has the id nope"),
        (["update", "nope", "x"], 3, "nope"),
        (["delete", "nope"], 3, "nope"),
        (["history", "nope"], 3, "nope"),
        (["add", "", "--user", "a", "--role", "", "--raw"], 2, "role"),
        (["ingest", "x", "--user", "a", "--chunk", "0"], 2, "--chunk must be a whole number"),
        (["ingest", "absent.jsonl", "--user", "a"], 2, "No such file"),
        (["--path", "", "stats"], 2, "--path needs a value"),
        (["list", "--user", "a", "--path", "/dev/null/x.db"], 1, "/dev/null/x.db"),
    ],
)
def test_failures_have_codes_and_words(
    isomem: Isomem, words: list[str], code: int, said: str
) -> None:
    shown = isomem(*words)
    assert (shown.code, shown.out) == (code, "")
    assert said in shown.err
    as_json = isomem("--json", *words)
    assert as_json.code == code
    assert said in f"{as_json.error['message']} {as_json.error['suggestion']}"
    assert as_json.error["code"]


def test_a_file_that_is_no_memory_is_left_as_it_is(isomem: Isomem, home: Path) -> None:
    (home / "x.db").write_text("not a database, but long enough to be taken for one")
    for words in (["stats"], ["list", "--user", "a"]):
        done = isomem("--path", "x.db", *words)
        assert (done.code, "not a memory file" in done.err) == (1, True)
    assert (home / "x.db").read_text().startswith("not a database")


def test_what_nobody_foresaw_is_told_without_a_traceback(
    isomem: Isomem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("isomem.cli.commands._existing", broken)
    done = isomem("get", "x")
    assert done.code == 1
    assert "RuntimeError: odd" in done.err
    assert "ISOMEM_DEBUG" in done.err
    monkeypatch.setenv("ISOMEM_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main(["get", "x"])


def test_interrupted_is_130(isomem: Isomem, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("isomem.cli.commands._existing", interrupted)
    assert isomem("get", "x").code == 130


def test_a_reader_that_goes_away_is_no_failure(isomem: Isomem) -> None:
    for i in range(60):
        isomem.add(f"{i} " + "x" * 2000)
    words = ["list", "--user", "ana", "--top-k", "60"]
    child = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.read(10)
    child.stdout.close()
    complaint = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), complaint) == (141, b"")


def test_warnings_of_the_library_are_shown(isomem: Isomem) -> None:
    words = ["add", "x", "--user", "ana", "--raw", "--metadata", '{"agent_id": "b"}']
    assert "isomem: warning: metadata cannot set agent_id" in isomem(*words).err
    [line] = isomem(*words, "--json").err.splitlines()
    assert json.loads(line)["log"]["level"] == "warning"


# --- The screen ------------------------------------------------------------------------------


def test_the_version_is_printed(isomem: Isomem) -> None:
    assert re.fullmatch(r"isomem \d+\.\d+\.\d+\n", isomem("--version").out)


@pytest.mark.parametrize("words", [[], ["search"], ["ingest"], ["prompts", "verify"]])
def test_help_is_printed(isomem: Isomem, words: list[str]) -> None:
    done = isomem(*words, "--help")
    assert done.code == 0
    assert "usage: isomem" in done.out


def test_help_names_every_variable_that_is_read(isomem: Isomem) -> None:
    named = set(re.findall(r"^  (\w+) ", isomem("--help").out, re.MULTILINE))
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "src/isomem/cli").glob("*.py"))
    read = set(re.findall(r'os\.environ(?:\.get\(|\[)"(\w+)"', sources))
    assert read
    assert read.union(variable for _, variable in SHORT) - {"TERM"} <= named


def test_what_could_steer_a_terminal_is_shown_as_escapes(isomem: Isomem) -> None:
    isomem.add("red \x1b[31m alert\nnext\tline")
    shown = isomem("list", "--user", "ana").out
    assert "red \\x1b[31m alert next line" in shown
    assert printable("Zürich 東京 🗼") == "Zürich 東京 🗼"


def test_json_is_valid_in_any_encoding(isomem: Isomem) -> None:
    isomem.add("Zürich 東京")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process("list", "--user", "ana", "--json", env=environment)
    assert done.json["results"][0]["memory"] == "Zürich 東京"
    assert "Z\\xfcrich" in process("list", "--user", "ana", env=environment).out


def on_a_terminal(*words: str, **variables: str) -> str:
    """What a command prints on a terminal, stderr included."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **variables}
    child = subprocess.Popen([*COMMAND, *words], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other end was closed
            break
        if not data:
            break
        shown += data
    child.wait()
    os.close(ours)
    return shown.decode()


def test_colours_are_for_terminals_that_want_them(isomem: Isomem) -> None:
    isomem.add("tea")
    words = ["search", "tea", "--user", "ana"]
    assert "\x1b[32m" in on_a_terminal(*words)
    assert "\x1b" not in on_a_terminal(*words, NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(*words, TERM="dumb")
    assert "\x1b" not in on_a_terminal(*words, "--json")
    assert "\x1b" not in process(*words).out


def test_a_bar_grows_on_a_terminal() -> None:
    write_talk(4)
    shown = on_a_terminal(*INGEST, "--raw", "--chunk", "2")
    assert "[############............]  50%" in shown
    assert shown.count("\r\x1b[K") == 3


def test_a_question_is_only_answered_by_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, meant in (("yes\n", True), (" YES \n", True), ("y\n", False), ("", False)):
        monkeypatch.setattr("sys.stdin.readline", lambda answer=answer: answer, raising=False)
        assert Screen(as_json=False).confirm("Really?") is meant


def test_start_up_loads_no_network_and_no_embedder() -> None:
    script = (
        "import sys; from isomem.cli.parser import make_parser; make_parser();"
        "print([m for m in ('httpx', 'wordllama', 'numpy', 'asyncio', 'tokenizers', 'logging')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# --- Check and backup ------------------------------------------------------------------------


def damage(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(sql)
    connection.close()


def test_a_sound_file_is_ok(isomem: Isomem, home: Path) -> None:
    isomem.add("tea")
    done = isomem("check")
    assert (done.code, done.out) == (0, f"ok  {home}/memory/memory.db\n")
    assert isomem("check", "--json").json == {
        "ok": True,
        "path": f"{home}/memory/memory.db",
        "findings": [],
    }


def test_damage_is_shown_and_is_a_failure(isomem: Isomem, home: Path) -> None:
    path = home / "memory" / "memory.db"
    ids = [isomem.add(f"tea {number}") for number in range(25)]
    damage(path, "UPDATE points SET payload = '{' WHERE collection = 1")
    assert isomem("stats").code == 0
    done = isomem("check")
    assert done.code == 1
    lines = done.out.splitlines()
    assert len(lines) == 22
    assert lines[0].startswith("points  ")
    assert lines[0].endswith(": its payload is not a JSON object")
    assert lines[20:] == ["points  … 5 more; --json has all", f"25 findings in {path}"]
    as_json = isomem("check", "--json")
    assert as_json.code == 1
    assert {each["subject"] for each in as_json.json["findings"]} == set(ids)
    assert as_json.json["findings"][0].keys() == {"file", "kind", "subject", "message"}


def test_a_history_in_a_file_of_its_own_is_checked_and_backed_up(
    isomem: Isomem, home: Path
) -> None:
    config = json.loads((home / "config.json").read_text())
    (home / "own.json").write_text(json.dumps({**config, "history_db_path": "own-history.db"}))
    words = ["--config", "own.json"]
    isomem.add("tea", *words)
    assert isomem("check", *words).code == 0
    done = isomem("backup", "copy.db", "--json", *words)
    assert [each["path"] for each in done.json["files"]] == ["copy.db", "copy.db-history"]
    assert (home / "copy.db-history").stat().st_size > 0
    damage(home / "own-history.db", "INSERT INTO history (id) VALUES ('x')")
    [found] = isomem("check", "--json", *words).json["findings"]
    assert (found["file"], found["kind"]) == ("own-history.db", "history")


def test_a_backup_is_a_memory_file(isomem: Isomem, home: Path) -> None:
    memory_id = isomem.add("tea")
    done = isomem("backup", "copy.db")
    assert done.code == 0
    assert re.fullmatch(r"copy\.db  [\d.]+ kB\n", done.out)
    assert isomem("get", memory_id, "--path", "copy.db").code == 0
    assert isomem("check", "--path", "copy.db").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["check"], 3, "no memory file"),
        (["backup", "copy.db"], 3, "no memory file"),
        (["check", "--path", "text"], 1, "not a memory file"),
        (["check", "--path", "other.db"], 1, "another program"),
        (["backup", "config.json", "--path", "other.db"], 2, "exists already"),
        (["backup", "absent/copy.db", "--path", "other.db"], 1, "cannot be written"),
        (["backup"], 2, "FILE"),
    ],
)
def test_what_cannot_be_checked_or_copied_is_named(
    isomem: Isomem, home: Path, words: list[str], code: int, said: str
) -> None:
    (home / "text").write_text("not a database, but long enough to be taken for one")
    damage(home / "other.db", "CREATE TABLE t (x)")
    done = isomem(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


# --- Another embedder ------------------------------------------------------------------------


def with_dims(home: Path, dims: int) -> list[str]:
    """The options for a configuration whose vectors have another length."""
    config = json.loads((home / "config.json").read_text())
    config["embedder"]["config"]["embedding_dims"] = dims
    (home / f"{dims}.json").write_text(json.dumps(config))
    return ["--config", f"{dims}.json"]


def test_reembed_changes_the_embedder_of_a_file(isomem: Isomem, home: Path) -> None:
    isomem.add("I like tea")
    isomem.add("Rex is a dog")
    words = with_dims(home, 32)
    refused = isomem("search", "tea", "--user", "ana", *words)
    assert refused.code == 4
    assert "`isomem reembed`" in refused.err
    done = isomem("reembed", *words)
    assert (done.code, done.out) == (
        0,
        "2 vectors replaced by those of mock/hash (32 dimensions).\n",
    )
    assert done.err == "100%  2 of 2 vectors\n"
    assert "I like tea" in isomem("search", "tea", "--user", "ana", *words).out
    assert isomem("check", *words).code == 0
    again = isomem("reembed", *words)
    assert again.out == "Nothing to do: mock/hash (32 dimensions) made all vectors already.\n"
    assert isomem("reembed", "--json").json == {
        "path": f"{home}/memory/memory.db",
        "embedder": "mock/hash",
        "dims": 64,
        "replaced": 2,
        "embedded": 2,
        "without_text": 0,
    }


def test_reembed_makes_no_file(isomem: Isomem, home: Path) -> None:
    done = isomem("reembed")
    assert (done.code, done.out) == (3, "")
    assert "There is no memory file" in done.err
    assert not (home / "memory").exists()


def test_reembed_that_is_cut_off_says_how_to_go_on(
    isomem: Isomem, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isomem.add("I like tea")
    words = with_dims(home, 32)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("isomem.store.reembedding.Reembedding.replace", stop)
        done = isomem("reembed", *words)
    assert done.code == 130
    assert "Stopped after 1 of 1 vector; run this again to go on." in done.err
    assert isomem("reembed", "--json", *words).json["embedded"] == 0
