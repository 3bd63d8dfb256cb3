"""A service on loopback, and a Chromium that looks at it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("selenium")

import uvicorn
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from isomem.serve.app import make_app
from isomem.serve.service import Service
from scripts import browser

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--force-color-profile=srgb",
)  # fmt: skip
PATIENCE_S = 10.0
DESKTOP, PHONE = (1360, 860), (360, 740)


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """Serves on a free port of loopback; yields the address."""
    server = uvicorn.Server(uvicorn.Config(make_app(service), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def until(condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """What `condition` gives as soon as it gives something; the page may change meanwhile."""
    end = time.monotonic() + patience_s
    while True:
        try:
            found = condition()
        except (StaleElementReferenceException, WebDriverException):
            found = None
        if found:
            return found
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


class Page:
    """The inspector in a browser."""

    def __init__(self, folder: Path) -> None:
        found = browser.find()
        if found is None:
            pytest.skip("NO BROWSER: install chromium and chromium-driver, see scripts/browser.py")
        options = webdriver.ChromeOptions()
        options.binary_location = found.chromium
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        environment = {**os.environ, "LANGUAGE": "en_GB", "HOME": str(folder)}
        service = webdriver.ChromeService(found.driver, env=environment)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.size(*DESKTOP)

    def close(self) -> None:
        self.driver.quit()

    # --- The window ---

    def size(self, width: int, height: int, scale: float = 1) -> None:
        """In CSS pixels; below 600 it is a phone."""
        metrics = {
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600,
        }  # fmt: skip
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, **features: str) -> None:
        """What the system prefers, such as `prefers_color_scheme="dark"`."""
        named = [{"name": key.replace("_", "-"), "value": value} for key, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def open(self, address: str) -> None:
        self.driver.get(address)

    def run(self, script: str, *args: Any) -> Any:
        return self.driver.execute_script(script, *args)

    # --- What is there ---

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def wait(self, css: str, text: str = "") -> WebElement:
        """The first visible element with a selector that has a text in it."""

        def found() -> WebElement | None:
            shown = (each for each in self.all(css) if each.is_displayed())
            return next((each for each in shown if text in each.text), None)

        found_one: WebElement = until(found)
        return found_one

    def gone(self, css: str) -> None:
        until(lambda: not [each for each in self.all(css) if each.is_displayed()])

    def texts(self, css: str) -> list[str]:
        return [each.text for each in self.all(css)]

    def click(self, css: str, text: str = "") -> None:
        self.wait(css, text).click()

    def type(self, css: str, text: str) -> None:
        """Replaces what is in a field."""
        node = self.wait(css)
        node.send_keys(Keys.CONTROL, "a")
        node.send_keys(text)

    def press(self, *keys: str) -> None:
        """Keys where the focus is."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    @property
    def focused(self) -> str:
        """What has the focus: what it is called, or its text."""
        return self.run(
            "const e = document.activeElement;"
            "return e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"
        )

    def rest(self) -> None:
        """Takes the pointer away from whatever it is over."""
        point = {"type": "mouseMoved", "x": 0, "y": 0}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", point)

    # --- What went wrong ---

    def requests(self) -> set[str]:
        """What the browser has asked for since it was last looked at."""
        entries = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return {
            entry["params"]["request"]["url"]
            for entry in entries
            if entry["method"] == "Network.requestWillBeSent"
        }

    def complaints(self) -> list[str]:
        """What the browser's console says: errors, and violations of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


def sign_in(page: Page, address: str, key: str) -> None:
    """Opens the inspector with a key."""
    page.open(address)
    page.type("input[type=password]", key + Keys.ENTER)
    page.wait(".bar")


def see(page: Page, address: str, place: str) -> None:
    """Goes to a place in the inspector."""
    page.open(f"{address}/ui/#/{place}")
