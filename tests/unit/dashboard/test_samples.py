"""Pictures of results are found again, or it is told why not."""

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pictures import draw_number, read_number

from sightflow.dashboard.samples import Picture, pictures_of
from sightflow.testing import draw_scene, encode_image


def a_row(
    uri: str, number: int = 0, size: tuple[int, int] = (320, 240), **more: Any
) -> dict[str, Any]:
    width, height = size
    row = {"uri": uri, "source_id": "s", "sequence": number, "event_time_ms": 0}
    return {**row, "width": width, "height": height, **more}


def only(row: dict[str, Any]) -> Picture:
    return pictures_of([row])[row["uri"], row["sequence"]]


def pixels_of(picture: Picture) -> Any:
    assert picture.uri is not None
    data = base64.b64decode(picture.uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "ä photo.jpg"
    path.write_bytes(encode_image(draw_scene(800, 600)))
    return path


def test_a_picture_is_shown_small(photo: Path) -> None:
    picture = only(a_row(str(photo), size=(800, 600)))
    assert pixels_of(picture).shape == (270, 360, 3)


def test_a_picture_with_boxes_is_larger_and_has_them_drawn_in(photo: Path) -> None:
    car = {"label": "car", "class_id": 2, "score": 0.5, "box_xyxy": [0, 0, 800, 600]}
    picture = only(a_row(str(photo), size=(800, 600), detections=[car]))
    assert pixels_of(picture).shape == (360, 480, 3)
    assert picture != only(a_row(str(photo), size=(800, 600), detections=[]))


def test_a_picture_in_an_archive_is_shown(photo: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(photo, "a/1.jpg")
    row = a_row(f"zip://a/1.jpg::{tmp_path / 'p.zip'}", size=(800, 600))
    assert pixels_of(only(row)).shape == (270, 360, 3)


@pytest.mark.parametrize("ending", ["mp4", "avi"])
def test_the_frames_of_a_video_are_those_of_the_rows(ending: str, tmp_path: Path) -> None:
    import av

    path = tmp_path / f"numbers.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(draw_number(number, 320, 240), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    shown = pictures_of([a_row(str(path), number) for number in (30, 3, 17)])
    assert [read_number(pixels_of(shown[str(path), n])) for n in (3, 17, 30)] == [3, 17, 30]
    assert only(a_row(str(path), 40)).why == "the video has no frame 40 any more"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("gone/1.jpg", "cannot be read: No such file or directory"),
        ("gone/1.mp4", "cannot be read: No such file or directory"),
        ("rtsp://gate.local/live", "a stream keeps no pictures"),
        ("kafka://broker/topic/0/7", "a stream keeps no pictures"),
    ],
)
def test_a_picture_that_is_gone_says_so(uri: str, why: str) -> None:
    assert only(a_row(uri)) == Picture(None, why)


def test_a_file_that_is_no_picture_any_more_says_so(photo: Path) -> None:
    photo.write_bytes(b"text")
    picture = only(a_row(str(photo)))
    assert picture.uri is None
    assert picture.why


def test_another_picture_under_the_same_name_is_not_drawn_into(photo: Path) -> None:
    assert only(a_row(str(photo), size=(40, 30))).why == "has 800 x 600 pixels now; it had 40 x 30"


def test_a_row_of_a_table_has_no_size_and_is_shown(photo: Path) -> None:
    row = a_row(str(photo))
    del row["width"], row["height"]
    assert pixels_of(only(row)).shape == (270, 360, 3)


def test_pictures_have_room_in_the_order_of_the_rows_and_progress_is_told(tmp_path: Path) -> None:
    rows = []
    for name in ("c", "a", "b"):
        (tmp_path / name).write_bytes(encode_image(draw_scene()))
        rows.append(a_row(str(tmp_path / name), size=(320, 240)))
    one = len(base64.b64decode((only(rows[0]).uri or "").partition(",")[2]))
    told: list[tuple[int, int]] = []
    shown = pictures_of([*rows, rows[0]], lambda *done: told.append(done), max_bytes=2 * one)
    whys = [shown[row["uri"], 0].why for row in rows]
    assert whys == ["", "", "the page is full"]
    assert told == [(1, 3), (2, 3), (3, 3)]
