"""Every registered source keeps its promises. A new source needs an example here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from sightflow.configuration import read_pipeline, to_yaml
from sightflow.errors import SourceError
from sightflow.kinds import known_kinds, resolve_kind
from sightflow.pipeline import Pipeline
from sightflow.protocols import Source
from sightflow.records import EncodedImage, ImageRecord, Origin, Rejected
from sightflow.sources import Directory, Union
from sightflow.sources.video import Video
from sightflow.testing import a_context, check_source, draw_scene, encode_image

AT_LEAST = 3


def write_pictures(folder: Path) -> str:
    """Write three files, of which one is empty."""
    folder.mkdir(parents=True)
    for name in ("a.jpg", "sub folder/b.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(encode_image(draw_scene(32, 24)))
    (folder / "empty.jpg").touch()
    return str(folder)


def write_video(path: Path) -> str:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in range(0, 250, 50):
            pixels = np.full((48, 64, 3), value, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))
    return str(path)


EXAMPLES: dict[str, Callable[[Path], Source]] = {
    "Directory": lambda folder: Directory(write_pictures(folder / "photos")),
    "Union": lambda folder: Union(
        (
            Directory(write_pictures(folder / "x")),
            Video(write_video(folder / "clip.mp4")),
        )
    ),
    "Video": lambda folder: Video(write_video(folder / "clip.mp4"), segment_frames=2),
}

KINDS = pytest.mark.parametrize("kind", known_kinds("sources"))


def origins(source: Source) -> Iterator[Origin]:
    read = source.open(a_context("read"))
    for claim in source.claims():
        for image in read(claim):
            assert isinstance(image, EncodedImage | ImageRecord | Rejected)
            yield image.origin


def test_the_sources_were_found_and_each_has_an_example() -> None:
    assert len(known_kinds("sources")) >= AT_LEAST
    assert set(known_kinds("sources")) == set(EXAMPLES)


@KINDS
def test_an_example_is_of_its_kind(kind: str, tmp_path: Path) -> None:
    assert type(EXAMPLES[kind](tmp_path)) is resolve_kind("sources", kind)


@KINDS
def test_it_keeps_the_promises_of_a_source(kind: str, tmp_path: Path) -> None:
    assert len(check_source(EXAMPLES[kind](tmp_path))) > 1


@KINDS
def test_names_of_images_are_unique_and_stay_inside_a_folder(kind: str, tmp_path: Path) -> None:
    names = [Path(origin.name) for origin in origins(EXAMPLES[kind](tmp_path))]
    assert len(set(names)) == len(names) > 1
    assert not [name for name in names if name.is_absolute() or ".." in name.parts]


@KINDS
def test_images_of_one_stream_are_numbered_upwards(kind: str, tmp_path: Path) -> None:
    streams: dict[str, list[int]] = {}
    for origin in origins(EXAMPLES[kind](tmp_path)):
        streams.setdefault(origin.source_id, []).append(origin.sequence)
    assert list(streams.values()) == [sorted(set(numbers)) for numbers in streams.values()]
    assert all(numbers[0] == 0 for numbers in streams.values())


@KINDS
def test_claims_can_be_redeemed_in_any_order(kind: str, tmp_path: Path) -> None:
    source = EXAMPLES[kind](tmp_path)
    read = source.open(a_context("read"))
    claims = list(source.claims())
    backwards = [[image.origin for image in read(claim)] for claim in reversed(claims)]
    assert [o for part in reversed(backwards) for o in part] == list(origins(source))


@KINDS
def test_it_survives_the_way_through_yaml(kind: str, tmp_path: Path) -> None:
    pipeline = Pipeline(EXAMPLES[kind](tmp_path))
    (tmp_path / "job.yaml").write_text(to_yaml(pipeline))
    assert read_pipeline(tmp_path / "job.yaml")[0] == pipeline


NOWHERE: dict[str, Callable[[str], Source]] = {
    "Directory": Directory,
    "Union": lambda path: Union((Directory(path),)),
    "Video": Video,
}


@KINDS
def test_a_place_that_is_not_there_is_a_source_error(kind: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere: no such file"):
        list(NOWHERE[kind](str(tmp_path / "nowhere")).claims())
