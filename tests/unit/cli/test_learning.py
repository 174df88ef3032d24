"""What a test has found is printed: of classes, and of objects."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sightflow.cli.learning import print_learning
from sightflow.dashboard.learning import Learning, read_learning

OBJECTS = {"n_objects": 20, "n_false": 3, "precision": 0.75, "recall": 0.5, "f1": 0.6, "map": 0.25}
CLASS = {"n": 0, "n_false": 2, "precision": 0.0, "recall": 0.0, "f1": 0.0}


def told(folder: Path, *events: tuple[str, dict[str, float]], **fields: Any) -> Learning:
    """Return what a run tells, given as kinds and figures."""
    lines = [{"kind": kind, "step": "test", "figures": f, **fields} for kind, f in events]
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return read_learning(folder / "events.jsonl")


def rows(text: str) -> list[list[str]]:
    found = (re.split(r" *[│┃] *", line)[1:-1] for line in text.splitlines())
    return [row for row in found if row]


def test_tests_with_objects_have_a_table_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [("tested", {**OBJECTS, "n": i, "map_50": 0.5}) for i in range(1, 8)]
    print_learning(told(tmp_path, *events, ("evaluated", {**OBJECTS, "n": 9, "map_50": 0.375})))
    heading, *last, stream = rows(capsys.readouterr().out)
    rates = ["precision %", "recall %", "F1 %", "mAP@0.5 %", "mAP %"]
    assert heading == ["images", "n", "objects", "false", *rates]
    assert [row[:2] for row in last] == [[f"test {i}", str(i)] for i in range(3, 8)]
    assert stream == ["stream", "9", "20", "3", "75.00", "50.00", "60.00", "37.50", "25.00"]


def test_each_class_is_told_and_what_it_does_not_have_is_a_dash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_learning(told(tmp_path, ("scored", {**CLASS, "held_out": 1}), class_id=0, label="car"))
    heading, row = rows(capsys.readouterr().out)
    rates = ["precision %", "recall %", "F1 %", "AP@0.5 %", "AP %"]
    assert heading == ["class, last test", "objects", "false", *rates]
    assert row == ["car", "0", "2", "0.00", "0.00", "0.00", "-", "-"]


def test_tests_of_classes_have_no_table_of_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"n": 4, "accuracy": 0.5, "top_k_accuracy": 1, "log_loss": 1, "calibration_error": 0}
    print_learning(told(tmp_path, ("evaluated", figures)))
    text = capsys.readouterr().out
    assert "accuracy %" in text
    assert "mAP" not in text
