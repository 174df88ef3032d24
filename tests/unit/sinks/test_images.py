"""Pictures are written under the names of their images, whole or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sightflow.errors import OutputExistsError, PipelineError
from sightflow.ops.draw import colour_of_person
from sightflow.protocols import ImageSink
from sightflow.records import Classification, Detections, Faces, ImageRecord
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


KNOWN, UNKNOWN = (40, 60, 100, 120), (240, 60, 300, 120)


def two_faces(names: tuple[str | None, ...] | None, *, score: float = 0.9) -> Faces:
    return Faces(
        np.array([KNOWN, UNKNOWN], np.float32),
        np.full(2, score, np.float32),
        np.zeros((2, 5, 2), np.float32),
        person_ids=names,
        similarities=None if names is None else np.full(2, 0.75, np.float32),
    )


def checks(width: int = 400, height: int = 300) -> npt.NDArray[np.uint8]:
    """Return a chessboard of 4 x 4 pixels: what is blurred is grey."""
    rows, columns = np.mgrid[:height, :width] // 4
    return np.where((rows + columns) % 2, 255, 0).astype(np.uint8)[:, :, None].repeat(3, axis=2)


def is_blurred(picture: npt.NDArray[np.uint8], box: tuple[int, ...], factor: int = 1) -> bool:
    """Return whether nothing of the chessboard is left inside a box, a little from its lines."""
    x1, y1, x2, y2 = (side * factor for side in box)
    inside = picture[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8].astype(int)
    assert inside.size
    contrast = inside.max() - inside.min()
    assert contrast < 90 or contrast > 200, "it is blurred or not"
    return bool(contrast < 90)


def shown(folder: Path, record: ImageRecord, **options: Any) -> npt.NDArray[np.uint8]:
    sink = AnnotatedImages(str(folder), quality=95, **options)
    write(sink, replace(record, origin=an_origin(name="a.jpg")))
    return pixels_of(folder / "a.jpg")


def test_a_face_is_drawn_in_the_colour_of_its_person(tmp_path: Path) -> None:
    picture = shown(tmp_path, a_record(grey(), faces=two_faces(("Ada", None))))

    edges = [picture[80:110, x : x + 2].reshape(-1, 3).mean(axis=0) for x in (40, 240)]
    assert np.abs(edges[0] - colour_of_person("Ada")).max() < 60
    assert np.abs(edges[1] - colour_of_person(None)).max() < 20


def test_faces_of_the_unknown_are_blurred_and_those_of_the_known_are_not(tmp_path: Path) -> None:
    picture = shown(tmp_path, a_record(checks(), faces=two_faces(("Ada", None))), blur_unknown=True)

    assert not is_blurred(picture, KNOWN)
    assert is_blurred(picture, UNKNOWN)
    assert not is_blurred(picture, (100, 200, 200, 280))


def test_where_nobody_looks_faces_up_all_are_blurred(tmp_path: Path) -> None:
    picture = shown(tmp_path, a_record(checks(), faces=two_faces(None)), blur_unknown=True)

    assert is_blurred(picture, KNOWN)
    assert is_blurred(picture, UNKNOWN)


def test_faces_that_score_too_little_to_be_drawn_are_blurred_all_the_same(tmp_path: Path) -> None:
    record = a_record(checks(), faces=two_faces((None, None), score=0.3))

    picture = shown(tmp_path, record, blur_unknown=True, min_score=0.5)

    assert is_blurred(picture, KNOWN)
    assert is_blurred(picture, UNKNOWN)


def test_faces_in_a_picture_that_is_enlarged_are_blurred_where_they_are(tmp_path: Path) -> None:
    """160 x 120 becomes 320 x 240."""
    small = (20, 30, 60, 70)
    faces = replace(two_faces((None, None)), boxes_xyxy=np.array([small] * 2, np.float32))

    picture = shown(tmp_path, a_record(checks(160, 120), faces=faces), blur_unknown=True)

    assert picture.shape == (240, 320, 3)
    assert is_blurred(picture, small, factor=2)
    assert not is_blurred(picture, (100, 30, 140, 70), factor=2)


def test_without_being_asked_to_nothing_is_blurred(tmp_path: Path) -> None:
    picture = shown(tmp_path, a_record(checks(), faces=two_faces((None, None))))

    assert not is_blurred(picture, KNOWN)
    assert not is_blurred(picture, UNKNOWN)


def test_the_pixels_of_the_record_are_not_blurred(tmp_path: Path) -> None:
    record = a_record(checks(), faces=two_faces((None, None)))

    shown(tmp_path, record, blur_unknown=True)

    assert np.array_equal(record.pixels, checks())


def test_a_picture_without_faces_is_written_and_one_where_nobody_looked_is_refused(
    tmp_path: Path,
) -> None:
    """It would show everyone."""
    nobody = a_record(checks(), faces=two_faces(None).take([]))
    assert not is_blurred(shown(tmp_path, nobody, blur_unknown=True), KNOWN)

    message = "step 'pictures': `blur_unknown` blurs the faces .* such as DetectFaces"
    with pytest.raises(PipelineError, match=message):
        shown(tmp_path / "other", a_record(checks()), blur_unknown=True)
    assert files(tmp_path) == ["a.jpg"]


@pytest.mark.parametrize("kind", [AnnotatedImages, ImageFolder])
def test_the_picture_that_is_read_is_never_replaced(tmp_path, kind):
    original = tmp_path / "a.jpg"
    original.write_bytes(encode_image(draw_scene()))
    before = original.read_bytes()
    record = a_record(origin=an_origin(uri=str(original), name="a.jpg"))

    with pytest.raises(OutputExistsError, match="is the picture that is read"):
        kind(str(tmp_path), overwrite=True).open_images(a_context())(record)

    assert original.read_bytes() == before
