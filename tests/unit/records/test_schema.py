"""One schema; rows that fit it, in Arrow and in JSON."""

import json
import os

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sightflow.records import (
    EVENT_SCHEMA,
    REJECTED_SCHEMA,
    RESULT_SCHEMA,
    Classification,
    Detections,
    Event,
    Faces,
    Measures,
    ModelUse,
    ObjectClasses,
    Rejected,
    Scene,
    Tracks,
    event_row,
    rejected_row,
    result_row,
    to_json,
    to_table,
)
from sightflow.testing import a_record, an_origin

THIRD = np.float32(1 / 3)
CLASSIFICATION = Classification(
    ("cat", "dog"), np.array([281, 207], np.int32), np.array([THIRD, 0.25], np.float32)
)
SCENE = Scene(("coast", "forest"), np.array([0.75, 0.25], np.float32))
DETECTIONS = Detections(
    np.array([[1.5, 2, 30, 20.1]], np.float32),
    np.array([0.9], np.float32),
    np.array([15], np.int32),
    ("cat",),
)
TRACKS = Tracks(
    np.array([7], np.int64),
    np.array([[1.5, 2, 30, 20.1]], np.float32),
    np.array([0.9], np.float32),
    np.array([15], np.int32),
    ("cat",),
    np.array([[-2.5, 0.1]], np.float32),
    np.array([1_200], np.int64),
    np.array([31], np.int32),
)

FACES = Faces(
    np.array([[1.5, 2, 30, 20.1]], np.float32),
    np.array([0.9], np.float32),
    np.array([[[10, 8], [20, 8.5]]], np.float32),
    np.array([[0.6, -0.8]], np.float32),
    ("ann",),
    np.array([0.75], np.float32),
    (7,),
)


def a_full_record():
    return a_record(
        origin=an_origin(label="cat", metadata=(("site", "north"), ("gate", "3"))),
        models=(ModelUse("classify", "net", "1"), ModelUse("detect", "det", "2")),
        classification=CLASSIFICATION,
        shadow=CLASSIFICATION,
        scene=SCENE,
        detections=DETECTIONS,
        tracks=TRACKS,
        faces=FACES,
        measures=Measures(("sharpness",), np.array([0.5], np.float32)),
    )


def test_a_row_says_where_the_image_comes_from_and_how_large_it_is():
    origin = an_origin(uri="s3://b/x.png", source_id="b", sequence=4, event_time_ms=1_700_000)

    row = result_row(a_record(np.zeros((2, 3, 3), np.uint8), origin=origin, width=30, height=20))

    assert row == {
        "uri": "s3://b/x.png",
        "source_id": "b",
        "sequence": 4,
        "event_time_ms": 1_700_000,
        "width": 30,
        "height": 20,
    }


@pytest.mark.parametrize(
    ("results", "fields"),
    [
        ({}, set()),
        ({"classification": CLASSIFICATION}, {"classification"}),
        ({"scene": SCENE}, {"scene"}),
        ({"detections": DETECTIONS}, {"detections"}),
        (
            {"classification": CLASSIFICATION, "scene": SCENE, "detections": DETECTIONS},
            {"classification", "scene", "detections"},
        ),
    ],
)
def test_fields_of_steps_that_did_not_run_are_absent(results, fields):
    row = result_row(a_record(**results))

    assert row.keys() & {"classification", "scene", "detections", "step", "steps"} == fields


def test_a_step_that_found_nothing_leaves_an_empty_list():
    nothing = Detections(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ()
    )

    assert result_row(a_record(detections=nothing))["detections"] == []


def test_results_by_hand():
    row = json.loads(to_json(result_row(a_full_record())))

    assert row["classification"] == [
        {"label": "cat", "class_id": 281, "score": 0.33333334},
        {"label": "dog", "class_id": 207, "score": 0.25},
    ]
    assert row["scene"] == [{"label": "coast", "score": 0.75}, {"label": "forest", "score": 0.25}]
    assert row["detections"] == [
        {"label": "cat", "class_id": 15, "score": 0.9, "box_xyxy": [1.5, 2.0, 30.0, 20.1]}
    ]


def test_one_step_with_a_model_is_named_and_not_listed():
    row = result_row(a_record(models=(ModelUse("classify", "net", "1"),)))

    assert (row["step"], row["model"], row["model_version"]) == ("classify", "net", "1")
    assert "steps" not in row


def test_of_several_steps_the_last_is_named_and_all_are_listed():
    uses = ModelUse("classify", "net", "1"), ModelUse("detect", "det", "2")

    row = result_row(a_record(models=(*uses, ModelUse("scene", "net", "3"))))

    assert (row["step"], row["model"], row["model_version"]) == ("scene", "net", "3")
    assert row["steps"] == [
        {"step": "classify", "model": "net", "model_version": "1"},
        {"step": "detect", "model": "det", "model_version": "2"},
        {"step": "scene", "model": "net", "model_version": "3"},
    ]


@pytest.mark.parametrize("record", [a_record(), a_full_record()], ids=["bare", "full"])
def test_a_row_has_no_field_that_the_schema_lacks(record):
    assert result_row(record).keys() <= set(RESULT_SCHEMA.names)


def test_a_full_record_has_every_field_of_the_schema():
    assert result_row(a_full_record()).keys() == set(RESULT_SCHEMA.names)


def test_rows_become_an_arrow_table_and_come_back(tmp_path):
    rows = [result_row(a_full_record()), result_row(a_record())]

    pq.write_table(to_table(rows), tmp_path / "r.parquet")

    full, bare = pq.read_table(tmp_path / "r.parquet", schema=RESULT_SCHEMA).to_pylist()
    assert full["classification"][0] == {"label": "cat", "class_id": 281, "score": float(THIRD)}
    assert full["detections"][0]["box_xyxy"] == [1.5, 2.0, 30.0, float(np.float32(20.1))]
    assert full["steps"] == rows[0]["steps"]
    assert full["metadata"] == [("site", "north"), ("gate", "3")]
    assert bare["uri"] == "photos/a.jpg"
    assert (bare["classification"], bare["scene"], bare["detections"]) == (None, None, None)
    assert (bare["step"], bare["steps"], bare["metadata"]) == (None, None, None)


def test_a_float32_written_as_json_is_the_same_float32_when_read():
    values = np.random.default_rng(1).random(2000, np.float32)
    values = np.concatenate([values, np.float32([0, 1, 1e-30, 1e30, 16_777_216, 1 / 3])])

    row = json.loads(to_json(result_row(scored(values))))

    read = [item["score"] for item in row["classification"]]
    assert (np.array(read, np.float32) == values).all()


def test_a_float32_is_written_with_few_digits():
    assert b'"score":0.9}' in to_json(result_row(scored(np.float32([0.9]))))


def test_a_row_is_the_same_line_after_a_way_through_json():
    """Rows travel as JSON between the processes of Flink; the output must not show it."""
    line = to_json(result_row(scored(np.float32([4.328775e-06, 1e-30, 0.1, 123456.7]))))

    assert to_json(orjson.loads(line)) == line


def scored(scores):
    n = len(scores)
    return a_record(classification=Classification(("x",) * n, np.zeros(n, np.int32), scores))


def test_a_row_is_one_line_of_json_whatever_its_labels_are():
    line = to_json({"label": 'a\nb "c" \u00e9'})

    assert b"\n" not in line
    assert json.loads(line) == {"label": 'a\nb "c" \u00e9'}


def test_a_rejected_image_is_a_row_of_its_own_schema():
    row = rejected_row(Rejected(an_origin(uri="x.jpg"), "decode", "corrupt", "cut short"))

    assert row == {"uri": "x.jpg", "step": "decode", "reason": "corrupt", "message": "cut short"}
    table = pa.Table.from_pylist([row], schema=REJECTED_SCHEMA)
    assert table.to_pylist() == [row]


def test_a_track_is_a_row_of_plain_values():
    (row,) = result_row(a_record(tracks=TRACKS))["tracks"]

    assert row == {
        "track_id": 7,
        "label": "cat",
        "class_id": 15,
        "score": 0.9,
        "box_xyxy": [1.5, 2.0, 30.0, 20.1],
        "velocity_xy": [-2.5, 0.1],
        "age_ms": 1_200,
        "n_hits": 31,
    }


def test_what_is_known_of_objects_is_told_where_it_was_looked_for():
    two = Detections(
        np.zeros((2, 4), np.float32),
        np.array([0.9, 0.5], np.float32),
        np.zeros(2, np.int32),
        ("traffic light", "traffic sign"),
        (7, None),
        ObjectClasses(("red", None), (0, None), np.array([THIRD, 0], np.float32)),
        ObjectClasses((None, "unknown"), (None, None), np.array([0, 0.25], np.float32)),
    )

    light, sign = result_row(a_record(detections=two))["detections"]

    assert (light["track_id"], light["state"]) == (7, {"label": "red", "score": 0.33333334})
    assert (sign["track_id"], "state" in sign, "sign" in light) == (None, False, False)
    assert sign["sign"] == {"label": "unknown", "class_id": None, "score": 0.25}
    table = pa.Table.from_pylist([result_row(a_record(detections=two))], schema=RESULT_SCHEMA)
    (back,) = table.to_pylist()
    assert [found["sign"] for found in back["detections"]] == [None, sign["sign"]]


def test_an_event_is_a_row_of_its_own_schema_without_what_does_not_apply():
    event = Event("left", "track", "cam", 9, 360, track_id=2, duration_ms=300)

    row = event_row(event)

    assert row == {
        "kind": "left",
        "step": "track",
        "source_id": "cam",
        "sequence": 9,
        "event_time_ms": 360,
        "track_id": 2,
        "duration_ms": 300,
    }
    (back,) = pa.Table.from_pylist([row], schema=EVENT_SCHEMA).to_pylist()
    assert {name: value for name, value in back.items() if value is not None} == row


def test_bytes_of_a_name_that_are_no_utf_8_are_written_as_escapes():
    name = os.fsdecode(b"caf\xe9")  # é in Latin-1
    origin = an_origin(uri=name, source_id=name, label=name)
    event = Event(
        "left", "track", name, 9, 360,
        label=name, predicted=name, uri=name, reason=name, person_id=name,
    )  # fmt: skip
    rejected = Rejected(origin, "decode", "corrupt", name)

    rows = result_row(a_record(origin=origin)), event_row(event), rejected_row(rejected)

    texts = [
        {key: text for key, text in json.loads(to_json(row)).items() if "caf" in str(text)}
        for row in rows
    ]
    assert texts == [
        dict.fromkeys(("uri", "source_id", "label"), "caf\\xe9"),
        dict.fromkeys(
            ("source_id", "label", "uri", "predicted", "reason", "person_id"), "caf\\xe9"
        ),
        dict.fromkeys(("uri", "message"), "caf\\xe9"),
    ]


def test_the_schema_of_events_has_the_fields_of_an_event():
    assert EVENT_SCHEMA.names == list(Event.__slots__)
