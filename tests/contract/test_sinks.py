"""Every registered sink keeps its promises. A new sink needs an example here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.kafka import Broker

from sightflow.kinds import known_kinds, resolve_kind
from sightflow.ops.overlay import Outline
from sightflow.protocols import ImageSink, MessageSink, ResultSink
from sightflow.sinks.dataset import Dataset
from sightflow.sinks.events import JsonEvents, JsonRejected
from sightflow.sinks.images import AnnotatedImages, ImageFolder
from sightflow.sinks.kafka import KafkaEvents
from sightflow.sinks.motchallenge import MotTracks
from sightflow.sinks.results import JsonLines, Parquet
from sightflow.sinks.table import Csv
from sightflow.sinks.video import AnnotatedVideo
from sightflow.testing import (
    check_continuous_sink,
    check_image_sink,
    check_message_sink,
    check_result_sink,
)

RESULTS_AT_LEAST, CONTINUOUS_AT_LEAST, IMAGES_AT_LEAST, MESSAGES_AT_LEAST = 7, 1, 2, 1
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

MESSAGE_EXAMPLES: dict[str, Callable[[Broker], Any]] = {
    "KafkaEvents": lambda broker: KafkaEvents(
        broker.servers,
        topic=broker.create(name="results"),
        events_topic=broker.create(name="events"),
        rejected_topic=broker.create(name="rejected"),
    ),
}


def of_kind(shape: Any) -> list[str]:
    return [k for k in known_kinds("sinks") if issubclass(resolve_kind("sinks", k), shape)]


def appears_early(kind: str) -> bool:
    return getattr(resolve_kind("sinks", kind), "is_continuous", False)


IMAGES, MESSAGES = of_kind(ImageSink), of_kind(MessageSink)
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
    assert len(MESSAGES) >= MESSAGES_AT_LEAST
    assert sorted(RESULTS + CONTINUOUS + IMAGES) == sorted(EXAMPLES)
    assert sorted(MESSAGES) == sorted(MESSAGE_EXAMPLES)
    assert sorted([*EXAMPLES, *MESSAGE_EXAMPLES]) == list(known_kinds("sinks"))
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


@pytest.mark.parametrize("kind", MESSAGES)
def test_it_keeps_the_promises_of_a_sink_of_messages(kind: str, broker: Broker) -> None:
    sink = MESSAGE_EXAMPLES[kind](broker)
    assert type(sink) is resolve_kind("sinks", kind)
    sent = check_message_sink(sink)
    for topic in dict.fromkeys(message.destination for message in sent):
        arrived = [(one.key(), one.value()) for one in broker.read(topic)]
        assert arrived == [(one.key, one.value) for one in sent if one.destination == topic]
