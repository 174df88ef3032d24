"""docs/reference/records.md says what is written, field by field."""

import json
import os
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from tests.docs.pages import ROOT, table
from tests.steps import Bright, Measured

from sightflow import (
    Classify,
    Detect,
    Directory,
    JsonLines,
    Pipeline,
    RunSettings,
    Track,
    run,
    zoo,
)
from sightflow.ops.decode import FORMATS
from sightflow.records import (
    EVENT_KINDS,
    EVENT_SCHEMA,
    REASONS,
    REJECTED_SCHEMA,
    RESULT_SCHEMA,
    Faces,
    ObjectClasses,
)
from sightflow.records.ledger import Ledger, Summary
from sightflow.sources.labelled import Labelled
from sightflow.tasks.shadow import Shadow
from sightflow.testing import draw_scene, encode_image

PAGE = "docs/reference/records.md"
INLINE = RunSettings(runner="inline")


@dataclass(frozen=True)
class AllKnown:
    """Reports a face and objects of which everything is known: no steps of ours keep all of it."""

    def check(self):
        """Accept everything."""

    def scale_for(self, width, height):
        """Return almost 0."""
        return 1e-9

    def open(self, context):
        """Return the function that reports it."""
        box, one = np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32)
        eyes, unit = np.array([[[2, 3], [7, 3]]], np.float32), np.array([[0, 1]], np.float32)
        face = Faces(box, one, eyes, unit, ("ann",), one, (1,))

        def known(record):
            n = len(record.detections)
            classes = ObjectClasses(("red",) * n, (0,) * n, np.ones(n, np.float32))
            objects = replace(record.detections, states=classes, signs=classes)
            origin = replace(record.origin, metadata=(("gate", "3"),))
            return replace(record, origin=origin, faces=face, detections=objects)

        return lambda records: [known(record) for record in records]


def flattened(field, prefix=""):
    """Yield (name, type, may be null) of a field and all in it."""
    name, kind = prefix + field.name, field.type
    is_list, is_struct = pa.types.is_list(kind), pa.types.is_struct(kind)
    shown = "list" if is_list else "struct" if is_struct else str(kind)
    yield [name, shown, "yes" if field.nullable else "no"]
    if is_struct:
        for inner in kind:
            yield from flattened(inner, f"{name}.")
    if is_list and pa.types.is_struct(kind.value_type):
        for inner in kind.value_type:
            yield from flattened(inner, f"{name}[].")
    elif is_list:
        yield from flattened(kind.value_field.with_name("[]"), name)


def in_json(value, name=""):
    """Return the names of all fields of a line, as the table writes them."""
    if isinstance(value, dict) and name != "metadata":
        return {n for key, v in value.items() for n in in_json(v, f"{name}.{key}".lstrip("."))} | {
            name
        } - {""}
    if isinstance(value, list):
        return (
            {name}
            | {n for item in value for n in in_json(item, f"{name}[]")} - {f"{name}[]"}
            | ({f"{name}[]"} if value and not isinstance(value[0], dict) else set())
        )
    return {name}


def unlike(rows, meanings):
    """Return the words that a table does not explain as the code does, or in another order."""
    assert [row[0] for row in rows] == list(meanings)
    return [word for word, text in rows if not text.startswith(meanings[word])]


def test_the_table_of_results_is_the_schema():
    shown = [row[:3] for row in table(PAGE, "The result of an image")]
    assert shown == [row for field in RESULT_SCHEMA for row in flattened(field)]
    assert len(shown) >= 20


def test_the_table_of_rejected_images_is_the_schema():
    shown = [row[:3] for row in table(PAGE, "A rejected image")]
    assert shown == [row for field in REJECTED_SCHEMA for row in flattened(field)]


def test_the_table_of_events_is_the_schema():
    shown = [row[:3] for row in table(PAGE, "An event")]
    assert shown == [row for field in EVENT_SCHEMA for row in flattened(field)]


def test_every_kind_of_event_is_explained():
    assert unlike(table(PAGE, "An event", number=1), EVENT_KINDS) == []


def test_every_reason_is_explained():
    assert unlike(table(PAGE, "A rejected image", number=1), REASONS) == []


def test_every_format_is_named():
    text = (ROOT / PAGE).read_text("utf-8").lower()
    assert [name for name in FORMATS if name.lower() not in text] == []


def test_the_keys_of_the_summary_are_explained():
    summary = Summary(Ledger(), 1.0, None, None, "inline", 1)
    assert [row[0] for row in table(PAGE, "The summary")] == list(summary.as_dict())


def test_a_line_of_several_steps_has_every_field_of_the_table_and_no_other(place):
    pipeline = (
        Pipeline(Labelled(Directory("photos/0000.jpg")))
        .apply("classify", Classify(scenes=True))
        .apply("trial", Shadow(zoo("efficientnet_lite0")))
        .apply("detect", Detect(min_score=0.01))
        .apply("measure", Measured())
        .apply("known", AllKnown())
        .apply("track", Track(high_score=0.01, low_score=0.01, min_hits=1))
        .write("results", JsonLines("results.jsonl"))
    )
    run(pipeline, INLINE)
    line = json.loads((place / "results.jsonl").read_text())
    assert in_json(line) == {row[0] for row in table(PAGE, "The result of an image")}


def test_without_a_model_the_fields_that_may_be_absent_are_absent(place):
    run(Pipeline(Directory("photos")).write("results", JsonLines("results.jsonl")), INLINE)
    line = json.loads((place / "results.jsonl").read_text().splitlines()[0])
    assert set(line) == {row[0] for row in table(PAGE, "The result of an image") if row[2] == "no"}


def test_a_box_over_a_turned_picture_is_in_pixels_of_the_upright_one(place):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown standing
    (place / "turned.jpg").write_bytes(encode_image(draw_scene(320, 240), exif=exif))
    pipeline = Pipeline(Directory("turned.jpg")).apply("bright", Bright())
    run(pipeline.write("results", JsonLines("results.jsonl")), INLINE)
    line = json.loads((place / "results.jsonl").read_text())
    assert (line["width"], line["height"]) == (240, 320)
    assert line["detections"][0]["box_xyxy"] == [0, 0, 240, 320]


@pytest.mark.parametrize(
    ("path", "source_id", "time_ms"),
    [
        ("photos", "photos", 1_700_000_000_500),
        ("photos/*.jpg", "photos/*.jpg", 1_700_000_000_500),
        ("photos/0002.jpg", "photos/0002.jpg", 1_700_000_000_500),
        ("photos.zip", "photos.zip", 0),
    ],
)
def test_stream_position_and_time_of_files_are_as_the_table_says(path, source_id, time_ms, place):
    for photo in (place / "photos").iterdir():
        os.utime(photo, (0, 1_700_000_000.5))
    origins = [claim.origin for claim in Directory(path).claims()]
    assert {origin.source_id for origin in origins} == {source_id}
    assert [origin.sequence for origin in origins] == list(range(len(origins)))
    assert {origin.event_time_ms for origin in origins} == {time_ms}
