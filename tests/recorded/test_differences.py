"""docs/providers.md lists every deliberate difference, and no other."""

from __future__ import annotations

from tests.recorded.differences import MARKERS, PAGE, written


def test_the_page_has_the_differences_that_the_cases_name() -> None:
    """If it fails: `python -m tests.recorded.differences`."""
    page = PAGE.read_text("utf-8")
    assert all(page.count(marker) == 1 for marker in MARKERS.values())
    assert written(page) == page
