"""What a run has written is read row by row; what cannot be taken is told with its place."""

import json
from pathlib import Path

import pytest

from sightflow.dashboard.report.reading import read_run
from sightflow.dashboard.truth import label_reader
from sightflow.errors import SourceError
from sightflow.storage.resultfiles import find_run

RESULT = {"uri": "a.jpg", "source_id": "s", "sequence": 0, "event_time_ms": 0}


def read(path: Path) -> list[tuple[str, int, int]]:
    told = list[tuple[str, int, int]]()
    read_run(
        find_run(str(path)),
        label_reader(None),
        n_samples=0,
        on_progress=lambda *step: told.append(step),
    )
    return told


def test_a_row_that_cannot_be_taken_is_told_with_its_number(tmp_path: Path) -> None:
    wrong = {**RESULT, "classification": [{"label": "car"}]}
    path = tmp_path / "r.jsonl"
    path.write_text(f"{json.dumps(RESULT)}\n{json.dumps(wrong)}")
    with pytest.raises(
        SourceError,
        match=r"r\.jsonl: row 2 must be what a run has written: something lacks `score`$",
    ):
        read(path)


def test_progress_is_told_in_mib_up_to_the_size_of_all_files(tmp_path: Path) -> None:
    row = json.dumps({**RESULT, "note": "x" * 1_000})
    (tmp_path / "r.jsonl").write_text(f"{row}\n" * 3_000)
    told = read(tmp_path / "r.jsonl")
    assert {(what, total) for what, _, total in told} == {("reading, MiB", 3)}
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (2, 3)  # the first after 2,000 rows


def test_a_field_of_another_type_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps({**RESULT, "classification": 5}))
    with pytest.raises(SourceError, match=r"a field is of another type than a run writes$"):
        read(tmp_path / "r.jsonl")
