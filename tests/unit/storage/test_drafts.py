"""Files and folders appear at once or not at all."""

from pathlib import Path

import pytest

from sightflow.errors import OutputError
from sightflow.storage.drafts import (
    discard_drafts,
    lock,
    new_folder,
    replace_durably,
    replacing,
)


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


def test_a_place_that_cannot_be_written_is_told_with_the_final_path(tmp_path: Path) -> None:
    (tmp_path / "sub").touch()
    with (
        pytest.raises(OutputError, match=r"sub/a\.txt: cannot be written: "),
        replacing(tmp_path / "sub" / "a.txt") as draft,
    ):
        draft.touch()


def test_a_file_is_replaced_durably_and_leaves_no_draft(tmp_path: Path) -> None:
    replace_durably(tmp_path / "sub" / "a.txt", b"1")
    replace_durably(tmp_path / "sub" / "a.txt", b"2")
    assert [(p.name, p.read_text()) for p in (tmp_path / "sub").iterdir()] == [("a.txt", "2")]


def test_a_folder_appears_with_all_its_files_and_is_never_replaced(tmp_path: Path) -> None:
    assert new_folder(tmp_path / "a", {"x": b"1", "y": b"2"})
    assert not new_folder(tmp_path / "a", {"x": b"3"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()} == {"x": b"1", "y": b"2"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_died_before_its_folder_was_complete_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_folder(tmp_path / "a", {"x": b"1"})
    with monkeypatch.context() as patch:
        patch.setattr("os.rename", lambda *_: None)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        new_folder(tmp_path / "b", {"x": b"1"})
    assert len(list(tmp_path.iterdir())) == 2
    discard_drafts(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_lock_is_held_until_its_file_is_closed(tmp_path: Path) -> None:
    with open(tmp_path / "lock", "wb") as mine, open(tmp_path / "lock", "wb") as theirs:
        assert lock(mine)
        assert not lock(theirs)
        mine.close()
        assert lock(theirs, wait=True)
