"""How answers of mem0's server and of ours are compared: the comparison itself can fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.serve.selfhosted_requests import UNKNOWN, Step, steps
from tests.serve.selfhosted_rules import RULES, Ids, Seen, differences, explained, is_problem

PROBLEM = {
    "type": "about:blank", "title": "Bad request", "status": 400, "detail": "wrong",
    "code": "X", "request_id": "r",
}  # fmt: skip
FIRST, SECOND = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
GET, SEARCH = Step("GET", "/memories/<tea>"), Step("POST", "/search", {"query": "tea"})


def problem(status: int) -> Seen:
    return Seen(status, {**PROBLEM, "status": status})


# --- Steps -----------------------------------------------------------------------------------


def test_there_are_enough_requests_valid_and_bad_for_every_route() -> None:
    made = steps()
    assert len(made) >= 200
    routes = {(step.method, step.path.partition("?")[0].split("/")[1]) for step in made}
    assert {
        ("POST", "memories"), ("GET", "memories"), ("DELETE", "memories"), ("PUT", "memories"),
        ("POST", "search"), ("POST", "reset"), ("POST", "configure"), ("GET", "configure"),
        ("GET", "entities"), ("DELETE", "entities"), ("POST", "generate-instructions"),
    } <= routes  # fmt: skip


def test_every_saved_name_is_used_or_harmless_and_every_used_name_was_saved() -> None:
    saved: set[str] = set()
    for step in steps():
        used = {part.partition(">")[0] for part in step.path.split("<")[1:] if ">" in part}
        assert used <= saved, step.name
        assert not saved & set(step.save), step.name
        saved |= set(step.save)


# --- Answers without what differs each time --------------------------------------------------


def ids() -> Ids:
    found = Ids()
    found.save(Step("POST", "/memories", save=("tea",)), {"results": [{"id": FIRST}]})
    return found


def test_ids_and_times_become_names() -> None:
    body = {
        "id": FIRST,
        "other": SECOND,
        "at": "2026-05-07T01:02:03.5+00:00",
        "z": "2026-05-07T01:02:03Z",
    }
    assert ids().plain(body) == {"id": "<tea>", "other": "<id>", "at": "<time>", "z": "<time>"}
    assert ids().plain({"detail": f"{FIRST} not found"}) == {"detail": "<tea> not found"}
    assert ids().plain(UNKNOWN) == UNKNOWN


def test_other_texts_stay() -> None:
    for text in ("2026-05-07", "1111", "tea", "<tea>"):
        assert ids().plain(text) == text


def test_names_become_ids_in_what_is_sent() -> None:
    assert ids().filled("/memories/<tea>/history") == f"/memories/{FIRST}/history"
    assert ids().filled("<unknown>") == "<unknown>"


def test_a_step_that_makes_another_number_of_memories_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        ids().save(Step("POST", "/memories", save=("a", "b")), {"results": [{"id": FIRST}]})


def memories(*texts: str, **more: Any) -> dict[str, Any]:
    return {"results": [{"memory": text, **more} for text in texts]}


def test_lists_have_no_order_but_ranked_results_have() -> None:
    assert ids().plain(memories("b", "a")) == memories("a", "b")
    ranked = {"results": [{"memory": "b", "score": 0.9}, {"memory": "a", "score": 0.5}]}
    assert ids().plain(ranked) == ranked
    equal = {"results": [{"memory": "b", "score": 0.5}, {"memory": "a", "score": 0.5}]}
    assert ids().plain(equal)["results"][0]["memory"] == "a"
    added = memories("b", "a", event="ADD")
    assert ids().plain(added) == added


def test_scores_are_compared_to_five_places() -> None:
    found = [ids().plain({"score": score})["score"] for score in (0.1234567, 0.1234611, 0.1235)]
    assert found[0] == found[1] != found[2]
    assert ids().plain({"score": None}) == {"score": None}


# --- Rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "theirs", "ours", "rule"),
    [
        (GET, Seen(404, {"detail": "Not Found"}), problem(404), "problems"),
        (SEARCH, Seen(422, {"detail": []}), problem(400), "invalid"),
        (SEARCH, Seen(502, {"detail": "x"}), problem(400), "mistakes"),
        (GET, Seen(502, {"detail": "x"}), problem(404), "mistakes"),
        (GET, Seen(200, None), problem(404), "unknown"),
        (
            Step("POST", "/memories", {"messages": "a"}),
            Seen(422, {"detail": []}),
            Seen(200, {"results": []}),
            "more",
        ),
        (
            Step("POST", "/memories", {"messages": "THE MODEL FAILS"}),
            Seen(200, {"results": []}),
            problem(502),
            "failures",
        ),
        (Step("GET", "/memories?user_id="), Seen(200, {"results": []}), problem(400), "blank"),
        (
            Step("GET", "/memories/<tea>"),
            Seen(200, {"memory": "a", "metadata": {"a": 1}}),
            Seen(200, {"memory": "a", "metadata": {"a": 1, "b": 2}}),
            "library",
        ),
        (
            Step("GET", "/configure/providers"),
            Seen(200, {"llm": ["a"], "embedder": []}),
            Seen(200, {"llm": ["a", "b"], "embedder": ["c"]}),
            "providers",
        ),
    ],
)
def test_a_rule_explains_its_difference(step: Step, theirs: Seen, ours: Seen, rule: str) -> None:
    assert explained(step, theirs, ours)[0] == rule


@pytest.mark.parametrize(
    ("step", "theirs", "ours"),
    [
        (SEARCH, Seen(200, memories("a")), Seen(200, memories("b"))),
        (SEARCH, Seen(200, memories("a")), Seen(200, memories("a", "b"))),
        (SEARCH, Seen(200, memories("a")), Seen(200, memories())),
        (SEARCH, Seen(200, memories("a", score=0.5)), Seen(200, memories("a", score=0.6))),
        (SEARCH, Seen(200, memories("a")), problem(400)),
        (SEARCH, Seen(200, memories("a")), problem(500)),
        (SEARCH, Seen(502, {"detail": "x"}), problem(500)),
        (SEARCH, Seen(502, {"detail": "x"}), Seen(200, memories())),
        (SEARCH, Seen(422, {"detail": []}), problem(500)),
        (SEARCH, Seen(422, {"detail": []}), Seen(400, {"detail": "no problem"})),
        (SEARCH, Seen(422, {"detail": []}), Seen(200, memories())),
        (GET, Seen(200, None), Seen(200, {"memory": "a"})),
        (GET, Seen(200, {"memory": "a"}), problem(404)),
        (Step("DELETE", "/memories/<tea>"), Seen(200, None), problem(404)),
        (Step("POST", "/memories", {"messages": "tea"}), Seen(200, memories()), problem(502)),
        (
            Step("GET", "/configure/providers"),
            Seen(200, {"llm": ["a"], "embedder": []}),
            Seen(200, {"llm": ["b"], "embedder": []}),
        ),
    ],
)
def test_other_differences_are_not_explained(step: Step, theirs: Seen, ours: Seen) -> None:
    assert explained(step, theirs, ours) == []
    counts, unexplained = differences(iter([(step, theirs, ours)]))
    assert len(unexplained) == 1
    assert sum(counts.values()) == 0


def test_equal_answers_need_no_rule() -> None:
    same = Seen(422, {"detail": []})
    assert differences(iter([(SEARCH, same, same)])) == (dict.fromkeys(RULES, 0), [])


def test_a_problem_has_all_its_members() -> None:
    assert is_problem(problem(400), 400)
    assert not is_problem(problem(400), 404)
    assert not is_problem(Seen(400, {"detail": "x"}), 400)
    assert not is_problem(Seen(400, "x"), 400)
