"""Tracks are scored from files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sightflow.cli import cli
from sightflow.errors import SourceError


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Give paths of a truth with two boxes, of tracks that have both, and of some that have one."""
    both = "1,1,0,0,9,9,1,-1,-1,-1\n2,1,0,0,9,9,1,-1,-1,-1\n"
    texts = {"gt": both, "both": both, "one": both.splitlines()[0], "classes": "1,1,0,0,9,9,1,1,1"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in texts}


def call(*words: str) -> Result:
    return CliRunner().invoke(cli, ["evaluate", "tracks", *words])


def test_one_sequence_is_one_line_of_a_table(files: dict[str, str]) -> None:
    result = call("--truth", files["gt"], "--predictions", files["one"])
    assert result.exit_code == 0
    assert "HOTA %" in result.stdout
    assert "50.00" in result.stdout
    assert " all " not in result.stdout


def test_several_sequences_are_also_scored_together(files: dict[str, str]) -> None:
    pairs = [("--truth", files["gt"], "--predictions", files[name]) for name in ("one", "both")]
    words = [word for pair in pairs for word in pair]
    assert " all " in call(*words).stdout
    scores = json.loads(call(*words, "--json").stdout)
    mota = [scores["sequences"][files[name]]["mota"] for name in ("one", "both")]
    assert mota == [0.5, 1]
    assert scores["combined"]["mota"] == 0.75


def test_as_many_truths_as_predictions_are_needed(files: dict[str, str]) -> None:
    result = call("--truth", files["gt"], "--truth", files["gt"], "--predictions", files["one"])
    assert result.exit_code == 2
    assert "as many --truth as --predictions, in the same order; got 2 and 1" in result.stderr


def test_classes_in_the_truth_are_told_to_be_left_unread(files: dict[str, str]) -> None:
    result = call("--truth", files["classes"], "--predictions", files["one"])
    assert result.exit_code == 0
    assert f"{files['classes']}: its classes are not read" in result.stderr


def test_a_file_that_is_not_there_is_named(files: dict[str, str]) -> None:
    result = call("--truth", files["gt"] + "s", "--predictions", files["one"])
    assert isinstance(result.exception, SourceError)
    assert "gts: cannot be read" in str(result.exception)
