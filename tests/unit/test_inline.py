"""The inline runner, from pictures on the disk to files of results, without a model."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.pictures import draw_video
from tests.steps import Bright, Count
from tests.streams import Offered

from sightflow import (
    AnnotatedImages,
    Directory,
    JsonEvents,
    JsonLines,
    Parquet,
    Pipeline,
    RunSettings,
)
from sightflow import run as public_run
from sightflow.errors import OutputExistsError, SourceError, StepError
from sightflow.inline import run
from sightflow.protocols import Context, Process
from sightflow.records import Classification, ImageRecord, ModelUse
from sightflow.records.ledger import Ledger
from sightflow.sources.cameras import Cameras
from sightflow.sources.jsoncontrol import JsonControl, add_message
from sightflow.testing import encode_image


@dataclass(frozen=True)
class Brightness:
    """Call an image `light` or `dark`, with its brightness in [0, 1] as the score."""

    fail: bool = False

    def check(self) -> None:
        pass

    def scale_for(self, width: int, height: int) -> float:
        return 1.0

    def open(self, context: Context) -> Process:
        use = ModelUse(context.step, "brightness", "1")

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            if self.fail:
                raise ZeroDivisionError("by the step")
            return [replace(r, models=(use,), classification=_classify(r)) for r in records]

        return process


def _classify(record: ImageRecord) -> Classification:
    score = np.array([record.pixels.mean() / 255], np.float32)
    light = int(score[0] >= 0.5)
    return Classification((("dark", "light")[light],), np.array([light], np.int32), score)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of two pictures, a picture cut short, an empty file and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, value in (("1-black.png", 0), ("5-white.png", 255)):
        (folder / name).write_bytes(encode_image(np.full((24, 32, 3), value, np.uint8), "PNG"))
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    (folder / "2-cut.jpg").write_bytes(encode_image(noise)[:400])
    (folder / "3-empty.jpg").touch()
    (folder / "4-notes.txt").write_text("no picture")
    os.utime(folder / "1-black.png", (1_000, 1_000))
    return folder


def a_pipeline(photos: Path, **options: Any) -> Pipeline:
    return Pipeline(Directory(str(photos))).apply("look", Brightness(**options))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_picture_becomes_a_line_and_each_broken_one_a_line_of_its_own(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = run(a_pipeline(photos).write("results", JsonLines(str(out / "r.jsonl"))))
    assert summary.ledger == Ledger(read=5, recognised=2, rejected=3)
    black, white = lines(out / "r.jsonl")
    assert black == {
        "uri": f"{photos}/1-black.png",
        "source_id": str(photos),
        "sequence": 0,
        "event_time_ms": 1_000_000,
        "step": "look",
        "model": "brightness",
        "model_version": "1",
        "width": 32,
        "height": 24,
        "classification": [{"label": "dark", "class_id": 0, "score": 0.0}],
    }
    assert (white["sequence"], white["classification"][0]["label"]) == (4, "light")
    assert [(r["uri"].rpartition("/")[2], r["step"], r["reason"]) for r in lines(
        out / "r.rejected.jsonl"
    )] == [
        ("2-cut.jpg", "decode", "corrupt"),
        ("3-empty.jpg", "decode", "empty"),
        ("4-notes.txt", "decode", "not_an_image"),
    ]  # fmt: skip


def test_the_summary_file_has_exactly_these_keys(photos: Path, tmp_path: Path) -> None:
    run(a_pipeline(photos).write("results", JsonLines(str(tmp_path / "r.jsonl"))))
    summary = json.loads((tmp_path / "r.summary.json").read_text())
    assert list(summary) == [
        "read",
        "recognised",
        "rejected",
        "skipped",
        "seconds",
        "images_per_s",
        "first_result_s",
        "last_result_s",
        "runner",
        "workers",
    ]
    assert (summary["read"], summary["runner"], summary["workers"]) == (5, "inline", 1)
    assert 0 < summary["first_result_s"] <= summary["seconds"] < 30


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_size_changes_no_result(photos: Path, tmp_path: Path, batch_size: int) -> None:
    outputs = []
    for size in (1, batch_size):
        sink = JsonLines(str(tmp_path / f"{size}.jsonl"), overwrite=True)
        run(a_pipeline(photos).write("results", sink), RunSettings(batch_size=size))
        outputs.append(Path(sink.path).read_bytes())
    assert outputs[0] == outputs[1]


def test_all_sinks_get_everything(photos: Path, tmp_path: Path) -> None:
    pipeline = (
        a_pipeline(photos)
        .write("rows", JsonLines(str(tmp_path / "r.jsonl")))
        .write("table", Parquet(str(tmp_path / "t.parquet")))
        .write("pictures", AnnotatedImages(str(tmp_path / "pictures")))
    )
    run(pipeline)
    table = pq.read_table(tmp_path / "t.parquet")
    assert table["uri"].to_pylist() == [row["uri"] for row in lines(tmp_path / "r.jsonl")]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "1-black.png.jpg",
        "5-white.png.jpg",
    ]


def test_a_pipeline_without_sinks_counts(photos: Path) -> None:
    assert run(a_pipeline(photos)).ledger == Ledger(read=5, recognised=2, rejected=3)


def test_an_empty_folder_gives_empty_files(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    pipeline = a_pipeline(tmp_path / "photos").write("r", JsonLines(str(tmp_path / "r.jsonl")))
    assert run(pipeline).ledger == Ledger()
    assert (tmp_path / "r.jsonl").read_bytes() == b""


def test_progress_is_told_up_to_the_end(photos: Path) -> None:
    told: list[tuple[int, int]] = []
    run(
        a_pipeline(photos),
        RunSettings(batch_size=2),
        on_progress=lambda ledger, n_images: told.append((ledger.read, n_images)),
    )
    assert told == [(2, 5), (4, 5), (5, 5)]


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.parent.name != "photos")


def test_a_failing_step_leaves_no_file(photos: Path, tmp_path: Path) -> None:
    pipeline = a_pipeline(photos, fail=True).write("r", JsonLines(str(tmp_path / "r.jsonl")))
    with pytest.raises(StepError, match="ZeroDivisionError: by the step"):
        run(pipeline)
    assert files(tmp_path) == []


def test_a_source_that_is_not_there_leaves_no_file(tmp_path: Path) -> None:
    pipeline = a_pipeline(tmp_path / "none").write("r", JsonLines(str(tmp_path / "r.jsonl")))
    with pytest.raises(SourceError, match="none: no such file"):
        run(pipeline)
    assert files(tmp_path) == []


def test_output_of_an_earlier_run_stops_the_run_before_it_begins(
    photos: Path, tmp_path: Path
) -> None:
    pipeline = a_pipeline(photos).write("r", JsonLines(str(tmp_path / "r.jsonl")))
    run(pipeline)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with pytest.raises(OutputExistsError, match=r"r\.jsonl: exists already"):
        run(pipeline)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_a_file_whose_name_is_not_utf_8_does_not_stop_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    picture = encode_image(np.zeros((8, 8, 3), np.uint8), "PNG")
    for name in (b"\xff.png", b"b.png"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(picture)
    pipeline = a_pipeline(folder).write("r", JsonLines(str(tmp_path / "r.jsonl")))
    assert run(pipeline).ledger.read == 2


def test_the_public_run_uses_this_runner_when_told(photos: Path) -> None:
    summary = public_run(a_pipeline(photos), RunSettings(runner="inline"))
    assert (summary.runner, summary.ledger.read) == ("inline", 5)


def test_what_is_set_while_it_runs_holds_from_then_on(tmp_path: Path) -> None:
    lines = tmp_path / "control.jsonl"
    pipeline = (
        Pipeline(Offered(60))
        .apply("bright", Bright())
        .write("out", JsonLines(str(tmp_path / "out.jsonl")))
        .write("events", JsonEvents(str(tmp_path / "events.jsonl")))
        .controlled_by(JsonControl(str(lines)))
    )

    def turn(ledger: Ledger, n_images: int | None) -> None:
        if ledger.read == 30 and not lines.exists():
            add_message(lines, b'{"set": "bright.reject_below", "value": 0.5}')

    ledger = run(pipeline, on_progress=turn).ledger
    assert ledger.recognised + ledger.rejected == 60
    assert 30 <= ledger.recognised < 60
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(rows) == ledger.recognised, "pictures of a brightness below 0.24 are rejected"
    (event,) = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert (event["kind"], event["step"]) == ("settings_changed", "bright")
    assert event["reason"] == "bright.reject_below = 0.5"


def test_a_camera_that_is_added_before_there_is_any_is_read(tmp_path: Path) -> None:
    lines, clip = tmp_path / "control.jsonl", draw_video(tmp_path / "clip.mp4", 10)
    pipeline = (
        Pipeline(Cameras())
        .apply("count", Count())
        .write("out", JsonLines(str(tmp_path / "out.jsonl")))
        .controlled_by(JsonControl(str(lines)))
    )
    asked = []

    def stop() -> bool:
        asked.append(time.monotonic())
        if len(asked) == 3:
            add_message(lines, json.dumps({"camera": "gate", "url": str(clip)}).encode())
        return asked[-1] > asked[0] + 3

    ledger = run(pipeline, stop=stop).ledger
    assert ledger.read == 10
    assert ledger.recognised >= 1
