"""The modules of the inspector, on generated inputs: in a real browser, many at a time.

A module is imported by the page as it imports it itself. What a module does with an element is
looked at as text, so nothing here depends on how it looks.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from tests.web.browsing import Page

pytestmark = pytest.mark.slow

CASES = 300
WORDS = (
    "tea", "Tea", "teas", "the", "a", "river", "Über", "naïve", "雪", "川沿い", "one's", "3.5", "-",
    "–", ",", ".", "…", "<b>", "&amp;", "🚲", "👩\u200d👧", "e\u0301", "\u202eabc", "\t", "\n",
    "  ", "",
)  # fmt: skip
SCOPE_KEYS = ("user_id", "agent_id", "run_id")
ODD_IDS = (
    "ana", "a&b=c", "#/memories?user_id=x", "a/b", "%41", "a+b c", "雪", "<b>", "'\"", "memory",
    "=", "?", "\u202e", "user_id", " x ", "x" * 300,
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded(browser: Page, site: Any) -> Page:
    """The page of the inspector, from which modules can be imported."""
    browser.open(f"{site.address}/ui/")
    browser.wait(".sign-in")
    return browser


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Random:
    """The same inputs for a test each time."""
    return Random(request.node.name)


def run(page: Page, module: str, body: str, cases: object) -> Any:
    """What `body` returns for each case, where `m` is the module and `each` the case."""
    script = (
        "const [cases, done] = arguments;"
        f"import('/ui/{module}').then((m) => done({{ok: cases.map((each) => {{ {body} }})}}))"
        ".catch((error) => done({wrong: String(error.stack)}));"
    )
    answer = page.driver.execute_async_script(script, cases)
    assert "ok" in answer, answer
    return answer["ok"]


def text_of(chance: Random, most: int = 14) -> str:
    spaces = (" ", " ", " ", "", "  ", "\n")
    return "".join(
        chance.choice(WORDS) + chance.choice(spaces) for _ in range(chance.randint(0, most))
    )


def changed(chance: Random, text: str) -> str:
    """A text in which some words are others, gone or new."""
    words = text.split(" ")
    for _ in range(chance.randint(0, 4)):
        place = chance.randrange(len(words) + 1)
        words[place : place + chance.randint(0, 2)] = [
            chance.choice(WORDS) for _ in range(chance.randint(0, 2))
        ]
    return " ".join(words)


# --- Differences ------------------------------------------------------------------------------


def test_a_difference_has_both_texts_in_it_and_nothing_else(loaded: Page, chance: Random) -> None:
    pairs = [(text := text_of(chance), changed(chance, text)) for _ in range(CASES)]
    pairs += [("", ""), ("a", ""), ("", "a"), ("a b", "a b"), (" ", "  ")]
    found = run(loaded, "diff.js", "return m.changes(each[0], each[1])", pairs)
    for (before, after), runs in zip(pairs, found, strict=True):
        old = "".join(text for kind, text in runs if kind != "added")
        new = "".join(text for kind, text in runs if kind != "removed")
        assert (old, new) == (before, after)
        assert all(text for _, text in runs)


def test_equal_texts_have_no_difference(loaded: Page, chance: Random) -> None:
    texts = [text for _ in range(50) if (text := text_of(chance))]
    found = run(loaded, "diff.js", "return m.changes(each, each)", texts)
    assert all({kind for kind, _ in runs} == {"same"} for runs in found)


def test_one_changed_word_is_all_that_differs(loaded: Page) -> None:
    before = "Ana pays 85 pounds for the course on Mondays"
    (runs,) = run(
        loaded, "diff.js", "return m.changes(...each)", [[before, before.replace("85", "80")]]
    )
    assert runs == [
        ["same", "Ana pays "], ["removed", "85"], ["added", "80"],
        ["same", " pounds for the course on Mondays"],
    ]  # fmt: skip


def test_texts_of_any_length_are_compared_in_a_moment(loaded: Page, chance: Random) -> None:
    before, after = (" ".join(chance.choices(WORDS, k=20_000)) for _ in range(2))
    body = (
        "const start = performance.now(); const runs = m.changes(...each);"
        "return [performance.now() - start,"
        " runs.filter(([kind]) => kind !== 'added').map(([, text]) => text).join('') === each[0]]"
    )
    ((ms, is_whole),) = run(loaded, "diff.js", body, [[before, after]])
    assert is_whole
    assert ms < 2000


# --- Places -----------------------------------------------------------------------------------


def ids_of(chance: Random) -> dict[str, str]:
    ids = {key: chance.choice(ODD_IDS) for key in SCOPE_KEYS if chance.random() < 0.6}
    return ids or {"user_id": "ana"}


def test_an_address_leads_back_to_its_place_whatever_the_ids_are(
    loaded: Page, chance: Random
) -> None:
    places = [
        {
            "view": chance.choice(("memories", "entities", "exchanges")),
            "ids": ids_of(chance) if chance.random() < 0.8 else None,
            "memory": chance.choice((None, *ODD_IDS)),
        }
        for _ in range(60)  # A browser refuses more than some hundred changes at once.
    ]
    body = (
        "const was = location.hash;"
        "history.replaceState(null, '', m.addressOf(each));"
        "const found = m.place(); history.replaceState(null, '', was || '#/'); return found"
    )
    assert run(loaded, "router.js", body, places) == places


@pytest.mark.parametrize(
    "address", ["", "#", "#/", "#/?", "#?x", "#/memories?", "#/%", "#/memories?user_id=%E0%A4%A"]
)
def test_an_address_that_somebody_wrote_never_breaks_the_page(loaded: Page, address: str) -> None:
    body = (
        "const was = location.hash; history.replaceState(null, '', each || location.pathname);"
        "const found = m.place(); history.replaceState(null, '', was || '#/'); return found"
    )
    (found,) = run(loaded, "router.js", body, [address])
    assert set(found) == {"view", "ids", "memory"}


# --- Scopes in words --------------------------------------------------------------------------


def test_a_scope_is_within_another_if_it_has_all_of_its_ids(loaded: Page, chance: Random) -> None:
    few = ("a", "b")

    def drawn() -> dict[str, str]:
        return {key: chance.choice(few) for key in SCOPE_KEYS if chance.random() < 0.6}

    pairs = [(drawn(), drawn()) for _ in range(CASES)]
    body = "return [m.isWithin(...each), m.sameIds(...each)]"
    found = run(loaded, "format.js", body, pairs)
    for (scope, ids), (is_within, is_same) in zip(pairs, found, strict=True):
        assert is_within == (ids.items() <= scope.items())
        assert is_same == (ids == scope)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2025-03-08T19:00:00+00:00", "2025"),
        (1_741_460_400, "2025"),
        ("some day", "some day"),
        (None, "no date"),
        ("", "no date"),
    ],
)
def test_a_date_is_said_and_what_is_no_date_is_shown_as_it_is(
    loaded: Page, moment: object, said: str
) -> None:
    assert said in run(loaded, "format.js", "return m.day(each)", [moment])[0]


# --- Scores -----------------------------------------------------------------------------------


def contract_hit(chance: Random) -> dict[str, Any]:
    parts = [
        chance.random(), chance.choice((0.0, chance.random())), chance.choice((0.0, 0.25, 0.5)),
    ]  # fmt: skip
    most = 1 + (parts[1] > 0) + 0.5 * (parts[2] > 0)
    return {
        "id": str(chance.random()), "memory": "x", "score": min(1.0, sum(parts) / most),
        "score_details": {
            "semantic_score": parts[0], "bm25_score": parts[1], "entity_boost": parts[2],
            "raw_score": sum(parts), "max_possible_score": most,
            "final_score": min(1.0, sum(parts) / most), "threshold": 0.1,
        },
    }  # fmt: skip


def fused_hit(chance: Random) -> dict[str, Any]:
    parts = [chance.uniform(-1, 1), chance.uniform(0, 2), chance.choice((0, 0.5))]
    context = chance.uniform(-0.4, 0.4)
    total = sum(parts) + context
    score = min(1.0, max(0.0, (1 + total) / 4.5))
    return {
        "id": str(chance.random()), "memory": "x", "score": score,
        "score_details": {
            "semantic_score": parts[0], "keyword_score": parts[1], "period_score": parts[2],
            "context_score": context, "raw_score": total, "max_possible_score": 3.5,
            "final_score": score, "threshold": 0.1,
        },
    }  # fmt: skip


@pytest.mark.parametrize("make", [contract_hit, fused_hit])
def test_a_bar_is_as_long_as_the_score_unless_a_part_takes_away(
    loaded: Page, chance: Random, make: Any
) -> None:
    hits = [make(chance) for _ in range(CASES)]
    body = (
        "const bar = m.scoreBar(each);"
        "const lengths = [...bar.children].map((part) => parseFloat(part.style.flexBasis));"
        "return [lengths.reduce((sum, each) => sum + each, 0), bar.getAttribute('aria-label')]"
    )
    for hit, (percent, label) in zip(hits, run(loaded, "explain.js", body, hits), strict=True):
        details = hit["score_details"]
        parts = [value for name, value in details.items() if name.endswith(("score", "boost"))][:-3]
        if all(value >= 0 for value in parts) and hit["score"] < 1:
            assert percent == pytest.approx(100 * hit["score"], abs=0.3)
        assert f"Score {hit['score']:.3f}" in label


@pytest.mark.parametrize("make", [contract_hit, fused_hit])
def test_the_sum_that_is_shown_adds_up(loaded: Page, chance: Random, make: Any) -> None:
    hits = [make(chance) for _ in range(CASES)]
    body = "return m.scoreTable(each, 0, [each]).querySelector('.sum').textContent"
    for shown in run(loaded, "explain.js", body, hits):
        left, _, right = shown.partition(" = ")
        expression = left.replace("÷", "/").replace("−", "-")
        assert set(expression) <= set("0123456789.+-/() ")
        # Each part is rounded to a thousandth.
        result = min(1.0, max(0.0, eval(expression, {"__builtins__": {}})))
        assert result == pytest.approx(float(right), abs=0.004)


@pytest.mark.parametrize("make", [contract_hit, fused_hit])
def test_the_sentence_names_the_largest_part_and_the_distance_to_the_one_above(
    loaded: Page, chance: Random, make: Any
) -> None:
    hits = sorted((make(chance) for _ in range(60)), key=lambda hit: -hit["score"])
    body = "return each.map((hit, index) => m.why(hit, index, each))"
    (sentences,) = run(loaded, "explain.js", body, [hits])
    phrases = {
        "semantic_score": "its meaning is close", "bm25_score": "it shares words",
        "keyword_score": "it shares words", "entity_boost": "it has an entity",
        "period_score": "its time fits", "context_score": "the memories around it",
    }  # fmt: skip
    for index, (hit, sentence) in enumerate(zip(hits, sentences, strict=True)):
        parts = {name: value for name, value in hit["score_details"].items() if name in phrases}
        largest = max(parts, key=lambda name: parts[name])
        if parts[largest] > 0.0005:
            assert f"because {phrases[largest]}" in sentence
        assert sentence.startswith("First" if index == 0 else f"Ranked {index + 1}") or index == 0
        gap = hits[index - 1]["score"] - hit["score"] if index else 0
        if gap > 0.001 and "behind" in sentence:
            assert f"{gap:.3f} behind the one above" in sentence


# --- The graph --------------------------------------------------------------------------------


def entities(chance: Random, number: int) -> list[dict[str, Any]]:
    made = []
    for index in range(number):
        linked = sorted({f"m{chance.randrange(12)}" for _ in range(chance.randint(1, 6))})
        text = "".join(chance.choices("abcdefgh ", k=chance.randint(1, 40)))
        made.append({"id": str(index), "text": text, "links": len(linked), "memories": linked})
    return made


def test_no_name_in_a_graph_is_on_top_of_another(loaded: Page, chance: Random) -> None:
    graphs = [entities(chance, chance.randint(1, 22)) for _ in range(40)]
    body = "return m.layout(each, m.linksOf(each))"
    for nodes in run(loaded, "graph.js", body, graphs):
        for index, one in enumerate(nodes):
            for other in nodes[index + 1 :]:
                x = (one["width"] + other["width"]) / 2 - abs(one["x"] - other["x"])
                y = (one["height"] + other["height"]) / 2 - abs(one["y"] - other["y"])
                assert min(x, y) <= 1


def test_entities_are_linked_as_often_as_they_are_in_one_memory(
    loaded: Page, chance: Random
) -> None:
    graphs = [entities(chance, 9) for _ in range(40)]
    for graph, links in zip(
        graphs, run(loaded, "graph.js", "return m.linksOf(each)", graphs), strict=True
    ):
        for link in links:
            one, other = (set(graph[link[end]]["memories"]) for end in ("from", "to"))
            assert link["weight"] == len(one & other) > 0
        assert links == sorted(links, key=lambda link: -link["weight"])


def test_a_graph_is_the_same_every_time(loaded: Page, chance: Random) -> None:
    graph = entities(chance, 20)
    body = "return JSON.stringify(m.layout(each, m.linksOf(each)))"
    one, other = run(loaded, "graph.js", body, [graph, graph])
    assert one == other


# --- Elements ---------------------------------------------------------------------------------


def test_text_stays_text_in_every_element(loaded: Page) -> None:
    hostile = ["<img src=x onerror=alert(1)>", "</span><b>", "&lt;", "javascript:alert(1)", "\0"]
    body = (
        "const span = m.el('span', {}, each), all = { title: each, 'aria-label': each };"
        "const node = m.el('p', all, each, [span]);"
        "return [node.childElementCount, node.textContent, node.getAttribute('title'),"
        " node.querySelectorAll('*').length]"
    )
    for text, found in zip(hostile, run(loaded, "dom.js", body, hostile), strict=True):
        assert found == [1, text + text, text, 1]


@pytest.mark.parametrize("value", [False, None])
def test_what_is_false_is_not_an_attribute(loaded: Page, value: object) -> None:
    body = "return m.el('button', { disabled: each, hidden: each }).getAttributeNames()"
    assert run(loaded, "dom.js", body, [value]) == [[]]


# --- Filters ----------------------------------------------------------------------------------

ASKED: tuple[tuple[str, str, str, Any], ...] = (
    ("topic", "is", "travel", {"topic": "travel"}),
    ("trip", "is", "7", {"OR": [{"trip": 7}, {"trip": "7"}]}),
    ("done", "is", "true", {"OR": [{"done": True}, {"done": "true"}]}),
    ("topic", "contains", "tra", {"topic": {"icontains": "tra"}}),
    ("trip", "gt", "6.5", {"trip": {"gt": 6.5}}),
    ("trip", "lt", "8", {"trip": {"lt": 8}}),
    ("topic", "ne", "work", {"AND": [{"topic": {"ne": "work"}}]}),
    ("trip", "ne", "7", {"AND": [{"trip": {"ne": 7}}, {"trip": {"ne": "7"}}]}),
    (" topic ", "is", " travel ", {"topic": "travel"}),
    ("topic", "has", "", {"topic": "*"}),
)


@pytest.mark.parametrize(("key", "operator", "value", "condition"), ASKED)
def test_a_filter_is_asked_for_as_it_was_meant(
    loaded: Page, key: str, operator: str, value: str, condition: Any
) -> None:
    body = (
        "const filters = new m.Filters(() => {}); const row = filters.add();"
        "for (const part of ['key', 'operator', 'value']) row[part].value = each[part];"
        "return [filters.count, filters.asked({ user_id: 'ana' })]"
    )
    case = {"key": key, "operator": operator, "value": value}
    ((count, asked),) = run(loaded, "filters.js", body, [case])
    assert count == 1
    assert asked["filters"] == {"AND": [condition], "user_id": "ana"}
    assert (asked["show_expired"], asked["show_superseded"]) == (False, False)


@pytest.mark.parametrize("key", ["user_id", "AND", "agent_id", "OR"])
def test_no_filter_changes_whose_memories_are_asked_for(loaded: Page, key: str) -> None:
    body = (
        "const filters = new m.Filters(() => {}); const row = filters.add();"
        "row.key.value = each; row.value.value = 'bob';"
        "return filters.asked({ user_id: 'ana' }).filters"
    )
    (filters,) = run(loaded, "filters.js", body, [key])
    assert filters["user_id"] == "ana"


def test_days_are_whole_days_and_empty_filters_ask_for_nothing(loaded: Page) -> None:
    body = (
        "const filters = new m.Filters(() => {}); filters.add();"
        "const none = filters.asked({ user_id: 'ana' }).filters;"
        "filters.from.value = each; filters.to.value = each;"
        "return [none, filters.asked({}).filters, filters.count]"
    )
    ((none, asked, count),) = run(loaded, "filters.js", body, ["2024-02-29"])
    assert none == {"user_id": "ana"}
    assert asked == {"AND": [{"created_at": {"gte": "2024-02-29", "lt": "2024-03-01"}}]}
    assert count == 2


# --- The list ---------------------------------------------------------------------------------

LIST = """
const [length, height, jumps, done] = arguments;
import('/ui/list.js').then(async (m) => {
  const asked = new Set();
  const list = new m.VirtualList({ label: 'x', height: '--row', choose: () => {},
    draw: (item, index, row) => { row.append(String(item)); },
    wants: (first, last) => { asked.add(first); } });
  list.node.style.height = height + 'px';
  document.body.append(list.node);
  list.show({ length, at: (index) => index % 7 === 6 ? undefined : `item ${index}` });
  const found = [];
  for (const jump of jumps) {
    list.moveTo(jump);
    list.render();
    const rows = [...list.node.querySelectorAll('.row')];
    const active = list.node.querySelector('.row.active');
    const box = list.node.getBoundingClientRect(), at = active?.getBoundingClientRect();
    found.push({
      rows: rows.length,
      numbers: rows.map((row) => Number(row.dataset.index)),
      active: Number(active?.dataset.index),
      inside: at ? at.top >= box.top - 1 && at.bottom <= box.bottom + 1 : false,
      named: list.node.getAttribute('aria-activedescendant') === active?.id,
      text: active?.textContent,
    });
  }
  list.node.remove();
  done(found);
}).catch((error) => done(String(error.stack)));
"""


@pytest.mark.parametrize("length", [1, 7, 100, 100_000, 3_000_000])
def test_the_active_row_of_a_list_of_any_length_exists_and_is_seen(
    loaded: Page, chance: Random, length: int
) -> None:
    jumps = [0, length - 1, *(chance.randrange(length) for _ in range(30)), -5, length + 5]
    found = loaded.driver.execute_async_script(LIST, length, 600, jumps)
    assert isinstance(found, list), found
    for jump, seen in zip(jumps, found, strict=True):
        expected = max(0, min(length - 1, jump))
        assert seen["active"] == expected
        assert seen["inside"], (jump, seen)
        assert seen["named"]
        assert seen["numbers"] == sorted(seen["numbers"])
        assert seen["rows"] <= 40
        assert seen["text"] == ("" if expected % 7 == 6 else f"item {expected}")


def test_paths_that_the_tests_use_are_those_of_the_service(loaded: Page, site: Any) -> None:
    """Modules are found from where they are, so that a proxy may put the service below a path."""
    found = loaded.run(
        "const asked = performance.getEntriesByType('resource');"
        "return asked.map((entry) => new URL(entry.name).pathname)"
    )
    assert "/ui/main.js" in found
    assert all(path.startswith("/ui/") for path in found), json.dumps(found)
    assert quote(site.key) not in json.dumps(found)
