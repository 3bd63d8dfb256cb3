"""The ranking "fused": it finds what the contract's cannot, and is only used when asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import ConfigurationError, InvalidConfigError, MemoryError
from isomem.testing import HashEmbedder
from tests.facade.conftest import Face, PlantedEmbedder

Make = Callable[..., Face]
U = {"user_id": "u"}


def found(memory: Face, query: str, **options: Any) -> list[str]:
    options = {"filters": U, "ranking": "fused", **options}
    return [each["memory"] for each in memory.search(query, **options)["results"]]


def remember(memory: Face, *texts: str, **metadata: Any) -> None:
    for text in texts:
        memory.add(text, user_id="u", infer=False, metadata=metadata)


def test_a_memory_that_only_shares_a_word_is_found(make: Make) -> None:
    memory = make(nlp={"provider": "none"}, store={"embedding_model_dims": 3},
                  embedder={"provider": "mock", "config": {"embedding_dims": 3}})  # fmt: skip
    memory.embedding_model = PlantedEmbedder(
        {"which kayak": 1.0, "a kayak trip": -0.9} | {f"text {n}": 0.5 for n in range(70)}
    )
    remember(memory, "a kayak trip", *(f"text {number}" for number in range(70)))
    assert found(memory, "which kayak", top_k=1) == ["a kayak trip"]
    assert "a kayak trip" not in found(memory, "which kayak", ranking="contract", top_k=15)


def test_a_result_looks_like_one_of_the_contract(memory: Face) -> None:
    memory.add({"role": "user", "content": "green tea", "name": "ana"}, user_id="u", infer=False,
               metadata={"tag": [1]})  # fmt: skip
    (one,) = memory.search("green tea", filters=U)["results"]
    (other,) = memory.search("green tea", filters=U, ranking="fused")["results"]
    assert list(one) == list(other)
    assert {**one, "score": 0} == {**other, "score": 0}
    assert 0 < other["score"] <= 1


def test_scores_fall_and_the_threshold_is_the_minimum_score(memory: Face) -> None:
    remember(memory, "green tea", "a green house", "black coffee", "the harbour")
    hits = memory.search("green tea", filters=U, ranking="fused")["results"]
    scores = [hit["score"] for hit in hits]
    assert len(hits) == 4
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert found(memory, "green tea", threshold=scores[1]) == ["green tea", "a green house"]
    assert found(memory, "green tea", threshold=1.0) == []
    assert found(memory, "green tea", threshold=None) == found(memory, "green tea", threshold=0.1)
    assert found(memory, "green tea", top_k=1) == ["green tea"]
    assert found(memory, "green tea", top_k=0) == []


def test_filters_hold_and_no_other_scope_is_seen(memory: Face) -> None:
    remember(memory, "green tea", kind="drink")
    remember(memory, "green tea leaves", kind="plant")
    memory.add("green tea of another", user_id="v", infer=False)
    assert found(memory, "green tea", filters={"user_id": "u", "kind": "plant"}) == [
        "green tea leaves"
    ]
    either = {"user_id": "u", "OR": [{"kind": "drink"}, {"kind": {"icontains": "PLANT"}}]}
    assert len(found(memory, "green tea", filters=either)) == 2
    assert found(memory, "green tea", filters={"user_id": "w"}) == []


def test_a_date_in_the_query_prefers_what_was_then(memory: Face) -> None:
    remember(memory, "we walked along the river", created_at="2023-05-07T09:00:00+00:00")
    remember(memory, "we walked along the beach", created_at="2023-08-01T09:00:00+00:00")
    remember(memory, "we walked along the lake", created_at="2023-06-20T09:00:00+00:00",
             event_time="2023-08-20")  # fmt: skip
    assert found(memory, "where did we walk on 7 May 2023?")[0] == "we walked along the river"
    assert found(memory, "where did we walk on August 20?")[0] == "we walked along the lake"
    assert found(memory, "where did we walk in 2031?") == found(memory, "where did we walk?")


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_numbers_that_json_does_not_have_do_not_cost_a_memory_its_date(
    memory: Face, number: float
) -> None:
    for place, day in (("river", 7), ("beach", 8), ("lake", 9)):
        remember(memory, f"we walked along the {place}", n=number,
                 created_at=f"2023-0{day}-07T09:00:00+00:00")  # fmt: skip
    for place, month in (("river", "July"), ("beach", "August"), ("lake", "September")):
        query = f"where did we walk on 7 {month} 2023?"
        assert found(memory, query)[0] == f"we walked along the {place}"


def test_what_was_said_beside_a_good_hit_comes_before_what_was_not(memory: Face) -> None:
    for day, texts in ((1, ("rain again", "so it was")), (2, ("my kayak broke", "so it goes"))):
        remember(memory, *texts, created_at=f"2023-05-0{day}T09:00:00+00:00")
    order = found(memory, "which kayak broke")
    assert order[0] == "my kayak broke"
    assert order.index("so it goes") < order.index("so it was")


def test_a_change_is_seen_by_the_next_search(memory: Face) -> None:
    remember(memory, "green tea", "black coffee")
    first = memory.search("kayak", filters=U, ranking="fused")["results"]
    memory.update(first[0]["id"], "a kayak")
    assert found(memory, "kayak")[0] == "a kayak"
    memory.delete(first[0]["id"])
    assert len(found(memory, "kayak")) == 1
    remember(memory, "two kayaks")
    assert found(memory, "kayak")[0] == "two kayaks"
    memory.delete_all(user_id="u")
    assert found(memory, "kayak") == []


def test_words_of_another_language_are_stemmed_by_its_rules(make: Make, tmp_path: Path) -> None:
    memory = make(nlp={"provider": "none", "config": {"language": "german"}})
    remember(memory, "Wir haben zwei Häuser besichtigt", "Der Hund schläft viel", "Übermorgen")
    assert found(memory, "Welches Haus?")[0] == "Wir haben zwei Häuser besichtigt"
    russian = make(tmp_path / "ru.db", nlp={"provider": "none", "config": {"language": "russian"}})
    remember(russian, "Мы купили новую книгу", "Собака спит", "Погода хорошая")
    assert found(russian, "какие книги?")[0] == "Мы купили новую книгу"


def test_no_keyword_search_leaves_vectors_and_dates(make: Make) -> None:
    memory = make(store={"keyword_search": False})
    remember(memory, "green tea", "black coffee")
    assert found(memory, "green tea")[0] == "green tea"


# --- Which ranking ---------------------------------------------------------------------------


def test_the_configuration_chooses_and_a_call_overrides_it(make: Make) -> None:
    fused = make(ranking="fused")
    remember(fused, "green tea", "black coffee", "the harbour")
    assert fused.ranking == "fused"
    both = {
        ranking: fused.search("green tea", filters=U, ranking=ranking)["results"]
        for ranking in (None, "fused", "contract")
    }
    assert both[None] == both["fused"] != both["contract"]
    plain = make()
    assert plain.ranking == "contract"
    assert plain.search("green tea", filters=U)["results"] == both["contract"]


@pytest.mark.parametrize("ranking", ["", "Fused", "rrf", 1, True, ["fused"]])
def test_an_unknown_ranking_is_refused(memory: Face, make: Make, ranking: Any) -> None:
    with pytest.raises(ValueError, match=r"^Invalid ranking: .*Must be one of contract, fused\.$"):
        memory.search("tea", filters=U, ranking=ranking)
    with pytest.raises(InvalidConfigError, match=r"ranking must be one of 'contract', 'fused'"):
        make(ranking=ranking)


def test_a_foreign_vector_store_cannot_offer_it(memory: Face) -> None:
    class Foreign:
        def search(self, **asked: Any) -> list[Any]:
            raise AssertionError("nothing is asked of it")

    memory.vector_store = Foreign()
    with pytest.raises(ConfigurationError, match="needs memories in the embedded") as raised:
        memory.search("tea", filters=U, ranking="fused")
    assert isinstance(raised.value, MemoryError)
    assert raised.value.error_code == "CONFIG_008"


def test_our_store_beside_foreign_parts_offers_it(memory: Face) -> None:
    remember(memory, "green tea", "black coffee")
    expected = found(memory, "green tea")

    class Foreign:
        def search(self, **asked: Any) -> list[Any]:
            raise AssertionError("nothing is asked of it")

    memory.entity_store = Foreign()
    assert found(memory, "green tea") == expected


# --- Calls of the embedder -------------------------------------------------------------------


class Counting(HashEmbedder):
    """Notes its calls. Its vectors are those of a hash embedder."""

    def __init__(self, *, alike: bool, failing: int = 0) -> None:
        super().__init__(64)
        self.embeds_alike_in_batch = alike
        self.calls: list[Any] = []
        self.failing = failing

    def _note(self, texts: Any, action: str | None) -> None:
        self.calls.append(texts)
        assert action == "search"
        if len(self.calls) <= self.failing:
            raise ConnectionError("down")

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        self._note(text, memory_action)
        return super().embed(text, memory_action)

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
        self._note(list(texts), memory_action)
        return [HashEmbedder.embed(self, text, memory_action) for text in texts]


QUERY = "What did Ana Silva give to Tom Baker?"


def linked(make: Make) -> Face:
    memory = make()
    memory.learn("We gave Ana Silva a cat", "Then Tom Baker left for Lisbon", "A dog barked")
    return memory


def calls_of(memory: Face, embedder: Counting, **options: Any) -> tuple[list[Any], Any]:
    memory.embedding_model = embedder
    results = memory.search(QUERY, filters=options.pop("filters", U), **options)["results"]
    return embedder.calls, results


def test_query_and_entities_are_one_call_with_the_same_results(make: Make) -> None:
    memory = linked(make)
    expected = ["Ana Silva", "Tom Baker"]
    together, results = calls_of(memory, Counting(alike=True))
    one_by_one, same = calls_of(memory, Counting(alike=False))
    assert together == [[QUERY, *expected]]
    assert one_by_one == [QUERY, *expected]
    assert results == same
    assert results[0]["memory"] in {"We gave Ana Silva a cat", "Then Tom Baker left for Lisbon"}


def test_without_entities_in_the_scope_none_is_embedded(make: Make) -> None:
    memory = linked(make)
    filters = {"user_id": "nobody"}
    assert calls_of(memory, Counting(alike=True), filters=filters)[0] == [QUERY]
    assert len(calls_of(memory, Counting(alike=False), filters=filters)[0]) == 3


def test_the_fused_ranking_embeds_the_query_alone(make: Make) -> None:
    memory = linked(make)
    for alike in (True, False):
        assert calls_of(memory, Counting(alike=alike), ranking="fused")[0] == [QUERY]


def test_a_batch_that_fails_is_embedded_one_by_one(make: Make) -> None:
    memory = linked(make)
    calls, results = calls_of(memory, Counting(alike=True, failing=1))
    assert calls == [[QUERY, "Ana Silva", "Tom Baker"], QUERY, "Ana Silva", "Tom Baker"]
    assert results == calls_of(memory, Counting(alike=False))[1]
    with pytest.raises(ConnectionError):
        calls_of(memory, Counting(alike=True, failing=2))
