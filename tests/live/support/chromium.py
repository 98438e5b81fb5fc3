"""The page in Chromium, driven by Playwright; what is not here skips the tests that need it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

PHONE, TABLET, DESKTOP = (360, 740), (820, 1180), (1280, 800)
"""Widths and heights of screens, in CSS pixels."""
WAIT_MS = 60_000


class Chromium:
    """A browser; what its pages complain about, or ask of another host, is in ``wrong``."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.wrong: list[str] = []

    def open(self, url: str, size: tuple[int, int] = DESKTOP, **more: object) -> Page:
        """Open a page as a person would who was never there; return it when it has its faders."""
        width, height = size
        # less motion is less to draw
        options = {"viewport": {"width": width, "height": height}, "reduced_motion": "reduce"}
        context = self._browser.new_context(**{**options, **more})
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        home = "/".join(url.split("/")[:3]) + "/"
        page.on("console", lambda one: one.type == "error" and self.wrong.append(one.text))
        page.on("pageerror", lambda one: self.wrong.append(str(one)))
        page.on("request", lambda one: one.url.startswith(home) or self.wrong.append(one.url))
        page.goto(url)
        page.get_by_role("slider").first.wait_for()
        return page


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start the browser."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here: sudo apt install chromium")
    expect.set_options(timeout=WAIT_MS)
    # Chromium's sandbox does not work for root
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=flags)
        yield Chromium(browser)
        browser.close()


def level(page: Page, name: str) -> Locator:
    """Return a strip's fader."""
    return page.get_by_role("slider", name=f"{name} level", exact=True)


def button(page: Page, name: str) -> Locator:
    """Return the button that a screen reader calls so."""
    return page.get_by_role("button", name=name, exact=True)


def says(slider: Locator, text: str) -> None:
    """Wait until a slider has a value, as a screen reader says it."""
    expect(slider).to_have_attribute("aria-valuetext", text)


def is_on(page: Page, name: str, on: bool = True) -> None:
    """Wait until a button is on, or off."""
    expect(button(page, name)).to_have_attribute("aria-pressed", str(on).lower())


def is_told(page: Page, sentence: str) -> None:
    """Wait until the page tells a sentence that a screen reader reads at once."""
    expect(page.get_by_role("alert")).to_contain_text(sentence)
