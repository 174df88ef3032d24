"""What a run shows of itself on Flink is what happens, also when the job starts again."""

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pictures import draw_video, fill_folder
from tests.steps import Bright, FailOnce, FailWith, FindBlocks, Slow
from tests.streams import Offered

from sightflow import Directory, JsonLines, Pipeline, RunSettings, Track, Video, run
from sightflow.engine.viewfiles import ViewFiles
from sightflow.errors import JobError

pytestmark = pytest.mark.flink


@pytest.fixture
def view(tmp_path: Path) -> Iterator[Path]:
    """Give a folder at which somebody looks all the time."""
    files, over = ViewFiles(tmp_path / "view"), threading.Event()
    files.folder.mkdir()

    def look() -> None:
        while not over.wait(0.5):
            files.watch()

    looking = threading.Thread(target=look)
    looking.start()
    yield files.folder
    over.set()
    looking.join()


def shown_in(view: Path) -> Any:
    return json.loads((view / "facts.json").read_bytes())


def bright(source: Any, folder: Path, *between: Any) -> Pipeline:
    pipeline = Pipeline(source)
    for i, step in enumerate(between):
        pipeline = pipeline.apply(f"between{i}", step)
    return pipeline.apply("bright", Bright()).write("out", JsonLines(str(folder / "out.jsonl")))


def test_both_runners_show_the_same(tmp_path: Path) -> None:
    photos = fill_folder(tmp_path / "photos", 20)
    shown = []
    for runner in ("flink", "inline"):
        view = tmp_path / f"view-{runner}"
        view.mkdir()
        folder = tmp_path / runner
        run(bright(Directory(str(photos)), folder), RunSettings(runner, view_dir=str(view)))  # type: ignore[arg-type]
        facts = shown_in(view)
        shown.append({name: facts[name] for name in ("ledger", "reasons", "rejected", "counts")})
        shown[-1]["recognitions"] = facts["recognitions"]
        assert [(use["step"], use["model"]) for use in facts["models"]] == [
            ("bright", "brightness")
        ]
        assert facts["latency"]["n"] >= 1
    assert shown[0] == shown[1]
    assert shown[0]["ledger"] == {"read": 23, "recognised": 21, "rejected": 2, "skipped": 0}
    assert shown[0]["counts"]["labels"][0]["total"] == 21


def test_a_picture_is_that_of_its_row_also_behind_a_step_that_remembers(
    tmp_path: Path, view: Path
) -> None:
    video = draw_video(tmp_path / "a.mp4", 60)
    pipeline = (
        Pipeline(Video(str(video)))
        .apply("slow", Slow(0.02))
        .apply("find", FindBlocks())
        .apply("track", Track())
        .write("out", JsonLines(str(tmp_path / "out.jsonl")))
    )
    run(pipeline, RunSettings(view_dir=str(view)))
    (source,) = shown_in(view)["sources"]
    assert source["source_id"] == str(video)
    assert source["row"]["tracks"], "the row is what the last step made of it"
    with Image.open(io.BytesIO((view / "picture-0.jpg").read_bytes())) as picture:
        pixels = np.asarray(picture).astype(int)
    is_red = (pixels[..., 0] > 150) & (pixels[..., 2] < 100)
    left = np.flatnonzero(is_red.any(axis=0))[0]
    assert abs(left - 2 * source["row"]["sequence"]) <= 2, "the block is where it was in this frame"


def test_after_a_restart_the_ledger_goes_on_and_the_counts_begin_anew(
    tmp_path: Path, view: Path
) -> None:
    photos = fill_folder(tmp_path / "photos", 120)
    fail = FailOnce("0090.jpg", str(tmp_path / "failed"))
    settings = RunSettings(checkpoint_interval_ms=100, restart_attempts=1, view_dir=str(view))
    run(bright(Directory(str(photos)), tmp_path, fail), settings)
    facts = shown_in(view)
    assert facts["n_begun"] == 2
    assert facts["ledger"]["read"] == 123
    assert facts["counts"]["labels"][0]["total"] <= 121


def test_a_stream_is_shown(tmp_path: Path, view: Path) -> None:
    source = Offered(40, interval_s=0.01, broken=(3,))
    run(bright(source, tmp_path), RunSettings(view_dir=str(view)))
    facts = shown_in(view)
    assert facts["ledger"] == {"read": 40, "recognised": 39, "rejected": 1, "skipped": 0}
    assert len(facts["sources"]) == 1
    assert facts["latency"]["p50_ms"] < 5_000


def test_a_job_that_fails_leaves_what_it_had_shown(tmp_path: Path, view: Path) -> None:
    photos = fill_folder(tmp_path / "photos", 3)
    with pytest.raises(JobError, match="the weights are NaN"):
        run(
            bright(Directory(str(photos)), tmp_path, FailWith("the weights are NaN")),
            RunSettings(view_dir=str(view)),
        )
    assert not (view / "facts.json").exists() or not shown_in(view)["is_open"]


def test_the_folder_is_made(tmp_path: Path) -> None:
    photos = fill_folder(tmp_path / "photos", 3)
    view = tmp_path / "a" / "b"
    run(bright(Directory(str(photos)), tmp_path), RunSettings(view_dir=str(view)))
    assert shown_in(view)["ledger"]["read"] == 6
