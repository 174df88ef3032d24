"""Messages set options of steps and cameras; one that cannot be taken is told and no change."""

import json
from pathlib import Path
from typing import Any

import pytest

from sightflow import Detect, Directory, Pipeline, Track, Zone
from sightflow.errors import PipelineError
from sightflow.records import TableUpdate
from sightflow.sources.cameras import Cameras
from sightflow.sources.jsoncontrol import JsonControl, add_message
from sightflow.tasks.control import Control, ControlUpdates, Settings, check_message
from sightflow.testing import a_context, check_table

CORNERS = ((0.0, 0.0), (9.0, 0.0), (0.0, 9.0))


def a_control(path: Path, *messages: Any) -> Control:
    """Return the control of a pipeline, with messages that are there."""
    for message in messages:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        add_message(path, line)
    steps = ("track", Track()), ("zone", Zone(corners=CORNERS)), ("my.detect", Detect())
    return Control(JsonControl(str(path)), steps, takes_cameras=True)


def opened(control: Control, position: str | None = None, **rows: bytes) -> ControlUpdates:
    return control.open_updates(a_context("tables"), position, rows)


def updates(stream: ControlUpdates) -> list[TableUpdate]:
    found = []
    while not stream.is_caught_up():
        if (update := stream.poll(0.01)) is not None:
            found.append(update)
    return found


def settings(control: Control, found: list[TableUpdate]) -> Settings:
    table = control.open_table()
    for update in found:
        table.update(update)
    return table.now


def told(found: list[TableUpdate]) -> list[tuple[str, str, str | None, float]]:
    events = [event for update in found for event in update.events]
    return [(e.kind, e.step, e.reason, (e.figures or {})["version"]) for e in events]


def test_the_last_value_of_an_option_counts_and_its_step_knows_which_message_it_was(tmp_path):
    control = a_control(
        tmp_path / "c.jsonl",
        {"set": "track.max_age_ms", "value": 100},
        {"set": "my.detect.min_score", "value": 0.5},
        {"set": "track.max_age_ms", "value": 300},
    )
    found = updates(opened(control))
    now = settings(control, found)
    assert now.options == {"track": {"max_age_ms": 300}, "my.detect": {"min_score": 0.5}}
    assert (now.version, now.versions) == (3, {"track": 3, "my.detect": 2})
    assert told(found) == [
        ("settings_changed", "track", "track.max_age_ms = 100", 1.0),
        ("settings_changed", "my.detect", "my.detect.min_score = 0.5", 2.0),
        ("settings_changed", "track", "track.max_age_ms = 300", 3.0),
    ]


def test_an_option_that_is_reset_is_as_in_the_pipeline_and_the_message_is_known(tmp_path):
    control = a_control(
        tmp_path / "c.jsonl",
        {"set": "track.max_age_ms", "value": 100},
        {"reset": "track.max_age_ms"},
    )
    now = settings(control, updates(opened(control)))
    assert (now.options, now.versions) == ({"track": {}}, {"track": 2})


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"{no json", "a message is a mapping in JSON: "),
        (b"\xff\xfe", "a message is a mapping in JSON: "),
        ([1], "a message is a mapping in JSON: "),
        ({"sat": "x"}, "a message has one of set, reset, camera, remove_camera, with a name"),
        ({"set": "track.min_hits", "reset": "track.min_hits"}, "a message has one of set, reset"),
        ({"set": 3, "value": 1}, "a message has one of set, reset"),
        ({"set": "track.min_hits"}, "`set` goes with value; got []"),
        ({"reset": "track.min_hits", "value": 1}, "`reset` goes with nothing; got ['value']"),
        ({"set": "follow.min_hits", "value": 1}, "follow.min_hits: must be STEP.OPTION of a step"),
        ({"set": "min_hits", "value": 1}, "min_hits: must be STEP.OPTION of a step"),
        ({"set": "track.noise", "value": 1}, "track.noise: Track has no such option that may ch"),
        ({"set": "track.min_hits", "value": "2"}, "track: `min_hits`: Expected `int`, got `str`"),
        ({"set": "track.min_hits", "value": 0}, "Track: `min_hits` is a whole number from 1"),
        ({"set": "track.low_score", "value": 0.9}, "Track: `low_score` is at most `high_score`"),
        ({"set": "zone.corners", "value": [[0, 0], [9, 9]]}, "Zone: `corners` are three or more"),
        ({"camera": "gate"}, "camera 'gate' needs `url` and may have options of Live"),
        ({"camera": "gate", "url": "x", "fps": 3}, "camera 'gate' needs `url` and may have opti"),
        ({"camera": "gate", "url": "x", "max_fps": 0}, "Live: `max_fps` is above 0; got 0"),
        ({"remove_camera": "gate", "url": "x"}, "`remove_camera` goes with nothing"),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(message, reason, tmp_path):
    control = a_control(tmp_path / "c.jsonl", message, {"set": "track.min_hits", "value": 4})
    refused, taken = updates(opened(control))
    assert not refused.rows
    ((kind, step, words, version),) = told([refused])
    assert (kind, step, version) == ("settings_refused", "control", 1.0)
    assert words is not None
    assert words.startswith(reason)
    assert refused.events[0].uri == f"{tmp_path / 'c.jsonl'}#0"
    assert settings(control, [refused, taken]).options == {"track": {"min_hits": 4}}


def test_options_that_were_set_are_checked_together(tmp_path):
    control = a_control(
        tmp_path / "c.jsonl",
        {"set": "track.high_score", "value": 0.95},
        {"set": "track.low_score", "value": 0.9},
    )
    now = settings(control, updates(opened(control)))
    assert now.options == {"track": {"high_score": 0.95, "low_score": 0.9}}


def test_cameras_come_and_go_and_no_password_is_told(tmp_path):
    control = a_control(
        tmp_path / "c.jsonl",
        {"camera": "gate", "url": "rtsp://me:secret@host/live", "max_fps": 5, "id": 17},
        {"camera": "yard", "url": "rtsp://yard"},
        {"remove_camera": "gate"},
    )
    found = updates(opened(control))
    assert settings(control, found[:1]).cameras["gate"]["max_fps"] == 5
    assert settings(control, found).cameras == {"yard": {"url": "rtsp://yard"}, "gate": {}}
    first = found[0].events[0]
    assert (first.source_id, first.reason, first.label) == (
        "gate",
        "camera gate: rtsp://me@host/live",
        "17",
    )


def test_a_source_without_cameras_refuses_them(tmp_path):
    control = Control(JsonControl(str(tmp_path / "c.jsonl")), (("track", Track()),))
    with pytest.raises(PipelineError, match="camera 'gate': the source takes none; use Cameras"):
        control.change(b'{"camera": "gate", "url": "x"}', {})


def test_it_keeps_the_promises_of_a_table(tmp_path):
    control = a_control(
        tmp_path / "c.jsonl",
        {"set": "zone.corners", "value": [[0, 0], [5, 0], [0, 5]]},
        {"camera": "gate", "url": "rtsp://gate"},
        b"no message",
        {"reset": "zone.corners"},
    )
    assert len(check_table(control)) == 4


def test_what_another_pipeline_has_set_and_this_one_does_not_know_is_taken_out(tmp_path):
    path = tmp_path / "c.jsonl"
    control = a_control(
        path, {"set": "track.min_hits", "value": 4}, {"set": "zone.margin", "value": 0.5}
    )
    stream = opened(control)
    rows = {key: row for update in updates(stream) for key, row in update.rows.items() if row}
    other = Control(JsonControl(str(path)), (("track", Track()),))

    again = opened(other, stream.position(), **rows)
    (gone,) = updates(again)
    assert gone.rows == {"zone.margin": None}
    assert told([gone]) == [
        ("settings_refused", "control", "not in the pipeline any more: zone.margin", 3.0)
    ]
    add_message(path, b'{"set": "track.min_hits", "value": 5}')
    after = again.poll(1.0)
    assert after is not None
    assert after.version == 4


def test_the_table_is_that_of_its_messages_whatever_the_steps_are(tmp_path):
    one = Pipeline(Directory("photos")).apply("track", Track())
    control = JsonControl(str(tmp_path / "c.jsonl"))
    assert one.controlled_by(control).settings is not None
    assert one.settings is None
    assert one.controlled_by(control).tables == (one.controlled_by(control).settings,)


def test_a_pipeline_in_which_nothing_can_change_is_refused(tmp_path):
    control = JsonControl(str(tmp_path / "c.jsonl"))
    with pytest.raises(PipelineError, match="no step of the pipeline has an option that may chan"):
        Pipeline(Directory("photos")).controlled_by(control).check()
    Pipeline(Cameras()).controlled_by(control).check()


def test_what_is_no_control_is_refused():
    with pytest.raises(PipelineError, match="the control needs an object with `open_messages`"):
        Pipeline(Directory("photos")).controlled_by("control.jsonl")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b'{"set": "min_score", "value": 1}', "'min_score': must be STEP.OPTION, such as detect"),
        (b'{"camera": "gate", "url": []}', "camera 'gate': `url`: Expected `int | str`, got"),
    ],
)
def test_a_message_is_checked_without_a_pipeline_too(message, reason):
    with pytest.raises(PipelineError, match=reason.replace("|", r"\|")):
        check_message(message)
    check_message(b'{"set": "a step.min_score", "value": 1, "id": "x"}')
