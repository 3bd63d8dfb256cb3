"""What takes longer: 100,000 memories, and the pictures of docs/inspector.md. `make inspector`."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.browsing import DESKTOP, PHONE, Page, see, serving, sign_in, until

if not os.environ.get("INSPECTOR"):
    pytest.skip("`make inspector` runs these", allow_module_level=True)

from selenium.webdriver.common.keys import Keys

from isomem.serve.service import Service
from tests.web.test_inspector import RUTH, search

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"
MANY = 100_000
SOME = 10_000
DIMS = 16


def many(path: Path) -> Service:
    """A service with many memories of one user."""
    service = Service(
        {
            "vector_store": {"provider": "embedded", "config": {"path": str(path)}},
            "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        }
    )
    chance = random.Random(7)
    for start in range(0, MANY, SOME):
        numbers = range(start, start + SOME)
        service.memory.vector_store.insert(
            [[chance.gauss(0, 1) for _ in range(DIMS)] for _ in numbers],
            [_payload(number, chance) for number in numbers],
            [f"{chance.getrandbits(128):032x}" for _ in numbers],
        )
    return service


def _payload(number: int, chance: random.Random) -> dict[str, Any]:
    words = " ".join(chance.choice(WORDS) for _ in range(chance.randint(4, 40)))
    day = f"{2020 + number // 20_000}-{1 + number % 12:02}-{1 + number % 28:02}"
    at = f"{day}T{number % 24:02}:{number % 60:02}:00+00:00"
    return {
        "data": f"Note {number}: {words}", "hash": f"{number:032x}", "user_id": "ana",
        "created_at": at, "updated_at": at, "text_lemmatized": words, "topic": chance.choice(WORDS),
    }  # fmt: skip


WORDS = (
    "tea train harbour garden letter bicycle winter morning library violin bread "
    "river lantern market window ticket island orchard kitchen storm"
).split()

SCROLL = """
const [steps, done] = arguments;
const list = document.querySelector(".pane .list");
const tasks = [], frames = [], rows = [];
new PerformanceObserver((found) => tasks.push(...found.getEntries().map((e) => e.duration)))
  .observe({ type: "longtask" });
let last = performance.now(), step = 0;
const next = (now) => {
  frames.push(now - last);
  last = now;
  rows.push(list.querySelectorAll(".row").length);
  if (step === steps) {
    frames.sort((a, b) => a - b);
    const at = (share) => frames[Math.floor(share * (frames.length - 1))];
    done({ tasks, median: at(0.5), p95: at(0.95), rows: Math.max(...rows), top: list.scrollTop });
    return;
  }
  step += 1;
  // A wheel for a while, then a leap, as somebody does who looks for something.
  list.scrollTop = step % 60 ? list.scrollTop + 240 : Math.random() * list.scrollHeight;
  requestAnimationFrame(next);
};
requestAnimationFrame(next);
"""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The address of a service with 100,000 memories, and a key."""
    service = many(tmp_path_factory.mktemp("many") / "memory.db")
    with serving(service) as address:
        yield address, service.keys.create("ada", ["read"], [{}])[0]


def test_a_hundred_thousand_memories_scroll_without_stutter(
    page: Page, crowded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    address, key = crowded
    sign_in(page, f"{address}/", key)
    see(page, address, "memories?user_id=ana")
    page.wait(".state", f"{MANY:,} memories")
    page.driver.set_script_timeout(120)
    measured = page.driver.execute_async_script(SCROLL, 600)
    with capsys.disabled():
        print(
            f"\n600 frames: median {measured['median']:.1f} ms, 95 % within "
            f"{measured['p95']:.1f} ms, {len(measured['tasks'])} tasks above 50 ms, the longest "
            f"{max(measured['tasks'], default=0):.0f} ms, at most {measured['rows']} rows exist"
        )
    assert measured["rows"] <= 60
    assert measured["median"] < 20
    assert max(measured["tasks"], default=0) < 200
    until(lambda: not page.all(".pane .row.missing"), 30)


def test_the_last_of_them_is_a_key_away(page: Page, crowded: Any) -> None:
    address, key = crowded
    sign_in(page, f"{address}/", key)
    see(page, address, "memories?user_id=ana")
    page.wait(".pane .row", "Note")
    page.run("document.querySelector('.pane .list').focus()")
    page.press(Keys.END)
    last = until(lambda: page.all(f'.row[aria-posinset="{MANY}"] .memory-text'), 30)
    assert "Note 0:" in last[0].text or "Note " in last[0].text
    page.press(Keys.ENTER)
    page.wait(".memory-full", "Note ")
    page.press(Keys.ESCAPE)
    page.press(Keys.HOME)
    page.wait('.row[aria-posinset="1"]', "Note ")


def test_a_search_among_them_is_answered_while_one_types(page: Page, crowded: Any) -> None:
    address, key = crowded
    sign_in(page, f"{address}/", key)
    see(page, address, "memories?user_id=ana")
    page.wait(".pane .row", "Note")
    search(page, "violin in the orchard")
    assert len(page.all(".hit")) == 50


# --- Pictures ---------------------------------------------------------------------------------


def picture(page: Page, name: str) -> None:
    """Writes what is seen as an image of few colours: a quarter of the bytes."""
    from PIL import Image

    page.run("document.activeElement?.blur()")
    page.rest()
    path = IMAGES / f"inspector-{name}.png"
    path.parent.mkdir(exist_ok=True)
    page.driver.save_screenshot(str(path))
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(
            160, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    few.save(path, optimize=True)
    assert path.stat().st_size < 200_000


@pytest.fixture
def shown(page: Page, site: Any) -> Iterator[Page]:
    """Signed in; still, so that every picture is the same again."""
    page.prefer(prefers_color_scheme="light", prefers_reduced_motion="reduce")
    sign_in(page, f"{site.address}/", site.key)
    yield page
    page.size(*DESKTOP)
    page.prefer()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_the_desktop(shown: Page, site: Any, scheme: str) -> None:
    shown.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    shown.size(*DESKTOP, scale=1.25)
    see(shown, site.address, RUTH)
    shown.wait(".graph")
    shown.click(".chip", "Kofi")
    shown.wait(".linked-memory")
    picture(shown, f"desktop-{scheme}")
    search(shown, "Which tram should Kofi take in Porto?")
    shown.all(".hit")[0].click()
    shown.wait(".parts")
    picture(shown, f"desktop-{scheme}-search")
    search(shown, "bookbinding course, evening")
    shown.click(".hit", "enrolled")
    shown.wait(".timeline .update").location_once_scrolled_into_view  # noqa: B018
    shown.run("document.querySelector('.detail').scrollTo(0, 1e6)")
    picture(shown, f"desktop-{scheme}-history")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_the_sheets(shown: Page, site: Any, scheme: str) -> None:
    shown.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    shown.size(*DESKTOP, scale=1.25)
    see(shown, site.address, "exchanges")
    shown.click(".exchanges summary", "known already")
    shown.wait(".exchange-body pre")
    picture(shown, f"desktop-{scheme}-exchanges")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_the_phone(shown: Page, site: Any, scheme: str) -> None:
    shown.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    shown.size(*PHONE, scale=2)
    see(shown, site.address, RUTH)
    shown.wait(".pane .row", "bookbinding")
    picture(shown, f"phone-{scheme}")
    search(shown, "Which tram should Kofi take in Porto?")
    picture(shown, f"phone-{scheme}-search")
    shown.all(".hit")[0].click()
    shown.wait(".parts")
    picture(shown, f"phone-{scheme}-memory")


def test_the_pictures_show_what_is_there_and_nothing_is_left_of_older_ones() -> None:
    kinds = ("", "-search", "-history", "-exchanges")
    expected = {f"inspector-desktop-{s}{kind}.png" for s in ("light", "dark") for kind in kinds}
    kinds = ("", "-search", "-memory")
    expected |= {f"inspector-phone-{s}{kind}.png" for s in ("light", "dark") for kind in kinds}
    assert {path.name for path in IMAGES.glob("inspector-*.png")} == expected
