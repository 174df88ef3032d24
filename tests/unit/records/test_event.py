"""A moment keeps where and when an image was, and makes events of it."""

import msgspec

from sightflow.records import Event, TableUpdate
from sightflow.records.event import Moment
from sightflow.testing import an_origin

NO_UTF_8 = "caf\udce9"


def test_a_moment_is_that_of_an_image():
    origin = an_origin(source_id="gate", sequence=7, event_time_ms=1_200)

    assert Moment.of(origin) == Moment(b"gate", 7, 1_200)


def test_an_event_happens_at_its_moment():
    event = Moment(b"gate", 7, 1_200).event("trained", "learn", figures={"loss": 0.5}, class_id=3)

    assert event == Event("trained", "learn", "gate", 7, 1_200, class_id=3, figures={"loss": 0.5})


def test_a_stream_whose_name_is_no_utf_8_has_moments_that_can_be_kept():
    moment = Moment.of(an_origin(source_id=NO_UTF_8))
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(moment), type=Moment)

    assert kept.source == b"caf\xe9"
    assert kept.event("left", "track").source_id == NO_UTF_8


def test_a_change_of_a_table_can_be_shown_without_its_rows():
    assert "secret" not in repr(TableUpdate(1, {"key": b"secret"}))
