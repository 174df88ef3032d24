"""Records come back from bytes as they were, without their pixels."""

import dataclasses
import os
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from sightflow.records import (
    Classification,
    Detections,
    LabelledObject,
    ModelUse,
    ObjectClasses,
    Rejected,
    Scene,
    Tracks,
)
from sightflow.records.codec import decode_outcomes, encode_outcomes, without_pixels
from sightflow.testing import a_record, an_origin

NAN_PAYLOAD = np.array([0x7FC00001], np.uint32).view(np.float32)
DETECTIONS = Detections(
    np.array([[0.1, 2, 3, 4], [5, 6, 7, 8.25]], np.float32),
    np.array([0.9, 1 / 3], np.float32),
    np.array([1, 2], np.int32),
    ("car", "Straßenbahn"),
)
KNOWN = replace(
    DETECTIONS,
    track_ids=(7, None),
    states=ObjectClasses(("red", None), (2, None), np.array([1 / 3, 0], np.float32)),
    signs=ObjectClasses((None, "unknown"), (None, None), np.array([0, 0.1], np.float32)),
)
NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ()
)
TRACKS = Tracks(
    np.array([2**40], np.int64),
    np.array([[0, 0, 1, 1]], np.float32),
    NAN_PAYLOAD,
    np.array([3], np.int32),
    ("dog",),
    np.array([[-1.5, 2]], np.float32),
    np.array([1_000], np.int64),
    np.array([7], np.int32),
)


def columns(found):
    values = ((f.name, getattr(found, f.name)) for f in dataclasses.fields(found))
    return {
        name: (v.dtype, v.shape, v.tobytes())
        if isinstance(v, np.ndarray)
        else columns(v)
        if dataclasses.is_dataclass(v)
        else v
        for name, v in values
    }


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("detections", DETECTIONS),
        ("detections", KNOWN),
        ("detections", NOTHING),
        ("tracks", TRACKS),
        ("scene", Scene(("coast",), np.ones(1, np.float32))),
        (
            "classification",
            Classification(("a", "b"), np.arange(2, dtype=np.int32), np.ones(2, np.float32)),
        ),
    ],
)
def test_what_was_found_comes_back_to_the_last_bit(field, found):
    (back,) = decode_outcomes(encode_outcomes([a_record(**{field: found})]))
    assert columns(getattr(back, field)) == columns(found)
    others = {"classification", "scene", "detections", "tracks", "prepared"} - {field}
    assert [getattr(back, other) for other in others] == [None] * 4


def test_origin_size_and_models_come_back_and_pixels_do_not():
    uses = (ModelUse("detect", "nanodet", "1"), ModelUse("classify", "net", "2"))
    record = a_record(width=640, height=480, models=uses)
    (back,) = decode_outcomes(encode_outcomes([record]))
    assert (back.origin, back.width, back.height) == (record.origin, 640, 480)
    assert back.models == uses
    assert back.pixels.shape == (0, 0, 3)


def test_rejected_images_keep_their_place_among_the_records():
    rejected = Rejected(an_origin(sequence=1), "decode", "empty", "no bytes")
    outcomes = [a_record(), rejected, a_record(origin=an_origin(sequence=2))]
    back = decode_outcomes(encode_outcomes(outcomes))
    assert back[1] == rejected
    assert [outcome.origin.sequence for outcome in back] == [0, 1, 2]


@pytest.mark.parametrize(
    "told",
    [
        {"label": "Straßenbahn"},
        {"label": ""},
        {"held_out": True},
        {"awaits_label": True},
        {"objects": ()},
        {"metadata": (("site", "Straße"), ("gate", ""))},
        {"objects": (LabelledObject("Straßenbahn", (0.1, 2, 3, 4), ignored=True),)},
    ],
    ids=str,
)
@pytest.mark.parametrize("rejected", [False, True], ids=["recognised", "rejected"])
def test_what_the_source_tells_of_an_image_comes_back(told, rejected):
    origin = an_origin(**told)
    outcome = Rejected(origin, "decode", "late", "") if rejected else a_record(origin=origin)
    (back,) = decode_outcomes(encode_outcomes([outcome]))
    assert back.origin == origin


def test_records_of_checkpoints_from_before_there_was_metadata_are_read():
    (wire,) = msgspec.msgpack.decode(encode_outcomes([a_record()]))
    assert wire.pop() == []
    (back,) = decode_outcomes(msgspec.msgpack.encode([wire]))
    assert back.origin == an_origin()


def test_arrays_travel_where_they_are_asked_for_and_present():
    features = np.array([0.1, -2], np.float32)
    outcomes = [a_record(features=features), a_record()]

    asked, without = decode_outcomes(encode_outcomes(outcomes, arrays=("features", "prepared")))
    (unasked,) = decode_outcomes(encode_outcomes(outcomes[:1]))

    assert (asked.features.dtype, asked.features.tolist()) == (np.float32, features.tolist())
    assert (asked.prepared, without.features, unasked.features) == (None, None, None)


@pytest.mark.parametrize("arrays", [(), ("prepared",), ("features",), ("prepared", "features")])
def test_a_record_without_pixels_is_as_it_comes_back_from_bytes(arrays):
    prepared, features = np.ones((2, 2, 3), np.uint8), np.ones(4, np.float32)
    record = a_record(detections=DETECTIONS, prepared=prepared, features=features)

    left = without_pixels(record, arrays)

    (back,) = decode_outcomes(encode_outcomes([record], arrays))
    assert left.pixels.size == back.pixels.size == 0
    assert (left.origin, left.detections) == (record.origin, DETECTIONS)
    for name in ("prepared", "features"):
        kept = getattr(record, name) if name in arrays else None
        assert getattr(left, name) is kept
        assert (getattr(back, name) is None) == (kept is None)


def test_a_file_name_that_is_no_utf_8_comes_back():
    name = os.fsdecode(b"\xff.jpg")
    origin = an_origin(uri=name, source_id=name, name=name)
    (back,) = decode_outcomes(encode_outcomes([a_record(origin=origin)]))
    assert back.origin == origin


def test_the_same_records_give_the_same_bytes():
    record = a_record(detections=DETECTIONS, tracks=TRACKS)
    data = encode_outcomes([record])
    assert encode_outcomes(decode_outcomes(data)) == data
