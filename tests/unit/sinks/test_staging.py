"""Results wait beside their final place."""

from pathlib import Path

import pytest

from sightflow.errors import OutputExistsError
from sightflow.sinks.staging import StagedLines, discard_staged, staged


def test_a_staged_file_is_hidden_beside_the_final_one() -> None:
    assert staged(Path("out/a.jsonl")) == Path("out/.a.jsonl.partial")


def test_a_file_that_a_run_is_writing_is_left_to_it(tmp_path: Path) -> None:
    lines = StagedLines(tmp_path / "a.jsonl", 0)
    with pytest.raises(OutputExistsError, match="another run is writing it; choose another path"):
        StagedLines(tmp_path / "a.jsonl", 0)
    discard_staged(tmp_path / "a.jsonl")
    assert staged(tmp_path / "a.jsonl").exists()

    lines.close()
    discard_staged(tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []
