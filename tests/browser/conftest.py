"""The live page in a browser, with a server whose states a test sets."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.server import Shown, showing
from tests.chromium import Visit, a_visit


@pytest.fixture
def shown() -> Iterator[Shown]:
    """Give a server of the page; nothing is known of a run yet."""
    with showing() as server:
        yield server


@pytest.fixture
def visit(browser: Browser, shown: Shown) -> Iterator[Visit]:
    """Open the page; the test fails if anything goes wrong in it."""
    with a_visit(browser, shown.url, viewport={"width": 1440, "height": 1000}) as opened:
        yield opened


@pytest.fixture
def page(visit: Visit) -> Page:
    """Return the page that is open."""
    return visit.page
