"""Pictures are written under the names of their images, whole or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sightflow.errors import OutputExistsError, PipelineError
from sightflow.protocols import ImageSink
from sightflow.records import Classification, Detections, ImageRecord
from sightflow.sinks.images import AnnotatedImages, ImageFolder
from sightflow.testing import a_context, a_record, an_origin, draw_scene, encode_image

KINDS = pytest.mark.parametrize("kind", [AnnotatedImages, ImageFolder])


def grey(width: int = 400, height: int = 300) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), 128, np.uint8)


def named(name: str, **changes: Any) -> ImageRecord:
    return a_record(origin=an_origin(name=name), **changes)


def write(sink: ImageSink, *records: ImageRecord) -> None:
    write_one = sink.open_images(a_context("pictures"))
    for record in records:
        write_one(record)


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def pixels_of(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def one_box(score: float = 0.9) -> Detections:
    box = np.array([[100, 100, 200, 150]], np.float32)
    return Detections(box, np.array([score], np.float32), np.array([0], np.int32), ("cat",))


def one_class() -> Classification:
    return Classification(("cat",), np.array([0], np.int32), np.array([0.9], np.float32))


@KINDS
def test_a_picture_keeps_its_name_and_folders(tmp_path: Path, kind: Any) -> None:
    write(kind(str(tmp_path)), named("a.jpg"), named("day/1/b.JPG"))
    assert files(tmp_path) == ["a.jpg", "day/1/b.JPG"]


@KINDS
def test_pictures_that_differ_only_in_their_format_stay_apart(tmp_path: Path, kind: Any) -> None:
    write(kind(str(tmp_path)), named("a.jpg"), named("a.png"), named("a.jpeg"), named("b"))
    assert files(tmp_path) == ["a.jpeg.jpg", "a.jpg", "a.png.jpg", "b.jpg"]


@KINDS
def test_frames_of_a_video_lie_in_its_folder(tmp_path: Path, kind: Any) -> None:
    write(kind(str(tmp_path)), named("clip.mp4/00000007"))
    assert files(tmp_path) == ["clip.mp4/00000007.jpg"]


@KINDS
def test_writing_again_gives_the_same_file_and_leaves_nothing_else(
    tmp_path: Path, kind: Any
) -> None:
    record = named("a.jpg", detections=one_box(), classification=one_class())
    write(kind(str(tmp_path)), record)
    first = (tmp_path / "a.jpg").read_bytes()
    write(kind(str(tmp_path)), record)
    assert (tmp_path / "a.jpg").read_bytes() == first
    assert files(tmp_path) == ["a.jpg"]


@KINDS
def test_a_write_that_fails_leaves_the_old_file_and_no_partial_one(
    tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(kind(str(tmp_path)), named("a.jpg"))
    first = (tmp_path / "a.jpg").read_bytes()

    def half_a_write(path: Path, data: bytes) -> int:
        with open(path, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", half_a_write)
    with pytest.raises(OSError, match="no space left"):
        write(kind(str(tmp_path)), named("a.jpg", pixels=grey()))
    assert (tmp_path / "a.jpg").read_bytes() == first
    assert files(tmp_path) == ["a.jpg"]


@KINDS
def test_a_folder_that_is_not_empty_is_refused_unless_told_otherwise(
    tmp_path: Path, kind: Any
) -> None:
    kind(str(tmp_path)).check()
    kind(str(tmp_path / "new")).check()
    (tmp_path / "x").touch()
    with pytest.raises(OutputExistsError, match=r"exists already; .* `overwrite"):
        kind(str(tmp_path)).check()
    kind(str(tmp_path), overwrite=True).check()


@KINDS
def test_checking_makes_no_folder(tmp_path: Path, kind: Any) -> None:
    kind(str(tmp_path / "new")).check()
    assert not (tmp_path / "new").exists()


@KINDS
def test_a_sink_announces_its_folder(kind: Any) -> None:
    assert list(kind("pictures").outputs()) == ["pictures"]


def test_people_get_the_whole_picture_and_folders_what_was_asked_for() -> None:
    assert AnnotatedImages("x").scale_for(4_000, 3_000) == 1
    assert 0 < ImageFolder("x").scale_for(4_000, 3_000) < 1e-6


def test_nothing_recognised_leaves_the_picture_as_it_was(tmp_path: Path) -> None:
    write(AnnotatedImages(str(tmp_path)), named("a.jpg", pixels=grey()))
    picture = pixels_of(tmp_path / "a.jpg")
    assert picture.shape == (300, 400, 3)
    assert np.abs(picture.astype(int) - 128).max() <= 2


def changed(folder: Path) -> npt.NDArray[np.bool_]:
    """Return which pixels of a.jpg are no longer grey."""
    picture = pixels_of(folder / "a.jpg").astype(int)
    return np.asarray(np.abs(picture - 128).max(axis=2) > 40)


def test_a_box_is_drawn_where_the_object_is(tmp_path: Path) -> None:
    write(AnnotatedImages(str(tmp_path)), named("a.jpg", pixels=grey(), detections=one_box()))
    drawn = changed(tmp_path)
    assert drawn[149, 110:190].all()  # the lower edge of (100, 100, 200, 150)
    assert drawn[110:140, 100].all()
    assert not drawn[110:140, 110:190].any()
    assert not drawn[160:, :].any()


def test_what_scores_too_little_is_not_drawn(tmp_path: Path) -> None:
    record = named("a.jpg", pixels=grey(), detections=one_box(score=0.3))
    write(AnnotatedImages(str(tmp_path), min_score=0.4), record)
    assert not changed(tmp_path).any()


def test_the_class_is_written_in_the_lower_left_corner(tmp_path: Path) -> None:
    record = named("a.jpg", pixels=grey(), classification=one_class())
    write(AnnotatedImages(str(tmp_path)), record)
    drawn = changed(tmp_path)
    assert drawn[270:, :100].any()
    assert not drawn[:250].any()


def test_a_tiny_picture_is_enlarged_until_people_can_read_it(tmp_path: Path) -> None:
    write(AnnotatedImages(str(tmp_path)), named("a.jpg", pixels=grey(100, 50)))
    assert pixels_of(tmp_path / "a.jpg").shape == (200, 400, 3)  # 320 / 100, rounded up: 4


def test_a_better_quality_makes_a_larger_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
    sizes = []
    for quality in (30, 95):
        folder = tmp_path / str(quality)
        write(AnnotatedImages(str(folder), quality=quality), named("a.jpg", pixels=noise))
        sizes.append((folder / "a.jpg").stat().st_size)
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize(
    ("format", "name"), [("jpeg", "a.png.jpg"), ("png", "a.png"), ("npy", "a.png.npy")]
)
def test_the_format_gives_the_suffix(tmp_path: Path, format: Any, name: str) -> None:
    write(ImageFolder(str(tmp_path), format=format), named("a.png"))
    assert files(tmp_path) == [name]


def test_png_and_npy_keep_every_pixel(tmp_path: Path) -> None:
    pixels = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
    write(ImageFolder(str(tmp_path), format="png"), named("a.png", pixels=pixels))
    write(ImageFolder(str(tmp_path), format="npy"), named("a.npy", pixels=pixels))
    assert np.array_equal(pixels_of(tmp_path / "a.png"), pixels)
    assert np.array_equal(np.load(tmp_path / "a.npy"), pixels)


def test_what_a_step_prepared_is_written_instead_of_the_picture(tmp_path: Path) -> None:
    record = named("a.png", pixels=grey(), prepared=np.zeros((5, 7, 3), np.uint8))
    write(ImageFolder(str(tmp_path), format="png"), record)
    assert pixels_of(tmp_path / "a.png").shape == (5, 7, 3)


def test_npy_takes_normalised_images(tmp_path: Path) -> None:
    prepared = np.linspace(-1, 1, 3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    write(ImageFolder(str(tmp_path), format="npy"), named("a", prepared=prepared))
    read = np.load(tmp_path / "a.npy")
    assert read.dtype == np.float32
    assert np.array_equal(read, prepared)


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_pictures_cannot_hold_normalised_images(tmp_path: Path, format: Any) -> None:
    record = named("a.jpg", prepared=np.zeros((3, 2, 2), np.float32))
    message = f"step 'pictures': `format: {format}` needs uint8 pixels; .* use `format: npy`"
    with pytest.raises(PipelineError, match=message):
        write(ImageFolder(str(tmp_path), format=format), record)
    assert files(tmp_path) == []


@KINDS
def test_a_record_is_not_changed_by_writing_it(tmp_path: Path, kind: Any) -> None:
    pixels = grey()
    record = replace(named("a.jpg", pixels=pixels), detections=one_box())
    write(kind(str(tmp_path)), record)
    assert (pixels == 128).all()


@pytest.mark.parametrize("kind", [AnnotatedImages, ImageFolder])
def test_the_picture_that_is_read_is_never_replaced(tmp_path, kind):
    original = tmp_path / "a.jpg"
    original.write_bytes(encode_image(draw_scene()))
    before = original.read_bytes()
    record = a_record(origin=an_origin(uri=str(original), name="a.jpg"))

    with pytest.raises(OutputExistsError, match="is the picture that is read"):
        kind(str(tmp_path), overwrite=True).open_images(a_context())(record)

    assert original.read_bytes() == before
