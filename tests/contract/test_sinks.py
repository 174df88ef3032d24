"""Every registered sink keeps its promises. A new sink needs an example here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sightflow.kinds import known_kinds, resolve_kind
from sightflow.ops.overlay import Outline
from sightflow.protocols import ImageSink, ResultSink
from sightflow.sinks.dataset import Dataset
from sightflow.sinks.events import JsonEvents, JsonRejected
from sightflow.sinks.images import AnnotatedImages, ImageFolder
from sightflow.sinks.motchallenge import MotTracks
from sightflow.sinks.results import JsonLines, Parquet
from sightflow.sinks.table import Csv
from sightflow.sinks.video import AnnotatedVideo
from sightflow.testing import check_continuous_sink, check_image_sink, check_result_sink

RESULTS_AT_LEAST, CONTINUOUS_AT_LEAST, IMAGES_AT_LEAST = 7, 1, 2
GATE = Outline("gate", ((0.0, 5.5), (32.0, 20.0)), closed=False)

EXAMPLES: dict[str, Callable[[Path], Any]] = {
    "AnnotatedImages": lambda folder: AnnotatedImages(str(folder / "pictures")),
    "AnnotatedVideo": lambda folder: AnnotatedVideo(str(folder / "boxed.mp4"), outlines=(GATE,)),
    "Csv": lambda folder: Csv(str(folder / "results.csv"), of="tracks"),
    "Dataset": lambda folder: Dataset(str(folder / "recognised"), format="jsonl"),
    "ImageFolder": lambda folder: ImageFolder(str(folder / "pictures"), format="png"),
    "JsonEvents": lambda folder: JsonEvents(str(folder / "events.jsonl")),
    "JsonRejected": lambda folder: JsonRejected(str(folder / "rejected.jsonl")),
    "JsonLines": lambda folder: JsonLines(str(folder / "results.jsonl")),
    "MotTracks": lambda folder: MotTracks(str(folder / "tracks.txt")),
    "Parquet": lambda folder: Parquet(str(folder / "results.parquet")),
}


def of_kind(shape: Any) -> list[str]:
    return [k for k in known_kinds("sinks") if issubclass(resolve_kind("sinks", k), shape)]


def appears_early(kind: str) -> bool:
    return getattr(resolve_kind("sinks", kind), "is_continuous", False)


IMAGES = of_kind(ImageSink)
CONTINUOUS = [kind for kind in of_kind(ResultSink) if appears_early(kind)]
RESULTS = [kind for kind in of_kind(ResultSink) if not appears_early(kind)]


def uris_of_parts(folder: Path) -> list[str]:
    parts = sorted(folder.glob("*/results/part-*.jsonl"))
    return [json.loads(line)["uri"] for part in parts for line in part.read_text().splitlines()]


READS: dict[str, Callable[[Path], list[str]]] = {"Dataset": uris_of_parts}


def test_the_sinks_were_found_and_each_has_an_example(tmp_path: Path) -> None:
    assert len(RESULTS) >= RESULTS_AT_LEAST
    assert len(IMAGES) >= IMAGES_AT_LEAST
    assert len(CONTINUOUS) >= CONTINUOUS_AT_LEAST
    assert sorted(RESULTS + CONTINUOUS + IMAGES) == sorted(EXAMPLES) == list(known_kinds("sinks"))
    for kind, make in EXAMPLES.items():
        assert type(make(tmp_path)) is resolve_kind("sinks", kind)


@pytest.mark.parametrize("kind", RESULTS)
def test_it_keeps_the_promises_of_a_sink_of_results(kind: str) -> None:
    written = check_result_sink(EXAMPLES[kind])
    assert written


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_it_keeps_the_promises_of_a_sink_whose_results_appear_early(kind: str) -> None:
    assert len(check_continuous_sink(EXAMPLES[kind], READS[kind])) == 3


@pytest.mark.parametrize("kind", IMAGES)
def test_it_keeps_the_promises_of_a_sink_of_images(kind: str) -> None:
    written = check_image_sink(EXAMPLES[kind])
    assert len(written) == 2, "one file for each image"
