"""Objects of images come from a file in the form of COCO."""

import json
from pathlib import Path
from typing import Any

import pytest

from sightflow import Directory
from sightflow.errors import PipelineError, SourceError
from sightflow.records import LabelledObject
from sightflow.sources.annotated import Annotated
from sightflow.sources.passes import Passes
from sightflow.testing import draw_scene, encode_image

CAR = {"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40]}


@pytest.fixture
def photos(tmp_path: Path) -> Directory:
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / "photos" / name).write_bytes(encode_image(draw_scene(32, 24)))
    return Directory(str(tmp_path / "photos"))


def write(folder: Path, *annotations: Any, **more: Any) -> str:
    """Write a file of which `a.jpg` is image 7, `b.jpg` image 8, and `car` category 3."""
    fields = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "photos/b.jpg"}],
        "categories": [{"id": 3, "name": "car"}],
        "annotations": list(annotations),
    }
    (folder / "coco.json").write_text(json.dumps(fields | more))
    return str(folder / "coco.json")


def test_boxes_are_corners_and_an_image_without_any_differs_from_an_unknown_one(
    photos: Directory, tmp_path: Path
) -> None:
    source = Annotated(photos, write(tmp_path, CAR))
    assert [claim.origin.objects for claim in source.claims()] == [
        (LabelledObject("car", (10, 20, 40, 60)),),
        (),
        None,
    ]


def test_a_crowd_is_ignored_and_a_box_without_area_left_out(
    photos: Directory, tmp_path: Path
) -> None:
    flat = CAR | {"bbox": [1, 1, 0, 5]}
    source = Annotated(photos, write(tmp_path, CAR | {"iscrowd": 1}, flat))
    assert next(source.claims()).origin.objects == (
        LabelledObject("car", (10, 20, 40, 60), ignored=True),
    )


def test_an_image_that_is_listed_twice_has_the_objects_of_both(
    photos: Directory, tmp_path: Path
) -> None:
    twice = [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "./a.jpg"}]
    other = CAR | {"image_id": 8, "bbox": [0, 0, 5, 5], "iscrowd": None}
    source = Annotated(photos, write(tmp_path, CAR, other, images=twice))
    objects = next(source.claims()).origin.objects
    assert objects is not None
    assert [one.box_xyxy for one in objects] == [(10, 20, 40, 60), (0, 0, 5, 5)]


def test_images_may_be_held_out(photos: Directory, tmp_path: Path) -> None:
    source = Annotated(photos, write(tmp_path), held_out=True)
    assert all(claim.origin.held_out for claim in source.claims())


def test_passes_keep_the_objects(photos: Directory, tmp_path: Path) -> None:
    source = Passes(Annotated(photos, write(tmp_path, CAR)), n_passes=2, seed=None)
    objects = [claim.origin.objects for claim in source.claims()]
    assert objects[:3] == objects[3:6]
    assert objects[0] is not None


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (CAR | {"image_id": 9}, r"annotations\[0\] is of image 9, category 3"),
        (CAR | {"category_id": 4}, r"annotations\[0\] is of image 7, category 4"),
        (CAR | {"bbox": [1, 2, 3]}, "is not in the form of COCO"),
    ],
)
def test_annotations_must_fit(
    photos: Directory, tmp_path: Path, annotation: Any, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        list(Annotated(photos, write(tmp_path, annotation)).claims())


def test_a_file_of_other_images_is_refused(photos: Directory, tmp_path: Path) -> None:
    other = write(tmp_path, images=[{"id": 1, "file_name": "else.jpg"}])
    with pytest.raises(SourceError, match=r"names none of the images, such as .*c\.jpg"):
        list(Annotated(photos, other).claims())


def test_a_missing_file_is_told(photos: Directory, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.json: cannot be read"):
        list(Annotated(photos, str(tmp_path / "none.json")).claims())


def test_a_stream_is_refused(tmp_path: Path) -> None:
    from sightflow.sources.live import Live

    with pytest.raises(PipelineError, match="Annotated: `source` lists its images"):
        Annotated(Live("rtsp://127.0.0.1/none"), write(tmp_path))  # type: ignore[arg-type]
