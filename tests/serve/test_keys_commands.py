"""`isomem keys`: making keys, listing, rotating and revoking them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from isomem.cli import main
from isomem.serve.keys import Keys


@pytest.fixture
def keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs `isomem keys`. Returns the exit code, and its JSON or its error."""
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path))

    def run(*words: str) -> tuple[int, Any]:
        code = main(["keys", *words, "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out) if code == 0 else json.loads(err.splitlines()[-1])["error"]

    return run


def test_a_key_is_shown_once_and_works(keys: Any, tmp_path: Path) -> None:
    code, made = keys("create", "support bot", "--user", "team-*", "--agent", "bot", "--rate", "60")
    assert code == 0
    assert made["rights"] == ["read", "write"]
    assert made["grants"] == [{"user_id": "team-*", "agent_id": "bot"}]
    assert made["rate_per_minute"] == 60
    _, [listed] = keys("list")
    assert listed == {name: value for name, value in made.items() if name != "key"}
    store = Keys(str(tmp_path / "service.db"))
    found = store.verify(made["key"])
    assert found is not None
    assert found.name == "support bot"
    store.close()
    assert made["key"].encode() not in (tmp_path / "service.db").read_bytes()
    [line] = map(json.loads, (tmp_path / "audit.log").read_text().splitlines())
    assert (line["call"], line["about"]) == ("keys.create", made["id"])
    assert line["key"] == "command line"


@pytest.mark.parametrize(
    ("words", "grants"),
    [
        (["--user", "a", "--user", "b"], [{"user_id": "a"}, {"user_id": "b"}]),
        (
            ["--user", "a", "--user", "b", "--agent", "x"],
            [{"user_id": "a", "agent_id": "x"}, {"user_id": "b", "agent_id": "x"}],
        ),
        (["--run", "r*"], [{"run_id": "r*"}]),
        (
            ["--user", "a", "--grant", '{"agent_id": "x"}'],
            [{"user_id": "a"}, {"agent_id": "x"}],
        ),
        (["--everything"], [{}]),
    ],
)
def test_flags_say_whose_memories(keys: Any, words: list[str], grants: Any) -> None:
    assert keys("create", "k", *words)[1]["grants"] == grants


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["create", "k"], 2, "Whose memories"),
        (["create", "k", "--everything", "--user", "a"], 2, "do not go together"),
        (["create", " ", "--everything"], 2, "needs a name"),
        (["create", "k", "--user", " a"], 2, "white space"),
        (["create", "k", "--grant", '{"user": "a"}'], 2, "not one of user_id"),
        (["create", "k", "--everything", "--rate", "0"], 2, "above 0"),
        (["create", "k", "--everything", "--expires", "2001-01-01"], 2, "over already"),
        (["create", "k", "--everything", "--expires", "soon"], 2, "not a moment"),
        (["create", "k", "--everything", "--right", "fly"], 2, "invalid choice"),
        (["list"], 3, "no file of keys"),
        (["revoke", "abc"], 3, "no file of keys"),
        (["rotate", "abc"], 3, "no file of keys"),
    ],
)
def test_what_cannot_be_is_refused(
    keys: Any, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    got, error = keys(*words)
    assert (got, said in error["message"]) == (code, True), error


def test_a_key_can_be_rotated_and_revoked(keys: Any, tmp_path: Path) -> None:
    _, made = keys("create", "k", "--everything", "--right", "admin", "--expires", "30d")
    assert made["rights"] == ["admin"]
    assert made["expires_at"] == pytest.approx(time.time() + 30 * 86_400, abs=60)
    _, rotated = keys("rotate", made["id"])
    store = Keys(str(tmp_path / "service.db"))
    assert store.verify(made["key"]) is None
    assert store.verify(rotated["key"]) is not None
    code, revoked = keys("revoke", made["id"])
    assert (code, revoked["revoked_at"] is not None) == (0, True)
    assert store.verify(rotated["key"]) is None
    store.close()
    assert keys("revoke", made["id"])[0] == 3
    assert keys("rotate", "nobody")[0] == 3


def test_people_see_what_a_key_is_for(
    keys: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, made = keys("create", "bot", "--user", "ana", "--user", "bob", "--agent", "x")
    assert main(["keys", "list"]) == 0
    said = capsys.readouterr().out
    assert f"{made['id']}  bot" in said
    assert "read, write  of user ana and agent x; user bob and agent x" in said
    assert main(["keys", "revoke", made["id"]]) == 0
    assert made["id"] in capsys.readouterr().out
    assert main(["keys", "list"]) == 0
    assert "revoked" in capsys.readouterr().out
