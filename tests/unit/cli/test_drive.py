"""The command for roads, in this process, with models that find the same everywhere."""

import json
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import CliRunner, Result
from tests.pictures import draw_video
from tests.roads import save_road_models

from sightflow.cli import cli
from sightflow.cli.drive import Seen
from sightflow.testing import draw_scene, encode_image

N_FRAMES = 12


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Return the words that name the models."""
    models = save_road_models(tmp_path)
    return [word for name, path in models.items() for word in (f"--{name.replace('_', '-')}", path)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Path(draw_video(tmp_path / "street.mp4", N_FRAMES))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(2):
        (folder / f"{i}.jpg").write_bytes(encode_image(draw_scene()))
    return folder


def call(*words: object) -> Result:
    result = CliRunner().invoke(cli, ["drive", *map(str, words), "--runner", "inline"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_video_becomes_results_events_and_a_video_and_what_was_seen_is_told(
    words, clip, tmp_path
) -> None:
    out, events, video = (tmp_path / name for name in ("drive.jsonl", "events.jsonl", "out.mp4"))

    result = call(clip, *words, "--out", out, "--events", events, "--annotate", video)

    assert result.exit_code == 0, result.output
    rows = rows_of(out)
    assert len(rows) == N_FRAMES
    by_label = {found["label"]: found for found in rows[-1]["detections"]}
    assert set(by_label) == {"car", "traffic light", "traffic sign"}
    assert by_label["traffic light"]["state"]["label"] in ("red", "green", "blue")
    assert by_label["traffic sign"]["sign"]["label"] in ("red", "green", "blue")
    assert {event["kind"] for event in rows_of(events)} == {
        "appeared",
        "left",
        "announced",
        "ended",
    }
    with av.open(str(video)) as drawn:
        assert drawn.streams.video[0].frames == N_FRAMES
    told = result.stderr.splitlines()
    assert "seen: 1 car, 1 traffic light, 1 traffic sign" in told
    state = by_label["traffic light"]["state"]["label"]
    assert f"traffic light #2: {state}, frames 1-{N_FRAMES - 1}" in told, "ids come second"


def test_quietly_nothing_is_told(words, clip, tmp_path) -> None:
    result = call(clip, *words, "--out", tmp_path / "drive.jsonl", "--quiet")
    assert result.stderr == ""


def test_pictures_are_looked_at_one_by_one(words, photos, tmp_path) -> None:
    out = tmp_path / "seen.jsonl"

    result = call(photos, *words, "--tiles", 1, 2, "--out", out, "--annotate", tmp_path / "drawn")

    assert result.exit_code == 0, result.output
    rows = rows_of(out)
    assert len(rows) == 2
    assert all("tracks" not in row for row in rows)
    assert len(rows[0]["detections"]) > 3, "tiles find the same rows once more"
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["0.jpg", "1.jpg"]


def test_with_a_rate_pictures_are_the_frames_of_a_video(words, photos, tmp_path) -> None:
    out = tmp_path / "seen.jsonl"
    result = call(photos, *words, "--fps", 10, "--out", out)
    assert result.exit_code == 0, result.output
    assert [len(row["tracks"]) for row in rows_of(out)] == [0, 3]


def test_objects_count_from_a_score_on(words, clip, tmp_path) -> None:
    result = call(clip, *words, "--min-score", 0.75, "--out", tmp_path / "out.jsonl")
    assert "seen: 1 car, 1 traffic light" in result.stderr.splitlines()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--events", "e.jsonl"], "--events is for videos, and these are pictures that are look"),
        (["--annotate", "a.mp4"], "--annotate NAME.mp4 is for videos, and these are pictures"),
        (["b.mp4"], "pictures beside a video need --fps N"),
    ],
)
def test_what_pictures_do_not_have_is_refused(words, photos, more, message) -> None:
    result = call(photos, *words, *more)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_what_is_live_cannot_be_drawn_later(words) -> None:
    result = call("rtsp://camera.local/live", *words, "--annotate", "a.mp4")
    assert result.exit_code == 2
    assert "--annotate reads the pictures again" in result.stderr


def an_event(kind: str, label: str, sequence: int, **more: Any) -> dict[str, Any]:
    row = {"kind": kind, "label": label, "sequence": sequence, "source_id": "a", "track_id": 1}
    return {**row, "step": "lights", **more}


def test_what_a_light_showed_is_told_in_its_order_and_each_event_counts_once() -> None:
    seen = Seen()
    told = [
        an_event("appeared", "traffic light", 2),
        an_event("announced", "green", 4, figures={"first_sequence": 2.0}),
        an_event("ended", "green", 9, figures={"first_sequence": 2.0}),
        an_event("announced", "red", 12, figures={"first_sequence": 10.0}),
    ]
    for event in (*told, *told):
        seen.tell(event)

    assert list(seen.lines()) == [
        "seen: 1 traffic light",
        "traffic light #1: green, frames 2-9",
        "traffic light #1: red, from frame 10",
    ]


def test_of_several_streams_each_is_named() -> None:
    seen = Seen()
    for source_id in ("a", "b"):
        seen.tell(an_event("appeared", "traffic light", 0, source_id=source_id))
    said = {"figures": {"first_sequence": 0.0}, "source_id": "b"}
    seen.tell(an_event("announced", "red", 2, **said))

    assert list(seen.lines()) == ["seen: 2 traffic light", "b: traffic light #1: red, from frame 0"]


def test_where_nothing_happened_it_says_so() -> None:
    assert list(Seen().lines()) == ["seen: nothing"]
