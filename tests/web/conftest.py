"""One service and one browser for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from isomem.serve.service import Service
    from tests.web.browsing import Page

# What needs the extras is imported by the fixtures: without the extras, the tests are skipped.


class Site:
    """A service with memories in it, its address, and a key that may do everything."""

    def __init__(self, address: str, service: Service) -> None:
        self.address = address
        self.service = service
        self.key, _ = service.keys.create("ada", ["read", "write", "admin"], [{}])


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A service with the memories of `demo`."""
    from tests.web.browsing import serving
    from tests.web.demo import filled

    service = filled(record=True)
    with serving(service) as address:
        yield Site(address, service)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser with a profile of its own."""
    from tests.web.browsing import Page

    page = Page(tmp_path_factory.mktemp("chromium"))
    yield page
    page.close()


@pytest.fixture
def page(browser: Page) -> Iterator[Any]:
    """The browser, as new: no key, no theme. Whatever happens, its console stays quiet."""
    browser.open("about:blank")
    browser.complaints()
    browser.requests()
    yield browser
    assert browser.complaints() == []
    browser.run("try { sessionStorage.clear(); localStorage.clear() } catch {}")
