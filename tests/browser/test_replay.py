"""The page of a replay in a browser: without a network, on a phone, for those who cannot see."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from tests.chromium import a_file

from sightflow.dashboard.replay import ReplayPage, Sample, write_replay_report
from sightflow.metrics.agreement import Agreement, Comparer
from sightflow.testing import draw_scene, encode_image

_SIZES = {"desk": (1280, 900), "phone": (390, 844)}


def _said(label: str, score: float, *box: int) -> dict[str, Any]:
    return {"label": label, "class_id": 0, "score": score, "box_xyxy": list(box)}


@pytest.fixture(scope="module", params=["objects", "classes"])
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of a replay with every part."""
    folder = tmp_path_factory.mktemp("replay")
    (folder / "a.jpg").write_bytes(encode_image(draw_scene()))
    row = {"uri": str(folder / "a.jpg"), "source_id": "gate", "sequence": 0, "event_time_ms": 0}
    row |= {"width": 320, "height": 240}
    car, bus = _said("car", 0.75, 40, 60, 140, 200), _said("bus", 0.5, 200, 10, 300, 90)
    truck, moved = _said("truck", 0.5, 40, 60, 140, 200), _said("bus", 0.625, 240, 10, 340, 90)
    kept = [_said("dog", score, 0, 0, 20, 20) for score in (0.5, 0.75)]
    field = "detections" if request.param == "objects" else "classification"
    a, b = {**row, field: [car, bus, kept[0]]}, {**row, field: [truck, moved, kept[1]]}
    samples = [Sample(a, b, Comparer().compare(a, b)) for _ in range(3)]
    agreement = Agreement()
    for sample in samples:
        agreement.update(sample.agreement)
    only = [{"uri": "cut.jpg", "sequence": 3, "reason": "corrupt", "message": "cut short"}]
    shown = ReplayPage(
        "night.jsonl",
        {"A": "nanodet", "in both": "3"},
        agreement,
        sorted(agreement.classes.items()),
        [(2, 1), (2, 2)],
        samples,
        [only, only],
    )
    write_replay_report(folder / "replay.html", shown)
    return folder / "replay.html"


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=sorted(_SIZES))
def page(
    request: pytest.FixtureRequest, browser: Browser, replayed: Path, scheme: Any
) -> Iterator[Page]:
    """Open the page from the disk, without a network; the test fails if anything goes wrong."""
    width, height = _SIZES[request.param]
    with a_file(
        browser,
        replayed,
        bypass_csp=True,  # the page forbids all scripts, that of axe too
        color_scheme=scheme,
        viewport={"width": width, "height": height},
    ) as opened:
        yield opened


def test_a_replay_has_no_barrier_and_is_as_wide_as_the_window(page: Page) -> None:
    assert Axe().run(page).response["violations"] == []
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] == wide[1]


def test_the_pictures_of_a_replay_are_there_with_a_text(page: Page) -> None:
    pictures = page.locator(".shot img")
    assert pictures.count() >= 3
    pictures.first.scroll_into_view_if_needed()
    assert pictures.first.evaluate("one => one.decode().then(() => one.naturalWidth)") > 100
    assert (pictures.first.get_attribute("alt") or "").startswith("What ")
