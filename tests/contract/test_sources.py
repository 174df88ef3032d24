"""Every registered source keeps its promises. A new source needs an example here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from tests.kafka import Broker
from tests.web_server import write_recording

from sightflow import JsonLines, Pipeline, RunSettings, run
from sightflow.errors import SourceError
from sightflow.kinds import known_kinds, resolve_kind
from sightflow.protocols import LabelSource, Source, StreamSource
from sightflow.records import Claim, EncodedImage, Label, Rejected
from sightflow.sources.annotated import Annotated
from sightflow.sources.cameras import Cameras
from sightflow.sources.directory import Directory
from sightflow.sources.joined import Joined
from sightflow.sources.jsonlabels import JsonLabels
from sightflow.sources.kafka import KafkaImages
from sightflow.sources.labelled import Labelled
from sightflow.sources.late import Late
from sightflow.sources.live import Live
from sightflow.sources.motchallenge import MotDetections
from sightflow.sources.newest import Newest
from sightflow.sources.passes import Passes
from sightflow.sources.recorded import Recorded
from sightflow.sources.union import Union
from sightflow.sources.video import Video
from sightflow.sources.watched import Watched
from sightflow.testing import (
    a_context,
    check_labels,
    check_source,
    check_stream,
    draw_scene,
    encode_image,
)

AT_LEAST, STREAMS_AT_LEAST, LABELS_AT_LEAST = 9, 5, 1
N_PICTURES = 6


def write_pictures(folder: Path) -> str:
    """Write three files, of which one is empty."""
    folder.mkdir(parents=True)
    for name in ("a.jpg", "sub folder/b.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(encode_image(draw_scene(32, 24)))
    (folder / "empty.jpg").touch()
    return str(folder)


def write_six(folder: Path) -> str:
    """Write as many pictures as the recordings have; one is empty, one in a folder."""
    write_pictures(folder)
    for name in ("c.jpg", "d.jpg", "e.jpg"):
        (folder / name).write_bytes(encode_image(draw_scene(32, 24)))
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


def write_detections(path: Path) -> str:
    path.write_text("1,-1,10,20,30,40,0.5\n3,-1,12,20,30,40,0.9\n")
    return str(path)


def write_labels(path: Path) -> JsonLabels:
    """Write two labels, and between them what is none."""
    path.write_text(
        '{"source_id": "door", "sequence": 0, "label": "cat"}\nno label\n'
        '{"source_id": "door", "sequence": 1, "label": null}\n'
    )
    return JsonLabels(str(path), follow=False)


def write_annotations(path: Path) -> str:
    path.write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 2, "name": "car"}],'
        ' "annotations": [{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}]}'
    )
    return str(path)


def write_results(folder: Path) -> str:
    """Write results of pictures, of which one was rejected, and of frames."""
    source = Union(
        (
            Directory(write_pictures(folder / "photos")),
            Video(write_video(folder / "clip.mp4"), every=2),
        )
    )
    path = str(folder / "results.jsonl")
    run(Pipeline(source).write("results", JsonLines(path)), RunSettings(runner="inline"))
    return path


EXAMPLES: dict[str, Callable[[Path], Source]] = {
    "Annotated": lambda folder: Annotated(
        Directory(write_pictures(folder / "photos")), write_annotations(folder / "coco.json")
    ),
    "Directory": lambda folder: Directory(write_pictures(folder / "photos")),
    "Labelled": lambda folder: Labelled(Directory(write_pictures(folder / "photos"))),
    "MotDetections": lambda folder: MotDetections(
        write_detections(folder / "det.txt"), fps=10.0, segment_frames=2
    ),
    "Late": lambda folder: Late(Labelled(Directory(write_pictures(folder / "photos"))), n_images=1),
    "Passes": lambda folder: Passes(
        Labelled(Directory(write_pictures(folder / "train"))),
        Directory(write_pictures(folder / "test")),
        n_passes=2,
        test_every=1,
    ),
    "Recorded": lambda folder: Recorded(write_results(folder)),
    "Union": lambda folder: Union(
        (
            Directory(write_pictures(folder / "x")),
            Video(write_video(folder / "clip.mp4")),
        )
    ),
    "Video": lambda folder: Video(write_video(folder / "clip.mp4"), segment_frames=2),
}


def in_kafka(broker: Broker) -> KafkaImages:
    """Write pictures of one key, and a record without a value."""
    topic = broker.create(3)
    picture = encode_image(draw_scene(32, 24))
    broker.produce(topic, ({"key": "cam", "value": picture} for _ in range(N_PICTURES)))
    broker.produce(topic, [{"key": "other", "value": None}])
    return KafkaImages(topic, broker.servers, stop="latest")


BROKER_EXAMPLES: dict[str, Callable[[Broker], StreamSource]] = {"KafkaImages": in_kafka}

STREAM_EXAMPLES: dict[str, Callable[[Path], StreamSource]] = {
    # A recording: of a camera nothing could be read again. What holds for one is in test_live.py.
    "Live": lambda folder: Live(str(write_recording(folder, N_PICTURES, fps=10))),
    "Cameras": lambda folder: Cameras(
        (Live(str(write_recording(folder, N_PICTURES, fps=10)), source_id="gate"),)
    ),
    "Joined": lambda folder: Joined(
        Live(str(write_recording(folder, N_PICTURES, fps=10))), write_labels(folder / "labels")
    ),
    "Newest": lambda folder: Newest(Live(str(write_recording(folder, N_PICTURES, fps=10)))),
    "Watched": lambda folder: Watched(
        write_six(folder / "in"), every_s=0.02, settle_ms=0.0, idle_s=0.0
    ),
}

LABEL_EXAMPLES: dict[str, Callable[[Path], LabelSource]] = {
    "JsonLabels": lambda folder: write_labels(folder / "labels"),
}

CLAIMED = [
    kind for kind in known_kinds("sources") if hasattr(resolve_kind("sources", kind), "claims")
]
STREAMS = [kind for kind in known_kinds("sources") if kind not in CLAIMED]
LABELS = known_kinds("labels")

KINDS = pytest.mark.parametrize("kind", CLAIMED)
STREAM_KINDS = pytest.mark.parametrize("kind", STREAMS)


@pytest.fixture
def stream(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> StreamSource:
    if kind in BROKER_EXAMPLES:
        return BROKER_EXAMPLES[kind](request.getfixturevalue("broker"))
    return STREAM_EXAMPLES[kind](tmp_path)


LABEL_KINDS = pytest.mark.parametrize("kind", LABELS)


def test_the_sources_were_found_and_each_has_an_example() -> None:
    assert len(CLAIMED) >= AT_LEAST
    assert set(CLAIMED) == set(EXAMPLES)
    assert len(STREAMS) >= STREAMS_AT_LEAST
    assert set(STREAMS) == set(STREAM_EXAMPLES) | set(BROKER_EXAMPLES)
    assert len(LABELS) >= LABELS_AT_LEAST
    assert set(LABELS) == set(LABEL_EXAMPLES)


@KINDS
def test_an_example_is_of_its_kind(kind: str, tmp_path: Path) -> None:
    assert type(EXAMPLES[kind](tmp_path)) is resolve_kind("sources", kind)


@KINDS
def test_it_keeps_the_promises_of_a_source(kind: str, tmp_path: Path) -> None:
    assert len(check_source(EXAMPLES[kind](tmp_path))) > 1


NOWHERE: dict[str, Callable[[str], Source]] = {
    "Annotated": lambda path: Annotated(Directory(path), "coco.json"),
    "Directory": Directory,
    "MotDetections": MotDetections,
    "Labelled": lambda path: Labelled(Directory(path)),
    "Late": lambda path: Late(Directory(path), n_images=1),
    "Passes": lambda path: Passes(Directory(path)),
    "Recorded": Recorded,
    "Union": lambda path: Union((Directory(path),)),
    "Video": Video,
}


@KINDS
def test_a_place_that_is_not_there_is_a_source_error(kind: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere: no such file"):
        list(NOWHERE[kind](str(tmp_path / "nowhere")).claims())


@STREAM_KINDS
def test_a_stream_is_of_its_kind_and_keeps_the_promises_of_one(
    kind: str, stream: StreamSource
) -> None:
    assert type(stream) is resolve_kind("sources", kind)
    items = check_stream(stream)
    images = [item for item in items if isinstance(item, Claim | EncodedImage)]
    assert [image.origin.sequence for image in images] == list(range(N_PICTURES))
    labels = [item.label for item in items if isinstance(item, Label)]
    assert labels == (["cat", None] if kind == "Joined" else [])


STREAMS_NOWHERE: dict[str, Callable[[str, StreamSource], StreamSource]] = {
    "Live": lambda path, one: Live(path),
    "Cameras": lambda path, one: Cameras((Live(path, source_id="gate"),)),
    "Joined": lambda path, one: Joined(Live(path), JsonLabels(path)),
    "KafkaImages": lambda path, one: replace(one, topics="nowhere"),  # type: ignore[type-var]
    "Newest": lambda path, one: Newest(Live(path)),
    "Watched": lambda path, one: Watched(path),
}


@STREAM_KINDS
def test_a_stream_that_is_not_there_is_a_source_error(
    kind: str, stream: StreamSource, tmp_path: Path
) -> None:
    context = a_context("read")
    source = STREAMS_NOWHERE[kind](str(tmp_path / "nowhere"), stream)
    with context.resources, pytest.raises(SourceError, match="nowhere: no such"):
        source.open_stream(context, None).poll(5.0)


@LABEL_KINDS
def test_labels_are_of_their_kind_and_keep_the_promises_of_labels(kind, tmp_path) -> None:
    source = LABEL_EXAMPLES[kind](tmp_path)
    assert type(source) is resolve_kind("labels", kind)
    found = check_labels(source)
    assert [label.label for label in found if isinstance(label, Label)] == ["cat", None]
    assert [label.reason for label in found if isinstance(label, Rejected)] == ["bad_label"]


@LABEL_KINDS
def test_labels_that_are_not_there_are_a_source_error(kind, tmp_path) -> None:
    source = replace(LABEL_EXAMPLES[kind](tmp_path), path=str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="nowhere: no such file"):
        source.open_labels(a_context("read"), None)
