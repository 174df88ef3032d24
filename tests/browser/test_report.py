"""A report in a browser: it works from the disk, on a phone, and for those who cannot see."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from tests.chromium import a_file

from sightflow.dashboard.report.page import write_report
from sightflow.storage.resultfiles import find_run
from sightflow.testing import draw_scene, encode_image

_SIZES = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report with every part."""
    folder = tmp_path_factory.mktemp("run")
    box = {"box_xyxy": [40, 60, 140, 200], "class_id": 0, "score": 0.75}
    lines = []
    for i in range(40):
        path = folder / f"{'cat' if i % 3 else 'dog'}" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_image(draw_scene(), quality=60))
        best = [{"label": "cat", "class_id": 0, "score": i / 40}]
        row = {"uri": str(path), "source_id": "gate", "sequence": i, "width": 320, "height": 240}
        row |= {"event_time_ms": 60_000 * i, "step": "s", "model": "m", "model_version": "1"}
        tracks = [{"label": "car", "track_id": i // 10, **box}]
        lines.append(row | {"classification": best, "tracks": tracks})
    (folder / "r.jsonl").write_text("\n".join(map(json.dumps, lines)))
    event = {"step": "gate", "source_id": "gate", "sequence": 3, "event_time_ms": 180_000}
    crossed = {**event, "kind": "crossed", "zone": "gate", "direction": "in", "label": "car"}
    (folder / "events.jsonl").write_text(json.dumps(crossed))
    bad = {"uri": "cut.jpg", "step": "decode", "reason": "corrupt", "message": "cut short"}
    (folder / "r.rejected.jsonl").write_text(json.dumps(bad))
    page = folder / "report.html"
    write_report(page, find_run(str(folder / "r.jsonl")), title="Gates", labels="folders")
    return page


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=sorted(_SIZES))
def page(
    request: pytest.FixtureRequest, browser: Browser, report: Path, scheme: Any
) -> Iterator[Page]:
    """Open the report from the disk, without a network; the test fails if anything goes wrong."""
    width, height = _SIZES[request.param]
    with a_file(
        browser,
        report,
        color_scheme=scheme,
        viewport={"width": width, "height": height},
    ) as opened:
        yield opened


def test_a_report_has_no_barrier_and_all_charts_with_everything_open(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert Axe().run(page).response["violations"] == []
    charts = page.locator("[data-chart]")
    drawn = page.locator("[data-chart] canvas")
    assert charts.count() == drawn.count() >= 6


def test_a_report_is_as_wide_as_the_window(page: Page) -> None:
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] == wide[1]


def test_the_links_of_a_report_lead_to_its_parts(page: Page) -> None:
    links = page.locator("nav a")
    assert links.all_inner_texts() == [
        "Right and wrong", "Over time", "Events", "Classes", "Objects that were followed",
        "Least sure", "Rejected", "Sources", "Models and speed",
    ]  # fmt: skip
    page.get_by_role("link", name="Rejected").click()
    assert page.get_by_role("heading", name="Rejected").is_visible()
