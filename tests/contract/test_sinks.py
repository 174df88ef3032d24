"""Every registered sink keeps its promises. A new sink needs an example here."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightflow.configuration import read_pipeline, to_yaml
from sightflow.errors import OutputExistsError
from sightflow.kinds import known_kinds, resolve_kind
from sightflow.ops.overlay import Outline
from sightflow.pipeline import Pipeline
from sightflow.protocols import ImageSink, ResultSink
from sightflow.records import Event, Tracks, event_row, result_row
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks.events import JsonEvents, JsonRejected
from sightflow.sinks.images import AnnotatedImages, ImageFolder
from sightflow.sinks.motchallenge import MotTracks
from sightflow.sinks.results import JsonLines, Parquet
from sightflow.sinks.table import Csv
from sightflow.sinks.video import AnnotatedVideo
from sightflow.sources.directory import Directory
from sightflow.testing import a_context, a_record, an_origin, encode_image

AT_LEAST = 8
GATE = Outline("gate", ((0.0, 5.5), (32.0, 20.0)), closed=False)

EXAMPLES: dict[str, Callable[[Path], Any]] = {
    "AnnotatedImages": lambda folder: AnnotatedImages(str(folder / "pictures")),
    "AnnotatedVideo": lambda folder: AnnotatedVideo(str(folder / "boxed.mp4"), outlines=(GATE,)),
    "Csv": lambda folder: Csv(str(folder / "results.csv"), of="tracks"),
    "ImageFolder": lambda folder: ImageFolder(str(folder / "pictures"), format="png"),
    "JsonEvents": lambda folder: JsonEvents(str(folder / "events.jsonl")),
    "JsonRejected": lambda folder: JsonRejected(str(folder / "rejected.jsonl")),
    "JsonLines": lambda folder: JsonLines(str(folder / "results.jsonl")),
    "MotTracks": lambda folder: MotTracks(str(folder / "tracks.txt")),
    "Parquet": lambda folder: Parquet(str(folder / "results.parquet")),
}

SUMMARY = Summary(Ledger(read=1, recognised=1), 1.0, 0.5, 0.9, runner="inline", workers=1)


def of_kind(shape: Any) -> list[str]:
    found = [k for k in known_kinds("sinks") if isinstance(EXAMPLES[k](Path("out")), shape)]
    assert len(found) >= 2, "this contract found nothing to check"
    return found


KINDS = pytest.mark.parametrize("kind", known_kinds("sinks"))
RESULT_KINDS = pytest.mark.parametrize("kind", of_kind(ResultSink))
IMAGE_KINDS = pytest.mark.parametrize("kind", of_kind(ImageSink))


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of each file; summaries hold times and are left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "summary" not in path.name
    }


@pytest.fixture(scope="module", autouse=True)
def folder_of_pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the pictures that the rows name: a sink may read them again."""
    folder = tmp_path_factory.mktemp("read")
    (folder / "photos").mkdir()
    for number in (0, 1, 2, 9):
        (folder / name_of(number)).write_bytes(encode_image(a_record().pixels))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def name_of(number: int) -> str:
    return f"photos/{number}.jpg"


def rows(*numbers: int) -> list[dict[str, Any]]:
    origins = (an_origin(uri=name_of(number), sequence=number) for number in numbers)
    return [result_row(a_record(origin=origin, tracks=one_track())) for origin in origins]


def one_track() -> Tracks:
    return Tracks(
        np.array([1], np.int64),
        np.array([[1, 2, 11, 22]], np.float32),
        np.array([0.5], np.float32),
        np.array([0], np.int32),
        ("cat",),
        np.zeros((1, 2), np.float32),
        np.array([40], np.int64),
        np.array([3], np.int32),
    )


def events(*numbers: int) -> list[dict[str, Any]]:
    happened = (Event("left", "track", "s", number, 40 * number, 1) for number in numbers)
    return [event_row(event) for event in happened]


def rejected(message: str) -> list[dict[str, Any]]:
    return [{"uri": "x", "step": "decode", "reason": "empty", "message": message}]


def test_the_sinks_were_found_and_each_has_an_example() -> None:
    assert len(known_kinds("sinks")) >= AT_LEAST
    assert set(known_kinds("sinks")) == set(EXAMPLES)


@KINDS
def test_an_example_is_of_its_kind(kind: str, tmp_path: Path) -> None:
    assert type(EXAMPLES[kind](tmp_path)) is resolve_kind("sinks", kind)


@KINDS
def test_it_is_frozen_data_that_survives_pickling(kind: str, tmp_path: Path) -> None:
    sink = EXAMPLES[kind](tmp_path)
    assert is_dataclass(sink)
    assert type(sink).__dataclass_params__.frozen  # type: ignore[union-attr]
    assert pickle.loads(pickle.dumps(sink)) == sink


@KINDS
def test_it_takes_results_or_images_and_not_both(kind: str, tmp_path: Path) -> None:
    sink = EXAMPLES[kind](tmp_path)
    assert isinstance(sink, ResultSink) != isinstance(sink, ImageSink)


@KINDS
def test_checking_writes_nothing(kind: str, tmp_path: Path) -> None:
    EXAMPLES[kind](tmp_path).check()
    assert list(tmp_path.iterdir()) == []


@KINDS
def test_it_refuses_what_is_there_already(kind: str, tmp_path: Path) -> None:
    sink = EXAMPLES[kind](tmp_path)
    taken = Path(sink.outputs()[0])
    if isinstance(sink, ImageSink):
        taken = taken / "of an earlier run"
        taken.parent.mkdir()
    taken.touch()
    with pytest.raises(OutputExistsError, match="exists already"):
        sink.check()


@KINDS
def test_it_survives_the_way_through_yaml(kind: str, tmp_path: Path) -> None:
    pipeline = Pipeline(Directory("photos")).write("sink", EXAMPLES[kind](tmp_path))
    (tmp_path / "job.yaml").write_text(to_yaml(pipeline))
    assert read_pipeline(tmp_path / "job.yaml")[0] == pipeline


@RESULT_KINDS
def test_results_appear_at_the_commit_and_as_announced(kind: str, tmp_path: Path) -> None:
    sink = EXAMPLES[kind](tmp_path)
    writer = sink.open_results(None)
    writer.append(rows(0), rejected("a"), events(0))
    writer.close()
    assert not [output for output in sink.outputs() if Path(output).exists()]
    sink.commit(SUMMARY)
    assert sorted(sink.outputs()) == sorted(str(path) for path in tmp_path.iterdir())


@RESULT_KINDS
def test_discarding_leaves_nothing_and_may_be_repeated(kind: str, tmp_path: Path) -> None:
    sink = EXAMPLES[kind](tmp_path)
    writer = sink.open_results(None)
    writer.append(rows(0), rejected("a"), events(0))
    writer.close()
    sink.discard()
    sink.discard()
    assert tree(tmp_path) == {}


@RESULT_KINDS
def test_going_on_at_a_position_gives_what_an_undisturbed_writer_gives(
    kind: str, tmp_path: Path
) -> None:
    undisturbed = EXAMPLES[kind](tmp_path / "undisturbed")
    writer = undisturbed.open_results(None)
    writer.append(rows(0), rejected("a"), events(0))
    writer.append(rows(1, 2), rejected("b"), events(1, 2))
    writer.close()
    undisturbed.commit(SUMMARY)

    restarted = EXAMPLES[kind](tmp_path / "restarted")
    writer = restarted.open_results(None)
    writer.append(rows(0), rejected("a"), events(0))
    position = writer.position()
    writer.append(rows(9), rejected("lost"), events(9))
    writer.close()
    writer = restarted.open_results(position)
    assert writer.position() == position
    writer.append(rows(1, 2), rejected("b"), events(1, 2))
    writer.close()
    restarted.commit(SUMMARY)
    assert tree(tmp_path / "restarted") == tree(tmp_path / "undisturbed")


@IMAGE_KINDS
def test_any_size_of_image_has_a_scale(kind: str, tmp_path: Path) -> None:
    assert 0 < EXAMPLES[kind](tmp_path).scale_for(6_000, 4_000) <= 1


@IMAGE_KINDS
def test_an_image_written_again_gives_the_same_file_below_the_announced_folder(
    kind: str, tmp_path: Path
) -> None:
    sink = EXAMPLES[kind](tmp_path)
    record = a_record(origin=an_origin(name="day 1/a#%.webp"))
    trees = []
    for _ in range(2):
        sink.open_images(a_context("pictures"))(record)
        trees.append(tree(tmp_path))
    assert trees[0] == trees[1]
    (name,) = trees[0]
    assert (tmp_path / name).is_relative_to(sink.outputs()[0])
