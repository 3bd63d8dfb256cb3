"""The inspector in a real browser: what people see and do. Its console has to stay quiet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.web.browsing import DESKTOP, PHONE, Page, see, sign_in, until

pytestmark = pytest.mark.slow

from selenium.webdriver.common.keys import Keys  # noqa: E402  after what skips without it

RUTH = "memories?user_id=ruth"


@pytest.fixture
def inside(page: Page, site: Any) -> Page:
    """Signed in, at the memories of a user."""
    sign_in(page, f"{site.address}/", site.key)
    see(page, site.address, RUTH)
    page.wait(".pane .row", "bookbinding")
    return page


def call(site: Any, name: str, **arguments: Any) -> Any:
    """A call of the memory beside the browser."""
    access = site.service.access(site.key)
    return asyncio.run(access.call(name, arguments))


def search(page: Page, query: str) -> None:
    page.type(".find", query)
    page.wait(".state", "hit")


# --- Signing in -------------------------------------------------------------------------------


def test_a_key_is_asked_for_and_a_wrong_one_is_refused_in_words(page: Page, site: Any) -> None:
    page.open(f"{site.address}/")
    page.type("input[type=password]", "iso_wrong" + Keys.ENTER)
    page.wait("[role=alert]", "This key does not work.")
    assert "401" in "".join(page.complaints())  # The browser itself notes a failed request.
    page.type("input[type=password]", site.key + Keys.ENTER)
    page.wait(".rail", "Scopes")


def test_the_key_outlives_a_reload_in_this_tab_and_is_nowhere_else(inside: Page, site: Any) -> None:
    inside.driver.refresh()
    inside.wait(".pane .row")
    assert site.key not in inside.driver.current_url
    assert inside.driver.get_cookies() == []
    kept = inside.run("return [JSON.stringify(localStorage), JSON.stringify(sessionStorage)]")
    assert site.key not in kept[0]
    assert site.key in kept[1]
    inside.click("[aria-label='Sign out']")
    inside.wait(".sign-in")
    assert inside.run("return JSON.stringify(sessionStorage)") == "{}"


def test_a_key_that_is_revoked_meanwhile_leads_back_to_the_sign_in(page: Page, site: Any) -> None:
    key, made = site.service.keys.create("short", ["read"], [{"user_id": "ruth"}])
    sign_in(page, f"{site.address}/", key)
    see(page, site.address, RUTH)
    page.wait(".pane .row")
    site.service.keys.revoke(made.id)
    page.type(".find", "tram")
    page.wait(".sign-in [role=alert]", "does not work")
    assert "401" in "".join(page.complaints())


def test_a_key_sees_its_scopes_only_and_is_offered_only_what_it_may(page: Page, site: Any) -> None:
    key, _ = site.service.keys.create("reader", ["read"], [{"user_id": "tomas"}])
    sign_in(page, f"{site.address}/", key)
    page.wait(".rail .row", "tomas")
    assert not [text for text in page.texts(".rail .row") if "tomas" not in text]
    see(page, site.address, "memories?user_id=tomas&agent_id=travel-desk")
    page.click(".pane .row", "aisle seat")
    page.wait(".memory-full", "aisle seat")
    assert not page.all(".detail-bar .danger")
    assert [each.text for each in page.all(".pane-actions .button") if each.is_displayed()] == []


# --- Scopes, memories, search -----------------------------------------------------------------


def test_scopes_have_counts_and_dates_and_can_be_searched(page: Page, site: Any) -> None:
    sign_in(page, f"{site.address}/", site.key)
    scopes = call(site, "scopes", show_expired=True, show_superseded=True)
    page.wait(".rail-head", f"{len(scopes)} · {sum(each['memories'] for each in scopes)} memories")
    assert "2025" in page.wait(".rail .row", "ruth").text
    page.type("[aria-label='Find a scope']", "travel tom")
    until(lambda: len(page.all(".rail .row")) == 1)
    page.click(".rail .row", "travel-desk")
    page.wait(".pane .row", "wheelchair")
    assert "agent_id=travel-desk" in page.driver.current_url


def test_of_many_scopes_the_first_are_read_and_any_other_is_found_by_its_id(
    inside: Page, site: Any
) -> None:
    """With other limits than those of the page: so that a few scopes are many."""
    every = call(site, "scopes", show_expired=True, show_superseded=True)
    script = """
        const [text, done] = arguments;
        const { Scopes } = await import("/ui/scopes.js");
        const scopes = new Scopes({ may: () => false }, { perPage: 1, mostRead: 2 });
        const found = new Promise((shown) => {
          scopes.list.show = ({ length, at }) => shown([...Array(length).keys()].map(at));
        });
        await scopes.load();
        scopes.list.show = () => {};
        const first = await found, said = scopes.summary.textContent;
        const beyond = new Promise((shown) => {
          scopes.list.show = ({ length, at }) => length && shown([...Array(length).keys()].map(at));
        });
        scopes.find.value = text;
        scopes.filter();
        done([first, said, await beyond]);
    """
    last = every[-1]
    first, said, beyond = inside.driver.execute_async_script(script, last["user_id"])
    assert first == every[:2]
    assert said == f"the first 2 of {len(every)}"
    assert beyond == [each for each in every if last["user_id"] in each.values()]


def test_memories_come_in_the_order_that_is_chosen_each_day_named_once(inside: Page) -> None:
    assert "Nov" in inside.texts(".pane .row .margin")[0]
    inside.run("document.querySelector('[aria-label=Order]').value = 'oldest';")
    inside.run("document.querySelector('[aria-label=Order]').dispatchEvent(new Event('change'))")
    inside.wait(".pane .row", "name is Ruth")
    shown = inside.run(
        "return [...document.querySelectorAll('.pane .row')].map("
        "row => [row.dataset.index, row.querySelector('.margin').innerText.trim()])"
    )
    first = dict(shown[:3])
    assert "Mar" in first["0"]
    said_again = inside.run("return document.querySelectorAll('.margin .unseen').length")
    assert said_again > 0


def test_search_as_you_type_shows_each_score_taken_apart_and_why(inside: Page, site: Any) -> None:
    search(inside, "Which tram should Kofi take in Porto?")
    query = {"query": "Which tram should Kofi take in Porto?", "filters": {"user_id": "ruth"}}
    expected = call(site, "search", **query, top_k=50, explain=True)["results"]
    assert len(inside.all(".hit")) == len(expected)
    top = inside.all(".hit")[0]
    details = expected[0]["score_details"]
    assert expected[0]["memory"] in top.text
    assert f"{expected[0]['score']:.3f}" in top.text
    assert "First because" in top.text
    bar = top.find_element("css selector", ".score-bar").get_attribute("aria-label")
    assert f"meaning {details['semantic_score']:.3f}" in bar
    assert f"words {details['bm25_score']:.3f}" in bar
    assert f"entity {details['entity_boost']:.3f}" in bar
    top.click()
    table = inside.wait(".parts").text
    assert f"{details['semantic_score']:.3f}" in table
    most, score = f"{details['max_possible_score']:g}", f"{details['final_score']:.3f}"
    assert f"÷ {most} = {score}" in inside.wait(".sum").text


def test_the_fused_ranking_is_explained_by_its_own_parts(inside: Page, site: Any) -> None:
    search(inside, "tram in March 2025")
    inside.run("const s = document.querySelector('[aria-label=Ranking]'); s.value = 'fused';"
               "s.dispatchEvent(new Event('change'))")  # fmt: skip
    inside.wait(".legend", "context")
    found = call(site, "search", query="tram in March 2025", filters={"user_id": "ruth"},
                 ranking="fused", explain=True, top_k=50)["results"]  # fmt: skip
    until(lambda: f"{found[0]['score']:.3f}" in inside.all(".hit")[0].text)
    inside.all(".hit")[0].click()
    assert "÷ (1 + " in inside.wait(".sum").text


def test_filters_choose_by_metadata_dates_and_what_is_hidden(page: Page, site: Any) -> None:
    sign_in(page, f"{site.address}/", site.key)
    see(page, site.address, "memories?user_id=tomas&agent_id=travel-desk")
    page.wait(".pane .row", "wheelchair")
    page.click(".button", "Filters")
    page.type("[aria-label=Key]", "topic")
    page.type("[aria-label=Value]", "health")
    page.wait(".state", "1 memory")
    page.wait(".pane .row", "shellfish")
    page.type("[aria-label=Key]", "trip")
    page.type("[aria-label=Value]", "7")  # A number in the metadata, text in the field.
    page.wait(".state", "3 memories")
    page.click(".button", "Clear all filters")
    see(page, site.address, RUTH)
    page.wait(".state", "35 memories")
    page.click(".check", "Expired ones, too")
    page.wait(".state", "36 memories")


# --- One memory -------------------------------------------------------------------------------


def test_the_history_is_a_timeline_with_what_changed_word_by_word(inside: Page) -> None:
    search(inside, "bookbinding evening enrolled")
    inside.click(".hit", "enrolled")
    events = inside.wait(".timeline").text
    assert events.index("Changed") < events.index("Added")
    latest = inside.all(".timeline .update")[0]
    removed = [each.text for each in latest.find_elements("css selector", "del")]
    added = [each.text for each in latest.find_elements("css selector", "ins")]
    assert "85" in "".join(removed)
    assert "80" in "".join(added)
    assert len("".join(removed)) < 40


def test_a_memory_is_edited_and_its_history_keeps_what_it_was(inside: Page, site: Any) -> None:
    search(inside, "cucumber")
    inside.click(".hit", "cucumber")
    inside.click(".detail-bar .button", "Edit")
    inside.type("dialog textarea.prose", "User's son Kofi now eats cucumber")
    inside.click("dialog .button", "Save")
    inside.wait(".memory-full", "now eats cucumber")
    inside.wait(".hit", "now eats cucumber")
    inside.wait(".timeline .update")
    memory_id = inside.driver.current_url.partition("memory=")[2]
    assert call(site, "get", memory_id=memory_id)["memory"] == "User's son Kofi now eats cucumber"


def test_a_superseded_memory_is_hidden_names_the_later_fact_and_can_be_restored(
    page: Page, site: Any
) -> None:
    for city in ("Berlin", "Lisbon"):
        site.service.memory.llm.reply({"memory": [{"text": f"Nadia lives in {city}"}]})
        call(site, "add", messages=f"I live in {city} now.", user_id="nadia", supersede="similar")
    sign_in(page, f"{site.address}/", site.key)
    see(page, site.address, "memories?user_id=nadia")
    page.wait(".state", "1 memory")
    page.click(".button", "Filters")
    page.click(".check", "Superseded ones, too")
    page.click(".pane .row", "Berlin")
    page.wait(".timeline", "Superseded by a later fact")
    page.click(".note a", "See that one")
    page.wait(".memory-full", "Lisbon")
    page.click(".pane .row", "Berlin")
    page.wait(".memory-full", "Berlin")
    page.click(".detail-bar .button", "Restore")
    page.wait(".timeline", "Restored")
    assert len(call(site, "get_all", filters={"user_id": "nadia"})["results"]) == 2
    call(site, "delete_all", user_id="nadia")


def test_metadata_that_is_not_json_is_refused_in_words_and_nothing_changes(
    inside: Page, site: Any
) -> None:
    inside.click(".pane .row", "stocktaking" if inside.all(".none") else "Senhor Tavares answered")
    inside.wait(".memory-full", "Senhor Tavares")
    inside.click(".detail-bar .button", "Edit")
    inside.type("dialog textarea.code", "{topic")
    inside.click("dialog .button", "Save")
    inside.wait("dialog [role=alert]", "not JSON")
    inside.click("dialog .button", "Cancel")
    inside.gone("dialog")


def test_a_memory_is_added_and_shown_where_it_belongs(inside: Page, site: Any) -> None:
    inside.click(".pane-actions .button", "Add")
    inside.type("dialog textarea.prose", "Ruth found a flat near the canal.")
    inside.click("dialog .check")  # As it is, without the model.
    inside.type("dialog textarea.code", '{"topic": "home"}')
    inside.click("dialog .button", "Remember")
    inside.gone("dialog")
    inside.wait(".pane .row", "flat near the canal")
    found = call(site, "get_all", filters={"user_id": "ruth", "topic": "home"})["results"]
    assert [each["memory"] for each in found] == ["Ruth found a flat near the canal."]


def test_deleting_asks_first_and_cancel_keeps_it(inside: Page, site: Any) -> None:
    call(site, "add", messages="Ruth sold the old bicycle.", user_id="ruth", infer=False)
    search(inside, "bicycle")
    inside.click(".hit", "bicycle")
    inside.click(".detail-bar .button", "Delete")
    assert inside.wait("dialog blockquote").text == "Ruth sold the old bicycle."
    until(lambda: inside.focused == "Cancel")
    inside.press(Keys.ENTER)
    inside.gone("dialog")
    memory_id = inside.driver.current_url.partition("memory=")[2]
    assert call(site, "get", memory_id=memory_id) is not None
    inside.click(".detail-bar .button", "Delete")
    inside.click("dialog .button.danger", "Delete it")
    inside.gone("dialog")
    until(lambda: call(site, "get", memory_id=memory_id) is None)
    until(lambda: not [text for text in inside.texts(".hit") if "bicycle" in text])


def test_a_whole_scope_is_deleted_only_after_its_name_was_typed(page: Page, site: Any) -> None:
    call(site, "add", messages="Guest likes tea.", user_id="guest", infer=False)
    sign_in(page, f"{site.address}/", site.key)
    see(page, site.address, "memories?user_id=guest")
    page.wait(".pane .row", "likes tea")
    page.click("[aria-label='Delete all']")
    page.click("dialog .button.danger")
    page.wait("dialog [role=alert]", "is not")
    assert call(site, "count", filters={"user_id": "guest"}) == 1
    page.type("dialog input.input", "user guest")
    page.click("dialog .button.danger")
    page.gone("dialog")
    until(lambda: call(site, "count", filters={"user_id": "guest"}) == 0)
    until(lambda: not [text for text in page.texts(".rail .row") if "guest" in text])


# --- Keys -------------------------------------------------------------------------------------


def test_everything_can_be_done_by_keys_alone(inside: Page, site: Any) -> None:
    """From a search to a change: without the pointer, and one always sees where one is."""
    inside.run("document.activeElement.blur()")
    inside.press("/")
    assert "Search" in inside.focused
    inside.press("physiotherapist knee")
    inside.wait(".state", "hit")
    inside.press(Keys.ARROW_DOWN)
    until(lambda: "knee" in inside.focused)
    ring = inside.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    inside.press(Keys.ENTER)
    until(lambda: inside.run("return document.activeElement.className").startswith("memory-full"))
    inside.press("e")
    inside.wait("dialog")
    inside.press(Keys.CONTROL + "a", "User's knee is fine again", Keys.TAB, Keys.TAB, Keys.TAB)
    inside.press(Keys.TAB, Keys.TAB, Keys.TAB)
    for _ in range(4):
        if inside.focused == "Save":
            break
        inside.press(Keys.TAB)
    inside.press(Keys.ENTER)
    inside.wait(".memory-full", "fine again")
    inside.press(Keys.ESCAPE)
    until(lambda: "memory=" not in inside.driver.current_url)
    inside.press("?")
    inside.wait("dialog h2", "Keyboard")
    inside.press(Keys.ESCAPE)
    inside.gone("dialog")
    inside.press("s")
    assert inside.focused == "Find a scope"


def test_lists_say_to_assistive_technology_what_is_in_them(inside: Page) -> None:
    inside.run("document.querySelector('.pane .list').focus()")
    inside.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    active = inside.run(
        "const list = document.activeElement;"
        "const row = document.getElementById(list.getAttribute('aria-activedescendant'));"
        "return [list.role ?? list.getAttribute('role'), row.getAttribute('role'),"
        " row.getAttribute('aria-posinset'), row.getAttribute('aria-setsize')]"
    )
    assert active[:3] == ["listbox", "option", "3"]
    assert active[3] == inside.wait(".state").text.split()[0]
    unnamed = inside.run(
        "return [...document.querySelectorAll('button, input, select, textarea, a')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.textContent.trim()"
        " || e.labels?.length)).map(e => e.outerHTML)"
    )
    assert unnamed == []
    assert "memories" in inside.run("return document.getElementById('polite').textContent")


# --- Hostile text -----------------------------------------------------------------------------

MARKUP = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>'


def test_text_ids_and_metadata_are_shown_as_they_are_whatever_they_are(
    page: Page, site: Any
) -> None:
    user = f"{MARKUP.replace(' ', '/')}\"'&user_id=ruth#x"
    metadata = {MARKUP: MARKUP, "javascript:alert(1)": {"nested": MARKUP}}
    call(site, "add", messages=MARKUP, user_id=user, metadata=metadata, infer=False)
    found = call(site, "get_all", filters={"user_id": user})["results"][0]
    call(site, "update", memory_id=found["id"], data=f"{MARKUP} and <b>bold</b>")
    sign_in(page, f"{site.address}/", site.key)
    page.click(".rail .row", "onerror")
    page.wait(".pane .row", MARKUP)
    search(page, "img script broken")
    page.click(".hit", "onerror")
    assert page.wait(".memory-full").text == f"{MARKUP} and <b>bold</b>"
    assert MARKUP in page.wait(".detail .facts").text or MARKUP in page.wait(".detail").text
    page.wait(".timeline .update ins")
    assert page.run("return window.broken") is None
    assert page.run("return document.querySelectorAll('#app img, #app script, #app b').length") == 0
    see(page, site.address, f"memories?user_id={quote(user)}&memory={quote(MARKUP)}")
    page.wait(".detail h2", "no such memory")
    assert page.run("return window.broken") is None
    call(site, "delete_all", user_id=user)


def test_the_policy_stops_scripts_and_styles_that_are_in_the_page(page: Page, site: Any) -> None:
    page.open(f"{site.address}/ui/")
    page.wait(".sign-in")
    refused = page.run(
        "const refused = [];"
        "try { document.body.innerHTML = '<b>x</b>' } catch (e) { refused.push(e.name) }"
        "try { document.createElement('script').textContent = 'window.broken = 1' }"
        "catch (e) { refused.push(e.name) }"
        "const style = document.createElement('style');"
        "style.append('body { display: none }'); document.head.append(style);"
        "return refused"
    )
    assert refused == ["TypeError", "TypeError"]
    assert page.run("return getComputedStyle(document.body).display") == "block"
    said = "".join(page.complaints())
    assert "TrustedHTML" in said
    assert "style-src" in said


# --- What it asks for, and how it looks -------------------------------------------------------


def test_nothing_is_asked_of_another_origin(inside: Page, site: Any) -> None:
    inside.driver.refresh()
    inside.wait(".pane .row")
    search(inside, "library")
    asked = inside.requests()
    assert f"{site.address}/api/search" in asked
    assert not [url for url in asked if not url.startswith(f"{site.address}/")]
    assert not [url for url in asked if site.key in url]


SCHEMES = ("light", "dark")

CONTRASTS = Path(__file__).with_name("contrasts.js").read_text("utf-8")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_has_enough_contrast(inside: Page, scheme: str) -> None:
    inside.prefer(prefers_color_scheme=scheme)
    assert inside.run(CONTRASTS) == []
    search(inside, "bookbinding")
    inside.all(".hit")[0].click()
    inside.wait(".timeline")
    assert inside.run(CONTRASTS) == []
    inside.click(".detail-bar .button", "Delete")
    inside.wait("dialog")
    assert inside.run(CONTRASTS) == []
    inside.press(Keys.ESCAPE)
    inside.prefer(prefers_color_scheme="light")


def test_a_chosen_theme_overrides_the_system_and_stays(inside: Page) -> None:
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    light = inside.run(ground)
    inside.click("[aria-label='Other theme']")
    dark = inside.run(ground)
    assert dark != light
    inside.driver.refresh()
    inside.wait(".pane .row")
    assert inside.run(ground) == dark


def test_a_phone_needs_no_sideways_scrolling_and_leads_back(page: Page, site: Any) -> None:
    page.size(*PHONE)
    wide = "return document.documentElement.scrollWidth"
    page.open(f"{site.address}/")
    page.wait(".sign-in")
    assert page.run(wide) == PHONE[0]
    sign_in(page, f"{site.address}/", site.key)
    page.click(".rail .row", "ruth")
    page.wait(".pane .row", "bookbinding")
    assert page.run(wide) == PHONE[0]
    page.click(".button", "Filters")
    assert page.run(wide) == PHONE[0]
    search(page, "Porto")
    page.click(".hit")
    page.wait(".timeline")
    assert page.run(wide) == PHONE[0]
    assert not page.all(".pane")[0].is_displayed()
    page.click("[aria-label='Back to the list']")
    page.wait(".hit")
    page.click("[aria-label='All scopes']")
    page.wait(".rail .row", "ruth")
    call(site, "add", messages="x" * 900, user_id="y" * 200, infer=False)
    see(page, site.address, f"memories?user_id={'y' * 200}")
    page.wait(".pane .row", "xxx")
    assert page.run(wide) == PHONE[0]
    page.click(".pane .row")
    page.wait(".memory-full")
    assert page.run(wide) == PHONE[0]
    call(site, "delete_all", user_id="y" * 200)
    page.size(*DESKTOP)


def test_nothing_moves_for_those_who_want_it_still(inside: Page) -> None:
    inside.prefer(prefers_reduced_motion="reduce")
    lasting = inside.run(
        "return [...document.querySelectorAll('*')].filter(e => {"
        "const s = getComputedStyle(e), a = getComputedStyle(e, '::after');"
        "return [s, a].some(x => parseFloat(x.animationDuration) > 0.01"
        " || parseFloat(x.transitionDuration) > 0.01) }).length"
    )
    assert lasting == 0
    inside.prefer()


# --- Entities ---------------------------------------------------------------------------------


def test_entities_and_what_they_link_are_a_graph_and_a_list(inside: Page, site: Any) -> None:
    graph = inside.wait(".graph")
    assert "entities and" in str(graph.get_attribute("aria-label"))
    assert 2 <= len(inside.all(".entity-node")) <= 60
    inside.click(".chip", "Kofi")
    inside.wait(".linked h3", "Kofi is in")
    shown = inside.texts(".linked-memory")
    assert shown
    assert all("Kofi" in text for text in shown)
    assert len(inside.all(".entity-node.chosen")) == 1
    overlaps = inside.run(
        "const boxes = [...document.querySelectorAll('.entity-node rect')]"
        ".map(e => e.getBoundingClientRect());"
        "return boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b => a.left < b.right - 1"
        " && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)).length"
    )
    assert overlaps == 0
    inside.click(".linked-memory")
    inside.wait(".memory-full", "Kofi")


def test_entities_are_reached_by_keys(inside: Page) -> None:
    inside.wait(".chip")
    inside.run("document.activeElement.blur()")
    inside.press("g")
    until(lambda: inside.focused == "Entities")
    inside.press(Keys.TAB, Keys.ENTER)
    inside.wait(".linked h3", "is in")
    assert inside.run("return document.activeElement.getAttribute('aria-pressed')") == "true"


# --- Exchanges --------------------------------------------------------------------------------


def test_the_last_exchanges_say_what_was_sent_and_why_nothing_was_stored(
    page: Page, site: Any
) -> None:
    sign_in(page, f"{site.address}/", site.key)
    page.click("nav a", "Exchanges")
    for outcome in (
        "the model’s answer could not be used",
        "everything that the model found is known already",
        "the model found nothing to remember",
        "Stored 5 memories",
    ):
        page.wait(".outcome", outcome)
    page.click(".exchanges summary", "known already")
    page.wait(".exchange-body", "User is vegetarian")
    assert not [each for each in page.texts("pre") if "As I said" in each]
    for each in page.all("details[open] .message .button"):
        each.click()
    page.wait(".exchange-body pre", "As I said, I'm vegetarian.")
    page.click(".exchanges summary", "could not be used")
    page.wait(".exchange-body pre", "a poem about trams")


def test_exchanges_of_other_scopes_are_not_shown(page: Page, site: Any) -> None:
    key, _ = site.service.keys.create("tomas", ["read"], [{"user_id": "tomas"}])
    sign_in(page, f"{site.address}/", key)
    page.click("nav a", "Exchanges")
    page.wait(".exchanges summary", "tomas")
    assert not [text for text in page.texts(".exchanges summary") if "tomas" not in text]
    assert "Keys" not in page.texts("nav a")


# --- Jobs -------------------------------------------------------------------------------------


def submit(site: Any, text: str, *, infer: bool) -> None:
    """An add that is made later."""
    headers = {"X-API-Key": site.key, "Prefer": "respond-async"}
    body = {"messages": text, "user_id": "later", "infer": infer}
    answer = httpx.post(f"{site.address}/api/add", json=body, headers=headers)
    assert answer.status_code == 202


def test_jobs_show_what_became_of_them(page: Page, site: Any) -> None:
    submit(site, "Later likes tea.", infer=False)
    submit(site, "The model has no reply left for this.", infer=True)
    sign_in(page, f"{site.address}/", site.key)
    page.click("nav a", "Jobs")
    until(lambda: refreshed(page, "add: done"))
    page.click(".exchanges summary", "add: done")
    page.wait(".exchange-body", "It stored 1 memory.")
    until(lambda: refreshed(page, "failure") or refreshed(page, "failed"), 30)
    assert page.run(CONTRASTS) == []
    call(site, "delete_all", user_id="later")


def refreshed(page: Page, text: str) -> bool:
    page.click(".sheet-head .button", "Read again")
    page.wait(".exchanges summary", "add")
    return any(text in each for each in page.texts(".exchanges summary"))


# --- Keys of the service ----------------------------------------------------------------------


def test_a_key_is_made_shown_once_rotated_and_revoked(page: Page, site: Any) -> None:
    sign_in(page, f"{site.address}/", site.key)
    page.click("nav a", "Keys")
    page.click(".button", "Make a key")
    page.type("dialog .input", "kiosk")
    page.click("dialog .check", "Everybody’s")
    page.all("dialog .owners input")[0].send_keys("tomas")
    page.click("dialog .button", "Make it")
    secret = page.wait(".secret").text
    access = site.service.access(secret)
    assert [grant.patterns for grant in access.key.grants] == [{"user_id": "tomas"}]
    assert access.key.rights == {"read", "write"}
    page.click("dialog .button", "Done")
    page.gone("dialog")
    row = page.wait(".table tr", "kiosk")
    assert secret not in page.driver.page_source
    row.find_element("xpath", ".//button[.='Rotate']").click()
    page.click("dialog .button.danger", "Rotate it")
    rotated = page.wait(".secret").text
    assert site.service.keys.verify(secret) is None
    assert site.service.keys.verify(rotated) is not None
    page.click("dialog .button", "Done")
    page.gone("dialog")
    page.wait(".table tr", "kiosk").find_element("xpath", ".//button[.='Revoke']").click()
    page.click("dialog .button.danger", "Revoke it")
    page.gone("dialog")
    until(lambda: site.service.keys.verify(rotated) is None)
    page.wait(".revoked", "Revoked: ")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("view", ["exchanges", "keys", "entities?user_id=ruth"])
def test_every_view_has_enough_contrast_and_fits_a_phone(
    page: Page, site: Any, view: str, scheme: str
) -> None:
    page.prefer(prefers_color_scheme=scheme)
    sign_in(page, f"{site.address}/", site.key)
    see(page, site.address, view)
    page.wait(".exchanges, .table, .graph")
    assert page.run(CONTRASTS) == []
    page.size(*PHONE)
    assert page.run("return document.documentElement.scrollWidth") == PHONE[0]
    page.size(*DESKTOP)
    page.prefer(prefers_color_scheme="light")
