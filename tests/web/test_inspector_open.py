"""The inspector without keys, with nothing remembered yet, and with nobody who answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.browsing import Page, see, serving, until

pytestmark = pytest.mark.slow

from selenium.webdriver.common.keys import Keys  # noqa: E402  after what skips without it

from isomem.serve.service import Service  # noqa: E402

CONFIG = {
    "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 16}},
    "llm": {"provider": "mock"},
    "serve": {"auth": False, "state_path": ":memory:"},
}


@pytest.fixture
def address() -> Iterator[str]:
    """An empty memory that everybody on this machine may use."""
    with serving(Service(CONFIG)) as found:
        yield found


def test_no_key_is_asked_for_and_the_first_memory_is_offered(page: Page, address: str) -> None:
    page.open(f"{address}/")
    page.wait(".who", "no keys needed")
    assert not page.all("input[type=password]")
    assert not page.all("[aria-label='Sign out']")
    assert "Keys" not in page.texts("nav a")
    page.wait(".empty", "No memories yet")
    page.click(".rail .button", "Add a memory")
    page.type("dialog textarea.prose", "Ana likes tea.")
    page.click("dialog .button", "Remember")
    page.wait("dialog [role=alert]", "Name a user")
    page.all("dialog .owners input")[0].send_keys("ana")
    page.click("dialog .check")  # As it is, without the model.
    page.click("dialog .button", "Remember")
    page.gone("dialog")
    page.wait(".pane .row", "Ana likes tea.")
    page.wait(".rail .row", "ana")


def test_without_recording_it_says_how_to_turn_it_on(page: Page, address: str) -> None:
    see(page, address, "exchanges")
    page.wait(".empty", "Recording is off")
    page.wait(".empty code", '"record": true')


def test_a_failing_model_is_said_in_the_form_and_the_text_stays(page: Page, address: str) -> None:
    page.open(f"{address}/")
    page.click(".rail .button", "Add a memory")
    page.type("dialog textarea.prose", "Ana likes tea.")
    page.all("dialog .owners input")[0].send_keys("ana")
    page.click("dialog .button", "Remember")
    page.wait("dialog [role=alert]", "no reply")
    assert page.wait("dialog textarea.prose").get_attribute("value") == "Ana likes tea."
    assert "502" in "".join(page.complaints())  # The browser itself notes a failed request.


def test_a_wrong_filter_is_said_where_its_result_would_be(page: Page, address: str) -> None:
    see(page, address, "memories?user_id=ana%20ben")
    page.wait(".pane [role=alert]", "user_id")
    page.wait(".pane [role=alert] .button", "Try again")
    assert "400" in "".join(page.complaints())


def test_a_service_that_is_gone_is_said_and_tried_again(page: Page, address: str) -> None:
    page.open(f"{address}/")
    page.wait(".empty", "No memories yet")
    see(page, address, "memories?user_id=ana")
    page.wait(".empty", "Nothing is remembered here")
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    page.type(".find", "tea" + Keys.ENTER)
    page.wait(".pane [role=alert]", "does not answer")
    online = {**offline, "offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", online)
    page.click(".pane [role=alert] .button", "Try again")
    page.wait(".empty", "Nothing here answers that")
    assert "ERR_INTERNET_DISCONNECTED" in "".join(page.complaints())


def test_shortcuts_can_be_turned_off_and_stay_off(page: Page, address: str) -> None:
    page.open(f"{address}/")
    page.wait(".empty", "No memories yet")
    page.press("?")
    page.click("dialog .check", "Single keys are shortcuts")
    page.press(Keys.ESCAPE)
    page.gone("dialog")
    page.driver.refresh()
    page.wait(".empty", "No memories yet")
    page.press("n")
    assert not page.all("dialog")
    page.press("?")  # The list is still there, so that they can be turned on again.
    page.click("dialog .check", "Single keys are shortcuts")
    page.press(Keys.ESCAPE)
    page.gone("dialog")
    page.press("n")
    page.wait("dialog h2", "Add a memory")
    page.press(Keys.ESCAPE)


def test_a_place_is_found_again_by_back_and_forward(page: Page, address: str) -> None:
    page.open(f"{address}/")
    page.wait(".empty", "No memories yet")
    for user in ("ana", "ben"):
        page.run(f"location.hash = '#/memories?user_id={user}'")
        page.wait(".scope-title", user)
    page.driver.back()
    page.wait(".scope-title", "ana")
    page.driver.forward()
    page.wait(".scope-title", "ben")
    until(lambda: "ben" in page.driver.title)


@pytest.mark.parametrize("place", ["nowhere", "keys", "entities", "memories?memory=none", "%"])
def test_an_address_that_leads_nowhere_shows_the_memories(
    page: Page, address: str, place: str
) -> None:
    see(page, address, place)
    page.wait(".rail", "Scopes")
    shown: Any = page.run("return document.querySelector('nav [aria-current]').textContent")
    assert shown == "Memories"
