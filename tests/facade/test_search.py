"""Searching: the right memories, in the right order, with the right scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isomem.contract.scoring import entity_boost, normalize_bm25
from isomem.testing import HashEmbedder
from tests.facade.conftest import Face, PlantedEmbedder

Make = Callable[..., Face]
U = {"user_id": "u"}


def found(memory: Face, query: str = "query", **options: Any) -> dict[str, float]:
    """Scores by text, in the order of the results."""
    results = memory.search(query, filters=options.pop("filters", U), **options)["results"]
    return {each["memory"]: each["score"] for each in results}


def test_a_result_has_everything_about_a_memory(memory: Face) -> None:
    (added,) = memory.add(
        {"role": "user", "content": "green tea", "name": "ana"}, user_id="u", agent_id="a",
        infer=False, metadata={"tag": [1]},
    )["results"]  # fmt: skip
    (hit,) = memory.search("green tea", filters={"agent_id": "a"})["results"]
    assert list(hit) == [
        "id", "memory", "hash", "metadata", "score", "created_at", "updated_at", "user_id",
        "agent_id", "actor_id", "role",
    ]  # fmt: skip
    assert (hit["id"], hit["memory"], hit["metadata"]) == (added["id"], "green tea", {"tag": [1]})
    assert (hit["user_id"], hit["agent_id"], hit["actor_id"]) == ("u", "a", "ana")
    assert 0 < hit["score"] <= 1


def test_the_nearest_come_first_and_the_threshold_holds(planted: Face) -> None:
    planted.plant(half=0.5, near=0.9, far=0.05, edge=0.1, opposite=-0.5)
    scores = found(planted)
    assert list(scores)[:2] == ["near", "half"]
    assert scores == pytest.approx(
        {"near": 0.9, "half": 0.5, **({"edge": 0.1} if "edge" in scores else {})}, abs=1e-6
    )
    assert "far" not in scores
    assert list(found(planted, threshold=0.6)) == ["near"]
    assert list(found(planted, threshold=None)) == list(scores)
    assert "far" in found(planted, threshold=0)
    assert "opposite" not in found(planted, threshold=0.0)
    assert found(planted, threshold=1) == {}
    assert list(found(planted, threshold=True)) == []


def test_more_results_take_no_more_statements(planted: Face) -> None:
    planted.plant(**{f"t{number}": 0.9 - number / 100 for number in range(25)})
    found(planted)
    asked: list[str] = []
    connection = planted.vector_store.database.connection
    connection.exec_trace = lambda _, sql, __: not asked.append(sql)
    counts = []
    for top_k in (1, 20):
        asked.clear()
        assert len(found(planted, top_k=top_k)) == top_k
        counts.append(len(asked))
    assert 0 < counts[0] == counts[1]


def test_no_more_than_asked_and_none_when_none_are_asked(planted: Face) -> None:
    planted.plant(**{f"t{number}": 0.9 - number / 100 for number in range(25)})
    assert len(found(planted)) == 20
    assert list(found(planted, top_k=2)) == ["t0", "t1"]
    assert found(planted, top_k=0) == {}
    assert len(found(planted, top_k=1000)) == 25


def test_sixty_candidates_are_looked_at_or_four_for_each_result(make: Make) -> None:
    memory = make(nlp={"provider": "none"})
    memory.add([{"role": "user", "content": f"word{n}"} for n in range(70)], **U, infer=False)
    memory.embedding_model = HashEmbedder(64)
    asked: list[int] = []
    search = memory.vector_store.search

    def spy(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs["top_k"])
        return search(*args, **kwargs)

    memory.vector_store.search = spy
    for top_k in (1, 15, 16, 50):
        memory.search("word", filters=U, top_k=top_k)
    assert asked == [60, 60, 64, 200]


def test_of_equal_scores_the_later_memory_comes_first(planted: Face) -> None:
    planted.plant(a=0.5, b=0.5, c=0.5)
    assert list(found(planted)) == ["c", "b", "a"]


def test_keywords_raise_the_score(make: Make) -> None:
    memory = make(
        nlp={"provider": "none"},
        embedder={"provider": "mock", "config": {"embedding_dims": 3}},
    )
    memory.plant(**{"tea house": 0.6, "coffee": 0.7})
    memory.embedding_model = PlantedEmbedder({"tea": 1.0})
    scores = found(memory, "tea")
    assert list(scores) == ["tea house", "coffee"]
    raw = {hit.id: hit.score for hit in memory.vector_store.keyword_search("tea", filters=U)}
    (value,) = raw.values()
    assert scores["tea house"] == pytest.approx(
        (0.6 + normalize_bm25(value, 5.0, 0.7)) / 2, abs=1e-6
    )
    assert scores["coffee"] == pytest.approx(0.35, abs=1e-6)
    # A keyword alone does not bring back what is not similar.
    assert "tea house" not in found(memory, "tea", threshold=0.65)


def test_entities_raise_the_score_of_what_they_stand_in(memory: Face) -> None:
    one, two = memory.learn("We gave Ana Silva a bicycle", "The weather was fine and sunny")
    memory.embedding_model = memory.real.embedding_model
    plain = found(memory, "sunny bicycle weather")
    boosted = found(memory, "sunny bicycle weather with Ana Silva")
    assert (
        set(plain)
        == set(boosted)
        == {"We gave Ana Silva a bicycle", "The weather was fine and sunny"}
    )
    assert next(iter(boosted)) == "We gave Ana Silva a bicycle"
    memory.delete(one)
    assert set(found(memory, "sunny bicycle weather with Ana Silva")) == {
        "The weather was fine and sunny"
    }
    assert two


def test_a_boost_is_what_the_formula_says(make: Make) -> None:
    memory = make(
        store={"keyword_search": False},
        embedder={"provider": "mock", "config": {"embedding_dims": 3}},
    )
    memory.embedding_model = PlantedEmbedder(
        {"We met Ana Silva": 0.4, "nobody": 0.4, "Who is Ana Silva": 1.0, "Ana Silva": [0, 0, 1]}
    )
    memory.learn("We met Ana Silva", "nobody")
    scores = found(memory, "Who is Ana Silva")
    assert scores == pytest.approx(
        {"We met Ana Silva": (0.4 + entity_boost(1.0, 1)) / 1.5, "nobody": 0.4 / 1.5}, abs=1e-6
    )
    # An entity that is less similar than one half says nothing.
    memory.embedding_model.vectors["Ana Silva"] = [0, 1, 1]
    memory.embedding_model.vectors["Who is Ana Silva"] = 1.0
    memory.entity_store.update(memory.entity_store.list()[0][0].id, vector=[1.0, 0.0, 0.4])
    assert found(memory, "Who is Ana Silva") == pytest.approx(
        {"We met Ana Silva": 0.4, "nobody": 0.4}, abs=1e-6
    )


def test_an_entity_that_cannot_be_embedded_costs_only_the_boosts(
    memory: Face, caplog: pytest.LogCaptureFixture
) -> None:
    memory.learn("We gave Ana Silva a bicycle")
    inner = memory.real.embedding_model

    class Failing:
        def embed(self, text: str, memory_action: str | None = None) -> Any:
            if text == "Ana Silva":
                raise ConnectionError("down")
            return inner.embed(text, memory_action)

    memory.embedding_model = Failing()
    assert found(memory, "A bicycle for Ana Silva")
    assert "Entity boosts end at 'Ana Silva'" in caplog.text


def test_conditions_narrow_a_search(memory: Face) -> None:
    for number in range(6):
        memory.add(
            f"tea {number}", **U, infer=False, metadata={"n": number, "even": not number % 2}
        )
    memory.add("tea of another", user_id="v", infer=False, metadata={"n": 1, "even": True})

    def numbers(**conditions: Any) -> list[str]:
        return sorted(found(memory, "tea", threshold=0, filters={**U, **conditions}))

    assert numbers(n={"gte": 2, "lt": 4}) == ["tea 2", "tea 3"]
    assert numbers(even=True) == ["tea 0", "tea 2", "tea 4"]
    assert numbers(n=[1, 5]) == ["tea 1", "tea 5"]
    assert numbers(OR=[{"n": 0}, {"n": {"gt": 4}}]) == ["tea 0", "tea 5"]
    assert numbers(NOT=[{"even": True}]) == ["tea 1", "tea 3", "tea 5"]
    assert numbers(AND=[{"n": {"gt": 0}}, {"n": {"lt": 2}}]) == ["tea 1"]
    assert numbers(OR=[{"user_id": "v"}, {"n": 1}]) == ["tea 1"]
    assert len(numbers(n="*")) == 6


def test_and_cannot_widen_a_search_beyond_what_the_caller_wrote(memory: Face) -> None:
    memory.add("mine", user_id="u", infer=False)
    memory.add("theirs", user_id="v", infer=False)
    assert set(found(memory, "mine", threshold=0, filters={"user_id": "u"})) == {"mine"}
    assert (
        set(found(memory, "mine", threshold=0, filters={"user_id": "u", "agent_id": "a"})) == set()
    )


class Reverse:
    def rerank(self, query: str, documents: list[Any], top_k: int | None = None) -> list[Any]:
        self.seen = (query, [each["memory"] for each in documents], top_k)
        return [{**each, "rerank_score": 1.0} for each in documents[::-1]][:top_k]


def test_a_reranker_reorders_when_it_is_asked_to(planted: Face) -> None:
    planted.plant(a=0.9, b=0.8)
    planted.reranker = Reverse()
    assert list(found(planted)) == ["a", "b"]
    results = planted.search("query", filters=U, rerank=True, top_k=5)["results"]
    assert [each["memory"] for each in results] == ["b", "a"]
    assert results[0]["rerank_score"] == 1.0
    assert planted.reranker.seen == ("query", ["a", "b"], 5)
    planted.reranker = None
    assert list(found(planted, rerank=True)) == ["a", "b"]


def test_a_reranker_that_fails_leaves_the_order(
    planted: Face, caplog: pytest.LogCaptureFixture
) -> None:
    planted.plant(a=0.9, b=0.8)

    class Failing:
        def rerank(self, *args: Any) -> Any:
            raise ConnectionError("down")

    planted.reranker = Failing()
    assert list(found(planted, rerank=True)) == ["a", "b"]
    assert "Reranking failed, using original results: down" in caplog.text


def test_unknown_arguments_are_taken(memory: Face) -> None:
    assert memory.search("x", filters=U, limit=5, version="v2") == {"results": []}
    assert memory.get_all(filters=U, limit=5) == {"results": []}


def test_a_store_without_vectors_finds_nothing(memory: Face) -> None:
    assert memory.search("anything", filters=U) == {"results": []}


def test_a_point_without_text_is_no_result(memory: Face) -> None:
    vector = memory.embedding_model.embed("tea")
    memory.vector_store.insert([vector], [{"user_id": "u", "k": 1}], ["x"])
    assert memory.search("tea", filters=U) == {"results": []}
    assert memory.get_all(filters=U)["results"][0]["memory"] == ""


class Narrowing:
    """A store around ours that puts a condition of its own into the filters of each search."""

    def __init__(self, inner: Any, key: str, *values: str) -> None:
        self.inner = inner
        self.key = key
        self.values = list(values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def search(self, *, filters: Any, **asked: Any) -> Any:
        filters[self.key] = self.values.pop(0)
        return self.inner.search(filters=filters, **asked)

    def keyword_search(self, *, filters: Any, **asked: Any) -> Any:
        filters[self.key] = self.values.pop(0)
        return self.inner.keyword_search(filters=filters, **asked)


def test_a_condition_that_a_store_adds_counts_in_each_of_its_searches(memory: Face) -> None:
    for topic in ("tea", "cake"):
        text = f"two plates of {topic}"
        memory.add(text, user_id="u", infer=False, metadata={"topic": topic})
    store, asked = memory.vector_store, {"user_id": "u", "topic": "tea"}
    vector = memory.embedding_model.embed("two plates", "search")
    (alone,) = store.search(query="", vectors=vector, top_k=9, filters=asked)
    memory.vector_store = Narrowing(store, "topic", "tea", "cake")
    (hit,) = memory.search("two plates", filters={"user_id": "u"}, threshold=0.0)["results"]
    assert hit["memory"] == "two plates of tea"
    # The words are those of the other memory, which is no candidate: they count in the division.
    assert hit["score"] == pytest.approx(alone.score / 2)


# --- Where scores come from ------------------------------------------------------------------


@pytest.mark.parametrize("ranking", ["contract", "fused"])
def test_explaining_adds_details_and_changes_nothing_else(memory: Face, ranking: str) -> None:
    memory.learn("We gave Ana Silva a cat", "Then Tom Baker left for Lisbon", "A dog barked")
    query, options = "Did Ana Silva get a cat?", {"filters": U, "ranking": ranking}
    plain = memory.search(query, **options)["results"]
    explained = memory.search(query, explain=True, threshold=0.05, **options)["results"]
    details = [each.pop("score_details") for each in explained]
    assert explained[: len(plain)] == plain
    assert not any("score_details" in each for each in plain)
    for each, parts in zip(explained, details, strict=True):
        assert parts["final_score"] == each["score"]
        assert parts["threshold"] == 0.05


def test_the_details_of_the_contract_add_up_to_its_score(memory: Face) -> None:
    memory.learn("We gave Ana Silva a cat", "Then Tom Baker left for Lisbon", "A dog barked")
    (best, *_) = memory.search("Did Ana Silva get a cat?", filters=U, explain=True)["results"]
    details = best["score_details"]
    assert list(details) == [
        "semantic_score", "bm25_score", "entity_boost", "raw_score", "max_possible_score",
        "final_score", "threshold",
    ]  # fmt: skip
    assert details["semantic_score"] >= details["threshold"] == 0.1
    assert 0 < details["bm25_score"] < 1
    assert 0 < details["entity_boost"] <= 0.5
    assert details["max_possible_score"] == 2.5
    parts = ("semantic_score", "bm25_score", "entity_boost")
    assert details["raw_score"] == sum(details[part] for part in parts)
    assert details["final_score"] == min(1.0, details["raw_score"] / 2.5)


def test_the_details_of_fused_add_up_to_its_score(memory: Face) -> None:
    dated = {"created_at": "2023-05-07"}
    for text in ("my kayak broke", "so it goes", "rain again"):
        memory.add(text, user_id="u", infer=False, metadata=dated)
    found = memory.search("a kayak in May", filters=U, explain=True, ranking="fused")["results"]
    for hit in found:
        details = hit["score_details"]
        assert details["max_possible_score"] == 3.5
        parts = ("semantic_score", "keyword_score", "period_score", "context_score")
        assert details["raw_score"] == pytest.approx(sum(details[part] for part in parts))
        assert details["period_score"] == 0.5
        assert hit["score"] == pytest.approx((1 + details["raw_score"]) / 4.5)
    assert found[0]["score_details"]["keyword_score"] > 0


# --- Arguments that do nothing -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "given", "hint"),
    [
        ("search", {"treshold": 0.5}, "did you mean threshold=?"),
        ("search", {"limit": 3}, "did you mean top_k=?"),
        ("search", {"colour": "red"}, "it takes query, top_k, filters"),
        ("get_all", {"limit": 3}, "did you mean top_k=?"),
        ("get_all", {"filter": {}}, "did you mean filters=?"),
    ],
)
def test_an_unknown_argument_does_nothing_and_the_log_names_the_nearest(
    memory: Face, method: str, given: dict[str, Any], hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    memory.add("I like tea", infer=False, user_id="u")
    asked = ("tea",) if method == "search" else ()
    with caplog.at_level("WARNING"):
        found = getattr(memory, method)(*asked, filters={"user_id": "u"}, **given)
    assert len(found["results"]) == 1
    [warning] = [record.getMessage() for record in caplog.records]
    assert f"{method}() does nothing with {next(iter(given))}=" in warning
    assert hint in warning


def test_reranking_without_a_reranker_says_so(
    memory: Face, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        memory.search("tea", filters={"user_id": "u"}, rerank=True)
    assert "no reranker is configured" in caplog.text
