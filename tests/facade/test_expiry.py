"""Memories that expire: hidden when their day is over, never in the way of the others."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from isomem import Memory, MemoryConfig
from isomem.errors import ValidationError
from isomem.store.check import check, check_history
from isomem.testing import ScriptedLLM
from tests.facade.conftest import Face, configuration
from tests.facade.test_replaced_parts import Store

Make = Callable[..., Face]
U: dict[str, Any] = {"user_id": "u"}
TODAY, YESTERDAY, TOMORROW = "2024-05-01", "2024-04-30", "2024-05-02"
FIELD = "isomem_expiration_date"


def store(memory: Face, text: str, expires: Any = None, **more: Any) -> str:
    options = {"infer": False, **U, **more}
    found: str = memory.add(text, expiration_date=expires, **options)["results"][0]["id"]
    return found


def searched(memory: Face, query: str = "tea", **options: Any) -> list[str]:
    found = memory.search(query, **{"filters": U, "threshold": 0.0, **options})
    return [each["memory"] for each in found["results"]]


def listed(memory: Face, **options: Any) -> list[str]:
    found = memory.get_all(**{"filters": U, "top_k": 1000, **options})
    return [each["memory"] for each in found["results"]]


def on(memory: Face, day: str) -> None:
    """From now on it is that day."""
    memory.clock.today = lambda: day


# --- When a memory is hidden -----------------------------------------------------------------


@pytest.mark.parametrize("ranking", ["contract", "fused"])
def test_a_memory_is_shown_up_to_its_day_and_hidden_afterwards(memory: Face, ranking: str) -> None:
    memory_id = store(memory, "tea at noon", TODAY)
    store(memory, "tea at night")
    for day, shown in ((YESTERDAY, 2), (TODAY, 2), (TOMORROW, 1)):
        on(memory, day)
        assert len(searched(memory, ranking=ranking)) == len(listed(memory)) == shown
        assert len(searched(memory, ranking=ranking, show_expired=True)) == 2
        assert len(listed(memory, show_expired=True)) == 2
        assert memory.get(memory_id)["memory"] == "tea at noon"
    assert listed(memory) == searched(memory, ranking=ranking) == ["tea at night"]


@pytest.mark.parametrize(
    "given",
    [
        YESTERDAY,
        date(2024, 4, 30),
        datetime(2024, 4, 30, 23, 59),
        datetime(2024, 4, 30, 23, 59, tzinfo=timezone(timedelta(hours=-9))),
    ],
)
def test_a_date_may_have_many_forms_and_is_stored_in_one(memory: Face, given: Any) -> None:
    memory_id = store(memory, "tea", given, metadata={"kind": "drink"})
    assert listed(memory) == []
    found = memory.get(memory_id)
    assert found["expiration_date"] == YESTERDAY
    assert found["metadata"] == {"kind": "drink"}
    assert list(found)[-1] == "expiration_date"
    assert memory.get_all(filters=U, show_expired=True)["results"] == [
        {key: value for key, value in found.items() if key != "score"}
    ]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("tomorrow", "a valid date"), ("", "a valid date"), ("2024-13-01", "a valid date"),
        ("2024-05-01T10:00:00", "a valid date"), (" 2024-05-01", "a valid date"),
        (20240501, "a date string"), (True, "a date string"), (0, "a date string"),
        ([], "a date string"), (b"2024-05-01", "a date string"),
        (timedelta(days=1), "a date string"),
    ],
)  # fmt: skip
def test_what_is_not_a_date_is_refused_before_anything_happens(
    memory: Face, given: Any, fault: str
) -> None:
    llm = memory.say(("Likes tea",))
    before = memory.state()
    with pytest.raises(ValueError, match=f"expiration_date must be {fault}"):
        memory.add("I like tea", expiration_date=given, **U)
    assert memory.state() == before
    assert not llm.calls


def test_every_way_of_adding_takes_it(memory: Face) -> None:
    memory.say(("Likes tea", "Likes cake"))
    memory.add("I like tea and cake", expiration_date=TODAY, **U)
    memory.say("wrote a report")
    memory.add("task", agent_id="u", memory_type="procedural_memory", expiration_date=TODAY)
    assert {each["expiration_date"] for each in memory.get_all(filters=U)["results"]} == {TODAY}
    on(memory, TOMORROW)
    assert listed(memory) == listed(memory, filters={"agent_id": "u"}) == []
    assert len(listed(memory, show_expired=True)) == 2
    assert len(listed(memory, filters={"agent_id": "u"}, show_expired=True)) == 1


def test_an_update_of_the_text_keeps_the_date(memory: Face) -> None:
    memory_id = store(memory, "tea", TODAY)
    memory.update(memory_id, "coffee")
    assert memory.get(memory_id)["expiration_date"] == TODAY
    on(memory, TOMORROW)
    assert listed(memory) == []


# --- Metadata keeps its meaning --------------------------------------------------------------


def test_metadata_of_that_name_hides_nothing(memory: Face) -> None:
    memory_id = store(memory, "tea", metadata={"expiration_date": "2020-01-01"})
    assert listed(memory) == searched(memory) == ["tea"]
    assert memory.get(memory_id)["metadata"] == {"expiration_date": "2020-01-01"}
    assert "expiration_date" not in memory.get(memory_id)
    memory.update(memory_id, "green tea", {"expiration_date": "2019-01-01"})
    assert listed(memory) == ["green tea"]


def test_both_can_be_there_at_once(memory: Face) -> None:
    memory_id = store(memory, "tea", TOMORROW, metadata={"expiration_date": "of the pack"})
    found = memory.get(memory_id)
    assert found["metadata"] == {"expiration_date": "of the pack"}
    assert found["expiration_date"] == TOMORROW


def test_metadata_cannot_have_the_field_that_hides(memory: Face) -> None:
    memory_id = store(memory, "tea")
    before = memory.state()
    for call in (
        lambda: memory.add("tea", metadata={FIELD: None}, infer=False, **U),
        lambda: memory.update(memory_id, "tea", {FIELD: "2020-01-01"}),
    ):
        with pytest.raises(ValidationError, match=f"cannot have the key '{FIELD}'") as caught:
            call()
        assert caught.value.error_code == "VALIDATION_005"
    assert memory.state() == before


@pytest.mark.parametrize("odd", ["soon", 17, 0, "", None, [], {"day": 1}, "9999-99-99"])
def test_a_field_that_is_not_a_date_hides_nothing(memory: Face, odd: Any) -> None:
    memory_id = store(memory, "tea", TODAY)
    memory.vector_store.update(memory_id, payload={FIELD: odd})
    on(memory, "2030-01-01")
    assert listed(memory) == searched(memory) == ["tea"]


# --- An extraction does not see what is hidden -----------------------------------------------


def test_a_fact_that_equals_an_expired_memory_is_stored_again(memory: Face) -> None:
    memory.say(("Likes tea",))
    memory.add("I like tea", expiration_date=YESTERDAY, **U)
    llm = memory.say(("Likes tea",))
    added = memory.add("I still like tea", **U)["results"]
    assert [each["memory"] for each in added] == ["Likes tea"]
    assert "Likes tea" not in json.dumps(llm.calls[0]["messages"]).partition("Existing")[2]
    assert listed(memory) == ["Likes tea"]
    assert len(listed(memory, show_expired=True)) == 2


def test_a_model_is_shown_ten_memories_however_many_expired_ones_are_nearer(
    memory: Face,
) -> None:
    for number in range(40):
        store(memory, f"I like tea number {number}", YESTERDAY)
    for number in range(12):
        store(memory, f"a walk in the harbour, part {number}")
    llm = memory.say(())
    memory.add("I like tea number", **U)
    asked = json.dumps(llm.calls[0]["messages"])
    assert asked.count("a walk in the harbour, part") == 10
    assert "I like tea number 1" not in asked


# --- No memory is lost behind hidden ones ----------------------------------------------------

WORDS = "tea coffee harbour walk lisbon porto train rain music garden kitchen window".split()


def sentence(chosen: random.Random) -> str:
    return " ".join(chosen.choices(WORDS, k=chosen.randint(2, 7)))


def fill(memory: Face, chosen: random.Random, number: int, expired: float) -> None:
    for _ in range(number):
        expires = chosen.choice([YESTERDAY, "2020-02-29"])
        expires = expires if chosen.random() < expired else chosen.choice([None, TODAY, TOMORROW])
        store(memory, sentence(chosen), expires, metadata={"n": chosen.randint(0, 2)})


class OnlyShown:
    """A vector store as if the expired memories were not there, for their searches."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def search(self, top_k: int, **asked: Any) -> Any:
        return self._shown(self.inner.search(top_k=100_000, **asked))[:top_k]

    def keyword_search(self, top_k: int, **asked: Any) -> Any:
        return self._shown(self.inner.keyword_search(top_k=100_000, **asked) or [])[:top_k]

    def _shown(self, hits: Any) -> list[Any]:
        return [hit for hit in hits if (hit.payload.get(FIELD) or TODAY) >= TODAY]


def results(memory: Face, query: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = memory.search(query, **options)["results"]
    return found


def is_hidden(found: dict[str, Any]) -> bool:
    return bool((found.get("expiration_date") or TODAY) < TODAY)


@pytest.mark.parametrize("seed", range(6))
def test_a_search_finds_what_it_would_without_the_expired_ones(memory: Face, seed: int) -> None:
    """As over stores that do not return them. Only counts over the scope include them."""
    chosen = random.Random(seed)
    fill(memory, chosen, 150, chosen.choice([0.1, 0.6, 0.95]))
    ours = memory.vector_store
    for _ in range(12):
        options = {
            "query": sentence(chosen),
            "top_k": chosen.choice([1, 3, 20, 60]),
            "filters": {**U, **({"n": 1} if chosen.random() < 0.3 else {})},
            "threshold": chosen.choice([0.0, 0.1, 0.4]),
        }
        everything = results(memory, **options, show_expired=True)
        found = results(memory, **options)
        if any(map(is_hidden, everything)):
            memory.vector_store = OnlyShown(ours)
            assert found == results(memory, **options, show_expired=True)
            memory.vector_store = ours
        else:
            assert found == everything


@pytest.mark.parametrize("seed", range(6))
def test_a_fused_search_is_the_whole_ranking_without_the_expired_ones(
    memory: Face, seed: int
) -> None:
    chosen = random.Random(seed)
    fill(memory, chosen, 120, chosen.choice([0.1, 0.6, 0.95]))
    for _ in range(12):
        query, top_k = sentence(chosen), chosen.choice([1, 3, 20, 60])
        options: dict[str, Any] = {
            "filters": U, "ranking": "fused", "threshold": chosen.choice([0.0, 0.2, 0.4]),
        }  # fmt: skip
        ranked = results(memory, query, **options, top_k=1000, show_expired=True)
        wanted = [each for each in ranked if not is_hidden(each)][:top_k]
        assert results(memory, query, **options, top_k=top_k) == wanted


@pytest.mark.parametrize("seed", range(4))
def test_a_list_is_full_as_long_as_there_is_something_to_show(memory: Face, seed: int) -> None:
    chosen = random.Random(seed)
    fill(memory, chosen, 60, chosen.choice([0.3, 0.9]))
    everything = memory.get_all(filters=U, top_k=1000, show_expired=True)["results"]
    shown = [each for each in everything if not is_hidden(each)]
    assert 0 < len(shown) < len(everything) == 60
    for top_k in (1, 2, 5, 20, 59, 60, 61):
        assert memory.get_all(filters=U, top_k=top_k)["results"] == shown[:top_k]


def test_a_memory_behind_hundreds_of_expired_ones_is_found(memory: Face) -> None:
    for number in range(300):
        store(memory, f"green tea {number}", YESTERDAY)
    store(memory, "a harbour")
    assert searched(memory, "green tea harbour") == ["a harbour"]
    assert searched(memory, "green tea harbour", ranking="fused") == ["a harbour"]
    assert listed(memory, top_k=1) == ["a harbour"]


def test_another_users_memories_do_not_take_the_places(memory: Face) -> None:
    for number in range(5):
        store(memory, f"tea {number}", YESTERDAY)
        store(memory, f"tea of v {number}", user_id="v")
    assert searched(memory) == listed(memory) == []
    assert searched(memory, ranking="fused") == []


# --- Stores of others ------------------------------------------------------------------------


class Page(Store):
    """A foreign store that returns at most so many hits, whatever it is asked for."""

    most = 1000

    def search(self, query: str, vectors: Any, top_k: int = 5, filters: Any = None) -> Any:
        return super().search(query, vectors, min(top_k, self.most), filters)

    def keyword_search(self, query: str, top_k: int = 5, filters: Any = None) -> Any:
        hits = [
            {"id": name, "score": 1.0, "payload": payload}
            for name, (_, payload) in self._matching(filters).items()
            if set(query.split()) & set(payload["data"].split())
        ]
        return hits[: min(top_k, self.most)]


def foreign(memory: Face, **more: Any) -> Page:
    memory.vector_store = made = Page()
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_a_foreign_store_is_asked_for_more(memory: Face) -> None:
    foreign(memory)
    for number in range(200):
        store(memory, f"green tea {number}", YESTERDAY)
    store(memory, "a harbour")
    assert searched(memory, "green tea harbour") == listed(memory, top_k=1) == ["a harbour"]
    assert len(searched(memory, "green tea", show_expired=True)) == 20
    memory.say(())
    memory.add("green tea", **U)
    assert "a harbour" in json.dumps(memory.llm.calls[0]["messages"])


def test_a_foreign_store_that_returns_no_more_ends_the_search(memory: Face) -> None:
    foreign(memory, most=10)
    for number in range(30):
        store(memory, f"green tea {number}", YESTERDAY)
    store(memory, "a harbour")
    assert searched(memory, "green tea harbour") == []


def test_a_hit_without_a_payload_is_not_hidden(memory: Face) -> None:
    made = foreign(memory)
    made.search = lambda **_: [SimpleNamespace(id="1", score=0.9, payload=None)]  # type: ignore[method-assign]
    made.keyword_search = lambda **_: [{"id": "1", "score": 1.0}]  # type: ignore[method-assign]
    assert searched(memory) == []


def test_nothing_more_is_asked_of_a_store_if_nothing_is_hidden(memory: Face) -> None:
    made = foreign(memory)
    for number in range(100):
        store(memory, f"green tea {number}", TOMORROW)
    asked: list[tuple[str, int]] = []
    for name in ("search", "keyword_search", "list"):
        call = getattr(made, name)

        def counted(call: Any = call, name: str = name, **options: Any) -> Any:
            asked.append((name, options["top_k"]))
            return call(**options)

        setattr(made, name, counted)
    searched(memory)
    listed(memory, top_k=7)
    assert asked == [("search", 80), ("keyword_search", 80), ("list", 7)]


# --- Changing the date -----------------------------------------------------------------------


def stored(memory: Face, memory_id: str) -> dict[str, Any]:
    payload: dict[str, Any] = memory.vector_store.get(memory_id).payload
    return dict(payload)


@pytest.mark.parametrize("is_foreign", [False, True])
def test_a_date_alone_can_change(memory: Face, is_foreign: bool) -> None:
    if is_foreign:
        memory.vector_store = Store()
    memory.llm = memory.say(("We gave Ana Silva a cat",))
    (added,) = memory.add("hello", metadata={"a": 1}, **U)["results"]
    before = stored(memory, added["id"])
    linked = memory.entities()
    assert list(linked) == ["Ana Silva"]
    memory.embedding_model = None
    assert memory.update(added["id"], expiration_date=YESTERDAY) == {
        "message": "Memory updated successfully!"
    }
    after = stored(memory, added["id"])
    assert after == {**before, FIELD: YESTERDAY, "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert memory.entities() == linked
    row = memory.history(added["id"])[-1]
    assert (row["event"], row["old_memory"], row["new_memory"]) == (
        "UPDATE", "We gave Ana Silva a cat", "We gave Ana Silva a cat",
    )  # fmt: skip
    assert listed(memory) == []
    memory.update(added["id"], expiration_date=TODAY)
    assert listed(memory) == ["We gave Ana Silva a cat"]


def test_a_memory_is_found_as_before_after_its_date_has_changed(memory: Face) -> None:
    ids = [store(memory, f"green tea number {number}") for number in range(5)]
    before = memory.search("green tea", filters=U, ranking="fused")["results"]
    plain = memory.search("green tea", filters=U)["results"]
    for memory_id in ids:
        memory.update(memory_id, expiration_date=TODAY)
        memory.update(memory_id, expiration_date=None)

    def shown(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(each["id"], each["memory"], each["hash"], each["score"]) for each in found]

    for options, wanted in (({"ranking": "fused"}, before), ({}, plain)):
        now = memory.search("green tea", filters=U, **options)["results"]
        assert shown(now) == shown(wanted)


def test_a_change_of_the_event_time_alone_reaches_the_fused_ranking(memory: Face) -> None:
    first = store(memory, "a walk", metadata={"event_time": "2023-01-01"})
    other = store(memory, "a walk", metadata={"event_time": "2023-03-20"})
    fused: dict[str, Any] = {"filters": U, "ranking": "fused"}
    query = "a walk on 3 March 2023"
    assert memory.search(query, **fused)["results"][0]["id"] == other
    memory.update(first, metadata={"event_time": "2023-03-03"}, expiration_date=None)
    assert memory.search(query, **fused)["results"][0]["id"] == first


def test_none_removes_the_date_and_nothing_keeps_it(memory: Face) -> None:
    memory_id = store(memory, "tea", YESTERDAY)
    memory.update(memory_id, "tea")
    assert listed(memory) == []
    memory.update(memory_id, "tea", expiration_date=None)
    assert listed(memory) == ["tea"]
    assert memory.get(memory_id)["expiration_date"] is None


def test_text_metadata_and_date_can_change_together(memory: Face) -> None:
    memory_id = store(memory, "tea", YESTERDAY, metadata={"a": 1, "b": 2})
    memory.update(memory_id, "coffee", {"b": 3}, expiration_date=date(2024, 5, 2))
    found = memory.get(memory_id)
    assert (found["memory"], found["metadata"]) == ("coffee", {"a": 1, "b": 3})
    assert found["expiration_date"] == TOMORROW
    assert searched(memory, "coffee") == ["coffee"]


def test_metadata_can_change_with_the_date_and_not_what_is_written_with_a_text(
    memory: Face,
) -> None:
    memory_id = store(memory, "tea", metadata={"a": 1})
    before = stored(memory, memory_id)
    overlay = {"a": 2, "data": "x", "hash": "x", "created_at": "x", "user_id": "v"}
    memory.update(memory_id, metadata=overlay, expiration_date=TOMORROW)
    after = stored(memory, memory_id)
    assert after == {**before, "a": 2, FIELD: TOMORROW, "updated_at": after["updated_at"]}


def test_an_update_that_is_refused_changes_nothing(memory: Face) -> None:
    memory_id = store(memory, "tea", TODAY)
    before = memory.state()
    unknown = "00000000-0000-4000-8000-00000000dead"
    for call, kind, match in (
        (lambda: memory.update(memory_id), ValueError, "At least one of text, metadata"),
        (lambda: memory.update(memory_id, expiration_date="x"), ValueError, "a valid date"),
        (lambda: memory.update(memory_id, "tea", expiration_date=7), ValueError, "a date string"),
        (lambda: memory.update(unknown, expiration_date=TODAY), ValueError, "not found"),
        (
            lambda: memory.update(memory_id, metadata=[1], expiration_date=TODAY),
            ValidationError,
            "must be a dict",
        ),
    ):
        with pytest.raises(kind, match=match):
            call()
    assert memory.state() == before


# --- Sweeping --------------------------------------------------------------------------------


def test_a_sweep_deletes_what_has_expired_and_nothing_else(memory: Face) -> None:
    gone = store(memory, "old tea", YESTERDAY)
    kept = [store(memory, "tea", TODAY), store(memory, "more tea"), store(memory, "x", TOMORROW)]
    store(memory, "odd", metadata={"note": FIELD, "expiration_date": "2020-01-01"})
    assert memory.sweep() == 1
    assert memory.get(gone) is None
    assert len(listed(memory, show_expired=True)) == 4
    assert all(memory.get(each) for each in kept)
    row = memory.history(gone)[-1]
    assert (row["event"], row["old_memory"], row["is_deleted"]) == ("DELETE", "old tea", 1)
    assert memory.sweep() == 0


def test_a_sweep_of_a_scope_leaves_the_others_alone(memory: Face) -> None:
    for ids in ({"user_id": "u"}, {"user_id": "u", "agent_id": "a"}, {"user_id": "v"}):
        memory.add("tea", infer=False, expiration_date=YESTERDAY, **ids)
    assert memory.sweep(agent_id="a", user_id="v") == 0
    assert memory.sweep("u", "a") == 1
    assert memory.sweep(user_id="u") == 1
    assert len(listed(memory, filters={"user_id": "v"}, show_expired=True)) == 1
    assert memory.sweep() == 1


@pytest.mark.parametrize("wrong", ["", " ", "a b", 7])
def test_a_sweep_of_something_that_is_not_an_id_is_refused(memory: Face, wrong: Any) -> None:
    store(memory, "tea", YESTERDAY)
    with pytest.raises(ValueError, match="user_id"):
        memory.sweep(user_id=wrong)
    assert len(listed(memory, show_expired=True)) == 1


def test_a_sweep_unlinks_the_entities_of_what_it_deletes(memory: Face) -> None:
    memory.say(("We gave Ana Silva a cat",), ("We gave Ana Silva a dog in Lisbon",))
    (first,) = memory.add("hello", **U)["results"]
    memory.add("hello", expiration_date=YESTERDAY, **U)
    assert set(memory.entities()) == {"Ana Silva", "Lisbon"}
    assert memory.sweep() == 1
    assert {name: each["linked_memory_ids"] for name, each in memory.entities().items()} == {
        "Ana Silva": [first["id"]]
    }


def test_a_sweep_of_more_than_one_transaction_may_remove(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isomem.pipeline.manage.REMOVED_AT_ONCE", 7)
    memory = make()
    chosen = random.Random(5)
    fill(memory, chosen, 60, 0.6)
    everything = memory.get_all(filters=U, top_k=1000, show_expired=True)["results"]
    expired = [each["id"] for each in everything if is_hidden(each)]
    assert len(expired) > 30
    assert memory.sweep() == len(expired)
    left = memory.get_all(filters=U, top_k=1000, show_expired=True)["results"]
    assert left == [each for each in everything if not is_hidden(each)]
    assert [row["event"] for each in expired for row in memory.history(each)[1:]] == [
        "DELETE"
    ] * len(expired)


@pytest.mark.parametrize("is_foreign", [False, True])
def test_a_date_that_changes_during_a_sweep_counts(
    memory: Face, monkeypatch: pytest.MonkeyPatch, is_foreign: bool
) -> None:
    """What is listed may be another day's, or somebody else's, when it is removed."""
    from isomem.pipeline import manage

    if is_foreign:
        foreign(memory)
    kept, gone = store(memory, "tea", YESTERDAY), store(memory, "cake", YESTERDAY)
    also_gone = store(memory, "milk", YESTERDAY)
    listing = manage._expired

    def listing_then_changing(*args: Any) -> Any:
        found = listing(*args)
        assert set(found) == {kept, gone, also_gone}
        payload = stored(memory, kept)
        memory.vector_store.update(kept, payload={**payload, FIELD: TOMORROW})
        memory.vector_store.delete(also_gone)
        return found

    monkeypatch.setattr(manage, "_expired", listing_then_changing)
    assert memory.sweep() == 1
    assert listed(memory, show_expired=True) == ["tea"]


def test_a_sweep_works_over_foreign_stores(memory: Face) -> None:
    made = foreign(memory)
    memory.entity_store = Store()
    memory.say(("We gave Ana Silva a cat",))
    memory.add("hello", expiration_date=YESTERDAY, **U)
    store(memory, "tea", YESTERDAY, user_id="v")
    store(memory, "coffee", TODAY)
    assert len(memory.entity_store.points) == 1
    assert memory.sweep(user_id="u") == 1
    assert memory.entity_store.points == {}
    assert len(made.points) == 2
    assert memory.sweep() == 1
    assert [payload["data"] for _, payload in made.points.values()] == ["coffee"]
    with pytest.raises(ValueError, match="means every user_id"):
        memory.sweep(user_id="*")


def test_hidden_memories_are_removed_like_all_others(memory: Face) -> None:
    for user in ("u", "v"):
        for number in range(3):
            store(memory, f"tea {number}", YESTERDAY if number else None, user_id=user)
    memory.delete_all(user_id="u")
    assert listed(memory, show_expired=True) == []
    assert len(listed(memory, filters={"user_id": "v"}, show_expired=True)) == 3
    memory.purge(user_id="v")
    assert listed(memory, filters={"user_id": "v"}, show_expired=True) == []
    hidden = store(memory, "tea", YESTERDAY)
    memory.delete(hidden)
    assert memory.get(hidden) is None


# --- In every kind of file -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["one file", "two files", "in memory"])
def test_a_file_is_sound_after_any_of_these_calls(make: Make, tmp_path: Path, kind: str) -> None:
    path = ":memory:" if kind == "in memory" else tmp_path / "memory.db"
    more = {"history_db_path": str(tmp_path / "history.db")} if kind == "two files" else {}
    memory, chosen = make(path, **more), random.Random(3)
    texts = [f"We gave Ana Silva {number} cats in Lisbon" for number in range(20)]
    ids = memory.learn(*texts)
    for memory_id in ids:
        date_ = chosen.choice([YESTERDAY, TODAY, None])
        memory.update(memory_id, expiration_date=date_)
        if chosen.random() < 0.3:
            memory.update(memory_id, "We gave Bruno Costa a dog", expiration_date=date_)
    wanted = listed(memory)
    expired = [each for each in ids if is_hidden(memory.get(each))]
    assert 0 < len(expired) == memory.sweep()
    assert listed(memory, show_expired=True) == listed(memory) == wanted
    assert [memory.history(each)[-1]["event"] for each in expired] == ["DELETE"] * len(expired)
    left = {link for each in memory.entities().values() for link in each["linked_memory_ids"]}
    assert left <= {each["id"] for each in memory.get_all(filters=U, top_k=50)["results"]}
    if kind != "in memory":
        memory.close()
        with closing(apsw.Connection(str(path))) as file:
            assert check(file) == []
            assert kind == "two files" or check_history(file) == []
        assert listed(make(path, **more)) == wanted


@pytest.mark.parametrize(("expires", "stored_again"), [(YESTERDAY, True), (TODAY, False)])
def test_a_fact_that_another_call_has_just_stored_as_expired_is_stored_again(
    make: Make, tmp_path: Path, expires: str, stored_again: bool
) -> None:
    """With `dedup_concurrent`, what is stored meanwhile is known only if it is shown."""
    memory = make(dedup_concurrent=True)
    config = MemoryConfig(**configuration(tmp_path / "memory.db"))

    class Meanwhile:
        def generate_response(self, messages: Any, **options: Any) -> str:
            with Memory(config, clock=memory.clock) as other:
                other.llm = ScriptedLLM([{"memory": [{"text": "Likes tea"}]}])
                other.add("I like tea", expiration_date=expires, **U)
            return '{"memory": [{"text": "Likes tea"}]}'

    memory.llm = Meanwhile()
    assert len(memory.add("I like tea", **U)["results"]) == stored_again
    assert listed(memory) == ["Likes tea"]
