"""Files appear at once or not at all."""

from pathlib import Path

import pytest

from sightflow.sinks.staging import replacing, staged


def test_a_staged_file_is_hidden_beside_the_final_one() -> None:
    assert staged(Path("out/a.jsonl")) == Path("out/.a.jsonl.partial")


def test_a_file_appears_when_all_went_well(tmp_path: Path) -> None:
    with replacing(tmp_path / "sub" / "a.txt") as draft:
        draft.write_text("new")
        assert not (tmp_path / "sub" / "a.txt").exists()
    assert [(p.name, p.read_text()) for p in (tmp_path / "sub").iterdir()] == [("a.txt", "new")]


def test_an_error_leaves_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def fail_half_way() -> None:
        with replacing(tmp_path / "a.txt") as draft:
            draft.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_half_way()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_two_writers_of_one_file_do_not_share_a_draft(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as one, replacing(tmp_path / "a.txt") as two:
        one.write_text("1")
        two.write_text("2")
        assert one != two
    assert (tmp_path / "a.txt").read_text() == "1"  # the outer one is renamed last
