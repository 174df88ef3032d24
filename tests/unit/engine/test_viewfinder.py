"""Pictures for those who look: few, joined with their rows, bounded."""

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sightflow.engine.viewfiles import N_SLOTS, ViewFiles
from sightflow.engine.viewfinder import Viewfinder
from sightflow.records import Faces, ImageRecord, result_row
from sightflow.testing import a_record, an_origin


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watched(clock: Clock) -> Viewfinder:
    return Viewfinder(lambda: True, clock)


@pytest.fixture
def files(tmp_path: Path) -> ViewFiles:
    return ViewFiles(tmp_path)


def frame(source_id: str = "cam", sequence: int = 0, **more: Any) -> ImageRecord:
    origin = an_origin(uri=f"{source_id}/{sequence}", source_id=source_id, sequence=sequence)
    return a_record(origin=origin, **more)


def picture_of(files: ViewFiles) -> Path:
    """Return the newest picture."""
    return max(files.folder.glob("picture-0-*.jpg"))


def look(finder: Viewfinder, files: ViewFiles, *records: ImageRecord) -> list[tuple[str, int]]:
    """Show records at once; return which image is shown of each source."""
    for record in records:
        finder.see(record)
    finder.join([result_row(record) for record in records])
    shown = finder.write(files)
    return [(one["source_id"], one["row"]["sequence"]) for one in shown]


def join_three(finder: Viewfinder, clock: Clock) -> None:
    """Take three pictures of a source, one after the other, whose rows come at once."""
    records = [frame(sequence=number) for number in range(3)]
    for record in records:
        finder.see(record)
        clock.now += 0.3
    finder.join([result_row(record) for record in records])


def test_a_picture_is_shown_with_its_row_once_that_is_there(
    watched: Viewfinder, files: ViewFiles
) -> None:
    record = frame(sequence=7)
    watched.see(record)
    assert watched.write(files) == []
    watched.join([result_row(record)])
    (shown,) = watched.write(files)
    assert shown["row"] == result_row(record)
    assert (shown["slot"], shown["version"], shown["source_id"]) == (0, 1, "cam")
    assert (shown["width"], shown["height"]) == (record.width, record.height)
    with Image.open(picture_of(files)) as picture:
        assert picture.format == "JPEG"
        assert picture.size == record.pixels.shape[1::-1]


def test_no_more_than_four_pictures_a_second_of_a_source(
    watched: Viewfinder, files: ViewFiles, clock: Clock
) -> None:
    assert look(watched, files, frame(sequence=0)) == [("cam", 0)]
    clock.now += 0.2
    assert look(watched, files, frame(sequence=1)) == [("cam", 0)]
    clock.now += 0.06
    assert look(watched, files, frame(sequence=2)) == [("cam", 2)]


def test_no_more_than_eight_pictures_a_second_of_all_sources(
    watched: Viewfinder, files: ViewFiles, clock: Clock
) -> None:
    assert look(watched, files, frame("a")) == [("a", 0)]
    clock.now += 0.1
    assert look(watched, files, frame("b")) == [("a", 0)]
    clock.now += 0.03
    assert look(watched, files, frame("b", 1)) == [("a", 0), ("b", 1)]


def test_while_nobody_looks_there_is_a_picture_every_five_seconds(
    files: ViewFiles, clock: Clock
) -> None:
    finder = Viewfinder(lambda: False, clock)
    assert look(finder, files, frame(sequence=0)) == [("cam", 0)]
    clock.now += 4.9
    assert look(finder, files, frame(sequence=1)) == [("cam", 0)]
    clock.now += 0.2
    assert look(finder, files, frame(sequence=2)) == [("cam", 2)]


def test_sources_beyond_nine_wait_until_one_is_silent(
    watched: Viewfinder, files: ViewFiles, clock: Clock
) -> None:
    for number in range(N_SLOTS):
        look(watched, files, frame(f"cam{number}"))
        clock.now += 0.2
    assert "new" not in dict(look(watched, files, frame("new")))
    for number in range(1, N_SLOTS):
        clock.now += 0.7
        look(watched, files, frame(f"cam{number}", 1))
    clock.now += 0.2
    shown = dict(look(watched, files, frame("new", 1)))
    assert len(shown) == N_SLOTS
    assert "cam0" not in shown  # it was the silent one
    assert shown["new"] == 1


def test_pictures_that_come_at_once_are_shown_one_by_one(
    watched: Viewfinder, files: ViewFiles, clock: Clock
) -> None:
    join_three(watched, clock)
    shown = [watched.write(files)[0]["row"]["sequence"] for _ in range(4)]
    assert shown == [0, 1, 2, 2]


def test_at_the_end_the_newest_is_shown(
    watched: Viewfinder, files: ViewFiles, clock: Clock
) -> None:
    join_three(watched, clock)
    assert watched.write(files, is_last=True)[0]["row"]["sequence"] == 2


def test_pictures_whose_row_never_comes_do_not_pile_up(watched: Viewfinder, clock: Clock) -> None:
    for number in range(500):
        watched.see(frame(sequence=number))
        clock.now += 1
    assert len(watched._waiting) == 64


def test_a_large_picture_is_made_small(watched: Viewfinder, files: ViewFiles) -> None:
    pixels = np.full((1080, 1920, 3), 90, np.uint8)
    assert look(watched, files, frame(pixels=pixels)) == [("cam", 0)]
    with Image.open(picture_of(files)) as picture:
        assert picture.size == (640, 360)


def test_strangers_are_blurred_and_people_who_are_known_are_not(
    watched: Viewfinder, files: ViewFiles
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (100, 200, 3), dtype=np.uint8)
    boxes = np.array([[10, 10, 60, 60], [130, 10, 180, 60]], np.float32)
    ones, landmarks = np.ones(2, np.float32), np.zeros((2, 5, 2), np.float32)
    faces = Faces(boxes, ones, landmarks, person_ids=("ann", None), similarities=ones)
    record = frame(pixels=pixels, faces=faces)
    watched.see(record, hides_unknown=True)
    watched.join([result_row(record)])
    watched.write(files)
    with Image.open(io.BytesIO(picture_of(files).read_bytes())) as picture:
        shown = np.asarray(picture).astype(float)
    ann, stranger = shown[15:55, 15:55].std(), shown[15:55, 135:175].std()
    assert ann > 3 * stranger


def test_writing_holds_up_nobody(watched: Viewfinder, tmp_path: Path, clock: Clock) -> None:
    class Slow(ViewFiles):
        def write_picture(self, slot: int, version: int, jpeg: bytes) -> None:
            writing.set()
            assert go_on.wait(20)

    writing, go_on = threading.Event(), threading.Event()
    record = frame()
    watched.see(record)
    watched.join([result_row(record)])
    writer = threading.Thread(target=watched.write, args=(Slow(tmp_path),))
    writer.start()
    assert writing.wait(20)
    clock.now += 1
    watched.see(frame(sequence=1))  # while the writer still writes
    watched.join([result_row(frame(sequence=1))])
    go_on.set()
    writer.join()


def test_a_source_whose_name_is_no_text_is_shown_too(watched: Viewfinder, files: ViewFiles) -> None:
    assert look(watched, files, frame("cam\udcff")) == [("cam\\xff", 0)]


def test_after_the_end_no_older_picture_comes(
    watched: Viewfinder, files: ViewFiles, clock: Clock
) -> None:
    join_three(watched, clock)
    watched.write(files, is_last=True)
    assert watched.write(files)[0]["row"]["sequence"] == 2
