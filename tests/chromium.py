"""A browser for tests: the Chromium that is there, and pages of it in which nothing may go wrong.

Where there is none, tests that need it are skipped, unless it must be there. Nothing is fetched.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["Visit", "a_browser", "a_file", "a_visit"]

IS_REQUIRED = "browser" in os.environ.get("SIGHTFLOW_REQUIRE", "").split(",")
TIMEOUT_MS = 10_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  event => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Give a browser without a window; skip what needs it where there is none, unless it must be.

    Leave it before other tests run: as long as it is open, this thread has a running event loop.
    """
    program = next((path for path in map(shutil.which, _NAMES) if path), None)
    if program is None:
        reason = f"a browser is missing: none of {', '.join(_NAMES)} is in the path"
        if IS_REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=[*sandbox, "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page that is open, and what went wrong in it."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self._origin = origin
        self.problems: list[str] = []
        self.may_lose_connection = False
        page.set_default_timeout(TIMEOUT_MS)
        page.add_init_script(_NOTE_VIOLATIONS)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("console", self._note_console)
        page.on("request", self._note_request)

    def check(self) -> None:
        """Fail if the page told an error, broke its own rules or asked another server."""
        problems = [*self.problems, *self.page.evaluate("window.violations ?? []")]
        if problems:
            pytest.fail("the page has problems: " + "\n".join(problems))

    def _note_console(self, message: Any) -> None:
        is_of_network = message.text.startswith("Failed to load resource")
        if message.type not in ("error", "warning"):
            return
        if not (is_of_network and self.may_lose_connection):
            self.problems.append(f"{message.type}: {message.text}")

    def _note_request(self, request: Any) -> None:
        if urlsplit(request.url)._replace(path="", query="").geturl() != self._origin:
            self.problems.append(f"asked another server: {request.url}")


@contextmanager
def a_visit(browser: Browser, url: str, **options: Any) -> Iterator[Visit]:
    """Open a page, and fail at the end if anything went wrong in it.

    Args:
        browser: of `a_browser`.
        url: of the page.
        options: of the context, such as `viewport` and `color_scheme`.
    """
    origin = urlsplit(url)._replace(path="", query="").geturl()
    context = browser.new_context(**options)
    try:
        visit = Visit(context.new_page(), origin)
        visit.page.goto(url)
        yield visit
        visit.check()
    finally:
        context.close()


@contextmanager
def a_file(browser: Browser, path: Path, **options: Any) -> Iterator[Page]:
    """Open a page from the disk, without a network, and fail at the end if anything went wrong.

    Args:
        browser: of `a_browser`.
        path: of the page.
        options: of the context, such as `viewport` and `color_scheme`.
    """
    context = browser.new_context(offline=True, **options)
    try:
        opened = context.new_page()
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
        opened.goto(path.as_uri())
        yield opened
    finally:
        context.close()
    assert problems == []
