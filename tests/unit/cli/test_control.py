"""`sightflow control` adds checked lines to the file that a job follows."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sightflow.cli import cli
from sightflow.errors import PipelineError

PIPELINE = """
source: {kind: Cameras, cameras: [{url: "rtsp://gate", source_id: gate}]}
steps:
  - {name: track, kind: Track}
control: {kind: JsonControl, path: control.jsonl}
"""


def call(file: Path, *words: str, options: tuple[str, ...] = ()) -> list[dict[str, object]]:
    """Return the lines of the file behind a call."""
    result = CliRunner().invoke(cli, ["control", *options, str(file), *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_each_command_adds_its_line(tmp_path):
    file = tmp_path / "control.jsonl"
    call(file, "set", "detect.min_score", "0.5")
    call(file, "set", "zone.corners", "[[0, 0], [9, 0], [0, 9]]")
    call(file, "set", "zone.anchor", "center")
    call(file, "reset", "detect.min_score")
    call(file, "add-camera", "gate", "rtsp://gate", "--max-fps", "5")
    assert call(file, "remove-camera", "gate") == [
        {"set": "detect.min_score", "value": 0.5},
        {"set": "zone.corners", "value": [[0, 0], [9, 0], [0, 9]]},
        {"set": "zone.anchor", "value": "center"},
        {"reset": "detect.min_score"},
        {"camera": "gate", "url": "rtsp://gate", "max_fps": 5.0},
        {"remove_camera": "gate"},
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["set", "min_score", "0.5"], "'min_score': must be STEP.OPTION"),
        (["add-camera", "gate", " "], "Live: `url` must name a camera"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_added(words, message, tmp_path):
    file = tmp_path / "control.jsonl"
    with pytest.raises(PipelineError, match=message):
        call(file, *words)
    assert not file.exists()


def test_with_the_pipeline_it_is_checked_that_the_step_is_there(tmp_path):
    pipeline, file = tmp_path / "p.yaml", tmp_path / "control.jsonl"
    pipeline.write_text(PIPELINE.replace("control.jsonl", str(file)))
    checked = "--pipeline", str(pipeline)
    with pytest.raises(PipelineError, match=r"detect.min_score: must be STEP.OPTION of a step of"):
        call(file, "set", "detect.min_score", "0.5", options=checked)
    with pytest.raises(PipelineError, match="Track: `min_hits` is a whole number from 1; got 0"):
        call(file, "set", "track.min_hits", "0", options=checked)
    assert call(file, "set", "track.min_hits", "3", options=checked)


@pytest.mark.parametrize("kept", [PIPELINE, PIPELINE.partition("control:")[0]])
def test_a_file_that_the_pipeline_does_not_read_is_refused(kept, tmp_path):
    pipeline, file = tmp_path / "p.yaml", tmp_path / "controll.jsonl"
    pipeline.write_text(kept)
    words = ["control", "--pipeline", str(pipeline), str(file), "set", "track.min_hits", "3"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert "name the file that it reads" in result.output
    assert not file.exists()
