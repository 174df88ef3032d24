"""The page of a real run, in a real browser: it moves, counts, and says how the run has ended."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.chromium import Visit, a_visit
from tests.lessons import draw_lessons
from tests.pictures import draw_video, fill_folder

pytestmark = pytest.mark.flink

SIGHTFLOW = str(Path(sys.executable).parent / "sightflow")
ROOT = Path(__file__).parents[2]
TRACKING = """
name: yard
source: {kind: Video, paths: [yard.mp4], segment_frames: 8}
steps:
  - {name: slow, kind: "tests.steps:Slow", delay_s: 0.05}
  - {name: find, kind: "tests.steps:FindBlocks"}
  - {name: track, kind: Track}
sinks:
  - {name: out, kind: JsonLines, path: out.jsonl}
  - {name: events, kind: JsonEvents, path: events.jsonl}
"""
FAILING = """
name: doomed
source: {kind: Directory, paths: photos}
steps:
  - {name: slow, kind: "tests.steps:Slow", delay_s: 0.2}
  - {name: broken, kind: "tests.steps:FailAt", sequence: 60}
sinks:
  - {name: out, kind: JsonLines, path: out.jsonl}
"""
TRAINING = (str(ROOT / "examples/scenes.yaml"), "--registry", "models", "--out", "out")


@dataclass
class Running:
    """A call of `sightflow` that goes on, and its page."""

    process: "subprocess.Popen[str]"
    url: str
    said: list[str]


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Running]:
    """Call `sightflow` in a folder, with a page; end it if it has not ended."""
    process = subprocess.Popen(
        [SIGHTFLOW, *words, "--page=0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    said = list[str]()
    try:
        while not (found := re.search(r"live page: (http\S+)", line := process.stderr.readline())):
            assert line, f"ended before there was a page: {said}"
            said.append(line)
        reading = threading.Thread(target=lambda: said.extend(process.stderr or ()))
        reading.start()
        yield Running(process, found[1], said)
        process.wait(60)
        reading.join()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@contextmanager
def looking(browser: Browser, run: Running) -> Iterator[Visit]:
    """Open the page of a run; the run may end while it is open."""
    with a_visit(browser, run.url, viewport={"width": 1400, "height": 1000}) as visit:
        visit.may_lose_connection = True
        yield visit


def test_pictures_move_and_counters_count_until_the_run_has_ended(
    tmp_path: Path, browser: Browser
) -> None:
    draw_video(tmp_path / "yard.mp4", 120)
    (tmp_path / "yard.yaml").write_text(TRACKING)
    with running(tmp_path, "run", "yard.yaml") as run, looking(browser, run) as visit:
        page = visit.page
        picture = page.locator("#cards img")
        picture.wait_for(timeout=30_000)
        first, read = picture.get_attribute("src"), page.inner_text("#read")
        expect(picture).not_to_have_attribute("src", first or "")
        expect(page.locator("#read")).not_to_have_text(read)
        expect(page.locator("#cards svg")).to_contain_text("block")
        expect(page.locator("#events-list")).to_contain_text("appeared")
        expect(page.locator("#status")).to_contain_text("Ended", timeout=60_000)
        expect(page.locator("#ledger-sum")).to_contain_text("120")
    assert run.process.returncode == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 120


def test_a_run_that_fails_says_why_on_the_page(tmp_path: Path, browser: Browser) -> None:
    fill_folder(tmp_path / "photos", 80)
    (tmp_path / "doomed.yaml").write_text(FAILING)
    with running(tmp_path, "run", "doomed.yaml") as run, looking(browser, run) as visit:
        alarm = visit.page.get_by_role("alert")
        expect(alarm).to_contain_text("image 60 cannot be", timeout=60_000)
        expect(visit.page.locator("#status")).to_contain_text("Failed")
        expect(visit.page.locator("#recognitions")).to_contain_text("0050.jpg")
    assert run.process.returncode == 1


def test_a_run_that_is_stopped_says_so(tmp_path: Path, browser: Browser) -> None:
    fill_folder(tmp_path / "photos", 80)
    (tmp_path / "doomed.yaml").write_text(FAILING)
    with running(tmp_path, "run", "doomed.yaml") as run, looking(browser, run) as visit:
        expect(visit.page.locator("#status")).to_contain_text("Running", timeout=60_000)
        run.process.send_signal(signal.SIGINT)
        expect(visit.page.locator("#status")).to_contain_text("Stopped", timeout=30_000)
    assert run.process.returncode == 130


def test_learning_is_shown_while_it_goes_on(tmp_path: Path, browser: Browser) -> None:
    lessons = draw_lessons(tmp_path / "lessons", 240)
    with (
        running(tmp_path, "train", *TRAINING, "--data", str(lessons)) as run,
        looking(browser, run) as visit,
    ):
        learning = visit.page.locator("#learning")
        expect(learning).to_be_visible(timeout=60_000)
        expect(learning).to_contain_text("Loss", timeout=60_000)
        expect(learning).to_contain_text("published", ignore_case=True, timeout=60_000)
    assert run.process.returncode == 0
